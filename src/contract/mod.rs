//! A contract file, checked and compiled: everything that makes one company's webhooks look
//! the way that company documents them.
//!
//! [`Contract::load`] reads a file (`file`), builds the contract from it (`load`) and tries
//! it out (`check`). [`Contract::render`] makes the request of one attempt.

mod catalog;
mod check;
pub mod diagnosis;
mod direct;
mod encoding;
mod file;
mod filters;
mod form;
mod handshake;
mod json;
mod key_pair;
mod load;
mod load_catalog;
mod load_handshake;
mod load_policy;
mod load_secret;
mod load_signature;
mod number;
mod problem;
pub mod reference;
mod render;
pub mod routes;
mod rules;
mod sample;
mod schema;
mod schema_effort;
mod scope;
mod secret;
mod signature;
mod template;
mod verifier;
mod websocket;

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod render_tests;
#[cfg(test)]
mod websocket_tests;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use catalog::Catalog;
use problem::Problems;
use routes::Routes;
use signature::Signature;
use template::Template;

use crate::domain::{Endpoint, Message, Method, PausePolicy, RetryPolicy, Timestamp};

pub use catalog::{EventSpec, GroupSpec};
pub use encoding::Encoding;
pub use handshake::{Handshake, HandshakeInput, HandshakeRequest, HandshakeSignature};
pub use json::MAX_DEPTH as MAX_JSON_DEPTH;
pub use key_pair::KeyPairRules;
pub use load::{MAX_QUERY_PARAMETERS, is_contract_name};
pub use load_catalog::{EVENT_NAME_CHARS, MAX_EVENTS};
pub use load_handshake::{MAX_HANDSHAKE_TIMEOUT, MAX_HANDSHAKES};
pub use load_policy::{MAX_RETRIES, MAX_TIMEOUT, SUCCESS_BODY_BYTES};
pub use load_signature::MAX_SIGNATURES;
pub use problem::{MAX_PROBLEMS, Problem};
pub use render::URL_BYTES;
pub use rules::{CUSTOM_HEADER_VALUE_BYTES, ENDPOINT_NAME_CHARS, EndpointRules, Presence};
pub use sample::Sample;
pub use schema::{MAX_SCHEMA_ERRORS, Schema, SchemaError};
pub use secret::{
    MAX_SECRET_BYTES, SecretEncoding, SecretKey, SecretKind, SecretOrigin, SecretRules, SecretScope,
};
pub use signature::{Algorithm, SignedBy};
pub use template::{
    BODY_BYTES, HEADER_VALUE_BYTES, TEMPLATE_BYTES, TEMPLATE_FUEL, TEMPLATE_FUEL_PER_BYTE,
};
pub use verifier::Language;
pub use websocket::{METHOD as WEBSOCKET_METHOD, WireMessage};

/// The largest contract file, in bytes.
pub const CONTRACT_BYTES: usize = 1024 * 1024;

/// The contracts in the binary: their names and their files.
pub const SHIPPED: [(&str, &str); 6] = [
    ("standard", include_str!("../../contracts/standard.toml")),
    ("kynectlocal", include_str!("../../contracts/kynectlocal.toml")),
    ("klink", include_str!("../../contracts/klink.toml")),
    ("kakiyo", include_str!("../../contracts/kakiyo.toml")),
    ("tomba", include_str!("../../contracts/tomba.toml")),
    ("rechat", include_str!("../../contracts/rechat.toml")),
];

/// The contract of operational events, which no environment can be configured with.
static OPERATIONAL: LazyLock<Arc<Contract>> = LazyLock::new(|| {
    let text = include_str!("../../contracts/operational.toml");
    Arc::new(Contract::load("operational.toml", text).expect("a test loads the file"))
});

/// A request as the receiver will get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireRequest {
    pub method: Method,
    pub url: url::Url,
    /// In the order in which they are sent. `host` and `content-length` are the sender's.
    pub headers: HeaderMap,
    /// Empty for methods without a body.
    pub body: Bytes,
}

/// What a request is made from.
#[derive(Clone, Copy, Debug)]
pub struct RenderInput<'a> {
    pub message: &'a Message,
    pub endpoint: &'a Endpoint,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When the attempt starts.
    pub now: Timestamp,
}

/// A company's webhook contract, ready to use.
#[derive(Debug)]
pub struct Contract {
    name: String,
    title: String,
    description: String,
    delivery: Delivery,
    signatures: Vec<Signature>,
    handshakes: Vec<Handshake>,
    /// How the contract writes the names of its headers, of which a [`HeaderName`] knows only
    /// the lower-case form.
    header_spellings: Vec<(HeaderName, String)>,
    retry: RetryPolicy,
    pause: PausePolicy,
    secret: SecretRules,
    endpoint: EndpointRules,
    catalog: Catalog,
    routes: Routes,
}

/// How a request is made.
#[derive(Debug)]
struct Delivery {
    body: Template,
    content_type: HeaderValue,
    /// Whether the content type is JSON, so that the body has to be.
    is_json: bool,
    method: Method,
    /// The query parameter that takes the body where the method has none.
    body_in_query: Option<String>,
    /// Parameters that are added to the query.
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Template)>,
}

impl Contract {
    /// Reads a contract. `file_name` is what problems call it.
    ///
    /// # Errors
    /// Every problem that was found, in the order of the file.
    pub fn load(file_name: &str, text: &str) -> Result<Contract, Vec<Problem>> {
        let mut problems = Problems::new(file_name, text);
        if text.len() > CONTRACT_BYTES {
            let message = format!("the file is larger than {CONTRACT_BYTES} bytes");
            problems.on_line(1, message, None);
            return Err(problems.finish());
        }
        let raw = file::read(text, &mut problems);
        let contract = raw.and_then(|raw| load::build(raw, &mut problems));
        if let Some(contract) = &contract {
            check::check(contract, &mut problems);
        }
        let found = problems.finish();
        match contract {
            Some(contract) if found.is_empty() => Ok(contract),
            _ => Err(found),
        }
    }

    /// One of the contracts in the binary.
    pub fn shipped(name: &str) -> Option<Arc<Contract>> {
        let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
        Contract::load(&format!("{name}.toml"), text).ok().map(Arc::new)
    }

    /// The contract of operational events.
    pub fn operational() -> Arc<Contract> {
        OPERATIONAL.clone()
    }

    /// What configuration calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call it.
    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    pub fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    pub fn pause(&self) -> PausePolicy {
        self.pause
    }

    pub fn secret(&self) -> &SecretRules {
        &self.secret
    }

    pub fn endpoint(&self) -> &EndpointRules {
        &self.endpoint
    }

    /// The catalog, in the order of the file. Where it is empty, the company brings its own.
    pub fn events(&self) -> &[EventSpec] {
        &self.catalog.events
    }

    /// The company's own API, for its customers.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    pub fn groups(&self) -> &[GroupSpec] {
        &self.catalog.groups
    }

    pub fn event(&self, name: &str) -> Option<&EventSpec> {
        self.catalog.event(name)
    }

    /// The headers that carry signatures.
    pub fn signature_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let headers = self.signatures.iter().filter_map(|signature| signature.header.as_ref());
        let mut shown: Vec<&HeaderName> = Vec::new();
        headers.filter(move |&header| {
            let new = !shown.contains(&header);
            shown.push(header);
            new
        })
    }
}
