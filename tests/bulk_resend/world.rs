//! One application in front of a receiver whose mood the test decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::Duration;

use hookwright::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply, Script, Step};
use crate::support::server::{Answer, TestServer, eventually};

/// The receiver never answers.
pub(super) const HANGS: u16 = 0;

pub(super) struct World {
    pub(super) server: TestServer,
    pub(super) receiver: Receiver,
    pub(super) contract: &'static str,
    mood: Arc<AtomicU16>,
}

impl World {
    pub(super) async fn new(contract: &'static str) -> World {
        let server = TestServer::start(&[contract]).await;
        let mood = Arc::new(AtomicU16::new(200));
        let script = Script::by({
            let mood = Arc::clone(&mood);
            move |_| match mood.load(SeqCst) {
                HANGS => Reply::step(Step::Hang),
                status => Reply::status(status),
            }
        });
        let receiver = Receiver::start(script).await;
        server.application(contract, "tenant").await;
        World { server, receiver, contract, mood }
    }

    /// What the receiver answers from now on: a status, or nothing.
    pub(super) fn answer(&self, status: u16) {
        self.mood.store(status, SeqCst);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.server.clock.now()
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.server.clock.advance(Duration::from_secs(seconds));
    }

    /// An endpoint with a path of its own at the receiver.
    pub(super) async fn endpoint(&self, path: &str, fields: Value) -> String {
        let url = self.receiver.url(path);
        let mut all = json!({ "url": url.as_str(), "name": path });
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.server.endpoint(self.contract, "tenant", all).await
    }

    /// Publishes an event with this number.
    pub(super) async fn publish(&self, event: &str, number: u64) -> String {
        let payload = format!(r#"{{"n":{number}}}"#);
        self.server.publish(self.contract, "tenant", event, &payload).await
    }

    /// The numbers that arrived at a path, in the order in which they came.
    pub(super) fn received(&self, path: &str) -> Vec<u64> {
        let requests = self.receiver.requests();
        let at = requests.iter().filter(|request| request.target == path);
        let number = |body: &[u8]| {
            let body: Value = serde_json::from_slice(body).unwrap();
            body["n"].as_u64().or_else(|| body["data"]["n"].as_u64()).unwrap()
        };
        at.map(|request| number(&request.body)).collect()
    }

    /// The ids that receivers know the events by which arrived at a path.
    pub(super) fn ids(&self, path: &str) -> Vec<String> {
        let requests = self.receiver.requests();
        let at = requests.iter().filter(|request| request.target == path);
        at.map(|request| request.header("webhook-id").unwrap().to_owned()).collect()
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.server.call(self.contract, method, path, body).await
    }

    /// Asks for a resend: `recover`, `replay-missing` or `bulk-replay`.
    pub(super) async fn ask(&self, endpoint: &str, action: &str, input: Value) -> Answer {
        let path = format!("/api/v1/app/tenant/endpoint/{endpoint}/{action}");
        self.call("POST", &path, input).await
    }

    /// Begins a resend of all time, which must count this many.
    pub(super) async fn begin(&self, endpoint: &str, action: &str, count: u64) -> String {
        self.begin_with(endpoint, action, json!({ "since": "2025-01-01T00:00:00Z" }), count).await
    }

    /// The same of what an input says. A dry run must count as many before.
    pub(super) async fn begin_with(
        &self,
        endpoint: &str,
        action: &str,
        input: Value,
        count: u64,
    ) -> String {
        let dry = self.ask(endpoint, &format!("{action}?dry_run=true"), input.clone()).await;
        assert_eq!(dry.expect(200), json!({ "messagesCounted": count }));
        let begun = self.ask(endpoint, action, input).await.expect(202);
        assert_eq!(begun["data"]["messagesCounted"], count);
        begun["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn task(&self, id: &str) -> Value {
        let path = format!("/api/v1/background-task/{id}");
        self.call("GET", &path, Value::Null).await.expect(200)
    }

    /// Waits until a resend has ended. It rests between its steps, so the clock has to go on.
    pub(super) async fn ended(&self, id: &str) -> Value {
        let mut task = Value::Null;
        eventually("the end of a resend", async || {
            self.server.clock.advance(Duration::from_millis(100));
            task = self.task(id).await;
            task["status"] != "running"
        })
        .await;
        task
    }

    /// Waits until nothing is pending. Returns accepted, succeeded, failed and discarded.
    pub(super) async fn settled(&self) -> [u64; 4] {
        let mut counts = [0; 4];
        eventually("the end of what is pending", async || {
            let line = &self.server.ledger().await[0];
            counts = [line.accepted, line.succeeded, line.failed, line.discarded];
            line.pending == 0
        })
        .await;
        counts
    }

    /// Waits until so many deliveries have failed for good.
    pub(super) async fn all_failed(&self, count: u64) {
        eventually("failures", async || {
            // One retry after the other, each of which gets the time to fail.
            self.pass(10);
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.server.ledger().await[0].failed == count
        })
        .await;
    }
}
