//! The `standard` contract: Standard Webhooks 1.0.0, the payload byte for byte, verified by
//! that project's own library.

mod support;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use support::environments::configure;
use support::payloads;
use support::programs::python;
use support::receiver::{Receiver, Reply, Script};
use support::server::{START, TestServer};
use support::tenant::{Delivered, Tenant, refused};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DAY: Duration = Duration::from_secs(86_400);

async fn server() -> TestServer {
    TestServer::start(&["standard"]).await
}

async fn receiver() -> Receiver {
    Receiver::start(Reply::status(204)).await
}

async fn tenant(server: &TestServer) -> Tenant<'_> {
    Tenant::new(server, "standard", "acme").await
}

/// The signature that the official library makes for what arrived.
fn expected_signature(secret: &str, delivered: &Delivered) -> String {
    let timestamp = delivered.header("webhook-timestamp").parse().unwrap();
    let webhook = Webhook::new(secret).unwrap();
    webhook.sign(delivered.header("webhook-id"), timestamp, &delivered.request.body).unwrap()
}

fn header_map(delivered: &Delivered) -> HeaderMap {
    let pairs = delivered.request.headers.iter();
    pairs
        .map(|(name, value)| {
            (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn secret_of(bytes: usize) -> String {
    let text = python(
        "import base64; answer('whsec_' + base64.b64encode(bytes(range(1, given + 1))).decode())",
        &json!(bytes),
    );
    text.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_payload_arrives_byte_for_byte_and_signed() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    let url = receiver.url("/hook");
    acme.endpoint(json!({ "url": url.as_str(), "secret": SECRET })).await;
    for payload in payloads::all() {
        let delivered = acme.deliver(&receiver, "invoice.paid", &payload).await;
        assert_eq!(delivered.body(), payload);
        assert_eq!(delivered.header("webhook-signature"), expected_signature(SECRET, &delivered));
        assert_eq!(
            delivered.header("content-length"),
            delivered.request.body.len().to_string(),
            "no chunks"
        );
    }
    let large = format!(r#"{{"text":"{}"}}"#, "é~".repeat(100_000));
    let delivered = acme.deliver(&receiver, "invoice.paid", &large).await;
    assert_eq!(delivered.body(), large);
    assert_eq!(delivered.header("webhook-signature"), expected_signature(SECRET, &delivered));
}

#[tokio::test]
async fn the_request_has_these_headers_and_no_others() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    let url = receiver.url("/hook");
    acme.endpoint(json!({ "url": url.as_str(), "secret": SECRET })).await;
    let delivered = acme.deliver(&receiver, "invoice.paid", r#"{"test": 2432232314}"#).await;
    assert_eq!(
        delivered.header_names(),
        [
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "webhook-id",
            "webhook-signature",
            "webhook-timestamp"
        ]
    );
    assert_eq!(delivered.request.method, "POST");
    assert_eq!(delivered.request.target, "/hook");
    assert_eq!(delivered.header("content-type"), "application/json");
    assert_eq!(delivered.header("host"), format!("127.0.0.1:{}", receiver.port()));
    assert_eq!(delivered.header("webhook-timestamp"), START.as_seconds().to_string());
    assert_eq!(delivered.header("webhook-id"), delivered.id());
    // The same by hand, as the specification words it.
    let content = format!(
        "{}.{}.{}",
        delivered.header("webhook-id"),
        delivered.header("webhook-timestamp"),
        delivered.body()
    );
    let by_hand = python(
        "import base64\n\
         key = base64.b64decode(given['secret'].removeprefix('whsec_'))\n\
         code = hmac.new(key, given['content'].encode(), hashlib.sha256).digest()\n\
         answer('v1,' + base64.b64encode(code).decode())",
        &json!({ "secret": SECRET, "content": content }),
    );
    assert_eq!(json!(delivered.header("webhook-signature")), by_hand);
}

#[tokio::test]
async fn the_official_library_accepts_what_is_fresh() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    let id = acme.endpoint(json!({ "url": receiver.url("/hook").as_str() })).await;
    let secret = acme.secret(&id).await;
    // The library compares with the clock on the wall.
    let now = hookwright::clock::Clock::system().now();
    server.clock.advance(now.since(START));
    let delivered = acme.deliver(&receiver, "invoice.paid", r#"{"n": 1.10}"#).await;
    let headers = header_map(&delivered);
    let webhook = Webhook::new(&secret).unwrap();
    webhook.verify(&delivered.request.body, &headers).unwrap();
    assert!(webhook.verify(br#"{"n": 1.1}"#, &headers).is_err());
    assert!(Webhook::new(SECRET).unwrap().verify(&delivered.request.body, &headers).is_err());
    let mut replayed = headers.clone();
    replayed.insert("webhook-id", HeaderValue::from_static("msg_another"));
    assert!(webhook.verify(&delivered.request.body, &replayed).is_err());
}

#[tokio::test]
async fn the_message_is_known_by_its_own_id_whatever_the_publisher_calls_the_event() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    acme.endpoint(json!({ "url": receiver.url("/hook").as_str() })).await;
    let plain = acme.deliver(&receiver, "invoice.paid", "{}").await;
    assert!(plain.id().starts_with("msg_") && !plain.id().contains('.'));
    assert_eq!(plain.message["eventId"], Value::Null);
    // Event ids may hold dots, which would make the signed content ambiguous.
    let named = acme.deliver_as(&receiver, ("invoice.paid", "inv.1.paid"), "{}").await;
    assert_eq!(named.message["eventId"], "inv.1.paid");
    assert_eq!(named.header("webhook-id"), named.id());
    assert!(!named.request.head.contains("inv.1.paid"));
    assert_ne!(named.id(), plain.id());
}

#[tokio::test]
async fn a_retry_keeps_its_id_and_renews_its_timestamp() {
    let server = server().await;
    let replies = vec![Reply::status(500), Reply::status(503), Reply::status(200)];
    let receiver = Receiver::start(Script::sequence(replies)).await;
    let acme = tenant(&server).await;
    acme.endpoint(json!({ "url": receiver.url("/hook").as_str(), "secret": SECRET })).await;
    let first = acme.deliver(&receiver, "invoice.paid", r#"{"a": 1}"#).await;
    for (count, wait) in [(1, 10), (2, 400)] {
        server.wait_for_attempts("standard", "acme", first.id(), count).await;
        server.clock.advance(Duration::from_secs(wait));
        receiver.wait_for(count + 1).await;
    }
    let mut times = Vec::new();
    for request in receiver.requests() {
        let attempt = Delivered { message: first.message.clone(), request };
        assert_eq!(attempt.header("webhook-id"), first.id());
        assert_eq!(attempt.body(), r#"{"a": 1}"#);
        assert_eq!(attempt.header("webhook-signature"), expected_signature(SECRET, &attempt));
        times.push(attempt.header("webhook-timestamp").parse::<i64>().unwrap());
    }
    let start = START.as_seconds();
    assert_eq!(times, [start, start + 10, start + 410]);
}

#[tokio::test]
async fn any_2xx_acknowledges_and_nothing_else_does() {
    let server = server().await;
    let statuses = [200, 201, 202, 204, 226, 299, 300, 304, 400, 404, 429, 500];
    let replies = statuses.map(Reply::status).to_vec();
    let receiver = Receiver::start(Script::sequence(replies)).await;
    let acme = tenant(&server).await;
    acme.endpoint(json!({ "url": receiver.url("/hook").as_str() })).await;
    for status in statuses {
        let delivered = acme.deliver(&receiver, "a", "{}").await;
        let attempts = server.wait_for_attempts("standard", "acme", delivered.id(), 1).await;
        assert_eq!(attempts[0]["responseStatusCode"], status);
        let word = if status < 300 { "success" } else { "fail" };
        assert_eq!(attempts[0]["statusText"], word, "{status}");
    }
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    let id =
        acme.endpoint(json!({ "url": receiver.url("/hook").as_str(), "secret": SECRET })).await;
    acme.rotate(&id, None).await.expect(200);
    let new = acme.secret(&id).await;
    assert_ne!(new, SECRET);

    let both = acme.deliver(&receiver, "a", "{}").await;
    let (by_new, by_old) = (expected_signature(&new, &both), expected_signature(SECRET, &both));
    assert_eq!(both.header("webhook-signature"), format!("{by_new} {by_old}"));

    server.clock.advance(DAY - Duration::from_millis(1));
    let last = acme.deliver(&receiver, "a", "{}").await;
    assert!(last.header("webhook-signature").ends_with(&expected_signature(SECRET, &last)));
    assert!(last.header("webhook-signature").contains(' '));

    server.clock.advance(Duration::from_millis(1));
    let only = acme.deliver(&receiver, "a", "{}").await;
    assert_eq!(only.header("webhook-signature"), expected_signature(&new, &only));
}

#[tokio::test]
async fn each_replaced_secret_has_its_own_day() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    let id =
        acme.endpoint(json!({ "url": receiver.url("/hook").as_str(), "secret": SECRET })).await;
    let (second, third) = (secret_of(24), secret_of(64));
    acme.rotate(&id, Some(&second)).await.expect(200);
    server.clock.advance(DAY / 2);
    acme.rotate(&id, Some(&third)).await.expect(200);
    assert_eq!(acme.secret(&id).await, third);

    let all = acme.deliver(&receiver, "a", "{}").await;
    let expected = [&*third, &*second, SECRET].map(|secret| expected_signature(secret, &all));
    assert_eq!(all.header("webhook-signature"), expected.join(" "));
    server.clock.advance(DAY / 2);
    let two = acme.deliver(&receiver, "a", "{}").await;
    let expected = [&*third, &*second].map(|secret| expected_signature(secret, &two));
    assert_eq!(two.header("webhook-signature"), expected.join(" "));
    server.clock.advance(DAY / 2);
    let one = acme.deliver(&receiver, "a", "{}").await;
    assert_eq!(one.header("webhook-signature"), expected_signature(&third, &one));
}

#[tokio::test]
async fn a_retry_is_signed_by_the_secrets_of_its_own_time() {
    let server = server().await;
    let receiver =
        Receiver::start(Script::sequence(vec![Reply::status(500), Reply::status(200)])).await;
    let acme = tenant(&server).await;
    let id =
        acme.endpoint(json!({ "url": receiver.url("/hook").as_str(), "secret": SECRET })).await;
    let first = acme.deliver(&receiver, "a", "{}").await;
    server.wait_for_attempts("standard", "acme", first.id(), 1).await;
    let new = secret_of(32);
    acme.rotate(&id, Some(&new)).await.expect(200);
    server.clock.advance(Duration::from_secs(10));
    let request = receiver.wait_for(2).await[1].clone();
    let retry = Delivered { message: first.message.clone(), request };
    let expected = [&*new, SECRET].map(|secret| expected_signature(secret, &retry));
    assert_eq!(retry.header("webhook-signature"), expected.join(" "));
}

#[tokio::test]
async fn secrets_are_generated_or_given_in_the_documented_form() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    let url = receiver.url("/hook");
    let one = acme.endpoint(json!({ "url": url.as_str() })).await;
    let two = acme.endpoint(json!({ "url": url.as_str() })).await;
    let (one, two) = (acme.secret(&one).await, acme.secret(&two).await);
    assert_ne!(one, two);
    let lengths = python(
        "import base64\n\
         answer([len(base64.b64decode(one.removeprefix('whsec_'), validate=True)) for one in given])",
        &json!([one, two]),
    );
    assert_eq!(lengths, json!([24, 24]));
    assert!(one.starts_with("whsec_"));

    for bytes in [24, 25, 63, 64] {
        let given = secret_of(bytes);
        let id = acme.endpoint(json!({ "url": url.as_str(), "secret": given })).await;
        assert_eq!(acme.secret(&id).await, given);
    }
    let wrong = [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(), "must start with \"whsec_\""),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(), "must start with \"whsec_\""),
        ("whsec_".to_owned(), "24 to 64 bytes; it has 0"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_".to_owned(), "written in base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS".to_owned(), "written in base64"),
        (secret_of(23), "24 to 64 bytes; it has 23"),
        (secret_of(65), "24 to 64 bytes; it has 65"),
        (String::new(), "must start with \"whsec_\""),
    ];
    let id = acme.endpoint(json!({ "url": url.as_str(), "secret": SECRET })).await;
    for (secret, reason) in wrong {
        let answer = acme.register(json!({ "url": url.as_str(), "secret": secret })).await;
        assert!(secret.len() < 8 || !answer.text.contains(&secret), "{}", answer.text);
        let said = refused(answer, "secret");
        assert!(said.contains(reason), "{said}");
        let said = refused(acme.rotate(&id, Some(&secret)).await, "key");
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(acme.secret(&id).await, SECRET, "a refused rotation changes nothing");
    let said = refused(acme.change(&id, json!({ "secret": secret_of(24) })).await, "secret");
    assert!(said.contains("Rotate"), "{said}");
}

#[tokio::test]
async fn custom_headers_travel_beside_those_of_the_contract() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    let url = receiver.url("/hook");
    let headers = json!({ "X-Team": "büro 7, \"north\"", "Authorization": "Bearer abc" });
    acme.endpoint(json!({ "url": url.as_str(), "headers": headers })).await;
    let delivered = acme.deliver(&receiver, "a", "{}").await;
    assert_eq!(delivered.header("x-team"), "büro 7, \"north\"");
    assert_eq!(delivered.header("authorization"), "Bearer abc");
    for name in ["Webhook-Id", "webhook-timestamp", "WEBHOOK-SIGNATURE", "Content-Type", "Host"] {
        let mut headers = serde_json::Map::new();
        headers.insert(name.to_owned(), json!("mine"));
        let answer = acme.register(json!({ "url": url.as_str(), "headers": headers })).await;
        assert_eq!(refused(answer, "headers"), format!("The header \"{name}\" can't be set."));
    }
}

#[tokio::test]
async fn an_endpoint_may_have_what_the_contract_offers_and_no_more() {
    let server =
        TestServer::start_with(&[], |config| configure(config, &[("live", "standard")], false))
            .await;
    let receiver = receiver().await;
    let acme = Tenant::new(&server, "live", "acme").await;
    let url = receiver.url("/hook");
    // Neither https, nor a name, nor events are asked for.
    let id = acme.endpoint(json!({ "url": url.as_str() })).await;
    let shown = acme.show(&id).await;
    assert_eq!((&shown["method"], &shown["auth"]["type"]), (&json!("POST"), &json!("none")));
    assert_eq!(shown["filterTypes"], Value::Null);
    acme.endpoint(json!({ "url": url.as_str(), "name": "" })).await;

    let with = |field: &str, value: Value| json!({ "url": url.as_str(), field: value });
    let said = refused(acme.register(with("method", json!("PUT"))).await, "method");
    assert_eq!(said, "The method must be one of POST.");
    let basic = json!({ "type": "basic", "token": "t" });
    let said = refused(acme.register(with("auth", basic)).await, "auth");
    assert_eq!(said, "The authentication must be one of none.");
    let said = refused(acme.register(with("filterTypes", json!(["*"]))).await, "filterTypes.0");
    assert!(said.contains("`*`"), "{said}");
    refused(acme.register(with("filterTypes", json!([]))).await, "filterTypes");
}

#[tokio::test]
async fn event_types_need_not_be_declared_and_are_filtered_by_name() {
    let (server, receiver, other) = (server().await, receiver().await, receiver().await);
    let acme = tenant(&server).await;
    assert!(acme.catalog().await.is_empty());
    let filter = json!(["user.created", "user.deleted"]);
    acme.endpoint(json!({ "url": receiver.url("/some").as_str(), "filterTypes": filter })).await;
    acme.endpoint(json!({ "url": other.url("/all").as_str() })).await;
    for (event, endpoints) in
        [("user.created", 2), ("user.create", 1), ("USER.CREATED", 1), ("user.deleted", 2)]
    {
        let delivered = acme.deliver(&other, event, "{}").await;
        let deliveries = server.deliveries("standard", "acme", delivered.id()).await;
        assert_eq!(deliveries.len(), endpoints, "{event}");
    }
    receiver.wait_for(2).await;
    for name in ["", "a b", "a/b", "é"] {
        refused(acme.ask_to_publish(name, "", "{}").await, "eventType");
    }
}

#[tokio::test]
async fn an_archived_event_type_can_no_longer_be_published() {
    let server = server().await;
    let acme = tenant(&server).await;
    let fields = json!({ "name": "user.created", "description": "A user.", "archived": true });
    server.call("standard", "POST", "/api/v1/event-type", fields).await.expect(201);
    let said = refused(acme.ask_to_publish("user.created", "", "{}").await, "eventType");
    assert!(said.contains("`user.created`"), "{said}");
}

#[tokio::test]
async fn urls_are_called_as_they_were_given() {
    let (server, receiver) = (server().await, receiver().await);
    let acme = tenant(&server).await;
    for (given, target) in [
        ("/hook?b=2&a=1&b=%20+x&a=&flag", "/hook?b=2&a=1&b=%20+x&a=&flag"),
        ("/h%6Fok/%2F%7e?q=%C3%A9%26", "/h%6Fok/%2F%7e?q=%C3%A9%26"),
        ("/hôok/ü?ä=ö", "/h%C3%B4ok/%C3%BC?%C3%A4=%C3%B6"),
        ("/hook?", "/hook?"),
        ("/a/../b/./c", "/b/c"),
        ("", "/"),
    ] {
        let url = format!("http://127.0.0.1:{}{given}", receiver.port());
        let id = acme.endpoint(json!({ "url": url, "secret": SECRET })).await;
        let delivered = acme.deliver(&receiver, "a", r#"{"a":1}"#).await;
        assert_eq!(delivered.request.target, target);
        assert_eq!(delivered.header("webhook-signature"), expected_signature(SECRET, &delivered));
        assert_eq!(acme.show(&id).await["url"], url);
        acme.delete(&id).await;
    }
}
