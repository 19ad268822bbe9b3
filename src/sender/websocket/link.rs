//! A handle of an open connection. Where the last one is dropped, the connection closes.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::contract::WireMessage;
use crate::domain::{Answer, Failure, FailureKind, Phase, Timestamp};
use crate::sender::config::WebsocketConfig;
use crate::sender::progress::Progress;

/// A message on its way to the connection's task.
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) frame: String,
    pub(super) reply: Reply,
}

/// Where what became of a message goes.
pub(super) type Reply = oneshot::Sender<Result<Answer, Lost>>;

/// The connection ended before the acknowledgement came.
#[derive(Debug)]
pub(super) enum Lost {
    /// Nothing of the message was sent over it.
    Unsent(Failure),
    /// The receiver may have it, or an answer came that acknowledges nothing.
    Sent(Failure),
}

#[derive(Clone)]
pub(super) struct Link {
    state: Arc<State>,
    deliveries: mpsc::Sender<Delivery>,
}

/// What the task of a connection and its handles share.
pub(super) struct State {
    sent: Mutex<HashSet<u64>>,
    hasher: RandomState,
    max_sent: usize,
    /// A permit for each delivery that waits for its acknowledgement.
    slots: Semaphore,
    acknowledged: AtomicBool,
    ended_at: OnceLock<Timestamp>,
}

/// A handle, and what the task of the connection has of it.
pub(super) fn pair(config: &WebsocketConfig) -> (Link, Arc<State>, mpsc::Receiver<Delivery>) {
    // Whoever has a permit finds room in it.
    let (deliveries, received) = mpsc::channel(config.in_flight);
    let state = Arc::new(State {
        sent: Mutex::default(),
        hasher: RandomState::new(),
        max_sent: config.deliveries,
        slots: Semaphore::new(config.in_flight),
        acknowledged: AtomicBool::new(false),
        ended_at: OnceLock::new(),
    });
    (Link { state: state.clone(), deliveries }, state, received)
}

impl Link {
    /// Notes that the event will go over this connection. False where it did already, or where
    /// the connection has carried as many as it may.
    pub(super) fn reserve(&self, id: &str) -> bool {
        let hash = self.state.hasher.hash_one(id);
        let mut sent = self.state.sent();
        sent.len() < self.state.max_sent && sent.insert(hash)
    }

    pub(super) fn is_open(&self) -> bool {
        self.ended_at().is_none()
    }

    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        self.state.ended_at.get().copied()
    }

    /// Whether any delivery was acknowledged over it.
    pub(super) fn has_acknowledged(&self) -> bool {
        self.state.acknowledged.load(Relaxed)
    }

    /// Sends a message whose event was reserved, and waits for the acknowledgement.
    pub(super) async fn deliver(
        &self,
        message: &WireMessage,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Lost> {
        progress.enter(Phase::Send);
        let unsent = || Lost::Unsent(closed_before_use());
        let _slot = self.state.slots.acquire().await.map_err(|_| unsent())?;
        // Writing and waiting can't be told apart: others write to the same connection.
        progress.enter(Phase::Wait);
        let (reply, answer) = oneshot::channel();
        let delivery = Delivery { id: message.id.clone(), frame: message.frame.clone(), reply };
        self.deliveries.try_send(delivery).map_err(|_| unsent())?;
        answer.await.unwrap_or_else(|_| {
            let sentence = "The connection ended before the event was acknowledged.";
            Err(Lost::Sent(Failure::new(FailureKind::Reset, Some(Phase::Wait), sentence)))
        })
    }
}

impl State {
    /// Whether the event went, or will go, over this connection.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.sent().contains(&self.hasher.hash_one(id))
    }

    pub(super) fn note_acknowledgement(&self) {
        self.acknowledged.store(true, Relaxed);
    }

    /// No more deliveries are taken.
    pub(super) fn note_end(&self, now: Timestamp) {
        // It ends once.
        let _ = self.ended_at.set(now);
        self.slots.close();
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn closed_before_use() -> Failure {
    let sentence = "The connection was closed before the event could be sent.";
    Failure::new(FailureKind::Reset, Some(Phase::Send), sentence)
}
