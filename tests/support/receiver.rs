//! A webhook receiver that does as it is told, good or bad.
//!
//! HTTP/1 is read and written by hand here, so that the bytes on the wire can be checked and
//! broken without the help of the library that the sender itself uses. HTTP/2 is hyper's.
#![allow(clippy::disallowed_methods)] // Real sockets need a guard in real time.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which of the receiver's connections brought it, counted from 0.
    pub connection: usize,
    pub peer: SocketAddr,
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The whole head as it came over the wire. Empty for HTTP/2.
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// One thing that a receiver does with a connection.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    /// Sends the same bytes again and again until the other side has had enough.
    Endless(Vec<u8>),
    /// Sends the same byte again and again, with a pause in real time after each.
    Drip(u8, Duration),
    /// Does nothing more, until the other side closes.
    Hang,
    /// Does nothing more, and reads nothing either.
    Deaf,
    Close,
    /// Closes so that the other side's system reports a reset.
    Reset,
}

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A proper answer, after which the connection stays open.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Anything else. Over HTTP/2 only a lone `Hang` or `Reset`.
    Steps(Vec<Step>),
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(self, name: &str, value: &str) -> Reply {
        match self {
            Reply::Answer { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_owned()));
                Reply::Answer { status, headers, body }
            }
            steps @ Reply::Steps(_) => steps,
        }
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Reply {
        match self {
            Reply::Answer { status, headers, .. } => {
                Reply::Answer { status, headers, body: body.into() }
            }
            steps @ Reply::Steps(_) => steps,
        }
    }

    /// Sends `text` as it is, then does `then`.
    pub fn raw(text: impl Into<Vec<u8>>, then: impl IntoIterator<Item = Step>) -> Reply {
        let send = Step::Send(text.into());
        Reply::Steps(std::iter::once(send).chain(then).collect())
    }

    pub fn step(step: Step) -> Reply {
        Reply::Steps(vec![step])
    }
}

/// Decides what to do with each request.
pub struct Script(Box<dyn Fn(&Received) -> Reply + Send + Sync>);

impl Script {
    pub fn by(decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Script {
        Script(Box::new(decide))
    }

    /// One reply after the other, over all connections; the last for ever.
    pub fn sequence(replies: Vec<Reply>) -> Script {
        let next = AtomicUsize::new(0);
        Script::by(move |_| replies[next.fetch_add(1, SeqCst).min(replies.len() - 1)].clone())
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Script {
        Script::by(move |_| reply.clone())
    }
}

/// How a receiver listens.
#[derive(Clone, Default)]
pub struct Options {
    /// `127.0.0.1` where none is given.
    pub address: Option<&'static str>,
    pub tls: Option<Arc<ServerConfig>>,
    /// What it does with each connection instead of reading a request.
    pub greeting: Option<Vec<Step>>,
}

/// A receiver, listening on a port of its own until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    is_tls: bool,
    state: Arc<State>,
    _listening: AbortOnDropHandle<()>,
}

struct State {
    script: Script,
    options: Options,
    requests: Mutex<Vec<Received>>,
    accepted: AtomicUsize,
    closed: AtomicUsize,
    resumed: AtomicUsize,
    changed: Notify,
    close_idle: watch::Sender<u64>,
}

impl Receiver {
    /// Listens on the loopback, without TLS.
    pub async fn start(script: impl Into<Script>) -> Receiver {
        Receiver::start_with(Options::default(), script).await
    }

    pub async fn start_with(options: Options, script: impl Into<Script>) -> Receiver {
        let address = options.address.unwrap_or("127.0.0.1");
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_tls = options.tls.is_some();
        let state = Arc::new(State {
            script: script.into(),
            options,
            requests: Mutex::default(),
            accepted: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            resumed: AtomicUsize::new(0),
            changed: Notify::new(),
            close_idle: watch::Sender::new(0),
        });
        let listening = AbortOnDropHandle::new(tokio::spawn(listen(listener, state.clone())));
        Receiver { address, is_tls, state, _listening: listening }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of `path` at the receiver's address.
    pub fn url(&self, path: &str) -> Url {
        self.url_at(&self.address.to_string(), path)
    }

    /// The URL of `path` under a name, which the test has to make resolvable.
    pub fn url_for(&self, host: &str, path: &str) -> Url {
        self.url_at(&format!("{host}:{}", self.port()), path)
    }

    fn url_at(&self, authority: &str, path: &str) -> Url {
        let scheme = if self.is_tls { "https" } else { "http" };
        Url::parse(&format!("{scheme}://{authority}{path}")).unwrap()
    }

    /// All requests so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<Received> {
        self.state.requests.lock().unwrap().clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.state.accepted.load(SeqCst)
    }

    /// How many TLS handshakes resumed an earlier session.
    pub fn resumed(&self) -> usize {
        self.state.resumed.load(SeqCst)
    }

    /// Closes every connection that is between two requests.
    pub fn close_idle(&self) {
        self.state.close_idle.send_modify(|generation| *generation += 1);
    }

    /// Waits until `count` requests were read, and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} requests");
        self.wait_until(&what, || self.state.requests.lock().unwrap().len() >= count).await;
        self.requests()
    }

    /// Waits until `count` connections were accepted.
    pub async fn wait_for_connections(&self, count: usize) {
        let what = format!("{count} connections");
        self.wait_until(&what, || self.connections() >= count).await;
    }

    /// Waits until `count` connections have ended.
    pub async fn wait_for_closed(&self, count: usize) {
        let what = format!("{count} closed connections");
        self.wait_until(&what, || self.state.closed.load(SeqCst) >= count).await;
    }

    async fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let wait = async {
            loop {
                let changed = self.state.changed.notified();
                if holds() {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "the receiver waited in vain for {what}");
    }
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((tcp, peer)) = listener.accept().await {
        let index = state.accepted.fetch_add(1, SeqCst);
        state.changed.notify_waiters();
        let state = state.clone();
        connections.spawn(async move {
            // How a connection ends is up to the script; errors are part of the game.
            let _ = serve(tcp, peer, index, &state).await;
            state.closed.fetch_add(1, SeqCst);
            state.changed.notify_waiters();
        });
    }
}

async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    index: usize,
    state: &Arc<State>,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut wire = match &state.options.tls {
        None => Wire::Plain(tcp),
        Some(config) => {
            let tls = TlsAcceptor::from(config.clone()).accept(tcp).await?;
            if tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                state.resumed.fetch_add(1, SeqCst);
            }
            if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                return serve_http2(tls, peer, index, state).await;
            }
            Wire::Tls(Box::new(tls))
        }
    };
    if let Some(greeting) = &state.options.greeting {
        wire.perform(greeting).await?;
        return Ok(());
    }
    let mut close_idle = state.close_idle.subscribe();
    let mut buffer = Vec::new();
    loop {
        let request = tokio::select! {
            request = wire.read_request(&mut buffer, index, peer) => request?,
            _ = close_idle.changed() => return Ok(()),
        };
        let Some(request) = request else { return Ok(()) };
        let reply = state.decide(request);
        let ended = match reply {
            Reply::Answer { status, headers, body } => {
                wire.write_all(&answer_bytes(status, &headers, &body)).await?;
                false
            }
            Reply::Steps(steps) => wire.perform(&steps).await?,
        };
        if ended {
            return Ok(());
        }
    }
}

impl State {
    fn decide(&self, request: Received) -> Reply {
        let reply = (self.script.0)(&request);
        self.requests.lock().unwrap().push(request);
        self.changed.notify_waiters();
        reply
    }
}

fn answer_bytes(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Wire::Plain(tcp) => tcp.read_buf(buffer).await,
            Wire::Tls(tls) => tls.read_buf(buffer).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(tcp) => tcp.write_all(bytes).await,
            Wire::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await
            }
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Wire::Plain(tcp) => tcp,
            Wire::Tls(tls) => tls.get_ref().0,
        }
    }

    /// The next request; `None` where the connection was closed instead.
    async fn read_request(
        &mut self,
        buffer: &mut Vec<u8>,
        connection: usize,
        peer: SocketAddr,
    ) -> io::Result<Option<Received>> {
        let head_end = loop {
            if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            if self.read(buffer).await? == 0 {
                return Ok(None);
            }
        };
        let mut request = parse_head(&buffer[..head_end], connection, peer);
        let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
        while buffer.len() < head_end + length {
            if self.read(buffer).await? == 0 {
                return Ok(None);
            }
        }
        request.body = buffer[head_end..head_end + length].to_vec();
        buffer.drain(..head_end + length);
        Ok(Some(request))
    }

    /// Whether the connection has ended.
    async fn perform(&mut self, steps: &[Step]) -> io::Result<bool> {
        for step in steps {
            match step {
                Step::Send(bytes) => self.write_all(bytes).await?,
                Step::Endless(bytes) => loop {
                    self.write_all(bytes).await?;
                },
                Step::Drip(byte, pause) => loop {
                    self.write_all(&[*byte]).await?;
                    tokio::time::sleep(*pause).await;
                },
                Step::Hang => {
                    while self.read(&mut Vec::new()).await? > 0 {}
                    return Ok(true);
                }
                Step::Deaf => std::future::pending().await,
                Step::Close => return Ok(true),
                Step::Reset => {
                    self.tcp().set_zero_linger()?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn parse_head(bytes: &[u8], connection: usize, peer: SocketAddr) -> Received {
    let head = String::from_utf8(bytes.to_vec()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let mut request_line = lines.next().unwrap().split(' ');
    let method = request_line.next().unwrap().to_owned();
    let target = request_line.next().unwrap().to_owned();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Received { connection, peer, method, target, head, headers, body: Vec::new() }
}

async fn serve_http2(
    tls: TlsStream<TcpStream>,
    peer: SocketAddr,
    index: usize,
    state: &Arc<State>,
) -> io::Result<()> {
    let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| {
        let state = state.clone();
        async move {
            let request = http2_request(request, index, peer).await;
            match state.decide(request) {
                Reply::Answer { status, headers, body } => {
                    let mut answer = http::Response::builder().status(status);
                    for (name, value) in headers {
                        answer = answer.header(name, value);
                    }
                    Ok(answer.body(Full::new(Bytes::from(body))).unwrap())
                }
                Reply::Steps(steps) if matches!(steps[..], [Step::Reset]) => {
                    Err(io::Error::other("the script says so"))
                }
                Reply::Steps(_) => std::future::pending().await,
            }
        }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(tls), service));
    let mut close_idle = state.close_idle.subscribe();
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = close_idle.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    served.map_err(io::Error::other)
}

async fn http2_request(
    request: http::Request<hyper::body::Incoming>,
    connection: usize,
    peer: SocketAddr,
) -> Received {
    let (head, body) = request.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: Vec<(String, String)> =
        head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    if let Some(authority) = head.uri.authority() {
        headers.insert(0, ("host".to_owned(), authority.to_string()));
    }
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    Received {
        connection,
        peer,
        method: head.method.to_string(),
        target: head.uri.path_and_query().unwrap().to_string(),
        head: String::new(),
        headers,
        body,
    }
}
