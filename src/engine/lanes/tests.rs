use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::domain::{
    Application, Auth, EndpointState, Message, MessageId, Metadata, Method, Transport, Trigger,
};
use crate::entropy::Entropy;
use crate::store::Lease;

const PAYLOAD: &str = "{}";

const NOW: Timestamp = Timestamp::from_seconds(1_000);

struct World {
    lanes: Lanes,
    entropy: Entropy,
    clock: Clock,
    application: Arc<Application>,
}

impl World {
    fn new(limits: LaneLimits) -> World {
        let (entropy, clock) = (Entropy::seeded(7), Clock::simulated(NOW));
        let application = Arc::new(Application {
            id: entropy.id(&clock),
            environment: "test".into(),
            uid: None,
            name: "tenant".into(),
            metadata: Metadata::new(),
            created_at: NOW,
            updated_at: NOW,
        });
        World { lanes: Lanes::new(limits), entropy, clock, application }
    }

    fn endpoint(&self) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            id: self.entropy.id(&self.clock),
            application_id: self.application.id,
            environment: "test".into(),
            uid: None,
            name: String::new(),
            description: String::new(),
            url: "https://example.com/".into(),
            transport: Transport::Webhook,
            method: Method::Post,
            auth: Auth::None,
            headers: Vec::new(),
            subscription: Default::default(),
            channels: None,
            metadata: Metadata::new(),
            state: EndpointState::Enabled,
            secrets: Vec::new(),
            revision: 1,
            created_at: NOW,
            updated_at: NOW,
        })
    }

    fn job(&self, endpoint: &Endpoint) -> Job {
        let id: MessageId = self.entropy.id(&self.clock);
        Job {
            message: Arc::new(Message {
                id,
                application: self.application.clone(),
                event_type: "a".into(),
                event_group: None,
                event_id: None,
                payload: PAYLOAD.into(),
                channels: Vec::new(),
                tags: Vec::new(),
                test: false,
                created_at: NOW,
            }),
            endpoint: endpoint.id,
            attempts: 0,
            failed_in_round: 0,
            trigger: Trigger::Scheduled,
            lease: Lease {
                node: self.entropy.id(&self.clock),
                until: NOW + Duration::from_secs(60),
            },
        }
    }

    fn offer(&mut self, endpoint: &Arc<Endpoint>, jobs: usize) {
        for _ in 0..jobs {
            let job = self.job(endpoint);
            assert!(self.lanes.offer(job, endpoint.clone()).is_empty());
        }
    }

    fn finish(&mut self, endpoint: &Endpoint) {
        self.lanes.finished(endpoint.id, PAYLOAD.len(), true);
    }

    fn fail(&mut self, endpoint: &Endpoint) {
        self.lanes.finished(endpoint.id, PAYLOAD.len(), false);
    }

    /// The claims asked for now: endpoints and limits.
    fn claims(&mut self, now: Timestamp) -> Vec<(EndpointId, u32)> {
        let claims = self.lanes.due_claims(now).into_iter();
        claims.map(|claim| (claim.endpoint, claim.limit)).collect()
    }

    fn started(&mut self) -> Vec<EndpointId> {
        std::iter::from_fn(|| self.lanes.next_job()).map(|(job, _)| job.endpoint).collect()
    }
}

fn limits() -> LaneLimits {
    LaneLimits { in_flight_per_endpoint: 2, in_flight: 10, window: 4, held: 100, held_bytes: 1_000 }
}

#[test]
fn a_long_queue_takes_turns_with_a_short_one() {
    let mut world = World::new(limits());
    let (busy, quiet) = (world.endpoint(), world.endpoint());
    world.offer(&busy, 50);
    world.offer(&quiet, 1);
    let started = world.started();
    // The busy one is held to its own limit; the quiet one's only delivery goes second.
    assert_eq!(started, [busy.id, quiet.id, busy.id]);
    world.finish(&busy);
    assert_eq!(world.started(), [busy.id]);
}

#[test]
fn the_global_limit_holds_and_frees_in_turn() {
    let mut world = World::new(LaneLimits { in_flight: 3, ..limits() });
    let endpoints: Vec<_> = (0..4).map(|_| world.endpoint()).collect();
    for endpoint in &endpoints {
        world.offer(endpoint, 2);
    }
    assert_eq!(world.started().len(), 3);
    world.finish(&endpoints[0]);
    assert_eq!(world.started(), [endpoints[3].id]);
}

#[test]
fn a_full_lane_has_no_room_and_claims_again_when_half_is_free() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    assert!(world.lanes.has_room(endpoint.id, NOW));
    world.offer(&endpoint, 4);
    assert!(!world.lanes.has_room(endpoint.id, NOW));
    world.lanes.note_due(endpoint.id, NOW);
    assert_eq!(world.claims(NOW), []);
    assert_eq!(world.started().len(), 2);
    world.finish(&endpoint);
    assert_eq!(world.claims(NOW), []);
    world.finish(&endpoint);
    assert_eq!(world.claims(NOW), [(endpoint.id, 2)]);
    // One claim at a time, and nothing new overtakes what is being claimed.
    world.lanes.note_due(endpoint.id, NOW);
    assert_eq!(world.claims(NOW), []);
    assert!(!world.lanes.has_room(endpoint.id, NOW));
}

#[test]
fn a_retry_in_the_future_is_claimed_then_and_not_before() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    let later = NOW + Duration::from_secs(30);
    world.lanes.note_due(endpoint.id, later);
    assert_eq!(world.claims(NOW), []);
    assert_eq!(world.lanes.next_timer(), Some(later));
    // It doesn't keep new deliveries out either.
    assert!(world.lanes.has_room(endpoint.id, NOW));
    assert_eq!(world.claims(later).len(), 1);
    assert_eq!(world.lanes.next_timer(), None);
}

#[test]
fn timers_do_not_pile_up() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    let later = NOW + Duration::from_secs(30);
    for _ in 0..1_000 {
        world.lanes.note_due(endpoint.id, later);
        world.offer(&endpoint, 1);
        assert_eq!(world.started().len(), 1);
        world.finish(&endpoint);
    }
    assert_eq!(world.lanes.timers.len(), 1);
}

#[test]
fn a_paused_lane_hands_back_its_queue_and_wakes_when_it_is_enabled() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.offer(&endpoint, 4);
    assert_eq!(world.started().len(), 2);
    let paused = Arc::new(Endpoint {
        state: EndpointState::Paused { at: NOW, reason: "test".into() },
        revision: 2,
        ..(*endpoint).clone()
    });
    assert_eq!(world.lanes.endpoint_changed(paused, NOW).len(), 2);
    assert_eq!(world.started(), []);
    // An older copy that comes late changes nothing.
    assert_eq!(world.lanes.endpoint_changed(endpoint.clone(), NOW).len(), 0);
    // A delivery that was claimed before the pause and arrives after it goes back too.
    let late = world.job(&endpoint);
    assert_eq!(world.lanes.offer(late, endpoint.clone()).len(), 1);
    world.finish(&endpoint);
    world.finish(&endpoint);
    assert_eq!(world.lanes.held.jobs, 0);
    let enabled = Arc::new(Endpoint { revision: 3, ..(*endpoint).clone() });
    world.lanes.endpoint_changed(enabled, NOW);
    assert_eq!(world.claims(NOW).len(), 1);
}

#[test]
fn a_lane_that_finds_no_room_altogether_is_not_forgotten() {
    let mut world = World::new(LaneLimits { held: 4, window: 4, ..limits() });
    let (full, starved) = (world.endpoint(), world.endpoint());
    world.offer(&full, 4);
    assert!(!world.lanes.has_room(starved.id, NOW));
    world.lanes.note_due(starved.id, NOW);
    assert_eq!(world.claims(NOW), []);
    world.started();
    world.finish(&full);
    world.finish(&full);
    let claims = world.claims(NOW);
    assert_eq!(claims, [(starved.id, 1)]);
}

#[test]
fn idle_lanes_cost_nothing() {
    let mut world = World::new(limits());
    for _ in 0..100 {
        let endpoint = world.endpoint();
        world.offer(&endpoint, 1);
        world.started();
        world.finish(&endpoint);
    }
    assert!(world.lanes.lanes.is_empty());
}

#[test]
fn however_many_hang_the_next_endpoint_still_gets_a_share() {
    let mut world = World::new(LaneLimits {
        in_flight_per_endpoint: 64,
        in_flight: 100,
        window: 64,
        held: 200,
        held_bytes: 1_000_000,
    });
    let hanging: Vec<_> = (0..50).map(|_| world.endpoint()).collect();
    for endpoint in &hanging {
        for _ in 0..64 {
            if world.lanes.has_room(endpoint.id, NOW) {
                world.offer(endpoint, 1);
            }
        }
    }
    world.started();
    let healthy = world.endpoint();
    assert!(world.lanes.has_room(healthy.id, NOW));
    world.offer(&healthy, 1);
    assert_eq!(world.started(), [healthy.id]);
}

#[test]
fn claims_are_few_and_never_ask_for_more_than_there_is_room_for() {
    let mut world = World::new(LaneLimits { held: 8, window: 4, ..limits() });
    let endpoints: Vec<_> = (0..100).map(|_| world.endpoint()).collect();
    for endpoint in &endpoints {
        world.lanes.note_due(endpoint.id, NOW);
    }
    let claims = world.claims(NOW);
    assert!(claims.iter().map(|(_, limit)| limit).sum::<u32>() <= 8, "{claims:?}");
    // Every one of them gets its turn as the others end.
    let mut asked: HashSet<EndpointId> = HashSet::new();
    let mut under_way: VecDeque<EndpointId> = claims.into_iter().map(|(id, _)| id).collect();
    while let Some(id) = under_way.pop_front() {
        asked.insert(id);
        world.lanes.claimed(id, Claimed { endpoint: None, jobs: Vec::new(), next_due: None });
        under_way.extend(world.claims(NOW).into_iter().map(|(id, _)| id));
    }
    assert_eq!(asked.len(), 100);
    assert!(world.lanes.lanes.is_empty());
    assert_eq!((world.lanes.reserved, world.lanes.claims), (0, 0));
}

#[test]
fn large_payloads_fill_a_lane_before_many_small_ones_do() {
    let mut world = World::new(LaneLimits { held_bytes: 6, window: 100, ..limits() });
    let endpoint = world.endpoint();
    world.offer(&endpoint, 1);
    assert!(world.lanes.has_room(endpoint.id, NOW));
    world.offer(&endpoint, 1);
    assert!(!world.lanes.has_room(endpoint.id, NOW), "it holds four bytes, two are left");
}

#[test]
fn notes_on_a_starved_lane_do_not_pile_up() {
    let mut world = World::new(LaneLimits { held: 4, window: 4, ..limits() });
    let (full, starved) = (world.endpoint(), world.endpoint());
    world.offer(&full, 4);
    for _ in 0..1_000 {
        world.lanes.note_due(starved.id, NOW);
        assert_eq!(world.claims(NOW), []);
    }
    assert_eq!(world.lanes.starved.len(), 1);
}

#[test]
fn claims_that_find_only_a_later_retry_do_not_pile_up_timers() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    let later = NOW + Duration::from_secs(36_000);
    for _ in 0..1_000 {
        world.lanes.note_due(endpoint.id, NOW);
        assert_eq!(world.claims(NOW).len(), 1);
        let found = Some(endpoint.clone());
        world.lanes.claimed(
            endpoint.id,
            Claimed { endpoint: found, jobs: Vec::new(), next_due: Some(later) },
        );
    }
    assert_eq!(world.lanes.timers.len(), 1);
}

#[test]
fn what_arrives_after_a_deletion_is_not_sent() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.lanes.note_due(endpoint.id, NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    world.lanes.endpoint_deleted(endpoint.id);
    let jobs = vec![world.job(&endpoint)];
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: Some(NOW) };
    world.lanes.claimed(endpoint.id, claimed);
    let late = world.job(&endpoint);
    world.lanes.offer(late, endpoint.clone());
    assert_eq!(world.started(), []);
    assert!(world.lanes.lanes.is_empty());
    assert_eq!(world.lanes.held.jobs, 0);
}

#[test]
fn a_lane_that_starts_gently_grows_with_each_success_and_with_nothing_else() {
    let mut world = World::new(LaneLimits { in_flight_per_endpoint: 4, window: 100, ..limits() });
    let endpoint = world.endpoint();
    world.lanes.start_gently(endpoint.id);
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
    world.lanes.hold(endpoint.id);
    assert!(!world.lanes.has_room(endpoint.id, NOW));
    let job = world.job(&endpoint);
    assert_eq!(world.lanes.offer(job, endpoint.clone()).len(), 1, "handed back");
    world.lanes.note_due(endpoint.id, NOW);
    assert!(world.claims(NOW).is_empty());
    world.lanes.hold(endpoint.id);
    world.lanes.let_go(endpoint.id, NOW);
    assert!(world.claims(NOW).is_empty(), "somebody else still holds it");
    world.lanes.let_go(endpoint.id, NOW);
    assert_eq!(world.claims(NOW), [(endpoint.id, 4)]);
}

#[test]
fn what_was_claimed_before_it_was_discarded_is_not_sent() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.offer(&endpoint, 1);
    world.lanes.note_due(endpoint.id, NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    world.lanes.hold(endpoint.id);
    assert_eq!(world.lanes.discarding(endpoint.id).len(), 1);
    world.lanes.let_go(endpoint.id, NOW);
    let jobs = vec![world.job(&endpoint), world.job(&endpoint)];
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: None };
    assert_eq!(world.lanes.claimed(endpoint.id, claimed).len(), 2, "handed back");
    assert!(world.started().is_empty());
    assert_eq!(world.claims(NOW), [(endpoint.id, 4)], "what is there now");
}

#[test]
fn a_gentle_start_sends_in_the_order_of_publishing() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.lanes.start_gently(endpoint.id);
    world.lanes.note_due(endpoint.id, NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    let mut jobs: Vec<Job> = Vec::new();
    for _ in 0..4 {
        world.clock.advance(Duration::from_secs(1));
        jobs.push(world.job(&endpoint));
    }
    let published: Vec<MessageId> = jobs.iter().map(|job| job.message.id).collect();
    jobs.rotate_left(2);
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: None };
    assert!(world.lanes.claimed(endpoint.id, claimed).is_empty());
    let mut sent = Vec::new();
    while let Some((job, _)) = world.lanes.next_job() {
        sent.push(job.message.id);
        world.fail(&endpoint);
    }
    assert_eq!(sent, published);
}

#[test]
fn after_a_failure_a_gentle_lane_waits_until_it_is_recorded() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.lanes.start_gently(endpoint.id);
    world.offer(&endpoint, 2);
    assert_eq!(world.started().len(), 1);
    world.lanes.failed(endpoint.id);
    world.fail(&endpoint);
    assert!(world.started().is_empty());
    assert!(world.lanes.failure_recorded(endpoint.id));
    assert_eq!(world.started().len(), 1);
    assert!(!world.lanes.failure_recorded(endpoint.id), "nothing waits for it");
}
