//! Endpoints with a rate.

use super::*;
use crate::domain::ThrottleRate;

fn throttled(world: &World, per_second: u16, revision: u64) -> Arc<Endpoint> {
    let endpoint = Arc::unwrap_or_clone(world.endpoint());
    Arc::new(Endpoint { throttle_rate: ThrottleRate::new(per_second), revision, ..endpoint })
}

/// What starts when the claimer wakes at that time.
fn wake(world: &mut World, at: Timestamp) -> usize {
    world.claims(at);
    world.started_at(at).len()
}

fn later(ms: u64) -> Timestamp {
    NOW + Duration::from_millis(ms)
}

#[test]
fn a_throttled_lane_sends_its_rate_and_then_waits_for_the_clock() {
    let mut world = World::new(LaneLimits::default());
    let (endpoint, other) = (throttled(&world, 2, 1), world.endpoint());
    world.offer(&endpoint, 5);
    world.offer(&other, 1);
    assert_eq!(world.started(), [endpoint.id, other.id, endpoint.id]);
    // It takes no slot meanwhile, however often its attempts end.
    world.finish(&endpoint);
    world.finish(&endpoint);
    assert!(world.started_at(later(999)).is_empty());
    assert_eq!(world.lanes.next_timer(), Some(later(1_000)));
    assert!(world.claims(later(1_000)).is_empty());
    assert_eq!(world.started_at(later(1_000)), [endpoint.id; 2]);
}

#[test]
fn the_claimer_is_told_of_a_wait_that_ends_before_it_wakes() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = throttled(&world, 1, 1);
    assert_eq!(world.lanes.watch(), None);
    world.offer(&endpoint, 2);
    assert!(!world.lanes.wants_look());
    assert_eq!(world.started().len(), 1);
    assert!(world.lanes.wants_look());
    assert_eq!(world.lanes.watch(), Some(later(1_000)));
    assert!(!world.lanes.wants_look());
}

#[test]
fn the_last_second_is_remembered_though_the_lane_is_idle() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = throttled(&world, 1, 1);
    world.offer(&endpoint, 1);
    world.started();
    world.finish(&endpoint);
    world.claims(later(500));
    world.offer(&endpoint, 1);
    assert!(world.started_at(later(500)).is_empty());
    world.claims(later(1_000));
    assert_eq!(world.started_at(later(1_000)).len(), 1);
    world.finish(&endpoint);
    assert_eq!(world.lanes.lanes.len(), 1);
    world.claims(later(2_000));
    assert!(world.lanes.lanes.is_empty() && world.lanes.paces.is_empty());
}

#[test]
fn a_new_rate_holds_from_the_second_in_which_it_is_set() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = world.endpoint();
    world.offer(&endpoint, 3);
    assert_eq!(world.started().len(), 3);
    let rate = |per_second, revision| {
        let throttle_rate = ThrottleRate::new(per_second);
        Arc::new(Endpoint { throttle_rate, revision, ..(*endpoint).clone() })
    };
    world.lanes.endpoint_changed(rate(5, 2), NOW);
    world.offer(&endpoint, 6);
    assert!(world.started_at(later(999)).is_empty(), "three began in a second not counted");
    assert_eq!(wake(&mut world, later(1_000)), 5);
    // A lower one counts what began under the higher one.
    world.lanes.endpoint_changed(rate(1, 3), later(1_100));
    assert!(world.started_at(later(1_999)).is_empty());
    assert_eq!(wake(&mut world, later(2_000)), 1);
}

#[test]
fn after_a_start_of_the_server_a_second_passes() {
    let mut world = World::new(LaneLimits::default());
    world.lanes = Lanes::new(LaneLimits::default(), NOW);
    let endpoint = throttled(&world, 9, 1);
    world.offer(&endpoint, 1);
    assert_eq!(wake(&mut world, later(999)), 0);
    assert_eq!(wake(&mut world, later(1_000)), 1);
}

#[test]
fn a_throttled_lane_holds_what_it_can_send_before_its_claims_run_out() {
    let mut world = World::new(LaneLimits::default());
    let endpoint = throttled(&world, 1, 1);
    for held in 0..60 {
        assert!(world.lanes.has_room(&endpoint, NOW), "{held}");
        world.offer(&endpoint, 1);
    }
    assert!(!world.lanes.has_room(&endpoint, NOW));
}
