//! KynectLocal's webhooks, as its documentation describes them: four keys in a fixed order,
//! signed with a secret that the customer chose.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use support::environments::configure;
use support::payloads;
use support::programs::{hmac_sha256_hex, python};
use support::receiver::{Receiver, Reply, Script};
use support::server::TestServer;
use support::tenant::{Delivered, Tenant, refused};

const SECRET: &str = "a secret of the customer's: ключ & \"quotes\"";

async fn server() -> TestServer {
    TestServer::start(&["kynectlocal"]).await
}

async fn receiver() -> Receiver {
    Receiver::start(Reply::status(200)).await
}

async fn brand(server: &TestServer) -> Tenant<'_> {
    Tenant::new(server, "kynectlocal", "brand_abc123").await
}

fn fields(receiver: &Receiver) -> Value {
    json!({ "url": receiver.url("/hook").as_str(), "secret": SECRET })
}

fn with(receiver: &Receiver, field: &str, value: Value) -> Value {
    let mut fields = fields(receiver);
    fields[field] = value;
    fields
}

/// Whether all are signed over the bytes that came, with this secret.
fn assert_signed(secret: &str, delivered: &[Delivered]) {
    let bodies = delivered.iter().map(|one| one.request.body.as_slice());
    let expected = hmac_sha256_hex(secret, bodies);
    for (one, expected) in delivered.iter().zip(expected) {
        assert_eq!(one.header("X-KynectLocal-Signature"), expected, "{}", one.body());
    }
}

#[tokio::test]
async fn the_documented_example() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver)).await;
    let data = r#"{"lead_id":"lead_xyz789","location_id":"loc_def456","form":"Contact Us","source":"organic"}"#;
    let delivered = brand.deliver(&receiver, "lead.created", data).await;
    assert_eq!(
        delivered.body(),
        r#"{"event":"lead.created","timestamp":"2025-01-15T14:32:00Z","brand_id":"brand_abc123","data":{"lead_id":"lead_xyz789","location_id":"loc_def456","form":"Contact Us","source":"organic"}}"#
    );
    assert_eq!(delivered.request.method, "POST");
    assert_eq!(delivered.request.target, "/hook");
    assert_eq!(delivered.header("content-type"), "application/json");
    assert_eq!(
        delivered.header_names(),
        ["content-length", "content-type", "host", "user-agent", "x-kynectlocal-signature"]
    );
    assert_signed(SECRET, &[delivered]);
}

#[tokio::test]
async fn the_signature_is_lower_case_hex_without_a_prefix() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver)).await;
    let mut delivered = Vec::new();
    for n in 0..10 {
        let one = brand.deliver(&receiver, "lead.created", &n.to_string()).await;
        let signature = one.header("x-kynectlocal-signature");
        assert_eq!(signature.len(), 64);
        assert!(signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        delivered.push(one);
    }
    assert_signed(SECRET, &delivered);
}

#[tokio::test]
async fn the_payload_stays_as_it_was_published() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver)).await;
    let mut delivered = Vec::new();
    for payload in payloads::all() {
        let one = brand.deliver(&receiver, "content.updated", &payload).await;
        let expected = format!(
            r#"{{"event":"content.updated","timestamp":"2025-01-15T14:32:00Z","brand_id":"brand_abc123","data":{payload}}}"#
        );
        assert_eq!(one.body(), expected);
        delivered.push(one);
    }
    assert_signed(SECRET, &delivered);
    let keys = python(
        "answer([list(json.loads(one)) for one in given])",
        &delivered.iter().map(Delivered::body).collect(),
    );
    for keys in keys.as_array().unwrap() {
        assert_eq!(*keys, json!(["event", "timestamp", "brand_id", "data"]));
    }
}

#[tokio::test]
async fn the_time_is_the_events_own_in_whole_seconds() {
    let server = server().await;
    let receiver =
        Receiver::start(Script::sequence(vec![Reply::status(500), Reply::status(200)])).await;
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver)).await;
    // 14:32:00.258162 becomes 14:32:03.999162.
    server.clock.advance(Duration::from_millis(3_741));
    let first = brand.deliver(&receiver, "user.invited", "{}").await;
    assert_eq!(
        first.body(),
        r#"{"event":"user.invited","timestamp":"2025-01-15T14:32:03Z","brand_id":"brand_abc123","data":{}}"#
    );
    server.wait_for_attempts("kynectlocal", "brand_abc123", first.id(), 1).await;
    server.clock.advance(Duration::from_secs(60));
    let retry = receiver.wait_for(2).await[1].clone();
    // A retry repeats the request: same time, same signature.
    assert_eq!(retry.body, first.request.body);
    assert_eq!(
        retry.header("x-kynectlocal-signature"),
        first.request.header("x-kynectlocal-signature")
    );
}

#[tokio::test]
async fn every_event_of_the_catalog_arrives() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver)).await;
    let catalog = brand.catalog().await;
    let listed: BTreeSet<(&str, &str)> = catalog
        .iter()
        .map(|one| (one["groupName"].as_str().unwrap(), one["name"].as_str().unwrap()))
        .collect();
    let documented = [
        ("Content", "content.updated"),
        ("Governance", "governance.blocked"),
        ("Leads", "lead.created"),
        ("Locations", "location.updated"),
        ("Users", "user.invited"),
        ("Users", "user.role_changed"),
    ];
    assert_eq!(listed, BTreeSet::from(documented));
    let mut delivered = Vec::new();
    for event in &catalog {
        let name = event["name"].as_str().unwrap();
        let example = event["example"].to_string();
        let one = brand.deliver(&receiver, name, &example).await;
        let expected = format!(
            r#"{{"event":"{name}","timestamp":"2025-01-15T14:32:00Z","brand_id":"brand_abc123","data":{example}}}"#
        );
        assert_eq!(one.body(), expected);
        delivered.push(one);
    }
    assert_signed(SECRET, &delivered);
}

#[tokio::test]
async fn events_beyond_the_catalog_are_refused() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    for name in ["lead.updated", "Lead.created", "lead.created.", "Leads"] {
        let said = refused(brand.ask_to_publish(name, "", "{}").await, "eventType");
        assert_eq!(said, format!("`{name}` is not in the catalog of event types"));
        let filter = json!(["lead.created", name]);
        let answer = brand.register(with(&receiver, "filterTypes", filter)).await;
        let said = refused(answer, "filterTypes.1");
        assert_eq!(said, format!("`{name}` is not in the catalog of event types"));
    }
}

#[tokio::test]
async fn an_endpoint_gets_the_events_that_it_chose() {
    let (server, receiver, all) = (server().await, receiver().await, receiver().await);
    let brand = brand(&server).await;
    let filter = json!(["user.invited", "user.role_changed"]);
    brand.endpoint(with(&receiver, "filterTypes", filter)).await;
    brand.endpoint(fields(&all)).await;
    for (event, endpoints) in [("lead.created", 1), ("user.invited", 2), ("user.role_changed", 2)] {
        let delivered = brand.deliver(&all, event, "{}").await;
        let deliveries = server.deliveries("kynectlocal", "brand_abc123", delivered.id()).await;
        assert_eq!(deliveries.len(), endpoints, "{event}");
    }
}

#[tokio::test]
async fn the_brand_is_known_by_its_own_id() {
    let (server, receiver) = (server().await, receiver().await);
    let input = json!({ "name": "A brand without an id of its own" });
    let made = server.call("kynectlocal", "POST", "/api/v1/app", input).await.expect(201);
    let id = made["id"].as_str().unwrap();
    server.endpoint("kynectlocal", id, fields(&receiver)).await;
    server.publish("kynectlocal", id, "lead.created", "{}").await;
    let request = receiver.wait_for(1).await[0].clone();
    let expected = format!(
        r#"{{"event":"lead.created","timestamp":"2025-01-15T14:32:00Z","brand_id":"{id}","data":{{}}}}"#
    );
    assert_eq!(String::from_utf8(request.body).unwrap(), expected);
}

#[tokio::test]
async fn the_publishers_event_id_stays_with_the_message() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    brand.endpoint(fields(&receiver)).await;
    let delivered = brand.deliver_as(&receiver, ("lead.created", "lead_xyz789"), "{}").await;
    assert_eq!(delivered.message["eventId"], "lead_xyz789");
    let whole = format!("{}{}", delivered.request.head, delivered.body());
    assert!(!whole.contains("lead_xyz789") && !whole.contains(delivered.id()), "{whole}");
}

#[tokio::test]
async fn the_customer_has_to_set_a_secret_and_may_choose_any_text() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let said =
        refused(brand.register(json!({ "url": receiver.url("/").as_str() })).await, "secret");
    assert_eq!(said, "A secret is required");
    let long = "é".repeat(256);
    for secret in ["x", "whsec_abc", "0123abcd", " spaces around ", "日本語 😀", &long] {
        let id = brand.endpoint(with(&receiver, "secret", json!(secret))).await;
        let delivered = brand.deliver(&receiver, "lead.created", r#"{"ü":1.10}"#).await;
        assert_signed(secret, &[delivered]);
        brand.delete(&id).await;
    }
    let too_long = "é".repeat(257);
    for (secret, reason) in [
        ("", "must have 1 to 256 characters; it has 0"),
        (&too_long, "must have 1 to 256 characters; it has 257"),
        ("line\nbreak", "must not contain control characters"),
        ("nul\u{0}", "must not contain control characters"),
    ] {
        let answer = brand.register(with(&receiver, "secret", json!(secret))).await;
        let said = refused(answer, "secret");
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn the_secret_is_never_shown_and_a_new_one_takes_over_at_once() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let id = brand.endpoint(fields(&receiver)).await;
    assert_eq!(brand.reveal(&id).await.expect(403)["code"], "forbidden");
    assert!(!brand.show(&id).await.to_string().contains("ключ"));
    let said = refused(brand.rotate(&id, None).await, "key");
    assert_eq!(said, "A secret is required");
    let before = brand.deliver(&receiver, "lead.created", "{}").await;
    assert_signed(SECRET, &[before]);
    brand.rotate(&id, Some("the next one")).await.expect(204);
    let after = brand.deliver(&receiver, "lead.created", "{}").await;
    assert_signed("the next one", &[after]);
}

#[tokio::test]
async fn an_endpoint_may_have_what_the_contract_offers_and_no_more() {
    let server = TestServer::start_with(&[], |config| {
        configure(config, &[("live", "kynectlocal")], false);
    })
    .await;
    let receiver = receiver().await;
    let brand = Tenant::new(&server, "live", "brand_abc123").await;
    // The page asks for no https, no name and no choice of events.
    let id = brand.endpoint(fields(&receiver)).await;
    assert_eq!(brand.show(&id).await["method"], "POST");
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let answer = brand.register(with(&receiver, "method", json!(method))).await;
        assert_eq!(refused(answer, "method"), "The method must be one of POST.");
    }
    let auth = json!({ "type": "header", "name": "X-API-Key", "value": "v" });
    let answer = brand.register(with(&receiver, "auth", auth)).await;
    assert_eq!(refused(answer, "auth"), "The authentication must be one of none.");
    let answer = brand.register(with(&receiver, "headers", json!({ "X-Team": "7" }))).await;
    assert_eq!(refused(answer, "headers"), "Custom headers can't be set.");
    refused(brand.register(with(&receiver, "filterTypes", json!(["*"]))).await, "filterTypes.0");
    for url in ["ftp://example.com/", "not a url", "https://u:p@example.com/", "https://e.com/#f"] {
        refused(brand.register(with(&receiver, "url", json!(url))).await, "url");
    }
}

#[tokio::test]
async fn queries_of_the_url_reach_the_receiver_unchanged() {
    let (server, receiver) = (server().await, receiver().await);
    let brand = brand(&server).await;
    let url = receiver.url("/h%6Fok?token=a%2Bb+c&x=2&x=1&é=%26").to_string();
    brand.endpoint(with(&receiver, "url", json!(url))).await;
    let delivered = brand.deliver(&receiver, "lead.created", "{}").await;
    assert_eq!(delivered.request.target, "/h%6Fok?token=a%2Bb+c&x=2&x=1&%C3%A9=%26");
    assert_eq!(delivered.header("host"), format!("127.0.0.1:{}", receiver.port()));
    assert_signed(SECRET, &[delivered]);
}
