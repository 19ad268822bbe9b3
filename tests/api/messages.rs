//! Messages: published once, found by either id, listed by what they are.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

const HOME: &str = "standard";
const MSG: &str = "/api/v1/app/t/msg";

async fn server() -> TestServer {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "t").await;
    server
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_message_is_accepted_with_202_and_found_by_both_its_ids() {
    let server = server().await;
    let input = json!({
        "eventType": "invoice.paid",
        "eventId": "evt-1",
        "payload": { "a": 1 },
        "channels": ["eu", "us"],
        "tags": ["vip"],
    });
    let made = server.call(HOME, "POST", MSG, input).await.expect(202);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("msg_"));
    assert_eq!(
        made,
        json!({
            "id": id,
            "eventId": "evt-1",
            "eventType": "invoice.paid",
            "payload": { "a": 1 },
            "payloadExpired": false,
            "channels": ["eu", "us"],
            "tags": ["vip"],
            "timestamp": "2025-01-15T14:32:00.258162Z",
            "test": false,
        })
    );
    for name in [id, "evt-1"] {
        let path = format!("{MSG}/{name}");
        assert_eq!(server.call(HOME, "GET", &path, Value::Null).await.expect(200), made);
    }
    let path = format!("{MSG}/{id}?with_content=false");
    let bare = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert_eq!((&bare["payload"], &bare["eventId"]), (&json!({}), &json!("evt-1")));
    server.call(HOME, "GET", &format!("{MSG}/evt-2"), Value::Null).await.expect(404);
}

#[tokio::test]
async fn the_payload_comes_back_as_the_bytes_that_went_in() {
    let server = server().await;
    for payload in [
        r#"{"b":1.10,"a":1e3,"big":123456789012345678901234567890,"a":2}"#,
        "{ \"spaced\" :\t[ ] ,\n \"\\u00e9\": \"\\/\" }",
        r#"{"nul":"\u0000","emoji":"\ud83d\ude00"}"#,
        "[]",
        "\"text\"",
        "null",
        "-0.0",
    ] {
        let body = format!(r#"{{"eventType":"e","payload":{payload}}}"#);
        let made = server.call_raw(HOME, "POST", MSG, body).await;
        assert_eq!(made.status, 202, "{}", made.text);
        assert!(made.text.contains(payload), "{} lost {payload}", made.text);
        let path = format!("{MSG}/{}", made.json["id"].as_str().unwrap());
        let shown = server.call(HOME, "GET", &path, Value::Null).await;
        assert!(shown.text.contains(payload), "{} lost {payload}", shown.text);
    }
}

#[tokio::test]
async fn an_answer_without_content_is_still_a_message() {
    let server = server().await;
    let input = json!({ "eventType": "e", "payload": { "large": "x".repeat(1_000) } });
    let path = format!("{MSG}?with_content=false");
    let made = server.call(HOME, "POST", &path, input).await.expect(202);
    assert_eq!(made["payload"], json!({}));
    let path = format!("{MSG}/{}", made["id"].as_str().unwrap());
    let shown = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["payload"]["large"].as_str().unwrap().len(), 1_000);
}

#[tokio::test]
async fn an_event_id_is_accepted_once_and_delivered_once() {
    let server = server().await;
    let receiver = Receiver::start(Reply::status(200)).await;
    server.endpoint(HOME, "t", json!({ "url": receiver.url("/").as_str() })).await;
    server.application(HOME, "other").await;
    let input = json!({ "eventType": "e", "eventId": "once", "payload": { "n": 1 } });
    let made = server.call(HOME, "POST", MSG, input.clone()).await.expect(202);
    for payload in [json!({ "n": 1 }), json!({ "n": 2 })] {
        let input = json!({ "eventType": "e", "eventId": "once", "payload": payload });
        let refused = server.call(HOME, "POST", MSG, input).await.expect(409);
        assert_eq!(refused["code"], "conflict");
    }
    // Another application's event ids are its own.
    server.call(HOME, "POST", "/api/v1/app/other/msg", input).await.expect(202);
    let id = made["id"].as_str().unwrap();
    server.wait_for_status(HOME, "t", id, "succeeded").await;
    let last = server.publish(HOME, "t", "e", "{}").await;
    server.wait_for_status(HOME, "t", &last, "succeeded").await;
    assert_eq!(receiver.requests().len(), 2);
    let list = server.call(HOME, "GET", MSG, Value::Null).await.expect(200);
    assert_eq!(ids(&list).len(), 2);
}

#[tokio::test]
async fn of_many_at_once_with_one_event_id_one_is_accepted() {
    let server = server().await;
    let input = json!({ "eventType": "e", "eventId": "race", "payload": {} });
    let calls = (0..20).map(|_| server.call(HOME, "POST", MSG, input.clone()));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(calls).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 202);
    assert!(statuses[1..].iter().all(|&status| status == 409), "{statuses:?}");
}

#[tokio::test]
async fn messages_are_listed_by_type_channel_tag_and_time() {
    let server = server().await;
    let mut published = Vec::new();
    for (event_type, channels, tags) in [
        ("invoice.paid", json!(["eu"]), json!(["a"])),
        ("invoice.sent", json!(["us", "eu"]), json!(null)),
        ("user.created", json!(null), json!(["a", "b"])),
    ] {
        let input = json!({
            "eventType": event_type, "payload": {}, "channels": channels, "tags": tags
        });
        let made = server.call(HOME, "POST", MSG, input).await.expect(202);
        published.push(made["id"].as_str().unwrap().to_owned());
        server.clock.advance(Duration::from_secs(60));
    }
    let [paid, sent, user] = [&*published[0], &*published[1], &*published[2]];
    let cases: [(&str, &[&str]); 15] = [
        ("", &[user, sent, paid]),
        ("order=ascending", &[paid, sent, user]),
        ("event_types=invoice.paid", &[paid]),
        ("event_types=invoice.paid&event_types=user.created", &[user, paid]),
        ("event_types=invoice.paid,user.created", &[user, paid]),
        ("event_types=invoice", &[]),
        ("channel=eu", &[sent, paid]),
        ("channel=us", &[sent]),
        ("channel=e", &[]),
        ("tag=a", &[user, paid]),
        ("tag=b&event_types=invoice.paid", &[]),
        ("before=2025-01-15T14:33:00.258162Z", &[paid]),
        ("after=2025-01-15T14:33:00.258162Z", &[user]),
        ("after=2025-01-15T15:32:30%2B01:00&before=2025-01-15T14:33:30Z", &[sent]),
        ("after=2025-01-15T15:32:30+01:00", &[user, sent]),
    ];
    for (query, expected) in cases {
        let path = format!("{MSG}?{query}");
        let list = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
        assert_eq!(ids(&list), expected, "{query}");
    }
    for (query, parameter) in
        [("before=yesterday", "before"), ("after=2025-13-01T00:00:00Z", "after")]
    {
        let path = format!("{MSG}?{query}");
        let refused = server.call(HOME, "GET", &path, Value::Null).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["query", parameter]));
    }
    let path = format!("{MSG}?with_content=false");
    let list = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert!(list["data"].as_array().unwrap().iter().all(|one| one["payload"] == json!({})));
}

#[tokio::test]
async fn channels_and_types_decide_which_endpoints_get_a_message() {
    let server = server().await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let endpoint = async |path: &str, fields: Value| {
        let mut fields = fields;
        fields["url"] = json!(receiver.url(path).as_str());
        server.endpoint(HOME, "t", fields).await
    };
    let all = endpoint("/all", json!({})).await;
    let paid = endpoint("/paid", json!({ "filterTypes": ["invoice.paid"] })).await;
    let eu = endpoint("/eu", json!({ "channels": ["eu"] })).await;
    let off = endpoint("/off", json!({ "disabled": true })).await;
    for (event, channels, expected) in [
        ("invoice.paid", json!(null), vec![&all, &paid]),
        ("invoice.sent", json!(["us"]), vec![&all]),
        ("invoice.sent", json!(["us", "eu"]), vec![&all, &eu]),
    ] {
        let input = json!({ "eventType": event, "payload": {}, "channels": channels });
        let made = server.call(HOME, "POST", MSG, input).await.expect(202);
        let message = made["id"].as_str().unwrap();
        let went = server.deliveries(HOME, "t", message).await;
        let mut went: Vec<&str> = went.iter().map(|one| one["id"].as_str().unwrap()).collect();
        let mut expected: Vec<&str> = expected.into_iter().map(String::as_str).collect();
        went.sort_unstable();
        expected.sort_unstable();
        assert_eq!(went, expected);
        assert!(!went.contains(&off.as_str()));
    }
}
