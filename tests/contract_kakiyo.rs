//! Kakiyo's webhooks, as its documentation describes them, verified as its own example does:
//! by JavaScript that parses the body and prints it again.

mod support;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hookwright::sender::Resolver;
use serde_json::{Value, json};

use support::certificates::Authority;
use support::environments::configure;
use support::payloads;
use support::programs::{HttpProgram, hmac_sha256_hex, node};
use support::receiver::{Options, Receiver, Reply, Script};
use support::server::TestServer;
use support::tenant::{Delivered, Tenant, refused};

const SECRET: &str = "your_webhook_secret_key";

/// The documented handler's decision, on what `express.json()` would give it.
const HANDLER: &str = r#"
const handle = ({ signature, body, secret }) => {
  const payload = JSON.stringify(JSON.parse(body));
  const expectedSignature = crypto.createHmac('sha256', secret).update(payload).digest('hex');
  return signature === `sha256=${expectedSignature}` ? 200 : 401;
};
"#;

async fn server() -> TestServer {
    TestServer::start(&["kakiyo"]).await
}

async fn receiver() -> Receiver {
    Receiver::start(Reply::status(200)).await
}

async fn team(server: &TestServer) -> Tenant<'_> {
    Tenant::new(server, "kakiyo", "team_1").await
}

fn fields(receiver: &Receiver) -> Value {
    json!({
        "name": "CRM Integration",
        "url": receiver.url("/kakiyo/webhook").as_str(),
        "secret": SECRET,
        "filterTypes": ["*"],
    })
}

fn with(receiver: &Receiver, field: &str, value: Value) -> Value {
    let mut fields = fields(receiver);
    fields[field] = value;
    fields
}

/// What the documented handler answers to each delivery.
fn handled(secret: &str, delivered: &[Delivered]) -> Value {
    let given: Vec<Value> = delivered
        .iter()
        .map(|one| {
            let signature = one.header("x-kakiyo-signature");
            json!({ "signature": signature, "body": one.body(), "secret": secret })
        })
        .collect();
    node(&format!("{HANDLER}\nanswer(given.map(handle));"), &json!(given))
}

fn assert_handled(secret: &str, delivered: &[Delivered]) {
    let answers = handled(secret, delivered);
    for (one, answer) in delivered.iter().zip(answers.as_array().unwrap()) {
        assert_eq!(*answer, 200, "{}", one.body());
    }
}

/// Whether all are signed over the bytes that came.
fn assert_signed(secret: &str, delivered: &[Delivered]) {
    let bodies = delivered.iter().map(|one| one.request.body.as_slice());
    let expected = hmac_sha256_hex(secret, bodies);
    for (one, expected) in delivered.iter().zip(expected) {
        assert_eq!(
            one.header("X-Kakiyo-Signature"),
            format!("sha256={expected}"),
            "{}",
            one.body()
        );
    }
}

fn expected_body(event: &str, data: &str) -> String {
    format!(
        r#"{{"event":"{event}","teamId":"team_1","timestamp":"2025-01-15T14:32:00.258Z","data":{data}}}"#
    )
}

#[tokio::test]
async fn a_qualified_prospect_arrives_as_documented() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    team.endpoint(fields(&receiver)).await;
    let data = r#"{"prospect":{"name":"Jane Doe"}}"#;
    let delivered = team.deliver(&receiver, "prospect.qualified", data).await;
    assert_eq!(delivered.body(), expected_body("prospect.qualified", data));
    assert_eq!(delivered.request.method, "POST");
    assert_eq!(delivered.request.target, "/kakiyo/webhook");
    assert_eq!(delivered.header("content-type"), "application/json");
    assert_eq!(
        delivered.header_names(),
        ["content-length", "content-type", "host", "user-agent", "x-kakiyo-signature"]
    );
    let delivered = [delivered];
    assert_signed(SECRET, &delivered);
    assert_handled(SECRET, &delivered);
    assert_eq!(handled("another secret", &delivered), json!([401]));
}

#[tokio::test]
async fn the_documented_handler_answers_ok_to_real_deliveries() {
    let handler = HttpProgram::node(&format!(
        "{HANDLER}
         const respond = (request, body) => {{
           const signature = request.headers['x-kakiyo-signature'];
           return handle({{ signature, body, secret: {SECRET:?} }});
         }};"
    ));
    let server = server().await;
    let team = team(&server).await;
    for (secret, status, word) in [(SECRET, 200, "succeeded"), ("not the one", 401, "pending")] {
        let url = handler.url("/kakiyo/webhook");
        let mut fields = json!({ "name": "CRM", "url": url, "filterTypes": ["message.sent"] });
        fields["secret"] = json!(secret);
        let id = team.endpoint(fields).await;
        for data in [r#"{"prospect":{"name":"Zoë 😀"},"score":1.10}"#, "null", r#"{"10":1,"9":2}"#]
        {
            let published = team.ask_to_publish("message.sent", "", data).await.expect(202);
            let message = published["id"].as_str().unwrap();
            let attempts = server.wait_for_attempts("kakiyo", "team_1", message, 1).await;
            assert_eq!(attempts[0]["responseStatusCode"], status, "{data}");
            server.wait_for_status("kakiyo", "team_1", message, word).await;
        }
        team.delete(&id).await;
    }
}

#[tokio::test]
async fn the_payload_is_sent_as_javascript_prints_it() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    team.endpoint(fields(&receiver)).await;
    let beyond_doubles = payloads::OBJECTS[1];
    let mut delivered = Vec::new();
    let published: Vec<String> =
        payloads::all().into_iter().filter(|payload| payload != beyond_doubles).collect();
    for payload in &published {
        delivered.push(team.deliver(&receiver, "message.sent", payload).await);
    }
    let printed =
        node("answer(given.map((text) => JSON.stringify(JSON.parse(text))));", &json!(published));
    for (one, printed) in delivered.iter().zip(printed.as_array().unwrap()) {
        assert_eq!(one.body(), expected_body("message.sent", printed.as_str().unwrap()));
    }
    assert_signed(SECRET, &delivered);
    assert_handled(SECRET, &delivered);
}

#[tokio::test]
async fn what_javascript_rewrites() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    team.endpoint(fields(&receiver)).await;
    let mut delivered = Vec::new();
    for (payload, data) in [
        (
            r#" { "b" : 1.10 , "a" : [ 1e3, -0, 1E21, 0.0000001 ] } "#,
            r#"{"b":1.1,"a":[1000,0,1e+21,1e-7]}"#,
        ),
        (r#"{"b":1,"10":2,"9":3,"01":4}"#, r#"{"9":3,"10":2,"b":1,"01":4}"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"t":"\u003c\u00e9\/\u001F\u2028"}"#, "{\"t\":\"<é/\\u001f\u{2028}\"}"),
        (r#"{"safe":9007199254740991}"#, r#"{"safe":9007199254740991}"#),
    ] {
        let one = team.deliver(&receiver, "message.sent", payload).await;
        assert_eq!(one.body(), expected_body("message.sent", data));
        delivered.push(one);
    }
    assert_handled(SECRET, &delivered);
}

#[tokio::test]
async fn a_number_that_javascript_cannot_hold_is_kept_and_verifies_over_the_raw_body() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    team.endpoint(fields(&receiver)).await;
    let payload = payloads::OBJECTS[1];
    let one = team.deliver(&receiver, "message.sent", payload).await;
    assert_eq!(one.body(), expected_body("message.sent", payload));
    let delivered = [one];
    assert_signed(SECRET, &delivered);
    // The documented handler has lost digits by the time it computes the signature.
    assert_eq!(handled(SECRET, &delivered), json!([401]));
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    let id = team.endpoint(with(&receiver, "secret", Value::Null)).await;
    let delivered = team.deliver(&receiver, "message.sent", "{}").await;
    assert_eq!(delivered.header_names(), ["content-length", "content-type", "host", "user-agent"]);
    assert_eq!(delivered.body(), expected_body("message.sent", "{}"));
    team.reveal(&id).await.expect(403);
    // A rotation is how it gets one.
    assert_eq!(refused(team.rotate(&id, None).await, "key"), "A secret is required");
    team.rotate(&id, Some("first")).await.expect(204);
    let delivered = team.deliver(&receiver, "message.sent", "{}").await;
    assert_handled("first", &[delivered]);
    // And it can be taken away again.
    team.ask("DELETE", &format!("endpoint/{id}/secret"), Value::Null).await.expect(204);
    let delivered = team.deliver(&receiver, "message.sent", "{}").await;
    assert_eq!(delivered.request.header("X-Kakiyo-Signature"), None);
}

#[tokio::test]
async fn the_secret_is_any_text_never_shown_and_replaced_at_once() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    for secret in ["x", "ключ 😀 & \"quotes\"", &"é".repeat(256)] {
        let made = team.register(with(&receiver, "secret", json!(secret))).await;
        assert!(secret.len() < 2 || !made.text.contains(secret), "{}", made.text);
        let made = made.expect(201);
        let id = made["id"].as_str().unwrap();
        let answer = team.reveal(id).await.expect(403);
        assert_eq!(answer["code"], "forbidden");
        let before = team.deliver(&receiver, "message.sent", "{}").await;
        assert_handled(secret, &[before]);
        team.rotate(id, Some("the next one")).await.expect(204);
        let after = [team.deliver(&receiver, "message.sent", "{}").await];
        assert_eq!(handled(secret, &after), json!([401]));
        assert_handled("the next one", &after);
        team.delete(id).await;
    }
    for (secret, reason) in [
        ("", "1 to 256 characters; it has 0"),
        (&*"é".repeat(257), "1 to 256 characters; it has 257"),
        ("a\tb", "control characters"),
    ] {
        let said = refused(team.register(with(&receiver, "secret", json!(secret))).await, "secret");
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn every_event_of_the_catalog_arrives_with_its_example() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    let catalog = team.catalog().await;
    let names: BTreeSet<&str> = catalog.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let documented = [
        "prospect.qualified",
        "prospect.responded",
        "campaign.completed",
        "message.sent",
        "connection.accepted",
        "agent.status_changed",
        "linkedin.message.received",
        "prospect.qualification.manual",
        "linkedin.message.sent",
        "linkedin.invitation.sent",
        "linkedin.invitation.accepted",
    ];
    assert_eq!(names, BTreeSet::from(documented));
    team.endpoint(with(&receiver, "filterTypes", json!(documented))).await;
    let mut delivered = Vec::new();
    for event in &catalog {
        let (name, example) = (event["name"].as_str().unwrap(), event["example"].to_string());
        let one = team.deliver(&receiver, name, &example).await;
        let body: Value = serde_json::from_str(one.body()).unwrap();
        assert_eq!((&body["event"], &body["data"]), (&event["name"], &event["example"]));
        delivered.push(one);
    }
    assert_signed(SECRET, &delivered);
    assert_handled(SECRET, &delivered);
}

#[tokio::test]
async fn event_names_are_an_enumeration_and_a_star_stands_for_all() {
    let (server, receiver, all) = (server().await, receiver().await, receiver().await);
    let team = team(&server).await;
    for name in ["prospect.deleted", "Message.Sent", "linkedin"] {
        let expected = format!("`{name}` is not in the catalog of event types");
        let said = refused(team.ask_to_publish(name, "", "{}").await, "eventType");
        assert_eq!(said, expected);
        let events = json!(["message.sent", name]);
        let answer = team.register(with(&receiver, "filterTypes", events)).await;
        assert_eq!(refused(answer, "filterTypes.1"), expected);
    }
    // A star is for subscribing only.
    refused(team.ask_to_publish("*", "", "{}").await, "eventType");
    let answer = team.register(with(&receiver, "filterTypes", json!([]))).await;
    assert_eq!(refused(answer, "filterTypes"), "At least one event must be chosen.");

    let one_event = json!(["message.sent"]);
    team.endpoint(with(&receiver, "filterTypes", one_event)).await;
    team.endpoint(fields(&all)).await;
    for (event, endpoints) in [("campaign.completed", 1), ("message.sent", 2)] {
        let delivered = team.deliver(&all, event, "{}").await;
        let deliveries = server.deliveries("kakiyo", "team_1", delivered.id()).await;
        assert_eq!(deliveries.len(), endpoints, "{event}");
    }
    // The company's own event types are under the star, too.
    let own = json!({ "name": "agent.created", "description": "An agent was made." });
    server.call("kakiyo", "POST", "/api/v1/event-type", own).await.expect(201);
    team.deliver(&all, "agent.created", "{}").await;
}

#[tokio::test]
async fn a_webhook_may_have_what_the_contract_offers_and_no_more() {
    let (server, receiver) = (server().await, receiver().await);
    let team = team(&server).await;
    for name in [Value::Null, json!(""), json!(" ")] {
        let said = refused(team.register(with(&receiver, "name", name)).await, "name");
        assert_eq!(said, "A name is required.");
    }
    let answer = team.register(with(&receiver, "method", json!("PUT"))).await;
    assert_eq!(refused(answer, "method"), "The method must be one of POST.");
    let auth = json!({ "type": "basic", "token": "t" });
    let answer = team.register(with(&receiver, "auth", auth)).await;
    assert_eq!(refused(answer, "auth"), "The authentication must be one of none.");
    let answer = team.register(with(&receiver, "headers", json!({ "X-Team": "7" }))).await;
    assert_eq!(refused(answer, "headers"), "Custom headers can't be set.");
}

#[tokio::test]
async fn receivers_are_called_over_https_only() {
    let authority = Authority::new("An authority for tests");
    let roots = authority.pem_file();
    let tls = authority.issue(&["your-app.example"]).server_config(&["h2", "http/1.1"]);
    let options = Options { tls: Some(tls), ..Options::default() };
    let receiver = Receiver::start_with(options, Reply::status(200)).await;
    let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let names = HashMap::from([("your-app.example".to_owned(), loopback)]);
    let server = TestServer::start_resolving(&[], Resolver::fixed(names), |config| {
        configure(config, &[("live", "kakiyo")], false);
        config.tls_ca_file = Some(roots.path().to_owned());
    })
    .await;
    let team = Tenant::new(&server, "live", "team_1").await;
    let plain = with(&receiver, "url", json!("http://your-app.example/kakiyo/webhook"));
    let said = refused(team.register(plain).await, "url");
    assert_eq!(said, "The URL must begin with https://.");
    let url = receiver.url_for("your-app.example", "/kakiyo/webhook?team=1&team=2");
    team.endpoint(with(&receiver, "url", json!(url.as_str()))).await;
    let delivered = team.deliver(&receiver, "message.sent", r#"{"é":1.10}"#).await;
    assert_eq!(delivered.request.target, "/kakiyo/webhook?team=1&team=2");
    assert_eq!(delivered.body(), expected_body("message.sent", r#"{"é":1.1}"#));
    assert_handled(SECRET, &[delivered]);
}

#[tokio::test]
async fn a_retry_repeats_the_request_and_the_event_id_stays_with_the_message() {
    let server = server().await;
    let receiver =
        Receiver::start(Script::sequence(vec![Reply::status(500), Reply::status(200)])).await;
    let team = team(&server).await;
    team.endpoint(fields(&receiver)).await;
    let first = team.deliver_as(&receiver, ("message.sent", "evt.17"), "{}").await;
    assert_eq!(first.message["eventId"], "evt.17");
    assert_eq!(first.body(), expected_body("message.sent", "{}"));
    server.wait_for_attempts("kakiyo", "team_1", first.id(), 1).await;
    server.clock.advance(Duration::from_secs(1));
    let retry = receiver.wait_for(2).await[1].clone();
    assert_eq!(retry.body, first.request.body);
    assert_eq!(retry.header("x-kakiyo-signature"), first.request.header("x-kakiyo-signature"));
}

#[tokio::test]
async fn a_team_without_an_id_of_its_own_is_known_by_ours() {
    let (server, receiver) = (server().await, receiver().await);
    let made =
        server.call("kakiyo", "POST", "/api/v1/app", json!({ "name": "T" })).await.expect(201);
    let id = made["id"].as_str().unwrap();
    server.endpoint("kakiyo", id, fields(&receiver)).await;
    server.publish("kakiyo", id, "message.sent", "{}").await;
    let request = receiver.wait_for(1).await[0].clone();
    let expected = expected_body("message.sent", "{}").replace("team_1", id);
    assert_eq!(String::from_utf8(request.body).unwrap(), expected);
}
