//! The receivers: they read each delivery to its end, answer, and write down when it came.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificate::Identity;
use super::payload::Stamp;
use super::tally::Arrival;
use crate::clock::Clock;

/// The path of endpoints; their number follows.
const ENDPOINT_PATH: &str = "/endpoint/";

/// The path of endpoints that take requests and never answer.
const HANGING_PATH: &str = "/hanging/";

/// The path of the raw run, which no endpoint has. It counts as endpoint 0.
pub(super) const RAW_PATH: &str = "/raw";

/// Connections that may wait to be accepted. Where there is no room for one, its sender only
/// tries again after a second, which would be measured as the server's.
const CONNECTIONS_WAITING: u32 = 4_096;

/// How long a receiver waits with the next connection after it could not take one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What receivers do with a delivery once they have read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mood {
    /// 204, at once.
    Answer,
    /// 503, as a proxy says when nothing is behind it.
    Refuse,
    /// No answer, until the sender gives up.
    Hang,
}

/// Receivers of one run. They end when dropped.
pub(super) struct Receivers {
    addresses: Vec<SocketAddr>,
    scheme: &'static str,
    pub(super) shared: Arc<Shared>,
    /// Aborted when dropped.
    _listening: JoinSet<()>,
}

/// What all receivers write to.
pub(super) struct Shared {
    mood: AtomicU8,
    arrivals: Mutex<Vec<Arrival>>,
    /// How many there were since the last time that they were taken.
    arrived: AtomicU64,
    /// Deliveries that may be under way where the load waits for them; one more for each
    /// arrival.
    pub(super) room: Semaphore,
    clock: Clock,
}

impl Receivers {
    /// Starts `count` receivers at an address, each on a port of its own; those of the loopback
    /// interface each have an address of their own too where the system has more than one.
    ///
    /// # Errors
    /// Where the address is not this machine's, or no port is free.
    pub(super) fn start(
        count: usize,
        address: IpAddr,
        identity: Option<&Identity>,
        clock: &Clock,
    ) -> anyhow::Result<Receivers> {
        let shared = Arc::new(Shared {
            mood: AtomicU8::new(Mood::Answer as u8),
            arrivals: Mutex::default(),
            arrived: AtomicU64::new(0),
            room: Semaphore::new(0),
            clock: clock.clone(),
        });
        let tls = identity.map(Identity::acceptor).transpose()?;
        let (mut addresses, mut listening) = (Vec::with_capacity(count), JoinSet::new());
        for index in 0..count {
            let listener = listen(index, count, address)
                .with_context(|| format!("can't receive on {address}"))?;
            addresses.push(listener.local_addr()?);
            listening.spawn(serve(listener, tls.clone(), shared.clone()));
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        Ok(Receivers { addresses, scheme, shared, _listening: listening })
    }

    /// The URL of an endpoint. Endpoints take turns among the receivers.
    pub(super) fn endpoint_url(&self, endpoint: usize) -> String {
        format!("{}{ENDPOINT_PATH}{endpoint}", self.origin(endpoint))
    }

    /// The URL of an endpoint that hangs.
    pub(super) fn hanging_url(&self, endpoint: usize) -> String {
        format!("{}{HANGING_PATH}{endpoint}", self.origin(endpoint))
    }

    /// Scheme, host and port of a receiver.
    pub(super) fn origin(&self, index: usize) -> String {
        format!("{}://{}", self.scheme, self.addresses[index % self.addresses.len()])
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.shared.mood.store(mood as u8, Relaxed);
    }

    /// How many deliveries arrived and were taken, repetitions too.
    pub(super) fn arrived(&self) -> u64 {
        self.shared.arrived.load(Relaxed)
    }

    /// What has arrived so far.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what has arrived so far.
    pub(super) fn forget_arrivals(&self) {
        self.shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.arrived.store(0, Relaxed);
    }
}

fn listen(index: usize, count: usize, address: IpAddr) -> std::io::Result<TcpListener> {
    if count > 1 && address == Ipv4Addr::LOCALHOST {
        let [.., high, low] = u32::try_from(index + 1).unwrap_or(1).to_be_bytes();
        if let Ok(listener) = bind(Ipv4Addr::new(127, 1, high, low).into()) {
            return Ok(listener);
        }
    }
    bind(address)
}

fn bind(address: IpAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind((address, 0).into())?;
    socket.listen(CONNECTIONS_WAITING)
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(accept(stream, tls.clone(), shared.clone()));
            }
            Err(_) => shared.clock.sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // It only costs speed where it fails.
    let _ = stream.set_nodelay(true);
    match tls {
        None => converse(stream, shared).await,
        // A sender that fails the handshake knows why better than we do.
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, shared).await;
            }
        }
    }
}

async fn converse<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.take(request).await) }
    });
    // A connection that breaks is the sender's to report.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    async fn take(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let path = request.uri().path();
        if path.starts_with(HANGING_PATH) {
            return std::future::pending().await;
        }
        let endpoint = match path.strip_prefix(ENDPOINT_PATH) {
            Some(number) => number.parse().ok(),
            None => (path == RAW_PATH).then_some(0),
        };
        // Nothing but the bench's own payloads counts.
        let body = request.into_body().collect().await.map(|body| body.to_bytes());
        let stamp = body.ok().and_then(|body| Stamp::find(&body));
        let (Some(endpoint), Some(stamp)) = (endpoint, stamp) else {
            return answer(StatusCode::BAD_REQUEST);
        };
        let mood = self.mood.load(Relaxed);
        if mood == Mood::Hang as u8 {
            return std::future::pending().await;
        }
        if mood == Mood::Refuse as u8 {
            return answer(StatusCode::SERVICE_UNAVAILABLE);
        }
        let at = self.clock.now();
        let arrival = Arrival { number: stamp.number, endpoint, at, took_us: stamp.age_us(at) };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        self.arrived.fetch_add(1, Relaxed);
        self.room.add_permits(1);
        answer(StatusCode::NO_CONTENT)
    }
}

fn answer(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}
