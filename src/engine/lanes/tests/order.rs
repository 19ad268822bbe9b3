//! Endpoints that get their events one by one.

use super::*;

fn ordered(world: &World) -> Arc<Endpoint> {
    Arc::new(Endpoint { ordered: true, ..(*world.endpoint()).clone() })
}

/// Brings in what the store says is next.
fn claim(world: &mut World, endpoint: &Arc<Endpoint>, jobs: usize) {
    world.lanes.note_due(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    let jobs = (0..jobs).map(|_| world.job(endpoint)).collect();
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: None };
    assert!(world.lanes.claimed(endpoint.destination(), claimed).is_empty());
}

/// Ends the attempt that is in flight; returns its job.
fn attempt(world: &mut World, endpoint: &Endpoint, succeeded: bool) -> Job {
    let turn = world.turns.get_mut(&endpoint.id).and_then(VecDeque::pop_front).unwrap();
    world.lanes.attempted(&turn, succeeded);
    let verdict = if succeeded { Verdict::Served } else { Verdict::Neither };
    assert!(world.lanes.finished(&turn, Some(verdict)).stopped.is_empty());
    turn.job
}

#[test]
fn the_next_goes_when_the_one_before_is_recorded() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = ordered(&world);
    assert!(!world.lanes.has_room(&endpoint, NOW), "its turn is decided in the store");
    claim(&mut world, &endpoint, 3);
    for _ in 0..3 {
        assert_eq!(world.started().len(), 1);
        let job = attempt(&mut world, &endpoint, true);
        assert!(world.started().is_empty());
        let after = world.lanes.recorded(&[recorded(&job, Next::Succeeded)], true, NOW);
        assert!(after.waited && after.stopped.is_empty());
    }
    assert!(world.lanes.lanes.is_empty());
    assert_eq!(world.lanes.ordered, 0);
}

#[test]
fn what_stands_behind_a_failure_goes_back_and_behind_an_exhausted_one_goes_on() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = ordered(&world);
    claim(&mut world, &endpoint, 5);
    world.started();
    let job = attempt(&mut world, &endpoint, false);
    let after = world.lanes.recorded(&[recorded(&job, Next::Exhausted)], true, NOW);
    assert!(after.stopped.is_empty());
    assert_eq!(world.started().len(), 1);
    let job = attempt(&mut world, &endpoint, false);
    let retry = Next::Retry { at: NOW + Duration::from_secs(5) };
    let after = world.lanes.recorded(&[recorded(&job, retry)], true, NOW);
    assert_eq!(after.stopped.len(), 3);
    assert!(world.started().is_empty());
}

#[test]
fn what_stands_behind_an_attempt_that_broke_off_or_is_never_recorded_goes_back() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = ordered(&world);
    claim(&mut world, &endpoint, 3);
    world.started();
    assert_eq!(world.end(&endpoint, None).len(), 2);
    claim(&mut world, &endpoint, 3);
    world.started();
    let job = attempt(&mut world, &endpoint, true);
    let after = world.lanes.recorded(&[recorded(&job, Next::Succeeded)], false, NOW);
    assert_eq!(after.stopped.len(), 2);
    assert_eq!(world.claims(NOW).len(), 1, "the store knows until when it is claimed");
}

#[test]
fn switching_it_on_hands_back_what_was_queued_and_waits_for_what_is_in_flight() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.offer(&endpoint, 4);
    assert_eq!(world.started().len(), 2);
    let ordered = Arc::new(Endpoint { ordered: true, revision: 2, ..(*endpoint).clone() });
    assert_eq!(world.lanes.endpoint_changed(ordered.clone(), NOW).len(), 2);
    // What was accepted before and arrives late goes back too.
    let late = world.job(&endpoint);
    assert_eq!(world.lanes.offer(late, endpoint.clone()).len(), 1);
    assert!(world.claims(NOW).is_empty());
    for left in [1, 0] {
        let job = attempt(&mut world, &endpoint, true);
        world.lanes.recorded(&[recorded(&job, Next::Succeeded)], true, NOW);
        assert_eq!(world.claims(NOW).is_empty(), left > 0);
    }
}

#[test]
fn what_a_person_resends_goes_before_what_is_queued() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = ordered(&world);
    claim(&mut world, &endpoint, 2);
    world.started();
    let resent = Job { trigger: Trigger::Manual, ..world.job(&endpoint) };
    let id = resent.message.id;
    assert!(world.lanes.offer(resent, endpoint.clone()).is_empty());
    assert!(world.started().is_empty(), "one at a time");
    let job = attempt(&mut world, &endpoint, true);
    world.lanes.recorded(&[recorded(&job, Next::Succeeded)], true, NOW);
    assert_eq!(world.started().len(), 1);
    assert_eq!(attempt(&mut world, &endpoint, true).message.id, id);
}

#[test]
fn what_is_sent_again_in_bulk_keeps_its_order() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = ordered(&world);
    world.lanes.note_due(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    let manual = |_| Job { trigger: Trigger::Manual, ..world.job(&endpoint) };
    let jobs: Vec<Job> = (0..3).map(manual).collect();
    let expected: Vec<_> = jobs.iter().map(|job| job.message.id).collect();
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: None };
    assert!(world.lanes.claimed(endpoint.destination(), claimed).is_empty());
    for id in expected {
        assert_eq!(world.started().len(), 1);
        let job = attempt(&mut world, &endpoint, true);
        assert_eq!(job.message.id, id);
        world.lanes.recorded(&[recorded(&job, Next::Succeeded)], true, NOW);
    }
}
