//! What goes over the wire, and what is kept of the answer.

use std::time::Duration;

use hookwright::domain::{Method, Timing};
use hookwright::sender::{Sender, SenderConfig, SenderError};

use super::harness::{TIMEOUT, answered, clock, loopback, post, request, send, sender};
use crate::support::receiver::{Receiver, Reply, Step};

#[tokio::test]
async fn a_request_arrives_byte_for_byte() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let url = receiver.url("/in/%7Bx%7D?a=2&a=1&b=%20+&c#");
    let headers = [
        ("content-type", "application/json"),
        ("x-kakiyo-signature", "sha256=ab"),
        ("webhook-id", "msg_1"),
    ];
    let body = "{\"name\":\"Zoë\",\"n\":1.10}".as_bytes();
    let wire = request(Method::Post, url, &headers, body);
    answered(sender(&clock()).attempt(&wire, &loopback(), TIMEOUT).await);

    let [received] = &receiver.requests()[..] else { panic!("one request") };
    let expected = format!(
        "POST /in/%7Bx%7D?a=2&a=1&b=%20+&c HTTP/1.1\r\n\
         Host: 127.0.0.1:{}\r\n\
         User-Agent: Hookwright/{}\r\n\
         Content-Type: application/json\r\n\
         X-Kakiyo-Signature: sha256=ab\r\n\
         Webhook-Id: msg_1\r\n\
         Content-Length: {}\r\n\r\n",
        receiver.port(),
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    assert_eq!(received.head, expected);
    assert_eq!(received.body, body);
}

#[tokio::test]
async fn only_methods_with_a_body_carry_one_and_its_length() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    for method in Method::ALL {
        for body in [&b"body"[..], b""] {
            let wire = request(method, receiver.url("/"), &[], body);
            answered(sender.attempt(&wire, &loopback(), TIMEOUT).await);
            let received = receiver.requests().pop().unwrap();
            assert_eq!(received.method, method.as_str());
            if method.has_body() {
                let length = body.len().to_string();
                assert_eq!(received.header("content-length"), Some(&length[..]), "{method}");
                assert_eq!(received.body, body);
            } else {
                assert_eq!(received.header("content-length"), None, "{method}");
                assert_eq!(received.header("transfer-encoding"), None, "{method}");
            }
        }
    }
    assert_eq!(receiver.connections(), 1, "none of them disturbed the framing");
}

#[tokio::test]
async fn a_request_can_not_set_its_own_framing() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let headers = [
        ("host", "evil.example"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("expect", "100-continue"),
        ("user-agent", "Company/1"),
    ];
    let wire = request(Method::Post, receiver.url("/"), &headers, b"four");
    answered(sender(&clock()).attempt(&wire, &loopback(), TIMEOUT).await);
    let received = receiver.requests().pop().unwrap();
    let host = format!("127.0.0.1:{}", receiver.port());
    assert_eq!(received.header("host"), Some(&host[..]));
    assert_eq!(received.header("content-length"), Some("4"));
    assert_eq!(received.header("user-agent"), Some("Company/1"));
    for absent in ["transfer-encoding", "connection", "expect"] {
        assert_eq!(received.header(absent), None, "{absent}");
    }
    assert_eq!(received.headers.len(), 3);
}

#[tokio::test]
async fn an_answer_keeps_what_explains_it() {
    let reply = Reply::status(429)
        .header("Content-Type", "text/plain")
        .header("Set-Cookie", "session=secret")
        .header("Retry-After", "90")
        .header("X-Request-Id", "r-1")
        .body("slow down");
    let receiver = Receiver::start(reply).await;
    let answer = answered(send(&sender(&clock()), receiver.url("/")).await);
    assert_eq!(answer.status, 429);
    assert_eq!(answer.body, b"slow down");
    assert!(!answer.truncated);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(90)));
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, ["content-type", "retry-after", "x-request-id", "content-length"]);
}

#[tokio::test]
async fn retry_after_may_be_a_date_by_the_clock_of_the_sender() {
    let reply = Reply::status(503).header("Retry-After", "Thu, 01 Jan 2026 00:10:00 GMT");
    let receiver = Receiver::start(reply).await;
    let answer = answered(send(&sender(&clock()), receiver.url("/")).await);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    for status in [301, 302, 303, 307, 308] {
        let reply = Reply::status(status).header("Location", elsewhere.url("/in").as_str());
        let receiver = Receiver::start(reply).await;
        let answer = answered(send(&sender, receiver.url("/")).await);
        assert_eq!(answer.status, status);
        assert!(answer.headers.contains(&("location".into(), elsewhere.url("/in").into())));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn answers_come_in_every_framing() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nabcde";
    let old = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nabcde";
    let informed = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                    HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde";
    let sender = sender(&clock());
    for text in [chunked, until_close, old, informed] {
        let receiver = Receiver::start(Reply::raw(text, [Step::Close])).await;
        let answer = answered(send(&sender, receiver.url("/")).await);
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abcde"[..]), "{text}");
        assert!(!answer.truncated);
    }
    let receiver = Receiver::start(Reply::raw("HTTP/1.1 204 No Content\r\n\r\n", [])).await;
    let answer = answered(send(&sender, receiver.url("/")).await);
    assert_eq!((answer.status, answer.body.len(), answer.truncated), (204, 0, false));
}

#[tokio::test]
async fn the_first_kibibyte_of_an_answer_is_kept() {
    let sender = sender(&clock());
    for (length, truncated) in [(1_023, false), (1_024, false), (1_025, true), (60_000, true)] {
        let body: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let receiver = Receiver::start(Reply::status(200).body(body.clone())).await;
        for _ in 0..2 {
            let answer = answered(send(&sender, receiver.url("/")).await);
            assert_eq!(answer.body, body[..length.min(1_024)]);
            assert_eq!(answer.truncated, truncated, "{length}");
        }
        assert_eq!(receiver.connections(), 1, "a body that was read to its end, {length}");
    }
}

#[tokio::test]
async fn an_answer_without_end_counts_by_its_status() {
    let head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let endless = Reply::raw(head, [Step::Endless(chunk.into_bytes())]);
    let sender = sender(&clock());
    for reply in [endless, Reply::status(201).body(vec![b'x'; 5_000_000])] {
        let receiver = Receiver::start(reply).await;
        let answer = answered(send(&sender, receiver.url("/")).await);
        assert_eq!((answer.status, answer.truncated), (201, true));
        assert_eq!(answer.body, vec![b'x'; 1_024]);
        receiver.wait_for_closed(1).await;
        assert_eq!(sender.idle_connections(), 0);
    }
}

#[tokio::test]
async fn each_phase_is_timed_where_it_happened() {
    let clock = clock();
    let slow = clock.clone();
    let receiver = Receiver::start(crate::support::receiver::Script::by(move |_| {
        slow.advance(Duration::from_millis(40));
        Reply::status(200)
    }))
    .await;
    let sender = sender(&clock);
    for _ in 0..2 {
        let sent = send(&sender, receiver.url("/")).await;
        assert_eq!(sent.duration, Duration::from_millis(40));
        assert_eq!(sent.timing, Timing { wait_us: 40_000, ..Timing::default() });
    }
}

#[tokio::test]
async fn a_new_connection_shows_in_the_timing_and_a_reused_one_does_not() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let clock = hookwright::clock::Clock::system();
    let sender = sender(&clock);
    let first = send(&sender, receiver.url_for("localhost", "/")).await;
    assert!(first.timing.connect_us > 0 && first.timing.resolve_us > 0, "{first:?}");
    let second = send(&sender, receiver.url_for("localhost", "/")).await;
    assert_eq!((second.timing.resolve_us, second.timing.connect_us), (0, 0));
    assert_eq!(second.timing.tls_us, 0);
    answered(second);
}

#[test]
fn settings_that_can_not_work_are_refused() {
    let with = |change: fn(&mut SenderConfig)| {
        let mut config = SenderConfig::default();
        change(&mut config);
        Sender::new(config, clock())
    };
    let agent = with(|config| config.user_agent = "a\r\nx: y".to_owned());
    assert!(matches!(agent, Err(SenderError::UserAgent(_))));
    let head = with(|config| config.answer_header_bytes = 100);
    assert!(matches!(head, Err(SenderError::AnswerHeaderBytes(100))));
}

#[tokio::test]
async fn a_sender_makes_many_attempts_at_once() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    let attempts = (0..64).map(|_| {
        let (sender, wire) = (sender.clone(), post(receiver.url("/")));
        tokio::spawn(async move { sender.attempt(&wire, &loopback(), TIMEOUT).await })
    });
    for attempt in attempts.collect::<Vec<_>>() {
        assert_eq!(answered(attempt.await.unwrap()).status, 200);
    }
    assert_eq!(receiver.requests().len(), 64);
}
