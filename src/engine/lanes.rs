//! The lanes: which deliveries are held in memory, and which of them goes next.
//!
//! Plain state without clock, I/O or tasks. Every endpoint has a lane of its own, with its own
//! limit of attempts in flight, so that one which hangs takes nobody else's place.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::domain::{Endpoint, EndpointId, Timestamp};
use crate::store::{Claimed, Job};

/// How small a part of what is free a lane gets where more than half is used.
const PARTS_OF_WHAT_IS_FREE: usize = 64;

/// Claims under way at once. More would only queue in the store beside what is published.
const CLAIMS_AT_ONCE: usize = 16;

/// Deleted endpoints that are remembered, so that a delivery which was claimed before the
/// deletion and arrives after it isn't sent.
const DELETED_REMEMBERED: usize = 10_000;

/// How much the lanes hold and send at once.
///
/// Half of a common limit is for whoever comes first. Of what is left, a lane gets a small part
/// at a time, so that hundreds of receivers that hang can't leave nothing for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Attempts in flight to one endpoint.
    pub in_flight_per_endpoint: usize,
    /// Attempts in flight altogether.
    pub in_flight: usize,
    /// Deliveries held in memory for one endpoint. The rest waits in the store.
    pub window: usize,
    /// Deliveries held in memory altogether.
    pub held: usize,
    /// Bytes of payloads held in memory altogether.
    pub held_bytes: usize,
}

impl Default for LaneLimits {
    fn default() -> LaneLimits {
        LaneLimits {
            in_flight_per_endpoint: 64,
            in_flight: 4_096,
            window: 256,
            held: 20_000,
            held_bytes: 256 << 20,
        }
    }
}

/// What lanes hold: deliveries, and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    jobs: usize,
    bytes: usize,
}

impl Held {
    fn add(&mut self, bytes: usize) {
        self.jobs += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.jobs -= 1;
        self.bytes -= bytes;
    }
}

/// One endpoint's deliveries.
#[derive(Debug, Default)]
struct Lane {
    /// Unknown until its first delivery is there.
    endpoint: Option<Arc<Endpoint>>,
    queue: VecDeque<Job>,
    in_flight: usize,
    /// What is queued and in flight.
    held: Held,
    /// When the store next has something for this lane, as far as we know.
    due: Option<Timestamp>,
    /// The timer that is set for it.
    timer: Option<Timestamp>,
    /// What the claim under way may bring.
    claiming: Option<usize>,
    /// Whether it stands in the round of lanes that have something to send.
    in_round: bool,
    /// Whether it waits for others to leave room for a claim.
    starved: bool,
    /// Attempts it may have in flight while it starts gently; `None` for its full share.
    ramp: Option<usize>,
    /// Failures of a gentle start that the store doesn't know of yet. Each takes a place in
    /// flight, so that a rule can stop the endpoint before the next attempt.
    unrecorded: usize,
    /// Transitions under way during which it takes nothing in.
    holds: usize,
    /// Whether what the claim under way brings was discarded meanwhile.
    claim_void: bool,
}

impl Lane {
    fn is_idle(&self) -> bool {
        let busy = self.claiming.is_some() || self.holds > 0 || self.unrecorded > 0;
        self.held.jobs == 0 && self.due.is_none() && !busy
    }

    /// How many attempts it may have in flight where `share` is what it could have at most.
    fn slots(&self, share: usize) -> usize {
        self.ramp.map_or(share, |ramp| ramp.saturating_sub(self.unrecorded).min(share))
    }
}

/// All lanes of this process.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: LaneLimits,
    lanes: HashMap<EndpointId, Lane>,
    /// Lanes with something to send, each once. Taken in turn, so that a long queue waits for
    /// itself only.
    round: VecDeque<EndpointId>,
    /// When to look at which lane's store backlog, each lane once.
    timers: BTreeSet<(Timestamp, EndpointId)>,
    /// Lanes whose claim was put off because the others hold too much, each once.
    starved: VecDeque<EndpointId>,
    deleted: HashSet<EndpointId>,
    deleted_in_order: VecDeque<EndpointId>,
    /// Of endpoints that stopped or dropped their queue, the end of the last claim before.
    voided: HashMap<EndpointId, Timestamp>,
    in_flight: usize,
    held: Held,
    claims: usize,
    /// What all claims under way may bring.
    reserved: usize,
}

/// A claim that the lanes ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClaimRequest {
    pub(super) endpoint: EndpointId,
    /// Deliveries to claim at the most.
    pub(super) limit: u32,
    /// Bytes of payloads at which to stop, with one delivery at least.
    pub(super) max_bytes: usize,
}

impl Lanes {
    pub(super) fn new(limits: LaneLimits) -> Lanes {
        Lanes {
            limits,
            lanes: HashMap::new(),
            round: VecDeque::new(),
            timers: BTreeSet::new(),
            starved: VecDeque::new(),
            deleted: HashSet::new(),
            deleted_in_order: VecDeque::new(),
            voided: HashMap::new(),
            in_flight: 0,
            held: Held::default(),
            claims: 0,
            reserved: 0,
        }
    }

    /// How many deliveries a lane may hold now.
    fn window(&self) -> usize {
        share(self.limits.window, self.limits.held, self.held.jobs + self.reserved)
    }

    /// How many bytes a lane may hold now.
    fn window_bytes(&self) -> usize {
        share(self.limits.held_bytes, self.limits.held_bytes, self.held.bytes)
    }

    /// How many attempts a lane may have in flight now.
    fn slots(&self) -> usize {
        share(self.limits.in_flight_per_endpoint, self.limits.in_flight, self.in_flight)
    }

    /// Whether a new delivery may be claimed as it is accepted. Where older ones are due in
    /// the store it may not, or it would overtake them.
    pub(super) fn has_room(&self, endpoint: EndpointId, now: Timestamp) -> bool {
        match self.lanes.get(&endpoint) {
            None => self.window() > 0 && self.window_bytes() > 0,
            Some(lane) => {
                lane.held.jobs < self.window()
                    && lane.held.bytes < self.window_bytes()
                    && lane.claiming.is_none()
                    && lane.holds == 0
                    && lane.due.is_none_or(|due| due > now && lane.ramp.is_none())
            }
        }
    }

    /// Takes a claimed delivery in. Hands back what can't be sent because the endpoint stopped
    /// delivering in the meantime, to be released in the store.
    pub(super) fn offer(&mut self, job: Job, endpoint: Arc<Endpoint>) -> Vec<Job> {
        let id = job.endpoint;
        if self.deleted.contains(&id) {
            return Vec::new();
        }
        if self.is_void(&job) {
            return vec![job];
        }
        let lane = self.lanes.entry(id).or_default();
        adopt(lane, endpoint);
        if lane.holds > 0 {
            return vec![job];
        }
        self.enqueue(id, job);
        self.settle(id)
    }

    fn enqueue(&mut self, id: EndpointId, job: Job) {
        let bytes = job.message.payload.len();
        let lane = self.lanes.entry(id).or_default();
        lane.held.add(bytes);
        lane.queue.push_back(job);
        self.held.add(bytes);
    }

    /// Notes that the store has, or will have, something for this endpoint at `due`.
    pub(super) fn note_due(&mut self, endpoint: EndpointId, due: Timestamp) {
        let lane = self.lanes.entry(endpoint).or_default();
        lane.due = Some(lane.due.map_or(due, |known| known.min(due)));
        self.arm(endpoint);
    }

    /// The next delivery to attempt, in turn among the lanes. Its slot is taken.
    pub(super) fn next_job(&mut self) -> Option<(Job, Arc<Endpoint>)> {
        let slots = self.slots();
        if slots == 0 {
            return None;
        }
        while let Some(id) = self.round.pop_front() {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.in_round = false;
            let Some(endpoint) = lane.endpoint.clone() else { continue };
            if lane.in_flight >= lane.slots(slots) {
                // It has its share in flight, and comes back when one of those is finished.
                continue;
            }
            let Some(job) = lane.queue.pop_front() else { continue };
            lane.in_flight += 1;
            self.in_flight += 1;
            self.enter_round(id);
            return Some((job, endpoint));
        }
        None
    }

    /// Frees the slot of an attempt at a delivery whose payload had so many bytes. A success
    /// gives a lane that starts gently another slot. Returns whether it did.
    pub(super) fn finished(&mut self, endpoint: EndpointId, bytes: usize, success: bool) -> bool {
        self.in_flight -= 1;
        self.held.remove(bytes);
        let full = self.limits.in_flight_per_endpoint;
        let mut grown = false;
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.in_flight -= 1;
            lane.held.remove(bytes);
            grown = success && lane.ramp.is_some();
            if grown {
                lane.ramp = lane.ramp.map(|ramp| ramp + 1).filter(|&ramp| ramp < full);
            }
        }
        self.enter_round(endpoint);
        self.arm(endpoint);
        self.drop_if_idle(endpoint);
        self.feed_starved();
        grown
    }

    /// The claims to make now. Each lane has at most one under way, and asks only when half
    /// its window is free, so that a long backlog is read in large pieces.
    pub(super) fn due_claims(&mut self, now: Timestamp) -> Vec<ClaimRequest> {
        let mut claims = Vec::new();
        while self.claims < CLAIMS_AT_ONCE
            && let Some(&(at, endpoint)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            let (window, window_bytes) = (self.window(), self.window_bytes());
            let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
            lane.timer = None;
            if lane.holds > 0 {
                // The end of the hold sets it again.
                continue;
            }
            if window <= lane.held.jobs || window_bytes <= lane.held.bytes {
                // One that holds something looks again when it is finished with that.
                if lane.held.jobs == 0 && !lane.starved {
                    lane.starved = true;
                    self.starved.push_back(endpoint);
                }
                continue;
            }
            let free = window - lane.held.jobs;
            lane.claiming = Some(free);
            lane.due = None;
            self.claims += 1;
            self.reserved += free;
            let limit = u32::try_from(free).unwrap_or(u32::MAX);
            let max_bytes = window_bytes / CLAIMS_AT_ONCE;
            claims.push(ClaimRequest { endpoint, limit, max_bytes });
        }
        claims
    }

    /// Takes in what a claim brought. Hands back like [`Lanes::offer`].
    pub(super) fn claimed(&mut self, id: EndpointId, claimed: Claimed) -> Vec<Job> {
        let mut void = Vec::new();
        if self.claim_ended(id) {
            // What it brings was claimed before it was discarded.
            void = claimed.jobs;
        } else if let Some(endpoint) = claimed.endpoint
            && !self.deleted.contains(&id)
        {
            adopt(self.lanes.entry(id).or_default(), endpoint);
            for job in claimed.jobs {
                self.enqueue(id, job);
            }
            self.sort_if_gentle(id);
            if let Some(due) = claimed.next_due {
                self.note_due(id, due);
            }
        }
        let mut stopped = self.settle(id);
        stopped.extend(void);
        self.arm(id);
        self.drop_if_idle(id);
        self.feed_starved();
        stopped
    }

    /// A claim could not be made: look again at `retry_at`.
    pub(super) fn claim_failed(&mut self, id: EndpointId, retry_at: Timestamp) {
        self.claim_ended(id);
        self.note_due(id, retry_at);
        self.feed_starved();
    }

    /// Returns whether what the claim brings is void.
    fn claim_ended(&mut self, id: EndpointId) -> bool {
        self.claims -= 1;
        let Some(lane) = self.lanes.get_mut(&id) else { return false };
        self.reserved -= lane.claiming.take().unwrap_or(0);
        std::mem::take(&mut lane.claim_void)
    }

    /// The endpoint changed. Where it no longer delivers, what was queued is handed back, to
    /// be released in the store.
    pub(super) fn endpoint_changed(&mut self, endpoint: Arc<Endpoint>, now: Timestamp) -> Vec<Job> {
        let id = endpoint.id;
        let delivers = endpoint.state.delivers();
        if let Some(lane) = self.lanes.get_mut(&id) {
            adopt(lane, endpoint);
        }
        if delivers {
            self.note_due(id, now);
        }
        self.settle(id)
    }

    /// The endpoint was deleted: nothing more is sent to it, also of what arrives late.
    pub(super) fn endpoint_deleted(&mut self, id: EndpointId) {
        self.empty(id);
        if self.deleted.insert(id) {
            self.deleted_in_order.push_back(id);
        }
        if self.deleted_in_order.len() > DELETED_REMEMBERED
            && let Some(oldest) = self.deleted_in_order.pop_front()
        {
            self.deleted.remove(&oldest);
        }
    }

    /// After something was queued or the endpoint changed: lets the lane send, or empties it
    /// where its endpoint no longer delivers.
    fn settle(&mut self, id: EndpointId) -> Vec<Job> {
        let endpoint = self.lanes.get(&id).and_then(|lane| lane.endpoint.as_ref());
        if endpoint.is_some_and(|endpoint| !endpoint.state.delivers()) {
            return self.empty(id);
        }
        self.enter_round(id);
        Vec::new()
    }

    /// Empties a lane until the store has something for it again.
    fn empty(&mut self, id: EndpointId) -> Vec<Job> {
        let Some(lane) = self.lanes.get_mut(&id) else { return Vec::new() };
        let queued: Vec<Job> = lane.queue.drain(..).collect();
        for job in &queued {
            lane.held.remove(job.message.payload.len());
            self.held.remove(job.message.payload.len());
        }
        lane.due = None;
        if let Some(timer) = lane.timer.take() {
            self.timers.remove(&(timer, id));
        }
        self.drop_if_idle(id);
        self.feed_starved();
        queued
    }

    /// Empties every lane, for a graceful stop.
    pub(super) fn empty_all(&mut self) -> Vec<Job> {
        let mut ids: Vec<EndpointId> = self.lanes.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().flat_map(|id| self.empty(id)).collect()
    }

    /// When the next lane wants to look into the store. `None` also while no further claim
    /// may be made: the end of one is what to wait for then.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        let first = self.timers.first().map(|(at, _)| *at);
        first.filter(|_| self.claims < CLAIMS_AT_ONCE)
    }

    fn enter_round(&mut self, id: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            let sends = !lane.queue.is_empty()
                && lane.in_flight < lane.slots(self.limits.in_flight_per_endpoint)
                && lane.endpoint.as_ref().is_some_and(|endpoint| endpoint.state.delivers());
            if sends && !lane.in_round {
                lane.in_round = true;
                self.round.push_back(id);
            }
        }
    }

    /// Sets the lane's timer. Not while a claim or a hold is under way, nor while the lane is
    /// too full to claim more, nor while it waits for the others: each of these ends in another
    /// call.
    fn arm(&mut self, id: EndpointId) {
        let window = self.limits.window;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(due) = lane.due else { return };
        let busy = lane.claiming.is_some() || lane.starved || lane.holds > 0;
        if busy || lane.held.jobs * 2 > window {
            return;
        }
        if lane.timer != Some(due) {
            if let Some(set) = lane.timer.replace(due) {
                self.timers.remove(&(set, id));
            }
            self.timers.insert((due, id));
        }
    }

    /// Lets the lanes that waited longest look for room again, as many as there may be room
    /// for.
    fn feed_starved(&mut self) {
        if self.window() == 0 || self.window_bytes() == 0 {
            return;
        }
        while let Some(id) = self.starved.pop_front() {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.starved = false;
            self.arm(id);
            // Whoever has nothing to look for any more leaves the turn to the next.
            if self.lanes.get(&id).is_some_and(|lane| lane.timer.is_some()) {
                return;
            }
        }
    }

    fn drop_if_idle(&mut self, id: EndpointId) {
        if self.lanes.get(&id).is_some_and(Lane::is_idle)
            && let Some(Lane { timer: Some(timer), .. }) = self.lanes.remove(&id)
        {
            self.timers.remove(&(timer, id));
        }
    }
}

/// A lane's share of a common `limit` of which so much is `used`: its own `cap` while less than
/// half is used, then a small part of what is free, and nothing where nothing is.
fn share(cap: usize, limit: usize, used: usize) -> usize {
    let free = limit.saturating_sub(used);
    if used * 2 < limit {
        return cap.min(free);
    }
    (free / PARTS_OF_WHAT_IS_FREE).max(1).min(cap).min(free)
}

/// Keeps the newer of the endpoint's copies.
fn adopt(lane: &mut Lane, endpoint: Arc<Endpoint>) {
    if lane.endpoint.as_ref().is_none_or(|known| known.revision < endpoint.revision) {
        lane.endpoint = Some(endpoint);
    }
}

mod switching;
#[cfg(test)]
mod tests;
