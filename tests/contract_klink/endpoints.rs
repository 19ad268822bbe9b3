//! What the form of a webhook takes: authentication, https only, at least one event.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use hookwright::sender::Resolver;
use serde_json::{Value, json};

use super::support::certificates::Authority;
use super::support::environments::configure;
use super::support::receiver::{Options, Receiver, Reply};
use super::support::server::TestServer;
use super::{
    Tenant, VERIFIER, as_received, assert_signed, form, form_with, python, receiver, refused,
    server, workspace,
};

#[tokio::test]
async fn authentication_is_sent_exactly_as_typed() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let id = workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    let secret = workspace.secret(&id).await;
    let basic = |token: &str| json!({ "type": "basic", "token": token });
    let header =
        |name: &str, value: &str| json!({ "type": "header", "name": name, "value": value });
    let mut delivered = Vec::new();
    for (auth, name, value) in [
        (basic("Basic dXNlcjpwYXNz"), "authorization", "Basic dXNlcjpwYXNz"),
        // No scheme is put before it, nothing is encoded.
        (basic("user:pass"), "authorization", "user:pass"),
        (basic("Bearer  two  spaces=="), "authorization", "Bearer  two  spaces=="),
        (basic("tökén \"q\" <&>"), "authorization", "tökén \"q\" <&>"),
        (header("X-API-Key", "secret-value"), "x-api-key", "secret-value"),
        (header("Authorization", "Token abc"), "authorization", "Token abc"),
        (header("X_odd.name~1", "a: b; c=\"d\""), "x_odd.name~1", "a: b; c=\"d\""),
    ] {
        workspace.change(&id, json!({ "auth": auth })).await.expect(200);
        let one = workspace.deliver(&receiver, "contact.created", "{}").await;
        assert_eq!(one.header(name), value);
        assert_eq!(
            one.header_names().len(),
            6,
            "one header more, and no other: {}",
            one.request.head
        );
        delivered.push(one);
    }
    workspace.change(&id, json!({ "auth": { "type": "none" } })).await.expect(200);
    let one = workspace.deliver(&receiver, "contact.created", "{}").await;
    assert_eq!(
        one.header_names(),
        ["content-length", "content-type", "host", "user-agent", "x-signature"]
    );
    delivered.push(one);
    // It comes on top of the signature, which doesn't depend on it.
    assert_signed(&secret, &delivered);
}

#[tokio::test]
async fn credentials_are_not_shown_again() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let auth = json!({ "type": "header", "name": "X-API-Key", "value": "hush-hush" });
    let id = workspace.endpoint(form_with(&receiver, "auth", auth)).await;
    let shown = workspace.show(&id).await;
    assert_eq!(shown["auth"], json!({ "type": "header", "name": "X-API-Key" }));
    assert!(!shown.to_string().contains("hush-hush"));
    // What is left out of a change stays.
    workspace.change(&id, json!({ "name": "Renamed" })).await.expect(200);
    let one = workspace.deliver(&receiver, "contact.created", "{}").await;
    assert_eq!(one.header("x-api-key"), "hush-hush");
}

#[tokio::test]
async fn authentication_that_cannot_be_sent_is_refused() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    for (auth, reason) in [
        (json!({ "type": "basic", "token": "" }), "empty"),
        (json!({ "type": "basic", "token": "a\r\nX-Evil: 1" }), "line breaks"),
        (json!({ "type": "header", "name": "X-Key", "value": "a\nb" }), "line breaks"),
        (json!({ "type": "header", "name": "X Key", "value": "v" }), "not a valid header name"),
        (json!({ "type": "header", "name": "", "value": "v" }), "not a valid header name"),
        (json!({ "type": "header", "name": "x-signature", "value": "v" }), "can't be set"),
        (json!({ "type": "header", "name": "Content-Length", "value": "1" }), "can't be set"),
    ] {
        let said = refused(workspace.register(form_with(&receiver, "auth", auth)).await, "auth");
        assert!(said.contains(reason), "{said}");
    }
    workspace.register(form_with(&receiver, "auth", json!({ "type": "digest" }))).await.expect(422);
    let answer = workspace.register(form_with(&receiver, "headers", json!({ "X-A": "1" }))).await;
    assert_eq!(refused(answer, "headers"), "Custom headers can't be set.");
}

#[tokio::test]
async fn a_webhook_needs_a_name_and_at_least_one_event() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    for name in [Value::Null, json!(""), json!("  ")] {
        let said = refused(workspace.register(form_with(&receiver, "name", name)).await, "name");
        assert_eq!(said, "A name is required.");
    }
    let id = workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    for events in [Value::Null, json!([])] {
        let answer = workspace.register(form_with(&receiver, "filterTypes", events.clone())).await;
        assert_eq!(refused(answer, "filterTypes"), "At least one event must be chosen.");
        let answer = workspace.change(&id, json!({ "filterTypes": events })).await;
        assert_eq!(refused(answer, "filterTypes"), "At least one event must be chosen.");
    }
    let all = form_with(&receiver, "filterTypes", json!(["*"]));
    refused(workspace.register(all).await, "filterTypes.0");
    for method in ["PUT", "GET", "websocket"] {
        refused(workspace.register(form_with(&receiver, "method", json!(method))).await, "method");
    }
    // Names needn't be unique.
    workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    let shown = workspace.show(&id).await;
    assert_eq!((&shown["name"], &shown["method"]), (&json!("Order updates"), &json!("POST")));
}

#[tokio::test]
async fn all_events_of_a_group_cover_those_that_are_added_later() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let mut form = form(receiver.url("/hook").as_str());
    form["filterTypes"] = json!(["room.solved"]);
    form["filterGroups"] = json!(["contact"]);
    let id = workspace.endpoint(form).await;
    let secret = workspace.secret(&id).await;
    let mut delivered = Vec::new();
    for event in ["contact.created", "contact.updated", "room.solved"] {
        delivered.push(workspace.deliver(&receiver, event, "{}").await);
    }
    for (name, group) in [("contact.merged", "contact"), ("room.reopened", "room")] {
        workspace.ask_to_publish(name, "", "{}").await.expect(422);
        let own = json!({ "name": name, "description": "", "groupName": group });
        server.call("klink", "POST", "/api/v1/event-type", own).await.expect(201);
    }
    // Neither the rest of a group of which one event was chosen, nor another group.
    for event in ["room.reopened", "message.inbound"] {
        let message = workspace.ask_to_publish(event, "", "{}").await.expect(202);
        let id = message["id"].as_str().unwrap();
        assert_eq!(server.deliveries("klink", "workspace-1", id).await.len(), 0, "{event}");
    }
    delivered.push(workspace.deliver(&receiver, "contact.merged", "{}").await);
    let events = delivered.iter().map(|one| serde_json::from_str::<Value>(one.body()).unwrap());
    let events: Vec<Value> = events.map(|body| body["event"].clone()).collect();
    assert_eq!(events, ["contact.created", "contact.updated", "room.solved", "contact.merged"]);
    assert_signed(&secret, &delivered);
}

#[tokio::test]
async fn a_given_secret_must_be_hex_of_at_least_32_bytes() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    for (secret, reason) in [
        ("ab".repeat(31), "32 to 64 bytes; it has 31"),
        ("ab".repeat(65), "32 to 64 bytes; it has 65"),
        ("x".repeat(64), "written in hexadecimal digits"),
    ] {
        let answer = workspace.register(form_with(&receiver, "secret", json!(secret))).await;
        assert!(!answer.text.contains(&secret));
        let said = refused(answer, "secret");
        assert!(said.contains(reason), "{said}");
    }
    let given = "0aF9".repeat(16);
    let id = workspace.endpoint(form_with(&receiver, "secret", json!(given))).await;
    assert_eq!(workspace.secret(&id).await, given);
    let one = workspace.deliver(&receiver, "contact.created", "{}").await;
    assert_signed(&given, &[one]);
}

#[tokio::test]
async fn production_takes_https_only_and_signs_the_url_as_it_is_called() {
    let authority = Authority::new("An authority for tests");
    let roots = authority.pem_file();
    let tls = authority.issue(&["hooks.example.com", "xn--bcher-kva.example"]);
    let options = Options { tls: Some(tls.server_config(&["http/1.1"])), ..Options::default() };
    let receiver = Receiver::start_with(options, Reply::status(200)).await;
    let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let names = ["hooks.example.com", "xn--bcher-kva.example"];
    let resolver =
        Resolver::fixed(HashMap::from(names.map(|name| (name.to_owned(), loopback.clone()))));
    let server = TestServer::start_resolving(&[], resolver, |config| {
        configure(config, &[("production", "klink")], false);
        config.tls_ca_file = Some(roots.path().to_owned());
    })
    .await;
    let workspace = Tenant::new(&server, "production", "workspace-1").await;

    let plain = form("http://hooks.example.com/hook");
    let said = refused(workspace.register(plain).await, "url");
    assert_eq!(said, "The URL must begin with https://.");
    for url in ["wss://hooks.example.com/", "ftp://hooks.example.com/", "hooks.example.com/hook"] {
        refused(workspace.register(form(url)).await, "url");
    }

    let mut given = Vec::new();
    for host in ["HOOKS.Example.COM", "bücher.example"] {
        let url = format!("https://{host}:{}/hook?b=1&a=2", receiver.port());
        let id = workspace.endpoint(form(&url)).await;
        let change = json!({ "url": url.replace("https:", "http:") });
        refused(workspace.change(&id, change).await, "url");
        let one = workspace.deliver(&receiver, "contact.created", r#"{"b":1,"a":2}"#).await;
        given.push(as_received(&workspace.secret(&id).await, "https", &one));
        workspace.delete(&id).await;
    }
    let hosts: Vec<&str> = given.iter().map(|one| one["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, names.map(|name| format!("{name}:{}", receiver.port())));
    let verdicts = python(
        &format!("{VERIFIER}\nanswer([signature(one) == one['signature'] for one in given])"),
        &json!(given),
    );
    assert_eq!(verdicts, json!([true, true]));
}
