//! A company with a customer, and an endpoint of its own for operational events.

use std::sync::{Arc, Mutex};

use hookwright::contract::Contract;
use serde_json::{Value, json};

use crate::support::programs::python;
use crate::support::receiver::{Received, Receiver, Reply, Script};
use crate::support::server::{Answer, TestServer};

pub(super) const ROUTE: &str = "/api/v1/operational-webhook/endpoint";

pub(super) struct World {
    pub(super) server: TestServer,
    pub(super) contract: &'static str,
    /// The customer's receiver, and what it answers.
    pub(super) customer: Receiver,
    pub(super) customer_answers: Arc<Mutex<u16>>,
    /// The company's own receiver, and what it answers.
    pub(super) company: Receiver,
    pub(super) company_answers: Arc<Mutex<u16>>,
    pub(super) application: String,
    pub(super) endpoint: String,
}

async fn receiver(status: u16) -> (Receiver, Arc<Mutex<u16>>) {
    let answers = Arc::new(Mutex::new(status));
    let script = Script::by({
        let answers = answers.clone();
        move |_| Reply::status(*answers.lock().unwrap())
    });
    (Receiver::start(script).await, answers)
}

impl World {
    /// A customer whose receiver fails.
    pub(super) async fn new(contract: &'static str) -> World {
        let server = TestServer::start(&[contract, "rechat"]).await;
        let (customer, customer_answers) = receiver(500).await;
        let (company, company_answers) = receiver(200).await;
        let application = server.application(contract, "tenant").await;
        let event = event_of(contract);
        let url = customer.url("/hook");
        let fields =
            json!({ "url": url.as_str(), "name": "Hook", "uid": "hook-1", "filterTypes": [event] });
        let endpoint = server.endpoint(contract, "tenant", fields).await;
        World {
            server,
            contract,
            customer,
            customer_answers,
            company,
            company_answers,
            application,
            endpoint,
        }
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.server.call(self.contract, method, path, body).await
    }

    /// Subscribes the company to operational events, and returns the endpoint's id.
    pub(super) async fn subscribe(&self, filter_types: Value) -> String {
        let url = self.company.url("/operations");
        let fields = json!({ "url": url.as_str(), "filterTypes": filter_types });
        let made = self.call("POST", ROUTE, fields).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn publish(&self) -> String {
        let event = event_of(self.contract);
        self.server.publish(self.contract, "tenant", event, "{}").await
    }

    /// Publishes four failures, which pause a webhook of Kakiyo's contract.
    pub(super) async fn four_failures(&self) {
        for _ in 0..4 {
            let message = self.publish().await;
            self.server.wait_for_attempts(self.contract, "tenant", &message, 1).await;
        }
    }

    /// What the company was told so far, once it is that many events: each must be what its
    /// schema says.
    pub(super) async fn told(&self, count: usize) -> Vec<Value> {
        let requests = self.company.wait_for(count).await;
        assert_eq!(requests.len(), count);
        let contract = Contract::operational();
        let read = |request: &Received| {
            let text = std::str::from_utf8(&request.body).unwrap();
            let body: Value = serde_json::from_str(text).unwrap();
            let event = contract.event(body["type"].as_str().unwrap()).unwrap();
            assert_eq!(event.schema.as_ref().unwrap().check(text), Ok(()), "{text}");
            body
        };
        requests.iter().map(read).collect()
    }

    /// Gives what should not happen some time to happen.
    pub(super) async fn told_no_more_than(&self, count: usize) {
        for _ in 0..20 {
            self.call("GET", "/api/v1/app", Value::Null).await.expect(200);
        }
        assert_eq!(self.company.requests().len(), count);
    }
}

fn event_of(contract: &str) -> &'static str {
    match contract {
        "kakiyo" => "message.sent",
        "klink" => "room.solved",
        _ => "invoice.paid",
    }
}

/// The signatures of a request that are right for one of these secrets, by Python's `hmac`.
pub(super) fn verified(request: &Received, secrets: &[&str]) -> Vec<bool> {
    let header =
        |name: &str| request.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    let given = json!({
        "secrets": secrets,
        "id": header("webhook-id"),
        "timestamp": header("webhook-timestamp"),
        "signatures": header("webhook-signature"),
        "body": String::from_utf8(request.body.clone()).unwrap(),
    });
    let answer = python(
        "import base64\n\
         content = f\"{given['id']}.{given['timestamp']}.{given['body']}\".encode()\n\
         def sign(secret):\n\
         \tkey = base64.b64decode(secret.removeprefix('whsec_'))\n\
         \treturn 'v1,' + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()\n\
         answer([sign(secret) in given['signatures'].split(' ') for secret in given['secrets']])",
        &given,
    );
    serde_json::from_value(answer).unwrap()
}
