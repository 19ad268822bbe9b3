//! Endpoints that get their events one by one, in the order of publishing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply, Script};
use crate::support::server::{TestServer, eventually};

/// How often each message shall be refused, by its payload.
type Refusals = Arc<Mutex<HashMap<String, usize>>>;

struct World {
    server: TestServer,
    receiver: Receiver,
    refusals: Refusals,
    path: String,
}

impl World {
    async fn new(ordered: bool) -> World {
        let refusals = Refusals::default();
        let receiver = Receiver::start(Script::by({
            let refusals = refusals.clone();
            move |request| {
                let mut refusals = refusals.lock().unwrap();
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let left = refusals.entry(body["n"].to_string()).or_default();
                let refuses = *left > 0;
                *left = left.saturating_sub(1);
                Reply::status(if refuses { 500 } else { 200 })
            }
        }))
        .await;
        let server = TestServer::start(&["standard"]).await;
        server.application("standard", "t").await;
        let fields = json!({ "url": receiver.url("/").as_str(), "ordered": ordered });
        let id = server.endpoint("standard", "t", fields).await;
        World { server, receiver, refusals, path: format!("/api/v1/app/t/endpoint/{id}") }
    }

    fn refuse(&self, n: usize, times: usize) {
        self.refusals.lock().unwrap().insert(n.to_string(), times);
    }

    async fn publish(&self, n: usize) -> String {
        self.server.publish("standard", "t", "tick", &format!(r#"{{"n":{n}}}"#)).await
    }

    async fn publish_all(&self, numbers: std::ops::Range<usize>) -> Vec<String> {
        let mut messages = Vec::new();
        for n in numbers {
            messages.push(self.publish(n).await);
        }
        messages
    }

    /// The numbers of the events, as they arrived.
    fn arrived(&self) -> Vec<u64> {
        let body = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
        self.receiver.requests().iter().map(|one| body(&one.body)["n"].as_u64().unwrap()).collect()
    }

    async fn stays_at(&self, expected: &[u64]) {
        self.receiver.wait_for(expected.len()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(self.arrived(), expected);
    }

    async fn patch(&self, fields: Value) {
        self.server.call("standard", "PATCH", &self.path, fields).await.expect(200);
    }

    async fn nothing_is_pending(&self) {
        eventually("an empty backlog", async || self.server.ledger().await[0].pending == 0).await;
    }
}

#[tokio::test]
async fn what_failed_is_retried_before_the_next_is_tried() {
    let world = World::new(true).await;
    world.refuse(1, 2);
    world.refuse(3, 1);
    let messages = world.publish_all(0..5).await;
    world.stays_at(&[0, 1]).await;
    let delivery = &world.server.deliveries("standard", "t", &messages[1]).await[0];
    let next = delivery["nextAttempt"].as_str().unwrap();
    assert!(next > "2025-01-15T14:32:05" && next < "2025-01-15T14:32:06", "{next}");
    world.server.clock.advance(Duration::from_secs(6));
    world.stays_at(&[0, 1, 1]).await;
    world.server.clock.advance(Duration::from_secs(331));
    world.stays_at(&[0, 1, 1, 1, 2, 3]).await;
    world.server.clock.advance(Duration::from_secs(6));
    world.stays_at(&[0, 1, 1, 1, 2, 3, 3, 4]).await;
    world.nothing_is_pending().await;
}

#[tokio::test]
async fn one_that_failed_for_good_lets_the_next_go() {
    let world = World::new(true).await;
    world.refuse(0, 100);
    let messages = world.publish_all(0..3).await;
    for attempts in 1..=8 {
        world.server.wait_for_attempts("standard", "t", &messages[0], attempts).await;
        assert!(world.arrived().iter().take(attempts).all(|&n| n == 0));
        world.server.clock.advance(Duration::from_secs(12 * 3_600));
    }
    world.receiver.wait_for(10).await;
    assert_eq!(world.arrived()[8..], [1, 2]);
    world.nothing_is_pending().await;
}

#[tokio::test]
async fn pauses_restarts_and_drops_keep_the_order() {
    let mut world = World::new(true).await;
    world.refuse(1, 2);
    world.publish_all(0..4).await;
    world.stays_at(&[0, 1]).await;
    world.patch(json!({ "disabled": true })).await;
    world.server.clock.advance(Duration::from_secs(60));
    world.stays_at(&[0, 1]).await;
    world.patch(json!({ "disabled": false })).await;
    world.stays_at(&[0, 1, 1]).await;
    world.publish_all(4..6).await;
    world.server.restart().await;
    world.stays_at(&[0, 1, 1]).await;
    world.server.clock.advance(Duration::from_secs(331));
    world.stays_at(&[0, 1, 1, 1, 2, 3, 4, 5]).await;
    world.refuse(6, 1);
    world.publish_all(6..9).await;
    world.stays_at(&[0, 1, 1, 1, 2, 3, 4, 5, 6]).await;
    world.nothing_new_after_drop().await;
}

impl World {
    /// Drops what waits; what is published next goes at once.
    async fn nothing_new_after_drop(&self) {
        let dropped = format!("{}/discard-pending", self.path);
        let answer = self.server.call("standard", "POST", &dropped, Value::Null).await;
        assert_eq!(answer.status / 100, 2, "{}", answer.text);
        self.publish(9).await;
        self.receiver.wait_for(10).await;
        assert_eq!(self.arrived().last(), Some(&9));
        self.nothing_is_pending().await;
    }
}

#[tokio::test]
async fn switching_it_on_and_off_with_retries_pending_loses_nothing() {
    let world = World::new(false).await;
    world.refuse(0, 1);
    world.publish(0).await;
    world.receiver.wait_for(1).await;
    eventually("the failure", async || world.server.ledger().await[0].pending == 1).await;
    world.patch(json!({ "ordered": true })).await;
    // What waits for its retry takes its turn then; what comes now goes before it, in order.
    world.refuse(1, 1);
    world.publish_all(1..3).await;
    world.stays_at(&[0, 1]).await;
    world.patch(json!({ "ordered": false })).await;
    world.stays_at(&[0, 1, 2]).await;
    world.server.clock.advance(Duration::from_secs(6));
    world.receiver.wait_for(5).await;
    let arrived: HashSet<u64> = world.arrived()[3..].iter().copied().collect();
    assert_eq!(arrived, HashSet::from([0, 1]));
    world.nothing_is_pending().await;
}

#[tokio::test]
async fn a_resend_goes_at_once_and_neighbours_are_not_affected() {
    let world = World::new(true).await;
    let neighbour = Receiver::start(Reply::status(200)).await;
    let fields = json!({ "url": neighbour.url("/").as_str() });
    world.server.endpoint("standard", "t", fields).await;
    world.refuse(1, 1);
    let messages = world.publish_all(0..4).await;
    world.stays_at(&[0, 1]).await;
    neighbour.wait_for(4).await;
    let endpoint = world.path.rsplit('/').next().unwrap();
    let resend = format!("/api/v1/app/t/msg/{}/endpoint/{endpoint}/resend", messages[0]);
    let answer = world.server.call("standard", "POST", &resend, Value::Null).await;
    assert_eq!(answer.status / 100, 2, "{}", answer.text);
    world.stays_at(&[0, 1, 0]).await;
    world.server.clock.advance(Duration::from_secs(6));
    world.stays_at(&[0, 1, 0, 1, 2, 3]).await;
    world.nothing_is_pending().await;
}
