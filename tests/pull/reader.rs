//! Readers as a customer writes them: nothing is kept but the cursor.

use serde_json::{Value, json};

use crate::support::server::{ADMIN_KEY, Answer, TestServer};

pub(super) const HOME: &str = "standard";
pub(super) const EVENTS: &str = "/api/v1/app/t/events";

/// A server with one application, `t`.
pub(super) async fn server() -> TestServer {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "t").await;
    server
}

/// Publishes events of these types to `t`; their payloads are their numbers.
pub(super) async fn publish(server: &TestServer, types: &[&str]) {
    for (number, event_type) in types.iter().enumerate() {
        server.publish(HOME, "t", event_type, &number.to_string()).await;
    }
}

pub(super) async fn ask(server: &TestServer, query: &str) -> Answer {
    server.call(HOME, "GET", &format!("{EVENTS}?{query}"), Value::Null).await
}

/// A page: the payloads, the cursor, and whether there is more.
pub(super) async fn page(server: &TestServer, query: &str) -> (Vec<Value>, String, bool) {
    let page = ask(server, query).await.expect(200);
    let keys: Vec<&str> = page.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["cursor", "data", "hasMore"]);
    (payloads(&page), cursor(&page), page["hasMore"].as_bool().unwrap())
}

pub(super) fn payloads(page: &Value) -> Vec<Value> {
    page["data"].as_array().unwrap().iter().map(|event| event["payload"].clone()).collect()
}

pub(super) fn cursor(page: &Value) -> String {
    page["cursor"].as_str().unwrap().to_owned()
}

/// Checks that a query is refused because of one parameter.
pub(super) async fn assert_refused(server: &TestServer, query: &str, parameter: &str) {
    let answer = ask(server, query).await;
    let text = answer.text.clone();
    let refused = answer.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["query", parameter]), "{query}: {text}");
}

/// The headers that open a stream.
pub(super) fn credentials() -> [(&'static str, String); 2] {
    [("authorization", format!("Bearer {ADMIN_KEY}")), ("hookwright-environment", HOME.to_owned())]
}
