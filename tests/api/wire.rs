//! Facts of the wire: errors, methods, slashes.

use serde_json::{Value, json};

use crate::support::server::{ADMIN_KEY, TestServer};

const HOME: &str = "standard";

#[tokio::test]
async fn trailing_slashes_make_no_difference() {
    let server = TestServer::start(&[HOME]).await;
    for path in ["/api/v1/app/", "/api/v1/app//", "/api/v1/app/?limit=3"] {
        server.call(HOME, "GET", path, Value::Null).await.expect(200);
    }
    server.call(HOME, "POST", "/api/v1/app/", json!({ "name": "A", "uid": "a" })).await.expect(201);
    server.call(HOME, "GET", "/api/v1/app/a/", Value::Null).await.expect(200);
    let event = json!({ "eventType": "e", "payload": {} });
    server.call(HOME, "POST", "/api/v1/app/a/msg/", event).await.expect(202);
    server.call(HOME, "DELETE", "/api/v1/app/a/", Value::Null).await.expect(204);
}

#[tokio::test]
async fn the_scheme_of_the_credential_is_read_in_any_case() {
    let server = TestServer::start(&[HOME]).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let authorization = format!("{scheme} {ADMIN_KEY}");
        let headers = [("authorization", authorization.as_str())];
        server.send("GET", "/api/v1/app", &headers, "").await.expect(200);
    }
}

#[tokio::test]
async fn an_admin_key_need_not_name_the_only_environment() {
    let server = TestServer::start(&[HOME]).await;
    server.call_as(ADMIN_KEY, "GET", "/api/v1/app", Value::Null).await.expect(200);
}

#[tokio::test]
async fn unknown_paths_are_404_in_json() {
    let server = TestServer::start(&[HOME]).await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/app",
        "/api/v1/apps",
        "/api/v1/app/a/b",
        "/api/v1/App",
        "/api/v1/%61pps",
        "/api/v1/app/a/msg/b/c/d/e/f",
        "/api/v1/openapi.json/x",
        "/favicon.ico",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = server.call(HOME, method, path, Value::Null).await;
            assert_eq!(answer.status, 404, "{method} {path}");
            assert_eq!(answer.json["code"], "not_found", "{method} {path}: {}", answer.text);
            assert_eq!(answer.headers["content-type"], "application/json");
        }
    }
    let long = format!("/{}", "x".repeat(5_000));
    let answer = server.call(HOME, "GET", &long, Value::Null).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text.len() < 500, "a path of any length is not repeated");
}

#[tokio::test]
async fn wrong_methods_are_405_in_json() {
    let server = TestServer::start(&[HOME]).await;
    let document = server.send("GET", "/api/v1/openapi.json", &[], "").await.expect(200);
    let mut paths: Vec<(String, Vec<String>)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            (path.replace(['{', '}'], ""), methods.map(|one| one.to_uppercase()).collect())
        })
        .collect();
    for page in ["/api/v1/openapi.json", "/docs", "/docs/"] {
        paths.push((page.to_owned(), vec!["GET".to_owned()]));
    }
    for (path, allowed) in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allowed.iter().any(|one| one == method) {
                continue;
            }
            let answer = server.call(HOME, method, &path, Value::Null).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(
                answer.json["code"], "method_not_allowed",
                "{method} {path}: {}",
                answer.text
            );
            let allow = answer.headers["allow"].to_str().unwrap().to_owned();
            for one in &allowed {
                assert!(allow.split(',').any(|name| name == one), "{path}: {allow}");
            }
        }
    }
}

#[tokio::test]
async fn refused_fields_are_a_list_and_other_errors_a_code() {
    let server = TestServer::start(&[HOME]).await;
    let refused = server.call(HOME, "POST", "/api/v1/app", json!({ "name": "", "uid": "a b" }));
    let refused = refused.await.expect(422);
    assert_eq!(refused.as_object().unwrap().len(), 1);
    let detail = refused["detail"].as_array().unwrap();
    assert_eq!(detail.len(), 2, "both mistakes at once: {refused}");
    for (one, field) in detail.iter().zip(["name", "uid"]) {
        assert_eq!(one["loc"], json!(["body", field]));
        assert!(one["msg"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(one["type"], "value_error");
        assert_eq!(one.as_object().unwrap().len(), 3);
    }
    let missing = server.call(HOME, "GET", "/api/v1/app/nobody", Value::Null).await.expect(404);
    assert_eq!(missing, json!({ "code": "not_found", "detail": "Entity not found" }));
    let query = server.call(HOME, "GET", "/api/v1/app?limit=many", Value::Null).await.expect(422);
    assert_eq!(query["detail"][0]["loc"], json!(["query", "limit"]));
}
