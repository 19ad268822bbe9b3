//! Rechat's brand webhooks, as its API reference describes them: one topic a webhook, signed
//! with the webhook's key.

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::environments::configure;
use support::payloads;
use support::programs::{hmac_sha256_hex, python};
use support::receiver::{Receiver, Reply, Script};
use support::server::TestServer;
use support::tenant::{Delivered, Tenant, refused};

const BRAND: &str = "8929cf8b-6bcc-484a-a7a6-242eaf70cb7a";
const KEY: &str = "16b43e2f5379346d4e605f4389c8366bece1756a22fbef3a7906549d8eaf097e";

async fn server() -> TestServer {
    TestServer::start(&["rechat"]).await
}

async fn receiver() -> Receiver {
    Receiver::start(Reply::status(200)).await
}

async fn brand(server: &TestServer) -> Tenant<'_> {
    Tenant::new(server, "rechat", BRAND).await
}

fn fields(receiver: &Receiver, topic: &str) -> Value {
    json!({ "url": receiver.url("/hook").as_str(), "filterTypes": [topic], "secret": KEY })
}

fn with(receiver: &Receiver, field: &str, value: Value) -> Value {
    let mut fields = fields(receiver, "Deals");
    fields[field] = value;
    fields
}

/// The body as documented, for an event that was published when the test began.
fn expected_body(topic: &str, id: &str, data: &str) -> String {
    format!(
        r#"{{"topic":"{topic}","event":"{topic}","id":"{id}","timestamp":1736951520.258162,"brand":"{BRAND}","data":{data}}}"#
    )
}

fn assert_signed(key: &str, delivered: &[Delivered]) {
    let bodies = delivered.iter().map(|one| one.request.body.as_slice());
    let expected = hmac_sha256_hex(key, bodies);
    for (one, expected) in delivered.iter().zip(expected) {
        assert_eq!(one.header("X-Rechat-Signature"), expected, "{}", one.body());
    }
}

#[tokio::test]
async fn a_showing_arrives_as_documented() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver, "Showings")).await;
    let delivered = brand.deliver(&receiver, "Showings", r#"{"status":"Requested"}"#).await;
    assert_eq!(
        delivered.body(),
        expected_body("Showings", delivered.id(), r#"{"status":"Requested"}"#)
    );
    assert_eq!(delivered.request.method, "POST");
    assert_eq!(delivered.request.target, "/hook");
    assert_eq!(delivered.header("content-type"), "application/json");
    assert_eq!(
        delivered.header_names(),
        ["content-length", "content-type", "host", "user-agent", "x-rechat-signature"]
    );
    assert_signed(KEY, &[delivered]);
}

#[tokio::test]
async fn the_payload_stays_as_it_was_published() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver, "Deals")).await;
    let mut delivered = Vec::new();
    for payload in payloads::all() {
        let one = brand.deliver(&receiver, "Deals", &payload).await;
        assert_eq!(one.body(), expected_body("Deals", one.id(), &payload));
        delivered.push(one);
    }
    assert_signed(KEY, &delivered);
    let read = python(
        "answer([[list(body), body['timestamp']] for body in map(json.loads, given)])",
        &delivered.iter().map(Delivered::body).collect(),
    );
    let keys = json!(["topic", "event", "id", "timestamp", "brand", "data"]);
    for read in read.as_array().unwrap() {
        assert_eq!(*read, json!([keys, 1_736_951_520.258_162]));
    }
}

#[tokio::test]
async fn the_key_is_the_text_of_64_hex_digits_and_not_the_bytes_they_mean() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver, "Contacts")).await;
    let delivered = brand.deliver(&receiver, "Contacts", r#"{"display_name":"Zoë"}"#).await;
    let signatures = python(
        "body = given['body'].encode()\n\
         answer([hmac.new(key, body, hashlib.sha256).hexdigest()\n\
                 for key in (given['key'].encode(), bytes.fromhex(given['key']))])",
        &json!({ "key": KEY, "body": delivered.body() }),
    );
    let signature = json!(delivered.header("x-rechat-signature"));
    assert_eq!(signatures[0], signature);
    assert_ne!(signatures[1], signature);
}

#[tokio::test]
async fn each_webhook_has_a_key_of_its_own() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let fields = json!({ "url": receiver.url("/hook").as_str(), "filterTypes": ["Deals"] });
    let mut keys = Vec::new();
    for _ in 0..3 {
        let id = brand.endpoint(fields.clone()).await;
        let key = brand.secret(&id).await;
        assert_eq!(key.len(), 64);
        assert!(key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{key}");
        let delivered = brand.deliver(&receiver, "Deals", "{}").await;
        assert_signed(&key, &[delivered]);
        assert!(!keys.contains(&key));
        keys.push(key);
        brand.delete(&id).await;
    }
}

#[tokio::test]
async fn a_new_key_replaces_the_old_one_at_once() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let id = brand.endpoint(fields(&receiver, "Deals")).await;
    brand.rotate(&id, None).await.expect(200);
    let key = brand.secret(&id).await;
    assert_ne!(key, KEY);
    let delivered = brand.deliver(&receiver, "Deals", "{}").await;
    assert_signed(&key, &[delivered]);
}

#[tokio::test]
async fn keys_in_another_form_are_refused() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let id = brand.endpoint(fields(&receiver, "Deals")).await;
    for (key, reason) in [
        (&KEY[..62], "32 to 32 bytes; it has 31"),
        (&KEY[..63], "written in hexadecimal digits"),
        ("your_webhook_secret", "written in hexadecimal digits"),
        ("", "32 to 32 bytes; it has 0"),
    ] {
        let said = refused(brand.register(with(&receiver, "secret", json!(key))).await, "secret");
        assert!(said.contains(reason), "{said}");
        let said = refused(brand.rotate(&id, Some(key)).await, "key");
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(brand.secret(&id).await, KEY);
}

#[tokio::test]
async fn the_id_is_the_publishers_or_the_messages_and_the_same_over_retries() {
    let server = server().await;
    let replies = vec![Reply::status(500), Reply::status(200)];
    let receiver = Receiver::start(Script::sequence(replies)).await;
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver, "Deals")).await;
    let named = brand.deliver_as(&receiver, ("Deals", "deal-17.changed"), "{}").await;
    assert_eq!(named.body(), expected_body("Deals", "deal-17.changed", "{}"));
    server.wait_for_attempts("rechat", BRAND, named.id(), 1).await;
    server.clock.advance(Duration::from_secs(10));
    let retry = receiver.wait_for(2).await[1].clone();
    assert_eq!(retry.body, named.request.body);
    assert_eq!(retry.header("x-rechat-signature"), named.request.header("x-rechat-signature"));
}

#[tokio::test]
async fn there_are_three_topics_and_each_arrives_with_its_example() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let catalog = brand.catalog().await;
    let names: Vec<&str> = catalog.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Contacts", "Deals", "Showings"]);
    let mut delivered = Vec::new();
    for event in &catalog {
        let name = event["name"].as_str().unwrap();
        assert_eq!(event["groupName"], name);
        brand.endpoint(fields(&receiver, name)).await;
        let example = event["example"].to_string();
        let one = brand.deliver(&receiver, name, &example).await;
        assert_eq!(one.body(), expected_body(name, one.id(), &example));
        delivered.push(one);
    }
    assert_signed(KEY, &delivered);
    assert_eq!(receiver.requests().len(), 3, "each topic has its webhook");
    for name in ["Tasks", "deals", "Deal"] {
        let said = refused(brand.ask_to_publish(name, "", "{}").await, "eventType");
        assert_eq!(said, format!("`{name}` is not in the catalog of event types"));
        let answer = brand.register(fields(&receiver, name)).await;
        let said = refused(answer, "filterTypes.0");
        assert_eq!(said, format!("`{name}` is not in the catalog of event types"));
    }
}

#[tokio::test]
async fn a_webhook_has_exactly_one_topic() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let wrong = [json!(null), json!(["Deals", "Contacts"]), json!(["Deals", "Deals"]), json!([])];
    let id = brand.endpoint(fields(&receiver, "Deals")).await;
    for topics in wrong {
        let answer = brand.register(with(&receiver, "filterTypes", topics.clone())).await;
        assert_eq!(refused(answer, "filterTypes"), "Exactly one event must be chosen.");
        let answer = brand.change(&id, json!({ "filterTypes": topics })).await;
        assert_eq!(refused(answer, "filterTypes"), "Exactly one event must be chosen.");
    }
    refused(brand.register(fields(&receiver, "*")).await, "filterTypes.0");
    let changed = brand.change(&id, json!({ "filterTypes": ["Contacts"] })).await.expect(200);
    assert_eq!(changed["filterTypes"], json!(["Contacts"]));
}

#[tokio::test]
async fn a_webhook_may_have_what_the_contract_offers_and_no_more() {
    let server =
        TestServer::start_with(&[], |config| configure(config, &[("live", "rechat")], false)).await;
    let receiver = receiver().await;
    let brand = Tenant::new(&server, "live", BRAND).await;
    // No name is asked for, and `http://` is not forbidden.
    let id = brand.endpoint(fields(&receiver, "Deals")).await;
    assert_eq!(brand.show(&id).await["method"], "POST");
    let answer = brand.register(with(&receiver, "method", json!("PUT"))).await;
    assert_eq!(refused(answer, "method"), "The method must be one of POST.");
    let auth = json!({ "type": "basic", "token": "t" });
    let answer = brand.register(with(&receiver, "auth", auth)).await;
    assert_eq!(refused(answer, "auth"), "The authentication must be one of none.");
    let answer = brand.register(with(&receiver, "headers", json!({ "X-Team": "7" }))).await;
    assert_eq!(refused(answer, "headers"), "Custom headers can't be set.");
    refused(brand.register(with(&receiver, "url", json!("wss://example.com/"))).await, "url");
}

#[tokio::test]
async fn queries_of_the_url_reach_the_receiver_unchanged() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let url = receiver.url("/hook/%2F?b=2&a=1&b=%20+x&flag").to_string();
    brand.endpoint(with(&receiver, "url", json!(url))).await;
    let delivered = brand.deliver(&receiver, "Deals", "{}").await;
    assert_eq!(delivered.request.target, "/hook/%2F?b=2&a=1&b=%20+x&flag");
    assert_signed(KEY, &[delivered]);
}
