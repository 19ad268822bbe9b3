//! When a rule pauses an endpoint, and when it doesn't.

use std::time::Duration;

use serde_json::Value;

use super::world::{Mood, World};
use crate::support::server::eventually;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_success_in_between_starts_a_row_of_failures_anew() {
    let world = World::new("kakiyo").await;
    for _ in 0..2 {
        world.mood(Mood::Answers(500));
        for _ in 0..3 {
            world.publish_and_attempt().await;
        }
        // Or their retries would make the row longer.
        world.call("POST", "/discard-pending", Value::Null).await.expect(200);
        world.mood(Mood::Answers(200));
        world.publish_and_attempt().await;
        assert_eq!(world.show().await["paused"], false, "three in a row are still allowed");
    }
    world.four_failures().await;
    assert_eq!(world.show().await["pauseReason"], "4 failed attempts in a row");
}

#[tokio::test]
async fn failures_of_more_than_an_hour_ago_do_not_count() {
    let world = World::new("klink").await;
    // Each message has its own attempts only: what waits for a retry is dropped at once.
    let fail = async |times: u32| {
        world.mood(Mood::Answers(500));
        for _ in 0..times {
            world.publish_and_attempt().await;
        }
        world.call("POST", "/discard-pending", Value::Null).await.expect(200);
    };
    fail(30).await;
    world.pass(HOUR / 2);
    fail(20).await;
    // A success doesn't empty the window.
    world.mood(Mood::Answers(200));
    world.publish_and_attempt().await;
    assert_eq!(world.show().await["paused"], false, "fifty within the hour");
    // The first thirty leave the window; thirty more make fifty again.
    world.pass(HOUR / 2);
    fail(30).await;
    assert_eq!(world.show().await["paused"], false, "fifty within the sliding hour");
    world.mood(Mood::Answers(500));
    world.publish_and_attempt().await;
    eventually("the pause", async || world.show().await["paused"] == true).await;
    let reason = world.show().await["pauseReason"].clone();
    assert_eq!(reason, "more than 50 failed attempts within 1 hour");
}

#[tokio::test]
async fn a_success_in_five_days_of_failures_starts_them_anew() {
    let world = World::new("standard").await;
    let day = async |status| {
        world.mood(Mood::Answers(status));
        world.publish_and_attempt().await;
        // What waits for its retries would fail, or succeed, in between.
        world.call("POST", "/discard-pending", Value::Null).await.expect(200);
        world.pass(DAY);
    };
    for status in [500, 500, 500, 500, 200, 500, 500, 500, 500, 500] {
        day(status).await;
        assert_eq!(world.show().await["paused"], false);
    }
    day(500).await;
    eventually("the pause", async || world.show().await["paused"] == true).await;
    assert_eq!(world.show().await["pauseReason"], "every attempt failed for 5 days");
}
