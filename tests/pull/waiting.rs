//! Long polls: held back until there is something, and no longer than they may be.
#![allow(clippy::disallowed_methods)] // Real sockets need a guard in real time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hookwright::domain::Scope;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::reader::{EVENTS, HOME, ask, page, payloads, publish, server};
use crate::support::credentials::{key, revoke};
use crate::support::process::Api;
use crate::support::server::{ADMIN_KEY, Answer, TestServer, eventually};

/// A server where few may wait at once.
async fn crowded(readers: usize, readers_per_application: usize) -> Arc<TestServer> {
    let server = TestServer::start_with(&[HOME], |config| {
        config.waiting.readers = readers;
        config.waiting.readers_per_application = readers_per_application;
    })
    .await;
    for uid in ["t", "u", "v"] {
        server.application(HOME, uid).await;
    }
    Arc::new(server)
}

fn asking(server: &Arc<TestServer>, query: &str) -> JoinHandle<Answer> {
    let (server, query) = (server.clone(), query.to_owned());
    tokio::spawn(async move { ask(&server, &query).await })
}

/// Waits until so many readers wait for events.
async fn until_waiting(server: &TestServer, readers: usize) {
    eventually("the readers to wait", async || server.running().store.readers_waiting() == readers)
        .await;
}

#[tokio::test]
async fn what_is_there_is_answered_at_once() {
    let server = server().await;
    publish(&server, &["e", "e"]).await;
    let (events, cursor, _) = page(&server, "wait=60&limit=1").await;
    assert_eq!(json!(events), json!([0]));
    let (events, _, _) = page(&server, &format!("wait=60&types=e&after={cursor}")).await;
    assert_eq!(json!(events), json!([1]));
}

#[tokio::test]
async fn an_event_is_answered_as_soon_as_it_is_published() {
    let server = Arc::new(server().await);
    for after in ["", "after=latest&"] {
        let waiting = asking(&server, &format!("{after}types=e&wait=60"));
        until_waiting(&server, 1).await;
        server.publish(HOME, "t", "other", "{}").await;
        server.publish(HOME, "t", "e", "1").await;
        let answer = waiting.await.unwrap().expect(200);
        assert_eq!(json!(payloads(&answer)), json!([1]));
        until_waiting(&server, 0).await;
    }
}

#[tokio::test]
async fn events_of_others_are_not_waited_for() {
    let server = crowded(10, 10).await;
    let waiting = asking(&server, "types=e&wait=60");
    until_waiting(&server, 1).await;
    server.publish(HOME, "u", "e", "{}").await;
    server.publish(HOME, "t", "other", "{}").await;
    server.clock.advance(Duration::from_millis(59_999));
    // The clock moved, and so did the readers' timers; both were for nothing.
    server.publish(HOME, "u", "e", "{}").await;
    assert!(!waiting.is_finished());
    server.clock.advance(Duration::from_millis(1));
    let answer = waiting.await.unwrap().expect(200);
    assert_eq!(answer["data"], json!([]));
    assert_eq!(answer["hasMore"], false);
    // The cursor is behind the one of another type all the same.
    let (_, end, _) = page(&server, "").await;
    assert_eq!(answer["cursor"], json!(end));
}

#[tokio::test]
async fn a_reader_who_hangs_up_gives_the_place_back() {
    let server = crowded(10, 1).await;
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.running().address).await.unwrap();
        let request = format!(
            "GET {EVENTS}?wait=60 HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {ADMIN_KEY}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        until_waiting(&server, 1).await;
        drop(stream);
        until_waiting(&server, 0).await;
    }
}

#[tokio::test]
async fn only_so_many_wait_at_once() {
    let server = crowded(3, 2).await;
    let call = async |uid: &str, rest: &str| {
        let path = format!("/api/v1/app/{uid}/events{rest}");
        server.call(HOME, "GET", &path, Value::Null).await
    };
    let first = asking(&server, "wait=60");
    let second = asking(&server, "wait=60");
    until_waiting(&server, 2).await;
    // One tenant doesn't take all the places.
    for rest in ["?wait=60", "/stream"] {
        let refused = call("t", rest).await;
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(refused.expect(429)["code"], "rate_limit_exceeded");
    }
    let (waiting, server_of_u) = ("/api/v1/app/u/events?wait=60", server.clone());
    let third =
        tokio::spawn(async move { server_of_u.call(HOME, "GET", waiting, Value::Null).await });
    until_waiting(&server, 3).await;
    for rest in ["?wait=1", "/stream"] {
        let refused = call("v", rest).await;
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(refused.expect(503)["code"], "unavailable");
    }
    // Who needn't wait is answered.
    for uid in ["t", "u", "v"] {
        call(uid, "").await.expect(200);
        server.publish(HOME, uid, "e", "{}").await;
        assert_eq!(call(uid, "?wait=60").await.expect(200)["data"].as_array().unwrap().len(), 1);
    }
    for waiting in [first, second, third] {
        waiting.await.unwrap().expect(200);
    }
    until_waiting(&server, 0).await;
}

#[tokio::test]
async fn a_stop_is_not_waited_for() {
    let mut server = server().await;
    let address = server.running().address;
    let mut waiting = Vec::new();
    for query in ["wait=60", "types=e&wait=30"] {
        waiting.push(tokio::spawn(async move {
            let mut api = Api::connect(address, ADMIN_KEY).await;
            api.call("GET", &format!("{EVENTS}?{query}"), String::new()).await.unwrap()
        }));
    }
    until_waiting(&server, 2).await;
    // The clock stands still, so this ends only where nobody is waited for.
    server.stop().await;
    for waiting in waiting {
        let (status, answer) = waiting.await.unwrap();
        assert_eq!((status, &answer["data"]), (200, &json!([])));
        assert!(answer["cursor"].is_string());
    }
}

#[tokio::test]
async fn who_may_no_longer_read_is_told_so_instead_of_the_event() {
    let server = crowded(10, 10).await;
    let token = key(&server, "to be revoked", Scope::Environment(HOME.into())).await;
    let waiting = {
        let server = server.clone();
        let path = format!("{EVENTS}?wait=60");
        tokio::spawn(async move { server.call_as(&token, "GET", &path, Value::Null).await })
    };
    until_waiting(&server, 1).await;
    revoke(&server, "to be revoked").await;
    server.clock.advance(Duration::from_secs(2));
    server.publish(HOME, "t", "e", "{}").await;
    waiting.await.unwrap().expect(401);

    let waiting = asking(&server, "after=latest&wait=60");
    until_waiting(&server, 1).await;
    server.call(HOME, "DELETE", "/api/v1/app/t", Value::Null).await.expect(204);
    waiting.await.unwrap().expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_not_missed_that_comes_while_waiting_begins() {
    const ROUNDS: usize = 150;
    let server = server().await;
    let address = server.running().address;
    let mut publisher = Api::connect(address, ADMIN_KEY).await;
    let mut pollers = Vec::new();
    for _ in 0..4 {
        let (_, cursor, _) = page(&server, "").await;
        pollers.push((Api::connect(address, ADMIN_KEY).await, cursor));
    }
    for round in 0..ROUNDS {
        let polls = pollers.iter_mut().map(async |(api, cursor)| {
            let path = format!("{EVENTS}?wait=60&after={cursor}");
            let (status, answer) = api.call("GET", &path, String::new()).await.unwrap();
            assert_eq!((status, payloads(&answer)), (200, vec![json!(round)]));
            *cursor = answer["cursor"].as_str().unwrap().to_owned();
        });
        let body = format!(r#"{{"eventType":"e","payload":{round}}}"#);
        let publish = publisher.call("POST", "/api/v1/app/t/msg", body);
        // The clock stands still: a poll that missed the event would wait for ever.
        let both = async { tokio::join!(join_all(polls), publish) };
        let (_, published) = timeout(Duration::from_secs(20), both).await.expect("no event missed");
        assert_eq!(published.unwrap().0, 202);
    }
}
