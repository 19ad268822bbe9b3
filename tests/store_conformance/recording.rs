//! What becomes of deliveries and of their endpoints when attempts are recorded.

use std::sync::Arc;
use std::time::Duration;

use hookwright::domain::{DeliveryState, Endpoint, EndpointId, EndpointState, Next, PausePolicy};
use hookwright::store::Recorded;

use super::world::{World, answered, ids, s};

pub(crate) async fn each_outcome_moves_its_delivery_on(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let at = world.now() + s(30);
    let outcomes = [
        (Next::Succeeded, (DeliveryState::Succeeded, 1, None)),
        (Next::Retry { at }, (DeliveryState::Pending, 1, Some(at))),
        (Next::Exhausted, (DeliveryState::Failed, 1, None)),
    ];
    let mut jobs = Vec::new();
    for _ in &outcomes {
        jobs.push(world.claimed_job(&application).await);
    }
    let recorded = jobs.iter().zip(outcomes).map(|(job, (next, _))| world.failure(job, next));
    let changed = world.record(recorded.collect()).await;
    assert!(changed.is_empty(), "{changed:?}");
    for (job, (_, expected)) in jobs.iter().zip(outcomes) {
        assert_eq!(world.standing(job).await, expected);
    }
    world.expect_ledger(&application, [3, 1, 1, 1, 0]).await;

    // The retry is due when it was put off to, whatever its lease was.
    assert_eq!(world.claim(endpoint.id, 10).await.next_due, Some(at));
    world.pass(s(30));
    let again = world.claim(endpoint.id, 10).await.jobs.remove(0);
    assert_eq!((again.attempts, again.failed_in_round), (1, 1));
    world.record(vec![world.success(&again)]).await;
    assert_eq!(world.standing(&again).await, (DeliveryState::Succeeded, 2, None));
    world.expect_ledger(&application, [3, 2, 1, 0, 0]).await;
}

pub(crate) async fn an_attempt_is_recorded_once(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    let mut once = world.retry(&job);
    once.pause = PausePolicy::Consecutive { failures: 3 };
    // Twice in one call, and in another one.
    assert!(world.record(vec![once.clone(), once.clone()]).await.is_empty());
    assert!(world.record(vec![once.clone()]).await.is_empty());
    assert_eq!(world.attempts_of(&application, job.message.id).await, 1);
    assert_eq!(world.standing(&job).await.1, 1);

    // It did not count towards the pause either: this is the second failure, not the fourth.
    let job = world.claim(endpoint.id, 1).await.jobs.remove(0);
    let mut twice = world.retry(&job);
    twice.pause = once.pause;
    assert!(world.record(vec![twice]).await.is_empty());
    world.expect_ledger(&application, [1, 0, 0, 1, 0]).await;
}

pub(crate) async fn late_outcomes_change_nothing_but_the_list_of_attempts(world: World) {
    let application = world.application("acme").await;
    world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    // The same delivery was attempted twice because its lease ran out.
    let (first, mut late) = (world.success(&job), world.failure(&job, Next::Exhausted));
    late.pause = PausePolicy::Consecutive { failures: 1 };
    world.record(vec![first]).await;
    assert!(world.record(vec![late]).await.is_empty());
    let mut gone = world.attempt(&job, answered(410), Next::Gone);
    gone.attempt.number = 3;
    assert!(world.record(vec![gone]).await.is_empty());
    assert_eq!(world.standing(&job).await, (DeliveryState::Succeeded, 1, None));
    assert_eq!(world.attempts_of(&application, job.message.id).await, 3);
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}

/// Attempts at one delivery of an endpoint, one call after the other.
struct Series<'a> {
    world: &'a World,
    endpoint: EndpointId,
    pause: PausePolicy,
}

impl Series<'_> {
    async fn attempt(&self, succeeds: bool) -> Vec<Arc<Endpoint>> {
        let job = self.world.claim(self.endpoint, 1).await.jobs.remove(0);
        let mut recorded = self.world.retry(&job);
        recorded.pause = self.pause;
        if succeeds {
            // The delivery goes on all the same, so that there is one to go on with.
            recorded.attempt.outcome = answered(200);
            recorded.attempt.succeeded = true;
        }
        self.world.record(vec![recorded]).await
    }

    async fn expect_pause(&self, reason: &str) {
        let changed = self.attempt(false).await;
        let at = self.world.now();
        let state = EndpointState::Paused { at, reason: reason.to_owned() };
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].state, state);
        assert!(self.world.claim(self.endpoint, 1).await.jobs.is_empty());
    }
}

async fn series(world: &World, pause: PausePolicy) -> Series<'_> {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    world.publish_unclaimed(&application).await;
    Series { world, endpoint: endpoint.id, pause }
}

pub(crate) async fn failures_in_a_row_pause_the_endpoint(world: World) {
    let series = series(&world, PausePolicy::Consecutive { failures: 3 }).await;
    for succeeds in [false, false, true, false, false] {
        assert!(series.attempt(succeeds).await.is_empty());
    }
    series.expect_pause("3 failed attempts in a row").await;

    // The returned endpoint is the stored one, one revision on, and nothing is lost.
    let application = world
        .store()
        .get_application(&world.environment, &hookwright::domain::Reference::new("acme"))
        .await
        .unwrap();
    let stored = world.endpoints(&application).await.remove(0);
    assert_eq!(stored.revision, 2);
    assert!(matches!(stored.state, EndpointState::Paused { .. }));
    let accepted = world.publish(&application).await;
    assert!(accepted.claimed.is_empty() && accepted.unclaimed.is_empty());
    world.expect_ledger(&application, [2, 0, 0, 2, 0]).await;
}

pub(crate) async fn too_many_failures_within_a_window_pause_the_endpoint(world: World) {
    let policy = PausePolicy::TooMany { failures: 5, within: s(3_600) };
    let series = series(&world, policy).await;
    for succeeds in [false, true, false, false, true, false, false] {
        assert!(series.attempt(succeeds).await.is_empty());
    }
    world.pass(s(3_600));
    for _ in 0..5 {
        assert!(series.attempt(false).await.is_empty(), "the old ones left the window");
    }
    series.expect_pause("more than 5 failed attempts within 1 hour").await;
}

pub(crate) async fn failing_for_long_pauses_the_endpoint(world: World) {
    let series = series(&world, PausePolicy::FailingFor { duration: s(5 * 86_400) }).await;
    assert!(series.attempt(false).await.is_empty());
    world.pass(s(5 * 86_400) - Duration::from_micros(1));
    assert!(series.attempt(false).await.is_empty());
    world.pass(Duration::from_micros(1));
    series.expect_pause("every attempt failed for 5 days").await;
}

pub(crate) async fn health_survives_a_restart(mut world: World) {
    let policy = PausePolicy::Consecutive { failures: 3 };
    let endpoint = {
        let series = series(&world, policy).await;
        assert!(series.attempt(false).await.is_empty());
        assert!(series.attempt(false).await.is_empty());
        series.endpoint
    };
    world.reopen();
    let series = Series { world: &world, endpoint, pause: policy };
    series.expect_pause("3 failed attempts in a row").await;
}

pub(crate) async fn a_receiver_that_is_gone_disables_the_endpoint(world: World) {
    let application = world.application("acme").await;
    let endpoint = world.endpoint(&application).await;
    let gone = world.claimed_job(&application).await;
    let pending = world.claimed_job(&application).await;
    world.pass(s(3));
    let changed = world.record(vec![world.attempt(&gone, answered(410), Next::Gone)]).await;
    let EndpointState::Disabled { at, reason } = &changed[0].state else {
        panic!("{:?}", changed[0].state)
    };
    assert_eq!((*at, changed[0].id), (world.now(), endpoint.id));
    assert!(reason.contains("410"), "{reason}");
    assert_eq!(changed[0].revision, endpoint.revision + 1);
    assert_eq!(*changed[0], *world.endpoints(&application).await[0]);
    assert_eq!(world.standing(&gone).await.0, DeliveryState::Failed);
    assert_eq!(world.standing(&pending).await.0, DeliveryState::Pending);
    assert!(world.publish(&application).await.unclaimed.is_empty());

    // A second one changes nothing any more.
    let again = world.attempt(&pending, answered(410), Next::Gone);
    assert!(world.record(vec![again]).await.is_empty());
    world.expect_ledger(&application, [2, 0, 2, 0, 0]).await;
}

pub(crate) async fn attempts_count_in_the_order_in_which_they_ended(world: World) {
    let application = world.application("acme").await;
    world.endpoint(&application).await;
    let start = world.now();
    let mut recorded: Vec<Recorded> = Vec::new();
    for (second, succeeds) in [(1, false), (2, false), (3, true), (4, false), (5, false)] {
        let job = world.claimed_job(&application).await;
        let mut one = if succeeds { world.success(&job) } else { world.retry(&job) };
        one.ended_at = start + s(second);
        one.pause = PausePolicy::Consecutive { failures: 3 };
        recorded.push(one);
    }
    // As ended, there are never three failures in a row. As given, there are four.
    let shuffled = [2, 4, 0, 3, 1].map(|place| recorded[place].clone());
    assert!(world.record(shuffled.into()).await.is_empty());
    // The third in a row pauses it; the fourth, in the same call, changes nothing more.
    let (sixth, seventh) =
        (world.claimed_job(&application).await, world.claimed_job(&application).await);
    let mut last = [world.retry(&sixth), world.retry(&seventh)];
    for (second, one) in [(6, &mut 0), (7, &mut 1)] {
        last[*one].ended_at = start + s(second);
        last[*one].pause = PausePolicy::Consecutive { failures: 3 };
    }
    let changed = world.record(last.into()).await;
    assert_eq!(changed.len(), 1);
    assert!(matches!(changed[0].state, EndpointState::Paused { at, .. } if at == start + s(6)));
    assert_eq!(ids(&[sixth, seventh]).len(), 2);
}
