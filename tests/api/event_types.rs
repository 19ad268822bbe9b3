//! Event types: the contract's, and the company's own.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::server::TestServer;

const HOME: &str = "standard";
const TYPES: &str = "/api/v1/event-type";

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_own_event_type_is_made_changed_archived_and_deleted() {
    let server = TestServer::start(&[HOME]).await;
    let input = json!({
        "name": "invoice.paid",
        "description": "An invoice was paid",
        "groupName": "invoice",
        "title": "Invoice paid",
        "schemas": { "1": { "type": "object" } },
        "example": { "id": 1 },
    });
    let made = server.call(HOME, "POST", TYPES, input.clone()).await.expect(201);
    for (field, value) in input.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    assert_eq!(
        (&made["archived"], &made["deprecated"], &made["fromContract"]),
        (&json!(false), &json!(false), &json!(false))
    );
    assert_eq!(made["createdAt"], "2025-01-15T14:32:00.258162Z");
    let path = format!("{TYPES}/invoice.paid");
    assert_eq!(server.call(HOME, "GET", &path, Value::Null).await.expect(200), made);
    let again = server.call(HOME, "POST", TYPES, input).await.expect(409);
    assert_eq!(again["code"], "conflict");

    server.clock.advance(Duration::from_secs(1));
    let change = json!({ "archived": true, "groupName": null });
    let patched = server.call(HOME, "PATCH", &path, change).await.expect(200);
    assert_eq!((&patched["archived"], &patched["groupName"]), (&json!(true), &Value::Null));
    assert_eq!(patched["schemas"], json!({ "1": { "type": "object" } }));
    assert_eq!(patched["updatedAt"], "2025-01-15T14:32:01.258162Z");
    assert_eq!(patched["createdAt"], made["createdAt"]);
    let list = server.call(HOME, "GET", TYPES, Value::Null).await.expect(200);
    assert!(names(&list).is_empty());
    let archived = format!("{TYPES}?include_archived=true");
    let list = server.call(HOME, "GET", &archived, Value::Null).await.expect(200);
    assert_eq!(names(&list), ["invoice.paid"]);

    let put = json!({ "description": "Again" });
    let replaced = server.call(HOME, "PUT", &path, put).await.expect(200);
    assert_eq!(
        (&replaced["archived"], &replaced["schemas"], &replaced["example"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    server.call(HOME, "DELETE", &path, Value::Null).await.expect(204);
    for method in ["GET", "DELETE"] {
        server.call(HOME, method, &path, Value::Null).await.expect(404);
    }
    let change = json!({ "description": "" });
    server.call(HOME, "PATCH", &path, change.clone()).await.expect(404);
    server.call(HOME, "PUT", &path, change).await.expect(404);
}

#[tokio::test]
async fn a_contracts_event_types_can_be_read_and_not_changed() {
    let server = TestServer::start(&["kakiyo"]).await;
    let list = server.call("kakiyo", "GET", TYPES, Value::Null).await.expect(200);
    let name = names(&list)[0].to_owned();
    let path = format!("{TYPES}/{name}");
    let shown = server.call("kakiyo", "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["fromContract"], true);
    let body = json!({ "name": name, "description": "mine" });
    for (method, path) in [("POST", TYPES), ("PUT", &path), ("PATCH", &path), ("DELETE", &path)] {
        let refused = server.call("kakiyo", method, path, body.clone()).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains("contract"), "{refused}");
    }
    assert_eq!(server.call("kakiyo", "GET", &path, Value::Null).await.expect(200), shown);
}

#[tokio::test]
async fn what_a_catalog_does_not_have_cannot_be_published_until_it_is_added() {
    let server = TestServer::start(&["kakiyo"]).await;
    server.application("kakiyo", "team").await;
    let event = json!({ "eventType": "robot.danced", "payload": {} });
    let path = "/api/v1/app/team/msg";
    let refused = server.call("kakiyo", "POST", path, event.clone()).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "eventType"]));
    let own = json!({ "name": "robot.danced", "description": "" });
    server.call("kakiyo", "POST", TYPES, own).await.expect(201);
    server.call("kakiyo", "POST", path, event.clone()).await.expect(202);
    let list = server.call("kakiyo", "GET", TYPES, Value::Null).await.expect(200);
    assert!(names(&list).contains(&"robot.danced"));
    assert!(names(&list).is_sorted());
    let own = format!("{TYPES}/robot.danced");
    server.call("kakiyo", "PATCH", &own, json!({ "archived": true })).await.expect(200);
    server.call("kakiyo", "POST", path, event).await.expect(422);
}

#[tokio::test]
async fn own_event_types_stay_in_their_environment() {
    let server = TestServer::start(&[HOME, "kakiyo"]).await;
    let own = json!({ "name": "ours", "description": "" });
    server.call(HOME, "POST", TYPES, own).await.expect(201);
    server.call("kakiyo", "GET", &format!("{TYPES}/ours"), Value::Null).await.expect(404);
    server.call("kakiyo", "DELETE", &format!("{TYPES}/ours"), Value::Null).await.expect(404);
}

#[tokio::test]
async fn the_list_is_read_page_by_page_in_either_order() {
    let server = TestServer::start(&[HOME]).await;
    let all = ["a", "b", "b.c", "b_c", "z"];
    for name in ["z", "b_c", "a", "b.c", "b"] {
        let input = json!({ "name": name, "description": "" });
        server.call(HOME, "POST", TYPES, input).await.expect(201);
    }
    for (order, expected) in
        [("ascending", all.to_vec()), ("descending", all.into_iter().rev().collect())]
    {
        let mut seen = Vec::new();
        let mut query = format!("limit=2&order={order}");
        for page in 0.. {
            assert!(page < 3, "it never ends");
            let path = format!("{TYPES}?{query}");
            let list = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
            seen.extend(names(&list).into_iter().map(str::to_owned));
            if list["done"] == true {
                break;
            }
            query =
                format!("limit=2&order={order}&iterator={}", list["iterator"].as_str().unwrap());
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn impossible_event_types_are_refused_with_their_fields() {
    let server = TestServer::start(&[HOME]).await;
    let long = "x".repeat(257);
    for (input, field) in [
        (json!({ "name": "", "description": "" }), "name"),
        (json!({ "name": "a b", "description": "" }), "name"),
        (json!({ "name": "a/b", "description": "" }), "name"),
        (json!({ "name": long, "description": "" }), "name"),
        (json!({ "name": "a" }), ""),
        (json!({ "name": 1, "description": "" }), "name"),
        (json!({ "name": "a", "description": "\0" }), "description"),
        (json!({ "name": "a", "description": "x".repeat(2_049) }), "description"),
        (json!({ "name": "a", "description": "", "archived": "yes" }), "archived"),
        (json!({ "name": "a", "description": "", "schemas": [] }), "schemas"),
    ] {
        let refused = server.call(HOME, "POST", TYPES, input.clone()).await.expect(422);
        let mut path = vec!["body"];
        path.extend(Some(field).filter(|field| !field.is_empty()));
        assert_eq!(refused["detail"][0]["loc"], json!(path), "{input}: {refused}");
    }
}
