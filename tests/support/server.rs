//! A whole server in the test's process, spoken to over HTTP like any other.
#![allow(clippy::disallowed_methods)] // Real sockets need a guard in real time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use hookwright::cli::serve::Server;
use hookwright::clock::Clock;
use hookwright::config::Config;
use hookwright::domain::{SecretText, Timestamp};
use hookwright::entropy::Entropy;
use hookwright::sender::Resolver;

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// The admin key of every test server.
pub const ADMIN_KEY: &str = "an-admin-key-for-tests";

/// The JWT secret of every test server.
pub const JWT_SECRET: &str = "a-jwt-secret-for-tests";

/// When a test's simulated clock starts: 2025-01-15T14:32:00.258162Z.
pub const START: Timestamp = Timestamp::from_micros(1_736_951_520_258_162);

/// A server on a store of its own, with a clock that the test moves.
pub struct TestServer {
    server: Option<Server>,
    pub clock: Clock,
    pub config: Config,
    resolver: Resolver,
    dir: TempDir,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
    /// `null` where the body is empty or not JSON.
    pub json: Value,
}

impl Answer {
    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }
}

impl TestServer {
    /// A server with an environment for each of these contracts, named like it. Loopback
    /// receivers and `http://` are allowed.
    pub async fn start(contracts: &[&str]) -> TestServer {
        TestServer::start_with(contracts, |_| {}).await
    }

    /// The same, after `change` had its way with the configuration.
    pub async fn start_with(contracts: &[&str], change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::start_resolving(contracts, Resolver::system(), change).await
    }

    /// The same, with receivers' names resolved by `resolver`.
    pub async fn start_resolving(
        contracts: &[&str],
        resolver: Resolver,
        change: impl FnOnce(&mut Config),
    ) -> TestServer {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::local(contracts, dir.path()).unwrap();
        config.admin_key = Some(SecretText::new(ADMIN_KEY));
        config.jwt_secret = Some(SecretText::new(JWT_SECRET));
        change(&mut config);
        let clock = Clock::simulated(START);
        let mut server = TestServer { server: None, clock, config, resolver, dir };
        server.run().await;
        server
    }

    /// Starts it, on the store that it had where it was stopped before.
    pub async fn run(&mut self) {
        let (clock, resolver) = (self.clock.clone(), self.resolver.clone());
        let server =
            Server::start_with(&self.config, clock, Entropy::system(), resolver).await.unwrap();
        self.server = Some(server);
    }

    pub fn running(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Stops gracefully and starts again on the same store.
    pub async fn restart(&mut self) {
        self.server.take().unwrap().stop().await;
        self.run().await;
    }

    pub async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    /// Calls the API with the admin key, in an environment.
    pub async fn call(&self, environment: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call_raw(environment, method, path, body).await
    }

    /// The same, with a body that needn't be JSON.
    pub async fn call_raw(
        &self,
        environment: &str,
        method: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let authorization = format!("Bearer {ADMIN_KEY}");
        let headers =
            [("authorization", authorization.as_str()), ("hookwright-environment", environment)];
        self.send(method, path, &headers, body).await
    }

    /// Calls the API with another credential.
    pub async fn call_as(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    /// Sends any request.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let address = self.running().address;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut requests, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.into()))).unwrap();
        let exchange = async {
            let (head, body) = requests.send_request(request).await.unwrap().into_parts();
            let stream =
                head.headers.get("content-type").is_some_and(|is| is == "text/event-stream");
            let body = if stream { first_piece(body).await } else { whole(body).await };
            (head, body)
        };
        let (head, body) = tokio::time::timeout(PATIENCE, exchange).await.expect("an answer");
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            json: serde_json::from_slice(&body).unwrap_or_default(),
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Makes an application and returns its id.
    pub async fn application(&self, environment: &str, uid: &str) -> String {
        let input = json!({ "name": "A tenant", "uid": uid });
        let made = self.call(environment, "POST", "/api/v1/app", input).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Makes an endpoint from these fields and returns its id.
    pub async fn endpoint(&self, environment: &str, app: &str, fields: Value) -> String {
        let path = format!("/api/v1/app/{app}/endpoint");
        let made = self.call(environment, "POST", &path, fields).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// An endpoint's signing secret.
    pub async fn secret(&self, environment: &str, app: &str, endpoint: &str) -> String {
        let path = format!("/api/v1/app/{app}/endpoint/{endpoint}/secret");
        let shown = self.call(environment, "GET", &path, Value::Null).await.expect(200);
        shown["key"].as_str().unwrap().to_owned()
    }

    /// Publishes an event whose payload is this very text, and returns the message's id.
    pub async fn publish(
        &self,
        environment: &str,
        app: &str,
        event: &str,
        payload: &str,
    ) -> String {
        let body = format!(r#"{{"eventType":"{event}","payload":{payload}}}"#);
        let path = format!("/api/v1/app/{app}/msg");
        let made = self.call_raw(environment, "POST", &path, body).await.expect(202);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Where the deliveries of a message stand.
    pub async fn deliveries(&self, environment: &str, app: &str, message: &str) -> Vec<Value> {
        let path = format!("/api/v1/app/{app}/msg/{message}/endpoint");
        let list = self.call(environment, "GET", &path, Value::Null).await.expect(200);
        list["data"].as_array().unwrap().clone()
    }

    /// The attempts at a message, oldest first.
    pub async fn attempts(&self, environment: &str, app: &str, message: &str) -> Vec<Value> {
        let path = format!("/api/v1/app/{app}/attempt/msg/{message}?order=ascending");
        let list = self.call(environment, "GET", &path, Value::Null).await.expect(200);
        list["data"].as_array().unwrap().clone()
    }

    /// Waits until a message has that many recorded attempts, and returns them.
    pub async fn wait_for_attempts(
        &self,
        environment: &str,
        app: &str,
        message: &str,
        count: usize,
    ) -> Vec<Value> {
        let mut attempts = Vec::new();
        eventually(&format!("{count} attempts"), async || {
            attempts = self.attempts(environment, app, message).await;
            attempts.len() >= count
        })
        .await;
        attempts
    }

    /// Waits until a message's only delivery has this `statusText`, and returns it.
    pub async fn wait_for_status(
        &self,
        environment: &str,
        app: &str,
        message: &str,
        status: &str,
    ) -> Value {
        let mut delivery = Value::Null;
        eventually(&format!("the status {status}"), async || {
            let deliveries = self.deliveries(environment, app, message).await;
            delivery = deliveries.into_iter().next().unwrap_or_default();
            delivery["statusText"] == status
        })
        .await;
        delivery
    }

    /// The ledger's line of an application, and whether all lines add up.
    pub async fn ledger(&self) -> Vec<hookwright::domain::LedgerLine> {
        let lines = self.running().store.ledger().await.unwrap();
        for line in &lines {
            assert!(line.adds_up(), "{line:?}");
        }
        lines
    }
}

async fn whole(body: Incoming) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

/// How a stream begins. The rest is hung up on.
async fn first_piece(mut body: Incoming) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

/// Asks again and again until it holds, for as long as a test is patient.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
