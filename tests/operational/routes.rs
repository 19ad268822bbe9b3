//! The routes, as the Svix SDKs call them.

use serde_json::{Value, json};

use super::world::{ROUTE, World, verified};
use crate::support::credentials::{application_key, environment_key};
use crate::support::server::TestServer;
use crate::support::tenant::refused;

#[tokio::test]
async fn an_endpoint_is_made_shown_changed_listed_and_deleted() {
    let server = TestServer::start(&["kakiyo"]).await;
    let call = async |method: &str, below: &str, body: Value| {
        server.call("kakiyo", method, &format!("{ROUTE}{below}"), body).await
    };
    let empty = call("GET", "", Value::Null).await.expect(200);
    assert_eq!((&empty["data"], &empty["done"]), (&json!([]), &json!(true)));
    let fields = json!({
        "url": "http://127.0.0.1:9/ops", "description": "Pager", "uid": "pager",
        "filterTypes": ["endpoint.disabled"], "metadata": { "team": "ops" }, "rateLimit": null,
    });
    let made = call("POST", "", fields).await.expect(201);
    assert!(made["id"].as_str().unwrap().starts_with("ep_"));
    for (name, value) in [
        ("url", json!("http://127.0.0.1:9/ops")),
        ("description", json!("Pager")),
        ("uid", json!("pager")),
        ("filterTypes", json!(["endpoint.disabled"])),
        ("metadata", json!({ "team": "ops" })),
        ("disabled", json!(false)),
        ("version", json!(1)),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    assert_eq!(call("GET", "/pager", Value::Null).await.expect(200), made);
    let change = json!({ "url": "http://127.0.0.1:9/other", "uid": "pager", "disabled": true });
    let changed = call("PUT", "/pager", change).await.expect(200);
    assert_eq!((&changed["id"], &changed["disabled"]), (&made["id"], &json!(true)));
    assert_eq!(changed["filterTypes"], Value::Null);
    assert_eq!(call("GET", "", Value::Null).await.expect(200)["data"], json!([changed]));

    let headers = json!({ "headers": { "x-team": "ops", "x-token": "hush" } });
    call("PUT", "/pager/headers", headers).await.expect(204);
    let shown = call("GET", "/pager/headers", Value::Null).await.expect(200);
    assert_eq!(shown, json!({ "headers": { "x-team": "ops" }, "sensitive": ["x-token"] }));

    call("DELETE", "/pager", Value::Null).await.expect(204);
    call("GET", "/pager", Value::Null).await.expect(404);
    call("DELETE", "/pager", Value::Null).await.expect(404);
    assert_eq!(call("GET", "", Value::Null).await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn what_a_customers_endpoint_may_not_be_an_operational_one_may_not_either() {
    let world = World::new("kakiyo").await;
    let create = async |fields: Value| world.call("POST", ROUTE, fields).await;
    let url = "http://127.0.0.1:9/";
    refused(create(json!({ "url": "ftp://example.com/" })).await, "url");
    // The walls of the environment that it is about hold for it too.
    refused(create(json!({ "url": "http://10.0.0.1/" })).await, "url");
    let unknown = create(json!({ "url": url, "filterTypes": ["message.sent"] })).await;
    refused(unknown, "filterTypes.0");
    refused(create(json!({ "url": url, "uid": "a b" })).await, "uid");
    refused(create(json!({ "url": url, "secret": "short" })).await, "secret");
    assert_eq!(create(json!({})).await.status, 422);
    let list = world.call("GET", ROUTE, Value::Null).await.expect(200);
    assert_eq!(list["data"], json!([]));
    create(json!({ "url": url, "uid": "one" })).await.expect(201);
    create(json!({ "url": url, "uid": "one" })).await.expect(409);
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign() {
    let world = World::new("standard").await;
    let id = world.subscribe(Value::Null).await;
    let secret = async || {
        let shown = world.call("GET", &format!("{ROUTE}/{id}/secret"), Value::Null).await;
        shown.expect(200)["key"].as_str().unwrap().to_owned()
    };
    let old = secret().await;
    world.call("POST", &format!("{ROUTE}/{id}/secret/rotate"), json!({})).await.expect(200);
    let new = secret().await;
    assert_ne!(old, new);
    let path = format!("/api/v1/app/tenant/endpoint/{}", world.endpoint);
    world.call("PATCH", &path, json!({ "disabled": true })).await.expect(200);
    let request = &world.company.wait_for(1).await[0];
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert_eq!(verified(request, &[&new, &old, other]), [true, true, false]);
}

#[tokio::test]
async fn the_hidden_environment_can_not_be_entered_or_seen() {
    let world = World::new("kakiyo").await;
    let id = world.subscribe(Value::Null).await;
    let apps = world.call("GET", "/api/v1/app", Value::Null).await.expect(200);
    assert_eq!(apps["data"].as_array().unwrap().len(), 1);
    let hidden = world.server.ledger().await;
    let hidden = hidden.iter().find(|line| &*line.environment == "kakiyo/operations").unwrap();
    for app in [hidden.application.to_string(), "operations".to_owned()] {
        for path in ["", "/endpoint", "/msg"] {
            let path = format!("/api/v1/app/{app}{path}");
            world.call("GET", &path, Value::Null).await.expect(404);
        }
    }
    let named = world.server.call("kakiyo/operations", "GET", "/api/v1/app", Value::Null).await;
    named.expect(404);
    let path = format!("/api/v1/app/tenant/endpoint/{id}");
    world.call("GET", &path, Value::Null).await.expect(404);
    // Nor is a customer's endpoint an operational one.
    world.call("GET", &format!("{ROUTE}/{}", world.endpoint), Value::Null).await.expect(404);

    let key = application_key(&world.server, "kakiyo", &world.application).await;
    for (method, path) in [("GET", ROUTE.to_owned()), ("GET", format!("{ROUTE}/{id}/secret"))] {
        world.server.call_as(&key, method, &path, Value::Null).await.expect(403);
    }
    let key = environment_key(&world.server, "rechat").await;
    world.server.call_as(&key, "GET", &format!("{ROUTE}/{id}"), Value::Null).await.expect(404);
}
