//! The place of one endpoint's connection: opens it, one dial at a time, and not again at once
//! where that failed.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use super::Dialler;
use super::link::Link;
use crate::clock::Clock;
use crate::contract::WireMessage;
use crate::domain::{Failure, FailureKind, Outcome, Phase, Timestamp};
use crate::sender::Guard;
use crate::sender::failure::timed_out;
use crate::sender::progress::Progress;

/// How long after a first failure the next dial waits. Doubled with each further one.
const BACKOFF: Duration = Duration::from_secs(1);

/// The longest that a dial waits, where the attempt's own time isn't shorter.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Where a connection leads, and as whom.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) handshake: HeaderMap,
    pub(super) guard: Guard,
}

impl Target {
    pub(super) fn of(message: &WireMessage, guard: &Guard) -> Target {
        Target {
            url: message.url.clone(),
            handshake: message.handshake.clone(),
            guard: guard.clone(),
        }
    }

    pub(super) fn is_of(&self, message: &WireMessage, guard: &Guard) -> bool {
        self.url == message.url && self.handshake == message.handshake && self.guard == *guard
    }
}

pub(super) struct Slot {
    pub(super) target: Target,
    gate: Mutex<Gate>,
    /// How many dials failed.
    failed_dials: AtomicU64,
    /// In microseconds since the epoch.
    used_at: AtomicI64,
}

/// What one attempt at a time may look at and change.
#[derive(Default)]
struct Gate {
    link: Option<Link>,
    /// What the last dial that failed brought.
    refusal: Option<Outcome>,
    /// Dials in a row that brought no acknowledgement, and when the last of them ended.
    failures: u32,
    failed_at: Timestamp,
}

impl Slot {
    pub(super) fn new(target: Target) -> Slot {
        Slot {
            target,
            gate: Mutex::default(),
            failed_dials: AtomicU64::new(0),
            used_at: AtomicI64::new(0),
        }
    }

    pub(super) fn touch(&self, now: Timestamp) {
        self.used_at.store(now.as_micros(), Relaxed);
    }

    pub(super) fn used_at(&self) -> i64 {
        self.used_at.load(Relaxed)
    }

    pub(super) fn is_open(&self) -> bool {
        let gate = self.gate.try_lock();
        gate.is_ok_and(|gate| gate.link.as_ref().is_some_and(Link::is_open))
    }

    /// Whether it has no connection and nothing to remember.
    pub(super) fn is_forgettable(&self, now: Timestamp) -> bool {
        self.gate.try_lock().is_ok_and(|mut gate| {
            gate.drop_closed();
            gate.link.is_none() && gate.next_dial(BACKOFF_MAX) <= now
        })
    }

    /// A connection over which the event `id` has not gone yet. Attempts that come while one of
    /// them dials share what that brings: a receiver that is down isn't dialled for each.
    pub(super) async fn link(
        &self,
        id: &str,
        dialler: &Dialler,
        timeout: Duration,
        progress: &mut Progress<'_>,
    ) -> Result<Link, Outcome> {
        let failed_before = self.failed_dials.load(Relaxed);
        let mut gate = self.enter(progress).await;
        gate.drop_closed();
        if let Some(link) = gate.link_for(id) {
            return Ok(link);
        }
        if self.failed_dials.load(Relaxed) != failed_before
            && let Some(refusal) = &gate.refusal
        {
            return Err(refusal.clone());
        }
        progress.enter(Phase::Connect);
        let clock = &dialler.connector.clock;
        // Half of the attempt's time at the most, so that it ends with a verdict of its own.
        clock.sleep_until(gate.next_dial(BACKOFF_MAX.min(timeout / 2))).await;
        let dial = Dial { slot: self, gate: &mut gate, clock, timeout, ended: false };
        let dialled = dialler.dial(&self.target, progress).await;
        if let Ok(link) = &dialled {
            link.reserve(id);
        }
        dial.end(dialled)
    }

    /// Waits for its turn, which is at once unless somebody dials.
    async fn enter(&self, progress: &mut Progress<'_>) -> MutexGuard<'_, Gate> {
        if let Ok(gate) = self.gate.try_lock() {
            return gate;
        }
        progress.enter(Phase::Connect);
        self.gate.lock().await
    }
}

/// A dial under way. One that is given up, because its attempt ran out of time, is a failure for
/// those who wait for it too: otherwise each of them would begin one of its own at that moment.
struct Dial<'a> {
    slot: &'a Slot,
    gate: &'a mut Gate,
    clock: &'a Clock,
    timeout: Duration,
    ended: bool,
}

impl Dial<'_> {
    fn end(mut self, dialled: Result<Link, Outcome>) -> Result<Link, Outcome> {
        self.ended = true;
        match &dialled {
            Ok(link) => self.gate.link = Some(link.clone()),
            // It says nothing about the receiver.
            Err(Outcome::Failed(Failure { kind: FailureKind::Local, .. })) => {}
            Err(refusal) => self.failed(refusal.clone()),
        }
        dialled
    }

    fn failed(&mut self, refusal: Outcome) {
        self.gate.failed(self.clock.now());
        self.gate.refusal = Some(refusal);
        self.slot.failed_dials.fetch_add(1, Relaxed);
    }
}

impl Drop for Dial<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.failed(Outcome::Failed(timed_out(Phase::Connect, self.timeout)));
        }
    }
}

impl Gate {
    /// Lets go of a connection that ended. One that brought no acknowledgement counts like a
    /// dial that failed.
    fn drop_closed(&mut self) {
        let Some(link) = &self.link else { return };
        if link.has_acknowledged() {
            self.failures = 0;
        }
        if let Some(ended_at) = link.ended_at() {
            if !link.has_acknowledged() {
                self.failed(ended_at);
            }
            self.link = None;
        }
    }

    /// The connection, unless the event went over it already or it has carried enough: then it
    /// gets no more deliveries, and closes after those that it has.
    fn link_for(&mut self, id: &str) -> Option<Link> {
        self.link.take_if(|link| !link.reserve(id));
        self.link.clone()
    }

    fn failed(&mut self, at: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.failed_at = at;
    }

    /// When to dial again, where waiting must not take longer than `longest`.
    fn next_dial(&self, longest: Duration) -> Timestamp {
        let Some(doublings) = self.failures.checked_sub(1) else { return self.failed_at };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.failed_at + BACKOFF.saturating_mul(factor).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_start_over() {
        let at = Timestamp::from_seconds(1_000);
        let mut gate = Gate::default();
        let wait = |gate: &Gate, longest: u64| {
            gate.next_dial(Duration::from_secs(longest)).since(at).as_secs()
        };
        assert!(gate.next_dial(BACKOFF_MAX) <= at);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            gate.failed(at);
            assert_eq!(wait(&gate, 30), expected);
            assert_eq!(wait(&gate, 5), expected.min(5));
        }
        gate.failures = u32::MAX;
        gate.failed(at);
        assert_eq!(wait(&gate, 30), 30);
    }
}
