//! What the company is told, when, and what it is never told.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{ROUTE, World, verified};
use crate::support::server::{START, eventually};

#[tokio::test]
async fn an_endpoint_that_a_rule_pauses_and_somebody_enables() {
    let world = World::new("kakiyo").await;
    let operational = world.subscribe(Value::Null).await;
    world.four_failures().await;
    assert_eq!(world.customer.requests().len(), 4);
    let told = world.told(1).await;
    let data = &told[0]["data"];
    assert_eq!(told[0]["type"], "endpoint.disabled");
    assert_eq!(data["appId"], world.application.as_str());
    assert_eq!(data["appUid"], "tenant");
    assert_eq!(data["endpointId"], world.endpoint.as_str());
    assert_eq!(data["endpointUid"], "hook-1");
    assert_eq!((&data["trigger"], &data["paused"]), (&json!("automatic"), &json!(true)));
    assert_eq!(data["reason"], "4 failed attempts in a row");
    assert_eq!(data["failSince"], START.to_string());
    let last = &data["lastAttempt"];
    assert_eq!(last["responseStatusCode"], 500);
    assert!(last["id"].as_str().unwrap().starts_with("atmpt_"));

    let path = format!("/api/v1/app/tenant/endpoint/{}/enable", world.endpoint);
    world.call("POST", &path, json!({ "pending": "drop" })).await.expect(200);
    let told = world.told(2).await;
    assert_eq!(
        told[1],
        json!({
            "type": "endpoint.enabled",
            "data": {
                "appId": world.application, "appUid": "tenant",
                "endpointId": world.endpoint, "endpointUid": "hook-1",
            },
        })
    );

    // They are signed like any message of the standard contract.
    let secret = world.call("GET", &format!("{ROUTE}/{operational}/secret"), Value::Null).await;
    let secret = secret.expect(200)["key"].as_str().unwrap().to_owned();
    for request in world.company.requests() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/operations"));
        assert!(request.header("webhook-id").unwrap().starts_with("msg_"));
        assert_eq!(verified(&request, &[&secret]), [true]);
    }
}

#[tokio::test]
async fn a_delivery_that_is_given_up() {
    let world = World::new("klink").await;
    world.subscribe(json!(["message.attempt.exhausted"])).await;
    let body = json!({ "eventType": "room.solved", "payload": {}, "eventId": "room-7" });
    let made = world.call("POST", "/api/v1/app/tenant/msg", body).await.expect(202);
    let message = made["id"].as_str().unwrap();
    for (attempts, wait) in [(1, 30), (2, 60), (3, 90)] {
        world.server.wait_for_attempts("klink", "tenant", message, attempts).await;
        world.told_no_more_than(0).await;
        world.server.clock.advance(Duration::from_secs(wait));
    }
    let told = world.told(1).await;
    let attempts = world.server.attempts("klink", "tenant", message).await;
    assert_eq!(
        told[0],
        json!({
            "type": "message.attempt.exhausted",
            "data": {
                "appId": world.application, "appUid": "tenant",
                "endpointId": world.endpoint, "endpointUid": "hook-1",
                "msgId": message, "msgEventId": "room-7", "eventType": "room.solved",
                "lastAttempt": {
                    "id": attempts[3]["id"], "responseStatusCode": 500,
                    "timestamp": attempts[3]["timestamp"], "error": null,
                },
            },
        })
    );
}

#[tokio::test]
async fn a_receiver_that_is_gone() {
    let world = World::new("standard").await;
    *world.customer_answers.lock().unwrap() = 410;
    world.subscribe(Value::Null).await;
    world.publish().await;
    let mut told = world.told(2).await;
    told.sort_by_key(|event| event["type"].to_string());
    assert_eq!(told[0]["type"], "endpoint.disabled");
    let data = &told[0]["data"];
    assert_eq!((&data["trigger"], &data["paused"]), (&json!("automatic"), &json!(false)));
    assert_eq!(data["reason"], "the receiver answered 410 Gone");
    assert_eq!(told[1]["type"], "message.attempt.exhausted");
    assert_eq!(told[1]["data"]["lastAttempt"]["responseStatusCode"], 410);
}

#[tokio::test]
async fn somebody_who_switches_an_endpoint_off_and_on() {
    let world = World::new("standard").await;
    world.subscribe(Value::Null).await;
    let path = format!("/api/v1/app/tenant/endpoint/{}", world.endpoint);
    world.call("PATCH", &path, json!({ "disabled": true })).await.expect(200);
    // What changes nothing about it is not told.
    world.call("PATCH", &path, json!({ "disabled": true, "name": "other" })).await.expect(200);
    world.call("PATCH", &path, json!({ "disabled": false })).await.expect(200);
    world.call("PATCH", &path, json!({ "disabled": false })).await.expect(200);
    let mut told = world.told(2).await;
    told.sort_by_key(|event| event["type"].to_string());
    assert_eq!(
        (&told[0]["type"], &told[0]["data"]["trigger"]),
        (&json!("endpoint.disabled"), &json!("manual"))
    );
    assert_eq!(told[0]["data"]["lastAttempt"], Value::Null);
    assert_eq!(told[1]["type"], "endpoint.enabled");
    world.told_no_more_than(2).await;
}

#[tokio::test]
async fn an_operational_event_is_retried_with_the_same_id_also_after_a_restart() {
    let mut world = World::new("kakiyo").await;
    world.subscribe(Value::Null).await;
    *world.company_answers.lock().unwrap() = 503;
    world.four_failures().await;
    world.company.wait_for(1).await;
    world.server.restart().await;
    *world.company_answers.lock().unwrap() = 200;
    world.told_no_more_than(1).await;
    world.server.clock.advance(Duration::from_secs(6));
    let requests = world.company.wait_for(2).await;
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(requests[0].body, requests[1].body);
    let line = async || {
        let lines = world.server.ledger().await;
        lines.into_iter().find(|line| &*line.environment == "kakiyo/operations").unwrap()
    };
    eventually("the success", async || line().await.succeeded == 1).await;
    assert_eq!((line().await.accepted, line().await.pending), (1, 0));
}

#[tokio::test]
async fn what_fails_to_tell_is_itself_not_told() {
    let world = World::new("kakiyo").await;
    let first = world.subscribe(Value::Null).await;
    *world.company_answers.lock().unwrap() = 410;
    world.four_failures().await;
    let path = format!("{ROUTE}/{first}");
    eventually("the end", async || {
        world.call("GET", &path, Value::Null).await.expect(200)["disabled"] == true
    })
    .await;
    // A second one would be told of the first, were there a loop.
    *world.company_answers.lock().unwrap() = 200;
    world.subscribe(Value::Null).await;
    let url = world.company.url("/operations");
    let enable = json!({ "url": url.as_str(), "disabled": false });
    world.call("PUT", &path, enable).await.expect(200);
    world.told_no_more_than(1).await;
    let lines = world.server.ledger().await;
    let line = lines.iter().find(|line| &*line.environment == "kakiyo/operations").unwrap();
    assert_eq!((line.accepted, line.failed), (1, 1));
}

#[tokio::test]
async fn only_the_events_that_were_asked_for_and_only_of_the_own_environment() {
    let world = World::new("kakiyo").await;
    world.subscribe(json!(["endpoint.enabled"])).await;
    // The other company of this server listens to everything, in its own environment.
    let foreign = json!({ "url": world.company.url("/foreign").as_str() });
    world.server.call("rechat", "POST", ROUTE, foreign).await.expect(201);
    world.four_failures().await;
    let path = format!("/api/v1/app/tenant/endpoint/{}/enable", world.endpoint);
    eventually("the pause", async || {
        let answer = world.call("GET", path.trim_end_matches("/enable"), Value::Null).await;
        answer.expect(200)["paused"] == true
    })
    .await;
    world.told_no_more_than(0).await;
    world.call("POST", &path, json!({ "pending": "drop" })).await.expect(200);
    let told = world.told(1).await;
    assert_eq!(told[0]["type"], "endpoint.enabled");
    world.told_no_more_than(1).await;
    assert_eq!(world.company.requests()[0].target, "/operations");
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_kept_and_a_later_subscriber_hears_of_what_comes() {
    let world = World::new("kakiyo").await;
    world.four_failures().await;
    let path = format!("/api/v1/app/tenant/endpoint/{}/enable", world.endpoint);
    world.call("POST", &path, json!({ "pending": "drop" })).await.expect(200);
    assert_eq!(world.server.ledger().await.len(), 1, "no hidden application");
    let subscriber = world.subscribe(Value::Null).await;
    world.told_no_more_than(0).await;
    world.four_failures().await;
    assert_eq!(world.told(1).await[0]["type"], "endpoint.disabled");
    // And nothing once it is gone.
    world.call("DELETE", &format!("{ROUTE}/{subscriber}"), Value::Null).await.expect(204);
    world.call("POST", &path, json!({ "pending": "drop" })).await.expect(200);
    world.told_no_more_than(1).await;
}
