//! HTTPS: who is trusted, what is said about the rest, and HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use hookwright::clock::Clock;
use hookwright::domain::{Failure, FailureKind, Phase};
use hookwright::sender::{Resolver, RootsError, Sender, SenderConfig, SenderError};
use tempfile::NamedTempFile;

use super::harness::{TIMEOUT, answered, clock, failed, loopback, post, send, sender, settle};
use crate::support::certificates::{Authority, Identity};
use crate::support::receiver::{Options, Receiver, Reply, Script, Step};

const NAME: &str = "hooks.example";

/// Trusts `authority`, and finds every name on the loopback.
fn trusting(authority: &Authority, clock: &Clock) -> Sender {
    let roots = authority.pem_file();
    let resolver = Resolver::custom(|_| async { Ok(vec!["127.0.0.1".parse().unwrap()]) });
    let extra_roots = vec![roots.path().to_owned()];
    let config = SenderConfig { extra_roots, resolver, ..SenderConfig::default() };
    Sender::new(config, clock.clone()).unwrap()
}

async fn serve(identity: &Identity, alpn: &[&str], script: impl Into<Script>) -> Receiver {
    let tls = Some(identity.server_config(alpn));
    Receiver::start_with(Options { tls, ..Options::default() }, script).await
}

/// A sender and a receiver that speak HTTP/2 with each other.
async fn http2(script: impl Into<Script>) -> (Sender, Receiver, Clock) {
    let (authority, clock) = (Authority::new("Trusted"), clock());
    let receiver = serve(&authority.issue(&[NAME]), &["h2", "http/1.1"], script).await;
    (trusting(&authority, &clock), receiver, clock)
}

#[tokio::test]
async fn a_trusted_receiver_is_reached_over_http1() {
    let authority = Authority::new("Trusted");
    let sender = trusting(&authority, &clock());
    let identity = authority.issue(&[NAME, "127.0.0.1"]);
    for alpn in [&[][..], &["http/1.1"]] {
        let receiver = serve(&identity, alpn, Reply::status(200).body("ok")).await;
        for _ in 0..3 {
            answered(send(&sender, receiver.url_for(NAME, "/in?x=1")).await);
        }
        answered(send(&sender, receiver.url("/by-address")).await);
        answered(send(&sender, receiver.url_for("hooks.example.", "/root-dot")).await);
        let requests = receiver.requests();
        assert!(requests[0].head.starts_with("POST /in?x=1 HTTP/1.1\r\nHost: hooks.example:"));
        let connections: Vec<usize> = requests.iter().map(|request| request.connection).collect();
        assert_eq!(connections, [0, 0, 0, 1, 2]);
    }
}

#[tokio::test]
async fn a_new_connection_resumes_the_session_before() {
    let authority = Authority::new("Trusted");
    let sender = trusting(&authority, &clock());
    let identity = authority.issue(&[NAME]);
    let reply = Reply::status(200).header("Connection", "close");
    let receiver = serve(&identity, &["http/1.1"], reply).await;
    for _ in 0..3 {
        answered(send(&sender, receiver.url_for(NAME, "/")).await);
    }
    assert_eq!((receiver.connections(), receiver.resumed()), (3, 2));
}

async fn tls_failure(sender: &Sender, receiver: &Receiver) -> Failure {
    let failure = failed(send(sender, receiver.url_for(NAME, "/")).await);
    assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
    assert!(failure.causes.len() > 1, "{failure:?}");
    assert!(receiver.requests().is_empty());
    failure
}

#[tokio::test]
async fn an_unknown_issuer_is_not_trusted() {
    let sender = trusting(&Authority::new("Trusted"), &clock());
    let receiver = serve(&Authority::new("Stranger").issue(&[NAME]), &[], Reply::status(200)).await;
    let failure = tls_failure(&sender, &receiver).await;
    assert!(failure.causes[0].contains("isn't issued by a trusted authority"), "{failure:?}");
}

#[tokio::test]
async fn a_certificate_expires_by_the_clock_of_the_sender() {
    let (authority, clock) = (Authority::new("Trusted"), clock());
    let sender = trusting(&authority, &clock);
    let identity = authority.issue_until(&[NAME], 2027);
    let receiver = serve(&identity, &[], Reply::status(200)).await;
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    clock.advance(Duration::from_secs(366 * 86_400));
    let failure = failed(send(&trusting(&authority, &clock), receiver.url_for(NAME, "/")).await);
    assert_eq!(failure.kind, FailureKind::Tls);
    let sentence = "The certificate of hooks.example expired on 2027-01-01T00:00:00Z.";
    assert_eq!(failure.causes[0], sentence);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("Trusted");
    let sender = trusting(&authority, &clock());
    let receiver = serve(&authority.issue(&["other.example"]), &[], Reply::status(200)).await;
    let failure = tls_failure(&sender, &receiver).await;
    assert!(failure.causes[0].contains("for another name"), "{failure:?}");
    assert!(failure.causes.iter().any(|cause| cause.contains("other.example")), "{failure:?}");
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_tls_is_told_apart() {
    let speaking = |text: &str| {
        let greeting = vec![Step::Send(text.as_bytes().to_vec()), Step::Hang];
        Options { greeting: Some(greeting), ..Options::default() }
    };
    let receiver =
        Receiver::start_with(speaking("HTTP/1.1 400 Bad Request\r\n\r\n"), Reply::status(200))
            .await;
    let sender = sender(&clock());
    let mut url = receiver.url("/");
    url.set_scheme("https").unwrap();
    let failure = failed(send(&sender, url).await);
    assert_eq!(failure.kind, FailureKind::Tls);
    assert!(failure.causes[0].contains("doesn't answer in TLS"), "{failure:?}");

    let greeting = Some(vec![Step::Close]);
    let options = Options { greeting, ..Options::default() };
    let receiver = Receiver::start_with(options, Reply::status(200)).await;
    let mut url = receiver.url("/");
    url.set_scheme("https").unwrap();
    let failure = failed(send(&sender, url).await);
    assert_eq!(failure.kind, FailureKind::Tls);
    assert!(failure.causes[0].contains("during the TLS handshake"), "{failure:?}");
}

#[tokio::test]
async fn a_connection_closed_under_a_request_is_replaced_over_tls_too() {
    let authority = Authority::new("Trusted");
    let sender = trusting(&authority, &clock());
    let replies = vec![Reply::status(200), Reply::step(Step::Close), Reply::status(202)];
    let script = Script::sequence(replies);
    let receiver = serve(&authority.issue(&[NAME]), &[], script).await;
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    assert_eq!(answered(send(&sender, receiver.url_for(NAME, "/")).await).status, 202);
    assert_eq!((receiver.requests().len(), receiver.connections()), (3, 2));
}

#[tokio::test]
async fn http2_shares_one_connection_between_many_attempts() {
    let (sender, receiver, _) = http2(Reply::status(200).body("ok")).await;
    let first = answered(send(&sender, receiver.url_for(NAME, "/first?a=1")).await);
    assert_eq!((first.status, &first.body[..]), (200, &b"ok"[..]));
    let attempts = (0..50).map(|_| {
        let (sender, wire) = (sender.clone(), post(receiver.url_for(NAME, "/")));
        tokio::spawn(async move { sender.attempt(&wire, &loopback(), TIMEOUT).await })
    });
    for attempt in attempts.collect::<Vec<_>>() {
        answered(attempt.await.unwrap());
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (51, 1));
    assert_eq!(sender.idle_connections(), 1);

    let request = &receiver.requests()[0];
    let host = format!("hooks.example:{}", receiver.port());
    assert_eq!((&request.method[..], &request.target[..]), ("POST", "/first?a=1"));
    assert_eq!(request.header("host"), Some(&host[..]));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.body, br#"{"a":1.10}"#);
}

#[tokio::test]
async fn attempts_that_begin_together_end_up_on_one_http2_connection() {
    let (sender, receiver, _) = http2(Reply::status(200)).await;
    for _ in 0..2 {
        let attempts = (0..8).map(|_| {
            let (sender, wire) = (sender.clone(), post(receiver.url_for(NAME, "/")));
            tokio::spawn(async move { sender.attempt(&wire, &loopback(), TIMEOUT).await })
        });
        for attempt in attempts.collect::<Vec<_>>() {
            answered(attempt.await.unwrap());
        }
    }
    assert_eq!(sender.idle_connections(), 1);
    receiver.wait_for_closed(receiver.connections() - 1).await;
    sender.close_idle();
    receiver.wait_for_closed(receiver.connections()).await;
}

#[tokio::test]
async fn an_http2_receiver_may_go_away_and_come_back() {
    let (sender, receiver, _) = http2(Reply::status(200)).await;
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    // At once, so that the request and the farewell cross.
    receiver.close_idle();
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    receiver.wait_for_closed(1).await;
    settle().await;
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    assert_eq!(receiver.requests().len(), 3);
}

#[tokio::test]
async fn a_request_that_http2_resets_is_a_failure_and_not_repeated() {
    let replies = vec![Reply::status(200), Reply::step(Step::Reset), Reply::status(200)];
    let (sender, receiver, _) = http2(Script::sequence(replies)).await;
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    let failure = failed(send(&sender, receiver.url_for(NAME, "/")).await);
    assert_eq!((failure.kind, failure.phase), (FailureKind::Reset, Some(Phase::Wait)));
    assert_eq!(receiver.requests().len(), 2);
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    assert_eq!(receiver.connections(), 1, "the others on the connection are unharmed");
}

#[tokio::test]
async fn a_silent_http2_connection_is_not_used_again() {
    let replies = vec![Reply::status(200), Reply::step(Step::Hang), Reply::status(200)];
    let (sender, receiver, clock) = http2(Script::sequence(replies)).await;
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    let (silent, wire) = (sender.clone(), post(receiver.url_for(NAME, "/")));
    let attempt = tokio::spawn(async move { silent.attempt(&wire, &loopback(), TIMEOUT).await });
    receiver.wait_for(2).await;
    clock.advance(TIMEOUT);
    let failure = failed(attempt.await.unwrap());
    assert_eq!((failure.kind, failure.phase), (FailureKind::Timeout, Some(Phase::Wait)));
    assert_eq!(sender.idle_connections(), 0);
    answered(send(&sender, receiver.url_for(NAME, "/")).await);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_long_http2_answer_is_cut_off_without_harm() {
    let replies = vec![Reply::status(201).body(vec![b'x'; 1 << 20]), Reply::status(200)];
    let (sender, receiver, _) = http2(Script::sequence(replies)).await;
    let answer = answered(send(&sender, receiver.url_for(NAME, "/")).await);
    assert_eq!((answer.status, answer.body.len(), answer.truncated), (201, 1_024, true));
    for _ in 0..3 {
        answered(send(&sender, receiver.url_for(NAME, "/")).await);
    }
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn authorities_that_can_not_be_read_are_named() {
    let with = |path: &std::path::Path| {
        let extra_roots = vec![path.to_owned()];
        Sender::new(SenderConfig { extra_roots, ..SenderConfig::default() }, clock())
    };
    let empty = NamedTempFile::new().unwrap();
    let error = with(empty.path()).unwrap_err();
    assert!(matches!(error, SenderError::Roots(RootsError::Empty { .. })), "{error:?}");
    assert!(error.to_string().contains(empty.path().to_str().unwrap()));

    let missing = with(&empty.path().join("missing.pem")).unwrap_err();
    assert!(matches!(missing, SenderError::Roots(RootsError::Unreadable { .. })));

    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(empty.path(), broken).unwrap();
    let broken = with(empty.path()).unwrap_err();
    assert!(matches!(broken, SenderError::Roots(RootsError::Unreadable { .. })));
}

#[tokio::test]
async fn one_identity_serves_many_receivers() {
    let authority = Authority::new("Trusted");
    let identity = Arc::new(authority.issue(&[NAME]));
    let sender = trusting(&authority, &clock());
    let one = serve(&identity, &["h2"], Reply::status(200)).await;
    let two = serve(&identity, &["http/1.1"], Reply::status(200)).await;
    for _ in 0..2 {
        answered(send(&sender, one.url_for(NAME, "/")).await);
        answered(send(&sender, two.url_for(NAME, "/")).await);
    }
    assert_eq!((one.connections(), two.connections()), (1, 1));
}
