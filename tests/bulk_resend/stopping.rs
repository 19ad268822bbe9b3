//! Resends that are cancelled, and those that a restart breaks off.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::{HANGS, World};
use crate::support::server::eventually;

/// More than become due before a resend waits.
const MANY: u64 = 800;

/// A late endpoint whose receiver hangs, so that a resend has to wait in the middle.
async fn in_the_middle(world: &World) -> (String, String) {
    for number in 0..MANY {
        world.publish("invoice.paid", number).await;
    }
    let endpoint = world.endpoint("/late", json!({})).await;
    world.answer(HANGS);
    let id = world.begin(&endpoint, "replay-missing", MANY).await;
    eventually("the middle of a resend", async || sent(&world.task(&id).await) >= 600).await;
    (endpoint, id)
}

fn sent(task: &Value) -> u64 {
    task["data"]["messagesSent"].as_u64().unwrap()
}

#[tokio::test]
async fn a_cancelled_resend_sends_what_it_has_queued_and_no_more() {
    let world = World::new("standard").await;
    let (endpoint, id) = in_the_middle(&world).await;
    let task = world.task(&id).await;
    assert_eq!((&task["status"], &task["data"]["state"]), (&json!("running"), &json!("running")));
    let path = format!("/api/v1/background-task/{id}/cancel");
    let cancelled = world.call("POST", &path, Value::Null).await.expect(200);
    // Whoever waits for the end must not take it for the whole.
    assert_eq!(cancelled["status"], "failed");
    assert_eq!(cancelled["data"]["state"], "cancelled");
    let queued = sent(&cancelled);
    assert!((600..MANY).contains(&queued), "{queued}");
    assert_eq!(world.server.ledger().await[0].pending, queued);

    world.answer(200);
    // The attempts that hang run out of time and are made again.
    world.pass(20);
    eventually("what was queued", async || {
        world.pass(1);
        world.server.ledger().await[0].succeeded == queued
    })
    .await;
    assert_eq!(world.task(&id).await, cancelled, "it stays as it was");
    let again = world.call("POST", &path, Value::Null).await.expect(200);
    assert_eq!(again, cancelled);
    // The rest can be sent by another one.
    let rest = world.begin(&endpoint, "replay-missing", MANY - queued).await;
    assert_eq!(world.ended(&rest).await["data"]["state"], "finished");
    assert_eq!(world.settled().await, [MANY, MANY, 0, 0]);
}

#[tokio::test]
async fn after_a_restart_a_resend_goes_on_where_it_stopped() {
    let mut world = World::new("standard").await;
    let (_, id) = in_the_middle(&world).await;
    let before = sent(&world.task(&id).await);
    let clock = world.server.clock.clone();
    // A stop gives the attempts that hang their time.
    let time = tokio::spawn(async move {
        loop {
            clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    world.server.restart().await;
    time.abort();
    assert!(sent(&world.task(&id).await) >= before);
    world.answer(200);
    let task = world.ended(&id).await;
    assert_eq!((&task["status"], sent(&task)), (&json!("finished"), MANY), "none twice");
    // Attempts that ran out of time before the stop are made again.
    eventually("all deliveries", async || {
        world.pass(1);
        world.server.ledger().await[0].succeeded == MANY
    })
    .await;
    assert_eq!(world.settled().await, [MANY, MANY, 0, 0]);
    let received: HashSet<u64> = world.received("/late").into_iter().collect();
    assert_eq!(received, (0..MANY).collect());
}

#[tokio::test]
async fn a_resend_ends_where_its_endpoint_is_disabled() {
    let world = World::new("standard").await;
    let (endpoint, id) = in_the_middle(&world).await;
    let path = format!("/api/v1/app/tenant/endpoint/{endpoint}");
    world.call("PATCH", &path, json!({ "disabled": true })).await.expect(200);
    let task = world.ended(&id).await;
    assert_eq!((&task["status"], &task["data"]["state"]), (&json!("failed"), &json!("failed")));
    assert_eq!(task["data"]["reason"], "The endpoint was disabled.");
    assert_eq!(world.server.ledger().await[0].pending, sent(&task));
}

#[tokio::test]
async fn a_resend_ends_where_what_is_stored_is_damaged() {
    let world = World::new("standard").await;
    let (endpoint, id) = in_the_middle(&world).await;
    let file = world.server.data_dir().join("hookwright.db");
    let file = rusqlite::Connection::open(file).unwrap();
    file.busy_timeout(Duration::from_secs(10)).unwrap();
    let damage = "UPDATE messages SET channels = '{' WHERE id = (SELECT max(id) FROM messages)";
    assert_eq!(file.execute(damage, []).unwrap(), 1);
    // Whoever can be refused is refused before anything is counted, which would come upon it.
    let input = json!({ "since": "2025-01-01T00:00:00Z" });
    for (path, status) in [("replay-missing?dry_run=true", 500), ("replay-missing", 409)] {
        let answer = world.ask(&endpoint, path, input.clone()).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    world.answer(200);
    // The attempts that hang run out of time.
    world.pass(20);
    let task = world.ended(&id).await;
    assert_eq!(task["data"]["state"], "failed");
    let reason = task["data"]["reason"].as_str().unwrap();
    assert!(reason.contains("can't be read"), "{reason}");
    assert!(sent(&task) < MANY);
}
