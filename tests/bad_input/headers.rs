//! Custom headers and credentials that would say more than they should.

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

/// A value that must not come back in an error.
const CANARY: &str = "canary-7c1f";

/// Header names that can't be, or are not the customer's to set.
const NAMES: &[&str] = &[
    "",
    " ",
    "a b",
    "a:",
    ":authority",
    "x\r\nevil",
    "x\nevil",
    "x\revil",
    "x\0",
    "\u{e9}",
    "x\u{2028}y",
    "host",
    "Host",
    "CONTENT-LENGTH",
    "Transfer-Encoding",
    "connection",
    "Keep-Alive",
    "upgrade",
    "te",
    "Trailer",
    "expect",
    "Proxy-Connection",
    "content-type",
    "Content-Encoding",
    "User-Agent",
];

/// Values that can't be sent.
const VALUES: &[&str] = &["", "a\r\nevil: 1", "a\nb", "a\rb", "a\0b", "a\u{7f}b", "a\u{1}"];

async fn server(contract: &str) -> TestServer {
    let server = TestServer::start(&[contract]).await;
    server.application(contract, "t").await;
    server
}

#[tokio::test]
async fn header_names_and_values_that_cannot_be_sent_are_refused_everywhere() {
    let server = server("standard").await;
    let id = server.endpoint("standard", "t", json!({ "url": "https://example.com" })).await;
    let endpoint = format!("/api/v1/app/t/endpoint/{id}");
    let long = "x".repeat(4_097);
    let names = NAMES.iter().map(|name| (*name, CANARY.to_owned()));
    let values = VALUES.iter().map(|value| ("x-custom", format!("{CANARY}{value}")));
    let signed = ["webhook-id", "Webhook-Signature", "WEBHOOK-TIMESTAMP"];
    let signed = signed.into_iter().map(|name| (name, CANARY.to_owned()));
    let cases = names
        .chain(values.filter(|(_, value)| value != CANARY))
        .chain(signed)
        .chain([("x-custom", String::new()), ("x-custom", long)]);
    for (name, value) in cases {
        let headers = json!({ name: value });
        for (method, path, body) in [
            (
                "POST",
                "/api/v1/app/t/endpoint".to_owned(),
                json!({ "url": "https://example.com", "headers": headers }),
            ),
            ("PATCH", endpoint.clone(), json!({ "headers": headers })),
            ("PUT", endpoint.clone(), json!({ "url": "https://example.com", "headers": headers })),
            ("PUT", format!("{endpoint}/headers"), json!({ "headers": headers })),
            ("PATCH", format!("{endpoint}/headers"), json!({ "headers": headers })),
        ] {
            let answer = server.call("standard", method, &path, body).await;
            assert_eq!(answer.status, 422, "{method} {path} {name:?}: {value:?}");
            assert_eq!(answer.json["detail"][0]["loc"], json!(["body", "headers"]), "{name:?}");
            assert!(!answer.text.contains(CANARY), "{}", answer.text);
        }
    }
    let shown = server.call("standard", "GET", &format!("{endpoint}/headers"), Value::Null).await;
    assert_eq!(shown.expect(200), json!({ "headers": {}, "sensitive": [] }));
}

#[tokio::test]
async fn one_name_in_two_spellings_is_refused_everywhere() {
    let server = server("standard").await;
    let id = server.endpoint("standard", "t", json!({ "url": "https://example.com" })).await;
    let endpoint = format!("/api/v1/app/t/endpoint/{id}");
    let headers = json!({ "X-Custom": "1", "x-custom": "2" });
    for (method, path, body) in [
        (
            "POST",
            "/api/v1/app/t/endpoint".to_owned(),
            json!({ "url": "https://example.com", "headers": headers }),
        ),
        ("PATCH", endpoint.clone(), json!({ "headers": headers })),
        ("PUT", format!("{endpoint}/headers"), json!({ "headers": headers })),
        ("PATCH", format!("{endpoint}/headers"), json!({ "headers": headers })),
    ] {
        let refused = server.call("standard", method, &path, body).await.expect(422);
        let reason = refused["detail"][0]["msg"].as_str().unwrap();
        assert!(reason.contains("twice"), "{method} {path}: {reason}");
    }
}

#[tokio::test]
async fn there_is_a_limit_to_custom_headers_however_they_come() {
    let server = server("standard").await;
    let many: Value = (0..200).map(|index| (format!("x-{index}"), json!("v"))).collect();
    let input = json!({ "url": "https://example.com", "headers": many });
    let path = "/api/v1/app/t/endpoint";
    server.call("standard", "POST", path, input).await.expect(422);
    let id = server.endpoint("standard", "t", json!({ "url": "https://example.com" })).await;
    let path = format!("/api/v1/app/t/endpoint/{id}/headers");
    let mut set = 0;
    loop {
        let patch = json!({ "headers": { format!("x-{set}"): "v" } });
        match server.call("standard", "PATCH", &path, patch).await.status {
            204 => set += 1,
            status => {
                assert_eq!(status, 422);
                break;
            }
        }
        assert!(set < 200, "there is no limit");
    }
    assert!(set > 0);
}

#[tokio::test]
async fn credentials_cannot_smuggle_headers_in() {
    let server = server("klink").await;
    let path = "/api/v1/app/t/endpoint";
    let basic = VALUES.iter().map(|value| {
        let token = if value.is_empty() { String::new() } else { format!("{CANARY}{value}") };
        json!({ "type": "basic", "token": token })
    });
    let names = NAMES
        .iter()
        .chain(&["X-Signature"])
        .map(|name| json!({ "type": "header", "name": name, "value": CANARY }));
    let values = VALUES.iter().filter(|value| !value.is_empty()).map(
        |value| json!({ "type": "header", "name": "x-key", "value": format!("{CANARY}{value}") }),
    );
    let long = json!({ "type": "header", "name": "x-key", "value": "x".repeat(5_000) });
    for auth in basic.chain(names).chain(values).chain([long]) {
        let input = json!({
            "url": "https://example.com", "name": "n", "filterTypes": ["room.solved"], "auth": auth
        });
        let answer = server.call("klink", "POST", path, input).await;
        assert_eq!(answer.status, 422, "{auth}");
        assert_eq!(answer.json["detail"][0]["loc"], json!(["body", "auth"]), "{}", answer.text);
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    // The parts of a credential that are missing or of the wrong type.
    for auth in [
        json!({ "type": "basic" }),
        json!({ "type": "header", "name": "x" }),
        json!({ "type": "header", "name": "x", "value": 1 }),
        json!({ "token": "x" }),
    ] {
        let input = json!({
            "url": "https://example.com", "name": "n", "filterTypes": ["room.solved"], "auth": auth
        });
        let refused = server.call("klink", "POST", path, input).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"][1], "auth", "{refused}");
    }
}

#[tokio::test]
async fn odd_but_good_values_arrive_as_they_were_given() {
    let server = server("standard").await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let headers =
        json!({ "x-tab": "a\tb", "x-quote": "\"'\\", "x-comma": "a, b;c=d", "x_under": "1" });
    let fields = json!({ "url": receiver.url("/").as_str(), "headers": headers });
    server.endpoint("standard", "t", fields).await;
    let message = server.publish("standard", "t", "e", "{}").await;
    server.wait_for_status("standard", "t", &message, "succeeded").await;
    let request = &receiver.requests()[0];
    for (name, value) in headers.as_object().unwrap() {
        assert_eq!(request.header(name), value.as_str(), "{name}");
    }
    let names: Vec<String> =
        request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}
