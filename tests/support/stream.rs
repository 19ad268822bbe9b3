//! A client of server-sent events, written after the HTML standard (9.2.6, "Interpreting an
//! event stream") and not after the server.
#![allow(clippy::disallowed_methods)] // Real sockets need a guard in real time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long a test waits for the next event.
const PATIENCE: Duration = Duration::from_secs(20);

/// An event that was dispatched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatched {
    /// The type, `message` unless the server names another.
    pub kind: String,
    pub data: String,
    /// The last event id when it was dispatched.
    pub id: String,
}

impl Dispatched {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

/// An open stream.
pub struct EventStream {
    pub headers: http::HeaderMap,
    body: Incoming,
    unread: Vec<u8>,
    /// Of the block that is being read.
    kind: String,
    data: String,
    id: String,
    /// What a client would come back with in `Last-Event-ID`.
    pub last_id: String,
    pub retry_ms: Option<u64>,
    pub comments: usize,
}

impl EventStream {
    /// Opens a stream, which must be answered with 200.
    pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> EventStream {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut requests, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().uri(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let (head, body) = requests.send_request(request).await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["content-type"], "text/event-stream");
        EventStream {
            headers: head.headers,
            body,
            unread: Vec::new(),
            kind: String::new(),
            data: String::new(),
            id: String::new(),
            last_id: String::new(),
            retry_ms: None,
            comments: 0,
        }
    }

    /// The next event; `None` where the stream has ended.
    pub async fn next(&mut self) -> Option<Dispatched> {
        loop {
            if let Some(event) = self.step().await? {
                return Some(event);
            }
        }
    }

    /// Reads on until a line is a comment or an event is complete, without waiting for either.
    pub async fn read_until_comment(&mut self) {
        let before = self.comments;
        while self.comments == before {
            assert!(self.step().await.expect("a stream that goes on").is_none(), "an event");
        }
    }

    /// Reads until the client knows where it is.
    pub async fn read_until_id(&mut self) {
        while self.last_id.is_empty() {
            assert!(self.step().await.expect("a stream that goes on").is_none(), "an event");
        }
    }

    /// Reads one line. The outer `None` is the end of the stream.
    async fn step(&mut self) -> Option<Option<Dispatched>> {
        let line = self.line().await?;
        if line.is_empty() {
            return Some(self.dispatch());
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.comments += 1,
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" => value.clone_into(&mut self.id),
            "retry" => self.retry_ms = Some(value.parse().unwrap()),
            other => panic!("an unknown field {other:?}"),
        }
        Some(None)
    }

    fn dispatch(&mut self) -> Option<Dispatched> {
        self.last_id.clone_from(&self.id);
        let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        if data.is_empty() {
            return None;
        }
        data.pop();
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Dispatched { kind, data, id: self.last_id.clone() })
    }

    /// A line without its end, which is CR, LF or both.
    async fn line(&mut self) -> Option<String> {
        loop {
            let end = self.unread.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            // What follows a CR decides whether it is a line end of its own.
            if let Some(end) = end
                && (self.unread[end] == b'\n' || end + 1 < self.unread.len())
            {
                let both = self.unread[end..].starts_with(b"\r\n");
                let line: Vec<u8> = self.unread.drain(..end + 1 + usize::from(both)).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let bytes = frame.expect("more of the stream")?.ok()?.into_data().unwrap();
            self.unread.extend_from_slice(&bytes);
        }
    }
}
