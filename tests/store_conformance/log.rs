//! The delivery log, and what overviews show.

use std::sync::Arc;

use futures_util::future::join_all;
use hookwright::domain::{
    Application, DeliveryId, Endpoint, EndpointState, MessageId, Next, PausePolicy, Reference,
};
use hookwright::store::{
    DeliveryFilter, DeliveryLine, DeliveryResult, EndpointHour, Job, Page, TrafficMinute,
};

use super::world::{World, answered, everything, expect, refused, s};

async fn log(world: &World, of: &Application, filter: DeliveryFilter) -> Vec<DeliveryLine> {
    world.store().list_log(of.id, filter, everything()).await.unwrap().lines
}

fn with(result: DeliveryResult) -> DeliveryFilter {
    DeliveryFilter { result: Some(result), ..DeliveryFilter::default() }
}

/// An endpoint with a delivery for each of these outcomes, a second apart.
async fn history(world: &World, application: &Application) -> Vec<MessageId> {
    let later = world.now() + s(900);
    let outcomes = [
        Some((answered(204), Next::Succeeded)),
        Some((answered(503), Next::Retry { at: later })),
        Some((refused(), Next::Retry { at: later })),
        Some((answered(404), Next::Exhausted)),
        None,
    ];
    let mut messages = Vec::new();
    for outcome in outcomes {
        let job = world.claimed_job(application).await;
        if let Some((outcome, next)) = outcome {
            world.record(vec![world.attempt(&job, outcome, next)]).await;
        }
        messages.push(job.message.id);
        world.pass(s(1));
    }
    messages
}

pub(crate) async fn deliveries_are_found_by_how_they_stand(world: World) {
    use DeliveryResult::{
        Cancelled, Class, Delivered, Failed, NoAnswer, Pending, Retrying, Waiting,
    };
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let messages = history(&world, &application).await;
    let places = async |result: DeliveryResult| -> Vec<usize> {
        let lines = log(&world, &application, with(result)).await;
        let place =
            |line: &DeliveryLine| messages.iter().position(|id| *id == line.id.message).unwrap();
        lines.iter().map(place).collect()
    };
    for (result, expected) in [
        (Class(2), vec![0]),
        (Class(3), vec![]),
        (Class(4), vec![3]),
        (Class(5), vec![1]),
        (NoAnswer, vec![2]),
        (Delivered, vec![0]),
        (Retrying, vec![1, 2]),
        (Failed, vec![3]),
        (Pending, vec![4]),
        (Waiting, vec![]),
        (Cancelled, vec![]),
    ] {
        assert_eq!(places(result).await, expected, "{result:?}");
    }
    assert_eq!(world.store().count_waiting(application.id, endpoint.id).await.unwrap(), 3);

    stop(&world, &application, &endpoint).await;
    assert_eq!(places(Waiting).await, [1, 2, 4]);
    assert_eq!(places(Pending).await, [] as [usize; 0]);
    world.store().delete_endpoint(application.id, endpoint.id, world.now()).await.unwrap();
    let lines = log(&world, &application, DeliveryFilter::default()).await;
    assert_eq!(lines.len(), messages.len());
    assert!(lines.iter().all(|line| line.endpoint_deleted));
}

pub(crate) async fn a_line_tells_of_the_last_attempt(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint_with(&application, |e| e.name = "Ours".to_owned()).await;
    let published_at = world.now();
    let job = world.claimed_job(&application).await;
    world.pass(s(1));
    world.record(vec![world.retry(&job)]).await;
    world.pass(s(1));
    let again = world.claim(endpoint.id, 1).await.jobs.remove(0);
    let at = world.now() + s(60);
    world.record(vec![world.attempt(&again, answered(502), Next::Retry { at })]).await;
    let [line] = &log(&world, &application, DeliveryFilter::default()).await[..] else {
        panic!("one delivery")
    };
    assert_eq!(line.id, job.delivery());
    assert_eq!((line.attempts, line.next_at, line.published_at), (2, Some(at), published_at));
    assert_eq!((&*line.endpoint_name, &*line.event_type), ("Ours", "contact.created"));
    let last = line.last.as_ref().unwrap();
    assert_eq!((last.status, last.started_at, last.succeeded), (Some(502), world.now(), false));
}

pub(crate) async fn the_log_walks_in_either_direction_and_skips_nothing(world: World) {
    let application = world.application("acme").await;
    for _ in 0..3 {
        world.endpoint(&application).await;
    }
    let mut expected = Vec::new();
    for number in 0..5 {
        let event_type = if number % 2 == 0 { "a.b" } else { "a.c" };
        let accepted =
            world.publish_with(&application, |m| m.event_type = event_type.to_owned()).await;
        let jobs = accepted.claimed.iter().map(|(job, _)| (event_type, job.delivery()));
        expected.extend(jobs);
        world.pass(s(1));
    }
    expected.sort_by_key(|(_, id)| *id);
    for filter in [vec![], vec!["a.c".to_owned()]] {
        let mut expected: Vec<DeliveryId> = expected
            .iter()
            .filter(|(name, _)| filter.is_empty() || filter.iter().any(|one| one == name))
            .map(|(_, id)| *id)
            .collect();
        for descending in [false, true] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = Page { after, descending, limit: 4 };
                let filter =
                    DeliveryFilter { event_types: filter.clone(), ..DeliveryFilter::default() };
                let found = world.store().list_log(application.id, filter, page).await.unwrap();
                seen.extend(found.lines.iter().map(|line| line.id));
                after = found.reached.map(|(id, _)| id);
                if !found.has_more {
                    break;
                }
            }
            assert_eq!(seen, expected, "descending: {descending}");
            expected.reverse();
        }
    }
}

pub(crate) async fn the_log_of_another_application_is_not_found(world: World) {
    let acme = world.application("acme").await;
    let endpoint = world.endpoint(&acme).await;
    let job = world.claimed_job(&acme).await;
    let globex = world.application("globex").await;
    for filter in [
        DeliveryFilter { message: Some(job.message.id), ..DeliveryFilter::default() },
        DeliveryFilter { endpoint: Some(endpoint.id), ..DeliveryFilter::default() },
    ] {
        assert_eq!(log(&world, &globex, filter).await, []);
    }
    assert_eq!(world.store().count_waiting(globex.id, endpoint.id).await.unwrap(), 0);
    world.store().delete_application(globex.id, world.now()).await.unwrap();
    let found = world.store().list_log(globex.id, DeliveryFilter::default(), everything()).await;
    expect(found, hookwright::domain::ErrorCode::NotFound);
}

pub(crate) async fn attempts_are_counted_by_hour_and_by_minute(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let start = world.now();
    let hour = |hours: i64| {
        let first = start.as_seconds().div_euclid(3_600);
        hookwright::domain::Timestamp::from_seconds((first + hours) * 3_600)
    };
    let deliver = async |succeeds: bool| {
        let job = world.claimed_job(&application).await;
        world.pass(s(3));
        let recorded =
            if succeeds { world.success(&job) } else { world.failure(&job, Next::Exhausted) };
        world.record(vec![recorded]).await;
    };
    deliver(true).await;
    deliver(false).await;
    world.pass(s(3_600));
    deliver(true).await;
    let hours = world.store().endpoint_hours(application.id, start).await.unwrap();
    let count = |starts_at, succeeded, failed| EndpointHour {
        endpoint: endpoint.id,
        starts_at,
        succeeded,
        failed,
    };
    assert_eq!(hours, [count(hour(0), 1, 1), count(hour(1), 1, 0)]);
    let later = start + s(3_600);
    let hours = world.store().endpoint_hours(application.id, later).await.unwrap();
    assert_eq!(hours, [count(hour(1), 1, 0)]);

    let minutes = world.store().traffic(&world.environment, start).await.unwrap();
    let sum = |part: fn(&TrafficMinute) -> u64| minutes.iter().map(part).sum::<u64>();
    assert_eq!((sum(|m| m.events), sum(|m| m.succeeded), sum(|m| m.failed)), (3, 2, 1));
    // Three seconds are more than two and no more than five.
    let place = hookwright::store::LATENCY_BOUNDS_MS.iter().position(|ms| *ms == 5_000).unwrap();
    let latencies: Vec<u64> = minutes.iter().map(|minute| minute.latency[place]).collect();
    assert_eq!(latencies.iter().sum::<u64>(), 2);
    assert_eq!(sum(|m| m.latency.iter().sum()), 2);
    let elsewhere = world.store().traffic(&Arc::from("elsewhere"), start).await.unwrap();
    assert_eq!(elsewhere, []);
}

pub(crate) async fn only_the_first_attempt_of_the_schedule_tells_of_latency(world: World) {
    let application = world.application("acme").await;
    let message = world.publish(&application).await.message.id;
    world.pass(s(3_600));
    let late = world.endpoint(&application).await;
    let (lease, now) = (world.lease(), world.now());
    let resent = world.store().resend(application.id, message, late.id, lease, now).await;
    let (job, _) = resent.unwrap();
    assert_eq!(job.attempts, 0);
    world.record(vec![world.success(&job)]).await;
    let minutes = world.store().traffic(&world.environment, now).await.unwrap();
    let [minute] = &minutes[..] else { panic!("{minutes:?}") };
    assert_eq!((minute.succeeded, minute.latency.iter().sum::<u64>()), (1, 0));
}

pub(crate) async fn counts_are_whole_while_they_are_written_and_after_a_restart(mut world: World) {
    // More than one transaction writes.
    const ENDPOINTS: usize = 260;
    let application = world.application("acme").await;
    let start = world.now();
    join_all((0..ENDPOINTS).map(|_| world.endpoint(&application))).await;
    let accepted = world.publish(&application).await;
    let recorded = accepted.claimed.iter().map(|(job, _)| world.success(job)).collect();
    world.record(recorded).await;
    let expect = async |world: &World, events: u64| {
        let hours = world.store().endpoint_hours(application.id, start).await.unwrap();
        assert_eq!(hours.len(), ENDPOINTS);
        assert!(hours.iter().all(|hour| (hour.succeeded, hour.failed) == (1, 0)));
        let minutes = world.store().traffic(&world.environment, start).await.unwrap();
        assert_eq!(minutes.iter().map(|minute| minute.events).sum::<u64>(), events);
        let attempts = minutes.iter().map(|minute| minute.succeeded).sum::<u64>();
        assert_eq!(attempts, ENDPOINTS as u64);
    };
    expect(&world, 1).await;
    for events in 2..5 {
        world.pass(s(6));
        world.publish(&application).await;
        expect(&world, events).await;
    }
    world.reopen();
    expect(&world, 4).await;
}

pub(crate) async fn an_environment_tells_what_waits_and_who_is_in_trouble(world: World) {
    let application = world.application("acme").await;
    let failing = world.endpoint_with(&application, |e| e.name = "Failing".to_owned()).await;
    let since = world.now();
    let fail = async |job: &Job, pause: PausePolicy| {
        let mut recorded = world.retry(job);
        recorded.pause = pause;
        world.record(vec![recorded]).await;
    };
    let job = world.claimed_job(&application).await;
    fail(&job, PausePolicy::Never).await;
    for _ in 0..2 {
        let standing = world.store().standing(&world.environment, 1).await.unwrap();
        assert_eq!((standing.failing.count, standing.pending), (0, 1), "{standing:?}");
        world.pass(s(1));
        let job = world.claim(failing.id, 1).await.jobs.remove(0);
        fail(&job, PausePolicy::Never).await;
    }
    let standing = world.store().standing(&world.environment, 1).await.unwrap();
    let [trouble] = &standing.failing.first[..] else { panic!("{standing:?}") };
    assert_eq!((trouble.endpoint, &*trouble.name, trouble.failures), (failing.id, "Failing", 3));
    assert_eq!((trouble.since, &*trouble.application.0), (since, "acme"));
    assert_eq!(standing.paused.count, 0);

    let job = world.claim(failing.id, 1).await.jobs.remove(0);
    fail(&job, PausePolicy::Consecutive { failures: 4 }).await;
    let standing = world.store().standing(&world.environment, 1).await.unwrap();
    assert_eq!((standing.failing.count, standing.paused.count, standing.pending), (0, 1, 1));
    let trouble = &standing.paused.first[0];
    assert_eq!((trouble.endpoint, trouble.since), (failing.id, world.now()));
    assert_eq!(trouble.reason.as_deref(), Some("4 failed attempts in a row"));
    let elsewhere = world.store().standing(&Arc::from("elsewhere"), 1).await.unwrap();
    assert_eq!(elsewhere, hookwright::store::Standing::default());
    world.store().delete_endpoint(application.id, failing.id, world.now()).await.unwrap();
    let standing = world.store().standing(&world.environment, 1).await.unwrap();
    assert_eq!(standing.paused.count, 0);
}

/// Switches an endpoint off.
async fn stop(world: &World, application: &Application, endpoint: &Endpoint) {
    let reference = Reference::new(endpoint.id.to_string());
    let now = world.store().get_endpoint(application.id, &reference).await.unwrap();
    let mut changed = Endpoint::clone(&now);
    changed.state = EndpointState::Disabled { at: world.now(), reason: "by hand".to_owned() };
    let change =
        hookwright::store::EndpointChange { endpoint: changed, from_revision: now.revision };
    world.store().update_endpoint(change, false).await.unwrap();
}

pub(crate) async fn looking_for_a_rare_delivery_is_done_in_steps(world: World) {
    /// More than a store looks at for one page.
    const MESSAGES: usize = 10_200;
    let application = world.application("acme").await;
    let rare = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    stop(&world, &application, &rare).await;
    let publish = async |_| world.publish(&application).await;
    futures_util::future::join_all((0..MESSAGES).map(publish)).await;
    let filter = DeliveryFilter { endpoint: Some(rare.id), ..DeliveryFilter::default() };
    let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = Page { after, descending: true, limit: 5 };
        let found = world.store().list_log(application.id, filter.clone(), page).await.unwrap();
        pages += 1;
        seen.extend(found.lines.iter().map(|line| line.id));
        assert!(found.first.is_some());
        after = found.reached.map(|(id, _)| id);
        if !found.has_more {
            break;
        }
    }
    assert_eq!(seen, [job.delivery()]);
    assert_eq!(pages, 2, "the first page gave up");
}

pub(crate) async fn an_ordered_endpoints_next_attempt_is_its_retry(world: World) {
    let application = world.application("acme").await;
    world.endpoint_with(&application, |e| e.ordered = true).await;
    let job = world.claimed_job(&application).await;
    let at = world.now() + s(3_600);
    world.record(vec![world.failure(&job, Next::Retry { at })]).await;
    let lines = log(&world, &application, DeliveryFilter::default()).await;
    assert_eq!(lines[0].next_at, Some(at));
}
