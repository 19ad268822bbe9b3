//! Applications: made, found, listed, changed and deleted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

const HOME: &str = "standard";
const APPS: &str = "/api/v1/app";

#[tokio::test]
async fn an_application_is_found_by_its_id_and_its_uid() {
    let server = TestServer::start(&[HOME]).await;
    let input =
        json!({ "name": "Acme \u{e9}\u{1f600}", "uid": "acme", "metadata": { "plan": "pro" } });
    let made = server.call(HOME, "POST", APPS, input).await.expect(201);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("app_") && id.len() == 26, "{id}");
    assert_eq!(
        made,
        json!({
            "id": id,
            "uid": "acme",
            "name": "Acme \u{e9}\u{1f600}",
            "metadata": { "plan": "pro" },
            "createdAt": "2025-01-15T14:32:00.258162Z",
            "updatedAt": "2025-01-15T14:32:00.258162Z",
        })
    );
    for name in [id, "acme"] {
        let path = format!("{APPS}/{name}");
        assert_eq!(server.call(HOME, "GET", &path, Value::Null).await.expect(200), made);
    }
}

#[tokio::test]
async fn the_least_that_an_application_needs_is_a_name() {
    let server = TestServer::start(&[HOME]).await;
    let made = server.call(HOME, "POST", APPS, json!({ "name": "x" })).await.expect(201);
    assert_eq!((&made["uid"], &made["metadata"]), (&Value::Null, &json!({})));
    // What we don't know is ignored: the SDKs send fields of the Svix API that mean nothing here.
    let more = json!({ "name": "y", "rateLimit": 100, "uid": null, "unknown": [[[]]] });
    server.call(HOME, "POST", APPS, more).await.expect(201);
}

#[tokio::test]
async fn a_uid_belongs_to_one_application() {
    let server = TestServer::start(&[HOME, "klink"]).await;
    let input = json!({ "name": "First", "uid": "acme" });
    let first = server.call(HOME, "POST", APPS, input.clone()).await.expect(201);
    let again = server.call(HOME, "POST", APPS, input.clone()).await.expect(409);
    assert_eq!(again["code"], "conflict");
    let other = json!({ "name": "Other", "uid": "acme" });
    let got = server.call(HOME, "POST", "/api/v1/app?get_if_exists=true", other.clone()).await;
    assert_eq!(got.expect(200), first, "what is there stays as it is");
    let fresh = json!({ "name": "Fresh", "uid": "fresh" });
    server.call(HOME, "POST", "/api/v1/app?get_if_exists=true", fresh).await.expect(201);
    server.call(HOME, "POST", "/api/v1/app?get_if_exists=false", input.clone()).await.expect(409);
    // Another environment is another world.
    let foreign = server.call("klink", "POST", "/api/v1/app?get_if_exists=true", other).await;
    assert_ne!(foreign.expect(201)["id"], first["id"]);
    // Nor can a change take somebody else's uid.
    let path = format!("{APPS}/fresh");
    let change = json!({ "uid": "acme" });
    server.call(HOME, "PATCH", &path, change).await.expect(409);
    server.call(HOME, "PUT", &path, json!({ "name": "Fresh", "uid": "acme" })).await.expect(409);
    // A deleted one gives its uid free.
    server.call(HOME, "DELETE", "/api/v1/app/acme", Value::Null).await.expect(204);
    let made = server.call(HOME, "POST", APPS, input).await.expect(201);
    assert_ne!(made["id"], first["id"]);
}

#[tokio::test]
async fn put_replaces_and_patch_changes_what_is_named() {
    let server = TestServer::start(&[HOME]).await;
    let input = json!({ "name": "A", "uid": "a", "metadata": { "k": "v" } });
    let made = server.call(HOME, "POST", APPS, input).await.expect(201);
    let path = format!("{APPS}/{}", made["id"].as_str().unwrap());
    server.clock.advance(Duration::from_secs(1));

    let patched = server.call(HOME, "PATCH", &path, json!({ "name": "B" })).await.expect(200);
    assert_eq!(
        (&patched["name"], &patched["uid"], &patched["metadata"]),
        (&json!("B"), &json!("a"), &json!({ "k": "v" }))
    );
    assert_eq!(patched["createdAt"], made["createdAt"]);
    assert_eq!(patched["updatedAt"], "2025-01-15T14:32:01.258162Z");
    let cleared = server.call(HOME, "PATCH", &path, json!({ "uid": null })).await.expect(200);
    assert_eq!(cleared["uid"], Value::Null);
    server.call(HOME, "GET", "/api/v1/app/a", Value::Null).await.expect(404);
    let untouched = server.call(HOME, "PATCH", &path, json!({})).await.expect(200);
    assert_eq!(untouched["name"], "B");

    let put = json!({ "name": "C", "uid": "c" });
    let replaced = server.call(HOME, "PUT", &path, put).await.expect(200);
    assert_eq!((&replaced["uid"], &replaced["metadata"]), (&json!("c"), &json!({})));
    server.call(HOME, "PUT", &path, json!({ "uid": "c" })).await.expect(422);
    let shown = server.call(HOME, "GET", "/api/v1/app/c", Value::Null).await.expect(200);
    assert_eq!(shown, replaced);
}

#[tokio::test]
async fn deleting_an_application_takes_everything_of_it_along() {
    let server = TestServer::start(&[HOME]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    let id = server.application(HOME, "gone").await;
    let endpoint =
        server.endpoint(HOME, "gone", json!({ "url": receiver.url("/").as_str() })).await;
    let message = server.publish(HOME, "gone", "e", "{}").await;
    server.wait_for_attempts(HOME, "gone", &message, 1).await;
    server.call(HOME, "DELETE", &format!("{APPS}/{id}"), Value::Null).await.expect(204);
    for path in [
        format!("{APPS}/{id}"),
        format!("{APPS}/gone"),
        format!("{APPS}/{id}/endpoint"),
        format!("{APPS}/{id}/endpoint/{endpoint}"),
        format!("{APPS}/{id}/endpoint/{endpoint}/secret"),
        format!("{APPS}/{id}/msg"),
        format!("{APPS}/{id}/msg/{message}"),
        format!("{APPS}/{id}/attempt/msg/{message}"),
    ] {
        server.call(HOME, "GET", &path, Value::Null).await.expect(404);
    }
    server.call(HOME, "DELETE", &format!("{APPS}/{id}"), Value::Null).await.expect(404);
    let event = json!({ "eventType": "e", "payload": {} });
    server.call(HOME, "POST", &format!("{APPS}/gone/msg"), event).await.expect(404);
    let list = server.call(HOME, "GET", APPS, Value::Null).await.expect(200);
    assert_eq!(list["data"], json!([]));
    // The retry that was due is discarded, and the books still add up.
    server.clock.advance(Duration::from_secs(10));
    let line = &server.ledger().await[0];
    assert_eq!((line.accepted, line.discarded, line.pending), (1, 1, 0));
    assert_eq!(receiver.requests().len(), 1);
}
