//! KynectLocal: webhooks in the style of its API reference.

use serde_json::{Value, json};

use crate::support::customer::Customer;
use crate::support::programs::hmac_sha256_hex;
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;
use crate::text;

async fn server() -> TestServer {
    TestServer::start(&["kynectlocal"]).await
}

async fn brand(server: &TestServer) -> Customer<'_> {
    Customer::new(server, "kynectlocal", "brand_abc123", ("x-api-key", "")).await
}

fn lead(url: &str) -> Value {
    json!({ "url": url, "secret": "a secret of ours", "events": ["lead.created"] })
}

fn shown(id: &str, url: &str, events: &str, status: &str) -> String {
    format!(
        r#"{{"id":"{id}","url":"{url}","events":{events},"status":"{status}","created_at":"2025-01-15T14:32:00Z","updated_at":"2025-01-15T14:32:00Z"}}"#
    )
}

#[tokio::test]
async fn keys_have_their_form_and_travel_in_their_header() {
    let server = server().await;
    let brand = brand(&server).await;
    let random = brand.key.strip_prefix("kl_live_").unwrap();
    assert!(
        random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{random}"
    );
    brand.call("GET", "/v1/webhooks", Value::Null).await.expect(200);
    let bearer = format!("Bearer {}", brand.key);
    let refused = server.send("GET", "/v1/webhooks", &[("authorization", &bearer)], "").await;
    assert_eq!(refused.text, r#"{"error":"unauthorized","status":401}"#);
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_webhook_is_registered_shown_changed_and_deleted() {
    let server = server().await;
    let brand = brand(&server).await;
    let made = brand.call("POST", "/v1/webhooks", lead("https://example.com/a")).await;
    assert_eq!(made.status, 201);
    let id = made.json["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("webhook_"), "{id}");
    let expected = shown(&id, "https://example.com/a", r#"["lead.created"]"#, "enabled");
    assert_eq!(made.text, expected, "the secret never comes back");
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(brand.call("GET", &path, Value::Null).await.text, expected);
    let listed = brand.call("GET", "/v1/webhooks", Value::Null).await.text;
    assert_eq!(listed, format!(r#"{{"webhooks":[{expected}]}}"#));
    let events =
        brand.call("PATCH", &path, json!({ "events": ["user.invited", "content.updated"] })).await;
    let expected =
        shown(&id, "https://example.com/a", r#"["user.invited","content.updated"]"#, "enabled");
    assert_eq!(events.text, expected);
    let off = brand.call("PATCH", &path, json!({ "status": "disabled" })).await.expect(200);
    assert_eq!(off["status"], "disabled");
    let wrong = brand.call("PATCH", &path, json!({ "status": "asleep" })).await;
    assert_eq!(
        (wrong.status, wrong.text.as_str()),
        (400, r#"{"error":"bad_request","status":400}"#)
    );
    let deleted = brand.call("DELETE", &path, Value::Null).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    let gone = brand.call("GET", &path, Value::Null).await;
    assert_eq!((gone.status, gone.text.as_str()), (404, r#"{"error":"not_found","status":404}"#));
}

#[tokio::test]
async fn without_events_it_takes_all_of_them() {
    let server = server().await;
    let brand = brand(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let webhook = json!({ "url": receiver.url("/").as_str(), "secret": "s" });
    assert_eq!(
        brand.call("POST", "/v1/webhooks", webhook).await.expect(201)["events"],
        Value::Null
    );
    server.publish("kynectlocal", "brand_abc123", "governance.blocked", "{}").await;
    assert!(text(&receiver.wait_for(1).await[0]).contains("governance.blocked"));
}

#[tokio::test]
async fn the_customers_secret_signs_and_can_be_changed() {
    let server = server().await;
    let brand = brand(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let made =
        brand.call("POST", "/v1/webhooks", lead(receiver.url("/").as_str())).await.expect(201);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    for (index, secret) in ["a secret of ours", "another one"].into_iter().enumerate() {
        if index == 1 {
            brand.call("PATCH", &path, json!({ "secret": secret })).await.expect(200);
        }
        server.publish("kynectlocal", "brand_abc123", "lead.created", r#"{"lead_id":"l"}"#).await;
        let request = receiver.wait_for(index + 1).await[index].clone();
        let expected = hmac_sha256_hex(secret, [request.body.as_slice()]).remove(0);
        assert_eq!(request.header("x-kynectlocal-signature").unwrap(), expected);
    }
}

#[tokio::test]
async fn events_can_be_polled_without_a_gap() {
    let server = server().await;
    let brand = brand(&server).await;
    let empty = brand.call("GET", "/v1/events", Value::Null).await.expect(200);
    assert_eq!((&empty["events"], &empty["has_more"]), (&json!([]), &json!(false)));
    let mut cursor = empty["cursor"].as_str().unwrap().to_owned();
    for (event, score) in
        [("lead.created", "1.10"), ("content.updated", "2"), ("lead.created", "3")]
    {
        let payload = format!(r#"{{"score": {score}}}"#);
        server.publish("kynectlocal", "brand_abc123", event, &payload).await;
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let path = format!("/v1/events?limit=1&after={cursor}");
        let page = brand.call("GET", &path, Value::Null).await;
        assert!(
            page.text.contains(r#""brand_id":"brand_abc123","data":{"score":"#),
            "{}",
            page.text
        );
        let page = page.expect(200);
        let event = &page["events"][0];
        assert_eq!(event["timestamp"], "2025-01-15T14:32:00Z");
        assert!(event["id"].as_str().unwrap().starts_with("msg_"));
        seen.push(format!("{} {}", event["event"].as_str().unwrap(), event["data"]["score"]));
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
    assert_eq!(seen, ["lead.created 1.1", "content.updated 2", "lead.created 3"]);
    let leads = brand.call("GET", "/v1/events?types=lead.created", Value::Null).await;
    assert!(
        leads.text.contains(r#""data":{"score":1.10}"#),
        "numbers as published: {}",
        leads.text
    );
    assert_eq!(leads.expect(200)["events"].as_array().unwrap().len(), 2);
    for refused in ["after=nonsense", "limit=0", "wait=61", "types=lead.lost"] {
        let answer = brand.call("GET", &format!("/v1/events?{refused}"), Value::Null).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (400, r#"{"error":"bad_request","status":400}"#)
        );
    }
}

#[tokio::test]
async fn a_poll_waits_for_the_next_event() {
    let server = server().await;
    let brand = brand(&server).await;
    let waiting = brand.call("GET", "/v1/events?wait=60", Value::Null);
    let publishing = async {
        tokio::task::yield_now().await;
        server.publish("kynectlocal", "brand_abc123", "user.invited", "{}").await;
    };
    let (answer, ()) = tokio::join!(waiting, publishing);
    assert_eq!(answer.expect(200)["events"][0]["event"], "user.invited");
}
