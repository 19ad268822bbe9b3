//! What waits is dropped when a person says so.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Mood, World};
use crate::support::server::eventually;
use crate::support::tenant::refused;

#[tokio::test]
async fn what_waits_for_a_paused_endpoint_is_dropped_and_what_comes_later_is_not() {
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(world.publish().await);
    }
    let answer = world.call("POST", "/discard-pending", Value::Null).await.expect(200);
    assert_eq!(answer, json!({ "discarded": 9 }));
    assert_eq!(world.ledger().await, [9, 0, 0, 0, 9]);
    for message in &waiting {
        world.server.wait_for_status("kakiyo", "tenant", message, "discarded").await;
    }
    let again = world.call("POST", "/discard-pending", Value::Null).await.expect(200);
    assert_eq!(again, json!({ "discarded": 0 }));
    assert_eq!(world.show().await["paused"], true, "it is still paused");

    let later = world.publish().await;
    world.mood(Mood::Answers(200));
    world.pass(Duration::from_secs(3_600));
    world.call("PATCH", "", json!({ "disabled": false })).await.expect(200);
    world.server.wait_for_status("kakiyo", "tenant", &later, "succeeded").await;
    world.nothing_more_than(5).await;
    assert_eq!(world.received(), [0, 1, 2, 3, 9]);
    assert_eq!(world.ledger().await, [10, 1, 0, 0, 9]);
}

#[tokio::test]
async fn enabling_with_drop_sends_nothing_old() {
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    for _ in 0..5 {
        world.publish().await;
    }
    world.pass(Duration::from_secs(3_600));
    world.mood(Mood::Answers(200));
    let answer = world.call("POST", "/enable", json!({ "pending": "drop" })).await.expect(200);
    assert_eq!((&answer["discarded"], &answer["disabled"]), (&json!(9), &json!(false)));
    let later = world.publish().await;
    world.server.wait_for_status("kakiyo", "tenant", &later, "succeeded").await;
    world.nothing_more_than(5).await;
    assert_eq!(world.received(), [0, 1, 2, 3, 9]);
}

#[tokio::test]
async fn an_enabled_endpoint_finishes_what_is_in_flight_and_forgets_what_is_queued() {
    let world = World::with("standard", |config| {
        config.lanes.in_flight_per_endpoint = 2;
        config.lanes.window = 8;
    })
    .await;
    world.mood(Mood::HangsAfter(0));
    let mut messages = Vec::new();
    for _ in 0..20 {
        messages.push(world.publish().await);
    }
    world.receiver.wait_for(2).await;
    let answer = world.call("POST", "/discard-pending", Value::Null).await.expect(200);
    assert_eq!(answer, json!({ "discarded": 20 }));
    assert_eq!(world.ledger().await, [20, 0, 0, 0, 20]);
    let later = world.publish().await;

    // The attempts under way time out. They show in the log, and are not repeated.
    world.mood(Mood::Answers(200));
    world.pass(Duration::from_secs(15));
    for message in &messages[..2] {
        let attempts = world.server.wait_for_attempts("standard", "tenant", message, 1).await;
        assert_eq!(attempts[0]["error"]["kind"], "timeout");
    }
    world.server.wait_for_status("standard", "tenant", &later, "succeeded").await;
    world.pass(Duration::from_secs(86_400));
    world.nothing_more_than(3).await;
    assert_eq!(world.received()[2], 20);
    assert_eq!(world.ledger().await, [21, 1, 0, 0, 20]);
    for message in &messages {
        let delivery = &world.server.deliveries("standard", "tenant", message).await[0];
        assert_eq!(delivery["statusText"], "discarded");
    }
}

#[tokio::test]
async fn a_long_backlog_is_dropped_while_others_publish() {
    const BACKLOG: usize = 600;
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    for _ in 0..BACKLOG {
        world.publish().await;
    }
    let publishing = async {
        for _ in 0..20 {
            world.publish().await;
        }
    };
    let dropping = world.call("POST", "/discard-pending", Value::Null);
    let (answer, ()) = tokio::join!(dropping, publishing);
    let dropped = answer.expect(200)["discarded"].as_u64().unwrap();
    // Of those that were published meanwhile, some came before the call and some after.
    let all = BACKLOG as u64 + 24;
    assert!((all - 20..=all).contains(&dropped), "{dropped}");
    assert_eq!(world.ledger().await, [all, 0, 0, all - dropped, dropped]);
    world.mood(Mood::Answers(200));
    world.call("POST", "/enable", Value::Null).await.expect(200);
    eventually("an empty backlog", async || world.ledger().await[3] == 0).await;
    assert_eq!(world.ledger().await, [all, all - dropped, 0, 0, dropped]);
    world.nothing_more_than(4 + usize::try_from(all - dropped).unwrap()).await;
}

#[tokio::test]
async fn what_was_dropped_can_be_resent_by_hand() {
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    let message = world.publish().await;
    world.mood(Mood::Answers(200));
    world.call("POST", "/enable", json!({ "pending": "drop" })).await.expect(200);
    let path = format!("/api/v1/app/tenant/msg/{message}/endpoint/{}/resend", world.endpoint);
    world.server.call("kakiyo", "POST", &path, Value::Null).await.expect(202);
    world.server.wait_for_status("kakiyo", "tenant", &message, "succeeded").await;
    assert_eq!(world.ledger().await, [5, 1, 0, 0, 4]);
}

#[tokio::test]
async fn what_is_no_choice_is_refused_and_changes_nothing() {
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    for body in [json!({ "pending": "keep" }), json!({ "pending": 1 })] {
        refused(world.call("POST", "/enable", body).await, "pending");
    }
    assert_eq!(world.call("POST", "/enable", json!("drop")).await.status, 422);
    assert_eq!(world.show().await["paused"], true);
    assert_eq!(world.ledger().await, [4, 0, 0, 4, 0]);
    for below in ["/enable", "/discard-pending"] {
        let path = format!("/api/v1/app/tenant/endpoint/ep_nothing{below}");
        world.server.call("kakiyo", "POST", &path, Value::Null).await.expect(404);
    }
}
