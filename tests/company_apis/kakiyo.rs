//! Kakiyo, "Create Webhook" and the pages around it.

use serde_json::{Value, json};

use crate::support::customer::Customer;
use crate::support::programs::{HttpProgram, hmac_sha256_hex, run_documented};
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;
use crate::text;

async fn server() -> TestServer {
    TestServer::start(&["kakiyo"]).await
}

async fn team(server: &TestServer) -> Customer<'_> {
    Customer::new(server, "kakiyo", "team_1", ("authorization", "Bearer ")).await
}

fn crm(url: &str) -> Value {
    json!({ "name": "CRM Integration", "url": url, "secret": "s3cret", "events": ["prospect.qualified", "message.sent"] })
}

/// A documented example, run on a thread of its own as it waits for the server.
async fn run(file: &'static str, team: &Customer<'_>) -> String {
    let host = format!("http://{}", team.server.running().address);
    let key = team.key.clone();
    let run = move || {
        let changes =
            [("https://api.kakiyo.com", host.as_str()), ("YOUR_API_KEY", &key), ("<token>", &key)];
        run_documented(file, &changes)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_first_curl_example_creates_a_webhook() {
    let server = server().await;
    let team = team(&server).await;
    let printed = run("kakiyo/create.sh", &team).await;
    let id = serde_json::from_str::<Value>(&printed).unwrap()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("webhook_"), "{id}");
    let expected = format!(
        r#"{{"id":"{id}","name":"CRM Integration","url":"https://your-app.com/kakiyo/webhook","events":["linkedin.message.received","prospect.qualification.manual"],"active":true,"message":"Webhook created successfully"}}"#
    );
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn the_other_examples_create_one_too() {
    let server = server().await;
    let team = team(&server).await;
    let curl: Value =
        serde_json::from_str(&run("kakiyo/create_as_tested.sh", &team).await).unwrap();
    assert_eq!(curl["message"], "Webhook created successfully");
    let javascript = run("kakiyo/create.mjs", &team).await;
    assert!(javascript.starts_with("Webhook Created: {"), "{javascript}");
    assert!(javascript.contains("message: 'Webhook created successfully'"), "{javascript}");
    let python = run("kakiyo/create.py", &team).await;
    assert!(python.starts_with("Webhook Created: {'id': 'webhook_"), "{python}");
    let listed = team.call("GET", "/v1/webhooks", Value::Null).await.expect(200);
    let events = json!(["prospect.qualified", "prospect.responded", "campaign.completed"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    for webhook in listed.as_array().unwrap() {
        assert_eq!(webhook["events"], events);
        assert_eq!(webhook["active"], true);
    }
}

#[tokio::test]
async fn the_documented_handler_accepts_what_arrives() {
    let server = server().await;
    let team = team(&server).await;
    let mut handler = HttpProgram::express("kakiyo/handler.js");
    let mut webhook = crm(&handler.url("/kakiyo/webhook"));
    webhook["secret"] = json!("your_webhook_secret_key");
    team.call("POST", "/v1/webhooks", webhook).await.expect(201);
    let payload = r#"{"prospect": {"name": "Zoë 😀", "score": 1.10}}"#;
    let message = server.publish("kakiyo", "team_1", "prospect.qualified", payload).await;
    let attempts = server.wait_for_attempts("kakiyo", "team_1", &message, 1).await;
    assert_eq!(attempts[0]["responseStatusCode"], 200);
    assert_eq!(handler.next_line(), "Qualified prospect: Zoë 😀");
}

#[tokio::test]
async fn only_what_the_page_shows_comes_back() {
    let server = server().await;
    let team = team(&server).await;
    let made = team.call("POST", "/v1/webhooks", crm("https://your-app.com/a")).await;
    assert_eq!(made.status, 201);
    assert!(!made.text.contains("s3cret"), "the secret never comes back: {}", made.text);
    let id = made.json["id"].as_str().unwrap();
    let shown = team.call("GET", &format!("/v1/webhooks/{id}"), Value::Null).await;
    let expected = format!(
        r#"{{"id":"{id}","name":"CRM Integration","url":"https://your-app.com/a","events":["prospect.qualified","message.sent"],"active":true}}"#
    );
    assert_eq!((shown.status, shown.text.as_str()), (200, expected.as_str()));
    let listed = team.call("GET", "/v1/webhooks", Value::Null).await;
    assert_eq!((listed.status, listed.text), (200, format!("[{expected}]")));
}

#[tokio::test]
async fn events_are_an_enum_with_a_wildcard() {
    let server = server().await;
    let team = team(&server).await;
    let mut webhook = crm("https://your-app.com/a");
    webhook["events"] = json!(["prospect.qualified", "prospect.lost"]);
    let refused = team.call("POST", "/v1/webhooks", webhook.clone()).await.expect(400);
    let message = "events.1: `prospect.lost` is not in the catalog of event types";
    assert_eq!(refused, json!({ "error": "invalid_request", "message": message }));
    webhook["events"] = json!([]);
    team.call("POST", "/v1/webhooks", webhook.clone()).await.expect(400);
    webhook["events"] = json!(["*"]);
    team.call("POST", "/v1/webhooks", webhook).await.expect(201);
}

#[tokio::test]
async fn put_replaces_a_webhook_and_its_secret() {
    let server = server().await;
    let team = team(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let url = receiver.url("/new").to_string();
    let made = team.call("POST", "/v1/webhooks", crm("https://your-app.com/a")).await.expect(201);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let change = json!({ "name": "New", "url": url, "events": ["agent.status_changed"], "secret": "another" });
    let changed = team.call("PUT", &path, change).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        changed.text,
        format!(
            r#"{{"id":"{id}","name":"New","url":"{url}","events":["agent.status_changed"],"active":true,"message":"Webhook updated successfully"}}"#
        )
    );
    server.publish("kakiyo", "team_1", "prospect.qualified", "{}").await;
    server.publish("kakiyo", "team_1", "agent.status_changed", "{}").await;
    let request = receiver.wait_for(1).await[0].clone();
    assert!(text(&request).contains("agent.status_changed"));
    let expected = hmac_sha256_hex("another", [request.body.as_slice()]).remove(0);
    assert_eq!(request.header("x-kakiyo-signature").unwrap(), format!("sha256={expected}"));
    let incomplete = team.call("PUT", &path, json!({ "name": "New" })).await.expect(400);
    assert_eq!(incomplete["message"], "url: Required; events: Required");
}

#[tokio::test]
async fn four_failures_in_a_row_disable_it_and_enabling_starts_anew() {
    let server = server().await;
    let team = team(&server).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    let webhook = crm(receiver.url("/").as_str());
    let made = team.call("POST", "/v1/webhooks", webhook.clone()).await.expect(201);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let message = server.publish("kakiyo", "team_1", "message.sent", "{}").await;
    for (made, wait) in [(1, 1), (2, 2), (3, 4)] {
        server.wait_for_attempts("kakiyo", "team_1", &message, made).await;
        server.clock.advance(std::time::Duration::from_secs(wait));
    }
    server.wait_for_attempts("kakiyo", "team_1", &message, 4).await;
    crate::support::server::eventually("the webhook to be inactive", async || {
        team.call("GET", &path, Value::Null).await.json["active"] == false
    })
    .await;
    let mut enabled = webhook;
    enabled["active"] = json!(true);
    assert_eq!(team.call("PUT", &path, enabled).await.expect(200)["active"], true);
}

#[tokio::test]
async fn a_deleted_webhook_is_gone() {
    let server = server().await;
    let team = team(&server).await;
    let made = team.call("POST", "/v1/webhooks", crm("https://your-app.com/a")).await.expect(201);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let deleted = team.call("DELETE", &path, Value::Null).await;
    assert_eq!(
        (deleted.status, deleted.text.as_str()),
        (200, r#"{"message":"Webhook deleted successfully"}"#)
    );
    let gone = team.call("GET", &path, Value::Null).await.expect(404);
    assert_eq!(gone["error"], "not_found");
}

#[tokio::test]
async fn the_test_routes_list_show_and_send_events() {
    let server = server().await;
    let team = team(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let events = team.call("GET", "/v1/webhooks/test/events", Value::Null).await.expect(200);
    let qualified = json!({
        "id": "prospect.qualified",
        "name": "Prospect Qualified",
        "description": "A prospect was marked as qualified.",
        "category": "prospect",
    });
    assert!(events.as_array().unwrap().contains(&qualified), "{events}");
    assert_eq!(events.as_array().unwrap().len(), 11);

    let example = team.call("GET", "/v1/webhooks/test/example/message.sent", Value::Null).await;
    let body: Value = example.clone().expect(200);
    assert_eq!((&body["event"], &body["teamId"]), (&json!("message.sent"), &json!("team_1")));
    assert!(example.text.starts_with(r#"{"event":"message.sent","teamId":"team_1","timestamp":""#));
    let unknown = team.call("GET", "/v1/webhooks/test/example/message.lost", Value::Null).await;
    assert_eq!(unknown.expect(404)["error"], "not_found");

    team.call("POST", "/v1/webhooks", crm(receiver.url("/").as_str())).await.expect(201);
    let sent = team.call("POST", "/v1/webhooks/test", json!({ "event": "message.sent" })).await;
    assert_eq!(sent.expect(200)["event"], "message.sent");
    let request = receiver.wait_for(1).await[0].clone();
    let arrived: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(arrived["data"], body["data"], "the very example arrives");
    let unknown = team.call("POST", "/v1/webhooks/test", json!({ "event": "message.lost" })).await;
    assert_eq!(
        unknown.expect(400)["message"],
        "event: `message.lost` is not in the catalog of event types"
    );
    let missing = team.call("POST", "/v1/webhooks/test", json!({})).await.expect(400);
    assert_eq!(missing["message"], "event: Required");
}
