//! One endpoint's deliveries.

use std::collections::VecDeque;
use std::sync::Arc;

use super::limits::{LaneLimits, Share};
use crate::domain::{ApplicationId, Congestion, Endpoint, MessageId, Throttle, Timestamp};
use crate::store::Job;

/// Deliveries that a lane holds for each attempt that its learned limit allows, so that a slow
/// receiver gets round to them before their claims run out.
const HELD_PER_SLOT: usize = 4;

/// The seconds for which a throttled lane holds deliveries, well within the time that a claim
/// may be queued.
const HELD_SECONDS: usize = 60;

/// Deliveries that an ordered lane holds: it sends one after the other.
const HELD_IN_ORDER: usize = 8;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) application: ApplicationId,
    /// Unknown until its first delivery is there.
    pub(super) endpoint: Option<Arc<Endpoint>>,
    pub(super) queue: VecDeque<Job>,
    pub(super) in_flight: usize,
    /// What is queued and in flight.
    pub(super) held: usize,
    /// The bytes of their payloads.
    pub(super) held_bytes: usize,
    /// When the store next has something for this lane, as far as we know.
    pub(super) due: Option<Timestamp>,
    /// The timer that is set for it.
    pub(super) timer: Option<Timestamp>,
    /// Whether it stands among its application's lanes that want to claim.
    pub(super) asking: bool,
    /// What the claim under way may bring.
    pub(super) claiming: Option<usize>,
    /// Whether what it brings was discarded meanwhile.
    pub(super) claim_void: bool,
    /// Whether it stands in its application's round of lanes that have something to send.
    pub(super) in_round: bool,
    /// Whether it waits among those in trouble.
    pub(super) parked: bool,
    /// What its receiver can take.
    pub(super) congestion: Congestion,
    /// Whether it starts gently: each failure takes a place in flight until it is recorded, so
    /// that a rule can stop the endpoint before the next attempt.
    pub(super) gentle: bool,
    /// Attempts that the lane waits for the store to know of.
    pub(super) awaited: Vec<MessageId>,
    /// Where the endpoint has a rate: what began lately.
    pub(super) throttle: Option<Box<Throttle>>,
    /// The timer that is set for its next start, or for forgetting the last one.
    pub(super) pace: Option<Timestamp>,
    /// Transitions under way during which it takes nothing in.
    pub(super) holds: usize,
}

impl Lane {
    pub(super) fn new(application: ApplicationId, congestion: Congestion) -> Lane {
        Lane {
            application,
            endpoint: None,
            queue: VecDeque::new(),
            in_flight: 0,
            held: 0,
            held_bytes: 0,
            due: None,
            timer: None,
            asking: false,
            claiming: None,
            claim_void: false,
            in_round: false,
            parked: false,
            congestion,
            gentle: false,
            awaited: Vec::new(),
            throttle: None,
            pace: None,
            holds: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        let busy = self.claiming.is_some() || self.holds > 0 || !self.awaited.is_empty();
        let queued = self.in_round || self.asking || self.parked;
        self.held == 0 && self.due.is_none() && !busy && !queued
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.ordered)
    }

    pub(super) fn delivers(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.state.delivers())
    }

    /// How many attempts it may have in flight by itself.
    pub(super) fn slots(&self) -> usize {
        if self.is_ordered() {
            return usize::from(self.awaited.is_empty());
        }
        let limit = self.congestion.limit();
        if self.gentle { limit.saturating_sub(self.awaited.len()) } else { limit }
    }

    /// How many deliveries it may hold by itself.
    pub(super) fn window(&self, limits: &LaneLimits) -> usize {
        let mut window = limits.window;
        // One that starts gently sends in the order of publishing, for which it has to see more.
        if !self.congestion.is_full() && !self.gentle {
            window = window.min(self.congestion.limit().saturating_mul(HELD_PER_SLOT));
        }
        let rate = self.endpoint.as_ref().and_then(|endpoint| endpoint.throttle_rate);
        if let Some(rate) = rate {
            window = window.min(usize::from(rate.get()) * HELD_SECONDS);
        }
        if self.is_ordered() { window.min(HELD_IN_ORDER) } else { window }
    }

    /// How many more deliveries it may take in, where it has this share. None while what it
    /// holds has to be finished first.
    pub(super) fn room(&self, limits: &LaneLimits, share: &Share) -> usize {
        if self.held_bytes >= share.held_bytes || self.finishes_first() {
            return 0;
        }
        self.window(limits).min(share.held).saturating_sub(self.held)
    }

    /// An ordered lane claims only where nothing of it is under way: its turn is decided in the
    /// store, where the order stands.
    pub(super) fn finishes_first(&self) -> bool {
        self.is_ordered() && (self.held > 0 || !self.awaited.is_empty())
    }

    pub(super) fn hold(&mut self, bytes: usize) {
        self.held += 1;
        self.held_bytes += bytes;
    }

    pub(super) fn let_go(&mut self, bytes: usize) {
        self.held -= 1;
        self.held_bytes -= bytes;
    }
}
