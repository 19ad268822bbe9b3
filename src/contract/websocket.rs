//! From a message and an endpoint to the frame that goes over its websocket.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use serde::ser::{Serialize, SerializeMap, Serializer};
use url::Url;

use super::check::check_body;
use super::render::{RenderError, endpoint_url};
use super::scope::Scope;
use super::signature::Stage;
use super::{Contract, RenderInput};
use crate::domain::{EndpointId, Failure};

/// What a template names `method` where a delivery goes over a websocket.
pub const METHOD: &str = "WEBSOCKET";

/// A delivery as a websocket's receiver will get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireMessage {
    /// Whose connection it goes over.
    pub endpoint: EndpointId,
    pub url: Url,
    /// The endpoint's own headers and authentication, which the handshake carries.
    pub handshake: HeaderMap,
    /// The event's id, by which the receiver acknowledges it.
    pub id: String,
    /// The text frame: `{"id","headers","body"}`.
    pub frame: String,
}

impl Contract {
    /// Makes the frame for one attempt over a websocket. The contract's headers, the signatures
    /// among them, stand in it; the body is JSON within JSON, or a string where it isn't JSON.
    ///
    /// # Errors
    /// A failure of the kind `render` or `url`, without secrets in it.
    pub fn render_message(&self, input: &RenderInput<'_>) -> Result<WireMessage, Failure> {
        self.message(input).map_err(Failure::from)
    }

    pub(super) fn message(&self, input: &RenderInput<'_>) -> Result<WireMessage, RenderError> {
        let endpoint = input.endpoint;
        let keys = self.signing_keys(endpoint, input.now)?;
        let scope =
            self.name_signatures(Stage::Event, &keys, Scope::new(input, self.routes.ids()))?;
        let body = self.delivery.body.render(&scope)?;
        check_body(&self.delivery.body, self.delivery.is_json, &body)?;
        let scope = scope.with_body(METHOD, body.clone());
        let scope = self.name_signatures(Stage::Body, &keys, scope)?;
        // One connection carries many deliveries, so nothing of one is added to its URL.
        let url = Arc::new(endpoint_url(endpoint)?);
        let scope = scope.with_url(Arc::clone(&url));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, self.delivery.content_type.clone());
        self.add_headers(&scope, &mut headers)?;
        self.add_signatures(&keys, &scope, &mut headers)?;
        drop(scope);
        let mut handshake = HeaderMap::new();
        self.add_customs(endpoint, &mut handshake)?;
        let id = input.message.public_event_id();
        let frame = self.frame(&id, &headers, &String::from_utf8_lossy(&body));
        let url = Arc::unwrap_or_clone(url);
        Ok(WireMessage { endpoint: endpoint.id, url, handshake, id, frame })
    }

    fn frame(&self, id: &str, headers: &HeaderMap, body: &str) -> String {
        let id = json_text(id);
        let headers = json_text(&Headers { contract: self, headers });
        // As it was signed: not parsed and printed again, nor trimmed.
        let quoted = if self.delivery.is_json { None } else { Some(json_text(body)) };
        let body = quoted.as_deref().unwrap_or(body);
        format!(r#"{{"id":{id},"headers":{headers},"body":{body}}}"#)
    }

    /// A header's name as the contract writes it. In a frame, unlike in HTTP, a name in another
    /// case is another name.
    pub(super) fn spelling<'a>(&'a self, name: &'a HeaderName) -> &'a str {
        if *name == CONTENT_TYPE {
            return "Content-Type";
        }
        let known = self.header_spellings.iter().find(|(known, _)| known == name);
        known.map_or(name.as_str(), |(_, spelling)| spelling)
    }
}

/// Headers as a JSON object.
struct Headers<'a> {
    contract: &'a Contract,
    headers: &'a HeaderMap,
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.headers.len()))?;
        for (name, value) in self.headers {
            // What templates make is text.
            let value = String::from_utf8_lossy(value.as_bytes());
            map.serialize_entry(self.contract.spelling(name), &value)?;
        }
        map.end()
    }
}

fn json_text(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("texts and maps of texts are JSON")
}
