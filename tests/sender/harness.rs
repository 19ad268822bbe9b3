//! What these tests begin with.

use std::time::Duration;

use bytes::Bytes;
use hookwright::clock::Clock;
use hookwright::contract::WireRequest;
use hookwright::domain::{Answer, Failure, Method, Outcome, Timestamp};
use hookwright::sender::{Guard, Sender, SenderConfig, Sent};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub(super) const TIMEOUT: Duration = Duration::from_secs(15);

/// A clock that stands at the beginning of 2026.
pub(super) fn clock() -> Clock {
    Clock::simulated(Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap())
}

pub(super) fn sender(clock: &Clock) -> Sender {
    Sender::new(SenderConfig::default(), clock.clone()).unwrap()
}

pub(super) fn guard(nets: &[&str]) -> Guard {
    Guard::new(nets.iter().map(|net| net.parse().unwrap()).collect())
}

/// A guard that lets the tests' receivers through.
pub(super) fn loopback() -> Guard {
    guard(&["127.0.0.0/8", "::1/128"])
}

pub(super) fn request(
    method: Method,
    url: Url,
    headers: &[(&str, &str)],
    body: &[u8],
) -> WireRequest {
    let headers = headers.iter().map(|(name, value)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    });
    let headers = HeaderMap::from_iter(headers);
    WireRequest { method, url, headers, body: Bytes::copy_from_slice(body) }
}

pub(super) fn post(url: Url) -> WireRequest {
    request(Method::Post, url, &[("content-type", "application/json")], br#"{"a":1.10}"#)
}

/// Posts something to `url` where only the loopback is allowed beside the public.
pub(super) async fn send(sender: &Sender, url: Url) -> Sent {
    sender.attempt(&post(url), &loopback(), TIMEOUT).await
}

pub(super) fn answered(sent: Sent) -> Answer {
    match sent.outcome {
        Outcome::Answered(answer) => answer,
        Outcome::Failed(failure) => panic!("no answer: {failure:?}"),
    }
}

pub(super) fn failed(sent: Sent) -> Failure {
    match sent.outcome {
        Outcome::Answered(answer) => panic!("answered: {answer:?}"),
        Outcome::Failed(failure) => failure,
    }
}

/// Lets every task that can run do so, several times over.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
