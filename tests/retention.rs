//! What grows too old goes, seen from outside under a simulated clock.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};

use hookwright::config::Config;
use hookwright::domain::Retention;
use hookwright::environment::{Environment, Environments};
use support::receiver::{Receiver, Reply, Script};
use support::server::{TestServer, eventually};

const HOME: &str = "standard";
const DAY: Duration = Duration::from_secs(86_400);

/// Gives all environments these times.
fn keep(config: &mut Config, messages: Option<Duration>, content: Option<Duration>) {
    let retention = Retention { messages, content };
    let kept: Vec<Environment> = config
        .environments
        .configured()
        .map(|environment| Environment { retention, ..(**environment).clone() })
        .collect();
    let other = kept[0].clone();
    config.environments = Arc::new(Environments::new(kept, other));
}

/// A server with one application, `t`, that keeps content for 7 days and messages for 90.
async fn server() -> TestServer {
    let server =
        TestServer::start_with(&[HOME], |config| keep(config, Some(90 * DAY), Some(7 * DAY))).await;
    server.application(HOME, "t").await;
    server
}

async fn get(server: &TestServer, path: &str) -> Value {
    server.call(HOME, "GET", &format!("/api/v1/app/t/{path}"), Value::Null).await.expect(200)
}

async fn status_of(server: &TestServer, path: &str) -> u16 {
    server.call(HOME, "GET", &format!("/api/v1/app/t/{path}"), Value::Null).await.status
}

/// Waits for what the server does in the background. It rests between its steps, so the clock
/// has to go on.
async fn soon(server: &TestServer, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(what, async || {
        server.clock.advance(Duration::from_secs(1));
        holds().await
    })
    .await;
}

async fn gone(server: &TestServer, message: &str) {
    let path = format!("msg/{message}");
    soon(server, "a message to go", async || status_of(server, &path).await == 404).await;
}

async fn expired(server: &TestServer, message: &str) -> Value {
    let mut shown = Value::Null;
    soon(server, "a payload to go", async || {
        shown = get(server, &format!("msg/{message}")).await;
        shown["payloadExpired"] == true
    })
    .await;
    shown
}

async fn publish_as(server: &TestServer, event_id: &str) -> u16 {
    let body = json!({ "eventType": "tick", "eventId": event_id, "payload": { "n": 1 } });
    server.call(HOME, "POST", "/api/v1/app/t/msg", body).await.status
}

/// An endpoint at a receiver that fails until it is told otherwise.
async fn reluctant(server: &TestServer) -> (Receiver, Arc<AtomicBool>, String) {
    let takes = Arc::new(AtomicBool::new(false));
    let asked = takes.clone();
    let decide = move |_: &_| Reply::status(if asked.load(SeqCst) { 200 } else { 500 });
    let receiver = Receiver::start(Script::by(decide)).await;
    let fields = json!({ "url": receiver.url("/").as_str() });
    let endpoint = server.endpoint(HOME, "t", fields).await;
    (receiver, takes, endpoint)
}

#[tokio::test]
async fn old_messages_go_with_all_that_belongs_to_them() {
    let server = server().await;
    let receiver = Receiver::start(Reply::status(200).body("thanks")).await;
    let url = receiver.url("/").to_string();
    let endpoint = server.endpoint(HOME, "t", json!({ "url": url })).await;
    let mut messages = Vec::new();
    for _ in 0..30 {
        messages.push(server.publish(HOME, "t", "tick", r#"{"n":1}"#).await);
    }
    for message in &messages {
        server.wait_for_status(HOME, "t", message, "succeeded").await;
    }
    assert_eq!(publish_as(&server, "once").await, 202);
    assert_eq!(publish_as(&server, "once").await, 409);
    server.clock.advance(DAY);
    let young = server.publish(HOME, "t", "tick", r#"{"n":2}"#).await;
    server.wait_for_status(HOME, "t", &young, "succeeded").await;
    server.clock.advance(89 * DAY);
    for message in &messages {
        gone(&server, message).await;
    }
    gone(&server, "once").await;

    let listed = get(&server, "msg").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["data"][0]["id"], young.as_str());
    let attempts = get(&server, &format!("attempt/endpoint/{endpoint}?limit=250")).await;
    assert_eq!(attempts["data"].as_array().unwrap().len(), 1, "{attempts}");
    for path in ["msg", "attempt/msg"] {
        assert_eq!(status_of(&server, &format!("{path}/{}", messages[0])).await, 404);
    }
    let line = server.ledger().await.remove(0);
    assert_eq!((line.accepted, line.succeeded, line.pending, line.removed), (32, 32, 0, 31));

    // The last one goes too, event ids are free again, and all goes on.
    server.clock.advance(DAY);
    gone(&server, &young).await;
    assert_eq!(get(&server, "msg").await["data"], json!([]));
    assert_eq!(publish_as(&server, "once").await, 202);
    receiver.wait_for(33).await;
}

#[tokio::test]
async fn what_is_pending_stays_and_is_delivered_later() {
    let mut server = server().await;
    let (receiver, takes, endpoint) = reluctant(&server).await;
    let waiting = server.publish(HOME, "t", "tick", r#"{"n":1}"#).await;
    server.wait_for_attempts(HOME, "t", &waiting, 1).await;
    let path = format!("/api/v1/app/t/endpoint/{endpoint}");
    let switch = async |server: &TestServer, disabled: bool| {
        let fields = json!({ "disabled": disabled });
        server.call(HOME, "PATCH", &path, fields).await.expect(200);
    };
    switch(&server, true).await;
    // Nobody takes this one, so it goes when the walk has passed the other one.
    let later = server.publish(HOME, "t", "tick", r#"{"n":2}"#).await;
    server.clock.advance(91 * DAY);
    gone(&server, &later).await;
    assert_eq!(get(&server, &format!("msg/{waiting}")).await["payload"], json!({ "n": 1 }));
    assert_eq!(server.deliveries(HOME, "t", &waiting).await[0]["statusText"], "pending");
    let line = server.ledger().await.remove(0);
    assert_eq!((line.accepted, line.pending, line.removed), (1, 1, 0));

    server.restart().await;
    takes.store(true, SeqCst);
    switch(&server, false).await;
    let requests = receiver.wait_for(2).await;
    assert!(String::from_utf8_lossy(&requests[1].body).contains(r#"{"n":1}"#));
    // It is looked for again a few hours later at most.
    server.wait_for_status(HOME, "t", &waiting, "succeeded").await;
    server.clock.advance(Duration::from_secs(6 * 3_600));
    gone(&server, &waiting).await;
    let line = server.ledger().await.remove(0);
    assert_eq!((line.accepted, line.succeeded, line.removed), (1, 1, 1));
}

#[tokio::test]
async fn payloads_go_before_their_log_lines_and_are_not_sent_again() {
    let server = server().await;
    let answer = Reply::status(200).header("content-type", "text/plain").body("secret answer");
    let receiver = Receiver::start(answer).await;
    let fields = json!({ "url": receiver.url("/").as_str() });
    let endpoint = server.endpoint(HOME, "t", fields).await;
    let message = server.publish(HOME, "t", "tick", r#"{"n":1}"#).await;
    let before = server.wait_for_attempts(HOME, "t", &message, 1).await.remove(0);
    assert_eq!(before["response"], "secret answer");
    server.clock.advance(7 * DAY - Duration::from_secs(60));
    let fresh = get(&server, &format!("msg/{message}")).await;
    assert_eq!((&fresh["payload"], &fresh["payloadExpired"]), (&json!({ "n": 1 }), &json!(false)));

    server.clock.advance(Duration::from_secs(60));
    let mut shown = expired(&server, &message).await;
    assert_eq!(shown["payload"], json!({ "expired": true }), "as the Svix server has it");
    shown["payload"] = json!({ "n": 1 });
    shown["payloadExpired"] = json!(false);
    assert_eq!(shown, fresh, "all else is as it was");
    let listed = get(&server, "msg?with_content=false").await;
    assert_eq!(listed["data"][0]["payload"], json!({}));
    assert_eq!(listed["data"][0]["payloadExpired"], true);

    let path = format!("attempt/endpoint/{endpoint}?with_msg=true");
    let mut after = get(&server, &path).await["data"][0].clone();
    let message_of_attempt = after.as_object_mut().unwrap().remove("msg").unwrap();
    assert_eq!(message_of_attempt["payload"], json!({ "expired": true }));
    for gone in ["response", "responseHeaders", "responseTruncated"] {
        assert_ne!(after[gone], before[gone], "{gone}");
        after[gone] = before[gone].clone();
    }
    assert_eq!(after, before, "the log line stays");

    let path = format!("/api/v1/app/t/msg/{message}/endpoint/{endpoint}/resend");
    let refused = server.call(HOME, "POST", &path, Value::Null).await.expect(409);
    assert_eq!(refused["code"], "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("payload is no longer kept"));
    assert_eq!(server.deliveries(HOME, "t", &message).await[0]["statusText"], "succeeded");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn readers_of_events_go_on_from_where_they_were() {
    let server = server().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(server.publish(HOME, "t", "tick", &n.to_string()).await);
    }
    let first = get(&server, "events?limit=2").await;
    assert_eq!(first["hasMore"], true);
    let cursor = first["cursor"].as_str().unwrap();

    // They are shown without their payloads: a reader that skipped them would never know.
    server.clock.advance(7 * DAY);
    expired(&server, &ids[4]).await;
    let rest = get(&server, &format!("events?after={cursor}")).await;
    let shown: Vec<_> =
        rest["data"].as_array().unwrap().iter().map(|e| (&e["id"], &e["payloadExpired"])).collect();
    let (third, fourth, fifth) = (json!(ids[2]), json!(ids[3]), json!(ids[4]));
    let yes = json!(true);
    assert_eq!(shown, [(&third, &yes), (&fourth, &yes), (&fifth, &yes)]);

    server.clock.advance(83 * DAY);
    gone(&server, &ids[4]).await;
    let empty = get(&server, &format!("events?after={cursor}")).await;
    assert_eq!((&empty["data"], &empty["hasMore"]), (&json!([]), &json!(false)));
    let next = server.publish(HOME, "t", "tick", "5").await;
    for after in [cursor, empty["cursor"].as_str().unwrap(), rest["cursor"].as_str().unwrap()] {
        let page = get(&server, &format!("events?after={after}")).await;
        assert_eq!(page["data"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!(page["data"][0]["id"], next.as_str());
    }
    let streamed =
        server.send("GET", "/api/v1/app/t/events/stream", &stream_headers(cursor), "").await;
    assert_eq!(streamed.status, 200);
    assert!(streamed.text.contains(&next) && !streamed.text.contains(&ids[2]), "{}", streamed.text);
}

fn stream_headers(cursor: &str) -> [(&'static str, &str); 3] {
    [
        ("authorization", "Bearer an-admin-key-for-tests"),
        ("hookwright-environment", HOME),
        ("last-event-id", cursor),
    ]
}

#[tokio::test]
async fn without_a_limit_everything_is_kept() {
    let server = TestServer::start_with(&[HOME], |config| keep(config, None, None)).await;
    server.application(HOME, "t").await;
    let message = server.publish(HOME, "t", "tick", r#"{"n":1}"#).await;
    for _ in 0..3 {
        server.clock.advance(3_650 * DAY);
        let shown = get(&server, &format!("msg/{message}")).await;
        assert_eq!(shown["payload"], json!({ "n": 1 }));
    }
}

#[tokio::test]
async fn the_disk_has_its_room_back_while_the_server_runs() {
    let server = server().await;
    let payload = json!({ "text": "x".repeat(20_000) }).to_string();
    let mut last = String::new();
    for _ in 0..300 {
        last = server.publish(HOME, "t", "tick", &payload).await;
    }
    // The log holds what the file will.
    let file = server.data_dir().join("hookwright.db");
    let size = || std::fs::metadata(&file).unwrap().len();
    server.clock.advance(6 * DAY);
    server.running().store.ping().await.unwrap();
    server.clock.advance(DAY);
    expired(&server, &last).await;
    soon(&server, "a small file", async || size() > 0 && size() < 1_000_000).await;
    server.clock.advance(83 * DAY);
    gone(&server, &last).await;
    soon(&server, "an even smaller file", async || size() < 400_000).await;
}
