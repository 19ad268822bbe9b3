//! K-LINK's webhooks, as its documentation describes them: signed over method, URL, normalised
//! query and normalised body, in two environments that know nothing of each other.

#[path = "contract_klink/canonical.rs"]
mod canonical;
#[path = "contract_klink/endpoints.rs"]
mod endpoints;
#[path = "contract_klink/environments.rs"]
mod environments;
mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::programs::python;
use support::receiver::{Receiver, Reply, Script};
use support::server::TestServer;
use support::tenant::{Delivered, Tenant, refused};

/// What K-LINK's page tells a receiver to do, on nothing but what came over the wire. Numbers
/// are kept as they were written, which Python's parser can be told to do.
const VERIFIER: &str = r#"
import re, urllib.parse

def normalized_body(body):
    number = lambda text: '\ue123' + text + '\ue123'
    value = json.loads(body, parse_int=number, parse_float=number)
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(',', ':'))
    return re.sub('"\ue123([^\ue123]*)\ue123"', r'\1', text)

def normalized_query(query):
    values = {}
    for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        values.setdefault(key, []).append(value)
    pair = lambda key, values: key + '=' + (values[0] if len(values) == 1 else '[' + ' '.join(sorted(values)) + ']')
    return '&'.join(pair(key, values[key]) for key in sorted(values))

def content(request):
    path, _, query = request['target'].partition('?')
    url = request['scheme'] + '://' + request['host'] + path
    return request['method'] + url + normalized_query(query) + normalized_body(request['body'])

def signature(request):
    return hmac.new(request['secret'].encode(), content(request).encode(), hashlib.sha256).hexdigest()
"#;

fn as_received(secret: &str, scheme: &str, one: &Delivered) -> Value {
    json!({
        "secret": secret,
        "scheme": scheme,
        "method": one.request.method,
        "host": one.header("host"),
        "target": one.request.target,
        "body": one.body(),
        "signature": one.header("X-Signature"),
    })
}

/// What the verifier computes for each delivery that came over plain HTTP.
fn computed(secret: &str, delivered: &[Delivered]) -> Vec<String> {
    let given: Vec<Value> = delivered.iter().map(|one| as_received(secret, "http", one)).collect();
    let signatures =
        python(&format!("{VERIFIER}\nanswer(list(map(signature, given)))"), &json!(given));
    serde_json::from_value(signatures).unwrap()
}

/// Whether the receiver accepts all of these.
fn assert_signed(secret: &str, delivered: &[Delivered]) {
    for (one, expected) in delivered.iter().zip(computed(secret, delivered)) {
        let signature = one.header("X-Signature");
        assert_eq!(signature, expected, "{} {}", one.request.target, one.body());
        assert_eq!(signature.len(), 64);
    }
}

async fn server() -> TestServer {
    TestServer::start(&["klink"]).await
}

async fn receiver() -> Receiver {
    Receiver::start(Reply::status(200)).await
}

async fn workspace(server: &TestServer) -> Tenant<'_> {
    Tenant::new(server, "klink", "workspace-1").await
}

/// What the form of a new webhook asks for.
fn form(url: &str) -> Value {
    json!({ "name": "Order updates", "url": url, "filterTypes": ["contact.created"] })
}

fn form_with(receiver: &Receiver, field: &str, value: Value) -> Value {
    let mut form = form(receiver.url("/webhooks/endpoint").as_str());
    form[field] = value;
    form
}

#[tokio::test]
async fn a_delivery_as_documented() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let id = workspace.endpoint(form(receiver.url("/webhooks/endpoint").as_str())).await;
    let payload = r#"{"contact":{"name":"Ayu Lestari","id":"ct_5120"}}"#;
    let delivered = workspace.deliver(&receiver, "contact.created", payload).await;
    assert_eq!(
        delivered.body(),
        format!(
            r#"{{"data":{{"contact":{{"id":"ct_5120","name":"Ayu Lestari"}}}},"environment":"klink","event":"contact.created","id":"{}","timestamp":"2025-01-15T14:32:00Z"}}"#,
            delivered.id()
        )
    );
    assert_eq!(delivered.request.method, "POST");
    assert_eq!(delivered.request.target, "/webhooks/endpoint");
    assert_eq!(delivered.header("content-type"), "application/json");
    assert_eq!(
        delivered.header_names(),
        ["content-length", "content-type", "host", "user-agent", "x-signature"]
    );
    assert_signed(&workspace.secret(&id).await, &[delivered]);
}

#[tokio::test]
async fn a_receiver_may_hash_the_bytes_as_they_came() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let url = receiver.url("/hook");
    let id = workspace.endpoint(form(url.as_str())).await;
    let payload = r#"{ "b" : 1.10, "a" : "é" }"#;
    let delivered = workspace.deliver(&receiver, "contact.created", payload).await;
    let content = format!("POST{url}{}", delivered.body());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, workspace.secret(&id).await.as_bytes());
    let expected = hex::encode(ring::hmac::sign(&key, content.as_bytes()));
    assert_eq!(delivered.header("x-signature"), expected);
}

#[tokio::test]
async fn every_event_of_the_catalog_arrives() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let catalog = workspace.catalog().await;
    let listed: Vec<[&str; 3]> = catalog
        .iter()
        .map(|one| ["groupName", "name", "title"].map(|key| one[key].as_str().unwrap()))
        .collect();
    assert_eq!(
        listed,
        [
            ["contact", "contact.created", "New Contact Created"],
            ["contact", "contact.updated", "Contact Updated"],
            ["message", "message.comment", "New Message Comment"],
            ["message", "message.inbound", "Inbound Message Received"],
            ["message", "message.outbound", "Outbound Message Sent"],
            ["room", "room.solved", "Room Solved/Closed"],
        ]
    );
    let names: Vec<&Value> = catalog.iter().map(|one| &one["name"]).collect();
    let id = workspace.endpoint(form_with(&receiver, "filterTypes", json!(names))).await;
    let mut delivered = Vec::new();
    for event in &catalog {
        let name = event["name"].as_str().unwrap();
        let one = workspace.deliver(&receiver, name, &event["example"].to_string()).await;
        let body: Value = serde_json::from_str(one.body()).unwrap();
        assert_eq!(body["event"], name);
        assert_eq!(body["data"], event["example"]);
        delivered.push(one);
    }
    assert_signed(&workspace.secret(&id).await, &delivered);
}

#[tokio::test]
async fn events_beyond_the_catalog_are_refused() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    for name in ["contact.deleted", "contact", "contact.Created", "room.closed"] {
        let expected = format!("`{name}` is not in the catalog of event types");
        let said = refused(workspace.ask_to_publish(name, "", "{}").await, "eventType");
        assert_eq!(said, expected);
        let answer = workspace.register(form_with(&receiver, "filterTypes", json!([name]))).await;
        assert_eq!(refused(answer, "filterTypes.0"), expected);
    }
}

#[tokio::test]
async fn receivers_deduplicate_by_an_id_that_stays_the_same_over_retries() {
    let server = server().await;
    let replies =
        vec![Reply::status(500), Reply::status(302), Reply::status(404), Reply::status(200)];
    let receiver = Receiver::start(Script::sequence(replies)).await;
    let workspace = workspace(&server).await;
    let id = workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    let event = ("contact.created", "crm-17.created");
    let first = workspace.deliver_as(&receiver, event, "{}").await;
    for (count, wait) in [(1, 30), (2, 60), (3, 90)] {
        server.wait_for_attempts("klink", "workspace-1", first.id(), count).await;
        server.clock.advance(Duration::from_secs(wait));
        receiver.wait_for(count + 1).await;
    }
    server.wait_for_status("klink", "workspace-1", first.id(), "succeeded").await;
    let body: Value = serde_json::from_str(first.body()).unwrap();
    assert_eq!(body["id"], "crm-17.created");
    for retry in receiver.requests() {
        assert_eq!(retry.body, first.request.body);
        assert_eq!(retry.header("x-signature"), first.request.header("x-signature"));
    }
    // The id may be used once only, so that a publisher can repeat itself.
    let again = r#""eventId":"crm-17.created","#;
    workspace.ask_to_publish("contact.created", again, "{}").await.expect(409);
    assert_signed(&workspace.secret(&id).await, &[first]);
}

#[tokio::test]
async fn the_secret_is_generated_and_can_be_revealed() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let one = workspace.endpoint(form(receiver.url("/1").as_str())).await;
    let two = workspace.endpoint(form(receiver.url("/2").as_str())).await;
    let (one, two) = (workspace.secret(&one).await, workspace.secret(&two).await);
    assert_ne!(one, two);
    for secret in [one, two] {
        assert_eq!(secret.len(), 64);
        assert!(secret.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{secret}");
    }
}

#[tokio::test]
async fn a_regenerated_secret_takes_over_with_the_very_next_delivery() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let id = workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    let old = workspace.secret(&id).await;
    let before = workspace.deliver(&receiver, "contact.created", "{}").await;
    assert_signed(&old, &[before]);
    workspace.rotate(&id, None).await.expect(200);
    let after = workspace.deliver(&receiver, "contact.created", "{}").await;
    let new = workspace.secret(&id).await;
    assert_ne!(new, old);
    assert_ne!(computed(&old, std::slice::from_ref(&after)), [after.header("x-signature")]);
    assert_signed(&new, &[after]);
}

#[tokio::test]
async fn a_retry_after_a_regeneration_is_signed_with_the_new_secret() {
    let server = server().await;
    let replies = vec![Reply::status(500), Reply::status(200)];
    let receiver = Receiver::start(Script::sequence(replies)).await;
    let workspace = workspace(&server).await;
    let id = workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    let first = workspace.deliver(&receiver, "contact.created", "{}").await;
    server.wait_for_attempts("klink", "workspace-1", first.id(), 1).await;
    workspace.rotate(&id, None).await.expect(200);
    server.clock.advance(Duration::from_secs(30));
    let request = receiver.wait_for(2).await[1].clone();
    assert_signed(&workspace.secret(&id).await, &[Delivered { request, ..first }]);
}
