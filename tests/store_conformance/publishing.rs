//! Accepting messages, alone and in crowds.

use std::collections::HashSet;
use std::sync::Arc;

use hookwright::domain::{
    Audience, Endpoint, EndpointId, EndpointState, ErrorCode, Reference, Subscription,
};
use hookwright::store::{Room, Store};

use super::world::{World, everything, expect, s};

pub(crate) async fn a_message_makes_a_delivery_for_each_endpoint_that_takes_it(world: World) {
    let application = world.application("acme").await;
    let all = world.endpoint(&application).await;
    let wanted = world
        .endpoint_with(&application, |e| e.subscription = chosen(&["contact.created"], &[]))
        .await;
    world.endpoint_with(&application, |e| e.subscription = chosen(&["room.solved"], &[])).await;
    let on_channel =
        world.endpoint_with(&application, |e| e.channels = Some(vec!["vip".to_owned()])).await;
    world.endpoint_with(&application, |e| e.channels = Some(vec!["other".to_owned()])).await;
    let off = EndpointState::Disabled { at: world.now(), reason: "switched off".to_owned() };
    world.endpoint_with(&application, |e| e.state = off).await;
    world.endpoint(&*world.application("other").await).await;

    let accepted = world
        .publish_with(&application, |m| {
            m.channels = vec!["vip".to_owned()];
            m.tags = vec!["t1".to_owned(), "t2".to_owned()];
            m.event_id = Some("evt-1".to_owned());
            m.event_group = Some("contact".to_owned());
            m.test = true;
        })
        .await;
    let mut expected = [all.id, wanted.id, on_channel.id];
    expected.sort_unstable();
    let mut claimed: Vec<_> = accepted.claimed.iter().map(|(job, _)| job.endpoint).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, expected);
    assert!(accepted.unclaimed.is_empty());
    for (job, endpoint) in &accepted.claimed {
        assert_eq!((job.endpoint, job.attempts, job.failed_in_round), (endpoint.id, 0, 0));
        assert_eq!(job.lease, world.lease());
        assert!(Arc::ptr_eq(&job.message, &accepted.message));
    }
    let rows = world.store().list_deliveries(application.id, accepted.message.id).await.unwrap();
    assert_eq!(rows.iter().map(|(row, _)| row.id.endpoint).collect::<Vec<_>>(), expected);
    world.expect_ledger(&application, [3, 0, 0, 3, 0]).await;

    for reference in [accepted.message.id.to_string(), "evt-1".to_owned()] {
        let reference = Reference::new(reference);
        let read = world.store().get_message(application.id, &reference).await.unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", accepted.message));
    }
}

fn chosen(types: &[&str], groups: &[&str]) -> Subscription {
    let owned = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    Subscription::Chosen { types: owned(types), groups: owned(groups) }
}

pub(crate) async fn a_group_is_taken_with_whatever_is_published_in_it(mut world: World) {
    let application = world.application("acme").await;
    let subscribed = async |subscription: Subscription| {
        world.endpoint_with(&application, |e| e.subscription = subscription).await.id
    };
    let contacts = subscribed(chosen(&[], &["contact"])).await;
    let both = subscribed(chosen(&["room.solved"], &["contact", "message"])).await;
    let one = subscribed(chosen(&["contact.created"], &[])).await;
    let none = subscribed(chosen(&[], &[])).await;
    world.reopen();
    world.store().recover().await.unwrap();
    for (event_type, group, takers) in [
        ("contact.created", Some("contact"), vec![contacts, both, one]),
        ("contact.merged", Some("contact"), vec![contacts, both]),
        ("room.solved", Some("room"), vec![both]),
        ("contact", None, vec![]),
    ] {
        let accepted = world
            .publish_with(&application, |m| {
                m.event_type = event_type.to_owned();
                m.event_group = group.map(str::to_owned);
            })
            .await;
        let claimed: HashSet<_> = accepted.claimed.iter().map(|(job, _)| job.endpoint).collect();
        assert_eq!(claimed, takers.iter().copied().collect(), "{event_type}");
        assert_eq!(accepted.deliveries as usize, takers.len());
        assert!(!claimed.contains(&none));
    }
}

pub(crate) async fn a_message_for_one_endpoint_goes_nowhere_else(world: World) {
    let application = world.application("acme").await;
    let target = world.endpoint_with(&application, |e| e.subscription = chosen(&["a"], &[])).await;
    world.endpoint(&application).await;
    let paused = EndpointState::Paused { at: world.now(), reason: "too many".to_owned() };
    let paused = world.endpoint_with(&application, |e| e.state = paused).await;
    let foreign = world.endpoint(&*world.application("other").await).await;

    let only = |endpoint: EndpointId| {
        let mut message = world.new_message(&application);
        message.audience = Audience::Only(endpoint);
        message.test = true;
        message
    };
    let accepted = world.try_accept(only(target.id)).await.unwrap();
    assert_eq!((accepted.deliveries, accepted.message.test), (1, true));
    assert_eq!(accepted.claimed[0].0.endpoint, target.id);
    expect(world.try_accept(only(paused.id)).await, ErrorCode::Conflict);
    expect(world.try_accept(only(foreign.id)).await, ErrorCode::NotFound);
    expect(world.try_accept(only(world.entropy.id(&world.clock))).await, ErrorCode::NotFound);
    // What was refused left nothing behind.
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
    let listed = world.store().list_messages(application.id, Default::default(), everything());
    assert_eq!(listed.await.unwrap().len(), 1);
}

pub(crate) async fn a_message_for_active_endpoints_does_not_wait_at_the_others(world: World) {
    let application = world.application("acme").await;
    let active = world.endpoint(&application).await;
    let full = world.endpoint(&application).await;
    let paused = EndpointState::Paused { at: world.now(), reason: "too many".to_owned() };
    world.endpoint_with(&application, |e| e.state = paused).await;
    world.endpoint_with(&application, |e| e.subscription = chosen(&["other"], &[])).await;
    world.lanes.0.lock().unwrap().insert(full.id);
    let accepted =
        world.publish_with(&application, |m| m.audience = Audience::ActiveSubscribers).await;
    assert_eq!(accepted.deliveries, 2);
    assert_eq!(accepted.claimed[0].0.endpoint, active.id);
    assert_eq!(accepted.unclaimed, [full.id]);
    world.expect_ledger(&application, [2, 0, 0, 2, 0]).await;
}

pub(crate) async fn without_room_or_while_paused_a_delivery_waits_in_the_store(world: World) {
    let application = world.application("acme").await;
    let full = world.endpoint(&application).await;
    let paused = EndpointState::Paused { at: world.now(), reason: "too many".to_owned() };
    let paused = world.endpoint_with(&application, |e| e.state = paused).await;
    let free = world.endpoint(&application).await;
    world.lanes.0.lock().unwrap().insert(full.id);

    let accepted = world.publish(&application).await;
    assert_eq!(accepted.claimed.len(), 1);
    assert_eq!(accepted.claimed[0].0.endpoint, free.id);
    // A paused endpoint's delivery waits for somebody to enable it, not for room.
    assert_eq!(accepted.unclaimed, [full.id]);
    world.expect_ledger(&application, [3, 0, 0, 3, 0]).await;
    // What waits can be claimed at once, what is claimed can't, what is paused can't.
    assert_eq!(world.claim(full.id, 10).await.jobs.len(), 1);
    assert!(world.claim(free.id, 10).await.jobs.is_empty());
    assert!(world.claim(paused.id, 10).await.jobs.is_empty());
}

pub(crate) async fn the_payload_keeps_its_bytes(mut world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let payloads = [
        r#"{"a":1.10,"b":12345678901234567890}"#,
        "{ \"a\" : 1 ,\n\t\"a\": 1e400 }",
        r#"{"z":"\u00e4\/","y":"ä🦀","x":"a\u0000b"}"#,
        "null",
    ];
    let mut messages = Vec::new();
    for payload in payloads {
        let accepted = world.publish_with(&application, |m| m.payload = payload.into()).await;
        assert_eq!(&*accepted.message.payload, payload);
        messages.push(accepted.message.id);
        world.pass(s(1));
    }
    world.reopen();
    world.store().recover().await.unwrap();
    for (id, payload) in messages.iter().zip(payloads) {
        let reference = Reference::new(id.to_string());
        let read = world.store().get_message(application.id, &reference).await.unwrap();
        assert_eq!(&*read.payload, payload);
    }
    let claimed = world.claim(endpoint.id, 10).await;
    assert!(claimed.jobs.iter().map(|job| &*job.message.payload).eq(payloads));
}

pub(crate) async fn an_event_id_is_taken_once_per_application(world: World) {
    let (acme, other) = (world.application("acme").await, world.application("other").await);
    world.endpoint(&acme).await;
    let with_id = |application, id: &str| {
        let mut message = world.new_message(application);
        message.event_id = Some(id.to_owned());
        message
    };
    world.try_accept(with_id(&acme, "evt-1")).await.unwrap();
    expect(world.try_accept(with_id(&acme, "evt-1")).await, ErrorCode::Conflict);
    world.try_accept(with_id(&other, "evt-1")).await.unwrap();
    world.try_accept(with_id(&acme, "evt-2")).await.unwrap();
    let message = with_id(&acme, "evt-3");
    let accepted = world.try_accept(message.clone()).await.unwrap();
    // An id is the store's business: what comes again under the same one is another message.
    let same_id = hookwright::store::NewMessage { event_id: None, ..message };
    let again = world.try_accept(same_id).await.unwrap();
    assert!(again.message.id > accepted.message.id);
    world.expect_ledger(&acme, [4, 0, 0, 4, 0]).await;
}

pub(crate) async fn a_key_for_one_application_publishes_for_no_other(world: World) {
    let (acme, other) = (world.application("acme").await, world.application("other").await);
    let mut message = world.new_message(&acme);
    message.only_application = Some(other.id);
    expect(world.try_accept(message.clone()).await, ErrorCode::NotFound);
    message.only_application = Some(acme.id);
    world.try_accept(message).await.unwrap();
}

pub(crate) async fn a_conflict_among_many_fails_alone(world: World) {
    const CALLERS: usize = 200;
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    world.publish_with(&application, |m| m.event_id = Some("taken".to_owned())).await;
    let calls = (0..CALLERS).map(|caller| {
        let mut message = world.new_message(&application);
        match caller {
            50 => message.event_id = Some("taken".to_owned()),
            // One of these two comes first, whichever it is.
            100 | 101 => message.event_id = Some("twice".to_owned()),
            150 => message.application = Reference::new("nobody"),
            _ => {}
        }
        world.try_accept(message)
    });
    let answers = futures_util::future::join_all(calls).await;
    let failed: Vec<usize> = (0..CALLERS).filter(|&caller| answers[caller].is_err()).collect();
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(failed.contains(&50) && failed.contains(&150));
    assert_eq!(answers[50].as_ref().unwrap_err().code, ErrorCode::Conflict);
    assert_eq!(answers[150].as_ref().unwrap_err().code, ErrorCode::NotFound);
    let twice = answers[100].as_ref().err().or(answers[101].as_ref().err()).unwrap();
    assert_eq!(twice.code, ErrorCode::Conflict);

    let stored =
        world.store().list_messages(application.id, Default::default(), everything()).await;
    let stored: HashSet<_> = stored.unwrap().iter().map(|message| message.id).collect();
    let accepted = answers.iter().flatten().map(|accepted| accepted.message.id);
    assert!(accepted.clone().all(|id| stored.contains(&id)));
    assert_eq!(stored.len(), accepted.count() + 1);
    world.expect_ledger(&application, [198, 0, 0, 198, 0]).await;
    assert_eq!(world.claim(endpoint.id, 1_000).await.jobs.len(), 0, "all of them are leased");
}

pub(crate) async fn callers_that_go_away_do_no_harm(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let mut calls = Vec::new();
    for _ in 0..100 {
        let (store, lanes) = (Arc::clone(world.store()), Arc::clone(&world.lanes));
        let (message, lease, now) = (world.new_message(&application), world.lease(), world.now());
        let call = async move { store.accept(message, lease, lanes, now).await };
        calls.push(tokio::spawn(call));
    }
    // Dropped while queued, while running, or when done: whatever comes first.
    for (place, call) in calls.iter().enumerate() {
        if place % 2 == 0 {
            call.abort();
        }
    }
    let mut answered = 0;
    for call in calls {
        match call.await {
            Ok(accepted) => {
                accepted.unwrap();
                answered += 1;
            }
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
    }
    let line = world.ledger(&application).await;
    assert!(line.accepted >= answered && line.accepted <= 100, "{line:?}");
    // What was accepted for nobody goes out once its lease has run out.
    world.pass(super::world::LEASE);
    let claimed = world.claim(endpoint.id, 1_000).await.jobs.len();
    assert_eq!(u64::try_from(claimed).unwrap(), line.accepted);
}

pub(crate) async fn ten_threads_publish_and_record_at_the_same_time(world: World) {
    const THREADS: u64 = 10;
    const MESSAGES: u64 = 100;
    let application = world.application("acme").await;
    world.endpoint(&application).await;
    let world = &world;
    let application = &application;
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    for number in 0..MESSAGES {
                        let job = world.claimed_job(application).await;
                        if number % 2 == 0 {
                            world.record(vec![world.success(&job)]).await;
                        }
                        if number % 10 == 0 {
                            assert!(world.ledger(application).await.adds_up());
                        }
                    }
                });
            });
        }
    });
    let all = THREADS * MESSAGES;
    world.expect_ledger(application, [all, all / 2, 0, all / 2, 0]).await;
}

struct PanickingRoom;

impl Room for PanickingRoom {
    fn has_room(&self, _: &Endpoint) -> bool {
        panic!("a defect elsewhere");
    }
}

pub(crate) async fn a_room_that_panics_fails_its_own_message_and_loses_no_other(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let store: &Arc<dyn Store> = world.store();
    let calls = (0..50).map(|caller| {
        let room: Arc<dyn Room> = match caller {
            25 => Arc::new(PanickingRoom),
            _ => Arc::clone(&world.lanes) as Arc<dyn Room>,
        };
        store.accept(world.new_message(&application), world.lease(), room, world.now())
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers[25].as_ref().unwrap_err().code, ErrorCode::Internal);
    for error in answers.iter().enumerate().filter(|(caller, _)| *caller != 25) {
        if let Err(error) = error.1 {
            // It shared a transaction with the defect, and was told to try again.
            assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        }
    }
    let accepted = u64::try_from(answers.iter().flatten().count()).unwrap();
    world.expect_ledger(&application, [accepted, 0, 0, accepted, 0]).await;
    world.claimed_job(&application).await;
    world.pass(super::world::LEASE);
    let claimed = world.claim(endpoint.id, 1_000).await.jobs.len();
    assert_eq!(u64::try_from(claimed).unwrap(), accepted + 1);
}

/// Of a publisher who was told that it took too long.
struct GivenUp;

impl Room for GivenUp {
    fn has_room(&self, _: &Endpoint) -> bool {
        true
    }

    fn takes_turn(&self) -> bool {
        false
    }
}

pub(crate) async fn what_its_publisher_gave_up_is_not_stored(world: World) {
    let application = world.application("acme").await;
    world.endpoint(&application).await;
    let message = world.new_message(&application);
    let id = message.id;
    let given_up = world.store().accept(message, world.lease(), Arc::new(GivenUp), world.now());
    assert_eq!(given_up.await.unwrap_err().code, ErrorCode::Unavailable);
    let reference = Reference::new(id.to_string());
    let found = world.store().get_message(application.id, &reference).await;
    assert_eq!(found.unwrap_err().code, ErrorCode::NotFound);
    world.expect_ledger(&application, [0, 0, 0, 0, 0]).await;
}
