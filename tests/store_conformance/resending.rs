//! Resending by hand.

use hookwright::domain::{DeliveryState, Endpoint, EndpointState, ErrorCode, Next, Trigger};
use hookwright::store::{EndpointChange, Job};

use super::world::{LEASE, World, expect, s};

async fn resend(world: &World, job: &Job) -> Job {
    let (application, message) = (job.message.application.id, job.message.id);
    let (lease, now) = (world.lease(), world.now());
    let resent = world.store().resend(application, message, job.endpoint, lease, now).await;
    let (job, endpoint) = resent.unwrap();
    assert_eq!(job.endpoint, endpoint.id);
    job
}

pub(crate) async fn a_finished_delivery_starts_a_new_round(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    world.record(vec![world.failure(&job, Next::Exhausted)]).await;
    world.expect_ledger(&application, [1, 0, 1, 0, 0]).await;

    world.pass(s(100));
    let second = resend(&world, &job).await;
    assert_eq!((second.attempts, second.failed_in_round), (1, 0));
    assert_eq!((second.trigger, second.lease), (Trigger::Manual, world.lease()));
    assert_eq!(second.message.payload, job.message.payload);
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
    assert!(world.claim(endpoint.id, 10).await.jobs.is_empty(), "it is leased");

    // Should this attempt get lost, the next claim still knows that a person asked for it.
    world.pass(LEASE);
    let claimed = world.claim(endpoint.id, 10).await.jobs.remove(0);
    assert_eq!((claimed.attempts, claimed.failed_in_round), (1, 0));
    assert_eq!(claimed.trigger, Trigger::Manual);
    world.record(vec![world.retry(&claimed)]).await;
    let retried = world.claim(endpoint.id, 10).await.jobs.remove(0);
    assert_eq!((retried.attempts, retried.failed_in_round), (2, 1));
    assert_eq!(retried.trigger, Trigger::Scheduled);
    world.record(vec![world.success(&retried)]).await;
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;

    // What succeeded can be sent again, too.
    let third = resend(&world, &job).await;
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
    world.record(vec![world.success(&third)]).await;
    assert_eq!(world.standing(&job).await, (DeliveryState::Succeeded, 4, None));
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}

pub(crate) async fn a_pending_delivery_becomes_due_at_once(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let at = world.now() + s(3_600);
    world.record(vec![world.failure(&job, Next::Retry { at })]).await;
    let resent = resend(&world, &job).await;
    assert_eq!((resent.attempts, resent.failed_in_round), (1, 0), "a new round");
    assert_eq!(resent.trigger, Trigger::Manual);
    assert_eq!(world.standing(&job).await.2, Some(world.now()));
    assert_eq!(world.claim(endpoint.id, 10).await.next_due, Some(world.now() + LEASE));
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
}

pub(crate) async fn an_endpoint_that_never_took_the_message_gets_it(world: World) {
    let application = world.application("acme").await;
    let message = world.publish(&application).await.message;
    let late = world.endpoint(&application).await;
    let (lease, now) = (world.lease(), world.now());
    let resent = world.store().resend(application.id, message.id, late.id, lease, now).await;
    let (job, endpoint) = resent.unwrap();
    assert_eq!(*endpoint, *late);
    assert_eq!((job.attempts, job.failed_in_round), (0, 0));
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
    world.record(vec![world.success(&job)]).await;
    assert_eq!(world.standing(&job).await, (DeliveryState::Succeeded, 1, None));
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}

pub(crate) async fn what_can_not_be_resent_is_refused(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let store = world.store();
    let resend = async || {
        let (lease, now) = (world.lease(), world.now());
        store.resend(application.id, job.message.id, endpoint.id, lease, now).await
    };
    let error = expect(resend().await, ErrorCode::Conflict);
    assert!(error.detail.contains("under way"), "{error}");
    world.record(vec![world.success(&job)]).await;

    let mut revision = endpoint.revision;
    let (at, reason) = (world.now(), "because".to_owned());
    for (state, word) in [
        (EndpointState::Paused { at, reason: reason.clone() }, "paused"),
        (EndpointState::Disabled { at, reason }, "disabled"),
    ] {
        let changed = Endpoint { state, ..(*endpoint).clone() };
        let change = EndpointChange { endpoint: changed, from_revision: revision };
        revision = store.update_endpoint(change, false).await.unwrap().endpoint.revision;
        let error = expect(resend().await, ErrorCode::Conflict);
        assert!(error.detail.contains(word), "{error}");
    }
    let (lease, now) = (world.lease(), world.now());
    let nothing = world.entropy.id(&world.clock);
    let unknown = store.resend(application.id, nothing, endpoint.id, lease, now).await;
    expect(unknown, ErrorCode::NotFound);
    store.delete_endpoint(application.id, endpoint.id, world.now()).await.unwrap();
    expect(resend().await, ErrorCode::NotFound);
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}
