//! URLs that are refused when they are registered.

use serde_json::{Value, json};

use crate::support::server::TestServer;

const HOME: &str = "standard";
const ENDPOINTS: &str = "/api/v1/app/t/endpoint";

/// A server that may reach public addresses only.
async fn server(https_only: bool) -> TestServer {
    let contract = if https_only { "klink" } else { HOME };
    let server = TestServer::start_with(&[contract], |config| {
        let environments = config.environments.configured().map(|one| {
            let mut environment = (**one).clone();
            environment.guard = hookwright::sender::Guard::public();
            environment.allow_http = !https_only;
            environment
        });
        let environments: Vec<_> = environments.collect();
        let other = environments[0].clone();
        config.environments =
            std::sync::Arc::new(hookwright::environment::Environments::new(environments, other));
    })
    .await;
    server.application(contract, "t").await;
    server
}

async fn register(server: &TestServer, url: &str) -> crate::support::server::Answer {
    server.call(HOME, "POST", ENDPOINTS, json!({ "url": url })).await
}

/// Spellings of addresses that are no receiver's.
const PRIVATE: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.0.0.1:8071/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://0X7F.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://127%2e0.0.1/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
    "http://127\u{3002}0\u{3002}0\u{3002}1/",
    "http://127.255.255.254/",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://10.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd12:3456::1]/",
    "http://[ff02::1]/",
    "http://localhost/",
    "http://localhost./",
    "http://LOCALHOST:8071/",
    "http://a.localhost/",
    "http://localhost%2e/",
    "http:\\\\127.0.0.1\\",
    "http:127.0.0.1",
    "http:///127.0.0.1/",
    "http://example.com@127.0.0.1/",
];

#[tokio::test]
async fn private_addresses_are_refused_in_every_spelling() {
    let server = server(false).await;
    for url in PRIVATE {
        let refused = register(&server, url).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["body", "url"]), "{url}");
    }
    let id = server.endpoint(HOME, "t", json!({ "url": "http://example.com/" })).await;
    let path = format!("{ENDPOINTS}/{id}");
    for url in PRIVATE {
        for method in ["PUT", "PATCH"] {
            let answer = server.call(HOME, method, &path, json!({ "url": url })).await;
            assert_eq!(answer.status, 422, "{method} {url}: {}", answer.text);
        }
    }
    let shown = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["url"], "http://example.com/");
}

#[tokio::test]
async fn what_is_no_usable_url_is_refused() {
    let server = server(false).await;
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    let dots = format!("https://example.com/{}", "../".repeat(2_048));
    for url in [
        "",
        " ",
        "example.com",
        "/hook",
        "//example.com/",
        "https://",
        "https:///",
        "http://.",
        "https://exa mple.com/",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://example.com:port/",
        "https://[::1",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://xn--/",
        "https://example.com\0/",
        "https://exa\nmple.com/",
        "https://example.com/\r\nx: y",
        "https://example.com/a\tb",
        " https://example.com/",
        "https://example.com/ ",
        "\u{a0}https://example.com/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://:password@example.com/",
        "https://example.com/#fragment",
        "https://example.com/?q#",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "data:text/plain,hi",
        "ws://example.com/",
        "unix:///var/run/docker.sock",
        "httpss://example.com/",
        &long,
        &dots,
    ] {
        let answer = register(&server, url).await;
        assert_eq!(answer.status, 422, "{url:?}: {}", answer.text);
        assert_eq!(answer.json["detail"][0]["loc"], json!(["body", "url"]), "{url:?}");
    }
    let list = server.call(HOME, "GET", ENDPOINTS, Value::Null).await.expect(200);
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn public_urls_are_taken_and_kept_as_they_were_given() {
    let server = server(false).await;
    for url in [
        "https://example.com",
        "http://example.com:8080/hook",
        "https://EXAMPLE.com/Hook?a=1&a=%20+#".trim_end_matches('#'),
        "https://b\u{fc}cher.example/\u{e9}",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:8443/",
        "https://localhost.example.com/",
        "https://example.com./",
    ] {
        let made = register(&server, url).await.expect(201);
        assert_eq!(made["url"], url);
    }
}

#[tokio::test]
async fn plain_http_is_refused_where_the_contract_wants_https() {
    let server = server(true).await;
    let input = |url: &str| json!({ "url": url, "name": url, "filterTypes": ["room.solved"] });
    for url in ["http://example.com/", "HTTP://example.com/", "ftp://example.com/"] {
        let answer = server.call("klink", "POST", ENDPOINTS, input(url)).await;
        let refused = answer.expect(422);
        let reason = refused["detail"][0]["msg"].as_str().unwrap();
        assert!(reason.contains("https://"), "{reason}");
    }
    server.call("klink", "POST", ENDPOINTS, input("https://example.com/")).await.expect(201);
}
