//! What can go wrong, and what is said about it.

use std::collections::HashMap;

use hookwright::domain::{Failure, FailureKind, Phase};
use hookwright::sender::{Resolver, Sender, SenderConfig};
use tokio::net::TcpListener;
use url::Url;

use super::harness::{TIMEOUT, answered, clock, failed, loopback, request, send, sender};
use crate::support::receiver::{Options, Receiver, Reply, Step};

fn assert_failure(failure: &Failure, kind: FailureKind, phase: Option<Phase>, words: &str) {
    assert_eq!((failure.kind, failure.phase), (kind, phase), "{failure:?}");
    assert!(failure.causes[0].contains(words), "{failure:?}");
}

/// The failure of a first attempt at a receiver that replies like this, and only once.
async fn failure_of(reply: Reply) -> Failure {
    let receiver = Receiver::start(reply).await;
    let sender = sender(&clock());
    let failure = failed(send(&sender, receiver.url("/")).await);
    assert_eq!(receiver.requests().len(), 1, "a new connection is not tried twice");
    assert_eq!(sender.idle_connections(), 0, "a broken connection is not kept");
    failure
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let failure = failed(send(&sender(&clock()), url).await);
    let words = format!("127.0.0.1 refuses connections on port {port}.");
    assert_failure(&failure, FailureKind::Connect, None, &words);
    assert!(failure.causes[1].starts_with(&format!("127.0.0.1:{port}: ")), "{failure:?}");
}

#[tokio::test]
async fn the_receiver_closes_without_an_answer() {
    let failure = failure_of(Reply::step(Step::Close)).await;
    assert_failure(&failure, FailureKind::Reset, Some(Phase::Wait), "without an answer");
}

#[tokio::test]
async fn the_receiver_resets_before_its_answer() {
    let failure = failure_of(Reply::step(Step::Reset)).await;
    assert_failure(&failure, FailureKind::Reset, Some(Phase::Wait), "without an answer");
    assert!(failure.causes.iter().any(|cause| cause.contains("reset by peer")), "{failure:?}");
}

#[tokio::test]
async fn the_receiver_breaks_off_in_the_head() {
    let failure = failure_of(Reply::raw("HTTP/1.1 200 OK\r\nDate: Th", [Step::Close])).await;
    assert_failure(&failure, FailureKind::Reset, Some(Phase::Wait), "in the head of its answer");
}

#[tokio::test]
async fn the_receiver_breaks_off_in_the_body() {
    let by_length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    let by_chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
    for text in [by_length, by_chunks] {
        let failure = failure_of(Reply::raw(text, [Step::Close])).await;
        let words = "in the middle of its answer";
        assert_failure(&failure, FailureKind::Reset, Some(Phase::Receive), words);
    }
}

#[tokio::test]
async fn the_receiver_answers_in_something_else() {
    for text in ["garbage\r\n\r\n", "\0\u{1}\u{2}\u{3}\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n"] {
        let failure = failure_of(Reply::raw(text, [Step::Close])).await;
        assert_failure(&failure, FailureKind::Protocol, Some(Phase::Wait), "isn't valid HTTP");
    }
}

#[tokio::test]
async fn the_receiver_frames_its_body_wrongly() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n";
    let failure = failure_of(Reply::raw(text, [Step::Close])).await;
    assert_failure(&failure, FailureKind::Protocol, Some(Phase::Receive), "isn't valid HTTP");
}

#[tokio::test]
async fn the_head_of_the_answer_is_too_large() {
    let mut large = Reply::status(200);
    for index in 0..90 {
        large = large.header(&format!("X-{index}"), &"v".repeat(1_000));
    }
    let mut many = Reply::status(200);
    for index in 0..101 {
        many = many.header(&format!("X-{index}"), "v");
    }
    for reply in [large, many] {
        let failure = failure_of(reply).await;
        let words = "too large or has too many headers";
        assert_failure(&failure, FailureKind::Protocol, Some(Phase::Wait), words);
    }
}

#[tokio::test]
async fn the_receiver_is_no_http_server() {
    let greeting = Some(vec![Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Step::Hang]);
    let options = Options { greeting, ..Options::default() };
    let receiver = Receiver::start_with(options, Reply::status(200)).await;
    let failure = failed(send(&sender(&clock()), receiver.url("/")).await);
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
}

#[tokio::test]
async fn the_name_has_no_address() {
    let names = HashMap::from([("empty.example".to_owned(), Vec::new())]);
    let config = SenderConfig { resolver: Resolver::fixed(names), ..SenderConfig::default() };
    let sender = Sender::new(config, clock()).unwrap();
    let failure_for = async |url: &str| failed(send(&sender, Url::parse(url).unwrap()).await);
    let unknown = failure_for("http://unknown.example/").await;
    assert_failure(&unknown, FailureKind::Dns, None, "unknown.example can't be resolved");
    assert_eq!(unknown.causes.len(), 2, "{unknown:?}");
    let empty = failure_for("http://empty.example/").await;
    assert_failure(&empty, FailureKind::Dns, None, "empty.example has no address");
}

#[tokio::test]
async fn the_url_can_not_be_called() {
    let sender = sender(&clock());
    let failure = failed(send(&sender, Url::parse("ftp://127.0.0.1/").unwrap()).await);
    assert_failure(&failure, FailureKind::Url, None, "neither https:// nor http://");

    let receiver = Receiver::start(Reply::status(200)).await;
    let endless = receiver.url(&format!("/?payload={}", "x".repeat(70_000)));
    let failure = failed(send(&sender, endless).await);
    assert_failure(&failure, FailureKind::Url, None, "can't be used");
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn failures_and_debug_output_tell_no_secrets() {
    let sender = sender(&clock());
    let replies = [
        Reply::step(Step::Close),
        Reply::step(Step::Reset),
        Reply::raw("garbage\r\n\r\n", [Step::Close]),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", [Step::Close]),
    ];
    for reply in replies {
        let receiver = Receiver::start(reply).await;
        let mut url = receiver.url("/hidden-path?token=hidden-query");
        url.set_username("hidden-user").unwrap();
        let headers = [("authorization", "hidden-token"), ("x-signature", "hidden-signature")];
        let wire = request(Default::default(), url, &headers, b"hidden-body");
        let sent = sender.attempt(&wire, &loopback(), TIMEOUT).await;
        let text = format!("{sent:?} {sender:?}");
        assert!(!text.contains("hidden"), "{text}");
        failed(sent);
        assert!(!receiver.requests()[0].head.contains("hidden-user"));
    }
}

#[tokio::test]
async fn trouble_with_one_attempt_does_not_reach_the_next() {
    let script = crate::support::receiver::Script::sequence(vec![
        Reply::raw("garbage\r\n\r\n", [Step::Close]),
        Reply::status(200),
    ]);
    let receiver = Receiver::start(script).await;
    let sender = sender(&clock());
    failed(send(&sender, receiver.url("/")).await);
    answered(send(&sender, receiver.url("/")).await);
}
