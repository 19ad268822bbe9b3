//! The load: publishers that each send one message after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{anyhow, bail};
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::connection::{Connection, Origin};
use super::payload::{EVENT_TYPE, Stamp, micros};
use super::receiver::Shared;
use crate::clock::Clock;
use crate::domain::Timestamp;

/// How long a publisher waits after a refusal. The server's `Retry-After` is for clients that
/// want their message accepted rather than to know how many are.
const PAUSE: Duration = Duration::from_millis(100);

/// Refusals in a row that a publisher takes before it gives up.
const PATIENCE_REFUSALS: u32 = 50;

/// A message of a paced load that is sent so much after its time says that the load can't
/// keep up.
const LATE: Duration = Duration::from_millis(10);

/// How much to publish.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    For(Duration),
    Messages(u32),
}

/// What the publishers of one run do.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) publishers: usize,
    /// Messages a second; `None` for as many as are accepted.
    pub(super) pace: Option<u32>,
    pub(super) amount: Amount,
    pub(super) payload_bytes: usize,
    /// Deliveries that each message makes, where the load waits for what is under way.
    pub(super) waits_for: Option<u32>,
}

/// Where messages go.
pub(super) struct Destination {
    /// Publishers take turns among them.
    pub(super) origins: Vec<Origin>,
    /// Messages take turns among them.
    pub(super) paths: Vec<String>,
    /// Whether payloads are published, or sent as they are.
    pub(super) published: bool,
}

/// What publishers did, and what was said to it.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Numbers of the messages that were acknowledged.
    pub(super) acknowledged: Vec<u32>,
    /// How long each acknowledgement took, in microseconds.
    pub(super) took_us: Vec<u32>,
    pub(super) refused: u64,
    /// One of the reasons why.
    pub(super) refusal: Option<anyhow::Error>,
    /// Messages of a paced load that were sent too late.
    pub(super) late: u64,
}

/// One run of a load, shared by its publishers.
pub(super) struct Run {
    load: Load,
    destination: Destination,
    started: Timestamp,
    first: u32,
    next: AtomicU32,
    acknowledged: AtomicU64,
    receivers: Arc<Shared>,
    clock: Clock,
}

impl Run {
    /// A run that begins now with message number `first`.
    pub(super) fn new(
        load: Load,
        destination: Destination,
        first: u32,
        receivers: Arc<Shared>,
        clock: &Clock,
    ) -> Run {
        if let Some(deliveries) = load.waits_for {
            let room = deliveries as usize * load.publishers;
            receivers.room.forget_permits(Semaphore::MAX_PERMITS);
            receivers.room.add_permits(room);
        }
        Run {
            load,
            destination,
            started: clock.now(),
            first,
            next: AtomicU32::new(first),
            acknowledged: AtomicU64::new(0),
            receivers,
            clock: clock.clone(),
        }
    }

    /// Publishes everything.
    ///
    /// # Errors
    /// Where the server takes nothing, or nothing any more.
    pub(super) async fn publish(self: &Arc<Run>) -> anyhow::Result<Published> {
        let mut publishers = JoinSet::new();
        for index in 0..self.load.publishers {
            let run = self.clone();
            publishers.spawn(async move { run.publisher(index).await });
        }
        let mut all = Published::default();
        while let Some(one) = publishers.join_next().await {
            let mut one = one??;
            all.acknowledged.append(&mut one.acknowledged);
            all.took_us.append(&mut one.took_us);
            all.refused += one.refused;
            all.late += one.late;
            all.refusal = all.refusal.or(one.refusal);
        }
        match all.refusal.take_if(|_| all.acknowledged.is_empty()) {
            Some(refusal) => Err(refusal),
            None => Ok(all),
        }
    }

    /// When it began.
    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    /// A number that no message of this run has, nor any above it.
    pub(super) fn end(&self) -> u32 {
        self.next.load(Relaxed)
    }

    /// How many messages were acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }

    /// How much of it is done, from 0 to 1.
    pub(super) fn done(&self) -> f64 {
        match self.load.amount {
            Amount::For(time) => {
                self.clock.now().since(self.started).as_secs_f64() / time.as_secs_f64()
            }
            Amount::Messages(count) => {
                f64::from(self.end().saturating_sub(self.first)) / f64::from(count)
            }
        }
    }

    async fn publisher(&self, index: usize) -> anyhow::Result<Published> {
        let origins = &self.destination.origins;
        let origin = &origins[index % origins.len()];
        let (mut published, mut connection, mut refusals) = (Published::default(), None, 0);
        while let Some((number, late)) = self.turn().await {
            published.late += u64::from(late);
            let sent_at = self.clock.now();
            match self.send(Stamp { number, sent_at }, origin, &mut connection).await {
                Ok(()) => {
                    published.acknowledged.push(number);
                    published.took_us.push(micros(self.clock.now().since(sent_at)));
                    self.acknowledged.fetch_add(1, Relaxed);
                    refusals = 0;
                }
                Err(error) if refusals == PATIENCE_REFUSALS => return Err(error),
                Err(error) => {
                    refusals += 1;
                    published.refused += 1;
                    published.refusal = Some(error);
                    // Nothing of it will arrive that others could wait for.
                    self.receivers.room.add_permits(self.load.waits_for.unwrap_or(0) as usize);
                    self.clock.sleep(PAUSE).await;
                }
            }
        }
        Ok(published)
    }

    /// The number of the next message, when it is time for it, and whether that was too late.
    /// `None` when everything was sent.
    async fn turn(&self) -> Option<(u32, bool)> {
        let number = self.next.fetch_add(1, Relaxed);
        let index = number - self.first;
        let due = match self.load.pace {
            None => self.clock.now(),
            Some(pace) => {
                self.started + Duration::from_secs_f64(f64::from(index) / f64::from(pace))
            }
        };
        let end = match self.load.amount {
            Amount::For(time) => Some(self.started + time),
            Amount::Messages(count) if index >= count => return None,
            Amount::Messages(_) => None,
        };
        if end.is_some_and(|end| due >= end) {
            return None;
        }
        self.clock.sleep_until(due).await;
        let late = self.load.pace.is_some() && self.clock.now().since(due) > LATE;
        if let Some(deliveries) = self.load.waits_for {
            let room = self.receivers.room.acquire_many(deliveries);
            let limit = end.map_or(Duration::MAX, |end| end.since(self.clock.now()));
            self.clock.timeout(limit, room).await.ok()?.ok()?.forget();
        }
        Some((number, late))
    }

    async fn send<'a>(
        &self,
        stamp: Stamp,
        origin: &'a Origin,
        connection: &mut Option<Connection<'a>>,
    ) -> anyhow::Result<()> {
        let payload = stamp.payload(self.load.payload_bytes);
        let body = match self.destination.published {
            true => format!(r#"{{"eventType":"{EVENT_TYPE}","payload":{payload}}}"#),
            false => payload,
        };
        let paths = &self.destination.paths;
        let path = &paths[stamp.number as usize % paths.len()];
        // Whatever the answer, a connection that failed isn't used again.
        let mut used = match connection.take() {
            Some(open) => open,
            None => origin.connect().await?,
        };
        let (status, answer) = used.send(Method::POST, path, body).await?;
        *connection = Some(used);
        if !status.is_success() {
            bail!(refusal(status, &answer));
        }
        Ok(())
    }
}

/// A sentence for an answer that is no success.
pub(super) fn refusal(status: StatusCode, answer: &[u8]) -> anyhow::Error {
    let text: String = String::from_utf8_lossy(answer).chars().take(500).collect();
    anyhow!("the server answered {status}: {text}")
}
