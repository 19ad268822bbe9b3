//! Lanes of endpoints that are switched: held while a transition of the endpoint is under way,
//! and started gently after it.

use super::Lanes;
use crate::domain::{Endpoint, EndpointId, Timestamp};
use crate::store::Job;

/// Stopped endpoints that are remembered. Where there are more, all are forgotten: what was
/// claimed before an endpoint stopped arrives within moments.
const STOPPED_REMEMBERED: usize = 10_000;

impl Lanes {
    /// What waited for an endpoint that was stopped goes out in the order in which it was
    /// published; the store's queue has it in the order in which it became due, which puts
    /// what failed before the stop behind what came after.
    pub(super) fn sort_if_gentle(&mut self, id: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.ramp.is_some()) {
            lane.queue.make_contiguous().sort_by_key(|job| job.message.id);
        }
    }

    /// Remembers whether an endpoint stands still. Its lane may be gone by the time that a
    /// delivery arrives which was claimed before it stopped.
    pub(super) fn remember_stop(&mut self, endpoint: &Endpoint) {
        if endpoint.state.delivers() {
            self.stopped.remove(&endpoint.id);
            return;
        }
        if self.stopped.len() >= STOPPED_REMEMBERED {
            self.stopped.clear();
        }
        self.stopped.insert(endpoint.id, endpoint.revision);
    }

    /// Whether an endpoint stopped after it was as in this copy.
    pub(super) fn stopped_since(&self, endpoint: &Endpoint) -> bool {
        self.stopped.get(&endpoint.id).is_some_and(|&stopped| endpoint.revision < stopped)
    }

    /// Whether a change may make the endpoint deliver again, as far as the lanes know.
    pub(in crate::engine) fn may_resume(&self, endpoint: &Endpoint) -> bool {
        let known = self.lanes.get(&endpoint.id).and_then(|lane| lane.endpoint.as_ref());
        endpoint.state.delivers() && known.is_none_or(|known| !known.state.delivers())
    }

    /// Takes nothing in for an endpoint until [`Lanes::let_go`], so that what is published
    /// while a transition of it is under way can't go before, or with, what that is about.
    pub(in crate::engine) fn hold(&mut self, id: EndpointId) {
        self.lanes.entry(id).or_default().holds += 1;
    }

    /// Hands back what is queued, because it is discarded.
    pub(in crate::engine) fn discarding(&mut self, id: EndpointId) -> Vec<Job> {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.claim_void = lane.claiming.is_some();
        }
        self.empty(id)
    }

    /// Ends a hold. The lane looks into the store for what came meanwhile.
    pub(in crate::engine) fn let_go(&mut self, id: EndpointId, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.holds -= 1;
        self.note_due(id, now);
    }

    /// The endpoint delivers again after it was stopped: it starts with one attempt in flight.
    pub(in crate::engine) fn start_gently(&mut self, id: EndpointId) {
        self.lanes.entry(id).or_default().ramp = Some(1);
    }

    /// An attempt failed, which is about to be recorded.
    pub(in crate::engine) fn failed(&mut self, id: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.ramp.is_some()) {
            lane.unrecorded += 1;
        }
    }

    /// The store knows of a failure. Returns whether the lane waited for that.
    pub(in crate::engine) fn failure_recorded(&mut self, id: EndpointId) -> bool {
        let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.unrecorded > 0) else {
            return false;
        };
        lane.unrecorded -= 1;
        self.enter_round(id);
        self.drop_if_idle(id);
        true
    }
}
