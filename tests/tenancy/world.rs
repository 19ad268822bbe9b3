//! Two environments, tenants in both, and a request for every route that there is.

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::{ADMIN_KEY, Answer, TestServer, eventually};

/// The environment that is attacked.
pub(super) const HOME: &str = "standard";

/// The environment that the attackers' keys are for.
pub(super) const ABROAD: &str = "kakiyo";

/// What a route is about, and so what a key of a single application gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Anyone may call it.
    Nothing,
    /// The environment as a whole. Keys of an application may not call it.
    Environment,
    /// Also the environment, but every key of it may look, and sees what it may see; or the key
    /// itself.
    Catalog,
    /// One application, named in the path, and what it may do itself.
    Application,
    /// One application, which it may not do itself.
    ApplicationItself,
}

/// A request that works with the right credential.
pub(super) struct Route {
    pub(super) method: String,
    /// As the OpenAPI document has it, with parameters.
    pub(super) template: String,
    /// With parameters filled in.
    pub(super) path: String,
    pub(super) body: Value,
    pub(super) about: About,
}

impl Route {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    /// Whether the path says which object is meant.
    pub(super) fn names_an_object(&self) -> bool {
        self.template.contains('{')
    }

    pub(super) fn reads(&self) -> bool {
        self.method == "GET"
    }

    /// What its own tenant gets: success, but where the contract at home has no such thing. There
    /// each endpoint has a secret, and keeps one. Of an endpoint's resends, each may find the one
    /// before still running.
    pub(super) fn opens_with(&self, status: u16) -> bool {
        let app = self.template.strip_prefix("/api/v1/app/{app_id}");
        match (self.method.as_str(), app) {
            (_, Some("/secret" | "/secret/rotate"))
            | ("DELETE", Some("/endpoint/{endpoint_id}/secret")) => status == 409,
            ("POST", Some(path)) if path.ends_with("/recover") || path.contains("replay") => {
                status == 202 || status == 409
            }
            _ => (200..300).contains(&status),
        }
    }

    /// Deletions come last when all routes are called one after the other.
    fn turn(&self) -> (bool, std::cmp::Reverse<usize>) {
        let deletes = self.method == "DELETE";
        (deletes, std::cmp::Reverse(if deletes { self.template.len() } else { 0 }))
    }
}

/// The body of a route's request, and what it is about; `None` for a route that this test
/// doesn't know yet.
fn case(method: &str, template: &str) -> Option<(About, Value)> {
    use About::{Application, ApplicationItself, Catalog, Environment, Nothing};
    if let Some(below) = template.strip_prefix("/api/v1/operational-webhook/endpoint") {
        return operational_case(method, below);
    }
    if let Some(case) = resend_case(method, template) {
        return Some(case);
    }
    let app = template.strip_prefix("/api/v1/app/{app_id}");
    Some(match (method, template, app) {
        ("GET", "/api/v1/health", _) => (Nothing, Value::Null),
        (
            "GET",
            "/api/v1/app"
            | "/api/v1/event-type"
            | "/api/v1/event-type/{event_type_name}"
            | "/api/v1/event-type/{event_type_name}/example"
            | "/api/v1/event-type-group",
            _,
        ) => (Catalog, Value::Null),
        ("POST", "/api/v1/app", _) => (Environment, json!({ "name": "New" })),
        ("POST", "/api/v1/event-type", _) => {
            (Environment, json!({ "name": "new.type", "description": "" }))
        }
        ("PUT" | "PATCH", "/api/v1/event-type/{event_type_name}", _) => {
            (Environment, json!({ "description": "changed", "example": { "new": true } }))
        }
        ("DELETE", "/api/v1/event-type/{event_type_name}", _) => (Environment, Value::Null),
        ("POST", "/api/v1/auth/app-portal-access/{app_id}", _) => (ApplicationItself, json!({})),
        ("POST", "/api/v1/auth/app/{app_id}/expire-all", _) => (ApplicationItself, Value::Null),
        ("POST", "/api/v1/auth/logout", _) => (Catalog, Value::Null),
        ("PUT" | "PATCH", _, Some("")) => (ApplicationItself, json!({ "name": "Changed" })),
        ("DELETE", _, Some("")) => (ApplicationItself, Value::Null),
        ("POST", _, Some("/endpoint/{endpoint_id}/enable")) => {
            (Application, json!({ "pending": "drop" }))
        }
        ("POST", _, Some("/endpoint/{endpoint_id}/discard-pending")) => (Application, Value::Null),
        ("POST", _, Some("/endpoint")) => (Application, json!({ "url": "http://127.0.0.1:9/" })),
        ("PUT" | "PATCH", _, Some("/endpoint/{endpoint_id}")) => {
            (Application, json!({ "url": "http://127.0.0.1:9/changed" }))
        }
        ("PUT" | "PATCH", _, Some("/endpoint/{endpoint_id}/headers")) => {
            (Application, json!({ "headers": { "x-changed": "yes" } }))
        }
        ("POST", _, Some("/endpoint/{endpoint_id}/secret/rotate" | "/secret/rotate")) => {
            (Application, json!({}))
        }
        ("POST", _, Some("/msg")) => {
            (Application, json!({ "eventType": "invoice.paid", "payload": { "new": true } }))
        }
        ("POST", _, Some("/send-example" | "/endpoint/{endpoint_id}/send-example")) => {
            (Application, json!({ "eventType": "own.type" }))
        }
        ("GET", _, Some(_)) => (Application, Value::Null),
        ("DELETE", _, Some("/endpoint/{endpoint_id}")) => (Application, Value::Null),
        ("DELETE", _, Some("/endpoint/{endpoint_id}/secret" | "/secret")) => {
            (Application, Value::Null)
        }
        _ => return None,
    })
}

/// The same for what sends events again, one or many.
fn resend_case(method: &str, template: &str) -> Option<(About, Value)> {
    let (about, body) = match (method, template.strip_prefix("/api/v1/")?) {
        ("GET", "background-task") => (About::Catalog, Value::Null),
        ("GET", "background-task/{task_id}")
        | ("POST", "background-task/{task_id}/cancel")
        | ("POST", "app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend") => {
            (About::Application, Value::Null)
        }
        (
            "POST",
            "app/{app_id}/endpoint/{endpoint_id}/recover"
            | "app/{app_id}/endpoint/{endpoint_id}/replay-missing"
            | "app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
        ) => (About::Application, json!({ "since": "2025-01-01T00:00:00Z" })),
        _ => return None,
    };
    Some((about, body))
}

/// The same for the company's own endpoints for operational events.
fn operational_case(method: &str, below: &str) -> Option<(About, Value)> {
    let body = match (method, below) {
        ("POST", "") | ("PUT", "/{endpoint_id}") => {
            json!({ "url": "http://127.0.0.1:9/operations" })
        }
        ("PUT", "/{endpoint_id}/headers") => json!({ "headers": { "x-changed": "yes" } }),
        ("POST", "/{endpoint_id}/secret/rotate") => json!({}),
        ("GET", _) | ("DELETE", "/{endpoint_id}") => Value::Null,
        _ => return None,
    };
    Some((About::Environment, body))
}

pub(super) struct World {
    pub(super) server: TestServer,
    pub(super) receiver: Receiver,
    /// The attacked application's id.
    pub(super) victim: String,
    /// The id of another application of the same environment.
    pub(super) neighbour: String,
    /// The id of an application of the other environment.
    pub(super) stranger: String,
    endpoint: String,
    /// The id of the company's own endpoint for operational events.
    operational: String,
    message: String,
    attempt: String,
    /// The id of a resend to the attacked endpoint, which has finished.
    task: String,
}

impl World {
    pub(super) async fn new() -> World {
        let server = TestServer::start(&[HOME, ABROAD]).await;
        let receiver = Receiver::start(Reply::status(200)).await;
        let victim = server.application(HOME, "victim").await;
        let neighbour = server.application(HOME, "neighbour").await;
        let stranger = server.application(ABROAD, "stranger").await;
        let fields = json!({ "url": receiver.url("/").as_str(), "headers": { "x-custom": "1" } });
        let endpoint = server.endpoint(HOME, "victim", fields).await;
        let own =
            json!({ "name": "own.type", "description": "ours", "groupName": "own", "example": {} });
        server.call(HOME, "POST", "/api/v1/event-type", own).await.expect(201);
        let message = server.publish(HOME, "victim", "invoice.paid", r#"{"secret":"data"}"#).await;
        server.wait_for_status(HOME, "victim", &message, "succeeded").await;
        let attempts = server.attempts(HOME, "victim", &message).await;
        let attempt = attempts[0]["id"].as_str().unwrap().to_owned();
        let task = resend(&server, &endpoint).await;
        let path = "/api/v1/operational-webhook/endpoint";
        let fields = json!({ "url": receiver.url("/operations").as_str() });
        let made = server.call(HOME, "POST", path, fields).await.expect(201);
        let operational = made["id"].as_str().unwrap().to_owned();
        World {
            server,
            receiver,
            victim,
            neighbour,
            stranger,
            endpoint,
            operational,
            message,
            attempt,
            task,
        }
    }

    /// A request for every route of the OpenAPI document as it is served, in an order in which
    /// all of them can succeed.
    pub(super) async fn routes(&self) -> Vec<Route> {
        let document = self.server.send("GET", "/api/v1/openapi.json", &[], "").await.expect(200);
        let mut routes = Vec::new();
        for (template, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                routes.push(self.route(&method.to_uppercase(), template));
            }
        }
        routes.sort_by_key(Route::turn);
        routes
    }

    fn route(&self, method: &str, template: &str) -> Route {
        let Some((about, body)) = case(method, template) else {
            panic!("{method} {template} is new: say in case() who may call it")
        };
        let operational = template.starts_with("/api/v1/operational-webhook/");
        let endpoint = if operational { &self.operational } else { &self.endpoint };
        let path = template
            .replace("{app_id}", &self.victim)
            .replace("{endpoint_id}", endpoint)
            .replace("{msg_id}", &self.message)
            .replace("{attempt_id}", &self.attempt)
            .replace("{task_id}", &self.task)
            .replace("{event_type_name}", "own.type");
        assert!(!path.contains('{'), "{path}: an unknown parameter");
        let (method, template) = (method.to_owned(), template.to_owned());
        Route { method, template, path, body, about }
    }

    /// Calls a route with these headers.
    pub(super) async fn call(&self, route: &Route, headers: &[(&str, &str)]) -> Answer {
        let body = if route.body.is_null() { String::new() } else { route.body.to_string() };
        self.server.send(&route.method, &route.path, headers, body).await
    }

    /// Calls a route with a credential.
    pub(super) async fn call_as(&self, route: &Route, credential: &str) -> Answer {
        self.call(route, &[("authorization", &format!("Bearer {credential}"))]).await
    }

    /// Everything that there is at home, as the admin sees it, and what was delivered.
    pub(super) async fn everything(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut applications = Vec::new();
        let list = self.look("/api/v1/app", &mut seen).await;
        applications.extend(ids(&list));
        self.look("/api/v1/event-type?include_archived=true", &mut seen).await;
        self.look("/api/v1/background-task", &mut seen).await;
        let path = "/api/v1/operational-webhook/endpoint";
        for endpoint in ids(&self.look(path, &mut seen).await) {
            self.look(&format!("{path}/{endpoint}/headers"), &mut seen).await;
            self.look(&format!("{path}/{endpoint}/secret"), &mut seen).await;
        }
        for app in &applications {
            let path = format!("/api/v1/app/{app}/endpoint");
            for endpoint in ids(&self.look(&path, &mut seen).await) {
                self.look(&format!("{path}/{endpoint}/headers"), &mut seen).await;
                self.look(&format!("{path}/{endpoint}/secret"), &mut seen).await;
                self.look(&format!("{path}/{endpoint}/history"), &mut seen).await;
            }
            let path = format!("/api/v1/app/{app}");
            for message in ids(&self.look(&format!("{path}/msg"), &mut seen).await) {
                self.look(&format!("{path}/msg/{message}/endpoint"), &mut seen).await;
                self.look(&format!("{path}/attempt/msg/{message}"), &mut seen).await;
            }
        }
        let ledger = self.server.ledger().await;
        seen.extend(
            ledger.iter().filter(|line| &*line.environment == HOME).map(|line| format!("{line:?}")),
        );
        seen.push(format!("{} deliveries", self.receiver.requests().len()));
        seen
    }

    /// Fails where anything at home is not as it was.
    pub(super) async fn assert_unchanged_since(&self, before: &[String]) {
        let now = self.everything().await;
        for (now, before) in now.iter().zip(before) {
            assert_eq!(now, before);
        }
        assert_eq!(now.len(), before.len());
    }

    async fn look(&self, path: &str, seen: &mut Vec<String>) -> Value {
        let answer = self.server.call(HOME, "GET", path, Value::Null).await;
        seen.push(format!("{path}: {}", answer.text));
        answer.expect(200)
    }
}

/// Recovers what failed, which is nothing, and waits for the end.
async fn resend(server: &TestServer, endpoint: &str) -> String {
    let path = format!("/api/v1/app/victim/endpoint/{endpoint}/recover");
    let input = json!({ "since": "2025-01-01T00:00:00Z" });
    let begun = server.call(HOME, "POST", &path, input).await.expect(202);
    let task = begun["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/background-task/{task}");
    eventually("the end of a resend", async || {
        server.call(HOME, "GET", &path, Value::Null).await.expect(200)["status"] == "finished"
    })
    .await;
    task
}

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().unwrap();
    data.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// The headers of the admin key, with no environment named.
pub(super) fn admin() -> (String, String) {
    ("authorization".to_owned(), format!("Bearer {ADMIN_KEY}"))
}

/// An answer that refuses, in the form of all errors.
#[track_caller]
pub(super) fn assert_refused(answer: &Answer, status: u16, code: &str, context: &str) {
    assert_eq!(answer.status, status, "{context}: {}", answer.text);
    assert_eq!(answer.json["code"], code, "{context}: {}", answer.text);
    assert!(answer.json["detail"].is_string(), "{context}: {}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json", "{context}");
}
