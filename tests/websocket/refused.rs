//! Handshakes: what they carry, and receivers and addresses that there is none with.

use std::collections::HashMap;
use std::time::Duration;

use hookwright::sender::Resolver;
use serde_json::{Value, json};

use super::harness::{attempts, form, publish, server, succeeded, workspace};
use super::support::certificates::Authority;
use super::support::receiver::{Receiver, Reply};
use super::support::server::TestServer;
use super::support::tenant::refused;
use super::support::websocket_receiver::WebsocketReceiver;

/// The one attempt at a delivery to this URL.
async fn attempt_at(server: &TestServer, url: &str) -> Value {
    workspace(server).await.endpoint(form(url)).await;
    let message = publish(server, "{}").await;
    attempts(server, &message, 1).await[0].clone()
}

#[tokio::test]
async fn the_handshake_carries_the_endpoints_authentication() {
    let server = server().await;
    let receiver = WebsocketReceiver::answering(200).await;
    let workspace = workspace(&server).await;
    let mut fields = form(&receiver.url("/live?room=7"));
    fields["auth"] = json!({ "type": "basic", "token": "Bearer  as typed" });
    let id = workspace.endpoint(fields).await;
    let message = publish(&server, "{}").await;
    succeeded(&server, &message).await;
    let opened = &receiver.connections()[0];
    assert_eq!(opened.target, "/live?room=7");
    assert_eq!(opened.header("authorization"), Some("Bearer  as typed"));
    assert_eq!(opened.header("host"), receiver.url("").strip_prefix("ws://"));
    let user_agent = format!("Hookwright/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(opened.header("user-agent"), Some(user_agent.as_str()));
    assert_eq!(opened.header("x-signature"), None);
    assert!(!receiver.frames()[0].text.contains("as typed"));

    // Whoever is known otherwise from now on connects anew.
    let auth = json!({ "type": "header", "name": "X-API-Key", "value": "hush" });
    workspace.change(&id, json!({ "auth": auth })).await.expect(200);
    receiver.wait_for_close(0).await;
    let message = publish(&server, "{}").await;
    succeeded(&server, &message).await;
    let opened = &receiver.connections()[1];
    assert_eq!(opened.header("x-api-key"), Some("hush"));
    assert_eq!(opened.header("authorization"), None);
}

#[tokio::test]
async fn a_refused_handshake_is_an_answer_with_its_status() {
    for status in [401, 302, 410, 503] {
        let server = server().await;
        let headers = [("retry-after", "7"), ("location", "http://127.0.0.1:1/")];
        let receiver = WebsocketReceiver::refusing(status, &headers).await;
        let attempt = attempt_at(&server, &receiver.url("/")).await;
        assert_eq!(attempt["responseStatusCode"], status);
        assert_eq!(attempt["statusText"], "fail");
        assert_eq!(attempt["error"], Value::Null);
        assert!(attempt["responseHeaders"].to_string().contains("retry-after"), "{attempt}");
        // It is retried like any other failure, and never followed elsewhere.
        server.clock.advance(Duration::from_secs(30));
        let message = attempt["msgId"].as_str().unwrap();
        attempts(&server, message, 2).await;
        assert_eq!(receiver.connections().len(), 2);
    }
}

#[tokio::test]
async fn a_web_server_that_answers_200_has_received_nothing() {
    let server = server().await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let url = receiver.url("/hook").as_str().replace("http://", "ws://");
    let attempt = attempt_at(&server, &url).await;
    assert_eq!(attempt["statusText"], "fail");
    assert_eq!(attempt["error"]["kind"], "protocol");
    assert_eq!(
        attempt["error"]["causes"],
        json!(["The receiver answered 200 instead of opening a websocket."])
    );
}

#[tokio::test]
async fn nobody_there() {
    let server = server().await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", unused.local_addr().unwrap());
    drop(unused);
    let attempt = attempt_at(&server, &url).await;
    assert_eq!(attempt["error"]["kind"], "connect", "{attempt}");
}

/// A server that may reach public addresses and nothing else, whatever names resolve to.
async fn strict(names: &[(&str, &str)]) -> TestServer {
    let names = names.iter().map(|(name, ip)| ((*name).to_owned(), vec![ip.parse().unwrap()]));
    let resolver = Resolver::fixed(names.collect::<HashMap<_, _>>());
    TestServer::start_resolving(&["klink"], resolver, |config| {
        let environment = hookwright::environment::Environment {
            name: "klink".into(),
            contract: hookwright::contract::Contract::shipped("klink").unwrap(),
            guard: hookwright::sender::Guard::public(),
            allow_http: true,
            retention: Default::default(),
        };
        let environments =
            hookwright::environment::Environments::new(vec![environment.clone()], environment);
        config.environments = std::sync::Arc::new(environments);
    })
    .await
}

#[tokio::test]
async fn the_guard_judges_the_address_that_would_be_dialled() {
    let receiver = WebsocketReceiver::answering(200).await;
    let server = strict(&[("hooks.example", "127.0.0.1")]).await;
    let attempt = attempt_at(&server, &receiver.url_at("hooks.example", "/")).await;
    assert_eq!(attempt["error"]["kind"], "blocked");
    assert_eq!(
        attempt["error"]["causes"],
        json!(["Deliveries may not go to hooks.example.", "Its address is a loopback address."])
    );
    assert!(receiver.connections().is_empty());
}

#[tokio::test]
async fn addresses_that_may_not_be_reached_are_refused_at_once() {
    let server = strict(&[]).await;
    let workspace = workspace(&server).await;
    for url in ["wss://127.0.0.1/", "ws://10.0.0.1/", "wss://[::1]/", "wss://localhost/"] {
        let said = refused(workspace.register(form(url)).await, "url");
        assert!(said.contains("can't be delivered to"), "{url}: {said}");
    }
}

async fn with_authority(authority: &Authority) -> (TestServer, tempfile::NamedTempFile) {
    let file = authority.pem_file();
    let names = HashMap::from([("hooks.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])]);
    let path = file.path().to_owned();
    let server = TestServer::start_resolving(&["klink"], Resolver::fixed(names), |config| {
        config.tls_ca_file = Some(path);
    })
    .await;
    (server, file)
}

#[tokio::test]
async fn wss_is_encrypted_and_the_certificate_is_checked() {
    let (trusted, other) = (Authority::new("Trusted"), Authority::new("Other"));
    let (server, _file) = with_authority(&trusted).await;
    let workspace = workspace(&server).await;
    let good = WebsocketReceiver::tls(&trusted.issue(&["hooks.example"])).await;
    let bad = WebsocketReceiver::tls(&other.issue(&["hooks.example"])).await;
    let url = good.url_at("hooks.example", "/live?a=1");
    assert!(url.starts_with("wss://"));
    let id = workspace.endpoint(form(&url)).await;
    let message = publish(&server, r#"{"n":1}"#).await;
    succeeded(&server, &message).await;
    // What is signed is the URL with its own scheme.
    let frame = &good.frames()[0];
    let base = url.strip_suffix("?a=1").unwrap();
    let content = format!("WEBSOCKET{base}a=1{}", frame.json["body"]);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, workspace.secret(&id).await.as_bytes());
    let expected = hex::encode(ring::hmac::sign(&key, content.as_bytes()));
    assert_eq!(frame.json["headers"]["X-Signature"], expected);

    let change = json!({ "url": bad.url_at("hooks.example", "/") });
    workspace.change(&id, change).await.expect(200);
    let message = publish(&server, "{}").await;
    let attempt = &attempts(&server, &message, 1).await[0];
    assert_eq!(attempt["error"]["kind"], "tls", "{attempt}");
    assert!(bad.connections().is_empty());
}
