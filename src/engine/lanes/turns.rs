//! Whose turn it is, and what the end of an attempt means for the next.

use std::sync::Arc;

use super::Lanes;
use crate::domain::{ApplicationId, Endpoint, EndpointId, Timestamp, Verdict};
use crate::store::Job;

/// The part of the common limit of attempts in flight that is for lanes in trouble: however
/// many receivers hang, the rest is for those that don't.
const PART_FOR_TROUBLE: usize = 4;

/// A delivery whose turn it is. Its slot is taken until [`Lanes::finished`].
#[derive(Debug)]
pub(in crate::engine) struct Turn {
    pub(in crate::engine) job: Job,
    pub(in crate::engine) endpoint: Arc<Endpoint>,
    /// When it begins: what the endpoint's rate is held by.
    pub(in crate::engine) at: Timestamp,
    /// The round of the lane's congestion in which it began.
    round: u32,
    /// Whether its lane was in trouble.
    troubled: bool,
}

/// What follows from the end of an attempt.
#[derive(Debug, Default)]
pub(in crate::engine) struct Finished {
    /// Whether somebody else may begin an attempt besides.
    pub(in crate::engine) more: bool,
    /// What has to go back to the store, because it must not go before what broke off.
    pub(in crate::engine) stopped: Vec<Job>,
}

impl Lanes {
    /// The next delivery to attempt, in turn among the applications and their lanes. Its slot
    /// is taken.
    pub(in crate::engine) fn next_job(&mut self, now: Timestamp) -> Option<Turn> {
        self.now = now;
        if self.usage.in_flight >= self.limits.in_flight {
            return None;
        }
        while let Some(application) = self.round.pop_front() {
            let Some(tenant) = self.tenants.get_mut(&application) else { continue };
            tenant.in_round = false;
            if let Some(turn) = self.next_of(application) {
                self.enter_rounds(application, Some(turn.job.endpoint));
                return Some(turn);
            }
            // It has its part, and comes back when something of it is finished.
            self.drop_tenant_if_gone(application);
        }
        None
    }

    /// Whether there may be a turn for another one.
    pub(in crate::engine) fn has_turns(&self) -> bool {
        !self.round.is_empty() && self.usage.in_flight < self.limits.in_flight
    }

    /// The next delivery of an application, in turn among its lanes. A lane that has its share
    /// in flight is passed over: it comes back when one of those is finished.
    fn next_of(&mut self, application: ApplicationId) -> Option<Turn> {
        let share = self.share(application).in_flight;
        if share == 0 {
            return None;
        }
        loop {
            let id = self.tenants.get_mut(&application)?.round.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.in_round = false;
            if lane.in_flight >= lane.slots().min(share) {
                continue;
            }
            if self.parks(id) || self.paced(id) {
                continue;
            }
            if let Some(turn) = self.begin(id) {
                return Some(turn);
            }
            // It was emptied meanwhile.
            self.drop_if_idle(id);
        }
    }

    fn begin(&mut self, id: EndpointId) -> Option<Turn> {
        let lane = self.lanes.get_mut(&id)?;
        let endpoint = lane.endpoint.clone()?;
        let job = lane.queue.pop_front()?;
        if let Some(throttle) = &mut lane.throttle {
            throttle.start(self.now);
        }
        let troubled = lane.congestion.in_trouble();
        lane.in_flight += 1;
        self.troubled += usize::from(troubled);
        self.usage.in_flight += 1;
        if let Some(tenant) = self.tenants.get_mut(&lane.application) {
            tenant.usage.in_flight += 1;
        }
        Some(Turn { job, endpoint, at: self.now, round: lane.congestion.round(), troubled })
    }

    /// Whether a lane in trouble has to wait until another one's attempt ends.
    fn parks(&mut self, id: EndpointId) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else { return false };
        let full = self.troubled >= self.limits.in_flight.div_ceil(PART_FOR_TROUBLE);
        let parks = full && lane.congestion.in_trouble();
        if parks {
            lane.parked = true;
            self.parked.push_back(id);
        }
        parks
    }

    /// Takes in the end of an attempt, with the verdict on it unless it broke off, and frees
    /// its slot.
    pub(in crate::engine) fn finished(
        &mut self,
        turn: &Turn,
        verdict: Option<Verdict>,
    ) -> Finished {
        let (id, bytes) = (turn.job.endpoint, turn.job.message.payload.len());
        let application = turn.job.message.application.id;
        let mut finished = Finished::default();
        self.usage.in_flight -= 1;
        self.usage.let_go(bytes);
        if let Some(tenant) = self.tenants.get_mut(&application) {
            tenant.usage.in_flight -= 1;
            tenant.usage.let_go(bytes);
        }
        if let Some(lane) = self.lanes.get_mut(&id) {
            if let Some(verdict) = verdict {
                lane.congestion.observe(verdict, turn.round, lane.in_flight);
                lane.gentle &= verdict != Verdict::Served || lane.congestion.is_starting();
            }
            lane.in_flight -= 1;
            lane.let_go(bytes);
            if verdict.is_none() && lane.is_ordered() {
                finished.stopped = self.take_queue(id);
            }
        }
        if turn.troubled {
            self.troubled -= 1;
            self.unpark();
        }
        self.enter_rounds(application, Some(id));
        self.arm(id);
        self.drop_if_idle(id);
        self.room_was_made();
        finished
    }

    fn unpark(&mut self) {
        let Some(id) = self.parked.pop_front() else { return };
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.parked = false;
        }
        self.enter_round(id);
        self.drop_if_idle(id);
    }

    /// Lets a lane stand in its application's round, where it has something to send.
    pub(super) fn enter_round(&mut self, id: EndpointId) {
        if let Some(lane) = self.lanes.get(&id) {
            self.enter_rounds(lane.application, Some(id));
        }
    }

    /// The same, and the application in the round of all.
    fn enter_rounds(&mut self, application: ApplicationId, lane: Option<EndpointId>) {
        let Some(tenant) = self.tenants.get_mut(&application) else { return };
        if let Some(id) = lane
            && let Some(lane) = self.lanes.get_mut(&id)
        {
            let sends = !lane.queue.is_empty()
                && !lane.in_round
                && !lane.parked
                && lane.in_flight < lane.slots()
                && lane.delivers();
            if sends {
                lane.in_round = true;
                tenant.round.push_back(id);
            }
        }
        if tenant.round.is_empty() {
            self.drop_tenant_if_gone(application);
        } else if !tenant.in_round {
            tenant.in_round = true;
            self.round.push_back(application);
        }
    }
}
