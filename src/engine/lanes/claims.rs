//! Claims: when a lane looks into the store for what is due, and how much it may bring.

use super::Lanes;
use super::lane::Lane;
use crate::domain::{ApplicationId, Destination, EndpointId, Timestamp};
use crate::store::{Claimed, Job};

/// Claims under way at once. More would only queue in the store beside what is published.
const CLAIMS_AT_ONCE: usize = 16;

/// Claims of one application under way at once, so that its backlog at a thousand endpoints
/// leaves room for another's one.
const CLAIMS_PER_APPLICATION: usize = 8;

/// Applications that look for room again each time that some was made.
const LOOKING_FOR_ROOM: usize = 2;

/// A claim that the lanes ask for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) struct ClaimRequest {
    pub(in crate::engine) destination: Destination,
    /// Deliveries to claim at the most.
    pub(in crate::engine) limit: u32,
    /// Bytes of payloads at which to stop, with one delivery at least.
    pub(in crate::engine) max_bytes: usize,
}

/// What an application's wish to claim came to.
enum Asked {
    Granted(ClaimRequest),
    /// None of its lanes wants anything now.
    Nothing,
    /// There is no room for what it would bring.
    NoRoom,
}

impl Lanes {
    /// The claims to make now, in turn among the applications. Each lane has at most one under
    /// way, and asks only when half its window is free, so that a long backlog is read in large
    /// pieces.
    pub(in crate::engine) fn due_claims(&mut self, now: Timestamp) -> Vec<ClaimRequest> {
        self.now = now;
        self.wake_paced();
        self.take_due_timers();
        let mut claims = Vec::new();
        while self.usage.claims < CLAIMS_AT_ONCE
            && let Some(application) = self.claim_round.pop_front()
        {
            match self.ask(application) {
                Asked::Granted(request) => {
                    claims.push(request);
                    self.claim_round.push_back(application);
                }
                Asked::NoRoom => self.crowded_out.push_back(application),
                Asked::Nothing => {
                    if let Some(tenant) = self.tenants.get_mut(&application) {
                        tenant.in_claim_round = false;
                    }
                    self.drop_tenant_if_gone(application);
                }
            }
        }
        claims
    }

    /// Lets the lanes whose timer has run out ask for a claim.
    fn take_due_timers(&mut self) {
        while let Some(&(at, id)) = self.timers.first()
            && at <= self.now
        {
            self.timers.pop_first();
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.timer = None;
            lane.asking = true;
            let application = lane.application;
            if let Some(tenant) = self.tenants.get_mut(&application) {
                tenant.asking.push_back(id);
                self.enter_claim_round(application);
            }
        }
    }

    fn enter_claim_round(&mut self, application: ApplicationId) {
        if let Some(tenant) = self.tenants.get_mut(&application)
            && !tenant.in_claim_round
            && !tenant.asking.is_empty()
            && tenant.usage.claims < CLAIMS_PER_APPLICATION
        {
            tenant.in_claim_round = true;
            self.claim_round.push_back(application);
        }
    }

    fn ask(&mut self, application: ApplicationId) -> Asked {
        let share = self.share(application);
        while let Some(tenant) = self.tenants.get_mut(&application)
            && tenant.usage.claims < CLAIMS_PER_APPLICATION
            && let Some(&id) = tenant.asking.front()
        {
            let Some(lane) = self.lanes.get_mut(&id) else {
                tenant.asking.pop_front();
                continue;
            };
            let room = lane.room(&self.limits, &share);
            let claims = lane.due.is_some() && lane.holds == 0;
            if claims && room == 0 && lane.held == 0 && !lane.finishes_first() {
                return Asked::NoRoom;
            }
            tenant.asking.pop_front();
            lane.asking = false;
            if !claims || room == 0 {
                // What it waits for ends in another look: the end of a hold, or of what it
                // sends at present.
                self.drop_if_idle(id);
                continue;
            }
            lane.claiming = Some(room);
            lane.due = None;
            tenant.usage.claims += 1;
            tenant.usage.reserved += room;
            self.usage.claims += 1;
            self.usage.reserved += room;
            return Asked::Granted(ClaimRequest {
                destination: Destination { application, endpoint: id },
                limit: u32::try_from(room).unwrap_or(u32::MAX),
                max_bytes: share.held_bytes / CLAIMS_AT_ONCE,
            });
        }
        Asked::Nothing
    }

    /// Takes in what a claim brought. Hands back like [`Lanes::offer`].
    pub(in crate::engine) fn claimed(
        &mut self,
        destination: Destination,
        claimed: Claimed,
    ) -> Vec<Job> {
        let id = destination.endpoint;
        let void = self.claim_ended(destination);
        let mut stopped = match claimed.endpoint {
            // It was claimed before it was discarded.
            _ if void => claimed.jobs,
            Some(endpoint) if !self.memory.is_deleted(id) => {
                let in_order = endpoint.ordered;
                let mut stopped = self.adopt(endpoint);
                stopped.extend(self.queue_claimed(id, claimed.jobs, in_order));
                if let Some(due) = claimed.next_due {
                    self.note_due(destination, due);
                }
                stopped
            }
            _ => Vec::new(),
        };
        stopped.extend(self.settle(id));
        self.arm(id);
        self.drop_if_idle(id);
        self.room_was_made();
        stopped
    }

    /// Queues what was claimed, or hands it back where the endpoint became ordered meanwhile.
    fn queue_claimed(&mut self, id: EndpointId, jobs: Vec<Job>, in_order: bool) -> Vec<Job> {
        if !in_order && self.lanes.get(&id).is_some_and(Lane::is_ordered) {
            return jobs;
        }
        for job in jobs {
            self.enqueue(id, job);
        }
        self.sort_if_gentle(id);
        Vec::new()
    }

    /// A claim could not be made: look again at `retry_at`.
    pub(in crate::engine) fn claim_failed(
        &mut self,
        destination: Destination,
        retry_at: Timestamp,
    ) {
        self.claim_ended(destination);
        self.note_due(destination, retry_at);
        self.room_was_made();
    }

    /// Returns whether what the claim brings is void.
    fn claim_ended(&mut self, destination: Destination) -> bool {
        self.usage.claims -= 1;
        let lane = self.lane(destination);
        let reserved = lane.claiming.take().unwrap_or(0);
        let void = std::mem::take(&mut lane.claim_void);
        self.usage.reserved -= reserved;
        if let Some(tenant) = self.tenants.get_mut(&destination.application) {
            tenant.usage.claims -= 1;
            tenant.usage.reserved -= reserved;
        }
        self.enter_claim_round(destination.application);
        void
    }

    /// The time until which the claimer may sleep now, unless [`Lanes::wants_look`].
    pub(in crate::engine) fn watch(&mut self) -> Option<Timestamp> {
        self.watched = self.next_timer();
        self.watched
    }

    /// Whether something is due before the claimer, as it last watched, wakes by itself.
    pub(in crate::engine) fn wants_look(&self) -> bool {
        let next = self.next_timer();
        next.is_some_and(|next| self.watched.is_none_or(|watched| next < watched))
    }

    /// When the next lane wants to be looked after. Claims aren't counted while no further one
    /// may be made: the end of one is what to wait for then.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        let pace = self.paces.first().map(|(at, _)| *at);
        let claim = match self.claim_round.is_empty() {
            _ if self.usage.claims >= CLAIMS_AT_ONCE => None,
            true => self.timers.first().map(|(at, _)| *at),
            false => Some(self.now),
        };
        match (pace, claim) {
            (Some(pace), Some(claim)) => Some(pace.min(claim)),
            (pace, claim) => pace.or(claim),
        }
    }

    /// Sets the lane's timer. Not while a claim or a hold is under way, nor while the lane is
    /// too full to claim more, nor while it asks already: each of these ends in another call.
    pub(super) fn arm(&mut self, id: EndpointId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(due) = lane.due else { return };
        let busy = lane.claiming.is_some() || lane.asking || lane.holds > 0;
        if busy || lane.finishes_first() || lane.held * 2 > lane.window(&self.limits) {
            return;
        }
        if lane.timer != Some(due) {
            if let Some(set) = lane.timer.replace(due) {
                self.timers.remove(&(set, id));
            }
            self.timers.insert((due, id));
        }
    }

    /// Lets the applications that waited longest look for room again, as many as there may be
    /// room for.
    pub(super) fn room_was_made(&mut self) {
        for _ in 0..LOOKING_FOR_ROOM {
            let Some(application) = self.crowded_out.pop_front() else { return };
            self.claim_round.push_back(application);
        }
    }
}
