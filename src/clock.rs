//! The only place that reads the time.
//!
//! Everything else is handed a [`Clock`], so that the engine can run for a simulated year in
//! a test that takes a millisecond. `clippy.toml` forbids the alternatives elsewhere.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// A source of time: the system's, or one that a test moves by hand.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Simulated(Arc<SimulatedTime>),
}

/// Time that somebody moves. Sleepers are woken in the order of their deadlines, and of equal
/// ones in the order in which they went to sleep, so that a run can be repeated.
struct SimulatedTime(Mutex<Timers>);

struct Timers {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    /// How many went to sleep so far.
    numbered: u64,
}

impl SimulatedTime {
    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.0.lock().expect("no panic while the timers are held")
    }

    fn advance(&self, by: Duration) {
        let due = {
            let mut timers = self.timers();
            timers.now = timers.now + by;
            let later = (timers.now + Duration::from_micros(1), 0);
            let asleep = timers.sleepers.split_off(&later);
            std::mem::replace(&mut timers.sleepers, asleep)
        };
        due.into_values().for_each(Waker::wake);
    }
}

/// Ends when simulated time has reached a deadline.
struct Sleep<'a> {
    time: &'a SimulatedTime,
    deadline: Timestamp,
    number: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.time.timers();
        if timers.now >= self.deadline {
            return Poll::Ready(());
        }
        let number = match self.number {
            Some(number) => number,
            None => {
                timers.numbered += 1;
                timers.numbered
            }
        };
        timers.sleepers.insert((self.deadline, number), context.waker().clone());
        drop(timers);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.time.timers().sleepers.remove(&(self.deadline, number));
        }
    }
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
        let timers = Timers { now: start, sleepers: BTreeMap::new(), numbered: 0 };
        Clock(Source::Simulated(Arc::new(SimulatedTime(Mutex::new(timers)))))
    }

    /// The time now, in microseconds since the epoch.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Source::Simulated(time) => time.timers().now,
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
            Source::Simulated(time) => Sleep { time, deadline, number: None }.await,
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
            Source::Simulated(time) => time.advance(by),
        }
    }

    /// When the next sleeper of a simulated clock is due, which is `None` where nobody sleeps.
    ///
    /// # Panics
    /// On the system's clock, which doesn't know.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.0 {
            Source::System => panic!("the system's clock doesn't know who sleeps"),
            Source::Simulated(time) => {
                time.timers().sleepers.first_key_value().map(|((deadline, _), _)| *deadline)
            }
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines_and_leave_nothing_behind() {
        let clock = Clock::simulated(Timestamp::EPOCH);
        let at = |seconds| Timestamp::EPOCH + Duration::from_secs(seconds);
        let mut late = Box::pin(clock.sleep_until(at(9)));
        let mut soon = Box::pin(clock.sleep_until(at(3)));
        assert!(late.as_mut().now_or_never().is_none());
        assert!(soon.as_mut().now_or_never().is_none());
        assert_eq!(clock.next_deadline(), Some(at(3)));
        clock.advance(Duration::from_secs(3));
        assert!(soon.as_mut().now_or_never().is_some());
        assert!(late.as_mut().now_or_never().is_none());
        assert_eq!(clock.next_deadline(), Some(at(9)));
        drop(late);
        assert_eq!(clock.next_deadline(), None);
    }
}
