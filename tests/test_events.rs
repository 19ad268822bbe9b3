//! Examples, shown and sent: a test event goes the way of all others, and says what it is.

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::environments::configure_file;
use support::programs::python;
use support::receiver::{Receiver, Reply};
use support::server::{Answer, TestServer};
use support::tenant::{Tenant, refused};

const HOME: &str = "standard";
const KAKIYO: &str = "kakiyo";

async fn show(server: &TestServer, environment: &str, name: &str, query: &str) -> Answer {
    let path = format!("/api/v1/event-type/{name}/example{query}");
    server.call(environment, "GET", &path, Value::Null).await
}

/// Sends an example to the application `t`, or to an endpoint of it.
async fn send(server: &TestServer, environment: &str, below: &str, event: &str) -> Answer {
    let path = format!("/api/v1/app/t{below}/send-example");
    server.call(environment, "POST", &path, json!({ "eventType": event })).await
}

async fn send_to(server: &TestServer, environment: &str, endpoint: &str, event: &str) -> Answer {
    send(server, environment, &format!("/endpoint/{endpoint}"), event).await
}

async fn receiver() -> Receiver {
    Receiver::start(Reply::status(200)).await
}

fn kakiyo_webhook(receiver: &Receiver, events: Value) -> Value {
    let url = receiver.url("/hook");
    json!({ "name": "Team", "url": url.as_str(), "filterTypes": events, "secret": "hush" })
}

async fn messages(server: &TestServer, environment: &str) -> Vec<Value> {
    let list = server.call(environment, "GET", "/api/v1/app/t/msg", Value::Null).await.expect(200);
    list["data"].as_array().unwrap().clone()
}

/// Parts of a body that are made up for an example.
fn without_ids_and_times(body: &str) -> Value {
    let mut body: Value = serde_json::from_str(body).unwrap();
    if let Some(members) = body.as_object_mut() {
        members.retain(|name, _| !["id", "timestamp"].contains(&name.as_str()));
    }
    body
}

#[tokio::test]
async fn an_example_shows_the_whole_body_and_sends_nothing() {
    let server = TestServer::start(&[KAKIYO]).await;
    let receiver = receiver().await;
    let team = Tenant::new(&server, KAKIYO, "t").await;
    team.endpoint(kakiyo_webhook(&receiver, json!(["*"]))).await;
    let answer = show(&server, KAKIYO, "message.sent", "?app_id=t").await;
    let data = r#"{"prospect":{"id":"prospect_8f2k1","name":"Jane Doe"},"message":"Hi Jane, may I ask you something?"}"#;
    assert_eq!(
        answer.text,
        format!(
            r#"{{"eventType":"message.sent","payload":{data},"contentType":"application/json","body":{{"event":"message.sent","teamId":"t","timestamp":"2025-01-15T14:32:00.000Z","data":{data}}}}}"#
        )
    );
    let anybodys = show(&server, KAKIYO, "message.sent", "").await.expect(200);
    assert_eq!(anybodys["body"]["teamId"], "brand_abc123");
    show(&server, KAKIYO, "message.lost", "").await.expect(404);
    show(&server, KAKIYO, "message.sent", "?app_id=nobody").await.expect(404);
    assert!(messages(&server, KAKIYO).await.is_empty());
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn every_example_of_every_contract_arrives_as_it_is_shown() {
    let contracts = ["kynectlocal", "klink", "kakiyo", "tomba", "rechat"];
    let server = TestServer::start(&contracts).await;
    for contract in contracts {
        let receiver = receiver().await;
        let tenant = Tenant::new(&server, contract, "t").await;
        let catalog = tenant.catalog().await;
        let first = catalog[0]["name"].clone();
        let mut form = kakiyo_webhook(&receiver, json!([first]));
        if !["kakiyo", "kynectlocal"].contains(&contract) {
            form.as_object_mut().unwrap().remove("secret");
        }
        let endpoint = tenant.endpoint(form).await;
        for (sent, event) in catalog.iter().enumerate() {
            let name = event["name"].as_str().unwrap();
            let shown = show(&server, contract, name, "?app_id=t").await.expect(200);
            assert_eq!(shown["payload"], event["example"]);
            // The endpoint subscribed to one event only.
            let message = send_to(&server, contract, &endpoint, name).await.expect(202);
            assert_eq!((&message["test"], &message["eventType"]), (&json!(true), &event["name"]));
            let request = receiver.wait_for(sent + 1).await[sent].clone();
            let body = String::from_utf8(request.body).unwrap();
            assert_eq!(
                without_ids_and_times(&body),
                without_ids_and_times(&shown["body"].to_string()),
                "{contract} {name}"
            );
        }
    }
}

#[tokio::test]
async fn a_test_event_is_signed_retried_logged_and_marked() {
    let mut server = TestServer::start(&[KAKIYO]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    let team = Tenant::new(&server, KAKIYO, "t").await;
    let endpoint = team.endpoint(kakiyo_webhook(&receiver, json!(["message.sent"]))).await;
    let real = team.ask_to_publish("message.sent", "", "{}").await.expect(202);
    assert_eq!(real["test"], false);
    receiver.wait_for(1).await;
    // So that their order in lists is certain.
    server.clock.advance(Duration::from_millis(1));
    let sent = send_to(&server, KAKIYO, &endpoint, "campaign.completed").await.expect(202);
    let message = sent["id"].as_str().unwrap();
    assert_ne!(sent["id"], real["id"]);
    server.wait_for_attempts(KAKIYO, "t", message, 1).await;
    let request = receiver.wait_for(2).await[1].clone();
    let given = json!({
        "body": std::str::from_utf8(&request.body).unwrap(),
        "signature": request.header("x-kakiyo-signature").unwrap(),
    });
    let verify = "answer('sha256=' + hmac.new(b'hush', given['body'].encode(), hashlib.sha256).hexdigest() == given['signature'])";
    assert_eq!(python(verify, &given), json!(true));

    server.clock.advance(Duration::from_secs(1));
    receiver.wait_for(4).await;
    let attempts = server.wait_for_attempts(KAKIYO, "t", message, 2).await;
    assert!(attempts.iter().all(|attempt| attempt["test"] == true), "{attempts:?}");
    let path = format!("/api/v1/app/t/attempt/endpoint/{endpoint}?with_msg=true");
    server.restart().await;
    let log = server.call(KAKIYO, "GET", &path, Value::Null).await.expect(200);
    for attempt in log["data"].as_array().unwrap() {
        let test = attempt["msgId"] == message;
        assert_eq!((&attempt["test"], &attempt["msg"]["test"]), (&json!(test), &json!(test)));
    }
    let listed = messages(&server, KAKIYO).await;
    assert_eq!(listed.iter().map(|one| &one["test"]).collect::<Vec<_>>(), [true, false]);
    server.ledger().await;
}

#[tokio::test]
async fn failing_tests_count_where_the_contract_pauses() {
    let server = TestServer::start(&[KAKIYO]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    let team = Tenant::new(&server, KAKIYO, "t").await;
    let endpoint = team.endpoint(kakiyo_webhook(&receiver, json!(["*"]))).await;
    for count in 1..=4 {
        let sent = send_to(&server, KAKIYO, &endpoint, "message.sent").await.expect(202);
        receiver.wait_for(count).await;
        server.wait_for_attempts(KAKIYO, "t", sent["id"].as_str().unwrap(), 1).await;
    }
    assert_eq!(team.show(&endpoint).await["paused"], true);
    // From then on there is nothing to test.
    let refusal = send_to(&server, KAKIYO, &endpoint, "message.sent").await.expect(409);
    assert_eq!(refusal["detail"], "The endpoint is paused; enable it first.");
    let none = send(&server, KAKIYO, "", "message.sent").await.expect(202);
    assert_eq!(none["deliveries"], 0);
    assert_eq!(messages(&server, KAKIYO).await.len(), 5, "the refused one left no message");
    team.change(&endpoint, json!({ "disabled": true })).await.expect(200);
    let refusal = send_to(&server, KAKIYO, &endpoint, "message.sent").await.expect(409);
    assert_eq!(refusal["detail"], "The endpoint is disabled; enable it first.");
}

#[tokio::test]
async fn a_test_goes_to_every_active_endpoint_that_takes_the_event() {
    let server = TestServer::start(&[KAKIYO]).await;
    let (taking, other, off) = (receiver().await, receiver().await, receiver().await);
    let team = Tenant::new(&server, KAKIYO, "t").await;
    team.endpoint(kakiyo_webhook(&taking, json!(["message.sent", "campaign.completed"]))).await;
    team.endpoint(kakiyo_webhook(&taking, json!(["*"]))).await;
    team.endpoint(kakiyo_webhook(&other, json!(["campaign.completed"]))).await;
    let mut disabled = kakiyo_webhook(&off, json!(["*"]));
    disabled["disabled"] = json!(true);
    team.endpoint(disabled).await;
    let neighbour = Tenant::new(&server, KAKIYO, "neighbour").await;
    neighbour.endpoint(kakiyo_webhook(&off, json!(["*"]))).await;

    let sent = send(&server, KAKIYO, "", "message.sent").await.expect(202);
    assert_eq!((&sent["deliveries"], &sent["test"]), (&json!(2), &json!(true)));
    let example = show(&server, KAKIYO, "message.sent", "?app_id=t").await.expect(200);
    assert_eq!(sent["payload"], example["payload"]);
    let again = send(&server, KAKIYO, "", "message.sent").await.expect(202);
    assert_ne!(sent["id"], again["id"]);
    taking.wait_for(4).await;
    let deliveries = server.deliveries(KAKIYO, "t", sent["id"].as_str().unwrap()).await;
    assert_eq!(deliveries.len(), 2);
    for receiver in [other, off] {
        assert!(receiver.requests().is_empty());
    }
    refused(send(&server, KAKIYO, "", "message.lost").await, "eventType");
    let path = "/api/v1/app/nobody/send-example";
    let body = json!({ "eventType": "message.sent" });
    server.call(KAKIYO, "POST", path, body).await.expect(404);
}

#[tokio::test]
async fn own_types_are_sent_with_the_example_they_have() {
    let server = TestServer::start(&[HOME]).await;
    let receiver = receiver().await;
    let tenant = Tenant::new(&server, HOME, "t").await;
    let endpoint = tenant.endpoint(json!({ "url": receiver.url("/").as_str() })).await;
    let add = async |fields: Value| {
        server.call(HOME, "POST", "/api/v1/event-type", fields).await.expect(201);
    };
    let schema = json!({ "1": { "type": "object", "examples": [{ "of": "schema" }, {}] } });
    add(json!({ "name": "both", "description": "", "schemas": schema, "example": { "own": 1 } }))
        .await;
    add(json!({ "name": "in.schema", "description": "", "schemas": schema })).await;
    add(json!({ "name": "none", "description": "", "schemas": { "1": { "examples": [] } } })).await;
    let odd = json!({ "1": { "type": "object", "examples": ["not an object"] } });
    add(json!({ "name": "odd", "description": "", "schemas": odd })).await;
    add(json!({ "name": "old", "description": "", "example": {}, "archived": true })).await;

    for (sent, (name, example)) in
        [("both", json!({ "own": 1 })), ("in.schema", json!({ "of": "schema" }))]
            .into_iter()
            .enumerate()
    {
        let shown = show(&server, HOME, name, "").await.expect(200);
        assert_eq!((&shown["payload"], &shown["body"]), (&example, &example));
        send_to(&server, HOME, &endpoint, name).await.expect(202);
        let request = receiver.wait_for(sent + 1).await[sent].clone();
        assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), example);
    }
    for below in [String::new(), format!("/endpoint/{endpoint}")] {
        let said = refused(send(&server, HOME, &below, "none").await, "eventType");
        assert_eq!(said, "`none` has no example in the catalog");
        // A test has to be what publishing would take.
        refused(send(&server, HOME, &below, "odd").await, "payload");
        refused(send(&server, HOME, &below, "old").await, "eventType");
        refused(send(&server, HOME, &below, "undeclared").await, "eventType");
        refused(send(&server, HOME, &below, &"x".repeat(1_000)).await, "eventType");
    }
    let missing = show(&server, HOME, "none", "").await.expect(404);
    assert_eq!(missing["detail"], "`none` has no example in the catalog");
    assert_eq!(messages(&server, HOME).await.len(), 2);
}

const FORM: &str = r#"
name = "company"
[delivery]
body = 'type={{ event.type }}&test={{ event.test }}&data={{ payload }}'
content_type = "application/x-www-form-urlencoded"
[secret]
origin = "none"
[[events]]
name = "order.made"
example = '{ "id": 1.10 }'
"#;

#[tokio::test]
async fn a_contract_can_tell_receivers_that_an_event_is_a_test() {
    let server =
        TestServer::start_with(&[], |config| configure_file(config, "company", FORM)).await;
    let receiver = receiver().await;
    let tenant = Tenant::new(&server, "company", "t").await;
    tenant.endpoint(json!({ "url": receiver.url("/").as_str() })).await;
    let real = tenant.deliver(&receiver, "order.made", "1").await;
    assert_eq!(real.body(), "type=order.made&test=false&data=1");
    send(&server, "company", "", "order.made").await.expect(202);
    let test = receiver.wait_for(2).await[1].clone();
    assert_eq!(test.body, b"type=order.made&test=true&data=%7B+%22id%22%3A+1.10+%7D");
    // A body that isn't JSON is shown as a text.
    let shown = show(&server, "company", "order.made", "").await;
    assert!(shown.text.contains(r#""payload":{ "id": 1.10 }"#), "{}", shown.text);
    let shown = shown.expect(200);
    assert_eq!(shown["body"], "type=order.made&test=false&data=%7B+%22id%22%3A+1.10+%7D");
    assert_eq!(shown["contentType"], "application/x-www-form-urlencoded");
}
