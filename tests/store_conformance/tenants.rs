//! Keys, applications, event types.

use std::sync::Arc;

use hookwright::domain::{
    ApiKey, Application, Endpoint, ErrorCode, EventType, Metadata, Reference, Scope, SecretText,
    SigningSecret, Timestamp,
};
use hookwright::store::EndpointChange;

use super::world::{World, everything, expect, s};

fn key(world: &World, name: &str, scope: Scope) -> ApiKey {
    ApiKey {
        id: world.entropy.id(&world.clock),
        name: name.to_owned(),
        scope,
        hash: world.entropy.bytes(),
        created_at: world.now(),
        revoked_at: None,
    }
}

pub(crate) async fn keys_are_found_by_their_hash_until_they_are_revoked(world: World) {
    let application = world.application("acme").await;
    let environment = Arc::clone(&world.environment);
    let scopes = [
        Scope::Admin,
        Scope::Environment(Arc::clone(&environment)),
        Scope::Application { environment, application: application.id },
    ];
    let store = world.store();
    let mut keys = Vec::new();
    for scope in scopes {
        let key = key(&world, "backend", scope);
        store.create_key(key.clone()).await.unwrap();
        assert_eq!(store.find_key(key.hash).await.unwrap(), Some(key.clone()));
        keys.push(key);
    }
    let mut listed = store.list_keys().await.unwrap();
    listed.sort_by_key(|key| key.id);
    keys.sort_by_key(|key| key.id);
    assert_eq!(listed, keys);
    assert_eq!(store.find_key([7; 32]).await.unwrap(), None);

    let twin = ApiKey { id: world.entropy.id(&world.clock), ..keys[0].clone() };
    expect(store.create_key(twin).await, ErrorCode::Conflict);

    let revoked_at = world.now();
    let revoked = store.revoke_key(keys[0].id, revoked_at).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(revoked_at));
    assert_eq!(store.find_key(keys[0].hash).await.unwrap(), None);
    world.pass(s(1));
    let again = store.revoke_key(keys[0].id, world.now()).await.unwrap();
    assert_eq!(again.revoked_at, Some(revoked_at), "the first time counts");
    let unknown = store.revoke_key(world.entropy.id(&world.clock), world.now()).await;
    expect(unknown, ErrorCode::NotFound);
}

pub(crate) async fn an_application_is_found_by_id_and_by_uid(world: World) {
    let written = world.new_application("acme");
    world.store().create_application(written.clone()).await.unwrap();
    for reference in [written.id.to_string(), "acme".to_owned()] {
        let reference = Reference::new(reference);
        let read = world.store().get_application(&world.environment, &reference).await.unwrap();
        assert_eq!(*read, written);
    }
    let nobody = Reference::new("nobody");
    let missing = world.store().get_application(&world.environment, &nobody).await;
    expect(missing, ErrorCode::NotFound);

    // Somebody may use a text as uid that has the form of an id.
    let odd = world.entropy.id::<hookwright::domain::ApplicationKind>(&world.clock).to_string();
    let other = world.application(&odd).await;
    let read = world.store().get_application(&world.environment, &Reference::new(&odd)).await;
    assert_eq!(read.unwrap().id, other.id);
    let accepted = world.publish_with(&other, |m| m.application = Reference::new(&odd)).await;
    assert_eq!(accepted.message.application.id, other.id);
}

pub(crate) async fn uids_are_unique_among_live_applications_of_an_environment(world: World) {
    let first = world.application("acme").await;
    let twin = world.new_application("acme");
    expect(world.store().create_application(twin.clone()).await, ErrorCode::Conflict);
    world.application("").await;
    world.application("").await;

    let other_environment = Application { environment: "development".into(), ..twin.clone() };
    world.store().create_application(other_environment).await.unwrap();

    let other = world.application("other").await;
    let renamed = Application { uid: Some("acme".to_owned()), ..(*other).clone() };
    expect(world.store().update_application(renamed).await, ErrorCode::Conflict);

    world.store().delete_application(first.id, world.now()).await.unwrap();
    let successor = world.application("acme").await;
    let accepted = world.publish_with(&successor, |m| m.application = Reference::new("acme"));
    assert_eq!(accepted.await.message.application.id, successor.id);
}

pub(crate) async fn an_update_replaces_uid_name_and_metadata(world: World) {
    let before = world.application("acme").await;
    // So that whatever remembers applications remembers this one.
    world.publish_with(&before, |m| m.application = Reference::new("acme")).await;
    world.pass(s(1));
    let changed = Application {
        uid: Some("acme-2".to_owned()),
        name: "Acme, renamed".to_owned(),
        metadata: Metadata::new(),
        updated_at: world.now(),
        ..(*before).clone()
    };
    let returned = world.store().update_application(changed.clone()).await.unwrap();
    assert_eq!(*returned, changed);

    let mut message = world.new_message(&changed);
    message.application = Reference::new("acme");
    expect(world.try_accept(message.clone()).await, ErrorCode::NotFound);
    message.application = Reference::new("acme-2");
    let accepted = world.try_accept(message).await.unwrap();
    assert_eq!(*accepted.message.application, changed);

    expect(
        world.store().update_application(world.new_application("nobody")).await,
        ErrorCode::NotFound,
    );
}

pub(crate) async fn other_environments_see_nothing(world: World) {
    let application = world.application("acme").await;
    let development: Arc<str> = "development".into();
    let store = world.store();
    for reference in [application.id.to_string(), "acme".to_owned()] {
        let reference = Reference::new(reference);
        expect(store.get_application(&development, &reference).await, ErrorCode::NotFound);
        let mut message = world.new_message(&application);
        message.application = reference;
        // Also once the application was published to and may be remembered.
        world.try_accept(message.clone()).await.unwrap();
        message.environment = Arc::clone(&development);
        message.id = world.entropy.id(&world.clock);
        expect(world.try_accept(message).await, ErrorCode::NotFound);
    }
    let listed = store.list_applications(&development, everything()).await.unwrap();
    assert!(listed.is_empty());
    let moved = Application { environment: Arc::clone(&development), ..(*application).clone() };
    expect(store.update_application(moved).await, ErrorCode::NotFound);
    let mut endpoint = world.new_endpoint(&application);
    endpoint.environment = development;
    expect(store.create_endpoint(endpoint, false, 10).await, ErrorCode::NotFound);
}

pub(crate) async fn deleting_an_application_deletes_its_endpoints_and_discards_what_was_pending(
    world: World,
) {
    let application = world.application("acme").await;
    let mut endpoints =
        [world.endpoint(&application).await.id, world.endpoint(&application).await.id];
    endpoints.sort_unstable();
    let accepted = world.publish(&application).await;
    let (job, _) = &accepted.claimed[0];
    world.record(vec![world.success(job)]).await;

    let store = world.store();
    let mut deleted = store.delete_application(application.id, world.now()).await.unwrap();
    deleted.sort_unstable();
    assert_eq!(deleted, endpoints);
    world.expect_ledger(&application, [2, 1, 0, 0, 1]).await;

    let reference = Reference::new("acme");
    expect(store.get_application(&world.environment, &reference).await, ErrorCode::NotFound);
    let mut message = world.new_message(&application);
    expect(world.try_accept(message.clone()).await, ErrorCode::NotFound);
    message.application = reference;
    expect(world.try_accept(message).await, ErrorCode::NotFound);
    expect(store.delete_application(application.id, world.now()).await, ErrorCode::NotFound);
    expect(store.list_endpoints(application.id, everything()).await, ErrorCode::NotFound);
    let reference = Reference::new(endpoints[0].to_string());
    expect(store.get_endpoint(application.id, &reference).await, ErrorCode::NotFound);
    let endpoint = world.new_endpoint(&application);
    expect(store.create_endpoint(endpoint, false, 10).await, ErrorCode::NotFound);
    assert!(store.list_applications(&world.environment, everything()).await.unwrap().is_empty());
    assert!(world.claim(endpoints[0], 10).await.endpoint.is_none());
}

pub(crate) async fn event_types_are_kept_by_environment(world: World) {
    let (store, here) = (world.store(), &world.environment);
    let event_type = EventType {
        name: "invoice.paid".to_owned(),
        group: Some("billing".to_owned()),
        title: Some("Invoice paid".to_owned()),
        description: "Sent when an invoice is paid.".to_owned(),
        schema: Some(r#"{"type": "object"}"#.to_owned()),
        example: Some(r#"{"amount": 1.10}"#.to_owned()),
        archived: false,
        from_contract: false,
        created_at: world.now(),
        updated_at: world.now(),
    };
    store.put_event_type(here, event_type.clone(), false).await.unwrap();
    let again = store.put_event_type(here, event_type.clone(), false).await;
    expect(again, ErrorCode::Conflict);
    let read = store.get_event_type(here, "invoice.paid").await.unwrap();
    assert_eq!(read.as_ref(), Some(&event_type));

    world.pass(s(1));
    let changed = EventType {
        group: None,
        archived: true,
        created_at: world.now(),
        updated_at: world.now(),
        ..event_type.clone()
    };
    store.put_event_type(here, changed.clone(), true).await.unwrap();
    let kept = EventType { created_at: event_type.created_at, ..changed };
    assert_eq!(store.list_event_types(here).await.unwrap(), [kept]);

    let elsewhere: Arc<str> = "development".into();
    assert!(store.list_event_types(&elsewhere).await.unwrap().is_empty());
    expect(store.delete_event_type(&elsewhere, "invoice.paid").await, ErrorCode::NotFound);
    store.delete_event_type(here, "invoice.paid").await.unwrap();
    assert_eq!(store.get_event_type(here, "invoice.paid").await.unwrap(), None);
}

fn secret(text: &str, expires_at: Option<Timestamp>) -> SigningSecret {
    SigningSecret { text: SecretText::new(text), expires_at }
}

pub(crate) async fn endpoints_without_secrets_of_their_own_share_their_applications(
    mut world: World,
) {
    let application = world.application("acme").await;
    let neighbour = world.application("neighbour").await;
    let own = world.endpoint(&application).await;
    let bare = Endpoint { secrets: Vec::new(), ..world.new_endpoint(&application) };
    let early = world.store().create_endpoint(bare, false, 10).await.unwrap();
    world.endpoint(&neighbour).await;
    let theirs = world.endpoints(&neighbour).await;
    assert_eq!(world.store().application_secrets(application.id).await.unwrap(), []);

    // From now on all of them sign with it, also the one that had its own.
    let first = vec![secret("first", None)];
    let store = world.store();
    let replace = |were: &[SigningSecret], secrets: &[SigningSecret]| {
        store.replace_application_secrets(application.id, were.to_vec(), secrets.to_vec())
    };
    let changed = replace(&[], &first).await.unwrap();
    let mut ids: Vec<_> = changed.iter().map(|one| (one.id, one.revision, &one.secrets)).collect();
    let mut both = [(own.id, own.revision + 1, &first), (early.id, early.revision + 1, &first)];
    // Made at one moment, so either may have the smaller id.
    ids.sort_by_key(|one| one.0);
    both.sort_by_key(|one| one.0);
    assert_eq!(ids, both);
    let bare = Endpoint { secrets: Vec::new(), ..world.new_endpoint(&application) };
    let late = store.create_endpoint(bare, false, 10).await.unwrap();
    assert_eq!(late.secrets, first);
    let accepted = world.publish(&application).await;
    assert!(accepted.claimed.iter().all(|(_, endpoint)| endpoint.secrets == first));

    // A change of an endpoint leaves it sharing.
    let described = Endpoint { description: "new".to_owned(), ..(*late).clone() };
    let change = EndpointChange { from_revision: described.revision, endpoint: described };
    store.update_endpoint(change, false).await.unwrap();
    let second = vec![secret("second", None), secret("first", Some(world.now() + s(60)))];
    expect(replace(&[], &second).await.map(drop), ErrorCode::Conflict);
    assert_eq!(replace(&first, &second).await.unwrap().len(), 3);
    world.reopen();
    for endpoint in world.endpoints(&application).await {
        assert_eq!(endpoint.secrets, second);
    }
    assert_eq!(world.endpoints(&neighbour).await, theirs);
    assert_eq!(world.store().application_secrets(application.id).await.unwrap(), second);

    // One that brings its own keeps it, and none means none.
    let mine = Endpoint { secrets: vec![secret("mine", None)], ..world.new_endpoint(&application) };
    let mine = world.store().create_endpoint(mine, false, 10).await.unwrap();
    let store = world.store();
    let read = store.get_endpoint(application.id, &Reference::new(mine.id.to_string())).await;
    assert_eq!(read.unwrap().secrets, mine.secrets);
    store.replace_application_secrets(application.id, second, Vec::new()).await.unwrap();
    assert!(world.endpoints(&application).await.iter().all(|one| one.secrets.is_empty()));
    store.delete_application(application.id, world.now()).await.unwrap();
    expect(store.application_secrets(application.id).await, ErrorCode::NotFound);
    let gone = store.replace_application_secrets(application.id, Vec::new(), first).await;
    expect(gone.map(drop), ErrorCode::NotFound);
}
