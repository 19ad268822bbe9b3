//! Fields that are missing, of the wrong type, too long, or full of what can't be kept.

use serde_json::{Value, json};

use crate::support::server::TestServer;

const APPS: &str = "/api/v1/app";
const ENDPOINTS: &str = "/api/v1/app/t/endpoint";
const MSG: &str = "/api/v1/app/t/msg";

/// Sends `good` with each change in turn, which must be refused at that place.
async fn refuse(server: &TestServer, path: &str, good: &Value, changes: &[(&str, Value, &str)]) {
    server.call("standard", "POST", path, good.clone()).await;
    for (field, value, place) in changes {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = server.call("standard", "POST", path, body.clone()).await;
        let shown: String = body.to_string().chars().take(200).collect();
        assert_eq!(answer.status, 422, "{path} {shown}: {}", answer.text);
        let mut expected = vec!["body"];
        expected.extend(place.split('.'));
        let details = answer.json["detail"].as_array().unwrap();
        let found = details.iter().any(|one| one["loc"] == json!(expected));
        assert!(found, "{path} {shown}: {}", answer.text);
        assert!(answer.text.len() < 2_000, "{path}: the answer repeats the input");
    }
}

async fn server() -> TestServer {
    let server = TestServer::start(&["standard"]).await;
    server.application("standard", "t").await;
    server
}

#[tokio::test]
async fn applications_with_impossible_fields_are_refused() {
    let server = server().await;
    let many: Value = (0..51).map(|index| (format!("k{index}"), json!("v"))).collect();
    let long = "x".repeat(2_049);
    let changes = [
        ("name", json!(null), "name"),
        ("name", json!(1), "name"),
        ("name", json!(["x"]), "name"),
        ("name", json!(""), "name"),
        ("name", json!(" \t "), "name"),
        ("name", json!("a\0b"), "name"),
        ("name", json!("\u{1b}[31mred"), "name"),
        ("name", json!("\u{85}"), "name"),
        ("name", json!(long), "name"),
        ("uid", json!(1), "uid"),
        ("uid", json!(""), "uid"),
        ("uid", json!("a b"), "uid"),
        ("uid", json!("a/b"), "uid"),
        ("uid", json!("\u{e9}"), "uid"),
        ("uid", json!("a\n"), "uid"),
        ("uid", json!("x".repeat(257)), "uid"),
        ("metadata", json!("x"), "metadata"),
        ("metadata", json!({ "k": 1 }), "metadata.k"),
        ("metadata", json!({ "k": null }), "metadata.k"),
        ("metadata", json!({ "": "v" }), "metadata"),
        ("metadata", json!({ "k": "\0" }), "metadata"),
        ("metadata", json!({ "k": long }), "metadata"),
        ("metadata", many, "metadata"),
    ];
    refuse(&server, APPS, &json!({ "name": "x" }), &changes).await;
    let missing = server.call("standard", "POST", APPS, json!({})).await.expect(422);
    assert_eq!(missing["detail"][0]["msg"], "missing field `name`");
    let list = server.call("standard", "GET", APPS, Value::Null).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "nothing refused was made");
}

#[tokio::test]
async fn endpoints_with_impossible_fields_are_refused() {
    let server = server().await;
    let long = "x".repeat(2_049);
    let eleven: Vec<String> = (0..11).map(|index| format!("c{index}")).collect();
    let thousand: Vec<String> = (0..1_001).map(|index| format!("t{index}")).collect();
    let changes = [
        ("url", json!(null), "url"),
        ("url", json!({}), "url"),
        ("name", json!("x".repeat(257)), "name"),
        ("name", json!("\0"), "name"),
        ("name", json!(7), "name"),
        ("description", json!(long), "description"),
        ("description", json!("\u{7}"), "description"),
        ("uid", json!("a b"), "uid"),
        ("disabled", json!("false"), "disabled"),
        ("disabled", json!(0), "disabled"),
        ("filterTypes", json!([]), "filterTypes"),
        ("filterTypes", json!("invoice.paid"), "filterTypes"),
        ("filterTypes", json!([1]), "filterTypes.0"),
        ("filterTypes", json!(["ok", null]), "filterTypes.1"),
        ("filterTypes", json!(thousand), "filterTypes"),
        ("channels", json!([]), "channels"),
        ("channels", json!(["a b"]), "channels.0"),
        ("channels", json!(eleven), "channels"),
        ("metadata", json!([]), "metadata"),
        ("method", json!("post"), "method"),
        ("method", json!("CONNECT"), "method"),
        ("method", json!("PUT"), "method"),
        ("auth", json!("none"), "auth"),
        ("auth", json!({ "type": "oauth" }), "auth.type"),
        ("auth", json!({ "type": "basic", "token": "t" }), "auth"),
        ("headers", json!([]), "headers"),
        ("headers", json!({ "x": 1 }), "headers.x"),
        ("secret", json!(1), "secret"),
        ("secret", json!(""), "secret"),
        ("secret", json!("whsec_\u{e9}"), "secret"),
        ("secret", json!("x".repeat(10_000)), "secret"),
    ];
    refuse(&server, ENDPOINTS, &json!({ "url": "https://example.com" }), &changes).await;
}

#[tokio::test]
async fn messages_with_impossible_fields_are_refused() {
    let server = server().await;
    let eleven: Vec<String> = (0..11).map(|index| format!("c{index}")).collect();
    let changes = [
        ("eventType", json!(null), "eventType"),
        ("eventType", json!(1), "eventType"),
        ("eventType", json!(""), "eventType"),
        ("eventType", json!("*"), "eventType"),
        ("eventType", json!("a b"), "eventType"),
        ("eventType", json!("a\r\nx: y"), "eventType"),
        ("eventType", json!("x".repeat(257)), "eventType"),
        ("eventId", json!(""), "eventId"),
        ("eventId", json!(1), "eventId"),
        ("eventId", json!("a\r\nx: y"), "eventId"),
        ("eventId", json!("x".repeat(257)), "eventId"),
        ("channels", json!("eu"), "channels"),
        ("channels", json!([]), "channels"),
        ("channels", json!([""]), "channels.0"),
        ("channels", json!(eleven), "channels"),
        ("tags", json!([{}]), "tags.0"),
        ("tags", json!(eleven), "tags"),
    ];
    refuse(&server, MSG, &json!({ "eventType": "e", "payload": {} }), &changes).await;
    for (body, missing) in
        [(json!({ "payload": {} }), "eventType"), (json!({ "eventType": "e" }), "payload")]
    {
        let refused = server.call("standard", "POST", MSG, body).await.expect(422);
        assert_eq!(refused["detail"][0]["msg"], format!("missing field `{missing}`"));
    }
    let list = server.call("standard", "GET", MSG, Value::Null).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "nothing refused was made");
}

#[tokio::test]
async fn events_outside_a_catalog_are_refused_where_there_is_one() {
    let server = TestServer::start(&["klink"]).await;
    server.application("klink", "t").await;
    let event = json!({ "eventType": "room.exploded", "payload": {} });
    let refused = server.call("klink", "POST", MSG, event).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "eventType"]));
    let endpoint = json!({
        "url": "https://example.com", "name": "n", "filterTypes": ["room.solved", "room.exploded"]
    });
    let refused = server.call("klink", "POST", ENDPOINTS, endpoint).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "filterTypes", "1"]));
    // Whose application it is comes first.
    let event = json!({ "eventType": "room.exploded", "payload": {} });
    server.call("klink", "POST", "/api/v1/app/nobody/msg", event).await.expect(404);
}
