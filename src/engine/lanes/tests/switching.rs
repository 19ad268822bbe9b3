//! Endpoints that stop and start again.

use super::*;

#[test]
fn a_lane_that_starts_gently_grows_with_each_success_and_with_nothing_else() {
    let mut world = World::new(LaneLimits {
        in_flight_per_endpoint: 4,
        in_flight: 100,
        window: 100,
        ..limits()
    });
    let endpoint = world.endpoint();
    world.lanes.start_gently(endpoint.destination());
    world.offer(&endpoint, 40);
    assert_eq!(world.started().len(), 1);
    world.fail(&endpoint);
    assert_eq!(world.started().len(), 1, "as many as before");
    world.finish(&endpoint);
    assert_eq!(world.started().len(), 2);
    world.fail(&endpoint);
    world.finish(&endpoint);
    assert_eq!(world.started().len(), 3);
    world.finish(&endpoint);
    assert_eq!(world.started().len(), 2, "four in flight");
    for _ in 0..4 {
        world.finish(&endpoint);
    }
    assert_eq!(world.started().len(), 4, "which is the limit");
}

#[test]
fn while_a_lane_is_held_nothing_is_taken_in_and_afterwards_the_store_is_asked() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.lanes.hold(endpoint.destination());
    assert!(!world.lanes.has_room(&endpoint, NOW));
    let job = world.job(&endpoint);
    assert_eq!(world.lanes.offer(job, endpoint.clone()).len(), 1, "handed back");
    world.lanes.note_due(endpoint.destination(), NOW);
    assert!(world.claims(NOW).is_empty());
    world.lanes.hold(endpoint.destination());
    world.lanes.let_go(endpoint.destination(), NOW);
    assert!(world.claims(NOW).is_empty(), "somebody else still holds it");
    world.lanes.let_go(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW), [(endpoint.id, 4)]);
}

#[test]
fn what_was_claimed_before_it_was_discarded_is_not_sent() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.offer(&endpoint, 1);
    world.lanes.note_due(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    world.lanes.hold(endpoint.destination());
    assert_eq!(world.lanes.discarding(endpoint.id).len(), 1);
    world.lanes.let_go(endpoint.destination(), NOW);
    let jobs = vec![world.job(&endpoint), world.job(&endpoint)];
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: None };
    assert_eq!(world.lanes.claimed(endpoint.destination(), claimed).len(), 2, "handed back");
    assert!(world.started().is_empty());
    assert_eq!(world.claims(NOW), [(endpoint.id, 4)], "what is there now");
}

#[test]
fn a_gentle_start_sends_in_the_order_of_publishing() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.lanes.start_gently(endpoint.destination());
    world.lanes.note_due(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    let mut jobs: Vec<Job> = Vec::new();
    for _ in 0..4 {
        world.clock.advance(Duration::from_secs(1));
        jobs.push(world.job(&endpoint));
    }
    let published: Vec<MessageId> = jobs.iter().map(|job| job.message.id).collect();
    jobs.rotate_left(2);
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: None };
    assert!(world.lanes.claimed(endpoint.destination(), claimed).is_empty());
    let mut sent = Vec::new();
    while let Some(turn) = world.lanes.next_job(NOW) {
        sent.push(turn.job.message.id);
        world.lanes.finished(&turn, Some(Verdict::Neither));
    }
    assert_eq!(sent, published);
}

#[test]
fn after_a_failure_a_gentle_lane_waits_until_it_is_recorded() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.lanes.start_gently(endpoint.destination());
    world.offer(&endpoint, 2);
    assert_eq!(world.started().len(), 1);
    let turn = world.turns.get_mut(&endpoint.id).and_then(VecDeque::pop_front).unwrap();
    world.lanes.attempted(&turn, false);
    world.lanes.finished(&turn, Some(Verdict::Neither));
    assert!(world.started().is_empty());
    let outcome = [recorded(&turn.job, Next::Exhausted)];
    assert!(world.lanes.recorded(&outcome, true, NOW).waited);
    assert_eq!(world.started().len(), 1);
    assert!(!world.lanes.recorded(&outcome, true, NOW).waited, "nothing waits for it");
}
