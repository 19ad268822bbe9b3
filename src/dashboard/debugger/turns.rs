//! Who may have a request looked into now.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{ApplicationId, Error, ErrorCode, Result};

/// Diagnoses that are made at the same time. Each may hash tens of megabytes.
const DIAGNOSES_AT_ONCE: usize = 2;

/// Requests that wait for their turn, which comes within seconds.
const WAITING_MAX: usize = 16;

/// The turns that are being had and waited for.
#[derive(Clone)]
pub(super) struct Turns {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    applications: Arc<Mutex<HashSet<ApplicationId>>>,
}

/// A turn of an application. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
    _application: Entry,
}

/// An application among those that have a turn or wait for one.
#[derive(Debug)]
struct Entry {
    application: ApplicationId,
    applications: Arc<Mutex<HashSet<ApplicationId>>>,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns {
            places: Arc::new(Semaphore::new(DIAGNOSES_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            applications: Arc::default(),
        }
    }

    /// Waits for a turn. An application has one at a time, so that none keeps the others out.
    ///
    /// # Errors
    /// Where the application has one already, or too many wait.
    pub(super) async fn take(&self, application: ApplicationId) -> Result<Turn> {
        let entry = self.enter(application).ok_or_else(busy)?;
        let waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| busy())?;
        drop(waiting);
        Ok(Turn { _place: place, _application: entry })
    }

    fn enter(&self, application: ApplicationId) -> Option<Entry> {
        let mut known = self.applications.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.insert(application);
        is_new.then(|| Entry { application, applications: Arc::clone(&self.applications) })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut known = self.applications.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&self.application);
    }
}

fn busy() -> Error {
    let sentence = "Other requests are being looked into. Try again in a moment.";
    Error::new(ErrorCode::Unavailable, sentence)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn an_application_has_one_turn_and_leaves_the_others_to_others() {
        let turns = Turns::new();
        let at = crate::domain::Timestamp::from_seconds(1);
        let [one, other, third] = [1, 2, 3].map(|n| ApplicationId::at(at, [n; 8]));
        let first = turns.take(one).await.unwrap();
        assert_eq!(turns.take(one).await.unwrap_err().code, ErrorCode::Unavailable);
        let _second = turns.take(other).await.unwrap();
        // Who waits is next, and waits only once.
        let mut waiting = pin!(turns.take(third));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert_eq!(turns.take(third).await.unwrap_err().code, ErrorCode::Unavailable);
        drop(first);
        let Poll::Ready(Ok(_third)) = waiting.as_mut().poll(&mut context) else { panic!() };
        // Whose turn has ended may come again.
        let mut again = pin!(turns.take(one));
        assert!(again.as_mut().poll(&mut context).is_pending());
    }
}
