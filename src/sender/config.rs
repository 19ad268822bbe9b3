//! What an operator may set about sending.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::resolve::Resolver;
use super::tls::RootsError;

/// The least that `answer_header_bytes` may be: the HTTP library's own smallest buffer.
pub const MIN_ANSWER_HEADER_BYTES: usize = 8_192;

/// The settings of a [`super::Sender`] and its limits.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// The value of `user-agent`, where a request doesn't bring its own.
    /// `Hookwright/<version>` by default.
    pub user_agent: String,
    /// The most idle HTTP/1 connections kept for one host. 128 by default. It should be no
    /// less than the attempts that an endpoint may have in flight, or connections are opened
    /// and closed all the time.
    pub idle_connections_per_host: usize,
    /// The most connections kept for all hosts together. 768 by default, which leaves room
    /// under the usual limit of 1,024 open files.
    pub idle_connections: usize,
    /// How long a connection may wait for its next request. 30 s by default.
    pub idle_timeout: Duration,
    /// How long one of several addresses of a name may take to accept a connection before
    /// the next is tried. 5 s by default.
    pub connect_timeout: Duration,
    /// How many bytes of an answer's body are kept. 1 KiB by default.
    pub answer_recorded_bytes: usize,
    /// How many bytes of an answer's body are read. 64 KiB by default. Past it, the
    /// connection is dropped and the answer counts by its status.
    pub answer_read_bytes: usize,
    /// The largest head of an answer, in bytes; a larger one is a failure. 32 KiB by default,
    /// at least [`MIN_ANSWER_HEADER_BYTES`]. An HTTP/1 head may have at most 100 headers.
    pub answer_header_bytes: usize,
    /// The local address that deliveries leave from; the system's choice by default.
    pub source_address: Option<IpAddr>,
    /// PEM files with certificate authorities to trust beside the public ones.
    pub extra_roots: Vec<PathBuf>,
    /// How names are resolved: by the operating system by default.
    pub resolver: Resolver,
    pub websocket: WebsocketConfig,
}

/// The limits of connections to websocket endpoints.
#[derive(Clone, Debug)]
pub struct WebsocketConfig {
    /// The most open connections, over all endpoints. 4,096 by default. Past it, the one that
    /// was not used for the longest is closed. It should be no less than the attempts that may
    /// be in flight altogether, or hanging receivers could take every place.
    pub connections: usize,
    /// The most deliveries of one connection that wait for their acknowledgement. 64 by
    /// default. It should be no less than the attempts that an endpoint may have in flight, or
    /// attempts wait for one another.
    pub in_flight: usize,
    /// The most deliveries over one connection, after which a new one is opened. 4,096 by
    /// default. Each is remembered with 8 bytes, so that no event goes over a connection twice.
    pub deliveries: usize,
    /// The largest frame, and the largest message of several frames, that is read, in bytes.
    /// 64 KiB by default.
    pub frame_bytes: usize,
    /// How often a connection is tried with a ping. 20 s by default.
    pub ping_interval: Duration,
    /// How long the receiver may take to answer a ping before the connection is given up.
    /// 10 s by default.
    pub pong_timeout: Duration,
    /// How long a connection may wait for its next delivery. 5 min by default.
    pub idle_timeout: Duration,
}

impl Default for WebsocketConfig {
    fn default() -> WebsocketConfig {
        WebsocketConfig {
            connections: 4_096,
            in_flight: 64,
            deliveries: 4_096,
            frame_bytes: 64 * 1_024,
            ping_interval: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
        }
    }
}

impl Default for SenderConfig {
    fn default() -> SenderConfig {
        SenderConfig {
            user_agent: concat!("Hookwright/", env!("CARGO_PKG_VERSION")).to_owned(),
            idle_connections_per_host: 128,
            idle_connections: 768,
            idle_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            answer_recorded_bytes: 1_024,
            answer_read_bytes: 64 * 1_024,
            answer_header_bytes: 32 * 1_024,
            source_address: None,
            extra_roots: Vec::new(),
            resolver: Resolver::system(),
            websocket: WebsocketConfig::default(),
        }
    }
}

impl SenderConfig {
    pub(super) fn check(&self) -> Result<(), SenderError> {
        if self.answer_header_bytes < MIN_ANSWER_HEADER_BYTES {
            return Err(SenderError::AnswerHeaderBytes(self.answer_header_bytes));
        }
        let websocket = &self.websocket;
        for (name, limit) in [
            ("connections", websocket.connections),
            ("in_flight", websocket.in_flight),
            ("deliveries", websocket.deliveries),
            ("frame_bytes", websocket.frame_bytes),
        ] {
            if limit == 0 {
                return Err(SenderError::Websocket(name));
            }
        }
        Ok(())
    }
}

/// A sender can't be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    #[error("the user agent {0:?} can't be sent in a header")]
    UserAgent(String),
    #[error("answer_header_bytes is {0}, but must be at least {MIN_ANSWER_HEADER_BYTES}")]
    AnswerHeaderBytes(usize),
    #[error("{0} of websockets must be at least 1")]
    Websocket(&'static str),
    #[error(transparent)]
    Roots(#[from] RootsError),
}
