//! The form: how it is filled in, what it takes, what it refuses.

use super::world::{Case, VALID, assert_says, event, path};
use crate::support::pages::{Visitor, field, said};
use crate::support::server::TestServer;

#[tokio::test]
async fn a_delivery_s_page_leads_to_its_request() {
    let server = TestServer::start(&["standard", "klink", "kakiyo"]).await;
    for contract in ["standard", "klink", "kakiyo"] {
        let case = Case::new(&server, contract).await;
        let (message, webhook) = (case.delivered.id(), &case.webhook);
        server.wait_for_attempts(contract, "acme", message, 1).await;
        let base = format!("/dashboard/env/{contract}/app/acme");
        let page = case.visitor.get(&format!("{base}/deliveries/{message}/{webhook}")).await;
        let link = format!("{base}/debugger?message={message}&amp;webhook={webhook}");
        assert!(page.text.contains(&link), "{}", page.text);
        let page = case.visitor.get(&link.replace("&amp;", "&")).await.text;
        assert_eq!(field(&page, "body"), case.delivered.body());
        let names = ["headers", "body", "message", "method", "url"];
        let method_and_url = page.contains("name=\"url\"");
        let filled: Vec<(&str, String)> = names
            .into_iter()
            .filter(|name| method_and_url || !matches!(*name, "method" | "url"))
            .map(|name| (name, field(&page, name)))
            .collect();
        let mut fields: Vec<(&str, &str)> =
            filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("webhook", webhook));
        let answer = case.visitor.post(&case.path(), &fields).await;
        assert_says(&said(&answer.text), &[VALID]);
    }
}

#[tokio::test]
async fn credentials_are_hidden_when_the_form_is_filled_in() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    let headers = serde_json::json!({ "headers": { "X-Token": "a-token-of-ours" } });
    let route = format!("endpoint/{}/headers", case.webhook);
    case.tenant.ask("PUT", &route, headers).await;
    let query = format!("?message={}&webhook={}", case.delivered.id(), case.webhook);
    let page = case.visitor.get(&format!("{}{query}", case.path())).await.text;
    let filled = field(&page, "headers");
    assert!(filled.contains("x-token: ••••"), "{filled}");
    assert!(!page.contains("a-token-of-ours"));
}

#[tokio::test]
async fn headers_are_taken_as_terminals_and_programs_print_them() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    let plain = case.headers();
    let curl = plain.lines().map(|line| format!("> {line}\n")).collect::<String>();
    let curl = format!("* Connected to us\n> POST /hook HTTP/1.1\n{curl}>\n");
    let php = plain
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            format!("[HTTP_{}] => {value}\n", name.to_uppercase().replace('-', "_"))
        })
        .collect::<String>();
    for headers in [curl, php] {
        assert_says(&case.check(&[("headers", &headers)]).await, &[VALID]);
    }
    let page = case.check(&[("headers", &format!("{plain}what is this?\n"))]).await;
    assert_says(&page, &[VALID, "Headers that couldn’t be read", "what is this?"]);
}

#[tokio::test]
async fn a_body_keeps_its_bytes_through_the_form() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    for payload in ["{\n  \"a\": 1\n}", "{\r\n  \"a\": 1\r\n}", "{\"a\":\"</textarea><b>&amp;\"}"] {
        let delivered = case.tenant.deliver(&case.receiver, event("standard"), payload).await;
        let query = format!("?message={}&webhook={}", delivered.id(), case.webhook);
        let page = case.visitor.get(&format!("{}{query}", case.path())).await.text;
        // As a browser sends it.
        let body = field(&page, "body").replace("\r\n", "\n").replace('\n', "\r\n");
        let headers = field(&page, "headers");
        let fields = [("body", body.as_str()), ("headers", &headers)];
        let page = case.check(&fields).await;
        assert_says(&page, &[VALID]);
    }
}

#[tokio::test]
async fn what_is_missing_is_asked_for_and_what_was_typed_kept() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    for (changes, sentence) in [
        ([("webhook", ""), ("secret", "")], "Choose a webhook, or paste the secret"),
        ([("headers", ""), ("url", "")], "Paste the headers"),
        ([("webhook", "ep_2uVyGoneGoneGoneGoneGo"), ("url", "")], "This webhook is gone."),
        ([("message", "no-such-event"), ("url", "")], "There is no such event here."),
    ] {
        let page = case.check(&changes).await;
        assert_says(&page, &["There is a problem", sentence]);
        let answer = case.visitor.post(&case.path(), &[("webhook", ""), ("body", "kept")]).await;
        assert_eq!(field(&answer.text, "body"), "kept");
    }
    let answer =
        case.visitor.post(&case.path(), &[("secret", "whsec_c2VjcmV0"), ("headers", "a: b")]).await;
    assert!(!answer.text.contains("whsec_c2VjcmV0"), "a secret never comes back");
}

#[tokio::test]
async fn requests_without_signatures_have_nothing_to_debug() {
    let server = TestServer::start(&["tomba"]).await;
    server.application("tomba", "acme").await;
    let visitor = Visitor::admin(&server).await;
    let page = visitor.get(&path("tomba", "acme")).await;
    assert_says(&said(&page.text), &["Requests are not signed"]);
    assert!(!page.text.contains("name=\"secret\""));
}

#[tokio::test]
async fn forms_have_to_come_from_the_page_and_have_a_size() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    let page = case.path();
    let alone = server.send("POST", &page, &[], "csrf=").await;
    assert_eq!((alone.status, &alone.headers["location"]), (303, &alone.headers["location"]));
    assert!(alone.headers["location"].to_str().unwrap().starts_with("/dashboard/sign-in"));
    let body = "x".repeat(3 << 20);
    let answer = case.visitor.post(&page, &[("body", &body)]).await;
    assert_eq!(answer.status, 413);
    assert_says(&said(&answer.text), &["too large"]);
}
