//! Deliveries over websockets. Each endpoint has one connection, which is opened for its first
//! delivery and kept for those that follow.
//!
//! An event goes over a connection at most once: who sends it again, because no acknowledgement
//! came or a person asked for it, gets a new connection. So an acknowledgement can't be taken
//! for that of another attempt, however late it comes.

mod acknowledgement;
mod connection;
mod handshake;
mod link;
mod slot;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};

use self::link::Lost;
use self::slot::{Slot, Target};
use super::Guard;
use super::config::{SenderConfig, WebsocketConfig};
use super::connect::Connector;
use super::progress::Progress;
use crate::contract::WireMessage;
use crate::domain::{EndpointId, Failure, FailureKind, Outcome, Phase, RetryPolicy, Timestamp};

/// The connections to websocket endpoints.
pub(super) struct Websockets {
    slots: Mutex<HashMap<EndpointId, Arc<Slot>>>,
    dialler: Dialler,
}

/// What opening a connection takes.
struct Dialler {
    connector: Arc<Connector>,
    user_agent: HeaderValue,
    config: WebsocketConfig,
    /// How many bytes of an answer are kept.
    recorded_bytes: usize,
    /// A permit for each connection that is open.
    room: Arc<Semaphore>,
}

impl Websockets {
    pub(super) fn new(
        config: &SenderConfig,
        connector: Arc<Connector>,
        user_agent: HeaderValue,
    ) -> Websockets {
        let dialler = Dialler {
            connector,
            user_agent,
            config: config.websocket.clone(),
            recorded_bytes: config.answer_recorded_bytes,
            room: Arc::new(Semaphore::new(config.websocket.connections)),
        };
        Websockets { slots: Mutex::default(), dialler }
    }

    /// Sends a message and waits for its acknowledgement.
    pub(super) async fn exchange(
        &self,
        message: &WireMessage,
        guard: &Guard,
        policy: &RetryPolicy,
        progress: &mut Progress<'_>,
    ) -> Outcome {
        let slot = self.slot(message, guard);
        let mut lost = None;
        // Twice, because a connection may end between being chosen and being used.
        for _ in 0..2 {
            let link = match slot.link(&message.id, &self.dialler, policy.timeout, progress).await {
                Ok(link) => link,
                Err(refusal) => {
                    self.make_room_after(&refusal);
                    return never_acknowledging(refusal, policy);
                }
            };
            match link.deliver(message, progress).await {
                Ok(answer) => return Outcome::Answered(answer),
                Err(Lost::Sent(failure)) => return Outcome::Failed(failure),
                Err(Lost::Unsent(failure)) => lost = Some(failure),
            }
        }
        Outcome::Failed(lost.unwrap_or_else(link::closed_before_use))
    }

    /// The place of an endpoint's connection. Where the endpoint leads elsewhere now, or says
    /// who it is in another way, its old connection gets no more deliveries.
    fn slot(&self, message: &WireMessage, guard: &Guard) -> Arc<Slot> {
        let now = self.dialler.connector.clock.now();
        let mut slots = self.slots();
        let known = slots.get(&message.endpoint).filter(|slot| slot.target.is_of(message, guard));
        let slot = match known {
            Some(slot) => slot.clone(),
            None => {
                let slot = Arc::new(Slot::new(Target::of(message, guard)));
                slots.insert(message.endpoint, slot.clone());
                slot
            }
        };
        slot.touch(now);
        slot
    }

    /// Sends nothing more over the endpoint's connection, which closes when what is in flight
    /// on it has ended.
    pub(super) fn close(&self, endpoint: EndpointId) {
        self.slots().remove(&endpoint);
    }

    pub(super) fn close_all(&self) {
        self.slots().clear();
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.dialler.config.connections - self.dialler.room.available_permits()
    }

    /// Forgets the endpoints without a connection.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.slots().retain(|_, slot| Arc::strong_count(slot) > 1 || !slot.is_forgettable(now));
    }

    /// Where a connection could not be opened for want of room, closes the one that has waited
    /// longest for a delivery, so that there is room when it is tried again.
    fn make_room_after(&self, refusal: &Outcome) {
        let Outcome::Failed(Failure { kind: FailureKind::Local, .. }) = refusal else { return };
        let mut slots = self.slots();
        let unused =
            slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1 && slot.is_open());
        if let Some(endpoint) = unused.min_by_key(|(_, slot)| slot.used_at()).map(|(id, _)| *id) {
            slots.remove(&endpoint);
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<EndpointId, Arc<Slot>>> {
        // Nothing that runs under the lock leaves it half-changed.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refused handshake acknowledges nothing, whatever its status: a web server that knows
/// nothing of websockets answers it with 200.
fn never_acknowledging(refusal: Outcome, policy: &RetryPolicy) -> Outcome {
    match refusal {
        Outcome::Answered(answer) if policy.acknowledges(&answer) => {
            let status = answer.status;
            let sentence =
                format!("The receiver answered {status} instead of opening a websocket.");
            Outcome::Failed(Failure::new(FailureKind::Protocol, Some(Phase::Connect), sentence))
        }
        refusal => refusal,
    }
}

/// Whether the connection was closed or broke, rather than being misused.
fn is_closure(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(
                ProtocolError::HandshakeIncomplete | ProtocolError::ResetWithoutClosingHandshake
            )
    )
}
