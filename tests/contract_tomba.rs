//! Tomba's webhooks, as its documentation describes them: one event, eleven members, any of
//! five methods, and no signature.

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::environments::configure;
use support::programs::python;
use support::receiver::{Receiver, Reply, Script};
use support::server::{TestServer, eventually};
use support::tenant::{Delivered, Tenant, refused};

const MEMBERS: [&str; 11] = [
    "email",
    "company",
    "first_name",
    "last_name",
    "phone",
    "website",
    "position",
    "twitter",
    "linkedin",
    "notes",
    "score",
];

async fn server() -> TestServer {
    TestServer::start(&["tomba"]).await
}

async fn receiver() -> Receiver {
    Receiver::start(Reply::status(200)).await
}

async fn account(server: &TestServer) -> Tenant<'_> {
    Tenant::new(server, "tomba", "account-1").await
}

fn fields(receiver: &Receiver) -> Value {
    json!({ "name": "Lead Tracking Webhook", "url": receiver.url("/webhooks/leads").as_str() })
}

fn with(receiver: &Receiver, field: &str, value: Value) -> Value {
    let mut fields = fields(receiver);
    fields[field] = value;
    fields
}

/// The body as documented, with these raw values for some members and null for the others.
fn body_of(given: &[(&str, &str)]) -> String {
    let value =
        |name: &str| given.iter().find(|(known, _)| *known == name).map_or("null", |one| one.1);
    let members: Vec<String> =
        MEMBERS.iter().map(|name| format!("\"{name}\":{}", value(name))).collect();
    format!(r#"{{"data":{{{}}}}}"#, members.join(","))
}

#[tokio::test]
async fn a_saved_lead_arrives_as_documented() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    account.endpoint(fields(&receiver)).await;
    let lead = r#"{ "email": "", "company": "", "first_name": "", "last_name": "", "phone": "", "website": "", "position": "", "twitter": "", "linkedin": "", "notes": "", "score": 0 }"#;
    let delivered = account.deliver(&receiver, "save_lead", lead).await;
    assert_eq!(
        delivered.body(),
        r#"{"data":{"email":"","company":"","first_name":"","last_name":"","phone":"","website":"","position":"","twitter":"","linkedin":"","notes":"","score":0}}"#
    );
    assert_eq!(delivered.request.method, "POST");
    assert_eq!(delivered.request.target, "/webhooks/leads");
    assert_eq!(delivered.header("content-type"), "application/json");
    assert_eq!(
        delivered.header_names(),
        [
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-tomba-delivery",
            "x-tomba-event"
        ]
    );
    assert_eq!(delivered.header("X-Tomba-Event"), "save_lead");
    assert_eq!(delivered.header("X-Tomba-Delivery"), delivered.id());
}

#[tokio::test]
async fn all_eleven_members_are_there_and_what_was_left_out_is_null() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    account.endpoint(fields(&receiver)).await;
    for (lead, expected) in [
        ("{}", body_of(&[])),
        (r#"{"email":"jane@example.com"}"#, body_of(&[("email", r#""jane@example.com""#)])),
        (
            r#"{ "score" : 85 , "notes" : null , "email" : "a@b.c" }"#,
            body_of(&[("email", r#""a@b.c""#), ("score", "85")]),
        ),
        // The last of a repeated member counts, however its name is written.
        (r#"{"score":1,"\u0073core":2}"#, body_of(&[("score", "2")])),
    ] {
        let delivered = account.deliver(&receiver, "save_lead", lead).await;
        assert_eq!(delivered.body(), expected);
        let read = python(
            "body = json.loads(given)\nanswer([list(body), list(body['data'])])",
            &json!(delivered.body()),
        );
        assert_eq!(read, json!([["data"], MEMBERS]));
    }
}

#[tokio::test]
async fn values_stay_as_they_were_published() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    account.endpoint(fields(&receiver)).await;
    for (name, raw) in [
        ("company", "\"Zoë & Söhne <b>😀</b> 日本\""),
        ("notes", r#""\" \\ \/ \b\f\n\r\t \u0000 \u001F \u2028 \u00e9 \ud83d\ude00""#),
        ("notes", "\"\u{7f}\u{2028}\u{feff} {{ 7*7 }} ${x}\""),
        ("linkedin", r#""https://www.linkedin.com/in/jane?a=1&amp;b=%20+c""#),
        ("score", "12345678901234567890"),
        ("score", "-0"),
    ] {
        let lead = format!("{{ \"{name}\" :\n {raw}\t}}");
        let delivered = account.deliver(&receiver, "save_lead", &lead).await;
        assert_eq!(delivered.body(), body_of(&[(name, raw)]));
    }
}

#[tokio::test]
async fn bodies_travel_with_post_put_and_patch() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let url = receiver.url("/leads?key=a%2Fb+c&key=&flag").to_string();
    for method in ["POST", "PUT", "PATCH"] {
        let mut fields = with(&receiver, "method", json!(method));
        fields["url"] = json!(url);
        let id = account.endpoint(fields).await;
        assert_eq!(account.show(&id).await["method"], method);
        let delivered = account.deliver(&receiver, "save_lead", r#"{"score":1}"#).await;
        assert_eq!(delivered.request.method, method);
        assert_eq!(delivered.request.target, "/leads?key=a%2Fb+c&key=&flag");
        assert_eq!(delivered.body(), body_of(&[("score", "1")]));
        assert_eq!(delivered.header("content-type"), "application/json");
        assert_eq!(delivered.header("x-tomba-event"), "save_lead");
        account.delete(&id).await;
    }
}

/// What a receiver reads from the query: names and values in their order.
fn read_query(delivered: &Delivered) -> Vec<(String, String)> {
    let pairs = python(
        "import urllib.parse\n\
         query = given.partition('?')[2]\n\
         answer(urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=False))",
        &json!(delivered.request.target),
    );
    serde_json::from_value(pairs).unwrap()
}

#[tokio::test]
async fn the_payload_travels_in_the_query_with_get_and_delete() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let company = "\"Zoë & Söhne; a=b+c? #1 100% \\\" <x> 😀\"";
    let lead = format!(r#"{{"company":{company},"score":1}}"#);
    let expected = body_of(&[("company", company), ("score", "1")]);
    for method in ["GET", "DELETE"] {
        for (given, start, before) in [
            ("/leads", "/leads?payload=%7B%22data%22%3A%7B%22email%22%3Anull%2C", vec![]),
            ("/leads?", "/leads?payload=%7B", vec![]),
            (
                "/le%2Fads?b=2&a=%20+x&b=1&payload=mine&flag",
                "/le%2Fads?b=2&a=%20+x&b=1&payload=mine&flag&payload=%7B",
                vec![("b", "2"), ("a", "  x"), ("b", "1"), ("payload", "mine"), ("flag", "")],
            ),
        ] {
            let url = format!("http://127.0.0.1:{}{given}", receiver.port());
            let mut fields = with(&receiver, "method", json!(method));
            fields["url"] = json!(url);
            let id = account.endpoint(fields).await;
            let delivered = account.deliver(&receiver, "save_lead", &lead).await;
            let request = &delivered.request;
            assert_eq!(request.method, method);
            assert!(request.target.starts_with(start), "{}", request.target);
            assert!(request.target.is_ascii() && !request.target.contains(['"', '<', '{']));
            let mut pairs = read_query(&delivered);
            let (name, payload) = pairs.pop().unwrap();
            assert_eq!((name.as_str(), payload), ("payload", expected.clone()));
            let before: Vec<(String, String)> =
                before.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            assert_eq!(pairs, before);
            // No body, and nothing that speaks of one.
            assert!(request.body.is_empty());
            assert_eq!(
                delivered.header_names(),
                ["host", "user-agent", "x-tomba-delivery", "x-tomba-event"]
            );
            account.delete(&id).await;
        }
    }
}

#[tokio::test]
async fn a_lead_too_long_for_a_query_fails_and_says_so() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    account.endpoint(with(&receiver, "method", json!("GET"))).await;
    let lead = format!(r#"{{"notes":"{}"}}"#, "é".repeat(20_000));
    let message = server.publish("tomba", "account-1", "save_lead", &lead).await;
    let attempts = server.wait_for_attempts("tomba", "account-1", &message, 1).await;
    assert_eq!(attempts[0]["error"]["kind"], "url");
    assert!(receiver.requests().is_empty());
    // One that just fits arrives.
    let lead = format!(r#"{{"notes":"{}"}}"#, "é".repeat(9_500));
    let delivered = account.deliver(&receiver, "save_lead", &lead).await;
    assert!(delivered.request.target.len() > 57_000);
    assert_eq!(read_query(&delivered)[0].1.len(), body_of(&[]).len() - 4 + 2 + 19_000);
}

#[tokio::test]
async fn a_method_that_is_not_offered_is_refused() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    for method in ["HEAD", "OPTIONS", "TRACE", "", "POST "] {
        let answer = account.register(with(&receiver, "method", json!(method))).await;
        assert_eq!(refused(answer, "method"), format!("`{method}` is not an HTTP method"));
    }
    let id = account.endpoint(fields(&receiver)).await;
    assert_eq!(account.show(&id).await["method"], "POST", "unless told otherwise");
    account.change(&id, json!({ "method": "PUT" })).await.expect(200);
    let delivered = account.deliver(&receiver, "save_lead", "{}").await;
    assert_eq!(delivered.request.method, "PUT");
}

#[tokio::test]
async fn custom_headers_are_sent_with_every_method() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let headers =
        json!({ "Authorization": "Bearer to:ken==", "X-Source": "a, \"b\"; ü", "x_odd~1": "1" });
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE"] {
        let mut fields = with(&receiver, "headers", headers.clone());
        fields["method"] = json!(method);
        let id = account.endpoint(fields).await;
        let delivered = account.deliver(&receiver, "save_lead", "{}").await;
        assert_eq!(delivered.header("authorization"), "Bearer to:ken==");
        assert_eq!(delivered.header("x-source"), "a, \"b\"; ü");
        assert_eq!(delivered.header("x_odd~1"), "1");
        assert_eq!(delivered.header("x-tomba-event"), "save_lead");
        account.delete(&id).await;
    }
}

#[tokio::test]
async fn custom_headers_are_changed_one_by_one_and_tokens_are_not_shown() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let headers = json!({ "Authorization": "Bearer hush", "X-Source": "crm" });
    let id = account.endpoint(with(&receiver, "headers", headers)).await;
    let path = format!("/api/v1/app/account-1/endpoint/{id}/headers");
    let shown = server.call("tomba", "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown, json!({ "headers": { "X-Source": "crm" }, "sensitive": ["Authorization"] }));
    let change = json!({ "headers": { "x-source": null, "X-New": "1" } });
    server.call("tomba", "PATCH", &path, change).await.expect(204);
    let delivered = account.deliver(&receiver, "save_lead", "{}").await;
    assert_eq!(delivered.header("authorization"), "Bearer hush");
    assert_eq!(delivered.header("x-new"), "1");
    assert_eq!(delivered.request.header("x-source"), None);
}

#[tokio::test]
async fn headers_that_are_not_the_customers_are_refused() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let headers_of = |name: &str, value: &str| {
        let pair = (name.to_owned(), json!(value));
        Value::Object(std::iter::once(pair).collect())
    };
    for (name, value, reason) in [
        ("X-Tomba-Event", "other", "can't be set"),
        ("x-tomba-delivery", "1", "can't be set"),
        ("Content-Type", "text/plain", "can't be set"),
        ("Content-Length", "0", "can't be set"),
        ("Host", "example.com", "can't be set"),
        ("Transfer-Encoding", "chunked", "can't be set"),
        ("X Space", "1", "not a valid header name"),
        ("X-Break\r\nX-Evil", "1", "not a valid header name"),
        ("X-Break", "1\r\nX-Evil: 1", "line breaks"),
        ("X-Empty", "", "empty"),
    ] {
        let answer = account.register(with(&receiver, "headers", headers_of(name, value))).await;
        let said = refused(answer, "headers");
        assert!(said.contains(reason), "{said}");
    }
    let twice = json!({ "X-Key": "1", "x-key": "2" });
    let said = refused(account.register(with(&receiver, "headers", twice)).await, "headers");
    assert!(said.contains("given twice"), "{said}");
    let many: serde_json::Map<String, Value> =
        (0..21).map(|n| (format!("X-{n}"), json!("1"))).collect();
    let said = refused(account.register(with(&receiver, "headers", many.into())).await, "headers");
    assert_eq!(said, "At most 20 custom headers can be set.");
}

#[tokio::test]
async fn names_are_required_and_unique_within_an_account() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    for name in [Value::Null, json!(""), json!("\t ")] {
        let said = refused(account.register(with(&receiver, "name", name)).await, "name");
        assert_eq!(said, "A name is required.");
    }
    let first = account.endpoint(fields(&receiver)).await;
    let conflict = account.register(fields(&receiver)).await.expect(409);
    assert_eq!(conflict["code"], "conflict");
    let second = account.endpoint(with(&receiver, "name", json!("Another"))).await;
    let taken = json!({ "name": "Lead Tracking Webhook" });
    account.change(&second, taken.clone()).await.expect(409);
    assert_eq!(account.show(&second).await["name"], "Another");
    // Its own name isn't taken, another account's isn't either, and a deleted one is free.
    account.change(&first, taken.clone()).await.expect(200);
    let other = Tenant::new(&server, "tomba", "account-2").await;
    other.endpoint(fields(&receiver)).await;
    account.delete(&first).await;
    account.change(&second, taken).await.expect(200);
}

#[tokio::test]
async fn a_webhook_is_enabled_and_disabled() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let id = account.endpoint(with(&receiver, "disabled", json!(true))).await;
    assert_eq!(account.show(&id).await["disabled"], true);
    let message = server.publish("tomba", "account-1", "save_lead", "{}").await;
    assert!(server.deliveries("tomba", "account-1", &message).await.is_empty());
    account.change(&id, json!({ "disabled": false })).await.expect(200);
    account.deliver(&receiver, "save_lead", r#"{"score":2}"#).await;
    eventually("an empty backlog", async || server.ledger().await[0].pending == 0).await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn nothing_is_signed_and_there_are_no_secrets() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let answer = account.register(with(&receiver, "secret", json!("s3cr3t"))).await;
    let said = refused(answer, "secret");
    assert_eq!(said, "This contract signs nothing, so it has no secrets");
    let id = account.endpoint(fields(&receiver)).await;
    account.reveal(&id).await.expect(403);
    refused(account.rotate(&id, None).await, "key");
    refused(account.rotate(&id, Some("s3cr3t")).await, "key");
    let auth = json!({ "type": "basic", "token": "t" });
    let answer = account.register(with(&receiver, "auth", auth)).await;
    assert_eq!(refused(answer, "auth"), "The authentication must be one of none.");
}

#[tokio::test]
async fn there_is_one_event_and_its_example_arrives() {
    let (server, receiver) = (server().await, receiver().await);
    let account = account(&server).await;
    let catalog = account.catalog().await;
    let [event] = catalog.as_slice() else { panic!("{catalog:?}") };
    assert_eq!(event["name"], "save_lead");
    account.endpoint(with(&receiver, "filterTypes", json!(["save_lead"]))).await;
    let delivered = account.deliver(&receiver, "save_lead", &event["example"].to_string()).await;
    let body: Value = serde_json::from_str(delivered.body()).unwrap();
    assert_eq!(body, json!({ "data": event["example"] }));
    for name in ["save_leads", "lead.saved", "Save_lead"] {
        let expected = format!("`{name}` is not in the catalog of event types");
        let said = refused(account.ask_to_publish(name, "", "{}").await, "eventType");
        assert_eq!(said, expected);
        let mut fields = with(&receiver, "filterTypes", json!([name]));
        fields["name"] = json!(name);
        assert_eq!(refused(account.register(fields).await, "filterTypes.0"), expected);
    }
}

#[tokio::test]
async fn a_retry_repeats_the_delivery_under_the_same_id() {
    let server = server().await;
    let receiver =
        Receiver::start(Script::sequence(vec![Reply::status(500), Reply::status(200)])).await;
    let account = account(&server).await;
    account.endpoint(with(&receiver, "method", json!("GET"))).await;
    let first = account.deliver_as(&receiver, ("save_lead", "lead.1"), r#"{"score":1}"#).await;
    assert_eq!(first.message["eventId"], "lead.1");
    server.wait_for_attempts("tomba", "account-1", first.id(), 1).await;
    server.clock.advance(Duration::from_secs(10));
    let retry = receiver.wait_for(2).await[1].clone();
    assert_eq!(retry.target, first.request.target);
    assert_eq!(retry.headers, first.request.headers);
    assert_eq!(first.header("x-tomba-delivery"), first.id());
}

#[tokio::test]
async fn plain_http_is_allowed() {
    let server =
        TestServer::start_with(&[], |config| configure(config, &[("live", "tomba")], false)).await;
    let receiver = receiver().await;
    let account = Tenant::new(&server, "live", "account-1").await;
    account.endpoint(fields(&receiver)).await;
    account.deliver(&receiver, "save_lead", "{}").await;
}

#[tokio::test]
async fn a_lead_that_breaks_the_schema_is_refused_when_it_is_published() {
    let server = server().await;
    let receiver = receiver().await;
    server.application("tomba", "leads").await;
    let fields = json!({ "name": "Leads", "url": receiver.url("/leads").as_str() });
    server.endpoint("tomba", "leads", fields).await;
    let publish = async |payload: Value| {
        let message = json!({ "eventType": "save_lead", "payload": payload });
        server.call("tomba", "POST", "/api/v1/app/leads/msg", message).await
    };
    for (payload, member) in [
        (json!({ "email": 5 }), "email"),
        (json!({ "email": null }), "email"),
        (json!({ "website": ["https://example.com"] }), "website"),
        (json!({ "score": "85" }), "score"),
        (json!({ "score": 8.5 }), "score"),
        (json!({ "score": null }), "score"),
        (json!({ "notes": {} }), "notes"),
    ] {
        let answer = publish(payload.clone()).await.expect(422);
        assert_eq!(answer["detail"][0]["loc"], json!(["body", "payload", member]), "{payload}");
    }
    // Both mistakes at once, and a member that nobody documented by its name.
    let answer = publish(json!({ "email": 1, "score": "x" })).await.expect(422);
    assert_eq!(answer["detail"].as_array().unwrap().len(), 2);
    let answer = publish(json!({ "mail": "jane.doe@example.com" })).await.expect(422);
    assert!(answer["detail"][0]["msg"].as_str().unwrap().contains("mail"), "{answer}");
    for payload in [json!([]), json!("lead"), json!(null)] {
        let answer = publish(payload).await.expect(422);
        assert_eq!(answer["detail"][0]["loc"], json!(["body", "payload"]));
    }
    assert!(server.ledger().await.iter().all(|line| line.accepted == 0));
    assert!(receiver.requests().is_empty());
}
