//! Attempts: one try at a delivery, and what came of it.

use std::time::Duration;

use super::{ApplicationId, AttemptId, DeliveryId, Destination, Timestamp};

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// The message was published, or its schedule came round.
    #[default]
    Scheduled,
    /// A person asked for it.
    Manual,
}

/// Where an attempt was when its time ran out or its connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Resolve,
    Connect,
    Tls,
    /// Writing the request.
    Send,
    /// Waiting for the head of the answer.
    Wait,
    /// Reading the body of the answer.
    Receive,
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Send => "send",
            Phase::Wait => "wait",
            Phase::Receive => "receive",
        }
    }
}

/// The class of a failure without an answer, each with one explanation and one remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The contract's templates could not make the request.
    Render,
    /// The URL can't be used.
    Url,
    /// The name has no address.
    Dns,
    /// The address guard refused every address of the name.
    Blocked,
    /// Nobody took the connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The time ran out.
    Timeout,
    /// The connection broke.
    Reset,
    /// The answer isn't HTTP.
    Protocol,
    /// This machine had no socket or memory left. It is never held against the endpoint, and
    /// so never recorded.
    Local,
}

impl FailureKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            FailureKind::Render => "render",
            FailureKind::Url => "url",
            FailureKind::Dns => "dns",
            FailureKind::Blocked => "blocked",
            FailureKind::Connect => "connect",
            FailureKind::Tls => "tls",
            FailureKind::Timeout => "timeout",
            FailureKind::Reset => "reset",
            FailureKind::Protocol => "protocol",
            FailureKind::Local => "local",
        }
    }
}

/// A failure without a usable answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// Where it happened, where the class alone doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// A sentence, then what caused it, then what caused that.
    pub causes: Vec<String>,
}

impl Failure {
    pub fn new(kind: FailureKind, phase: Option<Phase>, cause: impl Into<String>) -> Failure {
        Failure { kind, phase, causes: vec![cause.into()] }
    }

    /// Adds the chain of an error's sources below the sentence.
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Wrappers often repeat their source's words.
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }
}

/// An HTTP answer, as much of it as is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The headers worth keeping, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The first bytes of the body, up to the limit that is recorded.
    pub body: Vec<u8>,
    /// Whether there was more body than is kept.
    pub truncated: bool,
    /// The receiver's wish, in time from the end of the attempt.
    pub retry_after: Option<Duration>,
}

/// How long each phase took. A phase that didn't happen (a reused connection) is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Timing {
    pub resolve_us: u64,
    pub connect_us: u64,
    pub tls_us: u64,
    /// From the first byte sent to the head of the answer.
    pub wait_us: u64,
    pub receive_us: u64,
}

/// What came of an attempt. An answer that broke off counts by what broke it, so this is
/// either a whole answer (up to the cap) or a failure, never both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered(Answer),
    Failed(Failure),
}

/// The record of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub id: AttemptId,
    pub delivery: DeliveryId,
    pub application_id: ApplicationId,
    /// 1 for the first attempt of a delivery.
    pub number: u32,
    pub trigger: Trigger,
    /// The URL that was called, which the endpoint may have changed since.
    pub url: String,
    pub started_at: Timestamp,
    pub duration: Duration,
    pub timing: Timing,
    pub outcome: Outcome,
    /// Whether the contract counts the outcome as received.
    pub succeeded: bool,
}

impl Attempt {
    pub fn destination(&self) -> Destination {
        Destination { application: self.application_id, endpoint: self.delivery.endpoint }
    }
}
