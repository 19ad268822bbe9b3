//! Receivers that say something else than they should.

use super::harness::{World, answered, failed};
use super::support::websocket_receiver::{Action, WebsocketReceiver};

/// Has two events in flight, answers with `action`, and returns what both failures say first
/// and last, and the code that the connection was closed with.
async fn both_fail_on(action: Action) -> (String, String, Option<u16>) {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::silent().await;
    let url = receiver.url("/");
    let (one, two) = (world.start(&url, "1"), world.start(&url, "2"));
    receiver.wait_for(2).await;
    receiver.act(0, action);
    let (one, two) = (failed(one.await.unwrap()), failed(two.await.unwrap()));
    assert_eq!(one, two);
    assert_eq!(one.kind.as_str(), "protocol");
    assert_eq!(one.phase.unwrap().as_str(), "wait");
    let closed = receiver.wait_for_close(0).await;
    (one.causes[0].clone(), one.causes.last().unwrap().clone(), closed.code)
}

#[tokio::test]
async fn a_frame_that_acknowledges_nothing_ends_the_connection() {
    const SENTENCE: &str = "The receiver sent a frame that acknowledges no event.";
    for (text, cause) in [
        ("ok", "not a JSON object: ok"),
        (r#"["1",200]"#, "not a JSON object: [\\\"1\\\",200]"),
        (r#"{"status":200}"#, "missing field `id`"),
        (r#"{"id":1,"status":200}"#, "invalid type"),
        (r#"{"id":"3","status":200}"#, "no event was sent as 3"),
    ] {
        let (sentence, found, code) = both_fail_on(Action::Text(text.to_owned())).await;
        assert_eq!(sentence, SENTENCE);
        assert!(found.contains(cause), "{found}");
        assert_eq!(code, Some(1008));
    }
}

#[tokio::test]
async fn binary_frames_end_the_connection() {
    let bytes = br#"{"id":"1","status":200}"#.to_vec();
    let (sentence, _, code) = both_fail_on(Action::Binary(bytes)).await;
    assert_eq!(sentence, "The receiver sent a binary frame.");
    assert_eq!(code, Some(1003));
}

#[tokio::test]
async fn frames_are_read_up_to_a_limit() {
    let text = |bytes: usize| {
        let frame = r#"{"id":"1","status":200,"more":""}"#;
        let more = "x".repeat(bytes - frame.len());
        Action::Text(format!(r#"{{"id":"1","status":200,"more":"{more}"}}"#))
    };
    let limit = 64 * 1_024;
    let (sentence, _, _) = both_fail_on(text(limit + 1)).await;
    assert_eq!(sentence, "The receiver sent a frame of more than 65536 bytes.");

    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::silent().await;
    let attempt = world.start(&receiver.url("/"), "1");
    receiver.wait_for(1).await;
    receiver.act(0, text(limit));
    let answer = answered(attempt.await.unwrap());
    assert_eq!((answer.status, answer.body.len(), answer.truncated), (200, 1_024, true));
}

#[tokio::test]
async fn a_status_that_is_none_fails_its_own_delivery_only() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::silent().await;
    let url = receiver.url("/");
    for (number, status) in ["", r#","status":"200""#, r#","status":99"#].into_iter().enumerate() {
        let (bad, good) = (format!("bad {number}"), format!("good {number}"));
        let (first, second) = (world.start(&url, &bad), world.start(&url, &good));
        receiver.wait_for(2 * (number + 1)).await;
        receiver.act(0, Action::Text(format!(r#"{{"id":"{bad}"{status}}}"#)));
        let failure = failed(first.await.unwrap());
        assert_eq!(failure.kind.as_str(), "protocol");
        assert_eq!(failure.causes[0], "The receiver's acknowledgement has no valid status.");
        receiver.act(0, Action::Acknowledge(good, 200));
        answered(second.await.unwrap());
    }
    assert_eq!(receiver.connections().len(), 1);
}

#[tokio::test]
async fn an_acknowledgement_that_comes_twice_or_too_late_changes_nothing() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::silent().await;
    let url = receiver.url("/");
    let given_up = world.start(&url, "late");
    receiver.wait_for(1).await;
    given_up.abort();
    let attempt = world.start(&url, "1");
    receiver.wait_for(2).await;
    for id in ["late", "1", "1", "late"] {
        receiver.act(0, Action::Acknowledge(id.to_owned(), 200));
    }
    answered(attempt.await.unwrap());
    let attempt = world.start(&url, "2");
    let frame = receiver.wait_for(3).await[2].clone();
    receiver.acknowledge(&frame, 201);
    assert_eq!(answered(attempt.await.unwrap()).status, 201);
    assert_eq!(receiver.connections().len(), 1);
}
