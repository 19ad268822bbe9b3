//! The description of the API, and the page that shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::process::run;
use crate::support::server::TestServer;

/// Every route, by the operation id that the Svix API gives it.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("v1.application.create", "POST", "/api/v1/app"),
    ("v1.application.delete", "DELETE", "/api/v1/app/{app_id}"),
    ("v1.application.delete-secret", "DELETE", "/api/v1/app/{app_id}/secret"),
    ("v1.application.get", "GET", "/api/v1/app/{app_id}"),
    ("v1.application.get-secret", "GET", "/api/v1/app/{app_id}/secret"),
    ("v1.application.list", "GET", "/api/v1/app"),
    ("v1.application.patch", "PATCH", "/api/v1/app/{app_id}"),
    ("v1.application.rotate-secret", "POST", "/api/v1/app/{app_id}/secret/rotate"),
    ("v1.application.send-example", "POST", "/api/v1/app/{app_id}/send-example"),
    ("v1.application.update", "PUT", "/api/v1/app/{app_id}"),
    ("v1.authentication.app-portal-access", "POST", "/api/v1/auth/app-portal-access/{app_id}"),
    ("v1.authentication.expire-all", "POST", "/api/v1/auth/app/{app_id}/expire-all"),
    ("v1.authentication.logout", "POST", "/api/v1/auth/logout"),
    ("v1.background-task.cancel", "POST", "/api/v1/background-task/{task_id}/cancel"),
    ("v1.background-task.get", "GET", "/api/v1/background-task/{task_id}"),
    ("v1.background-task.list", "GET", "/api/v1/background-task"),
    ("v1.endpoint.bulk-replay", "POST", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay"),
    ("v1.endpoint.recover", "POST", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover"),
    (
        "v1.endpoint.replay-missing",
        "POST",
        "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    ),
    ("v1.endpoint.create", "POST", "/api/v1/app/{app_id}/endpoint"),
    ("v1.endpoint.delete", "DELETE", "/api/v1/app/{app_id}/endpoint/{endpoint_id}"),
    ("v1.endpoint.delete-secret", "DELETE", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret"),
    (
        "v1.endpoint.discard-pending",
        "POST",
        "/api/v1/app/{app_id}/endpoint/{endpoint_id}/discard-pending",
    ),
    ("v1.endpoint.enable", "POST", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/enable"),
    ("v1.endpoint.history", "GET", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/history"),
    ("v1.endpoint.get", "GET", "/api/v1/app/{app_id}/endpoint/{endpoint_id}"),
    ("v1.endpoint.get-headers", "GET", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers"),
    ("v1.endpoint.get-secret", "GET", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret"),
    ("v1.endpoint.list", "GET", "/api/v1/app/{app_id}/endpoint"),
    ("v1.endpoint.patch", "PATCH", "/api/v1/app/{app_id}/endpoint/{endpoint_id}"),
    ("v1.endpoint.patch-headers", "PATCH", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers"),
    (
        "v1.endpoint.rotate-secret",
        "POST",
        "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    ),
    (
        "v1.endpoint.send-example",
        "POST",
        "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example",
    ),
    ("v1.endpoint.update", "PUT", "/api/v1/app/{app_id}/endpoint/{endpoint_id}"),
    ("v1.endpoint.update-headers", "PUT", "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers"),
    ("v1.event-type-group.list", "GET", "/api/v1/event-type-group"),
    ("v1.event-type.create", "POST", "/api/v1/event-type"),
    ("v1.event-type.delete", "DELETE", "/api/v1/event-type/{event_type_name}"),
    ("v1.event-type.example", "GET", "/api/v1/event-type/{event_type_name}/example"),
    ("v1.event-type.get", "GET", "/api/v1/event-type/{event_type_name}"),
    ("v1.event-type.list", "GET", "/api/v1/event-type"),
    ("v1.event-type.patch", "PATCH", "/api/v1/event-type/{event_type_name}"),
    ("v1.event-type.update", "PUT", "/api/v1/event-type/{event_type_name}"),
    ("v1.event.list", "GET", "/api/v1/app/{app_id}/events"),
    ("v1.event.stream", "GET", "/api/v1/app/{app_id}/events/stream"),
    ("v1.health.get", "GET", "/api/v1/health"),
    ("v1.message-attempt.get", "GET", "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}"),
    (
        "v1.message-attempt.list-attempted-destinations",
        "GET",
        "/api/v1/app/{app_id}/msg/{msg_id}/endpoint",
    ),
    (
        "v1.message-attempt.list-by-endpoint",
        "GET",
        "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}",
    ),
    ("v1.message-attempt.list-by-msg", "GET", "/api/v1/app/{app_id}/attempt/msg/{msg_id}"),
    (
        "v1.message-attempt.resend",
        "POST",
        "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    ),
    ("v1.message.create", "POST", "/api/v1/app/{app_id}/msg"),
    ("v1.message.get", "GET", "/api/v1/app/{app_id}/msg/{msg_id}"),
    ("v1.message.list", "GET", "/api/v1/app/{app_id}/msg"),
    ("v1.operational-webhook.endpoint.create", "POST", "/api/v1/operational-webhook/endpoint"),
    (
        "v1.operational-webhook.endpoint.delete",
        "DELETE",
        "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    ),
    (
        "v1.operational-webhook.endpoint.get",
        "GET",
        "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    ),
    (
        "v1.operational-webhook.endpoint.get-headers",
        "GET",
        "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    ),
    (
        "v1.operational-webhook.endpoint.get-secret",
        "GET",
        "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret",
    ),
    ("v1.authentication.app-portal-access", "POST", "/api/v1/auth/app-portal-access/{app_id}"),
    ("v1.authentication.expire-all", "POST", "/api/v1/auth/app/{app_id}/expire-all"),
    ("v1.authentication.logout", "POST", "/api/v1/auth/logout"),
    ("v1.operational-webhook.endpoint.list", "GET", "/api/v1/operational-webhook/endpoint"),
    (
        "v1.operational-webhook.endpoint.rotate-secret",
        "POST",
        "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret/rotate",
    ),
    (
        "v1.operational-webhook.endpoint.update",
        "PUT",
        "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    ),
    (
        "v1.operational-webhook.endpoint.update-headers",
        "PUT",
        "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    ),
];

async fn document(server: &TestServer) -> Value {
    server.send("GET", "/api/v1/openapi.json", &[], "").await.expect(200)
}

/// Method, path and operation of everything that a document describes.
fn operations(document: &Value) -> Vec<(String, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().unwrap();
        operations.iter().map(|(method, one)| (method.to_uppercase(), path.as_str(), one))
    });
    operations.collect()
}

#[tokio::test]
async fn the_document_describes_exactly_these_operations() {
    let server = TestServer::start(&["standard"]).await;
    let document = document(&server).await;
    let described: BTreeSet<(&str, String, &str)> = operations(&document)
        .into_iter()
        .map(|(method, path, one)| (one["operationId"].as_str().unwrap(), method, path))
        .collect();
    let expected =
        OPERATIONS.iter().map(|&(id, method, path)| (id, method.to_owned(), path)).collect();
    assert_eq!(described, expected);
}

#[tokio::test]
async fn the_document_is_sound() {
    let server = TestServer::start(&["standard"]).await;
    let document = document(&server).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let schemes = &document["components"]["securitySchemes"];
    for requirement in document["security"].as_array().unwrap() {
        for name in requirement.as_object().unwrap().keys() {
            assert!(schemes[name].is_object(), "{name} is not a security scheme");
        }
    }
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{name}");
        let declared: BTreeSet<&str> = parameters(operation, "path");
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(declared, in_path, "{name}");
        let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
        assert!(statuses.iter().any(|status| status.starts_with('2')), "{name}: {statuses:?}");
        let has_body = operation["requestBody"].is_object();
        assert!(!has_body || method != "GET" && method != "DELETE", "{name}");
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn parameters<'a>(operation: &'a Value, place: &str) -> BTreeSet<&'a str> {
    let all = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = all.iter().filter(|one| one["in"] == place);
    named.map(|one| one["name"].as_str().unwrap()).collect()
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => into.push(target.clone()),
                    member => collect_references(member, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
        _ => {}
    }
}

#[tokio::test]
async fn lists_describe_their_parameters() {
    let server = TestServer::start(&["standard"]).await;
    let document = document(&server).await;
    let by_id: BTreeMap<&str, &Value> = operations(&document)
        .into_iter()
        .map(|(_, _, one)| (one["operationId"].as_str().unwrap(), one))
        .collect();
    for id in ["v1.application.list", "v1.endpoint.list", "v1.message.list", "v1.event-type.list"] {
        let query = parameters(by_id[id], "query");
        assert!(query.is_superset(&["limit", "iterator", "order"].into()), "{id}: {query:?}");
    }
    for id in ["v1.message-attempt.list-by-msg", "v1.message-attempt.list-by-endpoint"] {
        let query = parameters(by_id[id], "query");
        let expected = [
            "limit",
            "iterator",
            "order",
            "status",
            "status_code_class",
            "event_types",
            "channel",
            "before",
            "after",
            "with_content",
            "with_msg",
        ];
        assert!(query.is_superset(&expected.into()), "{id}: {query:?}");
    }
}

#[tokio::test]
async fn the_command_line_prints_the_same_document() {
    let server = TestServer::start(&["standard"]).await;
    let printed = run(&["openapi"]);
    assert!(printed.status.success());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed, document(&server).await);
}

#[tokio::test]
async fn the_reference_page_asks_nobody_else_for_anything() {
    let server = TestServer::start(&["standard"]).await;
    let moved = server.send("GET", "/docs", &[], "").await;
    assert_eq!(moved.status, 303);
    assert_eq!(moved.headers["location"], "/docs/");
    let page = server.send("GET", "/docs/", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(!page.text.contains("://"), "{}", page.text);

    let linked = linked_files(&page.text);
    assert!(linked.iter().any(|file| file.ends_with(".js")), "{linked:?}");
    assert!(linked.iter().any(|file| file.ends_with(".css")), "{linked:?}");
    for file in &linked {
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        let answer = server.send("GET", &path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}");
        let kind = answer.headers["content-type"].to_str().unwrap().to_owned();
        if file.ends_with(".css") {
            let loads_more = answer.text.contains("url(http") || answer.text.contains("@import");
            assert!(kind.starts_with("text/css") && !loads_more, "{path}");
        }
    }

    let settings = server.send("GET", "/docs/swagger-initializer.js", &[], "").await;
    assert_eq!(settings.status, 200);
    assert!(settings.text.contains(r#""/api/v1/openapi.json""#), "{}", settings.text);
    assert!(!settings.text.contains("://"), "{}", settings.text);
    // Unless told, the page has the document checked by a server of swagger.io.
    assert!(settings.text.contains(r#""validatorUrl": "none""#), "{}", settings.text);
}

/// What the page's `src` and `href` attributes name.
fn linked_files(page: &str) -> Vec<&str> {
    let starts = ["src=\"", "href=\""].into_iter().flat_map(|name| page.split(name).skip(1));
    starts.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn health_needs_no_key_and_says_nothing() {
    let server = TestServer::start(&["standard"]).await;
    for path in ["/api/v1/health", "/api/v1/health/"] {
        let answer = server.send("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    }
}
