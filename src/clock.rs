//! The only place that reads the time.
//!
//! Everything else is handed a [`Clock`], so that the engine can run for a simulated year in
//! a test that takes a millisecond. `clippy.toml` forbids the alternatives elsewhere.
#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::domain::Timestamp;

/// A source of time: the system's, or one that a test moves by hand.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Simulated(Arc<watch::Sender<Timestamp>>),
}

/// The time allowed for something ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time allowed ran out")]
pub struct Elapsed;

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn simulated(start: Timestamp) -> Clock {
        Clock(Source::Simulated(Arc::new(watch::Sender::new(start))))
    }

    /// The time now, in microseconds since the epoch.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Source::Simulated(time) => *time.borrow(),
        }
    }

    /// Waits until the clock has reached `deadline`.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        match &self.0 {
            Source::System => {
                let now = self.now();
                if deadline > now {
                    tokio::time::sleep(deadline.since(now)).await;
                }
            }
            Source::Simulated(time) => {
                let mut time = time.subscribe();
                // The sender lives in `self`, so this can't fail while we wait.
                let _ = time.wait_for(|now| *now >= deadline).await;
            }
        }
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Runs `future`, for at most `limit`.
    ///
    /// # Errors
    /// [`Elapsed`] where the limit was reached first.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        match &self.0 {
            Source::System => tokio::time::timeout(limit, future).await.map_err(|_| Elapsed),
            Source::Simulated(_) => {
                tokio::select! {
                    biased;
                    output = future => Ok(output),
                    () = self.sleep(limit) => Err(Elapsed),
                }
            }
        }
    }

    /// Moves a simulated clock on, waking everything that was due.
    ///
    /// # Panics
    /// On the system's clock, which nobody can move.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System => panic!("the system's clock can't be advanced"),
            Source::Simulated(time) => time.send_modify(|now| *now = *now + by),
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock::system",
            Source::Simulated(_) => "Clock::simulated",
        })
    }
}
