//! What these tests begin with: K-LINK's contract, or a sender alone where a test is about its
//! limits.

use std::time::Duration;

use hookwright::clock::Clock;
use hookwright::contract::{Contract, WireMessage};
use hookwright::domain::{Answer, EndpointId, Failure, Outcome, RetryPolicy, Timestamp};
use hookwright::sender::{Guard, Sender, SenderConfig, Sent, WebsocketConfig};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::server::{START, TestServer};
use crate::support::tenant::Tenant;

/// Of attempts by a sender alone: longer than pings take, so that each can be told apart.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(100);

pub(crate) const EVENT: &str = "contact.created";

pub(crate) async fn server() -> TestServer {
    TestServer::start(&["klink"]).await
}

pub(crate) async fn workspace(server: &TestServer) -> Tenant<'_> {
    Tenant::new(server, "klink", "workspace-1").await
}

/// What the form of a new websocket asks for.
pub(crate) fn form(url: &str) -> Value {
    json!({ "name": "Live", "transport": "websocket", "url": url, "filterTypes": [EVENT] })
}

/// Publishes an event and returns the message's id.
pub(crate) async fn publish(server: &TestServer, payload: &str) -> String {
    server.publish("klink", "workspace-1", EVENT, payload).await
}

pub(crate) async fn attempts(server: &TestServer, message: &str, count: usize) -> Vec<Value> {
    server.wait_for_attempts("klink", "workspace-1", message, count).await
}

/// Waits until a message's delivery succeeded.
pub(crate) async fn succeeded(server: &TestServer, message: &str) {
    server.wait_for_status("klink", "workspace-1", message, "succeeded").await;
}

/// A sender alone, with a clock that the test moves.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) sender: Sender,
    endpoint: EndpointId,
    pub(crate) guard: Guard,
    policy: RetryPolicy,
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut WebsocketConfig)) -> World {
        let clock = Clock::simulated(START);
        let mut config = SenderConfig::default();
        change(&mut config.websocket);
        let contract = Contract::shipped("klink").unwrap();
        let policy = RetryPolicy { timeout: TIMEOUT, ..contract.retry().clone() };
        World {
            sender: Sender::new(config, clock.clone()).unwrap(),
            clock,
            endpoint: endpoint(1),
            guard: Guard::new(vec!["127.0.0.0/8".parse().unwrap()]),
            policy,
        }
    }

    /// Starts an attempt at an event.
    pub(crate) fn start(&self, url: &str, id: &str) -> JoinHandle<Sent> {
        self.start_for(self.endpoint, url, id)
    }

    pub(crate) fn start_for(&self, endpoint: EndpointId, url: &str, id: &str) -> JoinHandle<Sent> {
        self.start_message(WireMessage { endpoint, ..self.message(url, id) }, self.guard.clone())
    }

    /// A message to the only endpoint.
    pub(crate) fn message(&self, url: &str, id: &str) -> WireMessage {
        WireMessage {
            endpoint: self.endpoint,
            url: url.parse().unwrap(),
            handshake: HeaderMap::new(),
            id: id.to_owned(),
            frame: json!({ "id": id, "headers": {}, "body": {} }).to_string(),
        }
    }

    pub(crate) fn start_message(&self, message: WireMessage, guard: Guard) -> JoinHandle<Sent> {
        let (sender, policy) = (self.sender.clone(), self.policy.clone());
        tokio::spawn(async move { sender.attempt_message(&message, &guard, &policy).await })
    }

    pub(crate) fn close(&self) {
        self.sender.close_websocket(self.endpoint);
    }

    /// Moves the clock on second by second, until `holds`. Returns the seconds it took.
    #[allow(clippy::disallowed_methods)] // The other side runs in real time.
    pub(crate) async fn pass_until(&self, mut holds: impl FnMut() -> bool) -> u64 {
        for seconds in 0..2_000 {
            for _ in 0..5 {
                if holds() {
                    return seconds;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.clock.advance(Duration::from_secs(1));
        }
        panic!("it never held");
    }
}

/// The id of one of several endpoints.
pub(crate) fn endpoint(number: u8) -> EndpointId {
    EndpointId::at(Timestamp::from_seconds(1), [number; 8])
}

#[track_caller]
pub(crate) fn answered(sent: Sent) -> Answer {
    match sent.outcome {
        Outcome::Answered(answer) => answer,
        Outcome::Failed(failure) => panic!("no answer: {failure:?}"),
    }
}

#[track_caller]
pub(crate) fn failed(sent: Sent) -> Failure {
    match sent.outcome {
        Outcome::Answered(answer) => panic!("answered: {answer:?}"),
        Outcome::Failed(failure) => failure,
    }
}
