//! What may come in: a publish that waits for the store takes up memory, so there are so many
//! places and bytes for them, and none waits for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::domain::{Error, Result};

/// How much may wait to be stored. Beyond it publishing is `unavailable` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeLimits {
    /// Publishes that wait for the store.
    pub waiting: usize,
    /// Bytes of their requests' bodies, but one publish at least.
    pub waiting_bytes: usize,
    /// How long each may wait before it is given up.
    pub wait: Duration,
}

impl Default for IntakeLimits {
    fn default() -> IntakeLimits {
        IntakeLimits { waiting: 8_192, waiting_bytes: 256 << 20, wait: Duration::from_secs(10) }
    }
}

/// Counts what waits.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) limits: IntakeLimits,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    publishes: usize,
    bytes: usize,
}

impl Intake {
    pub(super) fn new(limits: IntakeLimits) -> Arc<Intake> {
        Arc::new(Intake { limits, waiting: Mutex::default() })
    }

    /// A place for a publish of so many bytes.
    ///
    /// # Errors
    /// `unavailable` where there is none.
    pub(super) fn admit(self: &Arc<Intake>, bytes: usize) -> Result<Place> {
        let IntakeLimits { waiting: places, waiting_bytes, .. } = self.limits;
        let mut waiting = self.waiting();
        let too_large =
            waiting.publishes > 0 && waiting.bytes.saturating_add(bytes) > waiting_bytes;
        if waiting.publishes >= places || too_large {
            return Err(Error::unavailable(
                "Too many events wait to be stored; nothing of this one was kept.",
            ));
        }
        waiting.publishes += 1;
        waiting.bytes += bytes;
        drop(waiting);
        Ok(Place { intake: Arc::clone(self), bytes })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while the intake is held")
    }
}

/// Room for one publish, until it is dropped.
#[derive(Debug)]
pub struct Place {
    intake: Arc<Intake>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.intake.waiting();
        waiting.publishes -= 1;
        waiting.bytes -= self.bytes;
    }
}

/// A publish's turn at the store: either the store takes it or the publisher gives it up,
/// whoever is first. So what was answered with an error is never stored later.
#[derive(Debug)]
pub(super) struct Turn {
    taken: AtomicBool,
    /// Given back when nothing of the publish is left, here or in the store's queue.
    _place: Place,
}

impl Turn {
    pub(super) fn new(place: Place) -> Turn {
        Turn { taken: AtomicBool::new(false), _place: place }
    }

    /// Whether the caller is the first to take it.
    pub(super) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::SeqCst)
    }
}

/// What a publisher is told whose turn did not come in time.
pub(super) fn waited_too_long() -> Error {
    Error::unavailable("The store did not take the event in time; nothing of it was kept.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorCode;

    fn intake(waiting: usize, waiting_bytes: usize) -> Arc<Intake> {
        Intake::new(IntakeLimits { waiting, waiting_bytes, ..IntakeLimits::default() })
    }

    #[test]
    fn places_are_limited_and_come_back() {
        let intake = intake(2, 1_000);
        let first = intake.admit(1).unwrap();
        let _second = intake.admit(1).unwrap();
        assert_eq!(intake.admit(1).unwrap_err().code, ErrorCode::Unavailable);
        drop(first);
        assert!(intake.admit(1).is_ok());
    }

    #[test]
    fn bytes_are_limited_but_a_large_event_alone_passes() {
        let intake = intake(10, 1_000);
        let large = intake.admit(5_000).unwrap();
        assert_eq!(intake.admit(1).unwrap_err().code, ErrorCode::Unavailable);
        drop(large);
        let half = intake.admit(500).unwrap();
        let _other_half = intake.admit(500).unwrap();
        assert!(intake.admit(1).is_err());
        drop(half);
        assert!(intake.admit(500).is_ok());
    }

    #[test]
    fn a_turn_is_taken_once_and_keeps_its_place_until_then() {
        let intake = intake(1, 1_000);
        let turn = Arc::new(Turn::new(intake.admit(1).unwrap()));
        let of_the_store = Arc::clone(&turn);
        assert!(turn.take());
        assert!(!of_the_store.take());
        drop(turn);
        assert!(intake.admit(1).is_err());
        drop(of_the_store);
        assert!(intake.admit(1).is_ok());
    }
}
