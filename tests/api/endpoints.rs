//! Endpoints: their fields, headers and secrets.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

const HOME: &str = "standard";
const ENDPOINTS: &str = "/api/v1/app/t/endpoint";

async fn server(contract: &str) -> TestServer {
    let server = TestServer::start(&[contract]).await;
    server.application(contract, "t").await;
    server
}

#[tokio::test]
async fn an_endpoint_shows_all_its_fields_but_no_secret() {
    let server = server(HOME).await;
    let input = json!({
        "url": "https://example.com/hook?a=1&a=2",
        "name": "Orders",
        "description": "Where orders go",
        "uid": "orders",
        "filterTypes": ["order.made"],
        "channels": ["eu"],
        "metadata": { "team": "blue" },
        "headers": { "X-Api-Key": "hidden-value", "X-Team": "blue" },
    });
    let made = server.call(HOME, "POST", ENDPOINTS, input).await.expect(201);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("ep_"));
    assert_eq!(
        made,
        json!({
            "id": id,
            "uid": "orders",
            "url": "https://example.com/hook?a=1&a=2",
            "name": "Orders",
            "description": "Where orders go",
            "version": 1,
            "disabled": false,
            "paused": false,
            "pausedAt": null,
            "pauseReason": null,
            "disabledAt": null,
            "disabledReason": null,
            "filterTypes": ["order.made"],
            "filterGroups": null,
            "channels": ["eu"],
            "transport": "webhook",
            "method": "POST",
            "auth": { "type": "none" },
            "environment": HOME,
            "metadata": { "team": "blue" },
            "throttleRate": null,
            "rateLimit": null,
            "ordered": false,
            "createdAt": "2025-01-15T14:32:00.258162Z",
            "updatedAt": "2025-01-15T14:32:00.258162Z",
        })
    );
    for name in [id, "orders"] {
        let path = format!("{ENDPOINTS}/{name}");
        assert_eq!(server.call(HOME, "GET", &path, Value::Null).await.expect(200), made);
    }
    let least = json!({ "url": "https://example.com" });
    let least = server.call(HOME, "POST", ENDPOINTS, least).await.expect(201);
    for field in ["uid", "filterTypes", "channels"] {
        assert_eq!(least[field], Value::Null, "{field}");
    }
    let again = json!({ "url": "https://example.com", "uid": "orders" });
    let refused = server.call(HOME, "POST", ENDPOINTS, again).await.expect(409);
    assert_eq!(refused["code"], "conflict");
}

#[tokio::test]
async fn credentials_are_taken_and_not_shown_again() {
    let server = server("klink").await;
    for (auth, shown) in [
        (json!({ "type": "none" }), json!({ "type": "none" })),
        (json!({ "type": "basic", "token": "Basic dTpw" }), json!({ "type": "basic" })),
        (
            json!({ "type": "header", "name": "X-Key", "value": "dTpw" }),
            json!({ "type": "header", "name": "X-Key" }),
        ),
    ] {
        let input = json!({
            "url": "http://127.0.0.1:9/", "name": shown.to_string(),
            "filterTypes": ["room.solved"], "auth": auth,
        });
        let made = server.call("klink", "POST", ENDPOINTS, input).await;
        assert!(!made.text.contains("dTpw"), "{}", made.text);
        let made = made.expect(201);
        assert_eq!(made["auth"], shown);
        // A change of something else leaves it as it is.
        let path = format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap());
        let change = json!({ "description": "new" });
        let patched = server.call("klink", "PATCH", &path, change).await.expect(200);
        assert_eq!(patched["auth"], shown);
    }
}

#[tokio::test]
async fn put_replaces_and_patch_changes_what_is_named() {
    let server = server(HOME).await;
    let input = json!({
        "url": "https://example.com/1", "name": "N", "description": "D", "uid": "e",
        "filterTypes": ["a"], "channels": ["c"], "metadata": { "k": "v" },
        "headers": { "x-a": "1" },
    });
    let id = server.endpoint(HOME, "t", input).await;
    let path = format!("{ENDPOINTS}/{id}");
    let secret = server.secret(HOME, "t", &id).await;
    server.clock.advance(Duration::from_secs(1));

    let change = json!({ "url": "https://example.com/2", "filterTypes": null });
    let patched = server.call(HOME, "PATCH", &path, change).await.expect(200);
    assert_eq!(patched["url"], "https://example.com/2");
    assert_eq!(patched["filterTypes"], Value::Null);
    for (field, value) in [
        ("name", json!("N")),
        ("description", json!("D")),
        ("uid", json!("e")),
        ("channels", json!(["c"])),
        ("metadata", json!({ "k": "v" })),
        ("updatedAt", json!("2025-01-15T14:32:01.258162Z")),
        ("createdAt", json!("2025-01-15T14:32:00.258162Z")),
    ] {
        assert_eq!(patched[field], value, "{field}");
    }

    let put = json!({ "url": "https://example.com/3" });
    let replaced = server.call(HOME, "PUT", &path, put).await.expect(200);
    for (field, value) in [
        ("url", json!("https://example.com/3")),
        ("description", json!("")),
        ("uid", json!(null)),
        ("channels", json!(null)),
        ("metadata", json!({})),
    ] {
        assert_eq!(replaced[field], value, "{field}");
    }
    // What the Svix API keeps elsewhere stays.
    let headers = server.call(HOME, "GET", &format!("{path}/headers"), Value::Null).await;
    assert_eq!(headers.expect(200)["headers"], json!({ "x-a": "1" }));
    assert_eq!(server.secret(HOME, "t", &id).await, secret);
    assert_eq!(server.call(HOME, "GET", &path, Value::Null).await.expect(200), replaced);
    server.call(HOME, "PUT", &path, json!({})).await.expect(422);
    for method in ["PUT", "PATCH"] {
        let change = json!({ "url": "https://example.com", "secret": "x".repeat(40) });
        let refused = server.call(HOME, method, &path, change).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["body", "secret"]));
    }
}

#[tokio::test]
async fn switching_off_and_on_again_is_a_change_like_any_other() {
    let server = server(HOME).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let id = server.endpoint(HOME, "t", json!({ "url": receiver.url("/").as_str() })).await;
    let path = format!("{ENDPOINTS}/{id}");
    let off = server.call(HOME, "PATCH", &path, json!({ "disabled": true })).await.expect(200);
    assert_eq!((&off["disabled"], &off["paused"]), (&json!(true), &json!(false)));
    assert_eq!(off["disabledAt"], "2025-01-15T14:32:00.258162Z");
    assert!(off["disabledReason"].is_string());
    let message = server.publish(HOME, "t", "e", "{}").await;
    assert!(server.deliveries(HOME, "t", &message).await.is_empty());
    let on = server.call(HOME, "PATCH", &path, json!({ "disabled": false })).await.expect(200);
    assert_eq!((&on["disabled"], &on["disabledAt"]), (&json!(false), &Value::Null));
    let message = server.publish(HOME, "t", "e", "{}").await;
    server.wait_for_status(HOME, "t", &message, "succeeded").await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_changed_url_is_where_the_next_attempt_goes() {
    let server = server(HOME).await;
    let old = Receiver::start(Reply::status(500)).await;
    let new = Receiver::start(Reply::status(200)).await;
    let id = server.endpoint(HOME, "t", json!({ "url": old.url("/").as_str() })).await;
    let message = server.publish(HOME, "t", "e", "{}").await;
    server.wait_for_attempts(HOME, "t", &message, 1).await;
    let change = json!({ "url": new.url("/").as_str() });
    server.call(HOME, "PATCH", &format!("{ENDPOINTS}/{id}"), change).await.expect(200);
    server.clock.advance(Duration::from_secs(10));
    server.wait_for_status(HOME, "t", &message, "succeeded").await;
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_with_what_it_waited_for() {
    let server = server(HOME).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    let fields = json!({ "url": receiver.url("/").as_str(), "uid": "e" });
    let id = server.endpoint(HOME, "t", fields).await;
    let message = server.publish(HOME, "t", "e", "{}").await;
    server.wait_for_attempts(HOME, "t", &message, 1).await;
    let path = format!("{ENDPOINTS}/{id}");
    server.call(HOME, "DELETE", &path, Value::Null).await.expect(204);
    for (method, path) in [
        ("GET", path.clone()),
        ("GET", format!("{ENDPOINTS}/e")),
        ("DELETE", path.clone()),
        ("PATCH", path.clone()),
        ("GET", format!("{path}/secret")),
        ("GET", format!("{path}/headers")),
        ("POST", format!("{path}/secret/rotate")),
        ("GET", format!("/api/v1/app/t/attempt/endpoint/{id}")),
    ] {
        let body = if method == "PATCH" { json!({}) } else { Value::Null };
        server.call(HOME, method, &path, body).await.expect(404);
    }
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(server.ledger().await[0].discarded, 1);
    assert_eq!(receiver.requests().len(), 1);
    // What was attempted can still be read.
    assert_eq!(server.attempts(HOME, "t", &message).await.len(), 1);
}

#[tokio::test]
async fn there_is_a_limit_to_the_endpoints_of_an_application() {
    let server = TestServer::start_with(&[HOME], |config| config.api.endpoints_per_application = 2);
    let server = server.await;
    for app in ["t", "u"] {
        server.application(HOME, app).await;
        let path = format!("/api/v1/app/{app}/endpoint");
        let input = json!({ "url": "https://example.com" });
        let first = server.call(HOME, "POST", &path, input.clone()).await.expect(201);
        server.call(HOME, "POST", &path, input.clone()).await.expect(201);
        let refused = server.call(HOME, "POST", &path, input.clone()).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains('2'), "{refused}");
        let gone = format!("{path}/{}", first["id"].as_str().unwrap());
        server.call(HOME, "DELETE", &gone, Value::Null).await.expect(204);
        server.call(HOME, "POST", &path, input).await.expect(201);
    }
}

#[tokio::test]
async fn headers_are_replaced_set_and_removed_and_credentials_not_shown() {
    let server = server(HOME).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let id = server.endpoint(HOME, "t", json!({ "url": receiver.url("/").as_str() })).await;
    let path = format!("{ENDPOINTS}/{id}/headers");
    let shown = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown, json!({ "headers": {}, "sensitive": [] }));

    let put =
        json!({ "headers": { "X-Team": "blue", "X-Api-Key": "hidden", "Authorization": "h" } });
    let answer = server.call(HOME, "PUT", &path, put).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    let shown = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["headers"], json!({ "X-Team": "blue" }));
    assert_eq!(shown["sensitive"], json!(["Authorization", "X-Api-Key"]));

    let patch = json!({ "headers": { "x-team": "red", "X-Api-Key": null, "X-New": "1" } });
    server.call(HOME, "PATCH", &path, patch).await.expect(204);
    let shown = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["headers"], json!({ "x-team": "red", "X-New": "1" }));
    assert_eq!(shown["sensitive"], json!(["Authorization"]));

    let message = server.publish(HOME, "t", "e", "{}").await;
    server.wait_for_status(HOME, "t", &message, "succeeded").await;
    let request = &receiver.requests()[0];
    for (name, value) in [("x-team", "red"), ("x-new", "1"), ("authorization", "h")] {
        assert_eq!(request.header(name), Some(value));
    }
    assert_eq!(request.header("x-api-key"), None);
    server.call(HOME, "PUT", &path, json!({ "headers": {} })).await.expect(204);
    let shown = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown, json!({ "headers": {}, "sensitive": [] }));
}

#[tokio::test]
async fn a_secret_is_shown_and_rotated() {
    let server = server(HOME).await;
    let id = server.endpoint(HOME, "t", json!({ "url": "https://example.com" })).await;
    let first = server.secret(HOME, "t", &id).await;
    assert!(first.starts_with("whsec_"));
    let path = format!("{ENDPOINTS}/{id}/secret/rotate");
    // With no body, an empty one, and the SDKs' null: one is made.
    let mut known = vec![first];
    for body in ["", "{}", r#"{"key":null}"#] {
        let answer = server.call_raw(HOME, "POST", &path, body).await;
        let secret = server.secret(HOME, "t", &id).await;
        assert_eq!(answer.expect(200), json!({ "key": secret }));
        assert!(!known.contains(&secret));
        known.push(secret);
    }
    let mine = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let answer = server.call(HOME, "POST", &path, json!({ "key": mine })).await.expect(200);
    assert_eq!(answer, json!({ "key": mine }));
    assert_eq!(server.secret(HOME, "t", &id).await, mine);
    for bad in [json!({ "key": "short" }), json!({ "key": 1 }), json!({ "key": "whsec_%%%" })] {
        let refused = server.call(HOME, "POST", &path, bad.clone()).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert_eq!(refused.json["detail"][0]["loc"], json!(["body", "key"]), "{bad}");
    }
    assert_eq!(server.secret(HOME, "t", &id).await, mine);
}

#[tokio::test]
async fn a_contract_may_keep_secrets_for_good() {
    let mut hidden = 0;
    for contract in ["kynectlocal", "klink", "kakiyo", "tomba", "rechat"] {
        let server = server(contract).await;
        let events = server.call(contract, "GET", "/api/v1/event-type", Value::Null).await;
        let event = events.expect(200)["data"][0]["name"].clone();
        let secret = "a-customers-secret-of-good-length-0123456789";
        let mut input = json!({
            "url": "http://127.0.0.1:9/", "name": "N", "filterTypes": [event], "secret": secret
        });
        let mut made = server.call(contract, "POST", ENDPOINTS, input.clone()).await;
        if made.status == 422 {
            // One that signs nothing, or makes its secrets in a form of its own.
            assert_eq!(made.json["detail"][0]["loc"], json!(["body", "secret"]), "{}", made.text);
            input.as_object_mut().unwrap().remove("secret");
            made = server.call(contract, "POST", ENDPOINTS, input).await;
        }
        assert!(!made.text.contains(secret), "{contract}");
        let made = made.expect(201);
        let path = format!("{ENDPOINTS}/{}/secret", made["id"].as_str().unwrap());
        let answer = server.call(contract, "GET", &path, Value::Null).await;
        match answer.status {
            403 => {
                assert_eq!(answer.json["code"], "forbidden");
                hidden += 1;
            }
            404 => assert_eq!(answer.json["code"], "not_found"),
            status => assert_eq!(status, 200, "{contract}: {}", answer.text),
        }
    }
    assert!(hidden > 0, "no contract keeps its secrets");
}
