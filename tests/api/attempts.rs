//! Attempts: what each tells, and the filters of their lists.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply, Script, Step};
use crate::support::server::TestServer;

const HOME: &str = "standard";

/// An application whose endpoints `good`, `bad` and `mute` got two messages each.
struct History {
    server: TestServer,
    /// `invoice.paid` on the channel `eu`.
    first: String,
    /// `user.created`, a minute later.
    second: String,
    _receiver: Receiver,
}

async fn history() -> History {
    let server = TestServer::start(&[HOME]).await;
    let receiver = Receiver::start(Script::by(|request| match request.target.as_str() {
        "/good" => Reply::status(204),
        "/bad" => Reply::status(404).header("x-request-id", "r1").body("no such \u{fc} hook"),
        _ => Reply::step(Step::Reset),
    }))
    .await;
    server.application(HOME, "t").await;
    for name in ["good", "bad", "mute"] {
        let url = receiver.url(&format!("/{name}"));
        let fields = json!({ "url": url.as_str(), "uid": name, "name": name });
        server.endpoint(HOME, "t", fields).await;
    }
    let first = json!({
        "eventType": "invoice.paid", "eventId": "evt-1", "payload": { "n": 1 }, "channels": ["eu"]
    });
    let first = server.call(HOME, "POST", "/api/v1/app/t/msg", first).await.expect(202);
    let first = first["id"].as_str().unwrap().to_owned();
    server.wait_for_attempts(HOME, "t", &first, 3).await;
    // Not long enough for the first retry.
    server.clock.advance(Duration::from_secs(4));
    let second = server.publish(HOME, "t", "user.created", r#"{"n":2}"#).await;
    server.wait_for_attempts(HOME, "t", &second, 3).await;
    History { server, first, second, _receiver: receiver }
}

impl History {
    async fn list(&self, path: &str) -> Value {
        let path = format!("/api/v1/app/t/{path}");
        self.server.call(HOME, "GET", &path, Value::Null).await.expect(200)
    }

    /// The endpoint of each attempt of a list, by the path of its URL, and its event's number.
    async fn seen(&self, path: &str) -> Vec<String> {
        let list = self.list(path).await;
        let mut seen: Vec<String> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let name = one["url"].as_str().unwrap().rsplit('/').next().unwrap();
                format!("{name} {}", if one["msgId"] == self.first { 1 } else { 2 })
            })
            .collect();
        seen.sort();
        seen
    }
}

#[tokio::test]
async fn an_attempt_tells_what_was_sent_where_and_what_came_back() {
    let history = history().await;
    let list = history.list("attempt/endpoint/bad?order=ascending").await;
    let attempt = &list["data"][0];
    let id = attempt["id"].as_str().unwrap();
    assert!(id.starts_with("atmpt_"));
    assert_eq!(attempt["msgId"], json!(history.first));
    assert!(attempt["url"].as_str().unwrap().ends_with("/bad"));
    assert_eq!(
        (&attempt["number"], &attempt["triggerType"], &attempt["timestamp"]),
        (&json!(1), &json!(0), &json!("2025-01-15T14:32:00.258162Z"))
    );
    assert_eq!((&attempt["status"], &attempt["statusText"]), (&json!(2), &json!("fail")));
    assert_eq!(attempt["responseStatusCode"], 404);
    assert_eq!(attempt["response"], "no such \u{fc} hook");
    assert_eq!(attempt["responseTruncated"], false);
    assert_eq!(attempt["error"], Value::Null);
    let headers = attempt["responseHeaders"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-request-id", "r1"])), "{headers:?}");
    assert!(attempt.get("msg").is_none());

    for message in [history.first.as_str(), "evt-1"] {
        let one = history.list(&format!("msg/{message}/attempt/{id}")).await;
        assert_eq!(&one, attempt);
    }
    let server = &history.server;
    for path in [
        format!("msg/{}/attempt/{id}", history.second),
        format!("msg/{}/attempt/atmpt_02yok03PwzkbeP8i4wlHFN", history.first),
        format!("msg/{}/attempt/nonsense", history.first),
        format!("msg/nonsense/attempt/{id}"),
        "attempt/msg/nonsense".to_owned(),
        "attempt/endpoint/nonsense".to_owned(),
        format!("attempt/msg/{}?endpoint_id=nonsense", history.first),
        "msg/nonsense/endpoint".to_owned(),
    ] {
        let path = format!("/api/v1/app/t/{path}");
        server.call(HOME, "GET", &path, Value::Null).await.expect(404);
    }
}

#[tokio::test]
async fn an_attempt_without_an_answer_says_why() {
    let history = history().await;
    let attempt = &history.list("attempt/endpoint/mute").await["data"][0];
    assert_eq!((&attempt["status"], &attempt["responseStatusCode"]), (&json!(2), &json!(0)));
    assert_eq!((&attempt["response"], &attempt["responseHeaders"]), (&json!(""), &json!([])));
    assert_eq!(attempt["error"]["kind"], "reset");
    assert_eq!(attempt["error"]["phase"], "wait");
    let causes = attempt["error"]["causes"].as_array().unwrap();
    assert!(causes.len() >= 2, "a sentence and what caused it: {causes:?}");
}

#[tokio::test]
async fn attempts_are_filtered_by_everything_that_they_are() {
    let history = history().await;
    let first = &history.first;
    let of_first = |query: &str| format!("attempt/msg/{first}?{query}");
    for (path, expected) in [
        (of_first(""), vec!["bad 1", "good 1", "mute 1"]),
        (of_first("status=0"), vec!["good 1"]),
        (of_first("status=2"), vec!["bad 1", "mute 1"]),
        (of_first("status=1"), vec![]),
        (of_first("status=3"), vec![]),
        (of_first("status_code_class=200"), vec!["good 1"]),
        (of_first("status_code_class=400"), vec!["bad 1"]),
        (of_first("status_code_class=500"), vec![]),
        (of_first("status_code_class=0"), vec!["mute 1"]),
        (of_first("status=2&status_code_class=400"), vec!["bad 1"]),
        (of_first("status=0&status_code_class=400"), vec![]),
        (of_first("endpoint_id=mute"), vec!["mute 1"]),
        (of_first("channel=eu"), vec!["bad 1", "good 1", "mute 1"]),
        (of_first("channel=us"), vec![]),
        (of_first("event_types=user.created"), vec![]),
        ("attempt/endpoint/bad".to_owned(), vec!["bad 1", "bad 2"]),
        ("attempt/endpoint/bad?event_types=invoice.paid".to_owned(), vec!["bad 1"]),
        (
            "attempt/endpoint/bad?event_types=invoice.paid,user.created".to_owned(),
            vec!["bad 1", "bad 2"],
        ),
        ("attempt/endpoint/bad?event_types=x&event_types=user.created".to_owned(), vec!["bad 2"]),
        ("attempt/endpoint/bad?channel=eu".to_owned(), vec!["bad 1"]),
        ("attempt/endpoint/bad?before=2025-01-15T14:32:04.258162Z".to_owned(), vec!["bad 1"]),
        ("attempt/endpoint/bad?after=2025-01-15T14:32:00.258162Z".to_owned(), vec!["bad 2"]),
        ("attempt/endpoint/bad?after=2025-01-15T14:32:04.258162Z".to_owned(), vec![]),
        ("attempt/endpoint/good?status=2".to_owned(), vec![]),
        ("attempt/endpoint/good?status=0&after=2025-01-15T14:32:01Z".to_owned(), vec!["good 2"]),
    ] {
        assert_eq!(history.seen(&path).await, expected, "{path}");
    }
    for (query, parameter) in [
        ("status=4", "status"),
        ("status=success", "status"),
        ("status=256", "status"),
        ("status_code_class=2", "status_code_class"),
        ("status_code_class=600", "status_code_class"),
        ("before=now", "before"),
        ("after=1736951520", "after"),
        ("with_msg=maybe", "with_msg"),
        ("limit=0", "limit"),
    ] {
        for list in [of_first(query), format!("attempt/endpoint/bad?{query}")] {
            let path = format!("/api/v1/app/t/{list}");
            let refused = history.server.call(HOME, "GET", &path, Value::Null).await.expect(422);
            assert_eq!(refused["detail"][0]["loc"], json!(["query", parameter]), "{path}");
        }
    }
}

#[tokio::test]
async fn content_is_left_out_and_the_message_put_in_when_asked_for() {
    let history = history().await;
    let attempt = &history.list("attempt/endpoint/bad?with_content=false").await["data"][0];
    assert_eq!(attempt["response"], "");
    assert_eq!(attempt["responseStatusCode"], 404);
    let attempt = &history.list("attempt/endpoint/bad?with_msg=true&limit=1").await["data"][0];
    assert_eq!(attempt["msg"]["id"], json!(history.second));
    assert_eq!(attempt["msg"]["payload"], json!({ "n": 2 }));
    let path = format!("attempt/msg/{}?with_msg=true&with_content=false", history.first);
    let attempt = &history.list(&path).await["data"][0];
    assert_eq!(attempt["msg"]["eventType"], "invoice.paid");
    assert_eq!((&attempt["msg"]["payload"], &attempt["response"]), (&json!({}), &json!("")));
}

#[tokio::test]
async fn destinations_show_how_each_delivery_stands() {
    let history = history().await;
    let list = history.list("msg/evt-1/endpoint").await;
    assert_eq!(list["done"], true);
    let data = list["data"].as_array().unwrap();
    let of = |uid: &str| data.iter().find(|one| one["uid"] == uid).unwrap();
    let good = of("good");
    assert_eq!((&good["status"], &good["statusText"]), (&json!(0), &json!("succeeded")));
    assert_eq!((&good["attempts"], &good["nextAttempt"]), (&json!(1), &Value::Null));
    for name in ["bad", "mute"] {
        let failing = of(name);
        assert_eq!((&failing["status"], &failing["statusText"]), (&json!(1), &json!("pending")));
        assert!(failing["nextAttempt"].as_str().unwrap() > "2025-01-15T14:32:05");
    }
}

#[tokio::test]
async fn a_resend_is_made_by_hand_and_goes_also_to_endpoints_that_came_later() {
    let history = history().await;
    let server = &history.server;
    let path = |message: &str, endpoint: &str| {
        format!("/api/v1/app/t/msg/{message}/endpoint/{endpoint}/resend")
    };
    let sent = server.call(HOME, "POST", &path("evt-1", "good"), Value::Null).await.expect(202);
    assert_eq!(sent, json!({}));
    server.wait_for_attempts(HOME, "t", &history.first, 4).await;
    let list = history.list("attempt/endpoint/good?order=ascending").await;
    let attempts: Vec<&Value> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["msgId"] == history.first)
        .collect();
    assert_eq!((&attempts[0]["triggerType"], &attempts[0]["number"]), (&json!(0), &json!(1)));
    assert_eq!((&attempts[1]["triggerType"], &attempts[1]["number"]), (&json!(1), &json!(2)));

    let late = Receiver::start(Reply::status(200)).await;
    let fields = json!({ "url": late.url("/late").as_str(), "uid": "late" });
    server.endpoint(HOME, "t", fields).await;
    server.call(HOME, "POST", &path(&history.first, "late"), json!({})).await.expect(202);
    let arrived = late.wait_for(1).await;
    assert_eq!(arrived[0].body, br#"{"n":1}"#);
    assert_eq!(arrived[0].header("webhook-id"), Some(history.first.as_str()));

    for (message, endpoint) in [("nobody", "good"), ("evt-1", "nobody")] {
        server.call(HOME, "POST", &path(message, endpoint), Value::Null).await.expect(404);
    }
    server.ledger().await;
}

#[tokio::test]
async fn an_endpoint_that_is_switched_off_gets_nothing_again_either() {
    let history = history().await;
    let server = &history.server;
    let endpoint = "/api/v1/app/t/endpoint/good";
    server.call(HOME, "PATCH", endpoint, json!({ "disabled": true })).await.expect(200);
    let path = "/api/v1/app/t/msg/evt-1/endpoint/good/resend";
    let refused = server.call(HOME, "POST", path, Value::Null).await.expect(409);
    assert_eq!(refused["code"], "conflict");
}
