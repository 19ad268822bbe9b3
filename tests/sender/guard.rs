//! Which addresses an attempt may reach, decided when it connects.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hookwright::domain::{Failure, FailureKind};
use hookwright::sender::{Guard, Resolver, Sender, SenderConfig};
use url::Url;

use super::harness::{TIMEOUT, answered, clock, failed, guard, loopback, post, send, sender};
use crate::support::receiver::{Options, Receiver, Reply};

/// A sender that knows one name.
fn sender_knowing(name: &str, addresses: &[&str]) -> Sender {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let names = HashMap::from([(name.to_owned(), addresses)]);
    let config = SenderConfig { resolver: Resolver::fixed(names), ..SenderConfig::default() };
    Sender::new(config, clock()).unwrap()
}

async fn blocked(sender: &Sender, url: Url, guard: &Guard) -> Failure {
    let failure = failed(sender.attempt(&post(url), guard, TIMEOUT).await);
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    failure
}

#[tokio::test]
async fn only_the_allowed_addresses_of_a_name_are_dialled() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender_knowing("mixed.example", &["10.0.0.1", "::1", "127.0.0.1"]);
    let url = receiver.url_for("mixed.example", "/in");
    let sent = sender.attempt(&post(url), &guard(&["127.0.0.0/8"]), TIMEOUT).await;
    assert_eq!(answered(sent).status, 200);
    let host = format!("mixed.example:{}", receiver.port());
    assert_eq!(receiver.requests()[0].header("host"), Some(&host[..]));
}

#[tokio::test]
async fn a_name_with_no_allowed_address_is_blocked() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender_knowing("inner.example", &["10.0.0.1", "127.0.0.1", "::ffff:127.0.0.1"]);
    let url = receiver.url_for("inner.example", "/");
    let failure = blocked(&sender, url, &Guard::public()).await;
    assert_eq!(
        failure.causes,
        [
            "Deliveries may not go to inner.example.",
            // The kinds of the addresses, each once; not the addresses.
            "Its address is a private address.",
            "Its address is a loopback address.",
        ]
    );
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn an_address_in_the_url_is_judged_like_any_other() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    for host in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"] {
        blocked(&sender, receiver.url_for(host, "/"), &Guard::public()).await;
    }
    for host in ["127.0.0.1", "127.1", "[::ffff:127.0.0.1]"] {
        answered(send(&sender, receiver.url_for(host, "/")).await);
    }
    assert_eq!(receiver.requests().len(), 3);
}

#[tokio::test]
async fn the_system_resolver_is_no_way_round() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    blocked(&sender, receiver.url_for("localhost", "/"), &Guard::public()).await;
    assert_eq!(receiver.connections(), 0);
    answered(send(&sender, receiver.url_for("localhost", "/")).await);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_each_time() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = lookups.clone();
    // The only addresses that a test may dial are loopback ones, so 127.0.0.1 stands for
    // the public one here.
    let resolver = Resolver::custom(move |_| {
        let answers: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        let answer = answers[count.fetch_add(1, SeqCst).min(1)];
        async move { Ok(vec![answer]) }
    });
    let config = SenderConfig { resolver, ..SenderConfig::default() };
    let sender = Sender::new(config, clock()).unwrap();
    let guard = guard(&["127.0.0.1/32"]);
    let url = receiver.url_for("rebinding.example", "/");

    answered(sender.attempt(&post(url.clone()), &guard, TIMEOUT).await);
    assert_eq!(lookups.load(SeqCst), 1, "what was judged is what was dialled");
    sender.close_idle();
    let failure = blocked(&sender, url, &guard).await;
    assert_eq!(failure.causes[1], "Its address is a loopback address.");
    assert_eq!(lookups.load(SeqCst), 2);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn an_open_connection_serves_only_an_equal_guard() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    answered(send(&sender, receiver.url("/")).await);
    assert_eq!(sender.idle_connections(), 1);
    blocked(&sender, receiver.url("/"), &Guard::public()).await;

    let wider = guard(&["127.0.0.0/8", "::1/128", "10.0.0.0/8"]);
    answered(sender.attempt(&post(receiver.url("/")), &wider, TIMEOUT).await);
    assert_eq!(receiver.connections(), 2);
    let equal = guard(&["::1/128", "127.0.0.0/8"]);
    answered(sender.attempt(&post(receiver.url("/")), &equal, TIMEOUT).await);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn an_address_that_refuses_is_followed_by_the_next() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender_knowing("two.example", &["127.0.0.3", "127.0.0.1"]);
    answered(send(&sender, receiver.url_for("two.example", "/")).await);
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn ipv6_receivers_are_reached() {
    let options = Options { address: Some("::1"), ..Options::default() };
    let receiver = Receiver::start_with(options, Reply::status(200)).await;
    answered(send(&sender(&clock()), receiver.url("/")).await);
    let host = format!("[::1]:{}", receiver.port());
    assert_eq!(receiver.requests()[0].header("host"), Some(&host[..]));
}

#[tokio::test]
async fn deliveries_leave_from_the_address_that_was_set() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let source: IpAddr = "127.0.0.77".parse().unwrap();
    let config = SenderConfig { source_address: Some(source), ..SenderConfig::default() };
    let sender = Sender::new(config, clock()).unwrap();
    answered(send(&sender, receiver.url("/")).await);
    assert_eq!(receiver.requests()[0].peer.ip(), source);

    let failure = failed(send(&sender, receiver.url_for("[::1]", "/")).await);
    assert_eq!(failure.kind, FailureKind::Connect);
    assert!(failure.causes[1].contains("leave from 127.0.0.77"), "{failure:?}");
}

#[tokio::test]
async fn a_loopback_guard_is_no_guard_for_other_private_networks() {
    let sender = sender(&clock());
    for host in ["10.0.0.1", "192.168.1.1", "169.254.169.254", "[fd00::1]", "0.0.0.0"] {
        let url = Url::parse(&format!("http://{host}/latest/meta-data")).unwrap();
        blocked(&sender, url, &loopback()).await;
    }
}
