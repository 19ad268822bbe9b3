//! Endpoints: what is kept of them, who may see them, and what their deletion does.

use hookwright::domain::{
    Auth, DeliveryState, Endpoint, EndpointState, ErrorCode, Metadata, Method, PausePolicy,
    Reference, SecretText, SigningSecret, Subscription, Transport,
};
use hookwright::store::EndpointChange;

use super::world::{World, everything, expect, s};

/// Another one for each of the endpoints that are written.
fn subscription(uid: &str) -> Subscription {
    let one = |name: &str| Some(vec![name.to_owned()]);
    match uid {
        "none" => Subscription::All,
        "basic" => Subscription::new(None, one("contact")),
        _ => Subscription::new(one("contact.created"), one("room")),
    }
}

pub(crate) async fn an_endpoint_reads_back_as_written(mut world: World) {
    let application = world.application("acme").await;
    let at = world.now();
    let variants: [(&str, Auth, EndpointState); 3] = [
        ("none", Auth::None, EndpointState::Enabled),
        (
            "basic",
            Auth::Basic { token: SecretText::new("Basic \"dXNlcg==\"") },
            EndpointState::Paused { at, reason: "4 failed attempts in a row".to_owned() },
        ),
        (
            "header",
            Auth::Header { name: "X-Key".to_owned(), value: SecretText::new("käy") },
            EndpointState::Disabled { at, reason: "switched off".to_owned() },
        ),
    ];
    let mut written = Vec::new();
    for (uid, auth, state) in variants {
        let mut endpoint = world.new_endpoint(&application);
        endpoint.uid = Some(uid.to_owned());
        endpoint.description = "Where it goes".to_owned();
        endpoint.method = Method::Patch;
        endpoint.auth = auth;
        endpoint.headers = vec![("X-Team".to_owned(), SecretText::new("red"))];
        endpoint.subscription = subscription(uid);
        endpoint.channels = Some(Vec::new());
        endpoint.metadata = Metadata::from([("k".to_owned(), "v".to_owned())]);
        endpoint.state = state;
        endpoint.secrets.push(SigningSecret {
            text: SecretText::new("whsec_old"),
            expires_at: Some(world.now() + s(60)),
        });
        let returned = world.store().create_endpoint(endpoint.clone(), true, 10).await;
        // Their names are the same.
        if uid != "none" {
            expect(returned, ErrorCode::Conflict);
            endpoint.name = uid.to_owned();
            world.store().create_endpoint(endpoint.clone(), true, 10).await.unwrap();
        } else {
            assert_eq!(*returned.unwrap(), endpoint);
        }
        written.push(endpoint);
    }
    let bare = Endpoint { secrets: Vec::new(), ..world.new_endpoint(&application) };
    world.store().create_endpoint(bare.clone(), false, 10).await.unwrap();
    written.push(bare);
    written.sort_by_key(|endpoint| endpoint.id);

    for _ in 0..2 {
        let read = world.endpoints(&application).await;
        assert!(read.iter().map(|endpoint| &**endpoint).eq(&written), "{read:?}");
        for endpoint in &written {
            let id = Reference::new(endpoint.id.to_string());
            assert_eq!(*world.store().get_endpoint(application.id, &id).await.unwrap(), *endpoint);
            let Some(uid) = &endpoint.uid else { continue };
            let uid = Reference::new(uid);
            assert_eq!(*world.store().get_endpoint(application.id, &uid).await.unwrap(), *endpoint);
        }
        world.reopen();
    }
}

pub(crate) async fn uids_and_names_are_unique_where_they_must_be(world: World) {
    let (acme, other) = (world.application("acme").await, world.application("other").await);
    let store = world.store();
    let named = |application, name: &str, uid: Option<&str>| Endpoint {
        name: name.to_owned(),
        uid: uid.map(str::to_owned),
        ..world.new_endpoint(application)
    };
    let first = store.create_endpoint(named(&acme, "A", Some("a")), true, 10).await.unwrap();
    expect(store.create_endpoint(named(&acme, "A", None), true, 10).await, ErrorCode::Conflict);
    expect(
        store.create_endpoint(named(&acme, "B", Some("a")), true, 10).await,
        ErrorCode::Conflict,
    );
    store.create_endpoint(named(&other, "A", Some("a")), true, 10).await.unwrap();
    let second = store.create_endpoint(named(&acme, "B", Some("b")), true, 10).await.unwrap();
    store.create_endpoint(named(&acme, "A", None), false, 10).await.unwrap();

    let change = |endpoint: Endpoint| EndpointChange { from_revision: endpoint.revision, endpoint };
    let taken_name = Endpoint { name: "A".to_owned(), ..(*second).clone() };
    expect(store.update_endpoint(change(taken_name), true).await, ErrorCode::Conflict);
    let taken_uid = Endpoint { uid: Some("a".to_owned()), ..(*second).clone() };
    expect(store.update_endpoint(change(taken_uid), true).await, ErrorCode::Conflict);
    // Its own name and uid are no conflict, and a failed change leaves no trace.
    store.update_endpoint(change((*second).clone()), true).await.unwrap();

    let twin = Endpoint { revision: 99, ..(*first).clone() };
    expect(store.create_endpoint(twin, false, 10).await, ErrorCode::Conflict);
    store.delete_endpoint(acme.id, first.id, world.now()).await.unwrap();
    store.create_endpoint(named(&acme, "C", Some("a")), true, 10).await.unwrap();
}

pub(crate) async fn an_application_has_no_more_endpoints_than_the_limit(world: World) {
    let application = world.application("acme").await;
    let store = world.store();
    let first = store.create_endpoint(world.new_endpoint(&application), false, 2).await.unwrap();
    store.create_endpoint(world.new_endpoint(&application), false, 2).await.unwrap();
    let third = store.create_endpoint(world.new_endpoint(&application), false, 2).await;
    let error = expect(third, ErrorCode::Conflict);
    assert!(error.detail.contains("2 endpoints"), "{error}");
    store.delete_endpoint(application.id, first.id, world.now()).await.unwrap();
    store.create_endpoint(world.new_endpoint(&application), false, 2).await.unwrap();
}

pub(crate) async fn a_change_from_an_older_revision_is_a_conflict(world: World) {
    let application = world.application("acme").await;
    let before = world.endpoint(&application).await;
    world.publish(&application).await;
    world.pass(s(1));
    let changed = Endpoint {
        url: "wss://example.com/new".to_owned(),
        transport: Transport::Websocket,
        secrets: Vec::new(),
        subscription: Subscription::new(Some(vec!["room.solved".to_owned()]), None),
        created_at: world.now(),
        updated_at: world.now(),
        ..(*before).clone()
    };
    let change = EndpointChange { endpoint: changed.clone(), from_revision: before.revision };
    let after = world.store().update_endpoint(change.clone(), false).await.unwrap().endpoint;
    let expected =
        Endpoint { revision: before.revision + 1, created_at: before.created_at, ..changed };
    assert_eq!(*after, expected);
    expect(world.store().update_endpoint(change, false).await, ErrorCode::Conflict);
    assert_eq!(*world.endpoints(&application).await[0], expected);

    // Publishing follows the change.
    assert!(world.publish(&application).await.claimed.is_empty());
    let accepted = world.publish_with(&application, |m| m.event_type = "room.solved".to_owned());
    assert_eq!(*accepted.await.claimed[0].1, expected);
}

pub(crate) async fn other_applications_see_nothing(world: World) {
    let (acme, other) = (world.application("acme").await, world.application("other").await);
    let endpoint = world.endpoint_with(&acme, |e| e.uid = Some("hook".to_owned())).await;
    let job = world.claimed_job(&acme).await;
    let recorded = world.success(&job);
    let attempt = recorded.attempt.id;
    world.record(vec![recorded]).await;

    let (store, message) = (world.store(), job.message.id);
    for reference in [endpoint.id.to_string(), "hook".to_owned()] {
        let read = store.get_endpoint(other.id, &Reference::new(reference)).await;
        expect(read, ErrorCode::NotFound);
    }
    let stolen = Endpoint { application_id: other.id, ..(*endpoint).clone() };
    let change = EndpointChange { endpoint: stolen, from_revision: endpoint.revision };
    expect(store.update_endpoint(change, false).await, ErrorCode::NotFound);
    let deleted = store.delete_endpoint(other.id, endpoint.id, world.now()).await;
    expect(deleted, ErrorCode::NotFound);
    let read = store.get_message(other.id, &Reference::new(message.to_string())).await;
    expect(read, ErrorCode::NotFound);
    expect(store.list_deliveries(other.id, message).await, ErrorCode::NotFound);
    expect(store.get_attempt(other.id, message, attempt).await, ErrorCode::NotFound);
    let resent = store.resend(other.id, message, endpoint.id, world.lease(), world.now()).await;
    expect(resent, ErrorCode::NotFound);
    assert!(store.list_endpoints(other.id, everything()).await.unwrap().is_empty());
    let all = Default::default();
    assert!(store.list_messages(other.id, all, everything()).await.unwrap().is_empty());
    for filter in [
        hookwright::store::AttemptFilter { endpoint: Some(endpoint.id), ..Default::default() },
        hookwright::store::AttemptFilter { message: Some(message), ..Default::default() },
    ] {
        let listed = store.list_attempts(other.id, filter, everything()).await;
        expect(listed, ErrorCode::NotFound);
    }
    let all = Default::default();
    assert!(store.list_attempts(other.id, all, everything()).await.unwrap().is_empty());
    assert_eq!(world.endpoints(&acme).await.len(), 1);
}

pub(crate) async fn deleting_an_endpoint_discards_what_was_pending(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let done = world.claimed_job(&application).await;
    world.record(vec![world.success(&done)]).await;
    let under_way = world.claimed_job(&application).await;

    let store = world.store();
    store.delete_endpoint(application.id, endpoint.id, world.now()).await.unwrap();
    world.expect_ledger(&application, [2, 1, 0, 0, 1]).await;
    assert_eq!(world.standing(&done).await.0, DeliveryState::Succeeded);
    assert_eq!(world.standing(&under_way).await, (DeliveryState::Discarded, 0, None));

    let reference = Reference::new(endpoint.id.to_string());
    expect(store.get_endpoint(application.id, &reference).await, ErrorCode::NotFound);
    let again = store.delete_endpoint(application.id, endpoint.id, world.now()).await;
    expect(again, ErrorCode::NotFound);
    let rows = store.list_deliveries(application.id, done.message.id).await.unwrap();
    assert_eq!(rows[0].1.id, endpoint.id, "deleted endpoints are still listed");

    let claimed = world.claim(endpoint.id, 10).await;
    assert!(claimed.endpoint.is_none() && claimed.jobs.is_empty());
    let accepted = world.publish(&application).await;
    assert!(accepted.claimed.is_empty() && accepted.unclaimed.is_empty());

    // The attempt that was under way still shows in the list.
    world.record(vec![world.success(&under_way)]).await;
    assert_eq!(world.standing(&under_way).await.0, DeliveryState::Discarded);
    assert_eq!(world.attempts_of(&application, under_way.message.id).await, 1);
    world.expect_ledger(&application, [2, 1, 0, 0, 1]).await;
}

pub(crate) async fn a_deletion_with_a_large_backlog_counts_at_once(mut world: World) {
    const BACKLOG: u64 = 1_200;
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let kept = world.endpoint_with(&application, |e| e.channels = Some(Vec::new())).await;
    let publishing = (0..BACKLOG).map(|_| world.publish(&application));
    let accepted = futures_util::future::join_all(publishing).await;
    let last = accepted.last().unwrap().claimed[0].0.clone();

    world.store().delete_endpoint(application.id, endpoint.id, world.now()).await.unwrap();
    world.expect_ledger(&application, [BACKLOG, 0, 0, 0, BACKLOG]).await;
    for job in accepted.iter().map(|accepted| &accepted.claimed[0].0) {
        assert_eq!(world.standing(job).await.0, DeliveryState::Discarded);
    }
    world.record(vec![world.success(&last)]).await;
    // Not even a restart in the middle of it brings anything back.
    world.reopen();
    world.store().recover().await.unwrap();
    assert!(world.store().backlog().await.unwrap().is_empty());
    for _ in 0..10 {
        world.store().ping().await.unwrap();
        world.expect_ledger(&application, [BACKLOG, 0, 0, 0, BACKLOG]).await;
    }
    assert_eq!(world.endpoints(&application).await[0].id, kept.id);
}

pub(crate) async fn enabling_a_paused_endpoint_clears_its_health(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let fail = async |pause| {
        let mut recorded = world.retry(&world.claim(endpoint.id, 1).await.jobs[0]);
        recorded.pause = pause;
        world.record(vec![recorded]).await
    };
    world.publish_unclaimed(&application).await;
    let policy = PausePolicy::Consecutive { failures: 2 };
    assert!(fail(policy).await.is_empty());
    let paused = fail(policy).await.remove(0);
    assert!(matches!(paused.state, EndpointState::Paused { .. }), "{:?}", paused.state);
    assert!(world.claim(endpoint.id, 1).await.jobs.is_empty());

    let enabled = Endpoint { state: EndpointState::Enabled, ..(*paused).clone() };
    let change = EndpointChange { endpoint: enabled, from_revision: paused.revision };
    world.store().update_endpoint(change, false).await.unwrap();
    assert!(fail(policy).await.is_empty(), "old failures don't count any more");
    assert_eq!(fail(policy).await.len(), 1);
}
