//! One attempt: a request goes out, an [`Outcome`] comes back.
//!
//! Connections are reused, because opening one costs ten times what a request does. What may
//! be reached is the [`Guard`]'s to decide, at the moment of connecting. Redirects are not
//! followed: a 3xx is an answer like any other.

mod answer;
mod config;
mod connect;
mod connection;
mod failure;
mod guard;
mod http;
mod network;
mod origin;
mod pool;
mod progress;
mod ranges;
mod resolve;
mod stream;
mod tls;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use tokio_rustls::TlsConnector;

pub use self::answer::{MAX_KEPT_HEADERS, MAX_KEPT_VALUE_BYTES};
pub use self::config::{MIN_ANSWER_HEADER_BYTES, SenderConfig, SenderError, WebsocketConfig};
pub use self::connect::MAX_ADDRESSES;
pub use self::guard::{Blocked, Guard, MAX_URL_BYTES};
pub use self::network::Network;
pub use self::resolve::{MAX_LOOKUPS, Resolver};
pub use self::tls::{RootsError, TLS_SESSIONS};

use self::connect::Connector;
use self::connection::{Http1, SharedConnection};
use self::failure::{Broken, timed_out, unacknowledged};
use self::http::{BodyLimits, exchange_http1, exchange_http2, http1_request, http2_request};
use self::origin::{Destination, Origin};
use self::pool::{Limits, Pool, Pooled};
use self::progress::Progress;
use self::websocket::Websockets;
use crate::clock::Clock;
use crate::contract::{WireMessage, WireRequest};
use crate::domain::{Answer, EndpointId, Failure, Outcome, RetryPolicy, Timing, Transport};

/// What an attempt brought.
#[derive(Clone, Debug)]
pub struct Sent {
    pub outcome: Outcome,
    pub duration: Duration,
    pub timing: Timing,
}

/// Makes attempts. Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub struct Sender(Arc<Inner>);

struct Inner {
    clock: Clock,
    connector: Arc<Connector>,
    pool: Pool,
    websockets: Websockets,
    user_agent: HeaderValue,
    body_limits: BodyLimits,
}

impl Sender {
    /// Sets up TLS and an empty pool. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the user agent can't be a header, a limit is out of range, or a certificate file
    /// can't be read.
    pub fn new(config: SenderConfig, clock: Clock) -> Result<Sender, SenderError> {
        config.check()?;
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .map_err(|_| SenderError::UserAgent(config.user_agent.clone()))?;
        let tls = tls::client_config(&clock, &config.extra_roots)?;
        let connector = Arc::new(Connector {
            clock: clock.clone(),
            resolver: config.resolver.clone(),
            websocket_tls: TlsConnector::from(Arc::new(tls::without_http2(&tls))),
            tls: TlsConnector::from(Arc::new(tls)),
            source_address: config.source_address,
            connect_timeout: config.connect_timeout,
            http1: http1_builder(&config),
            http2: http2_builder(&config),
        });
        let websockets = Websockets::new(&config, connector.clone(), user_agent.clone());
        let pool = Pool::new(Limits {
            per_host: config.idle_connections_per_host,
            total: config.idle_connections,
            timeout: config.idle_timeout,
        });
        let body_limits =
            BodyLimits { recorded: config.answer_recorded_bytes, read: config.answer_read_bytes };
        Ok(Sender(Arc::new(Inner { clock, connector, pool, websockets, user_agent, body_limits })))
    }

    /// Sends `request` and reads the answer, all within `timeout`, to an address that `guard`
    /// lets through. Dropping the future closes the connection that it was using.
    pub async fn attempt(&self, request: &WireRequest, guard: &Guard, timeout: Duration) -> Sent {
        self.attempt_wanting(request, guard, timeout, &[]).await
    }

    /// The same, keeping these headers of the answer too.
    pub async fn attempt_wanting(
        &self,
        request: &WireRequest,
        guard: &Guard,
        timeout: Duration,
        wanted: &[HeaderName],
    ) -> Sent {
        let inner = &*self.0;
        let mut progress = Progress::new(&inner.clock, wanted);
        let exchange = inner.exchange(request, guard, &mut progress);
        let outcome = match inner.clock.timeout(timeout, exchange).await {
            Ok(Ok(answer)) => Outcome::Answered(answer),
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(_) => {
                // A shared connection that has gone silent would fail every attempt after
                // this one too.
                if let Some(connection) = progress.shared() {
                    inner.pool.forget(connection);
                }
                Outcome::Failed(timed_out(progress.phase(), timeout))
            }
        };
        let (duration, timing) = progress.finish();
        Sent { outcome, duration, timing }
    }

    /// Sends `message` over its endpoint's websocket and waits for the acknowledgement, all
    /// within the policy's timeout; the connection is opened where there is none. A handshake
    /// that the receiver refuses is an answer with that status, but never one that acknowledges.
    pub async fn attempt_message(
        &self,
        message: &WireMessage,
        guard: &Guard,
        policy: &RetryPolicy,
    ) -> Sent {
        let inner = &*self.0;
        let mut progress = Progress::new(&inner.clock, &[]);
        let exchange = inner.websockets.exchange(message, guard, policy, &mut progress);
        let outcome = match inner.clock.timeout(policy.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Failed(unacknowledged(progress.phase(), policy.timeout)),
        };
        let (duration, timing) = progress.finish();
        Sent { outcome, duration, timing }
    }

    /// Sends nothing more over the endpoint's websocket, and closes it when what is in flight
    /// on it has ended. The next delivery opens a new one.
    pub fn close_websocket(&self, endpoint: EndpointId) {
        self.0.websockets.close(endpoint);
    }

    /// How many websockets are open.
    pub fn open_websockets(&self) -> usize {
        self.0.websockets.open()
    }

    /// How many connections wait for their next request.
    pub fn idle_connections(&self) -> usize {
        self.0.pool.len()
    }

    /// Closes the connections that have waited longer than the idle timeout. Sending does so
    /// now and then by itself; this is for times when nothing is sent.
    pub fn sweep_idle(&self) {
        let now = self.0.clock.now();
        self.0.pool.sweep(Some(now));
        self.0.websockets.sweep(now);
    }

    /// Closes all connections that wait, and offers shared ones no longer.
    pub fn close_idle(&self) {
        self.0.pool.sweep(None);
        self.0.websockets.close_all();
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("idle_connections", &self.idle_connections()).finish()
    }
}

impl Inner {
    async fn exchange(
        &self,
        request: &WireRequest,
        guard: &Guard,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Failure> {
        let destination = Destination::of(&request.url, Transport::Webhook, guard)?;
        let hash = self.pool.hash(&destination);
        if let Some(reused) = self.take_open(&destination, hash).await {
            match self.exchange_over(reused, request, progress).await {
                Ok(answer) => return Ok(answer),
                // The receiver closed the connection under the request. Another that waits
                // may have been closed as well, so the second try takes a new one.
                Err(broken) if broken.is_race => {}
                Err(broken) => return Err(broken.failure),
            }
        }
        let origin = Arc::new(Origin::of(&destination, hash)?);
        // Boxed, because connecting is rare and its state is large.
        let opened = Box::pin(self.connector.connect(origin, progress)).await?;
        let opened = match opened {
            Pooled::Shared(new) => Pooled::Shared(self.pool.share(new, self.clock.now())),
            http1 @ Pooled::Http1(_) => http1,
        };
        self.exchange_over(opened, request, progress).await.map_err(|broken| broken.failure)
    }

    /// A connection from the pool that is still open, as far as we can tell.
    async fn take_open(&self, destination: &Destination<'_>, hash: u64) -> Option<Pooled> {
        loop {
            let mut pooled = self.pool.take(destination, hash, self.clock.now())?;
            let open = match &mut pooled {
                Pooled::Http1(connection) => connection.is_idle().await,
                Pooled::Shared(connection) => connection.is_open(),
            };
            if open {
                return Some(pooled);
            }
        }
    }

    async fn exchange_over(
        &self,
        connection: Pooled,
        request: &WireRequest,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Broken> {
        match connection {
            Pooled::Http1(connection) => self.over_http1(connection, request, progress).await,
            Pooled::Shared(connection) => self.over_http2(connection, request, progress).await,
        }
    }

    async fn over_http1(
        &self,
        connection: Box<Http1>,
        request: &WireRequest,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Broken> {
        let request = http1_request(request, connection.origin(), &self.user_agent)?;
        let (answer, reusable) =
            exchange_http1(connection, request, self.body_limits, &self.clock, progress).await?;
        if let Some(connection) = reusable {
            self.pool.put(connection, self.clock.now());
        }
        Ok(answer)
    }

    async fn over_http2(
        &self,
        connection: SharedConnection,
        request: &WireRequest,
        progress: &mut Progress<'_>,
    ) -> Result<Answer, Broken> {
        let request = http2_request(request, &self.user_agent)?;
        let shared = connection.clone();
        let exchanged =
            exchange_http2(connection, request, self.body_limits, &self.clock, progress).await;
        if exchanged.as_ref().is_err_and(|broken| broken.is_race) {
            self.pool.forget(&shared);
        }
        exchanged
    }
}

fn http1_builder(config: &SenderConfig) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // Names don't depend on case, but logs look like the documents this way.
        .title_case_headers(true)
        .max_header_size(config.answer_header_bytes)
        .max_buf_size(config.answer_header_bytes);
    builder
}

fn http2_builder(config: &SenderConfig) -> http2::Builder<TokioExecutor> {
    let limit = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_header_list_size(limit(config.answer_header_bytes));
    builder
}
