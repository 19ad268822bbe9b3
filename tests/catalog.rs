//! The catalog at work: groups that endpoints take whole, and schemas that payloads keep to.

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::environments::configure_file;
use support::receiver::{Receiver, Reply, Script};
use support::server::{Answer, TestServer};
use support::tenant::{Tenant, refused};

const HOME: &str = "standard";
const TYPES: &str = "/api/v1/event-type";

async fn add_type(server: &TestServer, environment: &str, fields: Value) -> Answer {
    let mut input = json!({ "description": "" });
    input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    server.call(environment, "POST", TYPES, input).await
}

async fn change_type(server: &TestServer, name: &str, change: Value) -> Answer {
    server.call(HOME, "PATCH", &format!("{TYPES}/{name}"), change).await
}

fn url(receiver: &Receiver) -> String {
    receiver.url("/hook").to_string()
}

/// How many endpoints an event goes to.
async fn reach(server: &TestServer, tenant: &Tenant<'_>, environment: &str, event: &str) -> usize {
    let message = tenant.ask_to_publish(event, "", "{}").await.expect(202);
    let id = message["id"].as_str().unwrap().to_owned();
    server.deliveries(environment, "t", &id).await.len()
}

#[tokio::test]
async fn a_group_of_own_types_is_taken_whole() {
    let server = TestServer::start(&[HOME]).await;
    let tenant = Tenant::new(&server, HOME, "t").await;
    add_type(&server, HOME, json!({ "name": "order.made", "groupName": "order" }))
        .await
        .expect(201);
    add_type(&server, HOME, json!({ "name": "user.made", "groupName": "user" })).await.expect(201);
    let fields = json!({ "url": "http://127.0.0.1:9/", "filterGroups": ["order"] });
    let id = tenant.endpoint(fields).await;
    let shown = tenant.show(&id).await;
    assert_eq!((&shown["filterTypes"], &shown["filterGroups"]), (&Value::Null, &json!(["order"])));
    assert_eq!(reach(&server, &tenant, HOME, "order.made").await, 1);
    assert_eq!(reach(&server, &tenant, HOME, "user.made").await, 0);
    // Undeclared types are in no group, whatever they are called.
    assert_eq!(reach(&server, &tenant, HOME, "order.lost").await, 0);
    add_type(&server, HOME, json!({ "name": "order.lost", "groupName": "order" }))
        .await
        .expect(201);
    assert_eq!(reach(&server, &tenant, HOME, "order.lost").await, 1);
    // A type that moves to another group leaves the subscription.
    change_type(&server, "order.lost", json!({ "groupName": "user" })).await.expect(200);
    assert_eq!(reach(&server, &tenant, HOME, "order.lost").await, 0);
}

#[tokio::test]
async fn types_and_groups_are_changed_apart() {
    let server = TestServer::start(&[HOME]).await;
    let tenant = Tenant::new(&server, HOME, "t").await;
    for group in ["a", "b"] {
        let name = format!("{group}.one");
        add_type(&server, HOME, json!({ "name": name, "groupName": group })).await.expect(201);
    }
    let id = tenant.endpoint(json!({ "url": "http://127.0.0.1:9/" })).await;
    let path = format!("/api/v1/app/t/endpoint/{id}");
    for (method, change, types, groups) in [
        ("PATCH", json!({ "filterGroups": ["a"] }), Value::Null, json!(["a"])),
        ("PATCH", json!({ "filterTypes": ["b.one"] }), json!(["b.one"]), json!(["a"])),
        ("PATCH", json!({ "name": "Renamed" }), json!(["b.one"]), json!(["a"])),
        ("PATCH", json!({ "filterGroups": ["b", "a"] }), json!(["b.one"]), json!(["b", "a"])),
        ("PATCH", json!({ "filterTypes": null }), Value::Null, json!(["b", "a"])),
        // What the Svix API doesn't have stays where it is left out.
        ("PUT", json!({ "filterTypes": ["x"] }), json!(["x"]), json!(["b", "a"])),
        ("PUT", json!({ "filterTypes": ["x"], "filterGroups": null }), json!(["x"]), Value::Null),
        ("PATCH", json!({ "filterTypes": null }), Value::Null, Value::Null),
    ] {
        let mut input = change.clone();
        if method == "PUT" {
            input["url"] = json!("http://127.0.0.1:9/");
        }
        let changed = server.call(HOME, method, &path, input).await.expect(200);
        let now = (&changed["filterTypes"], &changed["filterGroups"]);
        assert_eq!(now, (&types, &groups), "{method} {change}");
    }
    // Without a choice of either kind it takes everything.
    assert_eq!(reach(&server, &tenant, HOME, "anything").await, 1);
}

#[tokio::test]
async fn groups_that_cannot_be_chosen_are_refused() {
    let server = TestServer::start(&[HOME, "klink", "kakiyo", "rechat"]).await;
    let url = "http://127.0.0.1:9/";
    let here = Tenant::new(&server, HOME, "t").await;
    add_type(&server, HOME, json!({ "name": "a.one", "groupName": "a", "archived": true }))
        .await
        .expect(201);
    for unknown in ["a", "b", "*", ""] {
        let answer = here.register(json!({ "url": url, "filterGroups": [unknown] })).await;
        let said = refused(answer, "filterGroups.0");
        assert_eq!(said, format!("`{unknown}` is not in the catalog of groups"));
    }
    refused(here.register(json!({ "url": url, "filterGroups": [] })).await, "filterTypes");
    refused(here.register(json!({ "url": url, "filterGroups": "a" })).await, "filterGroups");
    let many: Vec<String> = (0..101).map(|n| format!("g{n}")).collect();
    refused(here.register(json!({ "url": url, "filterGroups": many })).await, "filterGroups");

    let klink = Tenant::new(&server, "klink", "t").await;
    let groups = json!({ "name": "n", "url": url, "filterGroups": ["contact", "rooms"] });
    refused(klink.register(groups).await, "filterGroups.1");
    let kakiyo = Tenant::new(&server, "kakiyo", "t").await;
    let groups = json!({ "name": "n", "url": url, "filterGroups": ["prospect"] });
    let said = refused(kakiyo.register(groups).await, "filterGroups");
    assert_eq!(said, "Whole groups of events can't be chosen.");
    let rechat = Tenant::new(&server, "rechat", "t").await;
    let groups = json!({ "url": url, "filterTypes": ["Deals"], "filterGroups": ["Deals"] });
    let said = refused(rechat.register(groups).await, "filterTypes");
    assert_eq!(said, "Exactly one event must be chosen.");
}

#[tokio::test]
async fn a_group_that_is_gone_does_not_hold_an_endpoint_up() {
    let server = TestServer::start(&[HOME]).await;
    let tenant = Tenant::new(&server, HOME, "t").await;
    add_type(&server, HOME, json!({ "name": "a.one", "groupName": "a" })).await.expect(201);
    let id = tenant.endpoint(json!({ "url": "http://127.0.0.1:9/", "filterGroups": ["a"] })).await;
    server.call(HOME, "DELETE", &format!("{TYPES}/a.one"), Value::Null).await.expect(204);
    let changed = tenant.change(&id, json!({ "disabled": true })).await.expect(200);
    assert_eq!(changed["filterGroups"], json!(["a"]));
    refused(tenant.change(&id, json!({ "filterGroups": ["a", "c"] })).await, "filterGroups.1");
}

#[tokio::test]
async fn payloads_of_own_types_keep_to_their_schema() {
    let server = TestServer::start(&[HOME]).await;
    let tenant = Tenant::new(&server, HOME, "t").await;
    let schema = json!({
        "type": "object",
        "properties": { "id": { "type": "integer" }, "tags": { "items": { "type": "string" } } },
        "required": ["id"],
    });
    let own = json!({ "name": "order.made", "schemas": { "1": schema } });
    add_type(&server, HOME, own).await.expect(201);
    let publish = async |payload: &str| tenant.ask_to_publish("order.made", "", payload).await;
    publish(r#"{"id":1,"tags":["x"]}"#).await.expect(202);
    refused(publish(r#"{"id":"one"}"#).await, "payload.id");
    refused(publish(r#"{"id":1,"tags":["x",2]}"#).await, "payload.tags.1");
    let said = refused(publish("{}").await, "payload");
    assert!(said.contains("\"id\""), "{said}");
    let listed = server.call(HOME, "GET", "/api/v1/app/t/msg", Value::Null).await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "what was refused was not kept");

    // A change holds from the next event on.
    let looser = json!({ "schemas": { "1": { "type": "object" } } });
    change_type(&server, "order.made", looser).await.expect(200);
    publish("{}").await.expect(202);
    refused(publish("[]").await, "payload");
    change_type(&server, "order.made", json!({ "schemas": null })).await.expect(200);
    publish("[]").await.expect(202);
}

/// One that says the same twice, a hundred times: of 2 to the power of 100 steps.
fn exploding_schema() -> Value {
    let mut parts = json!({ "0": { "type": "string" } });
    for part in 1..=100 {
        let before = json!({ "$ref": format!("#/$defs/{}", part - 1) });
        parts[part.to_string()] = json!({ "oneOf": [before, before] });
    }
    json!({ "$ref": "#/$defs/100", "$defs": parts })
}

#[tokio::test]
async fn a_schema_that_takes_forever_refuses_its_payloads_soon() {
    let server = TestServer::start(&[HOME]).await;
    let tenant = Tenant::new(&server, HOME, "t").await;
    let own = json!({ "name": "slow", "schemas": { "1": exploding_schema() } });
    add_type(&server, HOME, own.clone()).await.expect(201);
    let said = refused(tenant.ask_to_publish("slow", "", "\"a\"").await, "payload");
    assert_eq!(said, "Takes too many steps to be checked");
    let example = json!({ "name": "other", "schemas": own["schemas"], "example": "a" });
    refused(add_type(&server, HOME, example).await, "example");
    tenant.ask_to_publish("quick", "", "1").await.expect(202);
}

#[tokio::test]
async fn schemas_are_still_checked_after_a_restart() {
    let mut server = TestServer::start(&[HOME]).await;
    server.application(HOME, "t").await;
    let own = json!({ "name": "order.made", "schemas": { "1": { "type": "object" } } });
    add_type(&server, HOME, own).await.expect(201);
    server.restart().await;
    let event = json!({ "eventType": "order.made", "payload": [] });
    let answer = server.call(HOME, "POST", "/api/v1/app/t/msg", event).await;
    refused(answer, "payload");
}

#[tokio::test]
async fn schemas_that_cannot_check_anything_are_refused() {
    let server = TestServer::start(&[HOME]).await;
    let nested = format!("{}{}{}", r#"{"not":"#.repeat(70), "{}", "}".repeat(70));
    let nested: Value = serde_json::from_str(&nested).unwrap();
    let long = json!({ "description": "x".repeat(64 * 1024) });
    let broken = [
        json!({ "type": "text" }),
        json!({ "$ref": "https://example.com/other.json" }),
        json!({ "$ref": "file:///etc/passwd" }),
        json!({ "$ref": "#/$defs/missing" }),
        json!({ "properties": { "a": { "pattern": "(" } } }),
        // Searching for these takes as long as somebody wants it to.
        json!({ "properties": { "a": { "pattern": r"^(?=a)(a+)+\1$" } } }),
        json!([]),
        json!("object"),
        nested,
        long,
    ];
    for schema in broken {
        let own = json!({ "name": "a", "schemas": { "1": schema } });
        refused(add_type(&server, HOME, own).await, "schemas.1");
    }
    server.call(HOME, "GET", &format!("{TYPES}/a"), Value::Null).await.expect(404);
    add_type(&server, HOME, json!({ "name": "a", "schemas": { "1": true } })).await.expect(201);
    refused(
        change_type(&server, "a", json!({ "schemas": { "1": { "type": 1 } } })).await,
        "schemas.1",
    );
    let put = json!({ "description": "", "schemas": { "1": { "required": "id" } } });
    refused(server.call(HOME, "PUT", &format!("{TYPES}/a"), put).await, "schemas.1");
    let kept = server.call(HOME, "GET", &format!("{TYPES}/a"), Value::Null).await.expect(200);
    assert_eq!(kept["schemas"], json!({ "1": true }));
}

#[tokio::test]
async fn an_example_has_to_keep_to_its_schema() {
    let server = TestServer::start(&[HOME]).await;
    let schema = json!({ "1": { "properties": { "id": { "type": "integer" } } } });
    let own = |example: Value| json!({ "name": "a", "schemas": schema, "example": example });
    refused(add_type(&server, HOME, own(json!({ "id": "1" }))).await, "example.id");
    let long = json!({ "x": "x".repeat(64 * 1024) });
    refused(add_type(&server, HOME, own(long)).await, "example");
    add_type(&server, HOME, own(json!({ "id": 1 }))).await.expect(201);
    // Neither can be changed to break the other.
    let stricter = json!({ "schemas": { "1": { "required": ["name"] } } });
    refused(change_type(&server, "a", stricter.clone()).await, "example");
    let mut both = stricter;
    both["example"] = json!({ "name": "x" });
    both["title"] = json!("A");
    let changed = change_type(&server, "a", both).await.expect(200);
    assert_eq!((&changed["example"], &changed["title"]), (&json!({ "name": "x" }), &json!("A")));
    let changed = change_type(&server, "a", json!({ "example": null, "title": null })).await;
    let changed = changed.expect(200);
    assert_eq!((&changed["example"], &changed["title"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn names_of_groups_are_plain() {
    let server = TestServer::start(&[HOME]).await;
    for name in ["", "two words", "a/b", "*"] {
        let own = json!({ "name": "a", "groupName": name });
        refused(add_type(&server, HOME, own).await, "groupName");
    }
    add_type(&server, HOME, json!({ "name": "a", "groupName": null })).await.expect(201);
}

#[tokio::test]
async fn groups_are_listed_with_their_types() {
    let server = TestServer::start(&["klink"]).await;
    for (name, group, archived) in [
        ("zoo.opened", "zoo", false),
        ("contact.merged", "contact", false),
        ("contact.lost", "contact", true),
        ("call.made", "call", false),
        ("lonely", "", false),
    ] {
        let group = if group.is_empty() { Value::Null } else { json!(group) };
        let own = json!({ "name": name, "groupName": group, "archived": archived });
        add_type(&server, "klink", own).await.expect(201);
    }
    let list = |query: &'static str| {
        let path = format!("/api/v1/event-type-group{query}");
        let server = &server;
        async move { server.call("klink", "GET", &path, Value::Null).await }
    };
    let all = list("").await.expect(200);
    let groups = all["data"].as_array().unwrap();
    let names: Vec<&Value> = groups.iter().map(|group| &group["name"]).collect();
    // The contract's in its own order, then the company's by name.
    assert_eq!(names, ["contact", "message", "room", "call", "zoo"]);
    assert_eq!(
        groups[0],
        json!({
            "name": "contact",
            "title": "Contact events",
            "description": "",
            "eventTypes": ["contact.created", "contact.updated", "contact.merged"],
            "fromContract": true,
        })
    );
    assert_eq!(groups[4]["fromContract"], false);
    assert_eq!(all["done"], true);
    let page = list("?limit=2&iterator=contact").await.expect(200);
    let names: Vec<&Value> =
        page["data"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert_eq!((names, &page["done"]), (vec![&json!("message"), &json!("room")], &json!(false)));
    list("?limit=0").await.expect(422);

    let path = format!("{TYPES}?group=contact");
    let types = server.call("klink", "GET", &path, Value::Null).await.expect(200);
    let names: Vec<&Value> =
        types["data"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["contact.created", "contact.merged", "contact.updated"]);
}

const COMPANY: &str = r#"
name = "company"
[delivery]
body = '{"type":{{ event.type }},"group":{{ event.group }},"test":{{ event.test }},"data":{{ payload }}}'
retries = ["5s"]
jitter = 0.0
[secret]
origin = "none"
[endpoint]
groups = true
[[groups]]
name = "orders and more"
[[events]]
name = "orders/create"
group = "orders and more"
"#;

#[tokio::test]
async fn a_body_names_the_group_that_the_type_had_when_it_was_published() {
    let mut server =
        TestServer::start_with(&[], |config| configure_file(config, "company", COMPANY)).await;
    let replies = vec![Reply::status(200), Reply::status(500), Reply::status(200)];
    let receiver = Receiver::start(Script::sequence(replies)).await;
    let tenant = Tenant::new(&server, "company", "t").await;
    // An own type may join the contract's group, and a contract may name things freely.
    let own = json!({ "name": "order.lost", "groupName": "orders and more" });
    add_type(&server, "company", own).await.expect(201);
    let fields = json!({ "url": url(&receiver), "filterGroups": ["orders and more"] });
    tenant.endpoint(fields).await;
    let first = tenant.deliver(&receiver, "orders/create", "{}").await;
    let expected = r#"{"type":"orders/create","group":"orders and more","test":false,"data":{}}"#;
    assert_eq!(first.body(), expected);
    let second = tenant.deliver(&receiver, "order.lost", "{}").await;
    let expected = r#"{"type":"order.lost","group":"orders and more","test":false,"data":{}}"#;
    assert_eq!(second.body(), expected);

    // A retry is the same event, whatever became of its type and of the process.
    let id = second.id().to_owned();
    server.wait_for_attempts("company", "t", &id, 1).await;
    let own = format!("{TYPES}/order.lost");
    server.call("company", "PATCH", &own, json!({ "groupName": null })).await.expect(200);
    server.restart().await;
    server.clock.advance(Duration::from_secs(5));
    let retried = receiver.wait_for(3).await[2].clone();
    assert_eq!(retried.body, second.request.body);
}
