//! Lanes of endpoints with a rate: they wait for the clock, and take no slot meanwhile.

use std::sync::Arc;

use super::Lanes;
use super::lane::Lane;
use crate::domain::{Endpoint, EndpointId, THROTTLE_WINDOW, Throttle, Timestamp};
use crate::store::Job;

impl Lane {
    /// Keeps the rate of its endpoint from now on, if it has one; nothing starts before `from`
    /// where what began lately isn't known.
    pub(super) fn pace_from(&mut self, from: Timestamp) {
        let paced = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.throttle_rate.is_some());
        if !paced {
            self.throttle = None;
        } else if self.throttle.is_none() {
            self.throttle = Some(Box::new(Throttle::new(from)));
        }
    }
}

impl Lanes {
    /// Takes over an endpoint that was changed just now. Where it had no rate so far, what
    /// began within the last second wasn't counted.
    pub(super) fn adopt_changed(&mut self, endpoint: Arc<Endpoint>) -> Vec<Job> {
        let id = endpoint.id;
        let counted = self.lanes.get(&id).is_some_and(|lane| lane.throttle.is_some());
        let stopped = self.adopt(endpoint);
        if !counted && let Some(lane) = self.lanes.get_mut(&id) {
            lane.throttle = None;
            lane.pace_from(self.now + THROTTLE_WINDOW);
        }
        stopped
    }

    /// Whether a lane has to wait for its rate; its timer is set then.
    pub(super) fn paced(&mut self, id: EndpointId) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else { return false };
        let rate = lane.endpoint.as_ref().and_then(|endpoint| endpoint.throttle_rate);
        let (Some(rate), Some(throttle)) = (rate, &mut lane.throttle) else { return false };
        let at = throttle.wait(rate, self.now);
        if let Some(at) = at {
            self.set_pace(id, at);
        }
        at.is_some()
    }

    /// Whether an idle lane is kept, because what it sent in the last second still counts. Its
    /// timer is set then.
    pub(super) fn stays_for_its_pace(&mut self, id: EndpointId) -> bool {
        let throttle = self.lanes.get(&id).and_then(|lane| lane.throttle.as_ref());
        let Some(until) = throttle.map(|throttle| throttle.forgotten_at()) else { return false };
        // Only a clock that was set back can make it later.
        let until = until.min(self.now + THROTTLE_WINDOW);
        if until > self.now {
            self.set_pace(id, until);
        }
        until > self.now
    }

    fn set_pace(&mut self, id: EndpointId, at: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.pace != Some(at) {
            if let Some(set) = lane.pace.replace(at) {
                self.paces.remove(&(set, id));
            }
            self.paces.insert((at, id));
        }
    }

    /// Lets the lanes whose time has come go on.
    pub(super) fn wake_paced(&mut self) {
        while let Some(&(at, id)) = self.paces.first()
            && at <= self.now
        {
            self.paces.pop_first();
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.pace = None;
            }
            self.enter_round(id);
            self.drop_if_idle(id);
        }
    }
}
