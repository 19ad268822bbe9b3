//! Portals: links to them, tokens beside them, and their end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::server::{Answer, TestServer};

const HOME: &str = "standard";
const OTHER: &str = "kakiyo";

async fn access(server: &TestServer, environment: &str, app: &str, input: Value) -> Answer {
    let path = format!("/api/v1/auth/app-portal-access/{app}");
    server.call(environment, "POST", &path, input).await
}

/// The path of a portal's link.
fn link(made: &Value) -> String {
    let url = made["url"].as_str().unwrap();
    let (_, path) = url.split_once("/dashboard/").unwrap();
    format!("/dashboard/{path}")
}

/// Follows a link as a person does, by its button. Returns the cookie.
async fn follow(server: &TestServer, path: &str) -> Option<String> {
    let answer = server.send("POST", path, &[], "").await;
    let cookie = answer.headers.get("set-cookie")?.to_str().unwrap();
    assert_eq!(answer.status, 303);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    Some(cookie.split(';').next().unwrap().to_owned())
}

async fn open(server: &TestServer, cookie: &str, path: &str) -> Answer {
    server.send("GET", path, &[("cookie", cookie)], "").await
}

#[tokio::test]
async fn a_link_opens_the_portal_once() {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "acme").await;
    let made = access(&server, HOME, "acme", json!({})).await.expect(200);
    let path = link(&made);
    // Programs that look at links in chats don't use it up.
    for _ in 0..2 {
        assert_eq!(server.send("GET", &path, &[], "").await.status, 200);
    }
    let cookie = follow(&server, &path).await.unwrap();
    let page = "/dashboard/env/standard/app/acme/webhooks";
    let answer = open(&server, &cookie, page).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("No webhooks yet"), "{}", answer.text);
    assert_eq!(follow(&server, &path).await, None);
    server.clock.advance(Duration::from_secs(7 * 86_400));
    assert_eq!(open(&server, &cookie, page).await.status, 303);
}

#[tokio::test]
async fn a_link_that_nobody_followed_in_time_is_void() {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "acme").await;
    let made = access(&server, HOME, "acme", json!({ "expiry": 3_600 })).await.expect(200);
    server.clock.advance(Duration::from_secs(3_600));
    assert_eq!(follow(&server, &link(&made)).await, None);
}

#[tokio::test]
async fn a_token_opens_its_application_for_as_long_as_the_portal() {
    let server = TestServer::start(&[HOME]).await;
    for app in ["acme", "globex"] {
        server.application(HOME, app).await;
    }
    let made = access(&server, HOME, "acme", json!({ "expiry": 3_600 })).await.expect(200);
    let token = made["token"].as_str().unwrap();
    let status = async |path: &str| server.call_as(token, "GET", path, Value::Null).await.status;
    assert_eq!(status("/api/v1/app/acme/endpoint").await, 200);
    assert_eq!(status("/api/v1/app/globex/endpoint").await, 404);
    let input = json!({ "name": "another" });
    assert_eq!(server.call_as(token, "POST", "/api/v1/app", input).await.status, 403);
    let more =
        server.call_as(token, "POST", "/api/v1/auth/app-portal-access/acme", json!({})).await;
    assert_eq!(more.status, 403, "a portal can't prolong itself: {}", more.text);
    server.clock.advance(Duration::from_secs(3_600));
    assert_eq!(status("/api/v1/app/acme/endpoint").await, 401);
}

#[tokio::test]
async fn who_may_look_only_gets_no_token() {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "acme").await;
    let made = access(&server, HOME, "acme", json!({ "readOnly": true })).await.expect(200);
    assert_eq!(made["token"], "");
    let cookie = follow(&server, &link(&made)).await.unwrap();
    let at = "/dashboard/env/standard/app/acme/webhooks";
    assert!(!open(&server, &cookie, at).await.text.contains("New webhook"));
    assert_eq!(open(&server, &cookie, &format!("{at}/new")).await.status, 403);
}

#[tokio::test]
async fn all_ways_in_end_together() {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "acme").await;
    let entered = access(&server, HOME, "acme", json!({})).await.expect(200);
    let waiting = access(&server, HOME, "acme", json!({})).await.expect(200);
    let cookie = follow(&server, &link(&entered)).await.unwrap();
    let path = "/api/v1/auth/app/acme/expire-all";
    server.call(HOME, "POST", path, Value::Null).await.expect(204);
    assert_eq!(
        open(&server, &cookie, "/dashboard/env/standard/app/acme/webhooks").await.status,
        303
    );
    assert_eq!(follow(&server, &link(&waiting)).await, None);
    let token = entered["token"].as_str().unwrap();
    let answer = server.call_as(token, "GET", "/api/v1/app/acme", Value::Null).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_token_can_be_given_back() {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "acme").await;
    let made = access(&server, HOME, "acme", json!({})).await.expect(200);
    let token = made["token"].as_str().unwrap();
    server.call_as(token, "POST", "/api/v1/auth/logout", Value::Null).await.expect(204);
    // As with keys, it takes up to two seconds until everybody knows.
    server.clock.advance(Duration::from_secs(2));
    let answer = server.call_as(token, "GET", "/api/v1/app/acme", Value::Null).await;
    assert_eq!(answer.status, 401);
    // The portal itself is still open.
    assert!(follow(&server, &link(&made)).await.is_some());
}

#[tokio::test]
async fn a_portal_shows_the_environments_that_were_named() {
    let server = TestServer::start(&[HOME, OTHER]).await;
    server.application(HOME, "acme").await;
    let input = json!({ "environments": [HOME, OTHER] });
    let made = access(&server, HOME, "acme", input).await.expect(200);
    let cookie = follow(&server, &link(&made)).await.unwrap();
    for (environment, name) in [(HOME, "Standard"), (OTHER, "Kakiyo")] {
        let path = format!("/dashboard/env/{environment}/app/acme/webhooks");
        let answer = open(&server, &cookie, &path).await;
        assert_eq!(answer.status, 200, "it was made in {environment} where it was missing");
        assert!(answer.text.contains(name));
    }
    let alone = access(&server, HOME, "acme", json!({})).await.expect(200);
    let cookie = follow(&server, &link(&alone)).await.unwrap();
    let path = "/dashboard/env/kakiyo/app/acme/webhooks";
    assert_eq!(open(&server, &cookie, path).await.status, 404);
}

#[tokio::test]
async fn an_application_can_be_made_with_its_first_portal() {
    let server = TestServer::start(&[HOME]).await;
    assert_eq!(access(&server, HOME, "new", json!({})).await.status, 404);
    let input = json!({ "application": { "name": "New Ltd" } });
    access(&server, HOME, "new", input).await.expect(200);
    let made = server.call(HOME, "GET", "/api/v1/app/new", Value::Null).await.expect(200);
    assert_eq!(made["name"], "New Ltd");
}

#[tokio::test]
async fn what_can_not_be_asked_for_is_named() {
    let server = TestServer::start(&[HOME, OTHER]).await;
    server.application(HOME, "acme").await;
    for (input, field) in [
        (json!({ "expiry": 3_599 }), "expiry"),
        (json!({ "expiry": 604_801 }), "expiry"),
        (json!({ "environments": [] }), "environments"),
        (json!({ "environments": [HOME, "nowhere"] }), "environments/1"),
    ] {
        let answer = access(&server, HOME, "acme", input).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        let location = answer.json["detail"][0]["loc"].as_array().unwrap();
        let location: Vec<&str> = location.iter().filter_map(Value::as_str).collect();
        assert_eq!(location.join("/"), format!("body/{field}"));
    }
}

#[tokio::test]
async fn a_portal_follows_its_application_and_not_its_uid() {
    let server = TestServer::start(&[HOME]).await;
    let made = server.call(HOME, "POST", "/api/v1/app", json!({ "name": "First" })).await;
    let id = made.expect(201)["id"].as_str().unwrap().to_owned();
    let portal = access(&server, HOME, &id, json!({})).await.expect(200);
    let cookie = follow(&server, &link(&portal)).await.unwrap();
    let token = portal["token"].as_str().unwrap();
    let app = format!("/api/v1/app/{id}");
    // It gets a uid, and its name as well: the portal stays its own.
    let input = json!({ "name": "First", "uid": "acme" });
    server.call(HOME, "PUT", &app, input).await.expect(200);
    let page = "/dashboard/env/standard/app/acme/webhooks";
    assert_eq!(open(&server, &cookie, page).await.status, 200);

    // Its uid goes to another: what is theirs is not found.
    let input = json!({ "name": "First", "uid": "acme-old" });
    server.call(HOME, "PUT", &app, input).await.expect(200);
    server.application(HOME, "acme").await;
    assert_eq!(open(&server, &cookie, page).await.status, 404);
    let status = async |path: &str| server.call_as(token, "GET", path, Value::Null).await.status;
    assert_eq!(status("/api/v1/app/acme").await, 404);
    assert_eq!(status("/api/v1/app/acme-old").await, 200);

    server.call(HOME, "DELETE", &app, Value::Null).await.expect(204);
    server.clock.advance(Duration::from_secs(2));
    assert_eq!(status("/api/v1/app/acme").await, 401);
    assert_eq!(open(&server, &cookie, "/dashboard").await.status, 303);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let server = TestServer::start(&[HOME, OTHER]).await;
    let input = json!({ "application": {}, "environments": [HOME, OTHER, "nowhere"] });
    assert_eq!(access(&server, HOME, "new", input).await.status, 422);
    for environment in [HOME, OTHER] {
        let answer = server.call(environment, "GET", "/api/v1/app/new", Value::Null).await;
        assert_eq!(answer.status, 404);
    }
}
