//! The task of one open connection: sends what its handles want sent, matches acknowledgements
//! to deliveries, and sees to it that the receiver is alive.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Dialler;
use super::acknowledgement::{self, excerpt};
use super::link::{Delivery, Link, Lost, Reply, State, closed_before_use, pair};
use super::wire::Wire;
use crate::clock::Clock;
use crate::domain::{Answer, Failure, FailureKind, Phase, Timestamp};
use crate::sender::config::WebsocketConfig;
use crate::sender::stream::Stream;

/// How long the receiver may take to say good-bye.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// How many pings may wait to be sent beside the deliveries.
const PINGS_WAITING: usize = 2;

struct Connection {
    clock: Clock,
    config: WebsocketConfig,
    /// How many bytes of an acknowledgement are kept.
    recorded_bytes: usize,
    state: Arc<State>,
    wire: Wire,
    deliveries: mpsc::Receiver<Delivery>,
    /// By the events' ids. Those that nobody waits for any more are among them for a while.
    in_flight: HashMap<String, Reply>,
    ping_at: Timestamp,
    /// When the receiver has to have answered a ping.
    pong_by: Option<Timestamp>,
    idle_at: Timestamp,
    _room: OwnedSemaphorePermit,
}

/// Why a connection ends.
enum End {
    /// It isn't needed any more.
    Unused,
    /// With the code to tell the receiver, where it is there to be told.
    Broken(Failure, Option<CloseCode>),
}

enum Happened {
    Incoming(Option<Result<Message, Error>>),
    Delivery(Option<Delivery>),
    Tick,
}

/// Starts the task of an open connection.
pub(super) fn start(
    dialler: &Dialler,
    socket: WebSocketStream<Stream>,
    room: OwnedSemaphorePermit,
) -> Link {
    let (clock, config) = (dialler.connector.clock.clone(), dialler.config.clone());
    let (link, state, deliveries) = pair(&config);
    let now = clock.now();
    let connection = Connection {
        recorded_bytes: dialler.recorded_bytes,
        state,
        wire: Wire::new(socket),
        deliveries,
        in_flight: HashMap::new(),
        ping_at: now + config.ping_interval,
        pong_by: None,
        idle_at: now + config.idle_timeout,
        clock,
        config,
        _room: room,
    };
    tokio::spawn(connection.run());
    link
}

impl Connection {
    async fn run(mut self) {
        let end = loop {
            let happened = self.next().await;
            if let Err(end) = self.handle(happened).and_then(|()| self.tick(self.clock.now())) {
                break end;
            }
        };
        self.finish(end).await;
    }

    /// Deliveries first, as there are only so many of them: a receiver that never stops talking
    /// holds up neither those nor, as each thing that happens is followed by one, the ticks.
    async fn next(&mut self) -> Happened {
        let tick = self.ping_at.min(self.idle_at);
        let tick = self.pong_by.map_or(tick, |pong_by| pong_by.min(tick));
        tokio::select! {
            biased;
            delivery = self.deliveries.recv() => Happened::Delivery(delivery),
            incoming = self.wire.next() => Happened::Incoming(incoming),
            () = self.clock.sleep_until(tick) => Happened::Tick,
        }
    }

    fn handle(&mut self, happened: Happened) -> Result<(), End> {
        match happened {
            Happened::Incoming(Some(Ok(message))) => self.receive(message),
            Happened::Incoming(Some(Err(error))) => Err(self.lost(&error)),
            Happened::Incoming(None) => Err(self.lost(&Error::ConnectionClosed)),
            Happened::Delivery(Some(delivery)) => self.send(delivery),
            Happened::Delivery(None) => Err(End::Unused),
            Happened::Tick => Ok(()),
        }
    }

    fn send(&mut self, delivery: Delivery) -> Result<(), End> {
        if delivery.reply.is_closed() {
            // Its attempt ran out of time while it waited here.
            return Ok(());
        }
        if self.wire.waiting() > self.config.in_flight + PINGS_WAITING {
            // Some of their attempts ended long ago. Whoever speaks without listening would
            // have more and more of them kept here.
            let sentence = "The receiver doesn't read what it is sent.";
            let failure = Failure::new(FailureKind::Timeout, Some(Phase::Send), sentence);
            let _ = delivery.reply.send(Err(Lost::Unsent(failure.clone())));
            return Err(End::Broken(failure, None));
        }
        self.idle_at = self.clock.now() + self.config.idle_timeout;
        self.in_flight.insert(delivery.id, delivery.reply);
        self.wire.push(Message::text(delivery.frame));
        Ok(())
    }

    fn receive(&mut self, message: Message) -> Result<(), End> {
        // Whoever speaks is alive.
        self.pong_by = None;
        match message {
            Message::Text(text) => self.acknowledge(text.as_str()),
            Message::Binary(_) => {
                let failure = protocol("The receiver sent a binary frame.");
                Err(End::Broken(failure, Some(CloseCode::Unsupported)))
            }
            Message::Close(frame) => Err(End::Broken(closed_by_receiver(frame), None)),
            // The library answers pings.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn acknowledge(&mut self, text: &str) -> Result<(), End> {
        let malformed = |cause: String| {
            let mut failure = protocol("The receiver sent a frame that acknowledges no event.");
            failure.causes.push(cause);
            End::Broken(failure, Some(CloseCode::Policy))
        };
        let read = acknowledgement::read(text).map_err(malformed)?;
        let Some(reply) = self.in_flight.remove(&*read.id) else {
            // One that comes too late, or twice, changes nothing.
            return match self.state.knows(&read.id) {
                true => Ok(()),
                false => Err(malformed(format!("no event was sent as {}", excerpt(&read.id)))),
            };
        };
        self.idle_at = self.clock.now() + self.config.idle_timeout;
        let answer = read.status.map(|status| {
            self.state.note_acknowledgement();
            let kept = text.len().min(self.recorded_bytes);
            let body = text.as_bytes()[..kept].to_vec();
            Answer { status, body, truncated: text.len() > kept, ..Answer::default() }
        });
        // Where its attempt has given up, nobody wants to know.
        let _ = reply.send(answer.map_err(|cause| {
            let mut failure = protocol("The receiver's acknowledgement has no valid status.");
            failure.causes.push(cause);
            Lost::Sent(failure)
        }));
        Ok(())
    }

    /// Does what is due by now.
    fn tick(&mut self, now: Timestamp) -> Result<(), End> {
        if self.pong_by.is_some_and(|pong_by| pong_by <= now) {
            let limit = self.config.pong_timeout;
            let sentence = format!("The receiver didn't answer a ping within {limit:?}.");
            let failure = Failure::new(FailureKind::Timeout, Some(Phase::Wait), sentence);
            return Err(End::Broken(failure, None));
        }
        if self.idle_at <= now {
            self.in_flight.retain(|_, reply| !reply.is_closed());
            if self.in_flight.is_empty() {
                return Err(End::Unused);
            }
            self.idle_at = now + self.config.idle_timeout;
        }
        if self.ping_at <= now {
            self.wire.push(Message::Ping(Default::default()));
            self.ping_at = now + self.config.ping_interval;
            self.pong_by.get_or_insert(now + self.config.pong_timeout);
        }
        Ok(())
    }

    /// Why a connection that broke ends.
    fn lost(&self, error: &Error) -> End {
        let (failure, code) = match error {
            Error::Capacity(_) => {
                let limit = self.config.frame_bytes;
                let sentence = format!("The receiver sent a frame of more than {limit} bytes.");
                (protocol(&sentence), Some(CloseCode::Size))
            }
            error if super::is_closure(error) => (closed(), None),
            _ => {
                let sentence = "The receiver doesn't keep to the websocket protocol.";
                (protocol(sentence), Some(CloseCode::Protocol))
            }
        };
        End::Broken(failure.caused_by(error), code)
    }

    /// Tells everybody who waits, and says good-bye.
    async fn finish(mut self, end: End) {
        self.state.note_end(self.clock.now());
        self.deliveries.close();
        while let Ok(delivery) = self.deliveries.try_recv() {
            let _ = delivery.reply.send(Err(Lost::Unsent(closed_before_use())));
        }
        let code = match end {
            End::Unused => Some(CloseCode::Normal),
            End::Broken(failure, code) => {
                tracing::debug!(causes = ?failure.causes, "a websocket ended");
                for (_, reply) in self.in_flight.drain() {
                    let _ = reply.send(Err(Lost::Sent(failure.clone())));
                }
                code
            }
        };
        let _ = self.clock.timeout(CLOSE_TIME, self.wire.close(code)).await;
    }
}

fn protocol(sentence: &str) -> Failure {
    Failure::new(FailureKind::Protocol, Some(Phase::Wait), sentence)
}

fn closed() -> Failure {
    let sentence = "The receiver closed the connection before it acknowledged the event.";
    Failure::new(FailureKind::Reset, Some(Phase::Wait), sentence)
}

fn closed_by_receiver(frame: Option<CloseFrame>) -> Failure {
    let mut failure = closed();
    if let Some(CloseFrame { code, reason }) = frame {
        let reason = excerpt(reason.as_str());
        let separator = if reason.is_empty() { "" } else { ": " };
        failure.causes.push(format!("It closed with the code {code}{separator}{reason}"));
    }
    failure
}
