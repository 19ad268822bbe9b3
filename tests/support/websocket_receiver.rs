//! A receiver of websocket deliveries that does what a test tells it to.

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::certificates::Identity;
use super::server::eventually;

/// What the receiver does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Acknowledges an event with a status.
    Acknowledge(String, u16),
    Text(String),
    Binary(Vec<u8>),
    /// Says good-bye with this code and reason.
    Close(u16, &'static str),
    /// Hangs up without a word.
    Drop,
    /// Stops reading, so that not even pings are answered.
    GoDeaf,
}

/// A frame as it came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Which connection it came over, from 0.
    pub connection: usize,
    pub text: String,
    pub json: Value,
}

impl Frame {
    pub fn id(&self) -> String {
        self.json["id"].as_str().unwrap().to_owned()
    }

    /// Acknowledges it.
    pub fn with(&self, status: u16) -> Action {
        Action::Acknowledge(self.id(), status)
    }
}

/// A connection as it was opened, and what became of it.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// The path and query that were asked for.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub pings: usize,
    pub closed: bool,
    /// The code that the server closed it with.
    pub code: Option<u16>,
}

impl Opened {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

type Script = dyn Fn(&Frame) -> Vec<Action> + Send + Sync;

#[derive(Default)]
struct Seen {
    frames: Vec<Frame>,
    connections: Vec<Opened>,
    actions: Vec<mpsc::UnboundedSender<Action>>,
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Seen>>,
    script: Arc<Script>,
    refusal: Option<http::Response<()>>,
}

pub struct WebsocketReceiver {
    scheme: &'static str,
    port: u16,
    shared: Shared,
    listening: JoinHandle<()>,
}

impl WebsocketReceiver {
    /// Answers each frame with the actions of `script`.
    pub async fn start(
        script: impl Fn(&Frame) -> Vec<Action> + Send + Sync + 'static,
    ) -> WebsocketReceiver {
        WebsocketReceiver::listen(Arc::new(script), None, None).await
    }

    /// Acknowledges every event with this status.
    pub async fn answering(status: u16) -> WebsocketReceiver {
        WebsocketReceiver::start(move |frame| vec![frame.with(status)]).await
    }

    /// Answers nothing until a test says so.
    pub async fn silent() -> WebsocketReceiver {
        WebsocketReceiver::start(|_| Vec::new()).await
    }

    /// Serves `wss://` and acknowledges everything.
    pub async fn tls(identity: &Identity) -> WebsocketReceiver {
        let tls = TlsAcceptor::from(identity.server_config(&["http/1.1"]));
        WebsocketReceiver::listen(Arc::new(|frame| vec![frame.with(200)]), Some(tls), None).await
    }

    /// Refuses every handshake.
    pub async fn refusing(status: u16, headers: &[(&str, &str)]) -> WebsocketReceiver {
        let mut refusal = http::Response::builder().status(status);
        for (name, value) in headers {
            refusal = refusal.header(*name, *value);
        }
        let refusal = refusal.body(()).unwrap();
        WebsocketReceiver::listen(Arc::new(|_| Vec::new()), None, Some(refusal)).await
    }

    async fn listen(
        script: Arc<Script>,
        tls: Option<TlsAcceptor>,
        refusal: Option<http::Response<()>>,
    ) -> WebsocketReceiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { seen: Arc::default(), script, refusal };
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let serving = shared.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move { shared.accept(stream, tls).await });
            }
        });
        WebsocketReceiver { scheme, port, shared, listening }
    }

    pub fn url(&self, path: &str) -> String {
        self.url_at("127.0.0.1", path)
    }

    pub fn url_at(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port)
    }

    pub fn frames(&self) -> Vec<Frame> {
        self.shared.seen().frames.clone()
    }

    pub fn connections(&self) -> Vec<Opened> {
        self.shared.seen().connections.clone()
    }

    /// Waits until that many frames came, and returns them.
    pub async fn wait_for(&self, count: usize) -> Vec<Frame> {
        eventually(&format!("{count} frames"), async || self.frames().len() >= count).await;
        self.frames()
    }

    /// Waits until a connection is closed, and returns what was seen of it.
    pub async fn wait_for_close(&self, connection: usize) -> Opened {
        eventually("the connection's end", async || {
            self.connections().get(connection).is_some_and(|opened| opened.closed)
        })
        .await;
        self.connections()[connection].clone()
    }

    /// Does something on a connection.
    pub fn act(&self, connection: usize, action: Action) {
        // Where the connection is closed it comes too late, as it may.
        let _ = self.shared.seen().actions[connection].send(action);
    }

    /// Answers a frame over the connection that it came over.
    pub fn acknowledge(&self, frame: &Frame, status: u16) {
        self.act(frame.connection, frame.with(status));
    }
}

impl Drop for WebsocketReceiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    async fn accept(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        match tls {
            None => self.shake_hands(stream).await,
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    self.shake_hands(stream).await;
                }
            }
        }
    }

    async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let mut number = 0;
        let mut actions = None;
        // The library prescribes the error's type, which is large.
        #[allow(clippy::result_large_err)]
        let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let (sender, receiver) = mpsc::unbounded_channel();
            actions = Some(receiver);
            number = self.opened(request, sender);
            match &self.refusal {
                None => Ok(response),
                Some(refusal) => Err(refusal.clone().map(|()| Some("no entry".to_owned()))),
            }
        };
        if let Ok(socket) = accept_hdr_async(stream, callback).await {
            self.serve(number, socket, actions.unwrap()).await;
        }
        self.seen().connections[number].closed = true;
    }

    fn opened(&self, request: &Request, actions: mpsc::UnboundedSender<Action>) -> usize {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let mut seen = self.seen();
        seen.connections.push(Opened {
            target: request.uri().to_string(),
            headers: headers.collect(),
            ..Opened::default()
        });
        seen.actions.push(actions);
        seen.connections.len() - 1
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        number: usize,
        mut socket: WebSocketStream<S>,
        mut actions: mpsc::UnboundedReceiver<Action>,
    ) {
        loop {
            let to_do = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(message)) => self.receive(number, message),
                    _ => return,
                },
                action = actions.recv() => action.into_iter().collect(),
            };
            for action in to_do {
                let message = match action {
                    Action::Acknowledge(id, status) => {
                        Message::text(json!({ "id": id, "status": status }).to_string())
                    }
                    Action::Text(text) => Message::text(text),
                    Action::Binary(bytes) => Message::binary(bytes),
                    Action::Close(code, reason) => {
                        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                            code: code.into(),
                            reason: reason.into(),
                        };
                        Message::Close(Some(frame))
                    }
                    Action::Drop => return,
                    Action::GoDeaf => std::future::pending().await,
                };
                let _ = socket.send(message).await;
            }
        }
    }

    fn receive(&self, number: usize, message: Message) -> Vec<Action> {
        match message {
            Message::Text(text) => {
                let text = text.as_str().to_owned();
                let json = serde_json::from_str(&text).unwrap();
                let frame = Frame { connection: number, text, json };
                self.seen().frames.push(frame.clone());
                (self.script)(&frame)
            }
            Message::Ping(_) => {
                self.seen().connections[number].pings += 1;
                Vec::new()
            }
            Message::Close(frame) => {
                self.seen().connections[number].code = frame.map(|frame| frame.code.into());
                Vec::new()
            }
            other => panic!("the server sent {other:?}"),
        }
    }
}
