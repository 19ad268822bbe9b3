//! K-LINK: what its page, Settings → Webhooks, does, as the API behind such a page.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::customer::Customer;
use crate::support::receiver::{Receiver, Reply, Script};
use crate::support::server::{TestServer, eventually};

const BEARER: (&str, &str) = ("authorization", "Bearer ");

async fn server() -> TestServer {
    TestServer::start(&["klink"]).await
}

async fn workspace(server: &TestServer) -> Customer<'_> {
    Customer::new(server, "klink", "workspace_1", BEARER).await
}

fn orders(url: &str) -> Value {
    json!({ "name": "Order updates", "endpoint_url": url, "events": ["contact.created"] })
}

async fn create(workspace: &Customer<'_>, webhook: Value) -> (String, Value) {
    let made = workspace.call("POST", "/v1/webhooks", webhook).await.expect(201);
    (format!("/v1/webhooks/{}", made["id"].as_str().unwrap()), made)
}

#[tokio::test]
async fn the_form_makes_a_webhook() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let mut form = orders("https://yourdomain.com/webhooks/endpoint");
    form["authentication"] =
        json!({ "type": "header", "name": "X-API-Key", "value": "secret-value" });
    let (path, made) = create(&workspace, form).await;
    assert_eq!(made["environment"], "klink");
    assert_eq!(made["endpoint_url"], "https://yourdomain.com/webhooks/endpoint");
    assert_eq!(made["authentication"], json!({ "type": "header", "name": "X-API-Key" }));
    assert_eq!((&made["method"], &made["status"]), (&json!("webhook"), &json!("enabled")));
    assert!(!made.to_string().contains("secret-value"));
    assert_eq!(workspace.call("GET", &path, Value::Null).await.expect(200), made);
    let edited = workspace.call("PATCH", &path, json!({ "name": "Orders" })).await.expect(200);
    assert_eq!(edited["name"], "Orders");
    assert_eq!(edited["authentication"], made["authentication"]);
    let elsewhere = workspace.call("PATCH", &path, json!({ "environment": "production" })).await;
    assert_eq!(elsewhere.expect(200)["environment"], "klink", "it can't be moved");
}

#[tokio::test]
async fn the_method_is_webhook_or_websocket() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let mut form = orders("wss://yourdomain.com/socket");
    form["method"] = json!("websocket");
    let (path, made) = create(&workspace, form.clone()).await;
    assert_eq!(made["method"], "websocket");
    let moved = json!({ "method": "webhook", "endpoint_url": "https://yourdomain.com/" });
    assert_eq!(workspace.call("PATCH", &path, moved).await.expect(200)["method"], "webhook");
    form["method"] = json!("carrier pigeon");
    let refused = workspace.call("POST", "/v1/webhooks", form.clone()).await.expect(422);
    assert_eq!(refused["error"]["fields"][0]["name"], "method");
    form["method"] = json!("webhook");
    let refused = workspace.call("POST", "/v1/webhooks", form).await.expect(422);
    assert_eq!(refused["error"]["fields"][0]["name"], "endpoint_url");
}

#[tokio::test]
async fn a_webhook_has_an_event_and_a_known_kind_of_authentication() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let mut none = orders("https://yourdomain.com/");
    none.as_object_mut().unwrap().remove("events");
    let refused = workspace.call("POST", "/v1/webhooks", none).await.expect(422);
    assert_eq!(refused["error"]["fields"][0]["name"], "events");
    let mut odd = orders("https://yourdomain.com/");
    odd["authentication"] = json!({ "type": "digest" });
    let refused = workspace.call("POST", "/v1/webhooks", odd).await.expect(422);
    assert!(refused["error"]["fields"][0]["name"].as_str().unwrap().starts_with("authentication"));
}

#[tokio::test]
async fn all_events_of_a_group_can_be_chosen() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let mut all = orders("https://yourdomain.com/");
    all["event_groups"] = json!(["room"]);
    all.as_object_mut().unwrap().remove("events");
    let (path, made) = create(&workspace, all).await;
    assert_eq!((&made["events"], &made["event_groups"]), (&json!([]), &json!(["room"])));
    let change = json!({ "events": ["message.inbound"], "event_groups": [] });
    let edited = workspace.call("PATCH", &path, change).await.expect(200);
    let chosen = (&edited["events"], &edited["event_groups"]);
    assert_eq!(chosen, (&json!(["message.inbound"]), &json!([])));
    let unknown = json!({ "event_groups": ["room", "rooms"] });
    let refused = workspace.call("PATCH", &path, unknown).await.expect(422);
    assert_eq!(refused["error"]["fields"][0]["name"], "event_groups.1");
}

#[tokio::test]
async fn the_secret_is_revealed_and_regenerated_at_once() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let (path, made) = create(&workspace, orders("https://yourdomain.com/")).await;
    let path = format!("{path}/secret");
    let first = workspace.call("GET", &path, Value::Null).await.expect(200)["secret"].clone();
    assert!(!made.to_string().contains(first.as_str().unwrap()));
    let second = workspace.call("POST", &path, json!({})).await.expect(200)["secret"].clone();
    assert_ne!(first, second);
    assert_eq!(workspace.call("GET", &path, Value::Null).await.expect(200)["secret"], second);
    workspace.call("POST", &path, Value::Null).await.expect(200);
}

#[tokio::test]
async fn the_log_tells_what_happened() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let replies = vec![Reply::status(500), Reply::status(200), Reply::status(404)];
    let receiver = Receiver::start(Script::sequence(replies)).await;
    let mut webhook = orders(receiver.url("/").as_str());
    webhook["events"] = json!(["contact.created", "room.solved"]);
    let (path, _) = create(&workspace, webhook).await;
    let payload = r#"{"contact":{"score":1.10}}"#;
    let first = server.publish("klink", "workspace_1", "contact.created", payload).await;
    server.wait_for_attempts("klink", "workspace_1", &first, 1).await;
    server.clock.advance(Duration::from_secs(30));
    server.wait_for_attempts("klink", "workspace_1", &first, 2).await;
    server.clock.advance(Duration::from_secs(1));
    let second = server.publish("klink", "workspace_1", "room.solved", "{}").await;
    server.wait_for_attempts("klink", "workspace_1", &second, 1).await;
    let logs = async |query: &str| {
        let answer = workspace.call("GET", &format!("{path}/logs{query}"), Value::Null).await;
        let shown = answer.clone().expect(200);
        let rows = shown["logs"].as_array().unwrap().clone();
        let short: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {} {}", row["event"], row["status"], row["retries"]))
            .collect();
        (short.join(", ").replace('"', ""), answer.text, shown["cursor"].clone())
    };
    let (all, text, cursor) = logs("").await;
    assert_eq!(all, "room.solved 404 0, contact.created 200 1, contact.created 500 0");
    assert!(text.contains(r#""data":{"contact":{"score":1.10}}"#), "numbers as published: {text}");
    assert_eq!(cursor, Value::Null);
    assert_eq!(logs("?status=4xx").await.0, "room.solved 404 0");
    assert_eq!(logs("?status=2xx&event=contact.created").await.0, "contact.created 200 1");
    assert_eq!(logs("?event=message.inbound").await.0, "");
    let (page, _, cursor) = logs("?limit=2").await;
    assert_eq!(page, "room.solved 404 0, contact.created 200 1");
    let next = logs(&format!("?limit=2&cursor={}", cursor.as_str().unwrap())).await;
    assert_eq!(next.0, "contact.created 500 0");
    let refused = workspace.call("GET", &format!("{path}/logs?status=6xx"), Value::Null).await;
    assert_eq!(refused.expect(422)["error"]["fields"][0]["name"], "status");
}

#[tokio::test]
async fn the_log_has_the_chain_of_causes_where_nobody_answered() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let url = receiver.url("/").to_string();
    drop(receiver);
    let (path, _) = create(&workspace, orders(&url)).await;
    let message = server.publish("klink", "workspace_1", "contact.created", "{}").await;
    server.wait_for_attempts("klink", "workspace_1", &message, 1).await;
    let logs =
        workspace.call("GET", &format!("{path}/logs?status=none"), Value::Null).await.expect(200);
    let row = &logs["logs"][0];
    assert_eq!(row["status"], Value::Null);
    assert_eq!(row["error"], row["exception_trace"][0]);
    assert!(row["exception_trace"].as_array().unwrap().len() > 1, "{row}");
}

#[tokio::test]
async fn more_than_fifty_failures_in_an_hour_pause_it_until_a_person_enables_it() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let receiver = Receiver::start(Script::sequence(
        (0..51).map(|_| Reply::status(500)).chain([Reply::status(200)]).collect(),
    ))
    .await;
    let (path, _) = create(&workspace, orders(receiver.url("/").as_str())).await;
    let mut published = 0;
    while published < 51 {
        let message = server.publish("klink", "workspace_1", "contact.created", "{}").await;
        server.wait_for_attempts("klink", "workspace_1", &message, 1).await;
        published += 1;
    }
    let shown = async || workspace.call("GET", &path, Value::Null).await.expect(200);
    eventually("the pause", async || shown().await["status"] == "paused").await;
    assert!(shown().await["pause_reason"].as_str().unwrap().contains("50"));
    let history = workspace.call("GET", &format!("{path}/history"), Value::Null).await.expect(200);
    assert_eq!(
        (&history["history"][0]["event"], &history["history"][0]["by"]),
        (&json!("paused"), &json!("rule"))
    );
    assert!(history["history"][0]["last_failure"].as_str().unwrap().contains("500"));
    server.publish("klink", "workspace_1", "contact.created", "{}").await;
    let dropped =
        workspace.call("DELETE", &format!("{path}/waiting"), Value::Null).await.expect(200);
    assert_eq!(dropped, json!({ "dropped": 52 }));
    let refused =
        workspace.call("POST", &format!("{path}/enable"), json!({ "waiting": "burn" })).await;
    assert_eq!(refused.expect(422)["error"]["fields"][0]["name"], "waiting");
    let enabled = workspace.call("POST", &format!("{path}/enable"), Value::Null).await.expect(200);
    assert_eq!(
        (&enabled["webhook"]["status"], &enabled["dropped"]),
        (&json!("enabled"), &json!(0))
    );
    server.publish("klink", "workspace_1", "contact.created", r#"{"last":true}"#).await;
    let requests = receiver.wait_for(52).await;
    assert!(crate::text(&requests[51]).contains(r#"{"last":true}"#));
}

#[tokio::test]
async fn a_test_event_goes_the_whole_way_and_is_in_the_log() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let (path, _) = create(&workspace, orders(receiver.url("/").as_str())).await;
    let catalog = workspace.call("GET", "/v1/events", Value::Null).await.expect(200);
    let solved = &catalog["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["event"] == "room.solved")
        .unwrap()
        .clone();
    assert_eq!(
        (&solved["title"], &solved["group"]),
        (&json!("Room Solved/Closed"), &json!("room"))
    );
    let test = json!({ "event": "room.solved" });
    let sent = workspace.call("POST", &format!("{path}/test"), test).await.expect(202);
    let body: Value = serde_json::from_slice(&receiver.wait_for(1).await[0].body).unwrap();
    assert_eq!((&body["data"], &body["id"]), (&solved["example"], &sent["event_id"]));
    let mut logs = Value::Null;
    eventually("the log", async || {
        logs = workspace.call("GET", &format!("{path}/logs"), Value::Null).await.expect(200);
        logs["logs"].as_array().is_some_and(|rows| !rows.is_empty())
    })
    .await;
    assert_eq!((&logs["logs"][0]["test"], &logs["logs"][0]["status"]), (&json!(true), &json!(200)));
}

#[tokio::test]
async fn logs_of_large_events_come_in_short_pages() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let (path, _) = create(&workspace, orders("http://127.0.0.1:9/")).await;
    const LARGE: usize = 9;
    for _ in 0..LARGE {
        let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(1_000_000));
        let message = server.publish("klink", "workspace_1", "contact.created", &payload).await;
        server.wait_for_attempts("klink", "workspace_1", &message, 1).await;
    }
    let (mut seen, mut cursor) = (0, String::new());
    while seen < LARGE {
        let path = format!("{path}/logs?limit=250{cursor}");
        let page = workspace.call("GET", &path, Value::Null).await.expect(200);
        seen += page["logs"].as_array().unwrap().len();
        cursor = page["cursor"].as_str().map(|text| format!("&cursor={text}")).unwrap_or_default();
        assert_eq!(cursor.is_empty(), seen == LARGE, "{seen}");
    }
}
