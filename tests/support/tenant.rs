//! One tenant of one environment: what tests of a contract speak about.

use serde_json::{Value, json};

use super::receiver::{Received, Receiver};
use super::server::{Answer, TestServer};

/// An application of a running server.
pub struct Tenant<'a> {
    server: &'a TestServer,
    environment: &'a str,
    uid: &'a str,
}

/// A message as the API answered it, and as the receiver got it.
#[derive(Debug)]
pub struct Delivered {
    pub message: Value,
    pub request: Received,
}

impl Delivered {
    /// The body as text.
    pub fn body(&self) -> &str {
        std::str::from_utf8(&self.request.body).unwrap()
    }

    /// The value of a header that must be there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.request.header(name).unwrap_or_else(|| panic!("no {name} in {}", self.request.head))
    }

    /// The names of all headers in lower case, sorted.
    pub fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        names
    }

    /// What the API calls the message.
    pub fn id(&self) -> &str {
        self.message["id"].as_str().unwrap()
    }
}

impl<'a> Tenant<'a> {
    /// Makes the application.
    pub async fn new(server: &'a TestServer, environment: &'a str, uid: &'a str) -> Tenant<'a> {
        server.application(environment, uid).await;
        Tenant { server, environment, uid }
    }

    /// One that was made before.
    pub fn existing(server: &'a TestServer, environment: &'a str, uid: &'a str) -> Tenant<'a> {
        Tenant { server, environment, uid }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let path = format!("/api/v1/app/{}/{path}", self.uid);
        self.server.call(self.environment, method, &path, body).await
    }

    /// Asks for an endpoint.
    pub async fn register(&self, fields: Value) -> Answer {
        self.call("POST", "endpoint", fields).await
    }

    /// Makes an endpoint and returns its id.
    pub async fn endpoint(&self, fields: Value) -> String {
        let made = self.register(fields).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// What the API shows of an endpoint.
    pub async fn show(&self, endpoint: &str) -> Value {
        self.call("GET", &format!("endpoint/{endpoint}"), Value::Null).await.expect(200)
    }

    /// Changes an endpoint.
    pub async fn change(&self, endpoint: &str, fields: Value) -> Answer {
        self.call("PATCH", &format!("endpoint/{endpoint}"), fields).await
    }

    pub async fn delete(&self, endpoint: &str) {
        self.call("DELETE", &format!("endpoint/{endpoint}"), Value::Null).await.expect(204);
    }

    /// Asks for an endpoint's secret.
    pub async fn reveal(&self, endpoint: &str) -> Answer {
        self.call("GET", &format!("endpoint/{endpoint}/secret"), Value::Null).await
    }

    /// An endpoint's secret, which the contract shows.
    pub async fn secret(&self, endpoint: &str) -> String {
        let shown = self.reveal(endpoint).await.expect(200);
        shown["key"].as_str().unwrap().to_owned()
    }

    /// Asks for another secret: this one, or a generated one.
    pub async fn rotate(&self, endpoint: &str, key: Option<&str>) -> Answer {
        let body = key.map_or(Value::Null, |key| json!({ "key": key }));
        self.call("POST", &format!("endpoint/{endpoint}/secret/rotate"), body).await
    }

    /// Asks for another secret of this type.
    pub async fn rotate_to(&self, endpoint: &str, kind: &str) -> Answer {
        let body = json!({ "secretType": kind });
        self.call("POST", &format!("endpoint/{endpoint}/secret/rotate"), body).await
    }

    /// Calls a route below the application.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call(method, path, body).await
    }

    /// Asks to publish a payload as this very text, with more fields (each followed by a
    /// comma).
    pub async fn ask_to_publish(&self, event: &str, fields: &str, payload: &str) -> Answer {
        let body = format!(r#"{{"eventType":"{event}",{fields}"payload":{payload}}}"#);
        let path = format!("/api/v1/app/{}/msg", self.uid);
        self.server.call_raw(self.environment, "POST", &path, body).await
    }

    /// Publishes a payload and waits until the receiver has it.
    pub async fn deliver(&self, receiver: &Receiver, event: &str, payload: &str) -> Delivered {
        self.deliver_with(receiver, event, "", payload).await
    }

    /// The same for an event with an id of the publisher's own.
    pub async fn deliver_as(
        &self,
        receiver: &Receiver,
        (event, event_id): (&str, &str),
        payload: &str,
    ) -> Delivered {
        self.deliver_with(receiver, event, &format!(r#""eventId":"{event_id}","#), payload).await
    }

    async fn deliver_with(
        &self,
        receiver: &Receiver,
        event: &str,
        fields: &str,
        payload: &str,
    ) -> Delivered {
        let before = receiver.requests().len();
        let message = self.ask_to_publish(event, fields, payload).await.expect(202);
        let request = receiver.wait_for(before + 1).await[before].clone();
        Delivered { message, request }
    }

    /// The catalog of the environment: name, group, title and example of each event type.
    pub async fn catalog(&self) -> Vec<Value> {
        let path = "/api/v1/event-type?limit=250";
        let list = self.server.call(self.environment, "GET", path, Value::Null).await.expect(200);
        list["data"].as_array().unwrap().clone()
    }
}

/// The sentence about a refused field of the request's body.
#[track_caller]
pub fn refused(answer: Answer, field: &str) -> String {
    let text = answer.text.clone();
    let body = answer.expect(422);
    let path: Vec<&str> = std::iter::once("body").chain(field.split('.')).collect();
    let errors = body["detail"].as_array().unwrap();
    let about = errors.iter().find(|error| error["loc"] == json!(path));
    let about = about.unwrap_or_else(|| panic!("nothing about {field}: {text}"));
    about["msg"].as_str().unwrap().to_owned()
}
