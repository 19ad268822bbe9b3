//! One endpoint in front of a receiver whose mood the test decides.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwright::config::Config;
use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply, Script, Step};
use crate::support::server::{Answer, TestServer, eventually};

/// How the receiver answers.
#[derive(Clone, Copy)]
pub(super) enum Mood {
    /// With this status.
    Answers(u16),
    /// So many times with 200, and then never.
    HangsAfter(u64),
}

pub(super) struct World {
    pub(super) server: TestServer,
    pub(super) receiver: Receiver,
    pub(super) contract: &'static str,
    event: &'static str,
    pub(super) endpoint: String,
    mood: Arc<Mutex<Mood>>,
    published: AtomicU64,
}

impl World {
    pub(super) async fn new(contract: &'static str) -> World {
        World::with(contract, |_| {}).await
    }

    pub(super) async fn with(contract: &'static str, change: impl FnOnce(&mut Config)) -> World {
        let server = TestServer::start_with(&[contract], change).await;
        let mood = Arc::new(Mutex::new(Mood::Answers(200)));
        let receiver = Receiver::start(Script::by({
            let mood = mood.clone();
            move |_| {
                let mut mood = mood.lock().unwrap();
                match *mood {
                    Mood::Answers(status) => Reply::status(status),
                    Mood::HangsAfter(0) => Reply::step(Step::Hang),
                    Mood::HangsAfter(left) => {
                        *mood = Mood::HangsAfter(left - 1);
                        Reply::status(200)
                    }
                }
            }
        }))
        .await;
        server.application(contract, "tenant").await;
        let event = match contract {
            "kakiyo" => "message.sent",
            "klink" => "room.solved",
            _ => "invoice.paid",
        };
        let url = receiver.url("/hook");
        let fields = json!({ "url": url.as_str(), "name": "Hook", "filterTypes": [event] });
        let endpoint = server.endpoint(contract, "tenant", fields).await;
        let published = AtomicU64::new(0);
        World { server, receiver, contract, event, endpoint, mood, published }
    }

    pub(super) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn pass(&self, duration: Duration) {
        self.server.clock.advance(duration);
    }

    /// Publishes the next number, a moment after the one before, and returns the message's id.
    pub(super) async fn publish(&self) -> String {
        let number = self.published.fetch_add(1, SeqCst);
        self.pass(Duration::from_millis(100));
        let payload = format!(r#"{{"n":{number}}}"#);
        self.server.publish(self.contract, "tenant", self.event, &payload).await
    }

    /// Publishes and waits until the first attempt is recorded.
    pub(super) async fn publish_and_attempt(&self) -> String {
        let message = self.publish().await;
        self.server.wait_for_attempts(self.contract, "tenant", &message, 1).await;
        message
    }

    /// The published numbers in the order in which the receiver got them.
    pub(super) fn received(&self) -> Vec<u64> {
        let requests = self.receiver.requests();
        let number = |body: &[u8]| {
            let body: Value = serde_json::from_slice(body).unwrap();
            body["n"].as_u64().or_else(|| body["data"]["n"].as_u64()).unwrap()
        };
        requests.iter().map(|request| number(&request.body)).collect()
    }

    /// Calls a route of the endpoint.
    pub(super) async fn call(&self, method: &str, below: &str, body: Value) -> Answer {
        let path = format!("/api/v1/app/tenant/endpoint/{}{below}", self.endpoint);
        self.server.call(self.contract, method, &path, body).await
    }

    pub(super) async fn show(&self) -> Value {
        self.call("GET", "", Value::Null).await.expect(200)
    }

    pub(super) async fn history(&self) -> Vec<Value> {
        let list = self.call("GET", "/history", Value::Null).await.expect(200);
        list["data"].as_array().unwrap().clone()
    }

    /// Publishes four failures, which pause a webhook of Kakiyo's contract.
    pub(super) async fn four_failures(&self) {
        self.mood(Mood::Answers(503));
        for _ in 0..4 {
            self.publish_and_attempt().await;
        }
        eventually("the pause", async || self.show().await["paused"] == true).await;
    }

    /// Gives what should not happen some time to happen.
    pub(super) async fn nothing_more_than(&self, requests: usize) {
        for _ in 0..20 {
            self.show().await;
        }
        assert_eq!(self.receiver.requests().len(), requests);
    }

    /// Accepted, succeeded, failed, pending and discarded.
    pub(super) async fn ledger(&self) -> [u64; 5] {
        let line = &self.server.ledger().await[0];
        [line.accepted, line.succeeded, line.failed, line.pending, line.discarded]
    }
}
