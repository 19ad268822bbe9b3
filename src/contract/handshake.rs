//! Handshakes: requests that an endpoint has to answer before it goes live.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::json;
use super::key_pair::SigningKey;
use super::render::{RenderError, endpoint_url, extend_query, header_value};
use super::scope::Scope;
use super::signature::Stage;
use super::template::Template;
use super::{Contract, RenderInput, Sample, WireRequest};
use crate::domain::{
    Answer, Application, Endpoint, Failure, Message, MessageId, Method, Timestamp,
};

/// How much of an unexpected answer a refusal repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// Whether a handshake carries the headers and signatures of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandshakeSignature {
    #[default]
    None,
    Valid,
    /// By a key that isn't the endpoint's, to see that it is refused.
    Wrong,
}

/// One handshake of a contract.
#[derive(Debug)]
pub struct Handshake {
    pub(super) method: Method,
    pub(super) body: Template,
    pub(super) content_type: HeaderValue,
    /// Whether the content type is JSON, so that the body has to be.
    pub(super) is_json: bool,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) signature: HandshakeSignature,
    pub(super) event: String,
    pub(super) expect: Vec<(AnswerPlace, Template)>,
    pub(super) status: (u16, u16),
    pub(super) timeout: Duration,
}

/// Where in an answer something is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AnswerPlace {
    Body,
    /// A member of the body's JSON.
    Member(Vec<String>),
    Header(HeaderName),
}

impl AnswerPlace {
    /// `body`, `body.path.to.member` or `header.Name`.
    pub(super) fn parse(text: &str) -> Option<AnswerPlace> {
        match text.split_once('.') {
            None => (text == "body").then_some(AnswerPlace::Body),
            Some(("body", path)) => {
                let path: Vec<String> = path.split('.').map(str::to_owned).collect();
                path.iter().all(|name| !name.is_empty()).then_some(AnswerPlace::Member(path))
            }
            Some(("header", name)) => {
                HeaderName::from_bytes(name.as_bytes()).ok().map(AnswerPlace::Header)
            }
            Some(_) => None,
        }
    }

    fn name(&self) -> String {
        match self {
            AnswerPlace::Body => "the body".to_owned(),
            AnswerPlace::Member(path) => format!("`{}` of the body", path.join(".")),
            AnswerPlace::Header(name) => format!("the header `{name}`"),
        }
    }

    fn find(&self, answer: &Answer) -> Option<String> {
        let body = || String::from_utf8_lossy(&answer.body);
        match self {
            AnswerPlace::Body => Some(body().trim().to_owned()),
            AnswerPlace::Member(path) => {
                let body = body();
                let mut found: &str = &body;
                for name in path {
                    found = json::member(found, name).ok()??;
                }
                json::content(found).ok()
            }
            AnswerPlace::Header(wanted) => {
                let mut headers = answer.headers.iter();
                headers.find(|(name, _)| *name == wanted.as_str()).map(|(_, value)| value.clone())
            }
        }
    }
}

/// What a handshake is made from.
#[derive(Clone, Debug)]
pub struct HandshakeInput<'a> {
    pub application: Arc<Application>,
    pub endpoint: &'a Endpoint,
    /// Stands for a message's id in the headers of deliveries.
    pub id: MessageId,
    /// What the endpoint has to give back.
    pub challenge: Arc<str>,
    pub now: Timestamp,
}

/// A handshake, ready to be sent. What it expects may be made from a secret, so it has no
/// `Debug`.
pub struct HandshakeRequest {
    pub request: WireRequest,
    /// For the whole exchange.
    pub timeout: Duration,
    expected: Vec<(AnswerPlace, String)>,
    status: (u16, u16),
}

impl Contract {
    /// The handshakes of a new endpoint, in their order.
    pub fn handshakes(&self) -> &[Handshake] {
        &self.handshakes
    }

    /// Makes the request of a handshake.
    ///
    /// # Errors
    /// As for [`Contract::render`].
    pub fn render_handshake(
        &self,
        handshake: &Handshake,
        input: &HandshakeInput<'_>,
    ) -> Result<HandshakeRequest, Failure> {
        self.handshake_request(handshake, input).map_err(Failure::from)
    }

    /// The exact requests that an endpoint has to answer before it goes live.
    ///
    /// # Errors
    /// As for [`Contract::render`].
    pub fn handshake_examples(&self, sample: &Sample) -> Result<Vec<WireRequest>, Failure> {
        const CHALLENGE: &str = "3eb1a4c5f06d";
        sample.with_input(|input| {
            let ready = HandshakeInput {
                application: Arc::clone(&input.message.application),
                endpoint: input.endpoint,
                id: input.message.id,
                challenge: CHALLENGE.into(),
                now: input.now,
            };
            let requests = self.handshakes.iter();
            requests.map(|one| Ok(self.render_handshake(one, &ready)?.request)).collect()
        })
    }

    pub(super) fn handshake_request(
        &self,
        handshake: &Handshake,
        input: &HandshakeInput<'_>,
    ) -> Result<HandshakeRequest, RenderError> {
        let message = stand_in(handshake, input);
        let delivery =
            RenderInput { message: &message, endpoint: input.endpoint, attempt: 1, now: input.now };
        let mut scope =
            Scope::new(&delivery, self.routes.ids()).with_challenge(Arc::clone(&input.challenge));
        let current = input.endpoint.signing_secrets(input.now).next();
        if let Some(secret) = current.and_then(|secret| self.secret.known(secret)) {
            scope = scope.with_secret(Arc::new(secret));
        }
        let method = handshake.method;
        let body = match method.has_body() {
            true => handshake.body.render(&scope)?,
            false => Bytes::new(),
        };
        let mut url = endpoint_url(input.endpoint)?;
        extend_query(&mut url, &handshake.query, &scope)?;
        let url = Arc::new(url);
        let mut headers = HeaderMap::new();
        if method.has_body() && !body.is_empty() {
            headers.insert(CONTENT_TYPE, handshake.content_type.clone());
        }
        let request =
            scope.clone().with_body(method.as_str(), body.clone()).with_url(Arc::clone(&url));
        self.add_delivery_headers(handshake.signature, input, request, &mut headers)?;
        for (name, template) in &handshake.headers {
            if let Some(mut value) = header_value(template, &scope)? {
                value.set_sensitive(template.uses("secret"));
                headers.insert(name.clone(), value);
            }
        }
        let mut expected = Vec::with_capacity(handshake.expect.len());
        for (place, template) in &handshake.expect {
            let value = template.render(&scope)?;
            expected.push((place.clone(), String::from_utf8_lossy(&value).trim().to_owned()));
        }
        Ok(HandshakeRequest {
            request: WireRequest { method, url: Arc::unwrap_or_clone(url), headers, body },
            timeout: handshake.timeout,
            expected,
            status: handshake.status,
        })
    }

    fn add_delivery_headers(
        &self,
        signature: HandshakeSignature,
        input: &HandshakeInput<'_>,
        scope: Scope,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        let mut keys = match signature {
            HandshakeSignature::None => return Ok(()),
            _ => self.signing_keys(input.endpoint, input.now)?,
        };
        if signature == HandshakeSignature::Wrong {
            keys = keys.iter().map(SigningKey::another).collect();
        }
        let scope = self.name_signatures(Stage::Event, &keys, scope)?;
        let scope = self.name_signatures(Stage::Body, &keys, scope)?;
        self.add_headers(&scope, headers)?;
        self.add_customs(input.endpoint, headers)?;
        self.add_signatures(&keys, &scope, headers)
    }
}

/// What templates of deliveries see of a handshake.
fn stand_in(handshake: &Handshake, input: &HandshakeInput<'_>) -> Message {
    Message {
        id: input.id,
        application: Arc::clone(&input.application),
        event_type: handshake.event.clone(),
        event_group: None,
        test: false,
        event_id: None,
        payload: Arc::from("{}"),
        channels: Vec::new(),
        tags: Vec::new(),
        created_at: input.now,
    }
}

impl HandshakeRequest {
    /// The headers of the answer that will be looked at.
    pub fn wanted_headers(&self) -> Vec<HeaderName> {
        let headers = self.expected.iter().filter_map(|(place, _)| match place {
            AnswerPlace::Header(name) => Some(name.clone()),
            AnswerPlace::Body | AnswerPlace::Member(_) => None,
        });
        headers.collect()
    }

    /// Whether an answer passes.
    ///
    /// # Errors
    /// What it answered instead, as the end of a sentence. What was expected isn't told.
    pub fn check(&self, answer: &Answer) -> Result<(), String> {
        let (first, last) = self.status;
        if !(first..=last).contains(&answer.status) {
            return Err(format!("it answered {}", answer.status));
        }
        for (place, expected) in self.expected.iter().filter(|(_, value)| !value.is_empty()) {
            let found = place.find(answer);
            let cut = answer.truncated && !matches!(place, AnswerPlace::Header(_));
            if cut || found.as_ref() != Some(expected) {
                let (status, place) = (answer.status, place.name());
                let Some(found) = found else {
                    return Err(format!("it answered {status} without {place}"));
                };
                let shown: String = found.chars().take(SHOWN_CHARS).collect();
                let shown = shown.escape_debug();
                return Err(format!(
                    "it answered {status} with \"{shown}\" in {place}, which isn't what was expected"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
