//! Lanes of endpoints that are switched: held while a transition of the endpoint is under way,
//! and started gently after it.

use super::Lanes;
use crate::domain::{Congestion, Destination, Endpoint, EndpointId, Timestamp};
use crate::store::Job;

/// Endpoints of which void claims are remembered. Where there are more, all are forgotten: what
/// is on its way arrives within moments.
const VOIDED_REMEMBERED: usize = 10_000;

impl Lanes {
    /// What waited for an endpoint that was stopped goes out in the order in which it was
    /// published; the store's queue has it in the order in which it became due, which puts
    /// what failed before the stop behind what came after.
    pub(super) fn sort_if_gentle(&mut self, id: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.gentle) {
            lane.queue.make_contiguous().sort_by_key(|job| job.message.id);
        }
    }

    /// Sends nothing for an endpoint that was claimed up to now, `last` being the end of the
    /// latest claim, and is still on its way here: its lane, or what held it, may be gone when
    /// it arrives.
    pub(in crate::engine) fn void_claims(&mut self, id: EndpointId, last: Timestamp) {
        if self.voided.len() >= VOIDED_REMEMBERED {
            self.voided.clear();
        }
        self.voided.insert(id, last);
    }

    pub(super) fn is_void(&self, job: &Job) -> bool {
        self.voided.get(&job.endpoint).is_some_and(|&last| job.lease.until <= last)
    }

    /// Whether a change may make the endpoint deliver again, as far as the lanes know.
    pub(in crate::engine) fn may_resume(&self, endpoint: &Endpoint) -> bool {
        let known = self.lanes.get(&endpoint.id).and_then(|lane| lane.endpoint.as_ref());
        endpoint.state.delivers() && known.is_none_or(|known| !known.state.delivers())
    }

    /// Takes nothing in for an endpoint until [`Lanes::let_go`], so that what is published
    /// while a transition of it is under way can't go before, or with, what that is about.
    pub(in crate::engine) fn hold(&mut self, destination: Destination) {
        self.lane(destination).holds += 1;
    }

    /// Hands back what is queued, because it is discarded.
    pub(in crate::engine) fn discarding(&mut self, id: EndpointId) -> Vec<Job> {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.claim_void = lane.claiming.is_some();
        }
        self.empty(id)
    }

    /// Ends a hold. The lane looks into the store for what came meanwhile.
    pub(in crate::engine) fn let_go(&mut self, destination: Destination, now: Timestamp) {
        self.lane(destination).holds -= 1;
        self.note_due(destination, now);
    }

    /// The endpoint delivers again after it was stopped: it starts with one attempt in flight.
    pub(in crate::engine) fn start_gently(&mut self, destination: Destination) {
        let full = self.limits.in_flight_per_endpoint;
        let lane = self.lane(destination);
        lane.congestion = Congestion::gentle(full);
        lane.gentle = true;
    }
}
