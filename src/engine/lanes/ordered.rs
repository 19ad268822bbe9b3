//! Lanes that wait until the store knows of an attempt: of ordered endpoints, which get the next
//! event only then, and those that start gently, which a rule may stop then.

use super::Lanes;
use super::turns::Turn;
use crate::domain::{Next, Timestamp};
use crate::store::{Job, Recorded};

/// What follows for the lanes from outcomes that were recorded.
#[derive(Debug, Default)]
pub(in crate::engine) struct AfterRecord {
    /// Whether a lane waited for it.
    pub(in crate::engine) waited: bool,
    /// What has to go back to the store: it was queued behind a failure.
    pub(in crate::engine) stopped: Vec<Job>,
}

impl Lanes {
    /// An attempt was made, which is about to be recorded.
    pub(in crate::engine) fn attempted(&mut self, turn: &Turn, succeeded: bool) {
        if let Some(lane) = self.lanes.get_mut(&turn.job.endpoint)
            && (lane.is_ordered() || lane.gentle && !succeeded)
        {
            lane.awaited.push(turn.job.message.id);
        }
    }

    /// The store has these outcomes, or where not `known`, never will: then their deliveries
    /// are attempted again when their claims run out.
    pub(in crate::engine) fn recorded(
        &mut self,
        outcomes: &[Recorded],
        known: bool,
        now: Timestamp,
    ) -> AfterRecord {
        let mut after = AfterRecord::default();
        for one in outcomes {
            // Nobody waits for a success but ordered lanes.
            if self.ordered > 0 || !one.attempt.succeeded {
                self.outcome_recorded(one, known, now, &mut after);
            }
        }
        after
    }

    fn outcome_recorded(
        &mut self,
        one: &Recorded,
        known: bool,
        now: Timestamp,
        after: &mut AfterRecord,
    ) {
        let id = one.attempt.delivery.endpoint;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if !lane.is_ordered() && lane.awaited.is_empty() {
            return;
        }
        let message = one.attempt.delivery.message;
        if let Some(place) = lane.awaited.iter().position(|&awaited| awaited == message) {
            lane.awaited.swap_remove(place);
            after.waited = true;
        }
        if lane.is_ordered() {
            // What waited in the store may have waited for this.
            let retried = matches!(one.next, Next::Retry { .. });
            if !known || lane.due.is_some() && !retried {
                lane.due = Some(lane.due.map_or(now, |due| due.min(now)));
            }
            if !known || retried {
                after.stopped.extend(self.take_queue(id));
            }
        }
        self.enter_round(id);
        self.arm(id);
        self.drop_if_idle(id);
    }
}
