//! Whose outcome counts where a delivery was claimed a second time.

use hookwright::domain::{DeliveryState, Next};
use hookwright::store::{Discard, Job};

use super::world::{LEASE, World, s};

/// A delivery that was claimed, and claimed again when that had run out.
async fn claimed_twice(world: &World) -> (Job, Job) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let old = world.claimed_job(&application).await;
    world.pass(LEASE + s(1));
    let new = world.claim(endpoint.id, 1).await.jobs.remove(0);
    assert_ne!(old.lease, new.lease);
    (old, new)
}

async fn is_claimed(world: &World, job: &Job) -> bool {
    let claimed = world.claim(job.endpoint, 1).await;
    claimed.jobs.is_empty() && claimed.next_due == Some(job.lease.until)
}

pub(crate) async fn a_late_failure_leaves_the_newer_claim_alone(world: World) {
    let (old, new) = claimed_twice(&world).await;
    let application = old.message.application.clone();
    world.record(vec![world.failure(&old, Next::Exhausted)]).await;
    assert_eq!(world.standing(&old).await.0, DeliveryState::Pending);
    let at = world.now() + s(30);
    world.record(vec![world.failure(&old, Next::Retry { at })]).await;
    assert!(is_claimed(&world, &new).await);
    assert_eq!(world.attempts_of(&application, old.message.id).await, 2, "they are recorded");
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
    world.record(vec![world.success(&new)]).await;
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}

pub(crate) async fn a_late_release_leaves_the_newer_claim_alone(world: World) {
    let (old, new) = claimed_twice(&world).await;
    world.store().release(vec![(old.delivery(), old.lease)]).await.unwrap();
    assert!(is_claimed(&world, &new).await);
    world.store().release(vec![(new.delivery(), new.lease)]).await.unwrap();
    assert!(!is_claimed(&world, &new).await);
}

pub(crate) async fn a_late_success_of_the_same_turn_counts(world: World) {
    let (old, new) = claimed_twice(&world).await;
    let application = old.message.application.clone();
    world.record(vec![world.success(&old)]).await;
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
    world.record(vec![world.failure(&new, Next::Exhausted)]).await;
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}

pub(crate) async fn what_was_resent_is_not_moved_by_the_attempt_before(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let old = world.claimed_job(&application).await;
    let (first, second) = (world.success(&old), world.success(&old));
    let failed = world.failure(&old, Next::Exhausted);
    let mut discard = Discard::new(world.now());
    while !discard.done {
        let (store, now) = (world.store(), world.now());
        discard = store.discard_pending(application.id, endpoint.id, discard, now).await.unwrap();
    }
    world.expect_ledger(&application, [1, 0, 0, 0, 1]).await;
    world.pass(s(1));
    let (lease, now) = (world.lease(), world.now());
    let resent = world.store().resend(application.id, old.message.id, endpoint.id, lease, now);
    let (new, _) = resent.await.unwrap();

    world.record(vec![first, failed]).await;
    assert!(is_claimed(&world, &new).await);
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
    // Once the new attempt has failed, it is good to know that the old one was received.
    let at = world.now() + s(30);
    world.record(vec![world.failure(&new, Next::Retry { at })]).await;
    world.record(vec![second]).await;
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}
