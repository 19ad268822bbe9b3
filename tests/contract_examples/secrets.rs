//! Secrets that belong to an application, and key pairs beside shared secrets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ACME;
use super::formats::ed25519_verifies;
use super::support::customer::Customer;
use super::support::environments::speaking_text;
use super::support::programs::hmac_sha256_hex;
use super::support::receiver::{Receiver, Reply, Script, Step};
use super::support::server::TestServer;
use super::support::tenant::{Delivered, Tenant, refused};

fn shared(rules: &str) -> String {
    format!(
        "name = \"acme\"\n[[signature]]\nheader = \"X-Sig\"\nalgorithm = \"hmac-sha256\"\n\
         format = '{{{{ signatures|join(\" \") }}}}'\n\
         [secret]\nscope = \"application\"\nencoding = \"alphanumeric\"\nreveal = true\n{rules}"
    )
}

async fn key(tenant: &Tenant<'_>) -> String {
    let shown = tenant.ask("GET", "secret", Value::Null).await.expect(200);
    shown["key"].as_str().unwrap().to_owned()
}

fn signed_by(delivered: &Delivered) -> Vec<&str> {
    delivered.header("X-Sig").split(' ').collect()
}

#[tokio::test]
async fn all_endpoints_of_an_application_share_its_secret() {
    let mut server = speaking_text(&shared("overlap = \"1h\"\n")).await;
    let (one, two) =
        (Receiver::start(Reply::status(200)).await, Receiver::start(Reply::status(200)).await);
    let tenant = Tenant::new(&server, ACME, "t").await;
    let neighbour = Tenant::new(&server, ACME, "n").await;
    tenant.ask("GET", "secret", Value::Null).await.expect(404);
    // Trying out whether an endpoint could be made stores nothing.
    let fields = json!({ "url": one.url("/").as_str() });
    tenant.ask("POST", "endpoint?dry_run=true", fields).await.expect(204);
    let wrong = tenant.ask("POST", "endpoint?dry_run=true", json!({ "url": "" })).await;
    assert_eq!(refused(wrong, "url"), "A URL is required.");
    tenant.ask("GET", "secret", Value::Null).await.expect(404);
    assert_eq!(tenant.ask("GET", "endpoint", Value::Null).await.expect(200)["data"], json!([]));
    let first = tenant.endpoint(json!({ "url": one.url("/").as_str() })).await;
    let second = tenant.endpoint(json!({ "url": two.url("/").as_str() })).await;
    neighbour.endpoint(json!({ "url": one.url("/n").as_str() })).await;
    let old = key(&tenant).await;
    assert_eq!(tenant.secret(&first).await, old);
    assert_eq!(tenant.secret(&second).await, old);
    assert_ne!(key(&neighbour).await, old);
    let given = json!({ "url": one.url("/").as_str(), "secret": "x".repeat(20) });
    let said = refused(tenant.register(given).await, "secret");
    assert_eq!(said, "The application's endpoints share a secret; rotate it there");

    // Changing an endpoint doesn't make it keep what it shares.
    tenant.change(&first, json!({ "description": "changed" })).await.expect(200);
    let new = tenant.rotate(&second, None).await.expect(200)["key"].as_str().unwrap().to_owned();
    assert_eq!(tenant.secret(&first).await, new);
    let third = tenant.endpoint(json!({ "url": one.url("/3").as_str() })).await;
    assert_eq!(tenant.secret(&third).await, new);
    tenant.delete(&third).await;
    let delivered = tenant.deliver(&one, "a", "1").await;
    let expected =
        [new.as_str(), old.as_str()].map(|key| hmac_sha256_hex(key, [&b"1"[..]]).remove(0));
    assert_eq!(signed_by(&delivered), expected);
    assert_eq!(two.wait_for(1).await[0].header("X-Sig"), delivered.request.header("X-Sig"));

    server.clock.advance(Duration::from_secs(3_600));
    server.restart().await;
    let tenant = Tenant::existing(&server, ACME, "t");
    let delivered = tenant.deliver(&one, "a", "1").await;
    assert_eq!(signed_by(&delivered), expected[..1]);
    assert_eq!(key(&tenant).await, new);
}

#[tokio::test]
async fn what_is_queued_is_signed_with_the_new_secret_of_the_application() {
    let server = speaking_text(&shared("[delivery]\nretries = [\"1m\"]\njitter = 0.0\n")).await;
    let receiver =
        Receiver::start(Script::sequence(vec![Reply::step(Step::Hang), Reply::status(200)])).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    tenant.endpoint(json!({ "url": receiver.url("/").as_str() })).await;
    let first = tenant.deliver(&receiver, "a", "1").await;
    let old = key(&tenant).await;
    assert_eq!(signed_by(&first), hmac_sha256_hex(&old, [&b"1"[..]]));
    tenant.ask("POST", "secret/rotate", Value::Null).await.expect(200);
    server.clock.advance(Duration::from_secs(15));
    server.wait_for_attempts(ACME, "t", first.id(), 1).await;
    server.clock.advance(Duration::from_secs(60));
    let second = receiver.wait_for(2).await[1].clone();
    let new = key(&tenant).await;
    assert_eq!(second.header("X-Sig"), Some(&*hmac_sha256_hex(&new, [&b"1"[..]])[0]));
}

#[tokio::test]
async fn a_required_or_optional_secret_is_set_on_the_application() {
    let server = speaking_text(&shared("origin = \"required\"\n")).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    let endpoint = json!({ "url": receiver.url("/").as_str() });
    let said = refused(tenant.register(endpoint.clone()).await, "secret");
    assert_eq!(said, "The application needs a secret before it can have an endpoint");
    refused(tenant.ask("POST", "secret/rotate", json!({ "key": "a b" })).await, "key");
    tenant.ask("POST", "secret/rotate", json!({ "key": "abcdefghij0123456789" })).await.expect(200);
    tenant.endpoint(endpoint.clone()).await;
    tenant.ask("DELETE", "secret", Value::Null).await.expect(409);

    let server = speaking_text(&shared("origin = \"optional\"\n")).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    let id = tenant.endpoint(endpoint).await;
    let unsigned = tenant.deliver(&receiver, "a", "1").await;
    assert_eq!(unsigned.request.header("X-Sig"), None);
    tenant.ask("POST", "secret/rotate", json!({ "key": "abcdefghij0123456789" })).await.expect(200);
    assert_eq!(tenant.deliver(&receiver, "a", "1").await.header("X-Sig").len(), 64);
    tenant.ask("DELETE", &format!("endpoint/{id}/secret"), Value::Null).await.expect(204);
    let unsigned = tenant.deliver(&receiver, "a", "1").await;
    assert_eq!(unsigned.request.header("X-Sig"), None);
}

/// The signatures of a delivery by the standard contract, with what they are made over.
fn standard(delivered: &Delivered) -> (Vec<&str>, String) {
    let (id, time) = (delivered.header("webhook-id"), delivered.header("webhook-timestamp"));
    let content = format!("{id}.{time}.{}", delivered.body());
    (delivered.header("webhook-signature").split(' ').collect(), content)
}

fn pair_verifies(signature: &str, content: &str, public: &str) -> bool {
    let key = STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
    let signature = STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
    ed25519_verifies(content, &signature, &key)
}

async fn standard_server() -> (TestServer, Receiver) {
    (TestServer::start(&["standard"]).await, Receiver::start(Reply::status(200)).await)
}

#[tokio::test]
async fn an_endpoint_with_a_key_pair_signs_v1a_and_shows_its_public_key() {
    let (server, receiver) = standard_server().await;
    let acme = Tenant::new(&server, "standard", "acme").await;
    let url = receiver.url("/");
    let id = acme.endpoint(json!({ "url": url.as_str(), "secretType": "ed25519" })).await;
    let public = acme.secret(&id).await;
    let delivered = acme.deliver(&receiver, "invoice.paid", r#"{"é": 1.10}"#).await;
    let (signatures, content) = standard(&delivered);
    assert_eq!(signatures.len(), 1);
    assert!(pair_verifies(signatures[0], &content, &public));
    assert!(!pair_verifies(signatures[0], &content.replace("1.10", "1.1"), &public));

    // A key pair that the customer brings, as the libraries export it.
    let seed = [7_u8; 32];
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let theirs = ring::signature::KeyPair::public_key(&pair).as_ref();
    let private = format!("whsk_{}", STANDARD.encode([&seed[..], theirs].concat()));
    let brought = json!({ "url": url.as_str(), "secret": private });
    let id = acme.endpoint(brought).await;
    assert_eq!(acme.secret(&id).await, format!("whpk_{}", STANDARD.encode(theirs)));

    for (fields, field) in [
        (json!({ "secretType": "rsa" }), "secretType"),
        (json!({ "secretType": "symmetric", "secret": private }), "secretType"),
        (json!({ "secret": "whsk_AAAA" }), "secret"),
        (json!({ "secret": format!("whsk_{}", STANDARD.encode([7_u8; 64])) }), "secret"),
    ] {
        let mut endpoint = fields;
        endpoint["url"] = json!(url.as_str());
        let said = refused(acme.register(endpoint).await, field);
        assert!(!said.contains("BwcHBw"), "{said}");
    }
    let change = json!({ "secretType": "ed25519" });
    refused(acme.change(&id, change).await, "secret");
}

#[tokio::test]
async fn a_rotation_overlaps_from_either_kind_to_the_other() {
    let (server, receiver) = standard_server().await;
    let acme = Tenant::new(&server, "standard", "acme").await;
    let url = receiver.url("/");
    let id = acme.endpoint(json!({ "url": url.as_str() })).await;
    let shared = acme.secret(&id).await;
    let rotated = acme.rotate_to(&id, "ed25519").await.expect(200);
    let first = rotated["key"].as_str().unwrap().to_owned();
    let webhook = standardwebhooks::Webhook::new(&shared).unwrap();
    let kinds = |signatures: &[&str]| -> Vec<String> {
        signatures.iter().map(|one| one.split(',').next().unwrap().to_owned()).collect()
    };

    let delivered = acme.deliver(&receiver, "a", "{}").await;
    let (signatures, content) = standard(&delivered);
    assert_eq!(kinds(&signatures), ["v1", "v1a"]);
    let time = delivered.header("webhook-timestamp").parse().unwrap();
    let expected = webhook.sign(delivered.header("webhook-id"), time, b"{}").unwrap();
    assert_eq!(signatures[0], expected);
    assert!(pair_verifies(signatures[1], &content, &first));

    // A rotation that says nothing keeps the kind.
    let second = acme.rotate(&id, None).await.expect(200)["key"].as_str().unwrap().to_owned();
    let delivered = acme.deliver(&receiver, "a", "{}").await;
    let (signatures, content) = standard(&delivered);
    assert_eq!(kinds(&signatures), ["v1", "v1a", "v1a"]);
    assert!(pair_verifies(signatures[1], &content, &second));
    assert!(pair_verifies(signatures[2], &content, &first));

    acme.rotate_to(&id, "symmetric").await.expect(200);
    server.clock.advance(Duration::from_secs(86_400));
    let delivered = acme.deliver(&receiver, "a", "{}").await;
    assert_eq!(kinds(&standard(&delivered).0), ["v1"]);
}

#[tokio::test]
async fn a_companys_own_api_never_shows_a_private_key() {
    let contract = "name = \"acme\"\n[[signature]]\nheader = \"X-Sig\"\nalgorithm = \"ed25519\"\n[secret]\nreveal = true\n\
        [[routes]]\nmethod = \"POST\"\npath = \"/hooks\"\noperation = \"endpoint.create\"\nstatus = 201\n\
        request = '{\"url\": {{ body.url }}, \"secret\": {{ body.secret }}}'\n\
        response = '{\"key\": {{ endpoint.secret }}}'\n";
    let server = speaking_text(contract).await;
    let customer = Customer::new(&server, ACME, "t", ("authorization", "Bearer ")).await;
    let seed = STANDARD.encode([7_u8; 32]);
    for given in [json!({}), json!({ "secret": format!("whsk_{seed}") })] {
        let mut input = given;
        input["url"] = json!("http://127.0.0.1:9/");
        let made = customer.call("POST", "/hooks", input).await;
        let key = made.clone().expect(201)["key"].as_str().unwrap().to_owned();
        assert!(key.starts_with("whpk_"), "{}", made.text);
        assert_eq!(STANDARD.decode(&key[5..]).unwrap().len(), 32);
    }
}
