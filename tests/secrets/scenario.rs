//! A server that does everything it can do with secrets.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::canaries::Canaries;
use crate::support::certificates::Authority;
use crate::support::credentials::token;
use crate::support::process::{Api, ServerProcess, hookwright, run};
use crate::support::receiver::{Options, Receiver, Reply, Script, Step};
use crate::support::websocket_receiver::WebsocketReceiver;

const JWT_SECRET: &str = "canary-jwt-secret-40b1f6c2a98e";
const CONFIGURED_ADMIN_KEY: &str = "canary-configured-admin-key-6620";
const ENVIRONMENTS: &str = "standard=standard,klink=klink,kakiyo=kakiyo,kynectlocal=kynectlocal,\
    token=tests/secrets/token.toml";

/// Every word of customers' secrets, each different.
const CUSTOM_SECRET: &str = "whsec_Y2FuYXJ5LW9mLWEtY3VzdG9tZXJzLXNlY3JldA==";
const ROTATED_SECRET: &str = "whsec_Y2FuYXJ5LW9mLWEtcm90YXRlZC1zZWNyZXQx";
const PRIVATE_KEY: &str = "whsk_Y2FuYXJ5LW9mLWEtcHJpdmF0ZS1rZXktMzJieXRlcyE=";
const SHARED_SECRET: &str = "canary-secret-of-an-application-c7d0";
const TEXT_SECRET: &str = "canary-customers-own-text-secret-51d2";
const HEADER_VALUE: &str = "canary-custom-header-value-77aa";
const BASIC_TOKEN: &str = "Basic Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBhc3N3b3Jk";
const WEBSOCKET_TOKEN: &str = "canary-websocket-token-1f7d";
const AUTH_HEADER_VALUE: &str = "canary-auth-header-value-b83e";

struct Scenario {
    server: ServerProcess,
    /// Opens every environment.
    admin: String,
    canaries: Canaries,
}

impl Scenario {
    fn start(dir: &Path, args: &[&str]) -> ServerProcess {
        let mut all = vec!["--environments", ENVIRONMENTS, "--jwt-secret", JWT_SECRET];
        all.extend(["--allow-private", "127.0.0.0/8", "--allow-http", "--log", "trace"]);
        all.extend(args);
        ServerProcess::start(dir, &all)
    }

    async fn call_with(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut api = Api::connect(self.server.address, "").await;
        api.call_with(method, path, headers, body).await.unwrap()
    }

    async fn call(&self, environment: &str, method: &str, path: &str, body: Value) -> Value {
        let authorization = format!("Bearer {}", self.admin);
        let headers =
            [("authorization", authorization.as_str()), ("hookwright-environment", environment)];
        let (status, answer) = self.call_with(&headers, method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
        answer
    }

    async fn endpoint(&self, environment: &str, fields: Value) -> String {
        let made = self.call(environment, "POST", "/api/v1/app/t/endpoint", fields).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// Publishes an event and waits until each of its deliveries had this many attempts.
    async fn publish(&self, environment: &str, event: &str, attempts: u64) {
        let input = json!({ "eventType": event, "payload": { "n": 1 } });
        let made = self.call(environment, "POST", "/api/v1/app/t/msg", input).await;
        let path = format!("/api/v1/app/t/msg/{}/endpoint", made["id"].as_str().unwrap());
        let started = Instant::now();
        loop {
            let list = self.call(environment, "GET", &path, Value::Null).await;
            let data = list["data"].as_array().unwrap();
            assert!(!data.is_empty());
            if data.iter().all(|one| one["attempts"].as_u64() >= Some(attempts)) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{list}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Refused credentials, which are often good ones for something else.
async fn knock_with_bad_credentials(scenario: &mut Scenario) {
    let bad = "canary-mistyped-api-key-a91c55";
    scenario.canaries.add("a refused key", bad);
    let head = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({ "sub": "standard", "exp": 1 });
    let expired = token(&head, &claims, ring::hmac::HMAC_SHA256, JWT_SECRET);
    let good = token(&head, &json!({ "sub": "standard" }), ring::hmac::HMAC_SHA256, JWT_SECRET);
    for (credential, expected) in [(bad, 401), (&expired, 401), (&good, 200)] {
        let authorization = format!("Bearer {credential}");
        let headers = [("authorization", authorization.as_str())];
        let (status, _) = scenario.call_with(&headers, "GET", "/api/v1/app", Value::Null).await;
        assert_eq!(status, expected);
    }
    scenario.canaries.add("an expired token", &expired);
    scenario.canaries.add("a token", &good);
}

/// Endpoints with every kind of secret, at a receiver and a broken one.
async fn set_up(scenario: &mut Scenario, receivers: &[&Receiver]) {
    for environment in ["standard", "klink", "kakiyo", "kynectlocal", "token"] {
        let input = json!({ "name": "T", "uid": "t" });
        scenario.call(environment, "POST", "/api/v1/app", input).await;
    }
    let shared = json!({ "key": SHARED_SECRET });
    scenario.call("token", "POST", "/api/v1/app/t/secret/rotate", shared).await;
    for (index, receiver) in receivers.iter().enumerate() {
        let url = receiver.url("/hook");
        let url = url.as_str();
        let fields = json!({
            "url": url, "secret": CUSTOM_SECRET,
            "headers": { "x-api-token": HEADER_VALUE, "x-plain": format!("{HEADER_VALUE}-plain") },
        });
        let id = scenario.endpoint("standard", fields).await;
        let rotate = format!("/api/v1/app/t/endpoint/{id}/secret/rotate");
        scenario.call("standard", "POST", &rotate, json!({ "key": ROTATED_SECRET })).await;
        scenario.endpoint("standard", json!({ "url": url, "secret": PRIVATE_KEY })).await;
        scenario.endpoint("token", json!({ "url": url })).await;
        let generated = scenario.endpoint("standard", json!({ "url": url })).await;
        remember_secret(scenario, "standard", &generated).await;
        for (auth, name) in [
            (json!({ "type": "basic", "token": BASIC_TOKEN }), "basic"),
            (json!({ "type": "header", "name": "X-Key", "value": AUTH_HEADER_VALUE }), "header"),
        ] {
            let fields = json!({
                "url": url, "name": format!("{name} {index}"), "filterTypes": ["room.solved"], "auth": auth
            });
            let id = scenario.endpoint("klink", fields).await;
            remember_secret(scenario, "klink", &id).await;
        }
        let fields = json!({
            "url": url, "name": "n", "filterTypes": ["lead.created"], "secret": TEXT_SECRET
        });
        scenario.endpoint("kynectlocal", fields).await;
        let fields = json!({
            "url": url, "name": "n", "filterTypes": ["message.sent"], "secret": format!("{TEXT_SECRET}-k")
        });
        scenario.endpoint("kakiyo", fields).await;
    }
}

/// An endpoint whose credential goes with a handshake rather than with requests.
async fn set_up_websocket(scenario: &mut Scenario, receiver: &WebsocketReceiver) {
    let fields = json!({
        "url": receiver.url("/live"), "transport": "websocket", "name": "live",
        "filterTypes": ["room.solved"], "auth": { "type": "basic", "token": WEBSOCKET_TOKEN },
    });
    let id = scenario.endpoint("klink", fields).await;
    remember_secret(scenario, "klink", &id).await;
}

/// A key made on the command line, and used.
async fn make_a_key(scenario: &mut Scenario, dir: &Path, master_key: &str) {
    let mut create = hookwright(&["key", "create", "--environment", "standard"]);
    create.args(["--environments", ENVIRONMENTS, "--master-key", master_key, "--data-dir"]);
    let made = create.arg(dir).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str())];
    assert_eq!(scenario.call_with(&headers, "GET", "/api/v1/app", Value::Null).await.0, 200);
    scenario.canaries.add("an API key", &key);
}

async fn remember_secret(scenario: &mut Scenario, environment: &str, endpoint: &str) {
    let path = format!("/api/v1/app/t/endpoint/{endpoint}/secret");
    let shown = scenario.call(environment, "GET", &path, Value::Null).await;
    scenario.canaries.add("a generated secret", shown["key"].as_str().unwrap());
}

/// A call over HTTP/2, which is a log of its own.
async fn call_over_http2(scenario: &Scenario) {
    let stream = TcpStream::connect(scenario.server.address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut requests, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(format!("http://{}/api/v1/app", scenario.server.address))
        .header("authorization", format!("Bearer {}", scenario.admin))
        .header("hookwright-environment", "standard")
        .body(Empty::<Bytes>::new())
        .unwrap();
    assert_eq!(requests.send_request(request).await.unwrap().status(), 200);
}

/// Requests that are refused with secrets in them: what is refused is not shown either.
async fn send_secrets_that_are_refused(scenario: &mut Scenario) {
    let authorization = format!("Bearer {}", scenario.admin);
    let headers =
        [("authorization", authorization.as_str()), ("hookwright-environment", "standard")];
    let bad_secret = "canary-refused-signing-secret-0be2";
    let bad_header = "canary-refused-header-value-99f1";
    scenario.canaries.add("a refused secret", bad_secret);
    scenario.canaries.add("a refused header", bad_header);
    for fields in [
        json!({ "url": "https://example.com", "secret": bad_secret }),
        json!({ "url": "https://example.com", "headers": { "x": format!("{bad_header}\r\n") } }),
        json!({ "url": "https://example.com", "headers": { "host": bad_header } }),
        json!({ "url": "https://example.com", "secret": [bad_secret] }),
    ] {
        let path = "/api/v1/app/t/endpoint";
        let (status, answer) = scenario.call_with(&headers, "POST", path, fields).await;
        assert_eq!(status, 422);
        let found = scenario.canaries.found_in(answer.to_string().as_bytes());
        assert!(found.is_empty(), "the answer shows {found:?}");
    }
}

/// The secrets that are known before the server runs.
fn known_secrets(master_key: &str) -> Canaries {
    let mut canaries = Canaries::default();
    for (what, text) in [
        ("the master key", master_key),
        ("the JWT secret", JWT_SECRET),
        ("the configured admin key", CONFIGURED_ADMIN_KEY),
        ("a customer's secret", CUSTOM_SECRET),
        ("a rotated secret", ROTATED_SECRET),
        ("a private key", PRIVATE_KEY),
        ("an application's secret", SHARED_SECRET),
        ("a text secret", TEXT_SECRET),
        ("a custom header", HEADER_VALUE),
        ("a basic token", BASIC_TOKEN),
        ("a websocket's token", WEBSOCKET_TOKEN),
        ("a header credential", AUTH_HEADER_VALUE),
    ] {
        canaries.add(what, text);
    }
    canaries
}

async fn receivers(authority: &Authority) -> [Receiver; 4] {
    let tls = |alpn| Options {
        tls: Some(authority.issue(&["127.0.0.1"]).server_config(alpn)),
        ..Options::default()
    };
    // Fails at first, so that there are retries.
    let failing =
        Script::sequence(vec![Reply::status(500), Reply::status(500), Reply::status(200)]);
    [
        Receiver::start(failing).await,
        Receiver::start(Reply::step(Step::Reset)).await,
        Receiver::start_with(tls(&["http/1.1"]), Reply::status(200)).await,
        Receiver::start_with(tls(&["h2"]), Reply::status(200)).await,
    ]
}

/// Publishes in every environment.
async fn publish_everywhere(scenario: &Scenario) {
    scenario.publish("standard", "invoice.paid", 1).await;
    scenario.publish("klink", "room.solved", 1).await;
    scenario.publish("kynectlocal", "lead.created", 1).await;
}

/// Publishes where retries come soonest, and waits for one.
async fn publish_with_a_retry(scenario: &Scenario, resetting: &Receiver) {
    let before = resetting.requests().len();
    let input = json!({ "eventType": "message.sent", "payload": {} });
    scenario.call("kakiyo", "POST", "/api/v1/app/t/msg", input).await;
    resetting.wait_for(before + 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_at_trace_level_or_stored_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let authority = Authority::new("secrets");
    let roots = authority.pem_file();
    let receivers = receivers(&authority).await;
    let master_key = [0xc5, 0x1e, 0x77, 0x02, 0x9d, 0xf3, 0x48, 0x6b].repeat(4);
    let master_key = BASE64_STANDARD.encode(master_key);
    let ca = roots.path().to_str().unwrap();
    let args = ["--tls-ca-file", ca, "--master-key", &master_key];
    let server = Scenario::start(&data, &args);

    let printed = server.output();
    let first = printed.split_whitespace().find(|word| word.starts_with("hw_")).unwrap().to_owned();
    let mut scenario =
        Scenario { server, admin: first.clone(), canaries: known_secrets(&master_key) };
    let all: Vec<&Receiver> = receivers.iter().collect();
    set_up(&mut scenario, &all).await;
    let live = WebsocketReceiver::answering(200).await;
    set_up_websocket(&mut scenario, &live).await;
    make_a_key(&mut scenario, &data, &master_key).await;
    knock_with_bad_credentials(&mut scenario).await;
    send_secrets_that_are_refused(&mut scenario).await;
    call_over_http2(&scenario).await;
    publish_everywhere(&scenario).await;
    publish_with_a_retry(&scenario, &receivers[1]).await;
    assert!(receivers[3].requests().iter().all(|request| request.head.is_empty()), "over HTTP/2");
    for receiver in [&receivers[0], &receivers[2], &receivers[3]] {
        let arrived = receiver.wait_for(6).await;
        let seen = arrived.iter().any(|one| one.header("x-key") == Some(AUTH_HEADER_VALUE));
        assert!(seen, "the credentials did not arrive");
    }
    live.wait_for(1).await;
    assert_eq!(live.connections()[0].header("authorization"), Some(WEBSOCKET_TOKEN));
    // While it runs, the log of the store holds what its file doesn't hold yet.
    scenario.canaries.assert_none_below(&data, None);

    // Once more on the same store, with the admin key from the configuration.
    let Scenario { server, mut canaries, .. } = scenario;
    let (status, first_output) = server.terminate();
    assert!(status.success());
    let server = Scenario::start(
        &data,
        &[&args[..], &["--admin-key", CONFIGURED_ADMIN_KEY, "--log-format", "json"]].concat(),
    );
    let again =
        Scenario { server, admin: CONFIGURED_ADMIN_KEY.to_owned(), canaries: Canaries::default() };
    publish_everywhere(&again).await;
    let (status, second_output) = again.server.terminate();
    assert!(status.success());

    // The log is complete: dependencies speak too, and of both directions.
    for target in ["hookwright::engine", "h2::", "TRACE"] {
        assert!(first_output.contains(target), "{target} is silent");
    }
    assert!(second_output.contains("\"TRACE\""), "the JSON log is quiet");
    assert_eq!(
        first_output.matches(&first).count(),
        2,
        "the first key is printed once, and once to try it"
    );
    canaries.add("the first admin key", &first);
    canaries.assert_none_printed(&first_output.replace(&first, ""));
    canaries.assert_none_printed(&second_output);
    canaries.assert_none_below(&data, None);
}

#[test]
fn a_master_key_that_is_made_is_only_in_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &["--log", "trace"]);
    let (status, output) = server.terminate();
    assert!(status.success());
    let key = std::fs::read_to_string(dir.path().join("master.key")).unwrap();
    let mut canaries = Canaries::default();
    canaries.add("the master key", key.trim());
    assert!(canaries.found_in(output.as_bytes()).is_empty());
    canaries.assert_none_below(dir.path(), Some("master.key"));
    // Nor do the errors of commands show a key that is given to them.
    let wrong = "canary-not-a-master-key-3d00";
    let mut canaries = Canaries::default();
    canaries.add("a wrong master key", wrong);
    let path = dir.path().to_str().unwrap();
    let output = run(&["key", "list", "--data-dir", path, "--master-key", wrong]);
    assert!(!output.status.success());
    assert!(
        canaries.found_in(&output.stderr).is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
