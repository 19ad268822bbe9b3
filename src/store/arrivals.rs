//! Who waits for new events, and how they are told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::domain::{ApplicationId, Error, ErrorCode, Result};

/// How many readers may wait for events at the same time. Each is a connection held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingLimits {
    /// Altogether.
    pub readers: usize,
    /// Those of one application, so that no tenant takes every place.
    pub readers_per_application: usize,
}

impl Default for WaitingLimits {
    fn default() -> WaitingLimits {
        WaitingLimits { readers: 4_096, readers_per_application: 64 }
    }
}

/// Everybody who waits.
pub(crate) struct EventReaders {
    limits: WaitingLimits,
    readers: Mutex<Readers>,
}

#[derive(Default)]
struct Readers {
    /// Holds an application for as long as somebody waits for its events.
    by_application: HashMap<ApplicationId, Told>,
    count: usize,
}

struct Told {
    sender: watch::Sender<()>,
    readers: usize,
}

impl EventReaders {
    pub(crate) fn new(limits: WaitingLimits) -> Arc<EventReaders> {
        Arc::new(EventReaders { limits, readers: Mutex::default() })
    }

    /// Begins to wait for an application's events.
    pub(crate) fn begin(self: &Arc<EventReaders>, application: ApplicationId) -> Result<Arrivals> {
        let mut readers = self.readers();
        if readers.count >= self.limits.readers {
            let sentence = "Too many readers wait for events at present; try again later.";
            return Err(Error::unavailable(sentence));
        }
        let told = readers
            .by_application
            .entry(application)
            .or_insert_with(|| Told { sender: watch::Sender::new(()), readers: 0 });
        if told.readers >= self.limits.readers_per_application {
            let limit = self.limits.readers_per_application;
            let sentence = format!("An application can have {limit} readers waiting for events");
            return Err(Error::new(ErrorCode::RateLimited, sentence));
        }
        told.readers += 1;
        let news = told.sender.subscribe();
        readers.count += 1;
        Ok(Arrivals { waiting: Arc::clone(self), application, news })
    }

    /// Wakes those who wait for these applications' events. Where nobody does it costs a look.
    pub(crate) fn tell(&self, news: impl Iterator<Item = ApplicationId>) {
        let readers = self.readers();
        if readers.by_application.is_empty() {
            return;
        }
        for application in news {
            if let Some(told) = readers.by_application.get(&application) {
                told.sender.send_replace(());
            }
        }
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.readers().count
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().expect("no panic while the waiting readers are held")
    }
}

/// News of one application's events, from the moment on at which it was asked for.
pub struct Arrivals {
    waiting: Arc<EventReaders>,
    application: ApplicationId,
    news: watch::Receiver<()>,
}

impl Arrivals {
    /// Waits until something was published, or the application deleted, since this was last
    /// asked. What is to be read then is in the store.
    pub async fn next(&mut self) {
        // The sender stays as long as anybody waits, so this can't fail.
        let _ = self.news.changed().await;
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        let mut readers = self.waiting.readers();
        readers.count -= 1;
        let Some(told) = readers.by_application.get_mut(&self.application) else { return };
        told.readers -= 1;
        if told.readers == 0 {
            readers.by_application.remove(&self.application);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;

    use super::*;
    use crate::domain::{Id, Timestamp};

    fn application(seed: u8) -> ApplicationId {
        Id::at(Timestamp::from_seconds(1_750_000_000), [seed; 8])
    }

    fn waiting(readers: usize, readers_per_application: usize) -> Arc<EventReaders> {
        EventReaders::new(WaitingLimits { readers, readers_per_application })
    }

    #[tokio::test]
    async fn news_that_came_while_nobody_looked_are_told_once() {
        let waiting = waiting(10, 10);
        waiting.tell([application(1)].into_iter());
        let mut arrivals = waiting.begin(application(1)).unwrap();
        assert!(poll_immediate(arrivals.next()).await.is_none(), "it was before");
        waiting.tell([application(1)].into_iter());
        waiting.tell([application(1)].into_iter());
        waiting.tell([application(2)].into_iter());
        assert!(poll_immediate(arrivals.next()).await.is_some());
        assert!(poll_immediate(arrivals.next()).await.is_none());
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let waiting = waiting(3, 2);
        let code = |result: Result<Arrivals>| result.err().map(|error| error.code);
        let first = waiting.begin(application(1)).unwrap();
        let second = waiting.begin(application(1)).unwrap();
        assert_eq!(code(waiting.begin(application(1))), Some(ErrorCode::RateLimited));
        let third = waiting.begin(application(2)).unwrap();
        assert_eq!(code(waiting.begin(application(3))), Some(ErrorCode::Unavailable));
        drop(first);
        let fourth = waiting.begin(application(1)).unwrap();
        drop((second, third, fourth));
        assert!(waiting.readers().by_application.is_empty());
        assert_eq!(waiting.count(), 0);
    }
}
