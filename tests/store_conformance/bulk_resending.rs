//! Sending many events of an endpoint again, in steps.

use std::sync::Arc;

use futures_util::future::join_all;
use hookwright::domain::{
    Application, DeliveryState, Endpoint, EndpointState, ErrorCode, MessageId, Next,
    RESEND_PENDING_MAX, RESENDS_RUNNING_PER_APPLICATION_MAX, Resend, ResendFilter, ResendKind,
    ResendScope, ResendState, Subscription, Timestamp, Trigger,
};
use hookwright::store::{EndpointChange, Job, NewResend, Page, ResendQuery, ResendStep, ResendsOf};

use super::world::{World, everything, expect, ids, s};

fn all(kind: ResendKind) -> ResendScope {
    let filter = ResendFilter::default();
    ResendScope { kind, since: Timestamp::EPOCH, until: None, filter }
}

async fn count(world: &World, endpoint: &Endpoint, scope: &ResendScope) -> u64 {
    world.store().count_resend(endpoint.destination(), scope.clone()).await.unwrap()
}

async fn try_create(
    world: &World,
    endpoint: &Endpoint,
    scope: ResendScope,
) -> hookwright::domain::Result<Resend> {
    let id = world.entropy.id(&world.clock);
    let new = NewResend { id, destination: endpoint.destination(), scope };
    world.store().create_resend(new, world.now()).await
}

async fn create(world: &World, endpoint: &Endpoint, scope: ResendScope) -> Resend {
    try_create(world, endpoint, scope).await.unwrap()
}

async fn step(world: &World, resend: &Resend) -> ResendStep {
    world.store().step_resend(resend.id, world.now()).await.unwrap()
}

/// Claims and delivers all that is due.
async fn deliver(world: &World, endpoint: &Endpoint) -> Vec<Job> {
    let jobs = world.claim(endpoint.id, 10_000).await.jobs;
    let recorded = jobs.iter().map(|job| world.success(job)).collect();
    world.record(recorded).await;
    jobs
}

/// Publishes six messages, of which two succeed, two fail, one is dropped and one waits, each at
/// a second of its own. Returns the jobs in this order.
async fn six_fates(world: &World, application: &Application) -> Vec<Job> {
    let mut jobs = Vec::new();
    for _ in 0..4 {
        world.pass(s(1));
        jobs.push(world.claimed_job(application).await);
    }
    let outcomes = vec![
        world.success(&jobs[0]),
        world.failure(&jobs[1], Next::Exhausted),
        world.success(&jobs[2]),
        world.failure(&jobs[3], Next::Exhausted),
    ];
    world.record(outcomes).await;
    world.pass(s(1));
    jobs.push(world.claimed_job(application).await);
    discard(world, &jobs[4]).await;
    world.pass(s(1));
    jobs.push(world.claimed_job(application).await);
    jobs
}

async fn discard(world: &World, job: &Job) {
    let (application, now) = (job.message.application.id, world.now());
    let mut discard = hookwright::store::Discard::new(now);
    while !discard.done {
        let step = world.store().discard_pending(application, job.endpoint, discard, now);
        discard = step.await.unwrap();
    }
}

pub(crate) async fn each_kind_sends_its_own_and_nothing_else(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let jobs = six_fates(&world, &application).await;
    let late = world.endpoint(&application).await;
    let published = |places: &[usize]| -> Vec<MessageId> {
        places.iter().map(|&place| jobs[place].message.id).collect()
    };
    for (kind, to, expected) in [
        (ResendKind::Recover, &endpoint, published(&[1, 3])),
        (ResendKind::Replay, &endpoint, published(&[0, 1, 2, 3])),
        (ResendKind::Missing, &endpoint, Vec::new()),
        (ResendKind::Missing, &late, published(&[0, 1, 2, 3, 4, 5])),
        (ResendKind::Missing, &late, Vec::new()),
        (ResendKind::Replay, &late, published(&[0, 1, 2, 3, 4, 5])),
        (ResendKind::Recover, &late, Vec::new()),
    ] {
        assert_eq!(count(&world, to, &all(kind)).await, expected.len() as u64, "{kind:?}");
        let resend = create(&world, to, all(kind)).await;
        assert_eq!((resend.counted, resend.sent), (expected.len() as u64, 0));
        assert_eq!(resend.state, ResendState::Running);
        let ResendStep { resend, queued, .. } = step(&world, &resend).await;
        assert_eq!(u64::from(queued), resend.counted, "{kind:?}");
        assert_eq!((resend.state, resend.sent), (ResendState::Finished, resend.counted));
        let sent = deliver(&world, to).await;
        assert_eq!(ids(&sent), expected, "{kind:?}: in the order of publishing");
        assert!(sent.iter().all(|job| job.trigger == Trigger::Manual && job.failed_in_round == 0));
        let line = world.ledger(&application).await;
        assert_eq!((line.pending, line.discarded), (1, 1), "{kind:?} leaves these alone");
    }
    world.expect_ledger(&application, [12, 10, 0, 1, 1]).await;
    assert_eq!(world.standing(&jobs[4]).await.0, DeliveryState::Discarded);
}

pub(crate) async fn a_resend_keeps_to_its_time_and_its_filter(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let started = world.now();
    let mut jobs = Vec::new();
    for (place, event_type) in ["a", "b", "a", "b"].into_iter().enumerate() {
        world.pass(s(10));
        let message = |new: &mut hookwright::store::NewMessage| {
            new.event_type = event_type.to_owned();
            new.channels = vec![format!("channel-{place}")];
            new.tags = vec!["import".to_owned()];
        };
        jobs.push(world.publish_with(&application, message).await.claimed.remove(0).0);
    }
    world.record(jobs[..3].iter().map(|job| world.success(job)).collect()).await;
    world.record(vec![world.failure(&jobs[3], Next::Exhausted)]).await;
    let replay = || all(ResendKind::Replay);
    let filtered = |filter: ResendFilter| ResendScope { filter, ..replay() };
    let some = |text: &str| Some(text.to_owned());
    for (scope, counted) in [
        (replay(), 4),
        (ResendScope { since: started + s(20), ..replay() }, 3),
        (ResendScope { since: started + s(21), ..replay() }, 2),
        (ResendScope { until: Some(started + s(20)), ..replay() }, 1),
        (ResendScope { since: started + s(41), ..replay() }, 0),
        (filtered(ResendFilter { event_types: vec!["a".into()], ..Default::default() }), 2),
        (filtered(ResendFilter { channel: some("channel-1"), ..Default::default() }), 1),
        (filtered(ResendFilter { tag: some("import"), ..Default::default() }), 4),
        (filtered(ResendFilter { tag: some("other"), ..Default::default() }), 0),
        (filtered(ResendFilter { succeeded: Some(true), ..Default::default() }), 3),
        (filtered(ResendFilter { succeeded: Some(false), ..Default::default() }), 1),
    ] {
        assert_eq!(count(&world, &endpoint, &scope).await, counted, "{scope:?}");
        let resend = create(&world, &endpoint, scope.clone()).await;
        assert_eq!(resend.scope, scope, "it reads back as it was written");
        let cancelled = world.store().cancel_resend(resend.id, world.now()).await.unwrap();
        assert_eq!(cancelled.state, ResendState::Cancelled);
    }
    let last = ResendScope { since: started + s(30), until: Some(started + s(40)), ..replay() };
    let resend = create(&world, &endpoint, last).await;
    // What is published after it began goes out by itself.
    let after = world.claimed_job(&application).await;
    world.record(vec![world.success(&after)]).await;
    assert_eq!(step(&world, &resend).await.resend.sent, 1);
    assert_eq!(ids(&deliver(&world, &endpoint).await), [jobs[2].message.id]);
}

pub(crate) async fn what_is_missing_is_what_the_endpoint_takes(world: World) {
    let application = world.application("acme").await;
    let publish = async |event_type: &str, channel: Option<&str>, test: bool| {
        let message = |new: &mut hookwright::store::NewMessage| {
            new.event_type = event_type.to_owned();
            new.event_group = event_type.split('.').next().map(str::to_owned);
            new.channels = channel.map(str::to_owned).into_iter().collect();
            new.test = test;
        };
        world.publish_with(&application, message).await.message.id
    };
    let invoice = publish("invoice.paid", None, false).await;
    let on_channel = publish("contact.created", Some("eu"), false).await;
    let opened = publish("room.opened", None, false).await;
    publish("invoice.paid", None, true).await;
    let chosen = |types: &[&str], groups: &[&str]| {
        let owned = |list: &[&str]| Some(list.iter().map(|&name| name.to_owned()).collect());
        Subscription::new(owned(types), owned(groups))
    };
    for (subscription, channel, expected) in [
        (Subscription::All, None, vec![invoice, on_channel, opened]),
        (chosen(&["invoice.paid"], &[]), None, vec![invoice]),
        (chosen(&["invoice.paid"], &["room"]), None, vec![invoice, opened]),
        (Subscription::All, Some("eu"), vec![on_channel]),
        (chosen(&[], &[]), None, vec![]),
    ] {
        let endpoint = world.endpoint_with(&application, |new| {
            new.subscription = subscription;
            new.channels = channel.map(|one: &str| vec![one.to_owned()]);
        });
        let endpoint = endpoint.await;
        let scope = all(ResendKind::Missing);
        assert_eq!(count(&world, &endpoint, &scope).await, expected.len() as u64);
        let resend = create(&world, &endpoint, scope).await;
        step(&world, &resend).await;
        assert_eq!(ids(&deliver(&world, &endpoint).await), expected);
    }
    world.expect_ledger(&application, [7, 7, 0, 0, 0]).await;
}

pub(crate) async fn steps_are_small_and_go_on_after_a_restart(mut world: World) {
    let application = world.application("acme").await;
    let mut published = Vec::new();
    for _ in 0..950 {
        published.push(world.publish(&application).await.message.id);
    }
    let endpoint = world.endpoint(&application).await;
    let resend = create(&world, &endpoint, all(ResendKind::Missing)).await;
    for sent in [200, 400, 600] {
        let made = step(&world, &resend).await;
        assert_eq!((made.queued, made.resend.sent, made.waits), (200, sent, false));
        world.expect_ledger(&application, [sent, 0, 0, sent, 0]).await;
        world.reopen();
    }
    // So many are due that what is published now would wait for long.
    let waits = step(&world, &resend).await;
    assert_eq!((waits.waits, waits.queued, waits.resend.sent), (true, 0, 600));
    assert_eq!(world.store().running_resends().await.unwrap(), [resend.id]);

    let mut sent = deliver(&world, &endpoint).await;
    assert_eq!(sent.len(), 600);
    step(&world, &resend).await;
    world.reopen();
    let last = step(&world, &resend).await.resend;
    assert_eq!((last.state, last.sent, last.counted), (ResendState::Finished, 950, 950));
    assert_eq!(step(&world, &resend).await.resend, last, "it has ended");
    assert!(world.store().running_resends().await.unwrap().is_empty());
    sent.extend(deliver(&world, &endpoint).await);
    assert_eq!(ids(&sent), published, "each once, in the order of publishing");
    world.expect_ledger(&application, [950, 950, 0, 0, 0]).await;
}

pub(crate) async fn an_ordered_endpoint_gets_them_in_order(world: World) {
    let application = world.application("acme").await;
    let mut published = Vec::new();
    for _ in 0..250 {
        world.pass(s(1));
        published.push(world.publish(&application).await.message.id);
    }
    let endpoint = world.endpoint_with(&application, |new| new.ordered = true).await;
    let resend = create(&world, &endpoint, all(ResendKind::Missing)).await;
    step(&world, &resend).await;
    // Not even a clock that is set back puts a later step before an earlier one.
    let earlier = world.now().before(s(60));
    let second = world.store().step_resend(resend.id, earlier).await.unwrap();
    assert_eq!(second.resend.state, ResendState::Finished);
    published.push(world.publish_unclaimed(&application).await.id);
    assert_eq!(ids(&deliver(&world, &endpoint).await), published);
}

pub(crate) async fn a_cancelled_resend_queues_nothing_more(world: World) {
    let application = world.application("acme").await;
    for _ in 0..300 {
        world.publish(&application).await;
    }
    let endpoint = world.endpoint(&application).await;
    let resend = create(&world, &endpoint, all(ResendKind::Missing)).await;
    step(&world, &resend).await;
    let cancelled = world.store().cancel_resend(resend.id, world.now()).await.unwrap();
    assert_eq!((cancelled.state, cancelled.sent), (ResendState::Cancelled, 200));
    assert_eq!(step(&world, &resend).await.queued, 0);
    world.expect_ledger(&application, [200, 0, 0, 200, 0]).await;
    assert_eq!(deliver(&world, &endpoint).await.len(), 200, "what was queued stays queued");
    // Another one finds the rest.
    let rest = create(&world, &endpoint, all(ResendKind::Missing)).await;
    assert_eq!(rest.counted, 100);
    assert_eq!(step(&world, &rest).await.resend.state, ResendState::Finished);
    let after = world.store().cancel_resend(rest.id, world.now()).await.unwrap();
    assert_eq!(after.state, ResendState::Finished, "it came to its end before");
}

async fn change(world: &World, endpoint: &Endpoint, state: EndpointState) -> Arc<Endpoint> {
    let changed = Endpoint { state, ..endpoint.clone() };
    let change = EndpointChange { endpoint: changed, from_revision: endpoint.revision };
    world.store().update_endpoint(change, false).await.unwrap().endpoint
}

pub(crate) async fn a_resend_ends_where_its_endpoint_does(world: World) {
    let application = world.application("acme").await;
    for _ in 0..201 {
        world.publish(&application).await;
    }
    let (at, reason) = (world.now(), "because".to_owned());
    let paused = EndpointState::Paused { at, reason: reason.clone() };
    for (state, word) in [(paused, "paused"), (EndpointState::Disabled { at, reason }, "disabled")]
    {
        let endpoint = world.endpoint(&application).await;
        let resend = create(&world, &endpoint, all(ResendKind::Missing)).await;
        assert_eq!(step(&world, &resend).await.queued, 200);
        let stopped = change(&world, &endpoint, state).await;
        let refused = try_create(&world, &stopped, all(ResendKind::Replay)).await;
        expect(refused, ErrorCode::Conflict);
        let failed = step(&world, &resend).await.resend;
        assert_eq!((failed.state, failed.sent), (ResendState::Failed, 200));
        assert_eq!(failed.reason, Some(format!("The endpoint was {word}.")));
        world.ledger(&application).await;
    }
}

pub(crate) async fn resends_go_with_their_endpoint(world: World) {
    let application = world.application("acme").await;
    let gone = world.application("gone").await;
    world.publish(&application).await;
    let store = world.store();
    let mut made = Vec::new();
    for application in [&application, &application, &gone] {
        let endpoint = world.endpoint(application).await;
        let ended = create(&world, &endpoint, all(ResendKind::Missing)).await;
        let ended = step(&world, &ended).await.resend;
        assert_eq!(ended.state, ResendState::Finished);
        world.pass(s(1));
        made.push((ended, create(&world, &endpoint, all(ResendKind::Recover)).await));
    }
    let (stays, of_endpoint, of_application) = (&made[0], &made[1], &made[2]);
    let endpoint = of_endpoint.0.endpoint_id;
    store.delete_endpoint(application.id, endpoint, world.now()).await.unwrap();
    store.delete_application(gone.id, world.now()).await.unwrap();
    for resend in [&of_endpoint.0, &of_endpoint.1, &of_application.0, &of_application.1] {
        expect(store.get_resend(&world.environment, resend.id).await, ErrorCode::NotFound);
        expect(store.step_resend(resend.id, world.now()).await, ErrorCode::NotFound);
    }
    assert_eq!(store.running_resends().await.unwrap(), [stays.1.id]);
    let query = ResendQuery {
        environment: Arc::clone(&world.environment),
        of: ResendsOf::Everybody,
        states: Vec::new(),
        kind: None,
    };
    let left = store.list_resends(query, everything()).await.unwrap();
    assert_eq!(left, [stays.0.clone(), stays.1.clone()], "oldest first");
}

/// What fails waits long for its retry. A resend that went on meanwhile would put everything
/// there is into retries.
pub(crate) async fn a_resend_waits_for_what_keeps_failing(world: World) {
    let application = world.application("acme").await;
    let all_there_is = u64::from(RESEND_PENDING_MAX) + 300;
    for _ in 0..all_there_is / 100 {
        join_all((0..100).map(|_| world.publish(&application))).await;
    }
    let endpoint = world.endpoint(&application).await;
    let resend = create(&world, &endpoint, all(ResendKind::Missing)).await;
    assert_eq!(resend.counted, all_there_is);
    let retry = Next::Retry { at: world.now() + s(3600) };
    let fail = async || {
        let jobs = world.claim(endpoint.id, 10_000).await.jobs;
        world.record(jobs.iter().map(|job| world.failure(job, retry)).collect()).await;
    };
    for sent in (1..=u64::from(RESEND_PENDING_MAX) / 200).map(|steps| steps * 200) {
        let made = step(&world, &resend).await;
        assert_eq!((made.waits, made.resend.sent), (false, sent));
        fail().await;
    }
    for earlier in [0, 7200] {
        let now = world.now().before(s(earlier));
        let waits = world.store().step_resend(resend.id, now).await.unwrap();
        assert_eq!((waits.waits, waits.queued), (true, 0), "nothing is due, but very much waits");
    }
    world.pass(s(3600));
    assert!(step(&world, &resend).await.waits, "all of them are due");
    assert_eq!(deliver(&world, &endpoint).await.len(), 10_000);
    assert_eq!(step(&world, &resend).await.queued, 200);
    assert_eq!(step(&world, &resend).await.resend.state, ResendState::Finished);
    deliver(&world, &endpoint).await;
    world.expect_ledger(&application, [all_there_is, all_there_is, 0, 0, 0]).await;
}

pub(crate) async fn a_broken_resend_can_be_ended(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    world.publish(&application).await;
    let (store, now) = (world.store(), world.now());
    let resend = create(&world, &endpoint, all(ResendKind::Recover)).await;
    store.fail_resend(resend.id, "It is broken.", now).await.unwrap();
    let failed = store.get_resend(&world.environment, resend.id).await.unwrap();
    assert_eq!(
        (failed.state, failed.reason.as_deref()),
        (ResendState::Failed, Some("It is broken."))
    );
    store.fail_resend(resend.id, "It is broken again.", now).await.unwrap();
    assert_eq!(step(&world, &resend).await.resend, failed, "it has ended");
}

pub(crate) async fn an_application_counts_once_at_a_time(world: World) {
    let mut endpoints = Vec::new();
    for name in ["acme", "other"] {
        let application = world.application(name).await;
        world.publish(&application).await;
        endpoints.push(world.endpoint(&application).await);
    }
    for round in 0..3 {
        let (own, other) = (endpoints[0].destination(), endpoints[1].destination());
        let missing = || all(ResendKind::Missing);
        let store = world.store();
        let many = (0..8).map(|_| store.count_resend(own, missing()));
        let (many, theirs) = tokio::join!(join_all(many), store.count_resend(other, missing()));
        assert_eq!(theirs.unwrap(), 1, "others count beside it");
        let (done, refused): (Vec<_>, Vec<_>) = many.into_iter().partition(Result::is_ok);
        assert!(done.iter().all(|count| *count == Ok(1)) && !done.is_empty(), "round {round}");
        for one in refused {
            expect(one, ErrorCode::RateLimited);
        }
    }
}

pub(crate) async fn only_so_many_run_at_a_time(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let first = create(&world, &endpoint, all(ResendKind::Recover)).await;
    expect(try_create(&world, &endpoint, all(ResendKind::Replay)).await, ErrorCode::Conflict);
    for _ in 1..RESENDS_RUNNING_PER_APPLICATION_MAX {
        let endpoint = world.endpoint(&application).await;
        create(&world, &endpoint, all(ResendKind::Recover)).await;
    }
    let one_more = world.endpoint(&application).await;
    let refused = try_create(&world, &one_more, all(ResendKind::Recover)).await;
    expect(refused, ErrorCode::RateLimited);
    let other = world.application("other").await;
    let elsewhere = world.endpoint(&other).await;
    create(&world, &elsewhere, all(ResendKind::Recover)).await;
    let foreign = Endpoint { application_id: other.id, ..(*endpoint).clone() };
    expect(try_create(&world, &foreign, all(ResendKind::Replay)).await, ErrorCode::NotFound);

    assert_eq!(step(&world, &first).await.resend.state, ResendState::Finished);
    create(&world, &one_more, all(ResendKind::Recover)).await;
}

pub(crate) async fn resends_are_listed_for_whom_they_belong_to(world: World) {
    let application = world.application("acme").await;
    let other = world.application("other").await;
    let mut made = Vec::new();
    for application in [&application, &application, &other] {
        world.pass(s(1));
        let endpoint = world.endpoint(application).await;
        made.push(create(&world, &endpoint, all(ResendKind::Recover)).await);
    }
    made[0] = step(&world, &made[0]).await.resend;
    let query = |of, states: &[ResendState], kind| ResendQuery {
        environment: Arc::clone(&world.environment),
        of,
        states: states.to_vec(),
        kind,
    };
    let own = ResendsOf::Application(application.id);
    let replays = Some(ResendKind::Replay);
    for (query, expected) in [
        (query(ResendsOf::Everybody, &[], None), &made[..]),
        (query(own, &[], None), &made[..2]),
        (query(ResendsOf::Endpoint(made[1].endpoint_id), &[], None), &made[1..2]),
        (query(ResendsOf::Everybody, &[ResendState::Finished], None), &made[..1]),
        (query(ResendsOf::Everybody, &[], replays), &[]),
        (ResendQuery { environment: "elsewhere".into(), ..query(own, &[], None) }, &[]),
    ] {
        let listed = world.store().list_resends(query.clone(), everything()).await.unwrap();
        assert_eq!(listed, expected, "{query:?}");
    }
    let page = Page { after: Some(made[2].id), descending: true, limit: 1 };
    let query = query(ResendsOf::Everybody, &[], None);
    assert_eq!(world.store().list_resends(query, page).await.unwrap(), made[1..2]);

    let store = world.store();
    assert_eq!(store.get_resend(&world.environment, made[1].id).await.unwrap(), made[1]);
    expect(store.get_resend(&"elsewhere".into(), made[1].id).await, ErrorCode::NotFound);
    let unknown = world.entropy.id(&world.clock);
    expect(store.get_resend(&world.environment, unknown).await, ErrorCode::NotFound);
    expect(store.cancel_resend(unknown, world.now()).await, ErrorCode::NotFound);
}
