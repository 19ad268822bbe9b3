use std::collections::HashSet;
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::domain::{
    Answer, Application, Attempt, Auth, EndpointState, Message, MessageId, Metadata, Method, Next,
    Outcome, PausePolicy, Timing, Transport, Verdict,
};
use crate::entropy::Entropy;
use crate::store::{Claimed, Lease, Recorded};

mod order;
mod pace;
mod shares;
mod switching;

const PAYLOAD: &str = "{}";

const NOW: Timestamp = Timestamp::from_seconds(1_000);

struct World {
    lanes: Lanes,
    entropy: Entropy,
    clock: Clock,
    /// The application of the endpoints that are made.
    application: Arc<Application>,
    /// What is in flight, by endpoint.
    turns: HashMap<EndpointId, VecDeque<Turn>>,
}

impl World {
    fn new(limits: LaneLimits) -> World {
        let (entropy, clock) = (Entropy::seeded(7), Clock::simulated(NOW));
        let lanes = Lanes::new(limits, NOW.before(THROTTLE_WINDOW));
        let application = application(&entropy, &clock);
        World { lanes, entropy, clock, application, turns: HashMap::new() }
    }

    /// The endpoints that are made from now on belong to another application.
    fn next_application(&mut self) {
        self.application = application(&self.entropy, &self.clock);
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
            throttle_rate: None,
            ordered: false,
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

    /// Ends the endpoint's oldest attempt.
    fn end(&mut self, endpoint: &Endpoint, verdict: Option<Verdict>) -> Vec<Job> {
        let turn = self.turns.get_mut(&endpoint.id).and_then(VecDeque::pop_front);
        self.lanes.finished(&turn.expect("an attempt in flight"), verdict).stopped
    }

    fn finish(&mut self, endpoint: &Endpoint) {
        self.end(endpoint, Some(Verdict::Served));
    }

    fn fail(&mut self, endpoint: &Endpoint) {
        self.end(endpoint, Some(Verdict::Neither));
    }

    fn time_out(&mut self, endpoint: &Endpoint) {
        self.end(endpoint, Some(Verdict::Overloaded));
    }

    /// The claims asked for now: endpoints and limits.
    fn claims(&mut self, now: Timestamp) -> Vec<(EndpointId, u32)> {
        let claims = self.lanes.due_claims(now).into_iter();
        claims.map(|claim| (claim.destination.endpoint, claim.limit)).collect()
    }

    fn started_at(&mut self, now: Timestamp) -> Vec<EndpointId> {
        let mut started = Vec::new();
        while let Some(turn) = self.lanes.next_job(now) {
            let id = turn.job.endpoint;
            started.push(id);
            self.turns.entry(id).or_default().push_back(turn);
        }
        started
    }

    fn started(&mut self) -> Vec<EndpointId> {
        self.started_at(NOW)
    }
}

fn application(entropy: &Entropy, clock: &Clock) -> Arc<Application> {
    Arc::new(Application {
        id: entropy.id(clock),
        environment: "test".into(),
        uid: None,
        name: "tenant".into(),
        metadata: Metadata::new(),
        created_at: NOW,
        updated_at: NOW,
    })
}

/// An outcome that the store knows of.
fn recorded(job: &Job, next: Next) -> Recorded {
    Recorded {
        attempt: Attempt {
            id: crate::domain::AttemptId::from_bytes([0; 16]),
            delivery: job.delivery(),
            application_id: job.message.application.id,
            number: 1,
            trigger: job.trigger,
            url: String::new(),
            started_at: NOW,
            duration: Duration::ZERO,
            timing: Timing::default(),
            outcome: Outcome::Answered(Answer::default()),
            succeeded: next == Next::Succeeded,
        },
        lease: job.lease,
        next,
        failed_in_round: 0,
        pause: PausePolicy::Never,
        ended_at: NOW,
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
    let mut world = World::new(LaneLimits { in_flight: 6, ..limits() });
    let endpoints: Vec<_> = (0..4).map(|_| world.endpoint()).collect();
    for endpoint in &endpoints {
        world.offer(endpoint, 2);
    }
    assert_eq!(world.started().len(), 3, "an application's part");
    world.finish(&endpoints[0]);
    assert_eq!(world.started(), [endpoints[3].id]);
}

#[test]
fn a_full_lane_has_no_room_and_claims_again_when_half_is_free() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    assert!(world.lanes.has_room(&endpoint, NOW));
    world.offer(&endpoint, 4);
    assert!(!world.lanes.has_room(&endpoint, NOW));
    world.lanes.note_due(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW), []);
    assert_eq!(world.started().len(), 2);
    world.finish(&endpoint);
    assert_eq!(world.claims(NOW), []);
    world.finish(&endpoint);
    assert_eq!(world.claims(NOW), [(endpoint.id, 2)]);
    // One claim at a time, and nothing new overtakes what is being claimed.
    world.lanes.note_due(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW), []);
    assert!(!world.lanes.has_room(&endpoint, NOW));
}

#[test]
fn a_retry_in_the_future_is_claimed_then_and_not_before() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    let later = NOW + Duration::from_secs(30);
    world.lanes.note_due(endpoint.destination(), later);
    assert_eq!(world.claims(NOW), []);
    assert_eq!(world.lanes.next_timer(), Some(later));
    // It doesn't keep new deliveries out either.
    assert!(world.lanes.has_room(&endpoint, NOW));
    assert_eq!(world.claims(later).len(), 1);
    assert_eq!(world.lanes.next_timer(), None);
}

#[test]
fn timers_do_not_pile_up() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    let later = NOW + Duration::from_secs(30);
    for _ in 0..1_000 {
        world.lanes.note_due(endpoint.destination(), later);
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
    assert_eq!(world.lanes.usage.held, 0);
    let enabled = Arc::new(Endpoint { revision: 3, ..(*endpoint).clone() });
    world.lanes.endpoint_changed(enabled, NOW);
    assert_eq!(world.claims(NOW).len(), 1);
}

#[test]
fn a_lane_that_finds_no_room_altogether_is_not_forgotten() {
    let mut world = World::new(LaneLimits { held: 8, window: 4, ..limits() });
    let (full, starved) = (world.endpoint(), world.endpoint());
    world.offer(&full, 4);
    assert!(!world.lanes.has_room(&starved, NOW));
    world.lanes.note_due(starved.destination(), NOW);
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
        in_flight: 200,
        window: 64,
        held: 400,
        held_bytes: 1_000_000,
    });
    let hanging: Vec<_> = (0..50).map(|_| world.endpoint()).collect();
    for endpoint in &hanging {
        for _ in 0..64 {
            if world.lanes.has_room(endpoint, NOW) {
                world.offer(endpoint, 1);
            }
        }
    }
    world.started();
    let healthy = world.endpoint();
    assert!(world.lanes.has_room(&healthy, NOW));
    world.offer(&healthy, 1);
    assert_eq!(world.started(), [healthy.id]);
}

#[test]
fn claims_are_few_and_never_ask_for_more_than_there_is_room_for() {
    let mut world = World::new(LaneLimits { held: 8, window: 4, ..limits() });
    let endpoints: Vec<_> = (0..100).map(|_| world.endpoint()).collect();
    for endpoint in &endpoints {
        world.lanes.note_due(endpoint.destination(), NOW);
    }
    let claims = world.claims(NOW);
    assert!(claims.iter().map(|(_, limit)| limit).sum::<u32>() <= 8, "{claims:?}");
    // Every one of them gets its turn as the others end.
    let mut asked: HashSet<EndpointId> = HashSet::new();
    let mut under_way: VecDeque<EndpointId> = claims.into_iter().map(|(id, _)| id).collect();
    while let Some(id) = under_way.pop_front() {
        asked.insert(id);
        let application = world.application.id;
        let destination = Destination { application, endpoint: id };
        world
            .lanes
            .claimed(destination, Claimed { endpoint: None, jobs: Vec::new(), next_due: None });
        under_way.extend(world.claims(NOW).into_iter().map(|(id, _)| id));
    }
    assert_eq!(asked.len(), 100);
    assert!(world.lanes.lanes.is_empty());
    assert_eq!(world.lanes.usage, Usage::default());
    assert!(world.lanes.tenants.is_empty());
}

#[test]
fn large_payloads_fill_a_lane_before_many_small_ones_do() {
    let mut world = World::new(LaneLimits { held_bytes: 12, window: 100, ..limits() });
    let endpoint = world.endpoint();
    world.offer(&endpoint, 1);
    assert!(world.lanes.has_room(&endpoint, NOW));
    world.offer(&endpoint, 1);
    assert!(!world.lanes.has_room(&endpoint, NOW), "it holds four bytes, two are left");
}

#[test]
fn notes_on_a_starved_lane_do_not_pile_up() {
    let mut world = World::new(LaneLimits { held: 4, window: 4, ..limits() });
    let (full, starved) = (world.endpoint(), world.endpoint());
    world.offer(&full, 4);
    for _ in 0..1_000 {
        world.lanes.note_due(starved.destination(), NOW);
        assert_eq!(world.claims(NOW), []);
    }
    assert_eq!(world.lanes.crowded_out, [starved.application_id]);
    assert_eq!(world.lanes.tenants[&starved.application_id].asking, [starved.id]);
}

#[test]
fn claims_that_find_only_a_later_retry_do_not_pile_up_timers() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    let later = NOW + Duration::from_secs(36_000);
    for _ in 0..1_000 {
        world.lanes.note_due(endpoint.destination(), NOW);
        assert_eq!(world.claims(NOW).len(), 1);
        let found = Some(endpoint.clone());
        world.lanes.claimed(
            endpoint.destination(),
            Claimed { endpoint: found, jobs: Vec::new(), next_due: Some(later) },
        );
    }
    assert_eq!(world.lanes.timers.len(), 1);
}

#[test]
fn what_arrives_after_a_deletion_is_not_sent() {
    let mut world = World::new(limits());
    let endpoint = world.endpoint();
    world.lanes.note_due(endpoint.destination(), NOW);
    assert_eq!(world.claims(NOW).len(), 1);
    world.lanes.endpoint_deleted(endpoint.id);
    let jobs = vec![world.job(&endpoint)];
    let claimed = Claimed { endpoint: Some(endpoint.clone()), jobs, next_due: Some(NOW) };
    world.lanes.claimed(endpoint.destination(), claimed);
    let late = world.job(&endpoint);
    world.lanes.offer(late, endpoint.clone());
    assert_eq!(world.started(), []);
    assert!(world.lanes.lanes.is_empty());
    assert_eq!(world.lanes.usage.held, 0);
}
