//! Companies' own APIs on one server: the key decides whose it is, and every mistake is
//! answered in that company's words.

use serde_json::{Value, json};

use crate::support::credentials::environment_key;
use crate::support::customer::{Customer, KeyHeader};
use crate::support::server::{Answer, TestServer};

const BRAND: &str = "8929cf8b-6bcc-484a-a7a6-242eaf70cb7a";
const BEARER: KeyHeader = ("authorization", "Bearer ");

/// What tests have to know of a company's documentation.
struct Company {
    environment: &'static str,
    /// The tenant.
    uid: &'static str,
    header: KeyHeader,
    /// Where webhooks are made and listed.
    webhooks: &'static str,
    /// A good webhook.
    webhook: fn() -> Value,
    /// A member of it that must be there.
    required: &'static str,
    /// The same webhook with an event that nobody knows, if the company has events.
    unknown_event: fn() -> Value,
    /// The body of an error.
    error: fn(&str, u16, &Value) -> Value,
    /// The words for: no key, nothing there, wrong method, malformed, refused field.
    words: [(&'static str, u16); 5],
}

const COMPANIES: [Company; 5] = [
    Company {
        environment: "kynectlocal",
        uid: "brand_abc123",
        header: ("x-api-key", ""),
        webhooks: "/v1/webhooks",
        webhook: || json!({ "url": "https://example.com/hook", "secret": "s", "events": ["lead.created"] }),
        required: "secret",
        unknown_event: || json!({ "url": "https://example.com/hook", "secret": "s", "events": ["lead.lost"] }),
        error: |code, status, _| json!({ "error": code, "status": status }),
        words: [
            ("unauthorized", 401),
            ("not_found", 404),
            ("method_not_allowed", 405),
            ("bad_request", 400),
            ("bad_request", 400),
        ],
    },
    Company {
        environment: "klink",
        uid: "workspace_1",
        header: BEARER,
        webhooks: "/v1/webhooks",
        webhook: || json!({ "name": "Orders", "endpoint_url": "https://example.com/hook", "events": ["contact.created"] }),
        required: "name",
        unknown_event: || json!({ "name": "Orders", "endpoint_url": "https://example.com/hook", "events": ["contact.lost"] }),
        error: |code, _, answer| {
            let (message, fields) = (&answer["error"]["message"], &answer["error"]["fields"]);
            json!({ "error": { "code": code, "message": message, "fields": fields } })
        },
        words: [
            ("authentication_failed", 401),
            ("not_found", 404),
            ("method_not_allowed", 405),
            ("bad_request", 400),
            ("validation_error", 422),
        ],
    },
    Company {
        environment: "kakiyo",
        uid: "team_1",
        header: BEARER,
        webhooks: "/v1/webhooks",
        webhook: || json!({ "name": "CRM", "url": "https://example.com/hook", "events": ["message.sent"] }),
        required: "events",
        unknown_event: || json!({ "name": "CRM", "url": "https://example.com/hook", "events": ["message.lost"] }),
        error: |code, _, answer| json!({ "error": code, "message": answer["message"] }),
        words: [
            ("unauthorized", 401),
            ("not_found", 404),
            ("method_not_allowed", 405),
            ("invalid_request", 400),
            ("invalid_request", 400),
        ],
    },
    Company {
        environment: "tomba",
        uid: "account_1",
        header: ("x-tomba-key", ""),
        webhooks: "/v1/webhooks",
        webhook: || json!({ "name": "Leads", "url": "https://example.com/hook" }),
        required: "name",
        unknown_event: || json!({ "name": "Leads", "url": "https://example.com/hook", "events": ["lose_lead"] }),
        error: |code, status, answer| json!({ "errors": { "type": code, "message": answer["errors"]["message"], "code": status } }),
        words: [
            ("authentication_failed", 401),
            ("not_found", 404),
            ("method_not_allowed", 405),
            ("bad_request", 400),
            ("validation_error", 422),
        ],
    },
    Company {
        environment: "rechat",
        uid: BRAND,
        header: BEARER,
        webhooks: "/brands/8929cf8b-6bcc-484a-a7a6-242eaf70cb7a/webhooks",
        webhook: || json!({ "topic": "Deals", "url": "https://example.com/hook" }),
        required: "topic",
        unknown_event: || json!({ "topic": "Homes", "url": "https://example.com/hook" }),
        error: |code, status, answer| json!({ "code": code, "message": answer["message"], "http": status }),
        words: [
            ("Unauthorized", 401),
            ("NotFound", 404),
            ("MethodNotAllowed", 405),
            ("BadRequest", 400),
            ("Validation", 400),
        ],
    },
];

const NO_KEY: usize = 0;
const NOT_FOUND: usize = 1;
const WRONG_METHOD: usize = 2;
const MALFORMED: usize = 3;
const REFUSED: usize = 4;

/// One server with all five, where `http://` would be allowed and nothing is delivered.
async fn server() -> TestServer {
    TestServer::start(&COMPANIES.each_ref().map(|company| company.environment)).await
}

impl Company {
    async fn customer<'a>(&self, server: &'a TestServer) -> Customer<'a> {
        Customer::new(server, self.environment, self.uid, self.header).await
    }

    /// The answer is this company's error, to the last member, with a sentence in it that
    /// names `mention` where the company's errors have sentences.
    #[track_caller]
    fn assert_error(&self, answer: &Answer, kind: usize, mention: &str) {
        let (code, status) = self.words[kind];
        assert_eq!(answer.status, status, "{}: {}", self.environment, answer.text);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.json, (self.error)(code, status, &answer.json), "{}", self.environment);
        if self.environment != "kynectlocal" {
            assert!(
                answer.text.contains(mention),
                "{}: {} in {}",
                self.environment,
                mention,
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn a_webhook_is_made_shown_and_deleted_in_each_companys_way() {
    let server = server().await;
    for company in &COMPANIES {
        let customer = company.customer(&server).await;
        let made = customer.call("POST", company.webhooks, (company.webhook)()).await;
        assert!(matches!(made.status, 200 | 201), "{}: {}", company.environment, made.text);
        let listed = customer.call("GET", company.webhooks, Value::Null).await;
        assert_eq!(listed.status, 200, "{}", listed.text);
        assert!(listed.text.contains("https://example.com/hook"), "{}", listed.text);
        let id = made.json["id"].as_str().or(made.json["data"]["id"].as_str()).unwrap();
        let path = format!("{}/{id}", company.webhooks);
        let deleted = customer.call("DELETE", &path, Value::Null).await;
        assert!(matches!(deleted.status, 200 | 204), "{}", deleted.text);
        let listed = customer.call("GET", company.webhooks, Value::Null).await;
        assert!(!listed.text.contains("https://example.com/hook"), "{}", listed.text);
        let again = customer.call("DELETE", &path, Value::Null).await;
        company.assert_error(&again, NOT_FOUND, "");
    }
}

#[tokio::test]
async fn without_a_good_key_nothing_is_said_but_that() {
    let server = server().await;
    for company in &COMPANIES {
        let customer = company.customer(&server).await;
        // By the kind of key, which tells the companies apart that share a path.
        let wrong = customer.call_with("nobody-issued-this", "GET", company.webhooks, "").await;
        if company.environment != "klink" && company.environment != "kakiyo" {
            company.assert_error(&wrong, NO_KEY, "API key");
        }
        assert_eq!(wrong.status, 401, "{}", wrong.text);
        let none = server.send("GET", company.webhooks, &[], "").await;
        assert_eq!(none.status, 401, "{}", none.text);
    }
}

#[tokio::test]
async fn a_company_alone_on_a_server_is_recognised_without_a_key() {
    for company in &COMPANIES {
        let server = TestServer::start(&[company.environment]).await;
        let none = server.send("GET", company.webhooks, &[], "").await;
        company.assert_error(&none, NO_KEY, "API key");
        let unknown = server.send("GET", "/nowhere", &[], "").await;
        company.assert_error(&unknown, NO_KEY, "API key");
    }
}

#[tokio::test]
async fn mistakes_are_answered_in_the_companys_own_words() {
    let server = server().await;
    for company in &COMPANIES {
        let customer = company.customer(&server).await;
        let unknown = customer.call("GET", "/v1/nothing", Value::Null).await;
        company.assert_error(&unknown, NOT_FOUND, "/v1/nothing");
        let method = customer.call("PATCH", company.webhooks, json!({})).await;
        company.assert_error(&method, WRONG_METHOD, "PATCH");
        let allowed = method.headers["allow"].to_str().unwrap();
        assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
        for malformed in ["{", "[]", "\"x\"", "{\"a\":1}}", "\u{7f}"] {
            let answer = customer.call_raw("POST", company.webhooks, malformed).await;
            company.assert_error(&answer, MALFORMED, "JSON");
        }
        let mut missing = (company.webhook)();
        missing.as_object_mut().unwrap().remove(company.required);
        let answer = customer.call("POST", company.webhooks, missing).await;
        company.assert_error(&answer, REFUSED, company.required);
        let mut null = (company.webhook)();
        null[company.required] = Value::Null;
        let answer = customer.call("POST", company.webhooks, null).await;
        company.assert_error(&answer, REFUSED, company.required);
        let answer = customer.call("POST", company.webhooks, (company.unknown_event)()).await;
        let named = if company.environment == "rechat" { "topic" } else { "events.0" };
        company.assert_error(&answer, REFUSED, named);
        let listed = customer.call("GET", company.webhooks, Value::Null).await;
        assert!(!listed.text.contains("example.com"), "nothing was half made: {}", listed.text);
    }
}

#[tokio::test]
async fn refused_values_are_named_as_the_customer_wrote_them() {
    let server = server().await;
    for company in &COMPANIES {
        let customer = company.customer(&server).await;
        let url = if company.environment == "klink" { "endpoint_url" } else { "url" };
        for wrong in [
            json!(7),
            json!("not a url"),
            json!("ftp://example.com"),
            json!(["https://example.com"]),
        ] {
            let mut webhook = (company.webhook)();
            webhook[url] = wrong;
            let answer = customer.call("POST", company.webhooks, webhook).await;
            company.assert_error(&answer, REFUSED, url);
        }
    }
}

#[tokio::test]
async fn another_tenants_webhook_does_not_exist() {
    let server = server().await;
    for company in &COMPANIES {
        let owner = company.customer(&server).await;
        let made = owner.call("POST", company.webhooks, (company.webhook)()).await;
        let id = made.json["id"].as_str().or(made.json["data"]["id"].as_str()).unwrap();
        let other = Customer::new(&server, company.environment, "other", company.header).await;
        let path = format!("{}/{id}", company.webhooks);
        for method in ["DELETE", "GET", "PUT", "PATCH"] {
            let answer = other.call(method, &path, (company.webhook)()).await;
            assert!(matches!(answer.status, 404 | 405), "{method} {path}: {}", answer.text);
            if answer.status == 404 {
                company.assert_error(&answer, NOT_FOUND, "");
            }
        }
        let listed = owner.call("GET", company.webhooks, Value::Null).await;
        assert!(listed.text.contains("example.com"), "{}", listed.text);
        for id in ["webhook_x", "ep_0", "%ff", "..", "a%2Fb", &"x".repeat(3_000)] {
            let answer =
                owner.call("DELETE", &format!("{}/{id}", company.webhooks), Value::Null).await;
            company.assert_error(&answer, NOT_FOUND, "");
        }
    }
}

#[tokio::test]
async fn the_key_decides_whose_api_answers() {
    let server = server().await;
    let mut customers = Vec::new();
    for company in &COMPANIES {
        let customer = company.customer(&server).await;
        customer.call("POST", company.webhooks, (company.webhook)()).await;
        customers.push(customer);
    }
    for (company, customer) in COMPANIES.iter().zip(&customers) {
        let answer = customer.call("GET", company.webhooks, Value::Null).await;
        assert_eq!(answer.status, 200, "{}: {}", company.environment, answer.text);
    }
    // A key in another company's header is no key.
    let (kynectlocal, kakiyo) = (&customers[0], &customers[2]);
    let authorization = format!("Bearer {}", kynectlocal.key);
    let answer = server.send("GET", "/v1/webhooks", &[("authorization", &authorization)], "").await;
    assert_eq!(answer.status, 401, "{}", answer.text);
    let answer = server.send("GET", "/v1/webhooks", &[("x-api-key", &kakiyo.key)], "").await;
    assert_eq!(answer.status, 401, "{}", answer.text);
    // With both, the good one counts.
    let both = [("x-api-key", "wrong"), ("authorization", &format!("Bearer {}", kakiyo.key))];
    assert_eq!(server.send("GET", "/v1/webhooks", &both, "").await.status, 200);
}

#[tokio::test]
async fn a_companys_backend_names_the_application() {
    let server = server().await;
    let company = &COMPANIES[2];
    let customer = company.customer(&server).await;
    customer.call("POST", company.webhooks, (company.webhook)()).await;
    let key = format!("Bearer {}", environment_key(&server, company.environment).await);
    let unnamed = server.send("GET", company.webhooks, &[("authorization", &key)], "").await;
    assert_eq!(unnamed.status, 403, "{}", unnamed.text);
    assert!(unnamed.text.contains("hookwright-application"), "{}", unnamed.text);
    let named = [("authorization", key.as_str()), ("hookwright-application", company.uid)];
    let listed = server.send("GET", company.webhooks, &named, "").await;
    assert!(listed.text.contains("example.com"), "{}", listed.text);
    let unknown = [("authorization", key.as_str()), ("hookwright-application", "nobody")];
    let answer = server.send("GET", company.webhooks, &unknown, "").await;
    company.assert_error(&answer, NOT_FOUND, "");
}

#[tokio::test]
async fn native_paths_stay_native_beside_a_companys() {
    let server = server().await;
    let kakiyo = COMPANIES[2].customer(&server).await;
    let own = kakiyo.call("GET", "/api/v1/app/team_1/endpoint", Value::Null).await;
    assert_eq!(own.expect(200)["data"], json!([]));
    let unknown = kakiyo.call("GET", "/api/v1/app/team_1/nothing", Value::Null).await;
    assert_eq!(unknown.status, 404);
    let standard = TestServer::start(&["standard"]).await;
    let answer = standard.call("standard", "GET", "/v1/webhooks", Value::Null).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json["code"], "not_found");
}

#[tokio::test]
async fn a_head_request_is_a_get_without_its_body() {
    let server = server().await;
    let kakiyo = COMPANIES[2].customer(&server).await;
    let answer = kakiyo.call("HEAD", "/v1/webhooks", Value::Null).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let slash = kakiyo.call("GET", "/v1/webhooks/", Value::Null).await;
    assert_eq!(slash.status, 200, "{}", slash.text);
}
