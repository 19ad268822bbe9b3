//! Bodies that are not what a route takes.

use serde_json::{Value, json};

use crate::support::server::{Answer, TestServer};

const HOME: &str = "standard";

/// Every route that reads a body, with what it would take.
const ROUTES: &[(&str, &str, &str)] = &[
    ("POST", "/api/v1/app", r#"{"name":"x"}"#),
    ("PUT", "/api/v1/app/t", r#"{"name":"x","uid":"t"}"#),
    ("PATCH", "/api/v1/app/t", r#"{"name":"x"}"#),
    ("POST", "/api/v1/event-type", r#"{"name":"x","description":""}"#),
    ("PUT", "/api/v1/event-type/own", r#"{"description":"","example":{}}"#),
    ("PATCH", "/api/v1/event-type/own", r#"{"description":""}"#),
    ("POST", "/api/v1/app/t/endpoint", r#"{"url":"http://127.0.0.1:9/"}"#),
    ("PUT", "/api/v1/app/t/endpoint/e", r#"{"url":"http://127.0.0.1:9/","uid":"e"}"#),
    ("PATCH", "/api/v1/app/t/endpoint/e", r#"{"url":"http://127.0.0.1:9/"}"#),
    ("PUT", "/api/v1/app/t/endpoint/e/headers", r#"{"headers":{}}"#),
    ("PATCH", "/api/v1/app/t/endpoint/e/headers", r#"{"headers":{}}"#),
    ("POST", "/api/v1/app/t/endpoint/e/secret/rotate", r#"{"key":null}"#),
    ("POST", "/api/v1/app/t/endpoint/e/send-example", r#"{"eventType":"own"}"#),
    ("POST", "/api/v1/app/t/send-example", r#"{"eventType":"own"}"#),
    ("POST", SHARED_SECRET, r#"{"key":null}"#),
    ("POST", "/api/v1/app/t/endpoint/e/enable", r#"{"pending":"send"}"#),
    ("POST", "/api/v1/app/t/endpoint/e/recover?dry_run=true", SPAN),
    ("POST", "/api/v1/app/t/endpoint/e/replay-missing?dry_run=true", SPAN),
    ("POST", "/api/v1/app/t/endpoint/e/bulk-replay?dry_run=true", SPAN),
    ("POST", "/api/v1/app/t/msg", r#"{"eventType":"e","payload":{}}"#),
    ("POST", "/api/v1/auth/app-portal-access/t", r#"{"expiry":3600}"#),
    ("POST", OPERATIONAL, r#"{"url":"https://example.com"}"#),
    ("PUT", "/api/v1/operational-webhook/endpoint/o", r#"{"url":"https://example.com","uid":"o"}"#),
    ("PUT", "/api/v1/operational-webhook/endpoint/o/headers", r#"{"headers":{}}"#),
    ("POST", "/api/v1/operational-webhook/endpoint/o/secret/rotate", r#"{"key":null}"#),
];

/// Of resends, of which an endpoint has one at a time unless they only count.
const SPAN: &str = r#"{"since":"2025-01-01T00:00:00Z"}"#;

/// A good body comes as far as the contract, which has no such secrets.
const SHARED_SECRET: &str = "/api/v1/app/t/secret/rotate";

const OPERATIONAL: &str = "/api/v1/operational-webhook/endpoint";

/// Bodies are limited to this, in bytes.
const LIMIT: usize = 4_096;

async fn server() -> TestServer {
    let server = TestServer::start_with(&[HOME], |config| config.api.max_body_bytes = LIMIT).await;
    server.application(HOME, "t").await;
    server.endpoint(HOME, "t", json!({ "url": "http://127.0.0.1:9/", "uid": "e" })).await;
    let operational = json!({ "url": "https://example.com", "uid": "o" });
    server.call(HOME, "POST", OPERATIONAL, operational).await.expect(201);
    let own = json!({ "name": "own", "description": "", "example": {} });
    server.call(HOME, "POST", "/api/v1/event-type", own).await.expect(201);
    server
}

#[track_caller]
fn assert_code(answer: &Answer, status: u16, code: &str, context: &str) {
    assert_eq!(answer.status, status, "{context}: {}", answer.text);
    assert_eq!(answer.json["code"], code, "{context}: {}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json", "{context}");
}

#[tokio::test]
async fn the_bodies_below_are_bad_and_not_the_routes() {
    let server = server().await;
    for (method, path, body) in ROUTES {
        let answer = server.call_raw(HOME, method, path, *body).await;
        let good = (200..300).contains(&answer.status);
        let good = good || (*path == SHARED_SECRET && answer.status == 409);
        assert!(good, "{method} {path}: {}", answer.text);
    }
    let document = server.send("GET", "/api/v1/openapi.json", &[], "").await.expect(200);
    let operations = document["paths"].as_object().unwrap().values();
    let with_body = operations
        .flat_map(|path| path.as_object().unwrap().values())
        .filter(|operation| operation["requestBody"].is_object());
    assert_eq!(with_body.count(), ROUTES.len(), "a route with a body is missing here");
}

#[tokio::test]
async fn what_is_not_json_is_a_bad_request() {
    let server = server().await;
    for (method, path, good) in ROUTES {
        let trailing = format!("{good} x");
        let twice = format!("{good}{good}");
        let cut = &good[..good.len() - 1];
        let comment = format!("{good}// comment");
        let unquoted = good.replace('"', "");
        let single = good.replace('"', "'");
        let mark = format!("\u{feff}{good}");
        for body in [
            "{",
            "}",
            "nul",
            "{]",
            "{\"a\":}",
            "{\"a\":1,}",
            "\u{0}",
            "{\"name\":\"\n\"}",
            "{\"name\":\"\\x\"}",
            "{\"name\":\"\\ud800\"}",
            "{\"url\":\"\\udc00\",\"description\":\"\\ud83d\",\"key\":\"\\ud800\",\"eventType\":\"\\ud800\",\"headers\":{\"a\":\"\\ud800\"}}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "<xml/>",
            "name=x",
            &trailing,
            &twice,
            cut,
            &comment,
            &unquoted,
            &single,
            &mark,
        ] {
            let answer = server.call_raw(HOME, method, path, body).await;
            // A half of a character in a field that a route doesn't have is not looked at.
            let ignored = body.contains("\\ud800") && answer.status < 500;
            if !ignored {
                assert_code(&answer, 400, "bad_request", &format!("{method} {path} {body:.60}"));
            }
        }
        for bytes in [&b"\xff\xfe"[..], b"{\"name\":\"\xc3\x28\"}", b"{\"name\":\"\xed\xa0\x80\"}"]
        {
            let answer = server.call_raw(HOME, method, path, bytes).await;
            let ignored = bytes[0] == b'{' && answer.status < 500;
            if !ignored {
                assert_code(&answer, 400, "bad_request", &format!("{method} {path} {bytes:?}"));
            }
        }
    }
}

#[tokio::test]
async fn an_empty_body_is_only_right_where_nothing_is_needed() {
    let server = server().await;
    for (method, path, _) in ROUTES {
        let answer = server.call_raw(HOME, method, path, "").await;
        let optional = ["/rotate", "/enable", "/app-portal-access/t"];
        if optional.iter().any(|end| path.ends_with(end)) {
            answer.expect(if *path == SHARED_SECRET { 409 } else { 200 });
        } else {
            assert_code(&answer, 400, "bad_request", &format!("{method} {path}"));
        }
    }
}

#[tokio::test]
async fn half_a_character_is_refused_wherever_text_is_kept() {
    let server = server().await;
    for (path, body) in [
        ("/api/v1/app", r#"{"name":"\ud800"}"#),
        ("/api/v1/app", r#"{"name":"x","metadata":{"\udc00":"x"}}"#),
        ("/api/v1/app/t/endpoint", r#"{"url":"https://example.com","name":"\ud83d"}"#),
        ("/api/v1/app/t/endpoint", r#"{"url":"https://example.com","headers":{"x":"\ud83d"}}"#),
        ("/api/v1/app/t/msg", r#"{"eventType":"\ud800","payload":{}}"#),
    ] {
        let answer = server.call_raw(HOME, "POST", path, body).await;
        assert_code(&answer, 400, "bad_request", body);
    }
    for payload in [r#""\ud800""#, r#"{"a":["\udfff"]}"#, r#"{"\ud800\ud800":1}"#] {
        let body = format!(r#"{{"eventType":"e","payload":{payload}}}"#);
        let answer = server.call_raw(HOME, "POST", "/api/v1/app/t/msg", body).await;
        let refused = answer.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["body", "payload"]), "{payload}");
    }
}

#[tokio::test]
async fn the_wrong_kind_of_json_names_its_place() {
    let server = server().await;
    for (method, path, _) in ROUTES {
        for body in ["null", "[]", "1", "true", "\"text\""] {
            // A list of no fields is a struct with none of them, for those that need none.
            let answer = server.call_raw(HOME, method, path, body).await;
            let lenient = body == "[]" || body == "null";
            if lenient && answer.status < 300 {
                continue;
            }
            assert_eq!(answer.status, 422, "{method} {path} {body}: {}", answer.text);
            let location = &answer.json["detail"][0]["loc"];
            assert_eq!(location[0], "body", "{method} {path} {body}: {location}");
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_one_at_the_limit_is_not() {
    let server = server().await;
    for (method, path, good) in ROUTES {
        let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
        let answer = server.call_raw(HOME, method, path, padded(LIMIT + 1)).await;
        assert_code(&answer, 413, "payload_too_large", &format!("{method} {path}"));
        assert!(answer.json["detail"].as_str().unwrap().contains("4096 bytes"));
        let answer = server.call_raw(HOME, method, path, padded(1 << 20)).await;
        assert_code(&answer, 413, "payload_too_large", &format!("{method} {path}"));
        let answer = server.call_raw(HOME, method, path, padded(LIMIT)).await;
        // Made twice by now, where a name or uid is in it.
        assert!(answer.status < 300 || answer.status == 409, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn payloads_are_limited_in_depth_and_not_in_shape() {
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "t").await;
    let path = "/api/v1/app/t/msg";
    let nested = |open: &str, close: &str, levels: usize| {
        format!(r#"{{"eventType":"e","payload":{}1{}}}"#, open.repeat(levels), close.repeat(levels))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for levels in [1, 64] {
            let answer = server.call_raw(HOME, "POST", path, nested(open, close, levels)).await;
            assert_eq!(answer.status, 202, "{levels} levels: {}", answer.text);
        }
        for levels in [129, 1_000, 100_000] {
            let answer = server.call_raw(HOME, "POST", path, nested(open, close, levels)).await;
            let refused = answer.expect(422);
            assert_eq!(refused["detail"][0]["loc"], json!(["body", "payload"]));
            let reason = refused["detail"][0]["msg"].as_str().unwrap();
            assert!(reason.contains("nested deeper") || reason.contains("recursion"), "{reason}");
        }
    }
    // Depth in fields that nobody reads does no harm either.
    let deep = format!(r#"{{"name":"x","unknown":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let answer = server.call_raw(HOME, "POST", "/api/v1/app", deep).await;
    assert!(answer.status < 500, "{}", answer.text);
    let wide: Vec<u32> = (0..100_000).collect();
    let body = json!({ "eventType": "e", "payload": wide });
    server.call(HOME, "POST", path, body).await.expect(202);
}

#[tokio::test]
async fn a_field_given_twice_is_refused() {
    let server = server().await;
    for (path, body, field) in [
        ("/api/v1/app", r#"{"name":"a","name":"b"}"#, "name"),
        (
            "/api/v1/app/t/endpoint",
            r#"{"url":"https://a.example","url":"https://b.example"}"#,
            "url",
        ),
        ("/api/v1/app/t/msg", r#"{"eventType":"a","payload":1,"payload":2}"#, "payload"),
    ] {
        let refused = server.call_raw(HOME, "POST", path, body).await.expect(422);
        let reason = refused["detail"][0]["msg"].as_str().unwrap();
        assert!(reason.contains("duplicate") && reason.contains(field), "{refused}");
    }
}

#[tokio::test]
async fn bad_paths_name_nothing() {
    let server = server().await;
    for name in
        ["%ff", "%00", "%0d%0a", "..%2f..", "%252e", "a%20b", "'%20or%201=1", &"x".repeat(9_000)]
    {
        let path = format!("/api/v1/app/{name}");
        let answer = server.call(HOME, "GET", &path, Value::Null).await;
        assert_code(&answer, 404, "not_found", name);
    }
}
