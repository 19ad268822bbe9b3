//! Tomba: "Webhook Configuration", as an API.

use serde_json::{Value, json};

use crate::support::customer::Customer;
use crate::support::programs::HttpProgram;
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

async fn server() -> TestServer {
    TestServer::start(&["tomba"]).await
}

async fn account(server: &TestServer) -> Customer<'_> {
    Customer::new(server, "tomba", "account_1", ("x-tomba-key", "")).await
}

#[tokio::test]
async fn a_webhook_has_what_the_page_lists() {
    let server = server().await;
    let account = account(&server).await;
    let input = json!({
        "name": "Lead Tracking Webhook",
        "url": "https://your-service.com/webhooks/leads",
        "method": "PUT",
        "headers": { "Authorization": "Bearer t0ken", "X-Source": "tomba" },
        "status": "enabled",
    });
    let made = account.call("POST", "/v1/webhooks", input).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json["data"]["id"].as_str().unwrap();
    let expected = format!(
        r#"{{"data":{{"id":"{id}","name":"Lead Tracking Webhook","url":"https://your-service.com/webhooks/leads","method":"PUT","headers":{{"Authorization":null,"X-Source":"tomba"}},"events":["save_lead"],"status":"enabled","created_at":"2025-01-15T14:32:00Z","updated_at":"2025-01-15T14:32:00Z"}}}}"#
    );
    assert_eq!(made.text, expected);
    let shown = account.call("GET", &format!("/v1/webhooks/{id}"), Value::Null).await;
    assert_eq!(shown.text, expected);
    let listed = account.call("GET", "/v1/webhooks", Value::Null).await.expect(200);
    assert_eq!(listed["data"], json!([made.json["data"]]));
    assert_eq!(listed["meta"], json!({ "total": 1 }));
}

#[tokio::test]
async fn names_are_unique() {
    let server = server().await;
    let account = account(&server).await;
    let webhook = |name: &str| json!({ "name": name, "url": "https://example.com/" });
    account.call("POST", "/v1/webhooks", webhook("Leads")).await.expect(201);
    let twice = account.call("POST", "/v1/webhooks", webhook("Leads")).await.expect(409);
    assert_eq!(
        (&twice["errors"]["type"], &twice["errors"]["code"]),
        (&json!("conflict"), &json!(409))
    );
    let other = account.call("POST", "/v1/webhooks", webhook("Others")).await.expect(201);
    let path = format!("/v1/webhooks/{}", other["data"]["id"].as_str().unwrap());
    account.call("PUT", &path, webhook("Leads")).await.expect(409);
    account.call("PUT", &path, webhook("Others")).await.expect(200);
}

#[tokio::test]
async fn a_method_is_one_of_five_and_a_status_one_of_two() {
    let server = server().await;
    let account = account(&server).await;
    let with = |field: &str, value: &str| json!({ "name": format!("{field} {value}"), "url": "https://example.com/", field: value });
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE"] {
        let made = account.call("POST", "/v1/webhooks", with("method", method)).await.expect(201);
        assert_eq!(made["data"]["method"], method);
    }
    let refused = account.call("POST", "/v1/webhooks", with("method", "HEAD")).await.expect(422);
    assert_eq!(refused["errors"]["type"], "validation_error");
    assert_eq!(refused["errors"]["message"], "method: `HEAD` is not an HTTP method");
    let off = account.call("POST", "/v1/webhooks", with("status", "disabled")).await.expect(201);
    assert_eq!(off["data"]["status"], "disabled");
    let refused = account.call("POST", "/v1/webhooks", with("status", "off")).await.expect(422);
    assert_eq!(refused["errors"]["message"], "status: Must be one of enabled, disabled");
}

#[tokio::test]
async fn a_disabled_webhook_gets_nothing_until_it_is_enabled() {
    let server = server().await;
    let account = account(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let webhook = |status: &str| json!({ "name": "Leads", "url": receiver.url("/").as_str(), "status": status });
    let made = account.call("POST", "/v1/webhooks", webhook("disabled")).await.expect(201);
    let path = format!("/v1/webhooks/{}", made["data"]["id"].as_str().unwrap());
    server.publish("tomba", "account_1", "save_lead", r#"{"email":"first@example.com"}"#).await;
    account.call("PUT", &path, webhook("enabled")).await.expect(200);
    server.publish("tomba", "account_1", "save_lead", r#"{"email":"second@example.com"}"#).await;
    let requests = receiver.wait_for(1).await;
    assert!(crate::text(&requests[0]).contains("second@example.com"));
}

#[tokio::test]
async fn the_documented_handler_receives_the_lead() {
    let server = server().await;
    let account = account(&server).await;
    let mut handler = HttpProgram::express("tomba/handler.js");
    let webhook = json!({ "name": "Leads", "url": handler.url("/webhooks/leads") });
    account.call("POST", "/v1/webhooks", webhook).await.expect(201);
    let lead = r#"{"email":"jane@example.com","score":85}"#;
    let message = server.publish("tomba", "account_1", "save_lead", lead).await;
    let attempts = server.wait_for_attempts("tomba", "account_1", &message, 1).await;
    assert_eq!(attempts[0]["responseStatusCode"], 200);
    assert_eq!(attempts[0]["response"], "Webhook received");
    assert_eq!(handler.next_line(), "Webhook server listening on port 3000");
    assert_eq!(handler.next_line(), "Received new lead: {");
    assert_eq!(handler.next_line(), "  email: 'jane@example.com',");
}
