//! What is refused, and how.

use serde_json::{Value, json};

use super::world::{HANGS, World};
use crate::support::tenant::refused;

const ACTIONS: [&str; 3] = ["recover", "replay-missing", "bulk-replay"];

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let world = World::new("standard").await;
    let endpoint = world.endpoint("/hook", json!({})).await;
    let since = "2025-01-15T00:00:00Z";
    for action in ACTIONS {
        for (input, field, word) in [
            (json!({ "since": null }), "since", "string"),
            (json!({ "since": "yesterday" }), "since", "RFC 3339"),
            (json!({ "since": 1_736_951_520 }), "since", "string"),
            (json!({ "since": since, "until": "" }), "until", "RFC 3339"),
            (json!({ "since": since, "until": since }), "until", "later"),
            (json!({ "since": since, "until": "2024-01-15T00:00:00Z" }), "until", "later"),
        ] {
            for query in ["", "?dry_run=true"] {
                let path = format!("{action}{query}");
                let sentence = refused(world.ask(&endpoint, &path, input.clone()).await, field);
                assert!(sentence.contains(word), "{action} {input}: {sentence}");
            }
        }
    }
    for (field, value) in [
        ("status", json!(1)),
        ("status", json!(3)),
        ("statusCodeClass", json!(500)),
        ("eventTypes", json!([])),
        ("eventTypes.1", json!(["invoice.paid", "not a name"])),
        ("channel", json!("")),
        ("tag", json!("a b")),
    ] {
        let mut input = json!({ "since": since });
        input[field.split('.').next().unwrap()] = value;
        refused(world.ask(&endpoint, "bulk-replay", input).await, field);
    }
    for action in ACTIONS {
        let answer = world.ask(&endpoint, action, json!({})).await;
        assert!(answer.status == 422 && answer.text.contains("since"), "{}", answer.text);
        let misspelt = json!({ "since": since, "untill": since });
        refused(world.ask(&endpoint, action, misspelt).await, "untill");
    }
    let text = world.ask(&endpoint, "recover", Value::Null).await;
    assert_eq!(text.status, 400, "{}", text.text);
    let list = world.call("GET", "/api/v1/background-task", Value::Null).await.expect(200);
    assert_eq!(list["data"], json!([]), "nothing was begun");
}

#[tokio::test]
async fn nothing_is_resent_to_an_endpoint_that_does_not_deliver() {
    let world = World::new("standard").await;
    let endpoint = world.endpoint("/hook", json!({ "disabled": true })).await;
    let input = json!({ "since": "2025-01-01T00:00:00Z" });
    for action in ACTIONS {
        for query in ["", "?dry_run=true"] {
            let answer = world.ask(&endpoint, &format!("{action}{query}"), input.clone()).await;
            assert_eq!(answer.status, 409, "{}", answer.text);
            assert_eq!(answer.json["detail"], "The endpoint is disabled; enable it first.");
        }
        let unknown = world.ask("nothing", action, input.clone()).await;
        assert_eq!(unknown.status, 404, "{}", unknown.text);
    }
}

#[tokio::test]
async fn an_endpoint_has_one_resend_at_a_time() {
    let world = World::new("standard").await;
    for number in 0..700 {
        world.publish("invoice.paid", number).await;
    }
    let endpoint = world.endpoint("/late", json!({})).await;
    world.answer(HANGS);
    let id = world.begin(&endpoint, "replay-missing", 700).await;
    let input = json!({ "since": "2025-01-01T00:00:00Z" });
    for action in ACTIONS {
        let answer = world.ask(&endpoint, action, input.clone()).await;
        assert_eq!((answer.status, &answer.json["code"]), (409, &json!("conflict")));
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.contains("cancel it"), "{detail}");
    }
    let other = world.endpoint("/other", json!({})).await;
    world.begin(&other, "recover", 0).await;
    let path = format!("/api/v1/background-task/{id}/cancel");
    world.call("POST", &path, Value::Null).await.expect(200);
    world.begin(&endpoint, "recover", 0).await;
}
