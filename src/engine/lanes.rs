//! The lanes: which deliveries are held in memory, and which of them goes next.
//!
//! Plain state without clock, I/O or tasks. Every endpoint has a lane of its own, with its own
//! limit of attempts in flight, so that one which hangs takes nobody else's place.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::domain::{Endpoint, EndpointId, Timestamp};
use crate::store::{Claimed, Job};

/// How much the lanes hold and send at once.
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
}

impl Default for LaneLimits {
    fn default() -> LaneLimits {
        LaneLimits { in_flight_per_endpoint: 64, in_flight: 4_096, window: 256, held: 20_000 }
    }
}

/// One endpoint's deliveries.
#[derive(Debug, Default)]
struct Lane {
    /// Unknown until its first delivery is there.
    endpoint: Option<Arc<Endpoint>>,
    queue: VecDeque<Job>,
    in_flight: usize,
    /// When the store next has something for this lane, as far as we know.
    due: Option<Timestamp>,
    /// The earliest timer that stands in the heap for it.
    timer: Option<Timestamp>,
    /// Whether a claim is under way.
    claiming: bool,
    /// Whether it stands in the round of lanes that have something to send.
    in_round: bool,
}

impl Lane {
    fn held(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    fn is_idle(&self) -> bool {
        self.held() == 0 && self.due.is_none() && !self.claiming
    }
}

/// All lanes of this process.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: LaneLimits,
    lanes: HashMap<EndpointId, Lane>,
    /// Lanes with something to send and a free slot, each once. Taken in turn, so that a long
    /// queue waits for itself only.
    round: VecDeque<EndpointId>,
    /// When to look at which lane's store backlog. May hold outdated entries; a lane's `timer`
    /// is the truth.
    timers: BinaryHeap<Reverse<(Timestamp, EndpointId)>>,
    /// Lanes whose claim was put off because too much was held altogether.
    starved: Vec<EndpointId>,
    in_flight: usize,
    held: usize,
}

/// A claim that the lanes ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClaimRequest {
    pub(super) endpoint: EndpointId,
    pub(super) limit: u32,
}

impl Lanes {
    pub(super) fn new(limits: LaneLimits) -> Lanes {
        Lanes {
            limits,
            lanes: HashMap::new(),
            round: VecDeque::new(),
            timers: BinaryHeap::new(),
            starved: Vec::new(),
            in_flight: 0,
            held: 0,
        }
    }

    /// Whether a new delivery may be claimed as it is accepted. Where older ones are due in
    /// the store it may not, or it would overtake them.
    pub(super) fn has_room(&self, endpoint: EndpointId, now: Timestamp) -> bool {
        if self.held >= self.limits.held {
            return false;
        }
        match self.lanes.get(&endpoint) {
            None => true,
            Some(lane) => {
                lane.held() < self.limits.window
                    && !lane.claiming
                    && lane.due.is_none_or(|due| due > now)
            }
        }
    }

    /// Takes a claimed delivery in. Hands back what can't be sent because the endpoint stopped
    /// delivering in the meantime, to be released in the store.
    pub(super) fn offer(&mut self, job: Job, endpoint: Arc<Endpoint>) -> Vec<Job> {
        let id = job.endpoint;
        let lane = self.lanes.entry(id).or_default();
        adopt(lane, endpoint);
        lane.queue.push_back(job);
        self.held += 1;
        self.settle(id)
    }

    /// Notes that the store has, or will have, something for this endpoint at `due`.
    pub(super) fn note_due(&mut self, endpoint: EndpointId, due: Timestamp) {
        let lane = self.lanes.entry(endpoint).or_default();
        lane.due = Some(lane.due.map_or(due, |known| known.min(due)));
        self.arm(endpoint);
    }

    /// The next delivery to attempt, in turn among the lanes. Its slot is taken.
    pub(super) fn next_job(&mut self) -> Option<(Job, Arc<Endpoint>)> {
        while self.in_flight < self.limits.in_flight {
            let id = self.round.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.in_round = false;
            let Some(endpoint) = lane.endpoint.clone() else { continue };
            if lane.in_flight >= self.limits.in_flight_per_endpoint {
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

    /// Frees the slot of an attempt.
    pub(super) fn finished(&mut self, endpoint: EndpointId) {
        self.in_flight -= 1;
        self.held -= 1;
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.in_flight -= 1;
        }
        self.enter_round(endpoint);
        self.arm(endpoint);
        self.drop_if_idle(endpoint);
        if self.held * 2 <= self.limits.held {
            for starved in std::mem::take(&mut self.starved) {
                self.arm(starved);
            }
        }
    }

    /// The claims to make now. Each lane has at most one under way, and asks only when half
    /// its window is free, so that a long backlog is read in large pieces.
    pub(super) fn due_claims(&mut self, now: Timestamp) -> Vec<ClaimRequest> {
        let mut claims = Vec::new();
        while let Some(&Reverse((at, endpoint))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
            if lane.timer != Some(at) {
                continue;
            }
            lane.timer = None;
            if lane.claiming || lane.due.is_none_or(|due| due > now) {
                self.arm(endpoint);
                continue;
            }
            if lane.held() * 2 > self.limits.window {
                // `finished` arms it again.
                continue;
            }
            let room = self.limits.held.saturating_sub(self.held);
            if room == 0 {
                self.starved.push(endpoint);
                continue;
            }
            let free = self.limits.window.saturating_sub(lane.held()).min(room);
            lane.claiming = true;
            lane.due = None;
            claims.push(ClaimRequest { endpoint, limit: u32::try_from(free).unwrap_or(u32::MAX) });
        }
        claims
    }

    /// Takes in what a claim brought. Hands back like [`Lanes::offer`].
    pub(super) fn claimed(&mut self, id: EndpointId, claimed: Claimed) -> Vec<Job> {
        let lane = self.lanes.entry(id).or_default();
        lane.claiming = false;
        if let Some(endpoint) = claimed.endpoint {
            adopt(lane, endpoint);
            self.held += claimed.jobs.len();
            lane.queue.extend(claimed.jobs);
        }
        if let Some(due) = claimed.next_due {
            self.note_due(id, due);
        }
        let stopped = self.settle(id);
        self.arm(id);
        self.drop_if_idle(id);
        stopped
    }

    /// A claim could not be made: look again at `retry_at`.
    pub(super) fn claim_failed(&mut self, id: EndpointId, retry_at: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.claiming = false;
        }
        self.note_due(id, retry_at);
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

    /// After something was queued or the endpoint changed: lets the lane send, or empties it
    /// where its endpoint no longer delivers.
    fn settle(&mut self, id: EndpointId) -> Vec<Job> {
        let stopped = self.lanes.get(&id).and_then(|lane| lane.endpoint.as_ref());
        if stopped.is_some_and(|endpoint| !endpoint.state.delivers()) {
            return self.empty(id);
        }
        self.enter_round(id);
        Vec::new()
    }

    /// Empties a lane for good, or until the store has something for it again.
    pub(super) fn empty(&mut self, id: EndpointId) -> Vec<Job> {
        let Some(lane) = self.lanes.get_mut(&id) else { return Vec::new() };
        let queued: Vec<Job> = lane.queue.drain(..).collect();
        lane.due = None;
        self.held -= queued.len();
        self.drop_if_idle(id);
        queued
    }

    /// Empties every lane, for a graceful stop.
    pub(super) fn empty_all(&mut self) -> Vec<Job> {
        let ids: Vec<EndpointId> = self.lanes.keys().copied().collect();
        ids.into_iter().flat_map(|id| self.empty(id)).collect()
    }

    /// When the next lane wants to look into the store.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Deliveries held in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn enter_round(&mut self, id: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            let sends = !lane.queue.is_empty()
                && lane.in_flight < self.limits.in_flight_per_endpoint
                && lane.endpoint.as_ref().is_some_and(|endpoint| endpoint.state.delivers());
            if sends && !lane.in_round {
                lane.in_round = true;
                self.round.push_back(id);
            }
        }
    }

    /// Sets the lane's timer, unless one is set that is early enough. Not while a claim is
    /// under way, nor while the lane is too full to claim more: both end in another call.
    fn arm(&mut self, id: EndpointId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(due) = lane.due else { return };
        if lane.claiming || lane.held() * 2 > self.limits.window {
            return;
        }
        if lane.timer.is_none_or(|set| due < set) {
            lane.timer = Some(due);
            self.timers.push(Reverse((due, id)));
        }
    }

    fn drop_if_idle(&mut self, id: EndpointId) {
        if self.lanes.get(&id).is_some_and(Lane::is_idle) {
            self.lanes.remove(&id);
        }
    }
}

/// Keeps the newer of the endpoint's copies.
fn adopt(lane: &mut Lane, endpoint: Arc<Endpoint>) {
    if lane.endpoint.as_ref().is_none_or(|known| known.revision < endpoint.revision) {
        lane.endpoint = Some(endpoint);
    }
}

#[cfg(test)]
mod tests;
