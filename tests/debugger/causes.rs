//! Each mistake, made by the language it is made in.

use serde_json::json;

use super::world::{Case, NOT_VALID, PAYLOAD, VALID, assert_says, endpoint};
use crate::support::programs::{hmac_sha256_hex, node, python};
use crate::support::server::TestServer;

const SIGNING: [&str; 5] = ["standard", "kynectlocal", "klink", "kakiyo", "rechat"];

#[tokio::test]
async fn what_a_receiver_got_is_valid_under_every_contract() {
    let server = TestServer::start(&SIGNING).await;
    for contract in SIGNING {
        let case = Case::new(&server, contract).await;
        let page = case.check(&[]).await;
        assert_says(&page, &[VALID, "the signing secret of Orders", "What is signed"]);
    }
}

#[tokio::test]
async fn a_request_that_python_signed_is_valid() {
    let server = TestServer::start(&["standard", "kakiyo"]).await;
    let case = Case::new(&server, "kakiyo").await;
    let body = r#"{"anything": "at all"}"#;
    let signed = hmac_sha256_hex("another-secret", [body.as_bytes()]);
    let headers = format!("X-Kakiyo-Signature: sha256={}", signed[0]);
    let fields =
        [("webhook", ""), ("secret", "another-secret"), ("headers", &headers), ("body", body)];
    let page = case.check(&fields).await;
    assert_says(&page, &[VALID, "the secret that you pasted"]);
    assert!(!page.contains("another-secret"));

    let case = Case::new(&server, "standard").await;
    let secret = case.tenant.secret(&case.webhook).await;
    let content = format!("msg_python.1736951520.{body}");
    let given = json!({ "secret": secret, "content": content });
    let program = "import base64\n\
        key = base64.b64decode(given['secret'].removeprefix('whsec_'))\n\
        code = hmac.new(key, given['content'].encode(), hashlib.sha256).digest()\n\
        answer('v1,' + base64.b64encode(code).decode())";
    let signature = python(program, &given);
    let headers = format!(
        "{{\"webhook-id\": \"msg_python\", \"webhook-timestamp\": \"1736951520\", \"webhook-signature\": {signature}}}"
    );
    let page = case.check(&[("headers", &headers), ("body", body)]).await;
    assert_says(&page, &[VALID]);
}

#[tokio::test]
async fn a_body_that_real_languages_printed_again_is_recognised() {
    let server = TestServer::start(&SIGNING).await;
    for contract in SIGNING {
        let case = Case::new(&server, contract).await;
        let given = json!(case.delivered.body());
        let printers = [
            ("json.dumps in Python", python("answer(json.dumps(json.loads(given)))", &given)),
            (
                "json.dumps in Python with sort_keys=True",
                python("answer(json.dumps(json.loads(given), sort_keys=True))", &given),
            ),
            (
                "json.dumps in Python with indent=2",
                python("answer(json.dumps(json.loads(given), indent=2))", &given),
            ),
            (
                "JSON.stringify with an indent of 2",
                node("answer(JSON.stringify(JSON.parse(given), null, 2))", &given),
            ),
        ];
        for (title, printed) in printers {
            let page = case.check(&[("body", printed.as_str().unwrap())]).await;
            assert_says(&page, &[NOT_VALID, title, "What was signed", "What you have"]);
        }
    }
}

#[tokio::test]
async fn a_changed_body_is_shown_beside_what_was_sent() {
    let server = TestServer::start(&SIGNING).await;
    for contract in SIGNING {
        let case = Case::new(&server, contract).await;
        let changed = case.delivered.body().replace("2.5", "3.5");
        let id = case.delivered.id().to_owned();
        let page = case.check(&[("body", &changed), ("message", &id)]).await;
        let event = format!("compared with event {id} as it was sent");
        let words = [NOT_VALID, "The body was changed.", "2.5]", "3.5]", &event];
        assert_says(&page, &words);
        // Where an id stands in the request, nobody has to say it.
        if matches!(contract, "standard" | "klink" | "rechat") {
            let page = case.check(&[("body", &changed)]).await;
            assert_says(&page, &["The body was changed."]);
        }
    }
}

#[tokio::test]
async fn the_wrong_secret_is_named_where_it_is_another_webhook_s() {
    let server = TestServer::start(&["standard", "klink", "rechat"]).await;
    for contract in ["standard", "klink", "rechat"] {
        let case = Case::new(&server, contract).await;
        let fields = endpoint(contract, "Invoices", &case.receiver.url("/other"));
        let other = case.tenant.endpoint(fields).await;
        let page = case.check(&[("webhook", &other)]).await;
        let said = if contract == "rechat" { "another webhook" } else { "another webhook: Orders" };
        assert_says(&page, &[NOT_VALID, said]);
        // Also where it is the chosen one's, but the code has another.
        let page = case.check(&[("secret", "whsec_bm90aGluZw==")]).await;
        assert_says(&page, &[NOT_VALID, "and not with the one that you pasted"]);
    }
}

#[tokio::test]
async fn a_rotated_secret_works_until_it_ends_and_is_then_said_to_have() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    case.tenant.rotate(&case.webhook, None).await.expect(200);
    let page = case.check(&[]).await;
    assert_says(&page, &[VALID, "the previous secret of Orders", "for another 1 d"]);
    server.clock.advance(std::time::Duration::from_secs(6 * 60));
    let page = case.check(&[]).await;
    assert_says(&page, &[VALID, "6 m", "older than 5 minutes", "for another 23 h 54 m"]);
}

#[tokio::test]
async fn code_with_a_mistake_hears_which() {
    let server = TestServer::start(&["standard", "klink"]).await;
    let case = Case::new(&server, "standard").await;
    let secret = case.tenant.secret(&case.webhook).await;
    let given = json!({ "secret": secret, "body": case.delivered.body(),
        "id": case.delivered.header("webhook-id"), "time": case.delivered.header("webhook-timestamp") });
    for (program, said) in [
        (
            "key = given.secret; content = given.id + '.' + given.time + '.' + given.body",
            "The secret’s text was used as the key.",
        ),
        (
            "key = Buffer.from(given.secret, 'base64'); content = given.id + '.' + given.time + '.' + given.body",
            "The secret was decoded together with what it starts with.",
        ),
        (
            "key = Buffer.from(given.secret.slice(6), 'base64'); content = given.body",
            "Only the body is signed",
        ),
        (
            "key = Buffer.from(given.secret.slice(6), 'base64'); content = given.id + '.' + given.time + '.' + given.body",
            "Your code’s signature is right",
        ),
        (
            "key = Buffer.from(given.secret.slice(6), 'base64'); encoding = 'hex'; content = given.id + '.' + given.time + '.' + given.body",
            "The signature is written in hexadecimal digits, not in base64.",
        ),
    ] {
        let program = format!(
            "let key, content, encoding = 'base64'; {program}; answer(crypto.createHmac('sha256', key).update(content).digest(encoding))"
        );
        let computed = node(&program, &given);
        let page = case.check(&[("computed", computed.as_str().unwrap())]).await;
        assert_says(&page, &[VALID, said]);
    }
    let case = Case::new(&server, "klink").await;
    let secret = case.tenant.secret(&case.webhook).await;
    let url = case.receiver.url("/hook");
    let content = format!("POST{url}b=2&a=1{}", case.delivered.body());
    let computed = hmac_sha256_hex(&secret, [content.as_bytes()]);
    let page = case.check(&[("computed", &computed[0])]).await;
    assert_says(&page, &[VALID, "The query is signed as it was sent, not sorted."]);
}

#[tokio::test]
async fn a_url_from_behind_a_proxy_is_explained() {
    let server = TestServer::start(&["klink"]).await;
    let case = Case::new(&server, "klink").await;
    let page = case.check(&[("url", "http://app.internal:3000/hook/?a=1&b=2")]).await;
    assert_says(&page, &[NOT_VALID, "The URL differs from the signed one", "Behind a proxy"]);
    let page = case.check(&[("url", "http://app.internal:3000/hook")]).await;
    assert_says(&page, &[NOT_VALID, "host, port, query"]);
    let page = case.check(&[("url", ""), ("method", "")]).await;
    assert_says(&page, &[VALID, "You gave no URL", "You gave no method"]);
    let page = case.check(&[("method", "put")]).await;
    assert_says(&page, &[NOT_VALID, "The method is another one"]);
}

#[tokio::test]
async fn what_nothing_explains_says_what_was_tried() {
    let server = TestServer::start(&["kynectlocal"]).await;
    let case = Case::new(&server, "kynectlocal").await;
    let headers = format!("x-kynectlocal-signature: {}", "0".repeat(64));
    let page = case.check(&[("headers", &headers)]).await;
    let words = ["no usual mistake explains it", "Say the event’s id below", "Tried: 1 secret"];
    assert_says(&page, &words);
    let id = case.delivered.id().to_owned();
    let page = case.check(&[("headers", &headers), ("message", &id)]).await;
    assert_says(&page, &["so the secret or the signature is another one"]);
    let page = case.check(&[("headers", "nothing: here"), ("body", PAYLOAD)]).await;
    assert_says(&page, &["There is no header X-KynectLocal-Signature", "64 hexadecimal digits"]);
}
