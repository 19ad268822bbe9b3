//! Who gets how much where many want it.

use super::*;

/// Fills the lanes with what this application's new endpoints hang on.
fn hang(world: &mut World, endpoints: usize) -> Vec<Arc<Endpoint>> {
    let hanging: Vec<_> = (0..endpoints).map(|_| world.endpoint()).collect();
    for endpoint in &hanging {
        for _ in 0..8 {
            if world.lanes.has_room(endpoint, NOW) {
                world.offer(endpoint, 1);
            }
        }
    }
    world.started();
    hanging
}

#[test]
fn however_many_endpoints_of_an_application_hang_another_gets_half() {
    let mut world = World::new(LaneLimits { in_flight: 64, held: 128, ..LaneLimits::default() });
    hang(&mut world, 500);
    assert_eq!(world.lanes.usage.in_flight, 32);
    world.next_application();
    let healthy = world.endpoint();
    for _ in 0..8 {
        assert!(world.lanes.has_room(&healthy, NOW));
        world.offer(&healthy, 1);
        assert_eq!(world.started(), [healthy.id]);
        world.finish(&healthy);
    }
}

#[test]
fn receivers_that_hang_on_have_a_quarter_of_all_slots_however_many_they_are() {
    let mut world = World::new(LaneLimits { in_flight: 16, held: 4_000, ..LaneLimits::default() });
    let mut hanging = Vec::new();
    for _ in 0..100 {
        hanging.extend(hang(&mut world, 1));
        world.next_application();
    }
    // All of them time out, again and again.
    for _ in 0..50 {
        let in_flight: Vec<_> = hanging
            .iter()
            .filter(|one| world.turns.get(&one.id).is_some_and(|t| !t.is_empty()))
            .cloned()
            .collect();
        for endpoint in in_flight {
            world.time_out(&endpoint);
            world.offer(&endpoint, 1);
            world.started();
        }
    }
    assert_eq!(world.lanes.troubled, 4);
    assert_eq!(world.lanes.usage.in_flight, 4);
    let healthy = world.endpoint();
    world.offer(&healthy, 1);
    assert_eq!(world.started(), [healthy.id]);
    // Each of those that wait gets its turn.
    let parked = world.lanes.parked.len();
    assert!(parked > 50, "{parked}");
    let mut seen = HashSet::new();
    for _ in 0..parked {
        let one =
            hanging.iter().find(|one| world.turns.get(&one.id).is_some_and(|t| !t.is_empty()));
        let one = one.unwrap().clone();
        world.time_out(&one);
        seen.extend(world.started());
    }
    assert!(seen.len() >= parked, "{} of {parked}", seen.len());
}

#[test]
fn turns_go_round_among_applications_and_not_among_endpoints() {
    let mut world = World::new(LaneLimits { in_flight: 1_000, held: 100_000, ..limits() });
    let many: Vec<_> = (0..100).map(|_| world.endpoint()).collect();
    for endpoint in &many {
        world.offer(endpoint, 2);
    }
    world.next_application();
    let single = world.endpoint();
    world.offer(&single, 2);
    let started = world.started();
    assert_eq!(started.iter().position(|id| *id == single.id), Some(1));
    assert_eq!(started.iter().rposition(|id| *id == single.id), Some(3));
}

#[test]
fn a_backlog_at_many_endpoints_leaves_claims_for_another_application() {
    let mut world = World::new(LaneLimits::default());
    let many: Vec<_> = (0..1_000).map(|_| world.endpoint()).collect();
    for endpoint in &many {
        world.lanes.note_due(endpoint.destination(), NOW);
    }
    let claims = world.claims(NOW);
    assert_eq!(claims.len(), 8);
    world.next_application();
    let single = world.endpoint();
    world.lanes.note_due(single.destination(), NOW);
    assert_eq!(world.claims(NOW), [(single.id, 256)]);
    // The end of one lets the next ask.
    let destination = Destination { application: many[0].application_id, endpoint: claims[0].0 };
    let nothing = Claimed { endpoint: None, jobs: Vec::new(), next_due: None };
    world.lanes.claimed(destination, nothing);
    assert_eq!(world.claims(NOW).len(), 1);
}

#[test]
fn an_application_without_room_is_not_forgotten_and_keeps_nobody_waiting() {
    let mut world = World::new(LaneLimits { held: 8, window: 4, ..limits() });
    let (full, waiting) = (world.endpoint(), world.endpoint());
    world.offer(&full, 4);
    world.lanes.note_due(waiting.destination(), NOW);
    assert_eq!(world.claims(NOW), [], "its application has its half");
    world.next_application();
    let other = world.endpoint();
    world.lanes.note_due(other.destination(), NOW);
    assert_eq!(world.claims(NOW).len(), 1, "there is room for others");
    world.started();
    world.finish(&full);
    world.finish(&full);
    assert_eq!(world.claims(NOW), [(waiting.id, 1)]);
}

#[test]
fn what_was_learned_outlives_the_lane() {
    let mut world = World::new(LaneLimits { in_flight_per_endpoint: 8, ..LaneLimits::default() });
    let endpoint = world.endpoint();
    for limit in [4, 2, 1] {
        world.offer(&endpoint, 1);
        assert_eq!(world.started().len(), 1);
        world.time_out(&endpoint);
        assert!(world.lanes.lanes.is_empty(), "nothing is left but what was learned");
        assert_eq!(world.lanes.memory.learned(endpoint.id).unwrap().limit(), limit);
    }
    world.offer(&endpoint, 8);
    for limit in 1..=4 {
        world.started();
        assert_eq!(world.turns[&endpoint.id].len(), limit);
        world.finish(&endpoint);
    }
    assert!(!world.lanes.has_room(&endpoint, NOW) || world.lanes.usage.held < 4 * 5);
}

#[test]
fn a_lane_that_learned_to_be_careful_holds_only_what_it_gets_round_to() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = world.endpoint();
    for _ in 0..6 {
        world.offer(&endpoint, 1);
        world.started();
        world.time_out(&endpoint);
    }
    let took = (0..100).take_while(|_| {
        let room = world.lanes.has_room(&endpoint, NOW);
        if room {
            world.offer(&endpoint, 1);
        }
        room
    });
    assert_eq!(took.count(), 4);
}
