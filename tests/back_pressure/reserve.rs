//! A disk that is nearly full: no new events, but what was accepted is finished.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::customer::Customer;
use crate::support::receiver::{Receiver, Reply, Script};
use crate::support::server::{Answer, TestServer};

/// More than any disk has.
const ALL: u64 = u64::MAX;

#[track_caller]
fn assert_refused(answer: &Answer, sentence: &Value) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(sentence.as_str().unwrap().contains("disk is nearly full"), "{}", answer.text);
}

#[tokio::test]
async fn new_events_are_refused_while_outcomes_are_recorded() {
    let mut server = TestServer::start(&["standard"]).await;
    server.application("standard", "tenant").await;
    let receiver =
        Receiver::start(Script::sequence(vec![Reply::status(500), Reply::status(200)])).await;
    let url = json!({ "url": receiver.url("/").as_str() });
    server.endpoint("standard", "tenant", url.clone()).await;
    let message = server.publish("standard", "tenant", "invoice.paid", "{}").await;
    server.wait_for_attempts("standard", "tenant", &message, 1).await;

    server.stop().await;
    server.config.disk_reserve_bytes = ALL;
    server.run().await;
    let event = json!({ "eventType": "invoice.paid", "payload": {} });
    let refused = server.call("standard", "POST", "/api/v1/app/tenant/msg", event.clone()).await;
    assert_refused(&refused, &refused.json["detail"]);
    assert_eq!(refused.json["code"], "unavailable");
    let health = server.call("standard", "GET", "/api/v1/health", Value::Null).await;
    assert_refused(&health, &health.json["detail"]);
    // All else goes on.
    server.endpoint("standard", "tenant", url).await;
    server.clock.advance(Duration::from_secs(60));
    server.wait_for_status("standard", "tenant", &message, "succeeded").await;
    let line = &server.ledger().await[0];
    assert_eq!((line.accepted, line.succeeded, line.pending), (1, 1, 0));

    server.stop().await;
    server.config.disk_reserve_bytes = 1;
    server.run().await;
    server.call("standard", "POST", "/api/v1/app/tenant/msg", event).await.expect(202);
}

#[tokio::test]
async fn a_company_s_customer_is_told_in_the_company_s_words() {
    let mut server = TestServer::start(&["klink"]).await;
    let customer =
        Customer::new(&server, "klink", "workspace_1", ("authorization", "Bearer ")).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let form = json!({ "name": "Orders", "endpoint_url": receiver.url("/").as_str(),
        "events": ["contact.created"] });
    let made = customer.call("POST", "/v1/webhooks", form).await.expect(201);
    let (path, key) = (format!("/v1/webhooks/{}/test", made["id"].as_str().unwrap()), customer.key);

    server.stop().await;
    server.config.disk_reserve_bytes = ALL;
    server.run().await;
    let authorization = format!("Bearer {key}");
    let body = json!({ "event": "contact.created" }).to_string();
    let refused = server.send("POST", &path, &[("authorization", &authorization)], body).await;
    assert_refused(&refused, &refused.json["error"]["message"]);
    assert!(receiver.requests().is_empty());
}
