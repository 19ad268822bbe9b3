//! How many attempts a receiver has in flight, after what it did to earlier ones.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::support::receiver::{Receiver, Reply, Script, Step};
use crate::support::server::TestServer;

/// The time that the standard contract gives an attempt.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a receiver does with the next requests, and how many of them; then it hangs.
type Plan = Arc<Mutex<(Reply, usize)>>;

struct World {
    server: TestServer,
    receiver: Receiver,
    plan: Plan,
}

impl World {
    /// A receiver that may have sixteen attempts in flight and gets two hundred events.
    async fn new(reply: Reply, times: usize) -> World {
        let plan = Plan::new(Mutex::new((reply, times)));
        let server = TestServer::start_with(&["standard"], |config| {
            config.lanes.in_flight_per_endpoint = 16;
        })
        .await;
        let receiver = Receiver::start(Script::by({
            let plan = plan.clone();
            move |_| {
                let mut plan = plan.lock().unwrap();
                if plan.1 == 0 {
                    return Reply::step(Step::Hang);
                }
                plan.1 -= 1;
                plan.0.clone()
            }
        }))
        .await;
        server.application("standard", "t").await;
        server.endpoint("standard", "t", json!({ "url": receiver.url("/").as_str() })).await;
        for _ in 0..200 {
            server.publish("standard", "t", "tick", "{}").await;
        }
        World { server, receiver, plan }
    }

    /// Waits until so many requests came beyond `before`, and no more do.
    async fn settles_at(&self, before: usize, more: usize) {
        self.receiver.wait_for(before + more).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(self.receiver.requests().len() - before, more, "in flight");
    }

    /// Lets what is in flight time out; as many as `expected` follow.
    async fn time_out(&self, expected: usize) {
        let before = self.receiver.requests().len();
        self.server.clock.advance(TIMEOUT);
        self.settles_at(before, expected).await;
    }
}

#[tokio::test]
async fn timeouts_halve_what_is_in_flight_and_successes_double_it() {
    let world = World::new(Reply::status(200), 0).await;
    world.settles_at(0, 16).await;
    for expected in [8, 4, 2, 1, 1] {
        world.time_out(expected).await;
    }
    // It is back: what waited doesn't come all at once. Each success makes room for one more.
    *world.plan.lock().unwrap() = (Reply::status(200), 7);
    world.time_out(7 + 8).await;
    for expected in [4, 2, 1] {
        world.time_out(expected).await;
    }
    world.server.ledger().await;
}

#[tokio::test]
async fn a_receiver_that_says_it_is_too_much_gets_half() {
    for status in [429, 503] {
        // The answers take three seconds, in which everything is published.
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 30\r\n\r\n");
        let slow = Step::Drip(b'x', Duration::from_millis(100));
        let world = World::new(Reply::raw(head, [slow]), 16).await;
        // Sixteen were refused in one round trip, which halves once.
        world.settles_at(0, 16 + 8).await;
    }
}

#[tokio::test]
async fn refusals_change_nothing() {
    let world = World::new(Reply::status(400), 40).await;
    world.settles_at(0, 40 + 16).await;
}

#[tokio::test]
async fn after_an_outage_everything_that_waited_arrives_soon() {
    let world = World::new(Reply::status(200), 0).await;
    world.settles_at(0, 16).await;
    for expected in [8, 4, 2, 1] {
        world.time_out(expected).await;
    }
    *world.plan.lock().unwrap() = (Reply::status(200), usize::MAX);
    for _ in 0..3 {
        // The last timeout, then the retries of what had failed.
        world.server.clock.advance(TIMEOUT);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    crate::support::server::eventually("an empty backlog", async || {
        world.server.ledger().await[0].pending == 0
    })
    .await;
}
