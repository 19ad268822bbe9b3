//! Counting what a resend would send: the one thing here that looks at very many messages while
//! somebody waits. One look at a time in the whole store, so that the other readers stay free.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::SqliteStore;
use super::resend_walk::{Reach, Route, Walked, walk};
use crate::domain::{ApplicationId, Endpoint, Error, ErrorCode, MessageId, Result};

/// Messages that a count looks at before others have their turn.
const SCANNED_PER_STEP: usize = 50_000;

/// Messages that a count looks at in all.
const SCANNED_MAX: usize = 5_000_000;

/// Counts that run or wait for their turn.
const COUNTS_MAX: usize = 32;

/// Who counts now.
pub(super) struct Counting {
    /// Handed out in the order of asking, so that a short count is soon done beside a long one.
    turn: Arc<Semaphore>,
    applications: Mutex<HashSet<ApplicationId>>,
}

impl Default for Counting {
    fn default() -> Counting {
        Counting { turn: Arc::new(Semaphore::new(1)), applications: Mutex::default() }
    }
}

impl Counting {
    /// Lets an application count until the place is dropped. It has one, so that nobody waits
    /// behind many counts of somebody else.
    pub(super) fn enter(&self, application: ApplicationId) -> Result<Place<'_>> {
        let mut applications = self.applications();
        if applications.contains(&application) {
            let sentence = "The events of this application are being counted already: wait until \
                that has finished.";
            return Err(Error::new(ErrorCode::RateLimited, sentence));
        }
        if applications.len() >= COUNTS_MAX {
            let sentence = "The events of many applications are being counted: try again soon.";
            return Err(Error::new(ErrorCode::RateLimited, sentence));
        }
        applications.insert(application);
        Ok(Place { counting: self, application })
    }

    fn applications(&self) -> MutexGuard<'_, HashSet<ApplicationId>> {
        self.applications.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An application's place among those who count.
#[must_use]
pub(super) struct Place<'a> {
    counting: &'a Counting,
    application: ApplicationId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.counting.applications().remove(&self.application);
    }
}

impl SqliteStore {
    /// How many messages a resend along `route` would send now.
    pub(super) async fn count_along(
        &self,
        _place: &Place<'_>,
        route: &Route,
        endpoint: Arc<Endpoint>,
    ) -> Result<u64> {
        let (mut after, mut counted, mut scanned) = (MessageId::LOWEST, 0, 0);
        while scanned < SCANNED_MAX {
            let (along, endpoint) = (route.clone(), Arc::clone(&endpoint));
            let reach = Reach { found: usize::MAX, scanned: SCANNED_PER_STEP };
            let turn = Arc::clone(&self.counting.turn).acquire_owned().await;
            let turn = turn.map_err(|_| Error::unavailable("The store is closed."))?;
            let step = move |reader: &Connection| {
                // Held until the look ends, also where the caller has gone away.
                let _turn = turn;
                walk(reader, &along, &endpoint, after, reach)
            };
            let Walked { found, reached, done } = self.readers.read(step).await?;
            counted += found.len() as u64;
            if done {
                return Ok(counted);
            }
            after = reached;
            scanned += SCANNED_PER_STEP;
        }
        let sentence = format!(
            "There are more than {SCANNED_MAX} events in this time, which is too much to count: \
             choose a shorter one."
        );
        Err(Error::new(ErrorCode::BadRequest, sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::entropy::Entropy;

    #[test]
    fn an_application_counts_once_at_a_time_and_not_too_many_do() {
        let counting = Counting::default();
        let refused = |application| counting.enter(application).err().map(|error| error.code);
        let (clock, entropy) = (Clock::system(), Entropy::seeded(1));
        let id = || entropy.id(&clock);
        let own = id();
        let place = counting.enter(own).unwrap();
        assert_eq!(refused(own), Some(ErrorCode::RateLimited));
        let mut places: Vec<_> = (1..COUNTS_MAX).map(|_| counting.enter(id()).unwrap()).collect();
        assert_eq!(refused(id()), Some(ErrorCode::RateLimited));
        places.pop();
        assert_eq!(refused(id()), None, "a place that is left is free again");
        drop(place);
        assert_eq!(refused(own), None);
    }
}
