//! What each of the three actions sends.

use serde_json::json;

use super::world::World;

#[tokio::test]
async fn recovering_after_an_outage_sends_what_failed_once_each() {
    let world = World::new("klink").await;
    let fields = json!({ "filterTypes": ["contact.created"] });
    let endpoint = world.endpoint("/hook", fields).await;
    let publish = async |numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            world.publish("contact.created", number).await;
        }
    };
    publish(1..=3).await;
    assert_eq!(world.settled().await, [3, 3, 0, 0]);
    world.answer(503);
    publish(4..=8).await;
    world.all_failed(5).await;
    world.answer(200);
    publish(9..=10).await;
    assert_eq!(world.settled().await, [10, 5, 5, 0]);
    let before = world.received("/hook").len();

    let id = world.begin(&endpoint, "recover", 5).await;
    let task = world.ended(&id).await;
    assert_eq!((&task["status"], &task["task"]), (&json!("finished"), &json!("endpoint.recover")));
    assert_eq!(task["data"]["messagesSent"], 5);
    assert_eq!(world.settled().await, [10, 10, 0, 0]);
    let mut recovered = world.received("/hook").split_off(before);
    recovered.sort_unstable();
    assert_eq!(recovered, [4, 5, 6, 7, 8]);

    let again = world.begin(&endpoint, "recover", 0).await;
    assert_eq!(world.ended(&again).await["data"]["messagesSent"], 0);
    assert_eq!(world.received("/hook").len(), before + 5, "there is nothing left to recover");
}

#[tokio::test]
async fn what_fails_again_is_retried_and_can_be_recovered_again() {
    let world = World::new("klink").await;
    let fields = json!({ "filterTypes": ["contact.created"] });
    let endpoint = world.endpoint("/hook", fields).await;
    world.answer(500);
    world.publish("contact.created", 1).await;
    world.all_failed(1).await;
    let id = world.begin(&endpoint, "recover", 1).await;
    world.ended(&id).await;
    world.all_failed(1).await;
    assert_eq!(world.received("/hook").len(), 8, "a round of four attempts each");
    world.answer(200);
    let id = world.begin(&endpoint, "recover", 1).await;
    world.ended(&id).await;
    assert_eq!(world.settled().await, [1, 1, 0, 0]);
}

#[tokio::test]
async fn a_replay_sends_everything_of_its_time_in_order_under_the_same_ids() {
    let world = World::new("standard").await;
    let endpoint = world.endpoint("/hook", json!({ "ordered": true })).await;
    for number in 1..=3 {
        world.publish("invoice.paid", number).await;
    }
    world.pass(60);
    let since = world.now();
    for number in 4..=40 {
        world.publish(["invoice.paid", "invoice.sent"][number as usize % 2], number).await;
    }
    world.pass(60);
    let until = world.now();
    world.publish("invoice.paid", 41).await;
    assert_eq!(world.settled().await, [41, 41, 0, 0]);
    let first = world.ids("/hook");

    let span = json!({ "since": since.to_string(), "until": until.to_string() });
    let id = world.begin_with(&endpoint, "bulk-replay", span.clone(), 37).await;
    let task = world.ended(&id).await;
    assert_eq!(task["task"], "endpoint.bulk-replay");
    assert_eq!(task["data"]["messagesSent"], 37);
    assert_eq!(world.settled().await, [41, 41, 0, 0]);
    assert_eq!(world.received("/hook").split_off(41), (4..=40).collect::<Vec<u64>>());
    assert_eq!(world.ids("/hook")[41..], first[3..40], "the same events");

    let mut input = span;
    input["eventTypes"] = json!(["invoice.sent"]);
    input["status"] = json!(0);
    let id = world.begin_with(&endpoint, "bulk-replay", input, 18).await;
    world.ended(&id).await;
    world.settled().await;
    let odd: Vec<u64> = (4..=40).filter(|number| number % 2 == 1).collect();
    assert_eq!(world.received("/hook").split_off(78), odd);
}

#[tokio::test]
async fn a_late_endpoint_gets_what_it_missed_and_nothing_that_it_does_not_take() {
    let world = World::new("standard").await;
    for number in 1..=6 {
        world.publish(["invoice.paid", "contact.created"][number as usize % 2], number).await;
    }
    let early = world.endpoint("/early", json!({})).await;
    world.publish("invoice.paid", 7).await;
    let fields = json!({ "filterTypes": ["invoice.paid"], "ordered": true });
    let late = world.endpoint("/late", fields).await;
    world.publish("invoice.paid", 8).await;
    assert_eq!(world.settled().await, [3, 3, 0, 0]);

    let id = world.begin(&late, "replay-missing", 4).await;
    let task = world.ended(&id).await;
    // The name that Svix clients know.
    assert_eq!(task["task"], "endpoint.replay");
    assert_eq!(world.settled().await, [7, 7, 0, 0]);
    assert_eq!(world.received("/late"), [8, 2, 4, 6, 7]);
    let none = world.begin(&late, "replay-missing", 0).await;
    world.ended(&none).await;

    let id = world.begin(&early, "replay-missing", 6).await;
    world.ended(&id).await;
    assert_eq!(world.settled().await, [13, 13, 0, 0]);
    let mut received = world.received("/early");
    received.sort_unstable();
    assert_eq!(received, [1, 2, 3, 4, 5, 6, 7, 8]);
}
