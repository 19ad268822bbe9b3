//! Names that lead to private addresses: found out when a delivery connects.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hookwright::environment::Environments;
use hookwright::sender::{Guard, Resolver};
use serde_json::json;

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

const HOME: &str = "standard";

/// A server that resolves names in its own way, and reaches private addresses where told.
async fn server(resolver: Resolver, allow_private: &[&str]) -> TestServer {
    let nets = allow_private.iter().map(|net| net.parse().unwrap()).collect();
    let server = TestServer::start_resolving(&[HOME], resolver, |config| {
        let mut environment = (**config.environments.only().unwrap()).clone();
        environment.guard = Guard::new(nets);
        let other = environment.clone();
        config.environments = Arc::new(Environments::new(vec![environment], other));
    })
    .await;
    server.application(HOME, "t").await;
    server
}

#[tokio::test]
async fn a_name_of_a_private_address_is_blocked_when_it_is_delivered_to() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let addresses: &[(&str, &[&str])] = &[
        ("loopback.example", &["127.0.0.1"]),
        ("metadata.example", &["169.254.169.254"]),
        ("intranet.example", &["10.0.0.1", "192.168.0.1"]),
        ("six.example", &["::1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("zero.example", &["0.0.0.0"]),
    ];
    let names: HashMap<String, Vec<IpAddr>> = addresses
        .iter()
        .map(|(name, list)| {
            ((*name).to_owned(), list.iter().map(|one| one.parse().unwrap()).collect())
        })
        .collect();
    let server = server(Resolver::fixed(names), &[]).await;
    for (name, _) in addresses {
        server.endpoint(HOME, "t", json!({ "url": receiver.url_for(name, "/").as_str() })).await;
    }
    let message = server.publish(HOME, "t", "e", "{}").await;
    let attempts = server.wait_for_attempts(HOME, "t", &message, addresses.len()).await;
    for attempt in &attempts {
        assert_eq!(attempt["statusText"], "fail", "{attempt}");
        assert_eq!(attempt["error"]["kind"], "blocked", "{attempt}");
        assert_eq!(attempt["responseStatusCode"], 0);
        assert!(!attempt["error"]["causes"].as_array().unwrap().is_empty());
    }
    assert_eq!(receiver.connections(), 0, "nothing was dialled");
    // Such an attempt is one of the schedule's: names may lead elsewhere tomorrow.
    for delivery in server.deliveries(HOME, "t", &message).await {
        assert_eq!(delivery["statusText"], "pending");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let lookups = Arc::new(AtomicUsize::new(0));
    let resolver = Resolver::custom({
        let lookups = lookups.clone();
        // First an allowed address where nobody listens, then one that is not.
        move |_| {
            let turn = lookups.fetch_add(1, SeqCst);
            let address = if turn == 0 { [127, 0, 0, 77] } else { [127, 0, 0, 1] };
            async move { Ok(vec![IpAddr::from(address)]) }
        }
    });
    let server = server(resolver, &["127.0.0.77/32"]).await;
    let url = receiver.url_for("rebinding.example", "/");
    server.endpoint(HOME, "t", json!({ "url": url.as_str() })).await;
    let first = server.publish(HOME, "t", "e", "{}").await;
    let attempts = server.wait_for_attempts(HOME, "t", &first, 1).await;
    assert_eq!(attempts[0]["error"]["kind"], "connect");
    let second = server.publish(HOME, "t", "e", "{}").await;
    let attempts = server.wait_for_attempts(HOME, "t", &second, 1).await;
    assert_eq!(attempts[0]["error"]["kind"], "blocked");
    assert_eq!(lookups.load(SeqCst), 2, "each attempt looks the name up once");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_one_is_dialled() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let mixed = vec!["10.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    let resolver = Resolver::fixed(HashMap::from([("mixed.example".to_owned(), mixed)]));
    let server = server(resolver, &["127.0.0.0/8"]).await;
    let url = receiver.url_for("mixed.example", "/");
    server.endpoint(HOME, "t", json!({ "url": url.as_str() })).await;
    let message = server.publish(HOME, "t", "e", "{}").await;
    let attempts = server.wait_for_attempts(HOME, "t", &message, 1).await;
    assert_eq!(attempts[0]["statusText"], "success", "{}", attempts[0]);
    assert!(receiver.requests()[0].header("host").unwrap().starts_with("mixed.example"));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_attempt_too() {
    let server = server(Resolver::fixed(HashMap::new()), &[]).await;
    server.endpoint(HOME, "t", json!({ "url": "http://nowhere.example/" })).await;
    let message = server.publish(HOME, "t", "e", "{}").await;
    let attempts = server.wait_for_attempts(HOME, "t", &message, 1).await;
    assert_eq!(attempts[0]["error"]["kind"], "dns");
}
