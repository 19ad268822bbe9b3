//! One page after the other.

use serde_json::{Value, json};

use super::reader::{EVENTS, HOME, ask, assert_refused, page, publish, server};
use crate::support::payloads;
use crate::support::server::TestServer;

#[tokio::test]
async fn an_event_is_what_the_list_of_messages_shows() {
    let server = server().await;
    let input = json!({
        "eventType": "invoice.paid",
        "eventId": "evt-1",
        "payload": { "a": 1 },
        "channels": ["eu"],
        "tags": ["vip"],
    });
    let made = server.call(HOME, "POST", "/api/v1/app/t/msg", input).await.expect(202);
    let events = ask(&server, "").await.expect(200);
    assert_eq!(events["data"], json!([made]));
    assert_eq!(events["hasMore"], false);
}

#[tokio::test]
async fn payloads_keep_their_bytes() {
    let server = server().await;
    for payload in payloads::all() {
        server.publish(HOME, "t", "e", &payload).await;
    }
    let text = ask(&server, "").await.text;
    for payload in payloads::all() {
        assert!(text.contains(&format!(r#""payload":{payload},"#)), "{payload} is not in {text}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_from_the_oldest_to_the_newest() {
    let server = server().await;
    publish(&server, &["e"; 10]).await;
    for limit in [1, 3, 5, 9, 10, 11, 250] {
        let mut seen = Vec::new();
        let mut query = format!("limit={limit}");
        loop {
            let (events, cursor, has_more) = page(&server, &query).await;
            assert!(events.len() <= limit);
            seen.extend(events);
            assert_eq!(has_more, seen.len() < 10, "after {} with {query}", seen.len());
            query = format!("limit={limit}&after={cursor}");
            if !has_more {
                break;
            }
        }
        assert_eq!(json!(seen), json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
        // The end is a place like any other.
        let (none, again, has_more) = page(&server, &query).await;
        assert_eq!((none.len(), has_more), (0, false));
        assert!(query.ends_with(&again), "an empty page moved the cursor");
    }
}

#[tokio::test]
async fn a_page_ends_at_so_many_bytes_and_the_next_goes_on() {
    let server = server().await;
    // Six of 900 kB are more than the 4 MiB of one answer.
    let large = "x".repeat(900_000);
    for number in 0..6 {
        server.publish(HOME, "t", "e", &format!(r#"{{"n":{number},"x":"{large}"}}"#)).await;
    }
    let numbers = |events: &[Value]| -> Vec<i64> {
        events.iter().map(|event| event["n"].as_i64().unwrap()).collect()
    };
    let (first, cursor, has_more) = page(&server, "").await;
    assert_eq!((numbers(&first), has_more), (vec![0, 1, 2, 3], true));
    let (second, _, has_more) = page(&server, &format!("after={cursor}")).await;
    assert_eq!((numbers(&second), has_more), (vec![4, 5], false));
}

#[tokio::test]
async fn a_reader_of_some_types_gets_those_and_passes_the_others_over() {
    let server = server().await;
    publish(&server, &["a", "b", "a", "c.d", "b", "a", "x", "x"]).await;
    let cases = [
        ("types=a", json!([0, 2, 5])),
        ("types=b&types=c.d", json!([1, 3, 4])),
        ("types=c.d,b", json!([1, 3, 4])),
        ("types=a,a", json!([0, 2, 5])),
        ("types=c", json!([])),
        ("types=A", json!([])),
    ];
    let (_, end, _) = page(&server, "").await;
    for (query, expected) in cases {
        let (events, cursor, has_more) = page(&server, query).await;
        assert_eq!((json!(events), has_more), (expected, false), "{query}");
        // What was passed over needn't be looked at again.
        assert_eq!(cursor, end, "{query}");
    }
    // With a limit the cursor stands behind the last event of the page, and no further.
    let (events, cursor, has_more) = page(&server, "types=a&limit=2").await;
    assert_eq!((json!(events), has_more), (json!([0, 2]), true));
    let (events, _, _) = page(&server, &format!("after={cursor}")).await;
    assert_eq!(json!(events), json!([3, 4, 5, 6, 7]));
    let (events, cursor, has_more) = page(&server, &format!("types=a&after={cursor}")).await;
    assert_eq!((json!(events), has_more, cursor), (json!([5]), false, end));
}

#[tokio::test]
async fn types_must_be_in_the_catalog_where_there_is_one() {
    let server = TestServer::start(&["kakiyo"]).await;
    server.application("kakiyo", "t").await;
    let own = json!({ "name": "own.type", "description": "ours" });
    server.call("kakiyo", "POST", "/api/v1/event-type", own).await.expect(201);
    server.publish("kakiyo", "t", "own.type", "1").await;
    let path = "/api/v1/event-type/own.type";
    let archived = json!({ "archived": true });
    server.call("kakiyo", "PATCH", path, archived).await.expect(200);
    let known = server.call("kakiyo", "GET", "/api/v1/event-type", Value::Null).await.expect(200);
    let known = known["data"][0]["name"].as_str().unwrap().to_owned();
    // What can't be published any more has been.
    let query = format!("{EVENTS}?types={known},own.type");
    let events = server.call("kakiyo", "GET", &query, Value::Null).await.expect(200);
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
    for path in [EVENTS, "/api/v1/app/t/events/stream"] {
        let query = format!("{path}?types={known},no.such");
        let refused = server.call("kakiyo", "GET", &query, Value::Null).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["query", "types"]));
        assert!(refused["detail"][0]["msg"].as_str().unwrap().contains("no.such"), "{refused}");
    }
}

#[tokio::test]
async fn parameters_out_of_range_are_refused_by_name() {
    let server = server().await;
    for limit in ["0", "251", "-1", "ten", "1.5", "4294967296"] {
        assert_refused(&server, &format!("limit={limit}"), "limit").await;
    }
    for wait in ["61", "-1", "1.5", "5s", "4294967296"] {
        assert_refused(&server, &format!("wait={wait}"), "wait").await;
    }
    let many = vec!["e"; 101].join(",");
    for types in ["", "a,", ",", "a,,b", &many] {
        assert_refused(&server, &format!("types={types}"), "types").await;
    }
    assert_refused(&server, "after=latest&after=latest", "after").await;
}

#[tokio::test]
async fn a_deleted_application_has_no_events() {
    let server = server().await;
    publish(&server, &["e"]).await;
    server.call(HOME, "DELETE", "/api/v1/app/t", Value::Null).await.expect(204);
    for path in [EVENTS, "/api/v1/app/t/events/stream"] {
        server.call(HOME, "GET", path, Value::Null).await.expect(404);
    }
}
