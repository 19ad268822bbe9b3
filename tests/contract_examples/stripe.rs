//! The Stripe style: `t=…,v1=…` over the time, a dot and the body.

use serde_json::{Value, json};

use super::ACME;
use super::support::environments::speaking;
use super::support::programs::node;
use super::support::receiver::{Receiver, Reply};
use super::support::server::START;
use super::support::tenant::{Delivered, Tenant};

const CONTRACT: &str = "examples/contracts/stripe.toml";
const PAYLOAD: &str = r#"{"id":"in_1","amount_paid":1999.10,"name":"Zoë"}"#;

/// What Stripe's documentation tells receivers to do by hand: split the header at commas, split
/// the parts at the first equals sign, keep all `v1`, sign `t.body`, compare, look at the time.
fn verifies(delivered: &Delivered, secret: &str, now_s: i64) -> bool {
    let given = json!({
        "header": delivered.header("Acme-Signature"),
        "body": delivered.body(),
        "secret": secret,
        "now": now_s,
    });
    let verdict = node(
        "const parts = given.header.split(',').map((part) => part.split(/=(.*)/s));\n\
         const time = parts.find(([name]) => name === 't')[1];\n\
         const known = parts.filter(([name]) => name === 'v1').map(([, value]) => value);\n\
         const expected = crypto.createHmac('sha256', given.secret)\n\
           .update(`${time}.${given.body}`, 'utf8').digest('hex');\n\
         const good = known.some((one) => one.length === expected.length &&\n\
           crypto.timingSafeEqual(Buffer.from(one), Buffer.from(expected)));\n\
         answer(good && Math.abs(given.now - Number(time)) <= 300);",
        &given,
    );
    verdict.as_bool().unwrap()
}

#[tokio::test]
async fn a_receiver_verifies_the_time_and_the_body() {
    let server = speaking(CONTRACT).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let shop = Tenant::new(&server, ACME, "acct_1").await;
    let url = receiver.url("/hook");
    let id = shop.endpoint(json!({ "url": url.as_str(), "filterTypes": ["*"] })).await;
    let secret = shop.secret(&id).await;
    let letters = secret.strip_prefix("whsec_").unwrap();
    assert!(letters.len() == 32 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));

    let delivered = shop.deliver_as(&receiver, ("invoice.paid", "evt_1"), PAYLOAD).await;
    let now = START.as_seconds();
    assert!(verifies(&delivered, &secret, now));
    assert!(!verifies(&delivered, &secret, now + 301));
    assert!(!verifies(&delivered, &secret.replace(letters, &"0".repeat(32)), now));
    let body: Value = serde_json::from_str(delivered.body()).unwrap();
    assert_eq!(
        body,
        json!({
            "id": "evt_1",
            "object": "event",
            "api_version": "2025-01-01",
            "created": now,
            "data": { "object": { "id": "in_1", "amount_paid": 1999.10, "name": "Zoë" } },
            "livemode": false,
            "type": "invoice.paid",
        })
    );
    // Numbers are not parsed on the way.
    assert!(delivered.body().contains(PAYLOAD));
}

#[tokio::test]
async fn after_a_rotation_either_secret_verifies_for_a_day() {
    let server = speaking(CONTRACT).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let shop = Tenant::new(&server, ACME, "acct_1").await;
    let url = receiver.url("/hook");
    let id = shop.endpoint(json!({ "url": url.as_str(), "filterTypes": ["*"] })).await;
    let old = shop.secret(&id).await;
    let new = shop.rotate(&id, None).await.expect(200)["key"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    let both = shop.deliver(&receiver, "invoice.paid", PAYLOAD).await;
    let now = START.as_seconds();
    assert!(verifies(&both, &old, now) && verifies(&both, &new, now));
    assert_eq!(both.header("Acme-Signature").matches("v1=").count(), 2);
    server.clock.advance(std::time::Duration::from_secs(86_400));
    let one = shop.deliver(&receiver, "invoice.paid", PAYLOAD).await;
    assert!(!verifies(&one, &old, now + 86_400) && verifies(&one, &new, now + 86_400));
}
