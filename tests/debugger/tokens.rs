//! Contracts that send the secret itself: no page shows it to who may only look.

use serde_json::json;

use super::world::{PAYLOAD, assert_says, path};
use crate::support::environments::speaking_text;
use crate::support::pages::{Visitor, said};
use crate::support::receiver::{Receiver, Reply};
use crate::support::tenant::Tenant;

/// The secret in its own header, in the query and, as JSON, in another header. Loading refuses
/// bodies that name it.
const CONTRACT: &str = r#"
name = "acme"
[delivery]
query = { token = "{{ signature.token }}" }
headers = { "X-Note" = '{"with":{{ signature.token|json }}}' }
[[signature]]
name = "token"
algorithm = "token"
[[signature]]
header = "Authorization"
algorithm = "token"
format = "Bearer {{ signature }}"
[secret]
origin = "required"
encoding = "text"
max_bytes = 64
"#;

/// Percent-encoding, JSON and HTML each write this otherwise.
const SECRET: &str = r#"ours "/+&<\ of 2026 or so, quite long"#;

/// Parts of it that no way of writing it changes.
const TRACES: [&str; 2] = ["2026", "quite"];

#[tokio::test]
async fn no_page_shows_a_secret_that_is_sent_as_it_is() {
    let server = speaking_text(CONTRACT).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let tenant = Tenant::new(&server, "acme", "acme").await;
    let fields = json!({ "url": receiver.url("/hook").as_str(), "secret": SECRET });
    let webhook = tenant.endpoint(fields).await;
    let delivered = tenant.deliver(&receiver, "order.created", PAYLOAD).await;
    let message = delivered.id().to_owned();
    // It is sent in all three places.
    assert_eq!(delivered.header("Authorization"), format!("Bearer {SECRET}"));
    assert!(delivered.request.target.contains("%22%2F%2B%26%3C%5C%20of%202026"));
    let note: serde_json::Value = serde_json::from_str(delivered.header("X-Note")).unwrap();
    assert_eq!(note["with"], SECRET);

    let visitor = Visitor::tenant(&server, "acme", "acme", true).await;
    let debugger = path("acme", "acme");
    let filled_in = format!("{debugger}?message={message}&webhook={webhook}");
    let delivery = format!("/dashboard/env/acme/app/acme/deliveries/{message}/{webhook}");
    for page in [filled_in, delivery] {
        let answer = visitor.get(&page).await;
        assert_eq!(answer.status, 200, "{page}: {}", answer.text);
        assert_says(&said(&answer.text), &["authorization: ", r#"x-note: {"with":"••••••••"}"#]);
        // The debugger asks for a URL only where it is signed.
        let shows_url = page.contains("/deliveries/");
        assert_eq!(said(&answer.text).contains("token=••••••••"), shows_url);
        for trace in TRACES {
            assert!(!answer.text.contains(trace), "{trace}: {}", answer.text);
        }
    }
    // Nor does a comparison with what was sent, which shows where both part.
    let target = receiver.url("/hook?token=%22").to_string();
    let fields = [
        ("webhook", webhook.as_str()),
        ("secret", "another one of theirs, quit"),
        ("message", message.as_str()),
        ("method", "POST"),
        ("url", target.as_str()),
        ("headers", "Authorization: Bearer ours, or is it"),
        ("body", r#"{"token":"ours","data":1}"#),
    ];
    let answer = visitor.post(&debugger, &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for trace in TRACES {
        assert!(!answer.text.contains(trace), "{trace}: {}", said(&answer.text));
    }
}
