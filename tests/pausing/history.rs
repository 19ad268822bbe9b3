//! What happened to an endpoint, and why.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Mood, World};
use crate::support::server::eventually;

/// Event, actor and reason of each entry, oldest first.
fn told(entries: &[Value]) -> Vec<(&str, &str, Option<&str>)> {
    entries
        .iter()
        .rev()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str();
            (text("event").unwrap(), text("by").unwrap(), text("reason"))
        })
        .collect()
}

#[tokio::test]
async fn it_tells_what_happened_and_why_newest_first() {
    let world = World::new("kakiyo").await;
    let change = json!({ "name": "Renamed", "description": "ours" });
    world.call("PATCH", "", change).await.expect(200);
    world.four_failures().await;
    world.call("POST", "/enable", json!({ "pending": "drop" })).await.expect(200);
    world.call("PATCH", "", json!({ "disabled": true })).await.expect(200);
    world.call("PATCH", "", json!({ "disabled": false })).await.expect(200);
    let secret = json!({ "key": "a-secret-of-the-customer" });
    world.call("POST", "/secret/rotate", secret).await.expect(204);

    let entries = world.history().await;
    assert_eq!(
        told(&entries),
        [
            ("created", "api", None),
            ("changed", "api", Some("name, description")),
            ("paused", "rule", Some("4 failed attempts in a row")),
            ("pending_discarded", "api", Some("4 waiting deliveries were dropped")),
            ("enabled", "api", None),
            ("disabled", "api", Some("switched off through the API")),
            ("enabled", "api", None),
            ("secret_rotated", "api", Some("the old secret stopped signing at once")),
        ]
    );
    let paused = &entries[5];
    let failure = paused["lastFailure"].as_str().unwrap();
    assert!(failure.starts_with("the receiver answered 503 (attempt atmpt_"), "{failure}");
    assert!(failure.contains(" of message msg_"), "{failure}");
    assert!(entries[0]["id"].as_str().unwrap().starts_with("hist_"));
    assert!(!entries.iter().any(|entry| entry.to_string().contains("a-secret")));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_named_as_the_one_who_did_it() {
    let world = World::new("standard").await;
    world.mood(Mood::Answers(410));
    world.publish().await;
    eventually("the end", async || world.show().await["disabled"] == true).await;
    let entries = world.history().await;
    assert_eq!(told(&entries)[1], ("disabled", "receiver", Some("the receiver answered 410 Gone")));
    assert_eq!(entries[0]["timestamp"], world.show().await["disabledAt"]);
}

#[tokio::test]
async fn a_failure_without_an_answer_is_explained() {
    let world = World::new("kakiyo").await;
    world.mood(Mood::HangsAfter(0));
    for _ in 0..4 {
        world.publish().await;
    }
    world.receiver.wait_for(4).await;
    world.pass(Duration::from_secs(30));
    eventually("the pause", async || world.show().await["paused"] == true).await;
    let failure = world.history().await[0]["lastFailure"].as_str().unwrap().to_owned();
    assert!(failure.starts_with("timeout: "), "{failure}");
}

#[tokio::test]
async fn its_pages_walk_in_either_direction_and_a_deleted_endpoint_keeps_its_own() {
    let world = World::new("standard").await;
    for number in 0..4 {
        world.call("PATCH", "", json!({ "name": format!("name {number}") })).await.expect(200);
    }
    world.call("DELETE", "", Value::Null).await.expect(204);
    let all = world.history().await;
    let events: Vec<&str> = told(&all).iter().map(|(event, ..)| *event).collect();
    assert_eq!(events, ["created", "changed", "changed", "changed", "changed", "deleted"]);
    let page = async |query: &str| {
        world.call("GET", &format!("/history?limit=4{query}"), Value::Null).await.expect(200)
    };
    let first = page("").await;
    assert_eq!(
        (first["data"].as_array().unwrap(), &first["done"]),
        (&all[..4].to_vec(), &json!(false))
    );
    let second = page(&format!("&iterator={}", first["iterator"].as_str().unwrap())).await;
    assert_eq!(
        (second["data"].as_array().unwrap(), &second["done"]),
        (&all[4..].to_vec(), &json!(true))
    );
    let oldest = page("&order=ascending").await;
    assert_eq!(oldest["data"][0], all[5]);
    world.call("GET", "/history?iterator=nonsense", Value::Null).await.expect(422);
}
