//! Random JSON, near to what a route takes: whatever it is, the answer is one that a client
//! can work with.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::server::{Answer, TestServer};

const CASES: u32 = 120;

/// The codes that a refusal of input may have.
const CODES: [&str; 5] =
    ["bad_request", "conflict", "not_found", "payload_too_large", "validation_error"];

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Texts that somebody somewhere stumbles over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9._-]{0,8}",
        proptest::sample::select(vec![
            "",
            "*",
            "\0",
            "a\r\nb: c",
            "https://example.com",
            "http://127.1/",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "none",
            "header",
            "{{ secrets }}",
            "'; drop table messages; --",
            "\u{202e}\u{fffe}\u{10ffff}",
        ])
        .prop_map(str::to_owned),
        (1usize..6_000).prop_map(|length| "x".repeat(length)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// A good body with some of its fields, or others, replaced or taken out.
fn mutated(good: Value, fields: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let change = (proptest::sample::select(fields), proptest::option::weighted(0.8, value()));
    proptest::collection::vec(change, 0..4).prop_map(move |changes| {
        let mut body = good.clone();
        for (field, value) in changes {
            match value {
                Some(value) => body[field] = value,
                None => drop(body.as_object_mut().unwrap().remove(field)),
            }
        }
        body
    })
}

/// The same as text, sometimes with a byte changed or the end cut off.
fn damaged(body: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<u8>> {
    (
        body,
        proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>(), any::<bool>())),
    )
        .prop_map(|(body, damage)| {
            let mut bytes = body.to_string().into_bytes();
            if let Some((place, byte, cut)) = damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
                if cut {
                    bytes.truncate(place);
                }
            }
            bytes
        })
}

fn check(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(answer.status < 500, "{}", answer.text);
    prop_assert!(!answer.json.is_null(), "not JSON: {}", answer.text);
    if answer.status < 300 {
        return Ok(());
    }
    match &answer.json["detail"] {
        Value::String(_) => {
            let code = answer.json["code"].as_str().unwrap_or_default();
            prop_assert!(CODES.contains(&code), "{}", answer.text);
        }
        Value::Array(fields) => {
            prop_assert_eq!(answer.status, 422);
            for field in fields {
                prop_assert!(field["loc"][0] == "body", "{}", answer.text);
                prop_assert!(field["msg"].is_string() && field["type"].is_string());
            }
        }
        other => prop_assert!(false, "{other}"),
    }
    Ok(())
}

/// Posts mutations of `good` and looks at every answer.
fn fuzz(contract: &str, path: &str, good: Value, fields: &'static [&'static str]) {
    let server = runtime().block_on(async {
        let server = TestServer::start(&[contract]).await;
        server.application(contract, "t").await;
        server
    });
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut accepted = 0;
    let accepted_so_far = std::cell::Cell::new(0);
    let outcome = TestRunner::new(config).run(&damaged(mutated(good, fields)), |body| {
        let answer = runtime().block_on(server.call_raw(contract, "POST", path, body));
        accepted_so_far.set(accepted_so_far.get() + u32::from(answer.status < 300));
        check(&answer)
    });
    accepted += accepted_so_far.get();
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(accepted > 0 && accepted < CASES, "{accepted} accepted: too tame or too wild");
    runtime().block_on(async {
        // It still works, and what was accepted adds up and can be listed.
        server.ledger().await;
        for list in ["/api/v1/app", "/api/v1/app/t/endpoint", "/api/v1/app/t/msg"] {
            server.call(contract, "GET", list, Value::Null).await.expect(200);
        }
    });
}

#[test]
fn random_applications_are_made_or_refused() {
    fuzz("standard", "/api/v1/app", json!({ "name": "x" }), &["name", "uid", "metadata", "other"]);
}

#[test]
fn random_endpoints_are_made_or_refused() {
    const FIELDS: &[&str] = &[
        "url",
        "name",
        "description",
        "uid",
        "disabled",
        "filterTypes",
        "filterGroups",
        "channels",
        "metadata",
        "method",
        "auth",
        "headers",
        "secret",
    ];
    // Switched off, so that what is made here is not delivered to.
    let good = json!({ "url": "https://example.com", "disabled": true });
    fuzz("standard", "/api/v1/app/t/endpoint", good, FIELDS);
    let good = json!({
        "url": "https://example.com",
        "name": "n",
        "filterTypes": ["room.solved"],
        "auth": { "type": "basic", "token": "t" },
        "disabled": true,
    });
    fuzz(
        "klink",
        "/api/v1/app/t/endpoint",
        good,
        &["url", "description", "auth", "filterTypes", "filterGroups"],
    );
}

#[test]
fn random_messages_are_accepted_or_refused() {
    let good = json!({ "eventType": "e", "payload": { "a": [1, "b"] } });
    const FIELDS: &[&str] = &["eventType", "eventId", "payload", "channels", "tags", "other"];
    fuzz("standard", "/api/v1/app/t/msg", good, FIELDS);
}
