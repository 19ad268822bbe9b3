//! Server-sent events.

use std::time::Duration;

use hookwright::domain::Scope;
use serde_json::{Value, json};

use super::reader::{EVENTS, HOME, ask, credentials, page, publish, server};
use crate::support::credentials::{key, revoke};
use crate::support::payloads;
use crate::support::server::{TestServer, eventually};
use crate::support::stream::EventStream;

const STREAM: &str = "/api/v1/app/t/events/stream";

async fn open_with(server: &TestServer, query: &str, more: &[(&str, &str)]) -> EventStream {
    let credentials = credentials();
    let mut headers: Vec<_> =
        credentials.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.extend(more);
    EventStream::open(server.running().address, &format!("{STREAM}?{query}"), &headers).await
}

async fn open(server: &TestServer, query: &str) -> EventStream {
    open_with(server, query, &[]).await
}

async fn payload(stream: &mut EventStream) -> Value {
    stream.next().await.expect("an event").json()["payload"].clone()
}

#[tokio::test]
async fn what_is_there_comes_first_and_what_is_published_later_follows() {
    let server = server().await;
    publish(&server, &["a", "b"]).await;
    let mut stream = open(&server, "").await;
    assert_eq!(stream.headers["cache-control"], "no-store");
    for _ in 0..3 {
        publish(&server, &["a", "b"]).await;
    }
    let list = ask(&server, "").await.expect(200);
    for event in list["data"].as_array().unwrap() {
        let dispatched = stream.next().await.unwrap();
        assert_eq!(dispatched.kind, "message");
        assert_eq!(dispatched.json(), *event, "an event is the same in both");
    }
    assert_eq!(stream.retry_ms, Some(1_000));
    assert_eq!(stream.last_id, list["cursor"].as_str().unwrap());
}

#[tokio::test]
async fn each_id_is_a_cursor_to_come_back_with() {
    let server = server().await;
    publish(&server, &["e"; 5]).await;
    let mut stream = open(&server, "").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let event = stream.next().await.unwrap();
        assert_eq!(event.json()["payload"], json!(number));
        ids.push(event.id);
    }
    for (number, id) in ids.iter().enumerate().take(4) {
        let next = json!(number + 1);
        // As EventSource does it: the same address as before, and the header.
        let mut again = open_with(&server, "after=latest", &[("last-event-id", id)]).await;
        assert_eq!(payload(&mut again).await, next);
        let mut again = open(&server, &format!("after={id}")).await;
        assert_eq!(payload(&mut again).await, next);
        let (events, _, _) = page(&server, &format!("after={id}&limit=1")).await;
        assert_eq!(json!(events), json!([next]));
    }
    let credentials = credentials();
    for wrong in ["x", "0", &ids[0][1..]] {
        let mut headers: Vec<_> =
            credentials.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("last-event-id", wrong));
        let refused = server.send("GET", STREAM, &headers, "").await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["header", "last-event-id"]));
    }
    // An EventSource that has no id yet sends none, others an empty one.
    let mut first = open_with(&server, "", &[("last-event-id", "")]).await;
    assert_eq!(payload(&mut first).await, json!(0));
}

#[tokio::test]
async fn a_stream_from_the_end_knows_its_place_before_the_first_event() {
    let server = server().await;
    publish(&server, &["e", "e"]).await;
    let mut stream = open(&server, "after=latest").await;
    stream.read_until_id().await;
    let id = stream.last_id.clone();
    drop(stream);
    server.publish(HOME, "t", "e", "2").await;
    let mut again = open_with(&server, "after=latest", &[("last-event-id", &id)]).await;
    assert_eq!(payload(&mut again).await, json!(2));
}

#[tokio::test]
async fn some_types_only_and_the_place_moves_past_the_others() {
    let server = server().await;
    publish(&server, &["a", "b", "a", "b"]).await;
    let mut stream = open(&server, "types=b").await;
    assert_eq!(payload(&mut stream).await, json!(1));
    assert_eq!(payload(&mut stream).await, json!(3));
    server.publish(HOME, "t", "a", "4").await;
    let (_, end, _) = page(&server, "").await;
    server.clock.advance(Duration::from_secs(15));
    stream.read_until_comment().await;
    assert_eq!(stream.last_id, end);
    server.publish(HOME, "t", "b", "5").await;
    assert_eq!(payload(&mut stream).await, json!(5));
}

#[tokio::test]
async fn a_quiet_stream_shows_every_15_seconds_that_it_is_alive() {
    let server = server().await;
    let mut stream = open(&server, "").await;
    stream.read_until_id().await;
    for beats in 1..4 {
        server.clock.advance(Duration::from_secs(15));
        stream.read_until_comment().await;
        assert_eq!(stream.comments, beats);
    }
    publish(&server, &["e"]).await;
    assert_eq!(payload(&mut stream).await, json!(0));
    assert_eq!(stream.comments, 3);
}

#[tokio::test]
async fn an_event_is_one_line_of_data_whatever_its_payload_holds() {
    let server = server().await;
    let mut texts = payloads::all();
    texts.push("{\r\n\"a\"\r:\n[ 1 ,\r\n\r\n2 ] ,\"data: x\\n\\nid: 7\":\"\\r\\n\"}".to_owned());
    for text in &texts {
        server.publish(HOME, "t", "e", text).await;
    }
    let mut stream = open(&server, "").await;
    for text in &texts {
        let event = stream.next().await.unwrap();
        assert!(!event.data.contains('\n'), "{}", event.data);
        // Nothing but the ends of lines is changed.
        let line = text.replace(['\r', '\n'], " ");
        assert!(
            event.data.contains(&format!(r#""payload":{line},"#)),
            "{} lost {text}",
            event.data
        );
        assert!(event.id.starts_with("cur_"));
    }
}

#[tokio::test]
async fn a_stop_ends_streams_and_they_go_on_behind_it() {
    let mut server = server().await;
    publish(&server, &["e", "e"]).await;
    let mut stream = open(&server, "").await;
    for number in 0..2 {
        assert_eq!(payload(&mut stream).await, json!(number));
    }
    // The clock stands still, so this ends only where streams are not waited for.
    server.stop().await;
    assert_eq!(stream.next().await, None);
    server.run().await;
    server.publish(HOME, "t", "e", "2").await;
    let mut again = open_with(&server, "", &[("last-event-id", &stream.last_id)]).await;
    assert_eq!(payload(&mut again).await, json!(2));
}

#[tokio::test]
async fn a_stream_ends_with_the_key_and_the_application() {
    let server = server().await;
    let token = key(&server, "to be revoked", Scope::Environment(HOME.into())).await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let mut revoked = EventStream::open(server.running().address, STREAM, &headers).await;
    let mut other = open(&server, "").await;
    revoke(&server, "to be revoked").await;
    server.clock.advance(Duration::from_secs(2));
    publish(&server, &["e"]).await;
    assert_eq!(revoked.next().await, None);
    assert_eq!(payload(&mut other).await, json!(0));
    server.call(HOME, "DELETE", "/api/v1/app/t", Value::Null).await.expect(204);
    assert_eq!(other.next().await, None);
}

#[tokio::test]
async fn a_client_that_hangs_up_gives_its_place_back() {
    let server = TestServer::start_with(&[HOME], |config| {
        config.waiting.readers_per_application = 2;
    })
    .await;
    server.application(HOME, "t").await;
    for _ in 0..3 {
        let streams = (open(&server, "").await, open(&server, "").await);
        server.call(HOME, "GET", STREAM, Value::Null).await.expect(429);
        drop(streams);
        let store = &server.running().store;
        eventually("the places to be free", async || store.readers_waiting() == 0).await;
    }
    assert_eq!(page(&server, "").await.0.len(), 0);
    assert!(ask(&server, "wait=0").await.expect(200)["cursor"].is_string());
    let path = format!("{EVENTS}/stream/");
    assert_eq!(server.call(HOME, "GET", &path, Value::Null).await.status, 200);
}
