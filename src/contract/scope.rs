//! What templates can name. Nothing else of a message or an endpoint is within their reach,
//! secrets least of all.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use url::{Position, Url};

use super::RenderInput;
use crate::domain::{Application, EndpointId, MessageId, Timestamp};

/// Where a template stands in a contract, which decides what it can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The body of a delivery.
    Body,
    /// The value of a header.
    Header,
    /// What a signature is made over.
    Content,
    /// How signatures are written into their header.
    Format,
}

const EVERYWHERE: [&str; 16] = [
    "id",
    "timestamp",
    "payload",
    "environment",
    "event.id",
    "event.type",
    "event.timestamp",
    "event.group",
    "event.test",
    "message.id",
    "application.id",
    "application.uid",
    "application.name",
    "endpoint.id",
    "endpoint.url",
    "endpoint.name",
];
const ATTEMPT: &str = "attempt.number";
const NOUNS: [&str; 5] = ["event", "message", "application", "endpoint", "attempt"];

impl Place {
    /// The names that a template can use here, as authors write them.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match self {
            Place::Body => &[],
            Place::Header => &["method", "url", "query"],
            Place::Content => &["body", "method", "url", "query"],
            Place::Format => &["signature", "signatures"],
        };
        EVERYWHERE.into_iter().chain([ATTEMPT]).chain(own.iter().copied())
    }

    /// Whether `name` (a whole path, or a noun that a template hands on) is known here.
    pub(super) fn knows(self, name: &str) -> bool {
        NOUNS.contains(&name) || self.names().any(|known| known == name)
    }
}

/// The facts of one request that all of its templates share.
#[derive(Debug)]
struct Facts {
    message_id: MessageId,
    event_id: Option<String>,
    event_type: String,
    event_group: Option<String>,
    test: bool,
    created_at: Timestamp,
    application: Arc<Application>,
    endpoint_id: EndpointId,
    endpoint_url: String,
    endpoint_name: String,
    attempt: u32,
    now: Timestamp,
    payload: Bytes,
}

/// Lets a payload be sent without being copied.
struct Payload(Arc<str>);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Facts {
    fn new(input: &RenderInput<'_>) -> Facts {
        let (message, endpoint) = (input.message, input.endpoint);
        Facts {
            message_id: message.id,
            event_id: message.event_id.clone(),
            event_type: message.event_type.clone(),
            event_group: message.event_group.clone(),
            test: message.test,
            created_at: message.created_at,
            application: Arc::clone(&message.application),
            endpoint_id: endpoint.id,
            endpoint_url: endpoint.url.clone(),
            endpoint_name: endpoint.name.clone(),
            attempt: input.attempt,
            now: input.now,
            payload: Bytes::from_owner(Payload(Arc::clone(&message.payload))),
        }
    }
}

/// The context of one template: looked up name by name, so that nothing is made that the
/// template doesn't use.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    facts: Arc<Facts>,
    request: Option<(&'static str, Arc<Url>)>,
    body: Option<Bytes>,
    signatures: Option<Arc<[String]>>,
}

impl Scope {
    pub(super) fn new(input: &RenderInput<'_>) -> Scope {
        let facts = Arc::new(Facts::new(input));
        Scope { facts, request: None, body: None, signatures: None }
    }

    /// For headers: the request's method, as it is written, and its URL are known.
    pub(super) fn with_request(&self, method: &'static str, url: Arc<Url>) -> Scope {
        Scope { request: Some((method, url)), ..self.clone() }
    }

    /// For signed content: the body is known too.
    pub(super) fn with_body(&self, body: Bytes) -> Scope {
        Scope { body: Some(body), ..self.clone() }
    }

    /// For a signature's format: the signature by the current secret first.
    pub(super) fn with_signatures(&self, signatures: Vec<String>) -> Scope {
        Scope {
            facts: Arc::clone(&self.facts),
            request: None,
            body: None,
            signatures: Some(signatures.into()),
        }
    }

    /// The bytes of a name whose value is a raw text: for templates that are nothing else.
    pub(super) fn raw(&self, name: &str) -> Option<Bytes> {
        match name {
            "payload" => Some(self.facts.payload.clone()),
            "body" => self.body.clone(),
            "signature" => {
                let first = self.signatures.as_deref()?.first()?;
                Some(Bytes::copy_from_slice(first.as_bytes()))
            }
            _ => None,
        }
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let noun = |kind| Value::from_object(Noun { kind, facts: Arc::clone(&self.facts) });
        Some(match key {
            "payload" => Value::from_object(RawText(self.facts.payload.clone())),
            "id" => Value::from(self.facts.message_id.to_string()),
            "timestamp" => Value::from_object(Moment(self.facts.now)),
            "environment" => Value::from(&*self.facts.application.environment),
            "event" => noun(NounKind::Event),
            "message" => noun(NounKind::Message),
            "application" => noun(NounKind::Application),
            "endpoint" => noun(NounKind::Endpoint),
            "attempt" => noun(NounKind::Attempt),
            "body" => Value::from_object(RawText(self.body.clone()?)),
            "method" => Value::from(self.request.as_ref()?.0),
            "url" => Value::from(without_query(&self.request.as_ref()?.1)),
            "query" => Value::from(self.request.as_ref()?.1.query().unwrap_or_default()),
            "signature" => Value::from(self.signatures.as_deref()?.first()?.as_str()),
            "signatures" => self.signatures.as_deref()?.iter().map(String::as_str).collect(),
            _ => return None,
        })
    }
}

/// Scheme, host, port where it isn't the scheme's own, and path.
fn without_query(url: &Url) -> String {
    format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPath])
}

#[derive(Clone, Copy, Debug)]
enum NounKind {
    Event,
    Message,
    Application,
    Endpoint,
    Attempt,
}

/// One of the nouns, whose members are looked up when they are named.
#[derive(Debug)]
struct Noun {
    kind: NounKind,
    facts: Arc<Facts>,
}

impl Object for Noun {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let facts = &self.facts;
        Some(match (self.kind, key) {
            (NounKind::Event, "id") => match &facts.event_id {
                Some(id) => Value::from(id.as_str()),
                None => Value::from(facts.message_id.to_string()),
            },
            (NounKind::Event, "type") => Value::from(facts.event_type.as_str()),
            (NounKind::Event, "group") => Value::from(facts.event_group.as_deref()),
            (NounKind::Event, "test") => Value::from(facts.test),
            (NounKind::Event, "timestamp") => Value::from_object(Moment(facts.created_at)),
            (NounKind::Message, "id") => Value::from(facts.message_id.to_string()),
            (NounKind::Application, "id") => Value::from(facts.application.id.to_string()),
            (NounKind::Application, "uid") => Value::from(facts.application.public_id()),
            (NounKind::Application, "name") => Value::from(facts.application.name.as_str()),
            (NounKind::Endpoint, "id") => Value::from(facts.endpoint_id.to_string()),
            (NounKind::Endpoint, "url") => Value::from(facts.endpoint_url.as_str()),
            (NounKind::Endpoint, "name") => Value::from(facts.endpoint_name.as_str()),
            (NounKind::Attempt, "number") => Value::from(facts.attempt),
            _ => return None,
        })
    }
}

/// A point in time. A template has to say in which form it is written.
#[derive(Debug)]
pub(super) struct Moment(pub(super) Timestamp);

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Text that goes out as it is, without being copied into the template engine.
pub(super) struct RawText(Bytes);

impl RawText {
    /// The bytes have to be UTF-8.
    pub(super) fn new(text: Bytes) -> RawText {
        RawText(text)
    }

    pub(super) fn as_str(&self) -> &str {
        // Payloads and bodies are text from the start.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Object for RawText {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_empty()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
