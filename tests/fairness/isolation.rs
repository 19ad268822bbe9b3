//! What hangs, hangs up or floods in one place isn't felt in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::receiver::{Receiver, Reply, Script, Step};
use crate::support::server::{ADMIN_KEY, TestServer, eventually};
use hookwright::sender::Resolver;

#[tokio::test]
async fn hanging_endpoints_leave_room_for_the_others() {
    let server = TestServer::start_with(&["standard"], |config| {
        config.lanes.in_flight = 16;
        config.lanes.in_flight_per_endpoint = 8;
        config.lanes.held = 64;
        config.lanes.window = 16;
    })
    .await;
    let hanging = Receiver::start(Reply::step(Step::Hang)).await;
    let healthy = Receiver::start(Reply::status(200)).await;
    for n in 0..6 {
        let app = format!("hanging-{n}");
        server.application("standard", &app).await;
        let url = hanging.url("/").to_string();
        server.endpoint("standard", &app, json!({ "url": url })).await;
        for _ in 0..20 {
            server.publish("standard", &app, "tick", "{}").await;
        }
    }
    server.application("standard", "healthy").await;
    server.endpoint("standard", "healthy", json!({ "url": healthy.url("/").as_str() })).await;
    for _ in 0..20 {
        let message = server.publish("standard", "healthy", "tick", "{}").await;
        server.wait_for_status("standard", "healthy", &message, "succeeded").await;
    }
    assert_eq!(healthy.requests().len(), 20);
    server.ledger().await;
}

#[tokio::test]
async fn an_application_with_hundreds_of_hanging_endpoints_keeps_nobody_waiting() {
    let server = TestServer::start_with(&["standard"], |config| {
        config.lanes.in_flight = 64;
        config.lanes.held = 256;
    })
    .await;
    let hanging = Receiver::start(Reply::step(Step::Hang)).await;
    let healthy = Receiver::start(Reply::status(200)).await;
    server.application("standard", "hanging").await;
    let url = hanging.url("/").to_string();
    let mut creating = Vec::new();
    for _ in 0..200 {
        creating.push(server.endpoint("standard", "hanging", json!({ "url": url })));
    }
    futures_util::future::join_all(creating).await;
    for _ in 0..5 {
        server.publish("standard", "hanging", "tick", "{}").await;
    }
    // As many as the application may have, now and after they have timed out.
    hanging.wait_for(32).await;
    server.application("standard", "healthy").await;
    server.endpoint("standard", "healthy", json!({ "url": healthy.url("/").as_str() })).await;
    for round in 0..5 {
        for _ in 0..4 {
            let message = server.publish("standard", "healthy", "tick", "{}").await;
            server.wait_for_status("standard", "healthy", &message, "succeeded").await;
        }
        let before = hanging.requests().len();
        server.clock.advance(Duration::from_secs(15));
        if round < 4 {
            hanging.wait_for(before + 1).await;
        }
    }
    assert_eq!(healthy.requests().len(), 20);
    server.ledger().await;
}

#[tokio::test]
async fn a_long_backlog_does_not_delay_another_applications_single_event() {
    let server = TestServer::start_with(&["standard"], |config| {
        config.lanes.in_flight = 8;
        config.lanes.in_flight_per_endpoint = 8;
        config.lanes.window = 16;
        config.lanes.held = 64;
    })
    .await;
    // It takes what it gets, a little at a time.
    let slow = Step::Drip(b'x', Duration::from_millis(20));
    let slow = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", [slow]);
    let (busy, quiet) = (Receiver::start(slow).await, Receiver::start(Reply::status(200)).await);
    server.application("standard", "busy").await;
    server.application("standard", "quiet").await;
    for _ in 0..10 {
        server.endpoint("standard", "busy", json!({ "url": busy.url("/").as_str() })).await;
    }
    server.endpoint("standard", "quiet", json!({ "url": quiet.url("/").as_str() })).await;
    for _ in 0..200 {
        server.publish("standard", "busy", "tick", "{}").await;
    }
    let message = server.publish("standard", "quiet", "tick", "{}").await;
    server.wait_for_status("standard", "quiet", &message, "succeeded").await;
    let pending = server.ledger().await.iter().map(|line| line.pending).max();
    assert!(pending > Some(1_000), "{pending:?} of 2,000 were left when the single one was there");
}

#[tokio::test]
async fn a_name_is_looked_up_once_however_many_wait_for_it() {
    let lookups = Arc::new(AtomicUsize::new(0));
    let resolver = Resolver::custom({
        let lookups = lookups.clone();
        move |_| {
            lookups.fetch_add(1, SeqCst);
            std::future::pending()
        }
    });
    let server = TestServer::start_resolving(&["standard"], resolver, |_| {}).await;
    server.application("standard", "t").await;
    server.endpoint("standard", "t", json!({ "url": "http://silent.example/" })).await;
    let mut last = String::new();
    for _ in 0..50 {
        last = server.publish("standard", "t", "tick", "{}").await;
    }
    server.clock.advance(Duration::from_secs(15));
    let attempts = server.wait_for_attempts("standard", "t", &last, 1).await;
    assert_eq!(attempts[0]["error"]["kind"], "timeout");
    assert_eq!(attempts[0]["error"]["phase"], "resolve");
    assert_eq!(lookups.load(SeqCst), 1);
}

/// Another process holds the write lock for a while, so that a client can hang up meanwhile.
#[tokio::test]
async fn a_client_that_hangs_up_while_enabling_leaves_nothing_unattended() {
    let server = TestServer::start(&["kakiyo"]).await;
    let replies = vec![Reply::status(503); 4].into_iter().chain([Reply::status(200)]);
    let receiver = Receiver::start(Script::sequence(replies.collect())).await;
    server.application("kakiyo", "team").await;
    let fields = json!({
        "url": receiver.url("/").as_str(), "name": "T", "filterTypes": ["message.sent"],
    });
    let id = server.endpoint("kakiyo", "team", fields).await;
    let path = format!("/api/v1/app/team/endpoint/{id}");
    for _ in 0..4 {
        let message = server.publish("kakiyo", "team", "message.sent", "{}").await;
        server.wait_for_attempts("kakiyo", "team", &message, 1).await;
    }
    let disabled = async || {
        server.call("kakiyo", "GET", &path, Value::Null).await.expect(200)["disabled"] == true
    };
    eventually("the pause", disabled).await;
    server.clock.advance(Duration::from_secs(3_600));

    let file = rusqlite::Connection::open(server.data_dir().join("hookwright.db")).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = tokio::net::TcpStream::connect(server.running().address).await.unwrap();
    let body = r#"{"disabled":false}"#;
    let request = format!(
        "PATCH {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         hookwright-environment: kakiyo\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(300)).await;
    file.execute_batch("COMMIT").unwrap();

    eventually("an empty backlog", async || server.ledger().await[0].pending == 0).await;
    assert_eq!(server.ledger().await[0].succeeded, 4);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let server = TestServer::start(&["standard"]).await;
    let mut silent = tokio::net::TcpStream::connect(server.running().address).await.unwrap();
    // The answer to somebody else shows that the silent one was accepted before.
    server.call("standard", "GET", "/api/v1/health", Value::Null).await.expect(204);
    server.clock.advance(Duration::from_secs(30));
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut byte)).await;
    assert_eq!(read.expect("the connection ends").unwrap(), 0);
}

#[tokio::test]
async fn an_archived_event_type_keeps_nobody_from_switching_off() {
    let server = TestServer::start(&["standard"]).await;
    server.application("standard", "t").await;
    let event_type = json!({ "name": "a.b", "description": "" });
    server.call("standard", "POST", "/api/v1/event-type", event_type).await.expect(201);
    let fields = json!({ "url": "http://127.0.0.1:9/", "filterTypes": ["a.b"] });
    let id = server.endpoint("standard", "t", fields).await;
    let archived = json!({ "archived": true });
    server.call("standard", "PATCH", "/api/v1/event-type/a.b", archived).await.expect(200);
    let path = format!("/api/v1/app/t/endpoint/{id}");
    let off = server.call("standard", "PATCH", &path, json!({ "disabled": true })).await;
    assert_eq!(off.expect(200)["disabled"], true);
    let fields = json!({ "url": "http://127.0.0.1:9/", "filterTypes": ["a.b"] });
    server.call("standard", "POST", "/api/v1/app/t/endpoint", fields).await.expect(422);
}
