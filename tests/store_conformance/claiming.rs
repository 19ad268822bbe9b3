//! Claims: what is due, for whom, in which order, and for how long.

use std::time::Duration;

use hookwright::domain::{DeliveryState, Endpoint, EndpointState, Next, Subscription, Trigger};
use hookwright::store::{EndpointChange, Lease};

use super::world::{LEASE, World, ids, s};

pub(crate) async fn what_is_due_is_claimed_oldest_first(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let mut published = Vec::new();
    for _ in 0..5 {
        published.push(world.publish_unclaimed(&application).await.id);
        world.pass(s(1));
    }
    let first = world.claim(endpoint.id, 2).await;
    assert_eq!(ids(&first.jobs), published[..2]);
    assert_eq!(first.endpoint.unwrap().id, endpoint.id);
    assert!(first.jobs.iter().all(|job| job.lease == world.lease()));

    // One is put off behind the others, one is put off to the very front.
    let start = world.now().before(s(60));
    let recorded = vec![
        world.failure(&first.jobs[0], Next::Retry { at: world.now() }),
        world.failure(&first.jobs[1], Next::Retry { at: start }),
    ];
    world.record(recorded).await;
    let rest = world.claim(endpoint.id, 10).await;
    let expected = [published[1], published[2], published[3], published[4], published[0]];
    assert_eq!(ids(&rest.jobs), expected);
    let standing: Vec<_> =
        rest.jobs.iter().map(|job| (job.attempts, job.failed_in_round, job.trigger)).collect();
    let (new, failed) = ((0, 0, Trigger::Scheduled), (1, 1, Trigger::Scheduled));
    assert_eq!(standing, [failed, new, new, new, failed]);
    assert_eq!(rest.jobs[0].message.application.id, application.id);
}

pub(crate) async fn nothing_is_claimed_twice_until_its_lease_runs_out(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let waiting = world.publish_unclaimed(&application).await;
    assert_eq!(ids(&world.claim(endpoint.id, 10).await.jobs), [waiting.id]);
    assert!(world.claim(endpoint.id, 10).await.jobs.is_empty());
    world.pass(LEASE - Duration::from_micros(1));
    assert!(world.claim(endpoint.id, 10).await.jobs.is_empty());
    world.pass(Duration::from_micros(1));
    let mut again = ids(&world.claim(endpoint.id, 10).await.jobs);
    again.sort_unstable();
    let mut expected = [job.message.id, waiting.id];
    expected.sort_unstable();
    assert_eq!(again, expected);
    assert!(world.claim(endpoint.id, 10).await.jobs.is_empty());
    assert_eq!(world.standing(&job).await.0, DeliveryState::Pending);
}

pub(crate) async fn the_next_due_time_is_the_earliest_of_what_is_left(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let next_due = async |limit| world.claim(endpoint.id, limit).await.next_due;
    assert_eq!(next_due(1).await, None);

    let start = world.now();
    let job = world.claimed_job(&application).await;
    assert_eq!(next_due(1).await, Some(start + LEASE), "when the lease runs out");
    world.record(vec![world.failure(&job, Next::Retry { at: start + s(300) })]).await;
    assert_eq!(next_due(1).await, Some(start + s(300)));
    world.pass(s(10));
    world.publish_unclaimed(&application).await;
    world.publish_unclaimed(&application).await;
    // One is claimed now; the other could be, too.
    let due = next_due(1).await.unwrap();
    assert!(due <= world.now(), "{due}");
    // The other one is claimed now. The first one's lease ends before the retry is due.
    assert_eq!(next_due(1).await, Some(start + s(10) + LEASE));
    world.pass(s(290));
    assert_eq!(world.claim(endpoint.id, 10).await.next_due, None, "all three are claimed");
}

pub(crate) async fn only_live_enabled_endpoints_are_claimed_for(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    world.publish_unclaimed(&application).await;
    let mut revision = endpoint.revision;
    let at = world.now();
    let stopped = [
        EndpointState::Paused { at, reason: "it fails".to_owned() },
        EndpointState::Disabled { at, reason: "switched off".to_owned() },
    ];
    for state in stopped {
        let endpoint = Endpoint { state: state.clone(), ..(*endpoint).clone() };
        let change = EndpointChange { endpoint, from_revision: revision };
        revision = world.store().update_endpoint(change, false).await.unwrap().endpoint.revision;
        let claimed = world.claim(endpoint_id(&world, &application).await, 10).await;
        assert!(claimed.jobs.is_empty());
        assert_eq!(claimed.next_due, None);
        assert_eq!(claimed.endpoint.unwrap().state, state);
    }
    let enabled = Endpoint { state: EndpointState::Enabled, ..(*endpoint).clone() };
    let change = EndpointChange { endpoint: enabled, from_revision: revision };
    world.store().update_endpoint(change, false).await.unwrap();
    assert_eq!(world.claim(endpoint.id, 10).await.jobs.len(), 1);
    let nobody = world.claim(world.entropy.id(&world.clock), 10).await;
    assert!(nobody.endpoint.is_none() && nobody.jobs.is_empty() && nobody.next_due.is_none());
}

async fn endpoint_id(
    world: &World,
    application: &hookwright::domain::Application,
) -> hookwright::domain::EndpointId {
    world.endpoints(application).await[0].id
}

pub(crate) async fn a_released_claim_is_due_as_it_was(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let due = world.now();
    world.pass(s(5));
    world.store().release(vec![(job.delivery(), job.lease)]).await.unwrap();
    assert_eq!(world.standing(&job).await, (DeliveryState::Pending, 0, Some(due)));
    assert_eq!(ids(&world.claim(endpoint.id, 1).await.jobs), [job.message.id]);
    // A finished one stays finished.
    world.record(vec![world.success(&job)]).await;
    world.store().release(vec![(job.delivery(), job.lease)]).await.unwrap();
    assert_eq!(world.standing(&job).await.0, DeliveryState::Succeeded);
}

pub(crate) async fn a_node_releases_only_its_own_claims(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let other = world.entropy.id(&world.clock);
    world
        .store()
        .release(vec![(job.delivery(), Lease { node: other, ..job.lease })])
        .await
        .unwrap();
    let lease = Lease { node: other, until: world.now() + LEASE };
    let claimed =
        world.store().claim(endpoint.id, 1, usize::MAX, lease, world.now()).await.unwrap();
    assert!(claimed.jobs.is_empty());
    world.pass(LEASE);
    let lease = Lease { node: other, until: world.now() + LEASE };
    let claimed =
        world.store().claim(endpoint.id, 1, usize::MAX, lease, world.now()).await.unwrap();
    assert_eq!(claimed.jobs[0].lease, lease);
}

pub(crate) async fn recovery_voids_all_leases_and_later_ones_count_again(mut world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let waiting = world.publish_unclaimed(&application).await.id;
    assert_eq!(ids(&world.claim(endpoint.id, 1).await.jobs), [waiting]);
    let start = world.now();
    world.reopen();
    assert_eq!(world.claim(endpoint.id, 10).await.next_due, Some(start + LEASE));
    world.store().recover().await.unwrap();
    assert_eq!(world.store().backlog().await.unwrap(), [(endpoint.destination(), start)]);
    let mut claimed = ids(&world.claim(endpoint.id, 10).await.jobs);
    claimed.sort_unstable();
    let mut expected = [job.message.id, waiting];
    expected.sort_unstable();
    assert_eq!(claimed, expected);
    assert!(world.claim(endpoint.id, 10).await.jobs.is_empty());
    world.claimed_job(&application).await;
    assert!(world.claim(endpoint.id, 10).await.jobs.is_empty());
}

pub(crate) async fn the_backlog_names_each_deliverable_endpoint_once(world: World) {
    let application = world.application("acme").await;
    assert!(world.store().backlog().await.unwrap().is_empty());
    let endpoint = world.endpoint(&application).await;
    let paused = EndpointState::Paused { at: world.now(), reason: "it fails".to_owned() };
    world.endpoint_with(&application, |e| e.state = paused).await;
    let idle = Subscription::new(Some(vec!["never".to_owned()]), None);
    world.endpoint_with(&application, |e| e.subscription = idle).await;
    let start = world.now();
    world.publish_unclaimed(&application).await;
    world.pass(s(1));
    world.publish_unclaimed(&application).await;
    assert_eq!(world.store().backlog().await.unwrap(), [(endpoint.destination(), start)]);
    world.claim(endpoint.id, 10).await;
    assert_eq!(
        world.store().backlog().await.unwrap(),
        [(endpoint.destination(), world.now() + LEASE)]
    );
    let deleted = world.store().delete_endpoint(application.id, endpoint.id, world.now()).await;
    deleted.unwrap();
    assert!(world.store().backlog().await.unwrap().is_empty());
}

pub(crate) async fn everything_is_still_there_after_a_restart(mut world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let done = world.claimed_job(&application).await;
    world.record(vec![world.success(&done)]).await;
    let retried = world.claimed_job(&application).await;
    let at = world.now() + s(30);
    world.record(vec![world.failure(&retried, Next::Retry { at })]).await;
    let fresh = world.publish_unclaimed(&application).await;
    let before = world.ledger(&application).await;

    world.reopen();
    assert_eq!(world.ledger(&application).await, before);
    assert_eq!(world.standing(&done).await, (DeliveryState::Succeeded, 1, None));
    assert_eq!(world.standing(&retried).await, (DeliveryState::Pending, 1, Some(at)));
    assert_eq!(*world.endpoints(&application).await[0], *endpoint);
    assert_eq!(world.attempts_of(&application, done.message.id).await, 1);
    let claimed = world.claim(endpoint.id, 10).await;
    assert_eq!((ids(&claimed.jobs), claimed.next_due), (vec![fresh.id], Some(at)));
}

pub(crate) async fn a_claim_stops_at_so_many_bytes(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    for _ in 0..4 {
        world.publish_unclaimed(&application).await;
        world.pass(s(1));
    }
    let one = world.claim_bytes(endpoint.id, 10, 0).await;
    assert_eq!(one.jobs.len(), 1, "one at least, or nothing would ever be claimed");
    assert_eq!(one.next_due, Some(world.now()));
    let bytes = one.jobs[0].message.payload.len();
    let two = world.claim_bytes(endpoint.id, 10, bytes + 1).await;
    assert_eq!(two.jobs.len(), 2);
    let rest = world.claim(endpoint.id, 10).await;
    assert_eq!(rest.jobs.len(), 1);
}
