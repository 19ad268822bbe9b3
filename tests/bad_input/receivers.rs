//! Receivers that hang, break off, never end or talk nonsense. Each is an attempt with its
//! reason, and none costs another endpoint anything.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Options, Receiver, Reply, Step};
use crate::support::server::{TestServer, eventually};

const HOME: &str = "standard";

/// The standard contract's timeout.
const TIMEOUT: Duration = Duration::from_secs(15);

async fn server() -> TestServer {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "t").await;
    server
}

/// The one attempt that a receiver of this kind brings about, without time passing.
async fn attempt(server: &TestServer, receiver: &Receiver) -> Value {
    let id = server.endpoint(HOME, "t", json!({ "url": receiver.url("/").as_str() })).await;
    let message = server.publish(HOME, "t", "e", "{}").await;
    let attempt = server.wait_for_attempts(HOME, "t", &message, 1).await.remove(0);
    let path = format!("/api/v1/app/t/endpoint/{id}");
    server.call(HOME, "DELETE", &path, Value::Null).await.expect(204);
    attempt
}

fn assert_failure(attempt: &Value, kind: &str, phase: &str, what: &str) {
    assert_eq!(attempt["statusText"], "fail", "{what}: {attempt}");
    assert_eq!(attempt["responseStatusCode"], 0, "{what}: {attempt}");
    assert_eq!(attempt["error"]["kind"], kind, "{what}: {attempt}");
    assert_eq!(attempt["error"]["phase"], phase, "{what}: {attempt}");
    let causes = attempt["error"]["causes"].as_array().unwrap();
    assert!(causes.iter().all(|one| one.as_str().is_some_and(|text| !text.is_empty())), "{what}");
    assert!(!causes.is_empty(), "{what}");
}

#[tokio::test]
async fn answers_that_are_not_http_are_recorded_with_their_reason() {
    let server = server().await;
    let raw = |text: &str| Reply::raw(text, [Step::Close]);
    for (what, reply, kind, phase) in [
        ("garbage", raw("garbage\r\n\r\n"), "protocol", "wait"),
        ("binary", Reply::raw(vec![0xff; 64], [Step::Close]), "protocol", "wait"),
        ("no status", raw("HTTP/1.1 \r\n\r\n"), "protocol", "wait"),
        ("status 99", raw("HTTP/1.1 99 Low\r\n\r\n"), "protocol", "wait"),
        ("a bad header", raw("HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), "protocol", "wait"),
        ("a bad length", raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), "protocol", "wait"),
        (
            "a bad chunk",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
            "protocol",
            "receive",
        ),
        ("nothing", Reply::step(Step::Close), "reset", "wait"),
        ("a reset", Reply::step(Step::Reset), "reset", "wait"),
        ("half a head", raw("HTTP/1.1 200 OK\r\nx: "), "reset", "wait"),
        (
            "half a body",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
            "reset",
            "receive",
        ),
    ] {
        let receiver = Receiver::start(reply).await;
        let attempt = attempt(&server, &receiver).await;
        assert_failure(&attempt, kind, phase, what);
    }
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n", "x".repeat(1 << 20));
    let receiver = Receiver::start(raw(&head)).await;
    assert_failure(&attempt(&server, &receiver).await, "protocol", "wait", "an endless header");
    let headers: String = (0..1_000).map(|index| format!("x-{index}: v\r\n")).collect();
    let receiver = Receiver::start(raw(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"))).await;
    assert_failure(&attempt(&server, &receiver).await, "protocol", "wait", "a thousand headers");
}

#[tokio::test]
async fn an_endless_answer_counts_by_its_status_and_is_kept_in_part() {
    let server = server().await;
    for (status, expected) in [(200, "success"), (500, "fail")] {
        let head = format!("HTTP/1.1 {status} Status\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = b"400\r\n".iter().copied().chain([b'x'; 1_024]).chain(*b"\r\n").collect();
        let receiver = Receiver::start(Reply::raw(head, [Step::Endless(chunk)])).await;
        let attempt = attempt(&server, &receiver).await;
        assert_eq!(attempt["statusText"], expected, "{attempt}");
        assert_eq!(attempt["responseStatusCode"], status);
        assert_eq!(attempt["response"].as_str().unwrap().len(), 1_024);
        assert_eq!(attempt["responseTruncated"], true);
        // It is not read to its end, which doesn't exist.
        receiver.wait_for_closed(1).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_no_text_is_shown_as_well_as_it_can_be() {
    let server = server().await;
    let body = vec![b'a', 0xff, 0xfe, 0, b'z'];
    let receiver = Receiver::start(Reply::status(200).header("x-bytes", "ok").body(body)).await;
    let attempt = attempt(&server, &receiver).await;
    assert_eq!(attempt["statusText"], "success");
    assert_eq!(attempt["response"], "a\u{fffd}\u{fffd}\0z");
}

#[tokio::test]
async fn whoever_speaks_first_or_refuses_is_recorded_too() {
    let server = server().await;
    let banner = Options {
        greeting: Some(vec![Step::Send(b"220 mail.example ESMTP\r\n".to_vec()), Step::Close]),
        ..Options::default()
    };
    let receiver = Receiver::start_with(banner, Reply::status(200)).await;
    let attempt_at_mail = attempt(&server, &receiver).await;
    assert_eq!(attempt_at_mail["statusText"], "fail");
    assert!(["protocol", "reset"].contains(&attempt_at_mail["error"]["kind"].as_str().unwrap()));

    let receiver = Receiver::start(Reply::status(200)).await;
    let url = receiver.url("/");
    drop(receiver);
    server.endpoint(HOME, "t", json!({ "url": url.as_str() })).await;
    let message = server.publish(HOME, "t", "e", "{}").await;
    let refused = server.wait_for_attempts(HOME, "t", &message, 1).await.remove(0);
    assert_eq!(refused["error"]["kind"], "connect", "{refused}");
    assert_eq!(refused["error"]["causes"].as_array().unwrap().len(), 2, "{refused}");
}

#[tokio::test]
async fn endpoints_in_trouble_never_stall_a_healthy_one() {
    let server = server().await;
    let drip = Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n",
        [Step::Drip(b'x', Duration::from_millis(50))],
    );
    let troubled = [
        Receiver::start(Reply::step(Step::Hang)).await,
        Receiver::start(Reply::step(Step::Deaf)).await,
        Receiver::start(Reply::raw("HTTP/1.1 200 OK\r\n", [Step::Hang])).await,
        Receiver::start(drip).await,
        Receiver::start(Reply::step(Step::Reset)).await,
    ];
    for receiver in &troubled {
        server.endpoint(HOME, "t", json!({ "url": receiver.url("/").as_str() })).await;
    }
    let healthy = Receiver::start(Reply::status(200)).await;
    let fields = json!({ "url": healthy.url("/").as_str(), "uid": "healthy" });
    server.endpoint(HOME, "t", fields).await;

    // More than one endpoint may have in flight, and the clock stands still: whoever waits for
    // a receiver that hangs waits for ever.
    let mut messages = Vec::new();
    for _ in 0..100 {
        messages.push(server.publish(HOME, "t", "e", "{}").await);
    }
    assert_eq!(healthy.wait_for(100).await.len(), 100);

    // Then the time runs out for those that hang, each in its phase.
    for receiver in &troubled[..4] {
        receiver.wait_for(1).await;
    }
    server.clock.advance(TIMEOUT);
    let first = &messages[0];
    // By then a retry of the one that resets is due as well, so first attempts only.
    let mut attempts = Vec::new();
    eventually("the first attempt at each endpoint", async || {
        attempts = server.attempts(HOME, "t", first).await;
        attempts.retain(|one| one["number"] == 1);
        attempts.len() == 6
    })
    .await;
    let failed = |kind: &str, phase: &str| {
        let error = |one: &&Value| one["error"]["kind"] == kind && one["error"]["phase"] == phase;
        attempts.iter().filter(error).count()
    };
    assert_eq!(failed("timeout", "wait"), 3, "{attempts:?}");
    assert_eq!(failed("timeout", "receive"), 1, "{attempts:?}");
    assert_eq!(failed("reset", "wait"), 1, "{attempts:?}");
    for attempt in attempts.iter().filter(|one| one["error"]["kind"] == "timeout") {
        assert_eq!(attempt["responseDurationMs"], 15_000, "{attempt}");
        assert!(attempt["error"]["causes"][0].as_str().unwrap().contains("15s"), "{attempt}");
    }
    server.ledger().await;
}
