//! From a destination to an open connection: resolve, judge, dial, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use url::Host;

use super::connection::{Http1, SharedConnection};
use super::guard::Blocked;
use super::origin::Origin;
use super::pool::Pooled;
use super::progress::Progress;
use super::resolve::Resolver;
use super::stream::Stream;
use super::tls;
use crate::clock::Clock;
use crate::domain::{Failure, FailureKind, Phase};

/// The most addresses of one name that are judged and tried.
pub const MAX_ADDRESSES: usize = 16;

/// Opens connections.
pub(super) struct Connector {
    pub(super) clock: Clock,
    pub(super) resolver: Resolver,
    pub(super) tls: TlsConnector,
    /// Doesn't offer HTTP/2.
    pub(super) websocket_tls: TlsConnector,
    pub(super) source_address: Option<IpAddr>,
    pub(super) connect_timeout: Duration,
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<TokioExecutor>,
}

impl Connector {
    /// A new connection to `origin`, whose guard has passed the address it leads to.
    pub(super) async fn connect(
        &self,
        origin: Arc<Origin>,
        progress: &mut Progress<'_>,
    ) -> Result<Pooled, Failure> {
        let stream = self.open_stream(&origin, &self.tls, progress).await?;
        let opened = if stream.is_http2() {
            SharedConnection::open(&self.http2, origin, stream).await.map(Pooled::Shared)
        } else {
            Http1::open(&self.http1, origin, stream).await.map(Pooled::Http1)
        };
        opened.map_err(|error| handshake_failure(&error))
    }

    /// A new stream to `origin`, encrypted where its scheme says so.
    pub(super) async fn open_stream(
        &self,
        origin: &Origin,
        tls: &TlsConnector,
        progress: &mut Progress<'_>,
    ) -> Result<Stream, Failure> {
        let addresses = self.allowed_addresses(origin, progress).await?;
        progress.enter(Phase::Connect);
        let tcp = self.dial(origin, &addresses).await?;
        if !origin.https {
            return Ok(Stream::plain(tcp));
        }
        progress.enter(Phase::Tls);
        let stream = tls.connect(server_name(origin)?, tcp).await;
        let stream = stream.map_err(|error| tls::handshake_failure(origin.bare_host(), &error))?;
        Ok(Stream::tls(stream))
    }

    /// The addresses of the origin that its guard lets through.
    async fn allowed_addresses(
        &self,
        origin: &Origin,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<IpAddr>, Failure> {
        let found = match origin.parsed_host()? {
            Host::Ipv4(v4) => vec![IpAddr::V4(v4)],
            Host::Ipv6(v6) => vec![IpAddr::V6(v6)],
            Host::Domain(_) => {
                progress.enter(Phase::Resolve);
                self.resolve(&origin.host).await?
            }
        };
        let mut allowed = Vec::new();
        let mut blocked = Vec::new();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            match origin.guard.check_ip(address) {
                Ok(()) => allowed.push(address),
                Err(reason) => blocked.push(reason),
            }
        }
        if allowed.is_empty() {
            return Err(refused(origin, &blocked));
        }
        Ok(allowed)
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let failure = |sentence| Failure::new(FailureKind::Dns, None, sentence);
        match self.resolver.lookup(name).await {
            Ok(found) if found.is_empty() => {
                Err(failure(format!("The name {name} has no address.")))
            }
            Ok(found) => Ok(found),
            Err(error) => {
                Err(failure(format!("The name {name} can't be resolved.")).caused_by(&error))
            }
        }
    }

    /// Tries one address after the other. One that stays silent may not use up the time of
    /// those behind it, so all but the last have a limit of their own.
    async fn dial(&self, origin: &Origin, addresses: &[IpAddr]) -> Result<TcpStream, Failure> {
        let mut errors = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, origin.port);
            let tcp = self.dial_one(address);
            let result = if index + 1 == addresses.len() {
                tcp.await
            } else {
                let limited = self.clock.timeout(self.connect_timeout, tcp).await;
                limited.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            };
            match result {
                Ok(tcp) => return Ok(tcp),
                Err(error) => errors.push((address, error)),
            }
        }
        Err(connect_failure(origin, &errors))
    }

    async fn dial_one(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(source) = self.source_address {
            if source.is_ipv4() != address.is_ipv4() {
                let reason = format!("deliveries leave from {source}, which can't reach it");
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, reason));
            }
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let tcp = socket.connect(address).await?;
        // A request is written whole, so there is nothing to wait for.
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }
}

fn server_name(origin: &Origin) -> Result<ServerName<'static>, Failure> {
    let host = origin.bare_host();
    ServerName::try_from(host.to_owned()).map_err(|error| {
        let sentence = format!("{host} is no name that a certificate can be issued for.");
        Failure::new(FailureKind::Url, None, sentence).caused_by(&error)
    })
}

/// Whether the error says that this machine has no more sockets, buffers or memory.
fn is_local(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn connect_failure(origin: &Origin, errors: &[(SocketAddr, io::Error)]) -> Failure {
    if let Some((_, error)) = errors.iter().find(|(_, error)| is_local(error)) {
        let sentence = "This machine has no socket left for the connection.";
        return Failure::new(FailureKind::Local, None, sentence).caused_by(error);
    }
    let (host, port) = (origin.bare_host(), origin.port);
    let all_are = |kind| errors.iter().all(|(_, error)| error.kind() == kind);
    let sentence = if all_are(io::ErrorKind::ConnectionRefused) {
        format!("{host} refuses connections on port {port}.")
    } else {
        format!("No connection to {host} on port {port} could be made.")
    };
    let mut failure = Failure::new(FailureKind::Connect, None, sentence);
    failure.causes.extend(errors.iter().map(|(address, error)| format!("{address}: {error}")));
    failure
}

fn handshake_failure(error: &hyper::Error) -> Failure {
    let sentence = "The receiver broke off before the request could be sent.";
    Failure::new(FailureKind::Reset, Some(Phase::Send), sentence).caused_by(error)
}

/// The failure of a host with no address that may be reached. Customers read it, so it says
/// what kinds of addresses a name has and not which: that would map the network behind us.
fn refused(origin: &Origin, blocked: &[Blocked]) -> Failure {
    let sentence = format!("Deliveries may not go to {}.", origin.bare_host());
    let mut failure = Failure::new(FailureKind::Blocked, None, sentence);
    for reason in blocked {
        tracing::debug!(host = origin.bare_host(), %reason, "address refused");
        let cause = format!("Its address is {}.", reason.range());
        if !failure.causes.contains(&cause) {
            failure.causes.push(cause);
        }
    }
    failure
}
