//! The lanes: which deliveries are held in memory, and which of them goes next.
//!
//! Plain state without clock, I/O or tasks. Every endpoint has a lane of its own, with its own
//! limit of attempts in flight, so that one which hangs takes nobody else's place. Turns go round
//! among the applications, then among an application's lanes.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::domain::{
    ApplicationId, Congestion, Destination, Endpoint, EndpointId, THROTTLE_WINDOW, Timestamp,
    Trigger,
};
use crate::store::Job;

mod claims;
mod lane;
mod limits;
mod memory;
mod ordered;
mod pacing;
mod switching;
mod tenant;
#[cfg(test)]
mod tests;
mod turns;

pub(super) use claims::ClaimRequest;
use lane::Lane;
pub use limits::LaneLimits;
use limits::{Share, Usage};
use memory::Memory;
use tenant::Tenant;
pub(super) use turns::{Finished, Turn};

/// All lanes of this process.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: LaneLimits,
    lanes: HashMap<EndpointId, Lane>,
    tenants: HashMap<ApplicationId, Tenant>,
    usage: Usage,
    /// Applications with something to send, each once. Taken in turn, so that a long queue
    /// waits for itself only.
    round: VecDeque<ApplicationId>,
    /// When to look at which lane's store backlog, each lane once.
    timers: BTreeSet<(Timestamp, EndpointId)>,
    /// When to look at which throttled lane again, each lane once.
    paces: BTreeSet<(Timestamp, EndpointId)>,
    /// Applications with lanes that want to claim, each once.
    claim_round: VecDeque<ApplicationId>,
    /// Those whose claims wait until there is room for what they bring.
    crowded_out: VecDeque<ApplicationId>,
    /// Attempts in flight that began while their lane was in trouble.
    troubled: usize,
    /// Lanes in trouble that wait for one of those to end.
    parked: VecDeque<EndpointId>,
    /// How many lanes are ordered.
    ordered: usize,
    memory: Memory,
    /// Of endpoints that stopped or dropped their queue, the end of the last claim before.
    voided: HashMap<EndpointId, Timestamp>,
    /// Before this, throttled lanes send nothing: what began under the process before isn't
    /// known.
    paced_from: Timestamp,
    /// Until when the claimer sleeps; `None` where only something new wakes it.
    watched: Option<Timestamp>,
    /// The latest time that was told.
    now: Timestamp,
    /// Nothing more is sent by this process, so nothing more is worth claiming.
    stopping: bool,
}

impl Lanes {
    pub(super) fn new(limits: LaneLimits, now: Timestamp) -> Lanes {
        Lanes {
            limits,
            lanes: HashMap::new(),
            tenants: HashMap::new(),
            usage: Usage::default(),
            round: VecDeque::new(),
            timers: BTreeSet::new(),
            paces: BTreeSet::new(),
            claim_round: VecDeque::new(),
            crowded_out: VecDeque::new(),
            troubled: 0,
            parked: VecDeque::new(),
            ordered: 0,
            memory: Memory::new(),
            voided: HashMap::new(),
            paced_from: now + THROTTLE_WINDOW,
            watched: None,
            now,
            stopping: false,
        }
    }

    /// What a lane of this application may have now.
    fn share(&self, application: ApplicationId) -> Share {
        let own = self.tenants.get(&application).map(|tenant| tenant.usage).unwrap_or_default();
        Share::of(&self.limits, &self.usage, &own)
    }

    /// Whether a new delivery may be claimed as it is accepted. Where older ones are due in
    /// the store it may not, or it would overtake them. An ordered endpoint's never is: those
    /// who publish at the same time bring theirs in any order.
    pub(super) fn has_room(&self, endpoint: &Endpoint, now: Timestamp) -> bool {
        if endpoint.ordered || self.stopping {
            return false;
        }
        let share = self.share(endpoint.application_id);
        match self.lanes.get(&endpoint.id) {
            None => share.held > 0 && share.held_bytes > 0,
            Some(lane) => {
                lane.room(&self.limits, &share) > 0
                    && lane.claiming.is_none()
                    && lane.holds == 0
                    && lane.due.is_none_or(|due| due > now && !lane.gentle)
            }
        }
    }

    /// The lane of an endpoint, which is made where there is none.
    fn lane(&mut self, destination: Destination) -> &mut Lane {
        let Destination { application, endpoint } = destination;
        self.lanes.entry(endpoint).or_insert_with(|| {
            self.tenants.entry(application).or_default().lanes += 1;
            let learned = self.memory.learned(endpoint);
            let full = self.limits.in_flight_per_endpoint;
            Lane::new(application, learned.unwrap_or_else(|| Congestion::new(full)))
        })
    }

    /// Takes a claimed delivery in. Hands back what can't be sent now, to be released in the
    /// store: the endpoint stopped delivering in the meantime, or gets its events in order.
    pub(super) fn offer(&mut self, job: Job, endpoint: Arc<Endpoint>) -> Vec<Job> {
        let id = job.endpoint;
        if self.memory.is_deleted(id) {
            return Vec::new();
        }
        if self.is_void(&job) {
            return vec![job];
        }
        self.lane(job.destination());
        let mut stopped = self.adopt(endpoint);
        let takes =
            |lane: &Lane| lane.holds == 0 && (!lane.is_ordered() || job.trigger == Trigger::Manual);
        match self.lanes.get(&id).is_some_and(takes) {
            true => {
                self.enqueue(id, job);
                self.put_first_if_ordered(id);
            }
            false => stopped.push(job),
        }
        stopped.extend(self.settle(id));
        stopped
    }

    fn enqueue(&mut self, id: EndpointId, job: Job) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let bytes = job.message.payload.len();
        lane.hold(bytes);
        lane.queue.push_back(job);
        self.usage.hold(bytes);
        if let Some(tenant) = self.tenants.get_mut(&lane.application) {
            tenant.usage.hold(bytes);
        }
    }

    /// What a person sends goes at once, and never waits for its turn: an ordered lane takes
    /// nothing else in but by claims, which bring what is sent in bulk too, in its order.
    fn put_first_if_ordered(&mut self, id: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.is_ordered()) {
            lane.queue.rotate_right(1);
        }
    }

    /// Notes that the store has, or will have, something for this endpoint at `due`.
    pub(super) fn note_due(&mut self, destination: Destination, due: Timestamp) {
        let lane = self.lane(destination);
        lane.due = Some(lane.due.map_or(due, |known| known.min(due)));
        self.arm(destination.endpoint);
    }

    /// The endpoint changed. Where it no longer delivers, or from now on in order, what was
    /// queued is handed back, to be released in the store.
    pub(super) fn endpoint_changed(&mut self, endpoint: Arc<Endpoint>, now: Timestamp) -> Vec<Job> {
        let destination = endpoint.destination();
        let id = endpoint.id;
        let delivers = endpoint.state.delivers();
        self.now = now;
        if delivers {
            self.lane(destination);
        }
        let mut stopped = self.adopt_changed(endpoint);
        if delivers {
            self.note_due(destination, now);
        }
        stopped.extend(self.settle(id));
        stopped
    }

    /// The endpoint was deleted: nothing more is sent to it, also of what arrives late.
    pub(super) fn endpoint_deleted(&mut self, id: EndpointId) {
        self.empty(id);
        self.memory.deleted(id);
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
        let queued = self.take_queue(id);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.due = None;
            if let Some(timer) = lane.timer.take() {
                self.timers.remove(&(timer, id));
            }
        }
        self.drop_if_idle(id);
        queued
    }

    /// Takes what is queued out of a lane.
    fn take_queue(&mut self, id: EndpointId) -> Vec<Job> {
        let Some(lane) = self.lanes.get_mut(&id) else { return Vec::new() };
        let queued: Vec<Job> = lane.queue.drain(..).collect();
        let tenant = self.tenants.entry(lane.application).or_default();
        for job in &queued {
            let bytes = job.message.payload.len();
            lane.let_go(bytes);
            tenant.usage.let_go(bytes);
            self.usage.let_go(bytes);
        }
        if !queued.is_empty() {
            self.room_was_made();
        }
        queued
    }

    /// Empties every lane, for a graceful stop.
    pub(super) fn empty_all(&mut self) -> Vec<Job> {
        self.stopping = true;
        let mut ids: Vec<EndpointId> = self.lanes.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().flat_map(|id| self.empty(id)).collect()
    }

    /// Keeps the newer of the copies of a lane's endpoint. Where that one is ordered and the
    /// other wasn't, what is queued is handed back: it isn't queued in order.
    fn adopt(&mut self, endpoint: Arc<Endpoint>) -> Vec<Job> {
        let id = endpoint.id;
        let Some(lane) = self.lanes.get_mut(&id) else { return Vec::new() };
        if lane.endpoint.as_ref().is_some_and(|known| known.revision >= endpoint.revision) {
            return Vec::new();
        }
        let (was_ordered, ordered) = (lane.is_ordered(), endpoint.ordered);
        lane.endpoint = Some(endpoint);
        lane.pace_from(self.paced_from);
        self.ordered -= usize::from(was_ordered);
        self.ordered += usize::from(ordered);
        if ordered && !was_ordered { self.take_queue(id) } else { Vec::new() }
    }

    /// Forgets a lane of which nothing is left. What was learned of its receiver stays.
    fn drop_if_idle(&mut self, id: EndpointId) {
        if !self.lanes.get(&id).is_some_and(Lane::is_idle) || self.stays_for_its_pace(id) {
            return;
        }
        let Some(lane) = self.lanes.remove(&id) else { return };
        if let Some(timer) = lane.timer {
            self.timers.remove(&(timer, id));
        }
        if let Some(pace) = lane.pace {
            self.paces.remove(&(pace, id));
        }
        self.ordered -= usize::from(lane.is_ordered());
        self.memory.learn(id, lane.congestion);
        if let Some(tenant) = self.tenants.get_mut(&lane.application) {
            tenant.lanes -= 1;
            self.drop_tenant_if_gone(lane.application);
        }
    }

    fn drop_tenant_if_gone(&mut self, application: ApplicationId) {
        if self.tenants.get(&application).is_some_and(Tenant::is_gone) {
            self.tenants.remove(&application);
        }
    }
}
