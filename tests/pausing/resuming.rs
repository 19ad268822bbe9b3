//! What waits goes out when its endpoint is enabled: oldest first, and gently.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Mood, World};
use crate::support::server::eventually;

#[tokio::test]
async fn what_waits_goes_out_oldest_first_and_nothing_new_overtakes_it() {
    let world = World::new("standard").await;
    // Ten failures whose retries, because of the jitter, fall due in another order.
    world.mood(Mood::Answers(500));
    for _ in 0..10 {
        world.publish_and_attempt().await;
    }
    world.call("PATCH", "", json!({ "disabled": true })).await.expect(200);
    world.pass(Duration::from_secs(60));
    world.nothing_more_than(10).await;

    // The first of them hangs, and with it the lane, which has one attempt in flight.
    world.mood(Mood::HangsAfter(0));
    world.call("PATCH", "", json!({ "disabled": false })).await.expect(200);
    world.receiver.wait_for(11).await;
    world.publish().await;
    world.nothing_more_than(11).await;
    world.mood(Mood::Answers(500));
    world.pass(Duration::from_secs(15));
    world.receiver.wait_for(21).await;
    assert_eq!(world.received()[10..], (0..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_enabled_endpoint_starts_with_one_attempt_and_earns_each_further_one() {
    for successes in [0, 1, 3] {
        let world = World::new("kakiyo").await;
        world.four_failures().await;
        for _ in 0..30 {
            world.publish().await;
        }
        let before = world.receiver.requests().len();
        world.mood(Mood::HangsAfter(successes));
        let enabled = world.call("POST", "/enable", Value::Null).await.expect(200);
        assert_eq!((&enabled["paused"], &enabled["discarded"]), (&json!(false), &json!(0)));
        // Each success made room for one more, and all of these hang now.
        let (done, hanging) = (successes as usize, 1 + successes as usize);
        world.receiver.wait_for(before + done + hanging).await;
        world.nothing_more_than(before + done + hanging).await;
        if hanging < 4 {
            // They time out, which makes room for half as many, and no more.
            world.pass(Duration::from_secs(30));
            let further = (hanging / 2).max(1);
            world.receiver.wait_for(before + done + hanging + further).await;
            world.nothing_more_than(before + done + hanging + further).await;
        }
    }
}

#[tokio::test]
async fn the_lane_grows_to_its_limit_and_everything_arrives() {
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    for _ in 0..296 {
        world.publish().await;
    }
    world.mood(Mood::Answers(200));
    world.call("POST", "/enable", json!({ "pending": "send" })).await.expect(200);
    eventually("an empty backlog", async || world.ledger().await == [300, 300, 0, 0, 0]).await;
    let mut numbers = world.received()[4..].to_vec();
    assert_eq!(numbers[0], 0, "the oldest goes first, alone");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>(), "each once");

    // Afterwards it is a lane like any other.
    world.mood(Mood::HangsAfter(0));
    let before = world.receiver.requests().len();
    for _ in 0..20 {
        world.publish().await;
    }
    world.receiver.wait_for(before + 20).await;
}

#[tokio::test]
async fn an_endpoint_that_fails_again_is_paused_again_and_still_loses_nothing() {
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    for _ in 0..10 {
        world.publish().await;
    }
    world.pass(Duration::from_secs(10));
    let before = world.receiver.requests().len();
    world.call("POST", "/enable", Value::Null).await.expect(200);
    eventually("the pause", async || world.show().await["paused"] == true).await;
    world.nothing_more_than(before + 4).await;
    assert_eq!(world.ledger().await, [14, 0, 0, 14, 0]);
    let paused: Vec<_> = world.history().await.iter().map(|entry| entry["event"].clone()).collect();
    assert_eq!(paused, ["paused", "enabled", "paused", "created"]);
}

#[tokio::test]
async fn enabling_what_delivers_changes_nothing() {
    let world = World::new("kakiyo").await;
    let before = world.show().await;
    let mut answer = world.call("POST", "/enable", Value::Null).await.expect(200);
    answer.as_object_mut().unwrap().remove("discarded");
    assert_eq!(answer, before);
    assert_eq!(world.history().await.len(), 1);
}
