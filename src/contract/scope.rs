//! What templates can name. Nothing else of a message or an endpoint is within their reach,
//! secrets least of all.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use minijinja::Value;
use minijinja::value::Object;
use url::{Position, Url};

use super::RenderInput;
use super::routes::Ids;
use super::signature::{Algorithm, Named};
use crate::domain::{Application, EndpointId, MessageId, SecretText, Timestamp};

mod values;

pub(super) use values::{Moment, RawText, Ready};

/// Where a template stands in a contract, which decides what it can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The body of a delivery.
    Body,
    /// A parameter that is added to the URL's query.
    Query,
    /// The value of a header.
    Header,
    /// What a signature is made over.
    Content,
    /// How signatures are written.
    Format,
    /// The request of a handshake, and what is expected of its answer.
    Handshake,
}

const EVERYWHERE: [&str; 19] = [
    "id",
    "timestamp",
    "nonce",
    "payload",
    "environment",
    "event.id",
    "event.type",
    "event.timestamp",
    "event.group",
    "event.test",
    "message.id",
    "message.uuid",
    "application.id",
    "application.uid",
    "application.name",
    "endpoint.id",
    "endpoint.uid",
    "endpoint.url",
    "endpoint.name",
];
const ATTEMPT: &str = "attempt.number";
/// What the company keeps with an application: any member may be there.
const METADATA: &str = "application.metadata.";
/// What there is while no event is.
const HANDSHAKE: [&str; 12] = [
    "challenge",
    "secret",
    "timestamp",
    "nonce",
    "environment",
    "application.id",
    "application.uid",
    "application.name",
    "endpoint.id",
    "endpoint.uid",
    "endpoint.url",
    "endpoint.name",
];
const REQUEST: [&str; 7] = ["body", "method", "url", "query", "full_url", "host", "path"];
const NOUNS: [&str; 5] = ["event", "message", "application", "endpoint", "attempt"];

impl Place {
    /// The names that a template can use here, as authors write them.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        let (common, own): (&[&str], &[&str]) = match self {
            Place::Body => (&EVERYWHERE, &[ATTEMPT]),
            Place::Query => (&EVERYWHERE, &[ATTEMPT, "body", "method"]),
            Place::Header | Place::Content => (&EVERYWHERE, &[ATTEMPT]),
            Place::Format => (&EVERYWHERE, &[ATTEMPT, "signature", "signatures"]),
            Place::Handshake => (&HANDSHAKE, &[]),
        };
        let request: &[&str] = match self {
            Place::Header | Place::Content => &REQUEST,
            _ => &[],
        };
        common.iter().chain(own).chain(request).copied()
    }

    /// Whether `name` (a whole path, or a noun that a template hands on) is known here.
    pub(super) fn knows(self, name: &str) -> bool {
        NOUNS.contains(&name)
            || name.starts_with(METADATA)
            || self.names().any(|known| known == name)
    }
}

/// The facts of one request that all of its templates share.
#[derive(Debug)]
struct Facts {
    /// How the company writes ids.
    ids: Arc<Ids>,
    message_id: MessageId,
    event_id: Option<String>,
    event_type: String,
    event_group: Option<String>,
    test: bool,
    created_at: Timestamp,
    application: Arc<Application>,
    endpoint_id: EndpointId,
    endpoint_uid: Option<String>,
    endpoint_url: String,
    endpoint_name: String,
    attempt: u32,
    now: Timestamp,
    payload: Bytes,
    /// The same for templates: one value for all of a request's, because it remembers where
    /// its members are.
    payload_value: OnceLock<Value>,
}

/// Lets a payload be sent without being copied.
struct Payload(Arc<str>);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Facts {
    fn new(input: &RenderInput<'_>, ids: &Arc<Ids>) -> Facts {
        let (message, endpoint) = (input.message, input.endpoint);
        Facts {
            ids: Arc::clone(ids),
            message_id: message.id,
            event_id: message.event_id.clone(),
            event_type: message.event_type.clone(),
            event_group: message.event_group.clone(),
            test: message.test,
            created_at: message.created_at,
            application: Arc::clone(&message.application),
            endpoint_id: endpoint.id,
            endpoint_uid: endpoint.uid.clone(),
            endpoint_url: endpoint.url.clone(),
            endpoint_name: endpoint.name.clone(),
            attempt: input.attempt,
            now: input.now,
            payload: Bytes::from_owner(Payload(Arc::clone(&message.payload))),
            payload_value: OnceLock::new(),
        }
    }

    fn payload_value(&self) -> Value {
        let new = || Value::from_object(RawText::new(self.payload.clone()));
        self.payload_value.get_or_init(new).clone()
    }

    fn message_id(&self) -> String {
        self.ids.message.write(self.message_id)
    }

    fn endpoint_id(&self) -> String {
        self.ids.endpoint.write(self.endpoint_id)
    }

    /// A text that no other attempt has: receivers tell repeated requests by it. It is no
    /// secret, and not random, so that one attempt is rendered the same each time.
    fn nonce(&self) -> String {
        let mut seed = b"nonce".to_vec();
        seed.extend_from_slice(self.message_id.bytes());
        seed.extend_from_slice(self.endpoint_id.bytes());
        seed.extend_from_slice(&self.attempt.to_be_bytes());
        seed.extend_from_slice(&self.now.as_micros().to_be_bytes());
        hex::encode(Algorithm::Sha256.compute(&[], &seed))
    }
}

/// The context of one template: looked up name by name, so that nothing is made that the
/// template doesn't use.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    facts: Arc<Facts>,
    method: Option<&'static str>,
    url: Option<Arc<Url>>,
    body: Option<Bytes>,
    signatures: Option<Arc<[String]>>,
    named: Option<Arc<Named>>,
    secret: Option<Arc<SecretText>>,
    challenge: Option<Arc<str>>,
}

impl Scope {
    pub(super) fn new(input: &RenderInput<'_>, ids: &Arc<Ids>) -> Scope {
        Scope::of(Arc::new(Facts::new(input, ids)))
    }

    /// Nothing but the facts.
    fn of(facts: Arc<Facts>) -> Scope {
        Scope {
            facts,
            method: None,
            url: None,
            body: None,
            signatures: None,
            named: None,
            secret: None,
            challenge: None,
        }
    }

    /// For queries: the method, as it is written, and the body are known.
    pub(super) fn with_body(self, method: &'static str, body: Bytes) -> Scope {
        Scope { method: Some(method), body: Some(body), ..self }
    }

    /// For headers and signed content: the URL is known too.
    pub(super) fn with_url(self, url: Arc<Url>) -> Scope {
        Scope { url: Some(url), ..self }
    }

    /// With the signatures that have names.
    pub(super) fn with_named(self, named: Named) -> Scope {
        Scope { named: Some(Arc::new(named)), ..self }
    }

    /// The signatures that have names so far.
    pub(super) fn named(&self) -> Named {
        self.named.as_deref().cloned().unwrap_or_default()
    }

    /// For digests that have the secret in their content, and for handshakes.
    pub(super) fn with_secret(&self, secret: Arc<SecretText>) -> Scope {
        Scope { secret: Some(secret), ..self.clone() }
    }

    /// For handshakes: what the receiver has to give back.
    pub(super) fn with_challenge(self, challenge: Arc<str>) -> Scope {
        Scope { challenge: Some(challenge), ..self }
    }

    /// For a signature's format: the signature by the current secret first.
    pub(super) fn with_signatures(&self, signatures: Vec<String>) -> Scope {
        Scope { signatures: Some(signatures.into()), ..Scope::of(Arc::clone(&self.facts)) }
    }

    /// The length of the body, where it is known, in bytes.
    pub(super) fn body_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }

    /// The signatures that a format writes, the one by the current secret first.
    pub(super) fn signatures(&self) -> Option<&[String]> {
        self.signatures.as_deref()
    }

    /// The length of the payload, in bytes.
    pub(super) fn payload_bytes(&self) -> usize {
        self.facts.payload.len()
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
        self.value(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.value(key)
    }
}

impl Scope {
    /// The value of a name, or of a noun's member.
    pub(super) fn lookup(&self, name: &str, member: Option<&str>) -> Option<Value> {
        match member {
            None => self.value(name),
            Some(member) => self.facts.member(NounKind::of(name)?, member),
        }
    }

    fn value(&self, key: &str) -> Option<Value> {
        let named = |all| {
            let named = Arc::clone(self.named.as_ref()?);
            Some(Value::from_object(NamedSignatures { named, all }))
        };
        Some(match key {
            "payload" => self.facts.payload_value(),
            "id" => Value::from(self.facts.message_id()),
            "timestamp" => Value::from_object(Moment(self.facts.now)),
            "environment" => Value::from(&*self.facts.application.environment),
            "body" => Value::from_object(RawText::new(self.body.clone()?)),
            "method" => Value::from(self.method?),
            "url" => Value::from(without_query(self.url.as_ref()?)),
            "query" => Value::from(self.url.as_ref()?.query().unwrap_or_default()),
            "full_url" => Value::from(&self.url.as_ref()?[..Position::AfterQuery]),
            "host" => Value::from(&self.url.as_ref()?[Position::BeforeHost..Position::AfterPort]),
            "path" => Value::from(self.url.as_ref()?.path()),
            "signature" if self.signatures.is_none() => return named(false),
            "signatures" if self.signatures.is_none() => return named(true),
            "signature" => Value::from(self.signatures.as_deref()?.first()?.as_str()),
            "signatures" => self.signatures.as_deref()?.iter().map(String::as_str).collect(),
            "nonce" => Value::from(self.facts.nonce()),
            // Empty where an endpoint has none, so that headers and expectations fall away.
            "secret" => Value::from(self.secret.as_deref().map_or("", SecretText::expose)),
            "challenge" => Value::from(&**self.challenge.as_ref()?),
            noun => {
                let (kind, facts) = (NounKind::of(noun)?, Arc::clone(&self.facts));
                Value::from_object(Noun { kind, facts })
            }
        })
    }
}

/// `signature.name` and `signatures.name`.
#[derive(Debug)]
struct NamedSignatures {
    named: Arc<Named>,
    /// Whether the whole list is meant, rather than the one by the current secret.
    all: bool,
}

impl Object for NamedSignatures {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let (_, signatures) = self.named.iter().find(|(known, _)| **known == *name)?;
        Some(match self.all {
            true => signatures.iter().map(String::as_str).collect(),
            // `none` where nothing signs, so that a body says `null`.
            false => Value::from(signatures.first().map(String::as_str)),
        })
    }
}

/// Scheme, host, port where it isn't the scheme's own, and path.
pub(super) fn without_query(url: &Url) -> String {
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

impl NounKind {
    fn of(name: &str) -> Option<NounKind> {
        Some(match name {
            "event" => NounKind::Event,
            "message" => NounKind::Message,
            "application" => NounKind::Application,
            "endpoint" => NounKind::Endpoint,
            "attempt" => NounKind::Attempt,
            _ => return None,
        })
    }
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
        self.facts.member(self.kind, key)
    }
}

impl Facts {
    fn member(&self, kind: NounKind, key: &str) -> Option<Value> {
        let facts = self;
        Some(match (kind, key) {
            (NounKind::Event, "id") => match &facts.event_id {
                Some(id) => Value::from(id.as_str()),
                None => Value::from(facts.message_id()),
            },
            (NounKind::Event, "type") => Value::from(facts.event_type.as_str()),
            (NounKind::Event, "group") => Value::from(facts.event_group.as_deref()),
            (NounKind::Event, "test") => Value::from(facts.test),
            (NounKind::Event, "timestamp") => Value::from_object(Moment(facts.created_at)),
            (NounKind::Message, "uuid") => Value::from(facts.message_id.uuid()),
            (NounKind::Message, "id") => Value::from(facts.message_id()),
            (NounKind::Application, "id") => Value::from(facts.application.id.to_string()),
            (NounKind::Application, "uid") => Value::from(facts.application.public_id()),
            (NounKind::Application, "name") => Value::from(facts.application.name.as_str()),
            (NounKind::Application, "metadata") => {
                Value::from_object(MetadataOf(Arc::clone(&facts.application)))
            }
            (NounKind::Endpoint, "id") => Value::from(facts.endpoint_id()),
            (NounKind::Endpoint, "uid") => match &facts.endpoint_uid {
                Some(uid) => Value::from(uid.as_str()),
                None => Value::from(facts.endpoint_id()),
            },
            (NounKind::Endpoint, "url") => Value::from(facts.endpoint_url.as_str()),
            (NounKind::Endpoint, "name") => Value::from(facts.endpoint_name.as_str()),
            (NounKind::Attempt, "number") => Value::from(facts.attempt),
            _ => return None,
        })
    }
}

/// The texts that the company keeps with an application. One that isn't there is undefined, so
/// that `default` works and anything else is an error.
#[derive(Debug)]
struct MetadataOf(Arc<Application>);

impl Object for MetadataOf {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.metadata.get(key.as_str()?).map(|text| Value::from(text.as_str()))
    }
}
