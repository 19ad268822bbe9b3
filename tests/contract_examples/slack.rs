//! The Slack style: `v0:timestamp:body`, one secret for an app, and a challenge to echo.

use serde_json::{Value, json};

use super::ACME;
use super::support::environments::speaking;
use super::support::programs::python;
use super::support::receiver::{Received, Receiver, Reply, Script};
use super::support::tenant::{Tenant, refused};

const CONTRACT: &str = "examples/contracts/slack.toml";
const PAYLOAD: &str = r#"{"type":"app_mention","text":"héllo"}"#;

/// Slack's recipe: `v0=` and the hexadecimal HMAC of `v0:` + time + `:` + body.
fn verifies(request: &Received, secret: &str) -> bool {
    let verdict = python(
        "base = 'v0:' + given['time'] + ':' + given['body']\n\
         mine = 'v0=' + hmac.new(given['secret'].encode(), base.encode(), hashlib.sha256).hexdigest()\n\
         answer(hmac.compare_digest(mine, given['signature']))",
        &json!({
            "time": request.header("X-Acme-Request-Timestamp").unwrap(),
            "signature": request.header("X-Acme-Signature").unwrap(),
            "body": String::from_utf8(request.body.clone()).unwrap(),
            "secret": secret,
        }),
    );
    verdict.as_bool().unwrap()
}

/// An app that echoes challenges, and answers events with these statuses in turn.
fn app(statuses: &'static [u16]) -> Script {
    let events = std::sync::atomic::AtomicUsize::new(0);
    Script::by(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if body["type"] == "url_verification" {
            return Reply::status(200).body(json!({ "challenge": body["challenge"] }).to_string());
        }
        let turn = events.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Reply::status(statuses[turn.min(statuses.len() - 1)])
    })
}

#[tokio::test]
async fn a_url_echoes_its_challenge_and_then_gets_signed_events() {
    let server = speaking(CONTRACT).await;
    let receiver = Receiver::start(app(&[500, 200])).await;
    let tenant = Tenant::new(&server, ACME, "A0001").await;
    tenant.ask("PATCH", "", json!({ "metadata": { "team_id": "T0001" } })).await.expect(200);
    let endpoint =
        json!({ "url": receiver.url("/events").as_str(), "filterTypes": ["app_mention"] });
    let id = tenant.endpoint(endpoint).await;
    let secret = tenant.secret(&id).await;
    assert_eq!(secret.len(), 32);
    let handshake = receiver.requests()[0].clone();
    assert!(verifies(&handshake, &secret));

    let before = receiver.requests().len();
    tenant.ask_to_publish("app_mention", r#""eventId":"Ev1","#, PAYLOAD).await.expect(202);
    let first = receiver.wait_for(before + 1).await[before].clone();
    assert!(verifies(&first, &secret));
    assert_eq!(first.header("X-Acme-Retry-Num"), None);
    let body: Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(body["team_id"], "T0001");
    assert_eq!((&body["event_id"], &body["type"]), (&json!("Ev1"), &json!("event_callback")));

    // The refusal is recorded before the next try can be due.
    server.wait_for_attempts(ACME, "A0001", &message(&server, "A0001").await, 1).await;
    server.clock.advance(std::time::Duration::from_secs(1));
    let second = receiver.wait_for(before + 2).await[before + 1].clone();
    assert_eq!(second.header("X-Acme-Retry-Num"), Some("1"));
    assert!(verifies(&second, &secret));
}

async fn message(server: &super::support::server::TestServer, app: &str) -> String {
    let path = format!("/api/v1/app/{app}/msg");
    let list = server.call(ACME, "GET", &path, Value::Null).await.expect(200);
    list["data"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_url_that_does_not_echo_is_refused() {
    let server = speaking(CONTRACT).await;
    let tenant = Tenant::new(&server, ACME, "A0001").await;
    let deaf = Receiver::start(Reply::status(200)).await;
    let endpoint = |receiver: &Receiver| json!({ "url": receiver.url("/events").as_str(), "filterTypes": ["app_mention"] });
    let said = refused(tenant.register(endpoint(&deaf)).await, "url");
    assert_eq!(
        said,
        "The endpoint didn't pass the handshake: it answered 200 without `challenge` of the body."
    );
    let list = tenant.ask("GET", "endpoint", Value::Null).await.expect(200);
    assert_eq!(list["data"], json!([]));

    let good = Receiver::start(app(&[200])).await;
    let id = tenant.endpoint(endpoint(&good)).await;
    let moved = tenant.change(&id, json!({ "url": deaf.url("/").as_str() })).await;
    refused(moved, "url");
    assert_eq!(tenant.show(&id).await["url"], good.url("/events").as_str());
    // What leaves the URL alone needs no handshake.
    let before = good.requests().len();
    tenant.change(&id, json!({ "description": "new" })).await.expect(200);
    assert_eq!(good.requests().len(), before);
    tenant.change(&id, json!({ "url": good.url("/other").as_str() })).await.expect(200);
    assert_eq!(good.requests().len(), before + 1);
}
