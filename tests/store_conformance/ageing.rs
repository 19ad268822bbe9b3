//! What has grown too old: removed whole, in steps, and never while something is pending.

use std::sync::Arc;
use std::time::Duration;

use hookwright::domain::{
    Application, DeliveryState, ErrorCode, Message, MessageId, Next, Reference, Retention,
};
use hookwright::store::{
    AgeWalk, AttemptFilter, Discard, EventQuery, EventStart, Job, MessageFilter, RetentionOf,
};

use super::world::{World, everything, expect, s};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Messages for 90 days and their content for 7; for one day, all of it, in `short`.
fn rules() -> Arc<RetentionOf> {
    Arc::new(|environment| match &**environment {
        "short" => Retention { messages: Some(DAY), content: Some(DAY) },
        _ => Retention { messages: Some(90 * DAY), content: Some(7 * DAY) },
    })
}

async fn step(world: &World, walk: AgeWalk) -> AgeWalk {
    world.store().expire(walk, rules(), world.now()).await.unwrap()
}

/// Goes on with a walk until it meets younger messages.
pub(super) async fn walk_on(world: &World, mut walk: AgeWalk) -> AgeWalk {
    walk.done = false;
    while !walk.done {
        walk = step(world, walk).await;
    }
    walk
}

async fn messages(world: &World, application: &Application) -> Vec<Arc<Message>> {
    let (store, filter) = (world.store(), MessageFilter::default());
    store.list_messages(application.id, filter, everything()).await.unwrap()
}

async fn attempts_in_all(world: &World, job: &Job) -> usize {
    let filter = AttemptFilter { endpoint: Some(job.endpoint), ..AttemptFilter::default() };
    let application = job.message.application.id;
    world.store().list_attempts(application, filter, everything()).await.unwrap().len()
}

/// Publishes, fails once and succeeds then.
pub(super) async fn delivered(world: &World, application: &Application) -> Job {
    let job = world.claimed_job(application).await;
    world.record(vec![world.retry(&job)]).await;
    let mut retries = world.claim(job.endpoint, 10).await.jobs;
    retries.retain(|retry| retry.message.id == job.message.id);
    world.record(vec![world.success(&retries[0])]).await;
    retries.remove(0)
}

pub(crate) async fn what_is_old_goes_whole_and_step_by_step(mut world: World) {
    const OLD: usize = 60;
    let application = world.application("acme").await;
    world.endpoint(&application).await;
    let mut jobs = Vec::new();
    for _ in 0..OLD {
        jobs.push(delivered(&world, &application).await);
    }
    world.pass(DAY);
    let young = delivered(&world, &application).await;
    world.pass(89 * DAY - s(1));
    let early = step(&world, AgeWalk::new(90 * DAY)).await;
    assert_eq!((early.removed, early.emptied, early.done), (0, 0, true), "a second too early");

    world.pass(s(1));
    let (mut walk, mut steps) = (AgeWalk::new(90 * DAY), 0);
    while !walk.done {
        walk = step(&world, walk).await;
        steps += 1;
        // Whatever happens between two steps, a message is there with all that belongs to it.
        world.reopen();
        let removed = usize::try_from(walk.removed).unwrap();
        assert_eq!(messages(&world, &application).await.len(), OLD - removed + 1);
        assert_eq!(attempts_in_all(&world, &young).await, 2 * (OLD - removed + 1));
        for (place, job) in jobs.iter().enumerate() {
            let rows = world.store().list_deliveries(application.id, job.message.id).await;
            match place < removed {
                true => drop(expect(rows, ErrorCode::NotFound)),
                false => assert_eq!(rows.unwrap().len(), 1),
            }
        }
        let line = world.ledger(&application).await;
        assert_eq!((line.accepted, line.succeeded), (OLD as u64 + 1, OLD as u64 + 1));
        assert_eq!(line.removed, walk.removed);
    }
    assert_eq!((walk.removed, walk.emptied), (OLD as u64, 0));
    assert!(steps > 2, "all at once");
    assert_eq!(world.attempts_of(&application, young.message.id).await, 2);
}

pub(crate) async fn what_is_pending_is_left_until_it_has_ended(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let waiting = world.publish_unclaimed(&application).await;
    let finished = delivered(&world, &application).await;
    world.pass(91 * DAY);
    let resent = delivered(&world, &application).await;
    world.pass(91 * DAY);
    let (lease, now) = (world.lease(), world.now());
    let sending = world.store().resend(application.id, resent.message.id, endpoint.id, lease, now);
    let (sending, _) = sending.await.unwrap();

    let mut walk = walk_on(&world, AgeWalk::new(90 * DAY)).await;
    assert_eq!((walk.removed, walk.emptied), (1, 0), "only what nothing is pending for");
    let left: Vec<MessageId> = messages(&world, &application).await.iter().map(|m| m.id).collect();
    assert_eq!(left, [waiting.id, resent.message.id]);
    expect(
        world
            .store()
            .get_message(application.id, &Reference(finished.message.id.to_string()))
            .await,
        ErrorCode::NotFound,
    );

    // They are delivered as they were accepted, and go when they are.
    let jobs = world.claim(endpoint.id, 10).await.jobs;
    assert_eq!(jobs.len(), 1, "the other one is leased");
    assert_eq!(jobs[0].message.payload, waiting.payload);
    world.record(vec![world.success(&jobs[0]), world.success(&sending)]).await;
    walk = walk_on(&world, walk).await;
    assert_eq!(walk.removed, 1, "a walk goes on where it was");
    walk.go_back();
    walk = walk_on(&world, walk).await;
    assert_eq!(walk.removed, 3);
    assert!(messages(&world, &application).await.is_empty());
    let line = world.ledger(&application).await;
    assert_eq!((line.accepted, line.succeeded, line.removed), (3, 3, 3));
}

pub(crate) async fn content_goes_first_and_the_log_line_stays(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let other = world.publish_unclaimed(&application).await;
    world.store().claim(endpoint.id, 1, 1, world.lease(), world.now()).await.unwrap();
    let mut jobs = Vec::new();
    for number in 0..30 {
        let mut accepted = world
            .publish_with(&application, |message| {
                message.payload = format!(r#"{{"text":"{}"}}"#, "x".repeat(300)).into();
                message.event_id = Some(format!("event-{number}"));
                message.channels = vec!["sales".to_owned()];
                message.tags = vec!["tagged".to_owned()];
            })
            .await;
        let job = accepted.claimed.remove(0).0;
        world.record(vec![world.success(&job)]).await;
        jobs.push(job);
    }
    world.pass(7 * DAY);
    let walk = walk_on(&world, AgeWalk::new(7 * DAY)).await;
    assert_eq!((walk.removed, walk.emptied), (0, 30));

    let stored = messages(&world, &application).await;
    assert_eq!(stored.len(), 31);
    assert_eq!(stored[0].payload, other.payload, "what is pending keeps its payload");
    for (job, message) in jobs.iter().zip(&stored[1..]) {
        assert!(message.payload_expired());
        let emptied = Message { payload: Arc::clone(&job.message.payload), ..(**message).clone() };
        assert_eq!(format!("{emptied:?}"), format!("{:?}", job.message), "all else is as it was");
        let by_event_id = Reference(message.event_id.clone().unwrap());
        let found = world.store().get_message(application.id, &by_event_id).await.unwrap();
        assert_eq!(found.id, message.id);
        let filter = AttemptFilter { message: Some(message.id), ..AttemptFilter::default() };
        let rows = world.store().list_attempts(application.id, filter, everything()).await.unwrap();
        let hookwright::domain::Outcome::Answered(answer) = &rows[0].attempt.outcome else {
            panic!("it was answered");
        };
        assert_eq!((answer.status, answer.body.len(), answer.truncated), (200, 0, true));
        let (store, lease, now) = (world.store(), world.lease(), world.now());
        let resent = store.resend(application.id, message.id, endpoint.id, lease, now).await;
        let refused = expect(resent, ErrorCode::Conflict);
        assert!(refused.detail.contains("no longer kept"), "{refused}");
    }
    world.expect_ledger(&application, [31, 30, 0, 1, 0]).await;
    // A second look finds nothing to do, and the messages go when it is their time.
    let again = walk_on(&world, AgeWalk::new(7 * DAY)).await;
    assert_eq!((again.removed, again.emptied), (0, 0));
    world.pass(83 * DAY);
    assert_eq!(walk_on(&world, AgeWalk::new(7 * DAY)).await.removed, 30);
    let line = world.ledger(&application).await;
    assert_eq!((line.removed, line.pending), (30, 1));
}

pub(crate) async fn each_environment_has_its_own_time(mut world: World) {
    let long = world.application("long").await;
    world.environment = "short".into();
    let short = world.application("short").await;
    for application in [&long, &short, &long, &short] {
        world.publish(application).await;
    }
    world.store().delete_application(short.id, world.now()).await.unwrap();
    world.pass(DAY);
    let walk = walk_on(&world, AgeWalk::new(DAY)).await;
    assert_eq!((walk.removed, walk.emptied), (2, 0), "also those of a deleted application");
    assert_eq!(messages(&world, &long).await.len(), 2);
}

pub(crate) async fn ids_go_on_growing_when_the_newest_message_was_removed(mut world: World) {
    let application = world.application("acme").await;
    let newest = world.publish(&application).await.message.id;
    let query =
        |start| EventQuery { start, event_types: Vec::new(), limit: 10, max_bytes: 1_000_000 };
    world.pass(90 * DAY);
    let walk = walk_on(&world, AgeWalk::new(90 * DAY)).await;
    assert_eq!(walk.removed, 1);
    // One that comes into its place in the table is found by the same walk.
    let newest = world.publish(&application).await.message.id.max(newest);
    world.pass(90 * DAY);
    assert_eq!(walk_on(&world, walk).await.removed, 2);
    world.reopen();
    let mut message = world.new_message(&application);
    message.id = MessageId::LOWEST;
    let next = world.try_accept(message).await.unwrap().message.id;
    assert!(next > newest);
    let page = world.store().read_events(application.id, query(EventStart::After(newest))).await;
    let found: Vec<MessageId> = page.unwrap().events.iter().map(|event| event.id).collect();
    assert_eq!(found, [next], "a cursor from before goes on");
}

pub(crate) async fn an_outcome_that_comes_too_late_leaves_nothing_behind(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let mut discard = Discard::new(world.now());
    while !discard.done {
        let store = world.store();
        let next = store.discard_pending(application.id, endpoint.id, discard, world.now()).await;
        discard = next.unwrap();
    }
    assert_eq!(world.standing(&job).await.0, DeliveryState::Discarded);
    world.pass(90 * DAY);
    assert_eq!(walk_on(&world, AgeWalk::new(90 * DAY)).await.removed, 1);
    world.record(vec![world.failure(&job, Next::Exhausted)]).await;
    assert_eq!(attempts_in_all(&world, &job).await, 0);
    world.expect_ledger(&application, [1, 0, 0, 0, 1]).await;
}
