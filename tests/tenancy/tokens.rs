//! JSON Web Tokens: which are taken, and for what.

use std::time::Duration;

use ring::hmac;
use serde_json::{Value, json};

use super::world::{HOME, World, assert_refused};
use crate::support::credentials::{jwt, token};
use crate::support::server::{JWT_SECRET, START, TestServer};

const APPS: &str = "/api/v1/app";

/// Seconds by which the clocks of issuer and server may differ.
const LEEWAY: i64 = 60;

fn now() -> i64 {
    START.as_seconds()
}

async fn status(server: &TestServer, token: &str) -> u16 {
    let answer = server.call_as(token, "GET", APPS, Value::Null).await;
    if answer.status == 401 {
        assert_refused(&answer, 401, "authentication_failed", token);
    }
    answer.status
}

#[tokio::test]
async fn a_token_opens_the_environment_that_it_names() {
    let world = World::new().await;
    let token = jwt(&json!({ "sub": HOME, "iat": now(), "exp": now() + 3_600 }));
    let list = world.server.call_as(&token, "GET", APPS, Value::Null).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let input = json!({ "name": "Made with a token", "uid": "tokens" });
    world.server.call_as(&token, "POST", APPS, input).await.expect(201);
    world.server.call(HOME, "GET", "/api/v1/app/tokens", Value::Null).await.expect(200);
}

#[tokio::test]
async fn an_environment_that_nobody_configured_is_made_on_first_use() {
    let server = TestServer::start(&["standard", "kakiyo"]).await;
    let org = jwt(&json!({ "sub": "org_23rb8YdGqMT0qIzpgGwdXfHirMu" }));
    let input = json!({ "name": "First", "uid": "first" });
    let made = server.call_as(&org, "POST", APPS, input).await.expect(201);
    let path = "/api/v1/app/first/endpoint";
    let fields = json!({ "url": "http://127.0.0.1:9/" });
    let endpoint = server.call_as(&org, "POST", path, fields).await.expect(201);
    assert_eq!(endpoint["environment"], "org_23rb8YdGqMT0qIzpgGwdXfHirMu");
    for other in ["standard", "org_other"] {
        let other = jwt(&json!({ "sub": other }));
        let path = format!("{APPS}/{}", made["id"].as_str().unwrap());
        assert_eq!(server.call_as(&other, "GET", &path, Value::Null).await.status, 404);
    }
}

#[tokio::test]
async fn names_that_cannot_be_environments_open_nothing() {
    let server = TestServer::start(&[HOME]).await;
    for sub in ["", " ", "a b", "../standard", "st\u{e4}ndard", "a\0b", &"x".repeat(65)] {
        assert_eq!(status(&server, &jwt(&json!({ "sub": sub }))).await, 401, "{sub:?}");
    }
    for claims in [json!({}), json!({ "sub": 1 }), json!({ "sub": null }), json!([]), json!("x")] {
        assert_eq!(status(&server, &jwt(&claims)).await, 401, "{claims}");
    }
}

#[tokio::test]
async fn times_are_kept_by_the_servers_clock() {
    let server = TestServer::start(&[HOME]).await;
    let at = |name: &str, seconds: i64| {
        let mut claims = json!({ "sub": HOME });
        claims[name] = json!(now() + seconds);
        jwt(&claims)
    };
    assert_eq!(status(&server, &at("exp", 1)).await, 200);
    assert_eq!(status(&server, &at("exp", -LEEWAY - 1)).await, 401);
    assert_eq!(status(&server, &at("exp", -1_000_000_000)).await, 401);
    assert_eq!(status(&server, &at("nbf", 0)).await, 200);
    assert_eq!(status(&server, &at("nbf", LEEWAY + 1)).await, 401);
    let fractional = json!({ "sub": HOME, "exp": now() as f64 + 0.5, "nbf": now() as f64 - 0.5 });
    assert_eq!(status(&server, &jwt(&fractional)).await, 200);
    for extreme in [i64::MAX, i64::MIN] {
        let claims = json!({ "sub": HOME, "exp": extreme, "nbf": extreme });
        assert_eq!(status(&server, &jwt(&claims)).await, 401);
    }
    // The same token, used before and after its end: nothing remembers it for longer.
    let token = at("exp", 10);
    assert_eq!(status(&server, &token).await, 200);
    server.clock.advance(Duration::from_secs(9 + LEEWAY.unsigned_abs()));
    assert_eq!(status(&server, &token).await, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&server, &token).await, 401);
}

#[tokio::test]
async fn only_hs256_with_the_right_secret_is_a_signature() {
    let server = TestServer::start(&[HOME]).await;
    let claims = json!({ "sub": HOME });
    let head = |algorithm: &str| json!({ "alg": algorithm, "typ": "JWT" });
    let good = token(&head("HS256"), &claims, hmac::HMAC_SHA256, JWT_SECRET);
    assert_eq!(status(&server, &good).await, 200);

    let wrong = token(&head("HS256"), &claims, hmac::HMAC_SHA256, "another-secret-of-16");
    assert_eq!(status(&server, &wrong).await, 401, "another secret");
    let empty = token(&head("HS256"), &claims, hmac::HMAC_SHA256, "");
    assert_eq!(status(&server, &empty).await, 401, "an empty secret");
    for (name, algorithm) in [
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
        // Signed properly, but not by what the header says.
        ("HS512", hmac::HMAC_SHA256),
        ("none", hmac::HMAC_SHA256),
        ("None", hmac::HMAC_SHA256),
        ("hs256", hmac::HMAC_SHA256),
        ("RS256", hmac::HMAC_SHA256),
        ("ES256", hmac::HMAC_SHA256),
        ("EdDSA", hmac::HMAC_SHA256),
    ] {
        let other = token(&head(name), &claims, algorithm, JWT_SECRET);
        assert_eq!(status(&server, &other).await, 401, "{name}");
    }
    let parts: Vec<&str> = good.split('.').collect();
    let none = token(&head("none"), &claims, hmac::HMAC_SHA256, JWT_SECRET);
    let none_head = none.split('.').next().unwrap();
    for forged in [
        format!("{none_head}.{}.", parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", none_head, parts[1], parts[2]),
        format!("{}.{}.{}x", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][1..]),
        format!(".{}.{}", parts[1], parts[2]),
        "..".to_owned(),
    ] {
        assert_eq!(status(&server, &forged).await, 401, "{forged}");
    }
    // Other claims under the signature of these.
    let other = jwt(&json!({ "sub": "kakiyo" }));
    let payload = other.split('.').nth(1).unwrap();
    let spliced = format!("{}.{payload}.{}", parts[0], parts[2]);
    assert_eq!(status(&server, &spliced).await, 401);
}

#[tokio::test]
async fn an_application_needs_its_organisation_and_the_other_way_round() {
    let world = World::new().await;
    for claims in [
        // An application alone doesn't say behind which wall it is, and is no environment.
        json!({ "sub": world.victim }),
        json!({ "org": HOME, "sub": HOME }),
        json!({ "org": HOME, "sub": "victim" }),
        json!({ "org": HOME }),
        json!({ "org": "", "sub": world.victim }),
    ] {
        assert_eq!(status(&world.server, &jwt(&claims)).await, 401, "{claims}");
    }
}

#[tokio::test]
async fn without_a_secret_no_token_is_taken() {
    let server = TestServer::start_with(&[HOME], |config| config.jwt_secret = None).await;
    let head = json!({ "alg": "HS256", "typ": "JWT" });
    for secret in [JWT_SECRET, "", "null"] {
        let token = token(&head, &json!({ "sub": HOME }), hmac::HMAC_SHA256, secret);
        assert_eq!(status(&server, &token).await, 401);
    }
}
