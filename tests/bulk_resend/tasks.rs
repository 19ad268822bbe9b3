//! Resends as background tasks: who sees which.

use serde_json::{Value, json};

use super::world::World;
use crate::support::credentials::{application_key, environment_key};

#[tokio::test]
async fn a_task_is_seen_by_its_own_application_and_its_environment() {
    let world = World::new("standard").await;
    let tenant = world.call("GET", "/api/v1/app/tenant", Value::Null).await.expect(200);
    let tenant = tenant["id"].as_str().unwrap().to_owned();
    let neighbour = world.server.application("standard", "neighbour").await;
    let endpoint = world.endpoint("/hook", json!({})).await;
    let url = world.receiver.url("/neighbour");
    let fields = json!({ "url": url.as_str() });
    let theirs = world.server.endpoint("standard", "neighbour", fields).await;
    let own = world.begin(&endpoint, "recover", 0).await;
    world.ended(&own).await;
    world.pass(1);
    let own_too = world.begin(&endpoint, "bulk-replay", 0).await;
    world.ended(&own_too).await;
    world.pass(1);
    let path = format!("/api/v1/app/neighbour/endpoint/{theirs}/recover");
    let input = json!({ "since": "2025-01-01T00:00:00Z" });
    let begun = world.call("POST", &path, input).await.expect(202);
    let foreign = begun["id"].as_str().unwrap().to_owned();
    world.ended(&foreign).await;

    let all = environment_key(&world.server, "standard").await;
    let key = application_key(&world.server, "standard", &tenant).await;
    let other = application_key(&world.server, "standard", &neighbour).await;
    let list = async |key: &str, query: &str| -> Vec<String> {
        let path = format!("/api/v1/background-task{query}");
        let list = world.server.call_as(key, "GET", &path, Value::Null).await.expect(200);
        let data = list["data"].as_array().unwrap();
        data.iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list(&all, "").await, [&*foreign, &own_too, &own], "newest first");
    assert_eq!(list(&key, "").await, [&*own_too, &own]);
    assert_eq!(list(&other, "").await, [&*foreign]);
    assert_eq!(list(&all, "?order=ascending&limit=2").await, [&*own, &own_too]);
    assert_eq!(list(&all, &format!("?iterator={foreign}&limit=1")).await, [&*own_too]);
    assert_eq!(list(&all, "?task=endpoint.bulk-replay").await, [&*own_too]);
    assert_eq!(list(&all, "?status=running").await, [""; 0]);
    assert_eq!(list(&all, "?status=finished&task=endpoint.recover").await, [&*foreign, &own]);

    for (method, path) in [
        ("GET", format!("/api/v1/background-task/{own}")),
        ("POST", format!("/api/v1/background-task/{own}/cancel")),
    ] {
        let answer = world.server.call_as(&other, method, &path, Value::Null).await;
        assert_eq!(answer.status, 404, "{}", answer.text);
        world.server.call_as(&key, method, &path, Value::Null).await.expect(200);
    }
    for path in ["?status=cancelled", "?task=everything"] {
        let path = format!("/api/v1/background-task{path}");
        let answer = world.server.call_as(&key, "GET", &path, Value::Null).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
    for id in ["qtask_0000000000000000000000", &endpoint, "nothing"] {
        let path = format!("/api/v1/background-task/{id}");
        let answer = world.server.call_as(&all, "GET", &path, Value::Null).await;
        assert_eq!(answer.status, 404, "{}", answer.text);
    }
}
