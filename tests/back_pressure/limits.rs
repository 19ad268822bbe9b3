//! A store that is busy: how much may wait for it, and for how long.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::{Answer, TestServer, eventually};

const MESSAGES: &str = "/api/v1/app/tenant/msg";

fn event(text: &str) -> Value {
    json!({ "eventType": "invoice.paid", "payload": { "text": text } })
}

/// Keeps the store from writing until it is dropped, or for the five seconds that the store
/// waits for other processes.
fn busy(data_dir: &Path) -> Connection {
    let connection = Connection::open(data_dir.join("hookwright.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json["code"], "unavailable");
}

async fn publish(server: &TestServer, text: &str) -> Answer {
    server.call("standard", "POST", MESSAGES, event(text)).await
}

async fn stored(server: &TestServer) -> usize {
    let list = server.call("standard", "GET", MESSAGES, Value::Null).await.expect(200);
    list["data"].as_array().unwrap().len()
}

/// Publishes at the same time to a store that is busy until one of them was refused. Returns
/// all answers, the refused ones last.
async fn crowd(server: &TestServer, events: usize, text: &str) -> Vec<Answer> {
    let lock = std::sync::Mutex::new(Some(busy(server.data_dir())));
    let calls = (0..events).map(|_| async {
        let answer = publish(server, text).await;
        if answer.status == 503 {
            lock.lock().unwrap().take();
        }
        answer
    });
    let mut answers = futures_util::future::join_all(calls).await;
    answers.sort_by_key(|answer| answer.status);
    answers
}

#[tokio::test]
async fn what_does_not_fit_is_refused_at_once_and_the_rest_is_stored() {
    let server = TestServer::start_with(&["standard"], |config| config.intake.waiting = 3).await;
    server.application("standard", "tenant").await;
    let answers = crowd(&server, 4, "x").await;
    assert!(answers[..3].iter().all(|answer| answer.status == 202), "{answers:?}");
    assert_refused(&answers[3]);
    assert_eq!(stored(&server).await, 3);
    // Places come back.
    assert_eq!(publish(&server, "x").await.status, 202);
}

#[tokio::test]
async fn bytes_are_limited_too() {
    let limit = 25_000;
    let server =
        TestServer::start_with(&["standard"], |config| config.intake.waiting_bytes = limit).await;
    server.application("standard", "tenant").await;
    let answers = crowd(&server, 3, &"x".repeat(10_000)).await;
    assert!(answers[..2].iter().all(|answer| answer.status == 202), "{answers:?}");
    assert_refused(&answers[2]);
    // One that is larger than the limit passes when nothing else waits.
    assert_eq!(publish(&server, &"x".repeat(50_000)).await.status, 202);
    assert_eq!(stored(&server).await, 3);
}

#[tokio::test]
async fn what_waited_too_long_is_refused_and_never_stored() {
    let server = TestServer::start(&["standard"]).await;
    server.application("standard", "tenant").await;
    let receiver = Receiver::start(Reply::status(200)).await;
    server.endpoint("standard", "tenant", json!({ "url": receiver.url("/").as_str() })).await;
    let lock = busy(server.data_dir());
    let answered = std::sync::atomic::AtomicBool::new(false);
    let publishing = async {
        let answer = publish(&server, "late").await;
        answered.store(true, std::sync::atomic::Ordering::SeqCst);
        answer
    };
    // Until it waits, its time doesn't begin.
    let passing = eventually("an answer", async || {
        server.clock.advance(Duration::from_secs(1));
        answered.load(std::sync::atomic::Ordering::SeqCst)
    });
    let (answer, ()) = tokio::join!(publishing, passing);
    assert_refused(&answer);
    drop(lock);
    assert_eq!(publish(&server, "in time").await.status, 202);
    let requests = receiver.wait_for(1).await;
    assert!(String::from_utf8_lossy(&requests[0].body).contains("in time"));
    assert_eq!(stored(&server).await, 1);
    assert_eq!(server.ledger().await[0].accepted, 1);
}

#[tokio::test]
async fn health_says_so_while_the_store_does_not_answer() {
    let server = TestServer::start(&["standard"]).await;
    let lock = busy(server.data_dir());
    let answered = std::sync::atomic::AtomicBool::new(false);
    let asking = async {
        let answer = server.call("standard", "GET", "/api/v1/health", Value::Null).await;
        answered.store(true, std::sync::atomic::Ordering::SeqCst);
        answer
    };
    let passing = eventually("an answer", async || {
        server.clock.advance(Duration::from_secs(1));
        answered.load(std::sync::atomic::Ordering::SeqCst)
    });
    let (answer, ()) = tokio::join!(asking, passing);
    assert_refused(&answer);
    drop(lock);
    let healthy = server.call("standard", "GET", "/api/v1/health", Value::Null).await;
    assert_eq!(healthy.status, 204);
}
