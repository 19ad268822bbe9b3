//! `throttleRate`: how many attempts start in any one second.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply, Script};
use crate::support::server::{TestServer, eventually};
use crate::support::websocket_receiver::WebsocketReceiver;
use hookwright::domain::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

/// A throttled endpoint, a second after the server's start.
async fn throttled(receiver: &Receiver, rate: u16) -> (TestServer, String) {
    let server = TestServer::start(&["standard"]).await;
    server.application("standard", "t").await;
    let fields = json!({ "url": receiver.url("/").as_str(), "throttleRate": rate });
    let id = server.endpoint("standard", "t", fields).await;
    server.clock.advance(SECOND);
    (server, format!("/api/v1/app/t/endpoint/{id}"))
}

/// The starts of all attempts, in order, in microseconds.
async fn starts(server: &TestServer, messages: &[String]) -> Vec<i64> {
    let mut starts = Vec::new();
    for message in messages {
        for attempt in server.attempts("standard", "t", message).await {
            let at = Timestamp::parse_rfc3339(attempt["timestamp"].as_str().unwrap()).unwrap();
            starts.push(at.as_micros());
        }
    }
    starts.sort_unstable();
    starts
}

fn most_in_a_second(starts: &[i64]) -> usize {
    let within =
        |first: i64| starts.iter().filter(move |&&at| at >= first && at < first + 1_000_000);
    starts.iter().map(|&first| within(first).count()).max().unwrap_or_default()
}

/// Nothing more comes, however long one waits.
async fn stays_at(receiver: &Receiver, count: usize) {
    receiver.wait_for(count).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(receiver.requests().len(), count);
}

async fn publish(server: &TestServer, count: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(server.publish("standard", "t", "tick", "{}").await);
    }
    messages
}

#[tokio::test]
async fn no_second_has_more_starts_than_the_rate_also_with_retries() {
    // Each is refused the first time, so that retries come in between.
    let refused = Mutex::new(HashSet::new());
    let script = Script::by(move |request| {
        let id = request.header("webhook-id").unwrap().to_owned();
        Reply::status(if refused.lock().unwrap().insert(id) { 500 } else { 200 })
    });
    let receiver = Receiver::start(script).await;
    let (server, _) = throttled(&receiver, 3).await;
    let messages = publish(&server, 20).await;
    stays_at(&receiver, 3).await;
    server.clock.advance(Duration::from_millis(999));
    stays_at(&receiver, 3).await;
    server.clock.advance(Duration::from_millis(1));
    stays_at(&receiver, 6).await;
    for _ in 0..200 {
        if server.ledger().await[0].pending == 0 {
            break;
        }
        server.clock.advance(Duration::from_millis(250));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    eventually("an empty backlog", async || server.ledger().await[0].pending == 0).await;
    let starts = starts(&server, &messages).await;
    assert_eq!(starts.len(), 40);
    assert_eq!(most_in_a_second(&starts), 3);
}

#[tokio::test]
async fn it_holds_over_changes_of_the_rate_and_restarts() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let (mut server, path) = throttled(&receiver, 5).await;
    let messages = publish(&server, 12).await;
    stays_at(&receiver, 5).await;
    let lower = json!({ "throttleRate": 2 });
    assert_eq!(server.call("standard", "PATCH", &path, lower).await.expect(200)["rateLimit"], 2);
    server.clock.advance(Duration::from_millis(500));
    stays_at(&receiver, 5).await;
    server.clock.advance(Duration::from_millis(500));
    stays_at(&receiver, 7).await;
    server.restart().await;
    stays_at(&receiver, 7).await;
    server.clock.advance(Duration::from_millis(999));
    stays_at(&receiver, 7).await;
    server.clock.advance(Duration::from_millis(1));
    stays_at(&receiver, 9).await;
    let unlimited = json!({ "throttleRate": null });
    server.call("standard", "PATCH", &path, unlimited).await.expect(200);
    receiver.wait_for(12).await;
    eventually("an empty backlog", async || server.ledger().await[0].pending == 0).await;
    // Until it was lifted.
    assert_eq!(most_in_a_second(&starts(&server, &messages[..9]).await), 5);
}

#[tokio::test]
async fn a_throttled_endpoint_takes_nothing_from_others_and_its_claims_do_not_run_out() {
    let slow = Receiver::start(Reply::status(200)).await;
    let other = Receiver::start(Reply::status(200)).await;
    let (server, _) = throttled(&slow, 1).await;
    server.endpoint("standard", "t", json!({ "url": other.url("/").as_str() })).await;
    publish(&server, 300).await;
    other.wait_for(300).await;
    // Longer than a claim lasts.
    for sent in 1..=300 {
        slow.wait_for(sent).await;
        server.clock.advance(SECOND);
    }
    assert_eq!(slow.requests().len(), 300);
    eventually("an empty backlog", async || server.ledger().await[0].pending == 0).await;
}

#[tokio::test]
async fn websockets_have_rates_too() {
    let receiver = WebsocketReceiver::answering(200).await;
    let server = TestServer::start(&["klink"]).await;
    server.application("klink", "t").await;
    let fields = json!({
        "url": receiver.url("/"), "name": "W", "transport": "websocket",
        "filterTypes": ["contact.created"], "throttleRate": 2,
    });
    server.endpoint("klink", "t", fields).await;
    server.clock.advance(SECOND);
    for _ in 0..4 {
        server.publish("klink", "t", "contact.created", "{}").await;
    }
    receiver.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(receiver.frames().len(), 2);
    server.clock.advance(SECOND);
    receiver.wait_for(4).await;
}

#[tokio::test]
async fn it_goes_by_two_names_and_is_checked() {
    let server = TestServer::start(&["standard"]).await;
    server.application("standard", "t").await;
    let path = "/api/v1/app/t/endpoint";
    let create = async |rates: Value| {
        let mut fields = json!({ "url": "http://127.0.0.1:9/" });
        fields.as_object_mut().unwrap().extend(rates.as_object().unwrap().clone());
        server.call("standard", "POST", path, fields).await
    };
    let made = create(json!({ "rateLimit": 7 })).await.expect(201);
    assert_eq!((&made["throttleRate"], &made["rateLimit"]), (&json!(7), &json!(7)));
    let made = create(json!({ "rateLimit": 65_535, "throttleRate": 65_535 })).await.expect(201);
    assert_eq!(made["throttleRate"], 65_535);
    for (rates, field) in [
        (json!({ "throttleRate": 0 }), "throttleRate"),
        (json!({ "throttleRate": 65_536 }), "throttleRate"),
        (json!({ "throttleRate": -1 }), "throttleRate"),
        (json!({ "throttleRate": 1.5 }), "throttleRate"),
        (json!({ "throttleRate": "9" }), "throttleRate"),
        (json!({ "rateLimit": 0 }), "rateLimit"),
        (json!({ "throttleRate": 1, "rateLimit": 2 }), "rateLimit"),
        (json!({ "ordered": "yes" }), "ordered"),
    ] {
        let refused = create(rates.clone()).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["body", field]), "{rates}: {refused}");
    }
    // A partial change leaves it, `null` clears it, and so does a replacement without it.
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    let named = server.call("standard", "PATCH", &path, json!({ "description": "d" })).await;
    assert_eq!(named.expect(200)["throttleRate"], 65_535);
    let cleared = server.call("standard", "PATCH", &path, json!({ "rateLimit": null })).await;
    assert_eq!(cleared.expect(200)["throttleRate"], Value::Null);
    let ordered = json!({ "url": "http://127.0.0.1:9/", "throttleRate": 4, "ordered": true });
    server.call("standard", "PUT", &path, ordered).await.expect(200);
    let replaced = json!({ "url": "http://127.0.0.1:9/" });
    let replaced = server.call("standard", "PUT", &path, replaced).await.expect(200);
    assert_eq!((&replaced["throttleRate"], &replaced["ordered"]), (&Value::Null, &json!(true)));
}
