//! What lets people into the pages.

use std::sync::Arc;

use hookwright::domain::{ApplicationId, ErrorCode, Holder, Pass, PassKind};

use super::world::{World, expect, s};

const LINK: [u8; 32] = [1; 32];
const SESSION: [u8; 32] = [2; 32];

fn tenant(world: &World, hash: [u8; 32], kind: PassKind, application: ApplicationId) -> Pass {
    let elsewhere = world.entropy.id(&world.clock);
    let applications =
        vec![(Arc::clone(&world.environment), application), (Arc::from("elsewhere"), elsewhere)];
    let holder = Holder::Tenant { applications, read_only: true };
    Pass { hash, kind, holder, expires_at: world.now() + s(3_600) }
}

pub(crate) async fn a_pass_is_found_by_its_hash_and_kind_until_it_expires(world: World) {
    let store = world.store();
    let link = tenant(&world, LINK, PassKind::Link, world.entropy.id(&world.clock));
    let holder = Holder::Operator { key_hash: [9; 32] };
    let session = Pass { hash: SESSION, kind: PassKind::Session, holder, ..link.clone() };
    for pass in [&link, &session] {
        store.create_pass(pass.clone(), world.now()).await.unwrap();
        let found = store.find_pass(pass.hash, pass.kind, world.now()).await.unwrap();
        assert_eq!(found.as_ref(), Some(pass));
    }
    assert_eq!(store.find_pass(LINK, PassKind::Session, world.now()).await.unwrap(), None);
    assert_eq!(store.find_pass([3; 32], PassKind::Link, world.now()).await.unwrap(), None);
    store.delete_pass(SESSION).await.unwrap();
    assert_eq!(store.find_pass(SESSION, PassKind::Session, world.now()).await.unwrap(), None);
    world.pass(s(3_599));
    assert!(store.find_pass(LINK, PassKind::Link, world.now()).await.unwrap().is_some());
    world.pass(s(1));
    assert_eq!(store.find_pass(LINK, PassKind::Link, world.now()).await.unwrap(), None);
    expect(store.redeem_link(LINK, SESSION, world.now()).await, ErrorCode::NotFound);
}

pub(crate) async fn a_link_lets_in_once(world: World) {
    let store = world.store();
    let link = tenant(&world, LINK, PassKind::Link, world.entropy.id(&world.clock));
    store.create_pass(link.clone(), world.now()).await.unwrap();
    let now = world.now();
    let (first, second) =
        tokio::join!(store.redeem_link(LINK, SESSION, now), store.redeem_link(LINK, [3; 32], now));
    let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
    let session = won.unwrap();
    assert_eq!(session.kind, PassKind::Session);
    assert_eq!((&session.holder, session.expires_at), (&link.holder, link.expires_at));
    expect(lost, ErrorCode::NotFound);
    let found = store.find_pass(session.hash, PassKind::Session, now).await.unwrap();
    assert_eq!(found, Some(session));
    assert_eq!(store.find_pass(LINK, PassKind::Link, now).await.unwrap(), None);
}

pub(crate) async fn a_portal_is_closed_for_its_application_alone(world: World) {
    let store = world.store();
    let (acme, globex) = (world.application("acme").await, world.application("globex").await);
    let passes = [
        tenant(&world, [1; 32], PassKind::Link, acme.id),
        tenant(&world, [2; 32], PassKind::Session, acme.id),
        tenant(&world, [3; 32], PassKind::Token, acme.id),
        tenant(&world, [4; 32], PassKind::Session, globex.id),
    ];
    for pass in &passes {
        store.create_pass(pass.clone(), world.now()).await.unwrap();
    }
    let there = async |pass: &Pass| {
        store.find_pass(pass.hash, pass.kind, world.now()).await.unwrap().is_some()
    };
    for pass in &passes {
        assert!(there(pass).await);
    }
    store.delete_passes_of(acme.id).await.unwrap();
    for pass in &passes[..3] {
        assert!(!there(pass).await);
    }
    assert!(there(&passes[3]).await);

    // Whoever gets its uid next is somebody else.
    store.delete_application(globex.id, world.now()).await.unwrap();
    assert!(!there(&passes[3]).await);
}
