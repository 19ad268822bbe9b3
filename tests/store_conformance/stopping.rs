//! What waits is discarded in steps; what happens to an endpoint is written down, and told.

use hookwright::domain::{
    Actor, Application, DeliveryState, EndpointState, ErrorCode, HISTORY_PER_ENDPOINT_MAX,
    HistoryEntry, HistoryEvent, Next, OPERATIONS_UID, PausePolicy, Reference, operations_of,
};
use hookwright::store::{Discard, EndpointChange, Page};
use serde_json::{Value, json};

use super::world::{World, answered, everything, expect, s};

async fn step(world: &World, endpoint: &hookwright::domain::Endpoint, discard: Discard) -> Discard {
    let (store, now) = (world.store(), world.now());
    store.discard_pending(endpoint.application_id, endpoint.id, discard, now).await.unwrap()
}

pub(crate) async fn a_discard_takes_what_waited_when_it_began_and_nothing_later(world: World) {
    const BACKLOG: u64 = 600;
    let application = world.application("acme").await;
    let other = world.application("other").await;
    let foreign = world.endpoint(&other).await;
    let endpoint = world.endpoint(&application).await;
    let under_way = world.claimed_job(&application).await;
    let sent_again = world.claimed_job(&application).await;
    world.record(vec![world.failure(&sent_again, Next::Retry { at: world.now() + s(9) })]).await;
    for _ in 2..BACKLOG {
        world.publish_unclaimed(&application).await;
    }
    world.publish_unclaimed(&other).await;

    let mut discard = step(&world, &endpoint, Discard::new(world.now())).await;
    assert!(!discard.done && (1..BACKLOG).contains(&discard.discarded), "{discard:?}");
    let line = world.ledger(&application).await;
    assert_eq!((line.pending, line.discarded), (BACKLOG - discard.discarded, discard.discarded));
    // Meanwhile a message comes, an attempt ends, and a person asks for another one.
    world.pass(s(1));
    let later = world.publish_unclaimed(&application).await;
    world.record(vec![world.retry(&under_way)]).await;
    let (lease, now, message) = (world.lease(), world.now(), sent_again.message.id);
    let resend = world.store().resend(application.id, message, endpoint.id, lease, now);
    let (resent, _) = resend.await.unwrap();
    while !discard.done {
        discard = step(&world, &endpoint, discard).await;
        world.ledger(&application).await;
    }
    assert_eq!(discard.discarded, BACKLOG - 1);
    assert_eq!(world.standing(&under_way).await.0, DeliveryState::Discarded);
    assert_eq!(world.standing(&resent).await.0, DeliveryState::Pending);
    world.expect_ledger(&application, [BACKLOG + 1, 0, 0, 2, BACKLOG - 1]).await;
    let left = world.claim(endpoint.id, 10).await.jobs;
    assert_eq!(super::world::ids(&left), [later.id]);
    assert_eq!(world.claim(foreign.id, 10).await.jobs.len(), 1);

    let elsewhere = world.store().discard_pending(
        application.id,
        foreign.id,
        Discard::new(world.now()),
        world.now(),
    );
    expect(elsewhere.await, ErrorCode::NotFound);
}

async fn history(world: &World, application: &Application, name: &str) -> Vec<HistoryEntry> {
    let reference = Reference::new(name);
    world.store().list_history(application.id, &reference, everything()).await.unwrap()
}

pub(crate) async fn the_history_keeps_its_order_and_its_length(world: World) {
    let application = world.application("acme").await;
    let mut endpoint = world.endpoint_with(&application, |e| e.uid = Some("hook".into())).await;
    let neighbour = world.endpoint(&application).await;
    // The clock stands still, and is even set back in between.
    for number in 0..HISTORY_PER_ENDPOINT_MAX + 20 {
        let mut changed = (*endpoint).clone();
        changed.name = format!("name {number}");
        changed.description = if number % 2 == 0 { "even".into() } else { "odd".into() };
        changed.updated_at = if number == 50 { world.now().before(s(60)) } else { world.now() };
        let change = EndpointChange { from_revision: changed.revision, endpoint: changed };
        endpoint = world.store().update_endpoint(change, false).await.unwrap().endpoint;
    }
    let (id, now) = (endpoint.id, world.now());
    let paused = EndpointState::Disabled { at: now, reason: "enough".into() };
    let change = EndpointChange {
        from_revision: endpoint.revision,
        endpoint: hookwright::domain::Endpoint { state: paused, ..(*endpoint).clone() },
    };
    world.store().update_endpoint(change, false).await.unwrap();

    let entries = history(&world, &application, "hook").await;
    assert_eq!(entries.len(), HISTORY_PER_ENDPOINT_MAX as usize);
    assert!(entries.is_sorted_by_key(|entry| entry.id));
    let last = entries.last().unwrap();
    assert_eq!((last.event, last.by), (HistoryEvent::Disabled, Actor::Api));
    assert_eq!(last.reason.as_deref(), Some("enough"));
    assert!(entries[..entries.len() - 1].iter().all(|entry| entry.event == HistoryEvent::Changed));
    assert_eq!(history(&world, &application, &neighbour.id.to_string()).await.len(), 1);

    let newest = Page { after: None, descending: true, limit: 1 };
    let (store, reference) = (world.store(), Reference::new(id.to_string()));
    let page = store.list_history(application.id, &reference, newest).await.unwrap();
    assert_eq!((page.len(), &page[0]), (1, last));
    // Behind its deletion it is found by its id, by its owner.
    store.delete_endpoint(application.id, id, now).await.unwrap();
    let entries = history(&world, &application, &id.to_string()).await;
    assert_eq!(entries.last().unwrap().event, HistoryEvent::Deleted);
    let by_uid = store.list_history(application.id, &Reference::new("hook"), everything()).await;
    expect(by_uid, ErrorCode::NotFound);
    let other = world.application("other").await;
    expect(store.list_history(other.id, &reference, everything()).await, ErrorCode::NotFound);
}

pub(crate) async fn enabling_clears_the_health_and_says_that_it_resumed(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let fail = async || {
        let mut recorded = world.retry(&world.claim(endpoint.id, 1).await.jobs[0]);
        recorded.pause = PausePolicy::Consecutive { failures: 2 };
        world.record(vec![recorded]).await
    };
    world.publish_unclaimed(&application).await;
    fail().await;
    let paused = fail().await.remove(0);
    let store = world.store();
    let enabled = store.enable_endpoint(application.id, endpoint.id, world.now()).await.unwrap();
    assert!(enabled.resumed && enabled.endpoint.state.delivers());
    assert_eq!(enabled.endpoint.revision, paused.revision + 1);
    let again = store.enable_endpoint(application.id, endpoint.id, world.now()).await.unwrap();
    assert!(!again.resumed);
    assert_eq!(again.endpoint, enabled.endpoint);
    assert!(fail().await.is_empty(), "old failures don't count any more");
    let other = world.application("other").await;
    let foreign = store.enable_endpoint(other.id, endpoint.id, world.now()).await;
    expect(foreign, ErrorCode::NotFound);
}

pub(crate) async fn who_listens_is_told_with_the_outcome_itself(mut world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let silent = world.claimed_job(&application).await;
    world.record(vec![world.failure(&silent, Next::Exhausted)]).await;

    let mut holder = world.new_application(OPERATIONS_UID);
    holder.environment = operations_of("production");
    let holder = world.store().create_application(holder).await.unwrap();
    let listener = world.endpoint(&holder).await;
    let job = world.claimed_job(&application).await;
    let mut recorded = world.attempt(&job, answered(500), Next::Exhausted);
    recorded.pause = PausePolicy::Consecutive { failures: 2 };
    let changes = world.store().record(vec![recorded].into()).await.unwrap();
    assert_eq!(changes.endpoints[0].id, endpoint.id);
    assert_eq!(changes.due, [listener.destination(), listener.destination()]);
    world.expect_ledger(&holder, [2, 0, 0, 2, 0]).await;

    // Not even a crash right after it loses what is to be told.
    world.reopen();
    world.store().recover().await.unwrap();
    let backlog = world.store().backlog().await.unwrap();
    assert_eq!(backlog, [(listener.destination(), world.now())]);
    let told = world.claim(listener.id, 10).await.jobs;
    let mut types: Vec<&str> = told.iter().map(|job| job.message.event_type.as_str()).collect();
    types.sort_unstable();
    assert_eq!(types, ["endpoint.disabled", "message.attempt.exhausted"]);
    let payload = told.iter().map(|job| serde_json::from_str::<Value>(&job.message.payload));
    let ids = payload.map(|payload| payload.unwrap()["data"]["endpointId"].clone());
    assert!(ids.into_iter().all(|id| id == json!(endpoint.id.to_string())));

    // Of the listener's own failures nobody is told.
    let changes = world.store().record(vec![world.failure(&told[0], Next::Exhausted)].into()).await;
    assert!(changes.unwrap().due.is_empty());
    world.expect_ledger(&holder, [2, 0, 1, 1, 0]).await;
}
