//! The GitHub style: headers name the event and the delivery, `sha256=` signs the body.

use serde_json::{Value, json};

use super::ACME;
use super::support::environments::speaking;
use super::support::programs::python;
use super::support::receiver::{Receiver, Reply};
use super::support::tenant::{Delivered, Tenant};

const CONTRACT: &str = "examples/contracts/github.toml";
const PAYLOAD: &str = r#"{"ref": "refs/heads/main", "n":1.0, "author":"Zoë"}"#;

/// GitHub's own recipe in Python, for both of its headers.
fn verifies(delivered: &Delivered, secret: &str) -> Vec<bool> {
    let verdicts = python(
        "def verify(header, name, hash):\n    \
             expected = name + '=' + hmac.new(given['secret'].encode(), given['body'].encode(), hash).hexdigest()\n    \
             return hmac.compare_digest(expected, header)\n\
         answer([verify(given['new'], 'sha256', hashlib.sha256), verify(given['old'], 'sha1', hashlib.sha1)])",
        &json!({
            "new": delivered.header("X-Hub-Signature-256"),
            "old": delivered.header("X-Hub-Signature"),
            "body": delivered.body(),
            "secret": secret,
        }),
    );
    serde_json::from_value(verdicts).unwrap()
}

#[tokio::test]
async fn headers_say_what_it_is_and_both_signatures_verify() {
    let server = speaking(CONTRACT).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let repository = Tenant::new(&server, ACME, "octo.hello").await;
    let url = receiver.url("/hook");
    let secret = "It's a Secret to Everybody";
    let hook = json!({ "url": url.as_str(), "filterTypes": ["push"], "secret": secret, "uid": "12345678" });
    repository.endpoint(hook).await;
    let delivered = repository.deliver(&receiver, "push", PAYLOAD).await;
    assert_eq!(delivered.body(), PAYLOAD);
    assert_eq!(verifies(&delivered, secret), [true, true]);
    assert_eq!(verifies(&delivered, "another"), [false, false]);
    assert_eq!(delivered.header("User-Agent"), "Acme-Hookshot/1.0");
    assert_eq!(delivered.header("X-Acme-Event"), "push");
    assert_eq!(delivered.header("X-Acme-Hook-ID"), "12345678");
    assert_eq!(delivered.header("X-Acme-Hook-Installation-Target-ID"), "octo.hello");
    let id = delivered.header("X-Acme-Delivery");
    assert_eq!(python("import uuid\nanswer(str(uuid.UUID(given)))", &json!(id)), json!(id));
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_one_can_be_taken_away() {
    let server = speaking(CONTRACT).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let repository = Tenant::new(&server, ACME, "octo.hello").await;
    let url = receiver.url("/hook");
    let id = repository.endpoint(json!({ "url": url.as_str(), "filterTypes": ["*"] })).await;
    let signatures = |delivered: &Delivered| {
        delivered.header_names().iter().filter(|name| name.starts_with("x-hub-")).count()
    };
    assert_eq!(signatures(&repository.deliver(&receiver, "push", PAYLOAD).await), 0);
    repository.rotate(&id, Some("s")).await.expect(204);
    assert_eq!(signatures(&repository.deliver(&receiver, "push", PAYLOAD).await), 2);
    let path = format!("endpoint/{id}/secret");
    repository.ask("DELETE", &path, Value::Null).await.expect(204);
    assert_eq!(signatures(&repository.deliver(&receiver, "push", PAYLOAD).await), 0);
}
