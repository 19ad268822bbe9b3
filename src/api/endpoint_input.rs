//! What a request may make of an endpoint: the contract's rules, applied to the whole endpoint
//! as it would be, so that creating, replacing and changing can't differ.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;

use super::names::Checks;
use super::{ApiState, event_type};
use crate::domain::{
    ALL_EVENTS, Auth, Endpoint, EndpointState, Metadata, Method, Result, SecretText, Timestamp,
    Transport,
};
use crate::environment::Environment;
use crate::sender::MAX_URL_BYTES;

/// Channels of one endpoint.
const CHANNELS_MAX: usize = 10;

/// Event types that an endpoint names.
const FILTER_TYPES_MAX: usize = 1_000;

/// An endpoint as the request describes it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointIn {
    /// Where deliveries go.
    pub(super) url: String,
    /// For people.
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    /// The company's own id for it, usable wherever the id is.
    pub(super) uid: Option<String>,
    /// `true` switches it off; `false` enables it, also after it was paused.
    pub(super) disabled: Option<bool>,
    /// The event types it takes; all of them where left out.
    pub(super) filter_types: Option<Vec<String>>,
    /// The channels it listens on; all of them where left out.
    pub(super) channels: Option<Vec<String>>,
    pub(super) metadata: Option<Metadata>,
    /// How deliveries travel, where the contract gives a choice: `webhook` to an `https://` URL,
    /// or `websocket` to a `wss://` one.
    pub(super) transport: Option<String>,
    /// The HTTP method of its deliveries, where the contract gives a choice.
    pub(super) method: Option<String>,
    /// How deliveries authenticate, beside the signature.
    pub(super) auth: Option<AuthIn>,
    /// Custom headers.
    pub(super) headers: Option<BTreeMap<String, String>>,
    /// The signing secret, where the contract lets or makes the customer set it. On creation
    /// only: later it is rotated.
    pub(super) secret: Option<String>,
    /// `symmetric` or `ed25519`, where the contract has both. On creation only.
    pub(super) secret_type: Option<String>,
}

/// How deliveries authenticate.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum AuthIn {
    None,
    /// `Authorization: <token>`, the token exactly as typed.
    Basic {
        token: String,
    },
    /// A header of the customer's choice.
    Header {
        name: String,
        value: String,
    },
}

impl From<AuthIn> for Auth {
    fn from(auth: AuthIn) -> Auth {
        match auth {
            AuthIn::None => Auth::None,
            AuthIn::Basic { token } => Auth::Basic { token: SecretText::new(token) },
            AuthIn::Header { name, value } => Auth::Header { name, value: SecretText::new(value) },
        }
    }
}

impl EndpointIn {
    /// The endpoint with this input in it, to be checked. An unknown transport or method becomes
    /// a refused field there, which is why it is kept apart until then.
    pub(super) fn apply_to(self, endpoint: Endpoint, now: Timestamp) -> Draft {
        let transport = self.transport.map(|text| text.parse().map_err(|()| text));
        let method = self.method.map(|text| text.parse().map_err(|()| text));
        let endpoint = Endpoint {
            url: self.url,
            name: self.name.unwrap_or(endpoint.name),
            description: self.description.unwrap_or_default(),
            uid: self.uid,
            state: switched(endpoint.state, self.disabled, now),
            event_types: self.filter_types,
            channels: self.channels,
            metadata: self.metadata.unwrap_or_default(),
            auth: self.auth.map_or(endpoint.auth, Auth::from),
            headers: self.headers.map_or(endpoint.headers, secret_headers),
            ..endpoint
        };
        Draft { endpoint, transport, method }
    }
}

/// An endpoint with input in it that was not checked yet.
pub(super) struct Draft {
    endpoint: Endpoint,
    /// The transport asked for, or the text that isn't one.
    transport: Option<Result<Transport, String>>,
    /// The method asked for, or the text that isn't one.
    method: Option<Result<Method, String>>,
}

pub(super) fn secret_headers(headers: BTreeMap<String, String>) -> Vec<(String, SecretText)> {
    headers.into_iter().map(|(name, value)| (name, SecretText::new(value))).collect()
}

fn switched(state: EndpointState, disabled: Option<bool>, now: Timestamp) -> EndpointState {
    match (disabled, state) {
        (None, state) | (Some(true), state @ EndpointState::Disabled { .. }) => state,
        (Some(true), _) => {
            EndpointState::Disabled { at: now, reason: "switched off through the API".to_owned() }
        }
        (Some(false), _) => EndpointState::Enabled,
    }
}

impl Draft {
    /// Applies the contract's rules. What is as it `was` needs no second permission: an event
    /// type that was archived since must not keep anybody from switching the endpoint off.
    ///
    /// # Errors
    /// Every refused field at once; those of the store.
    pub(super) async fn check(
        self,
        state: &ApiState,
        environment: &Environment,
        was: Option<&Endpoint>,
    ) -> Result<Endpoint> {
        let rules = environment.contract.endpoint();
        let mut checks = Checks::default();
        let mut endpoint = self.endpoint;
        match self.transport {
            None => {}
            Some(Ok(transport)) => {
                checks.rule("transport", rules.check_transport(transport));
                endpoint.transport = transport;
            }
            Some(Err(text)) => checks.refuse("transport", format!("`{text}` is not a transport")),
        }
        match self.method {
            None => {}
            Some(Ok(method)) => {
                checks.rule("method", rules.check_method(method));
                endpoint.method = method;
            }
            Some(Err(text)) => checks.refuse("method", format!("`{text}` is not an HTTP method")),
        }
        let destination = (endpoint.transport, &endpoint.url);
        if was.is_none_or(|was| (was.transport, &was.url) != destination) {
            check_url(&mut checks, environment, destination);
        }
        checks.rule("name", rules.check_name(&endpoint.name));
        checks.text("name", &endpoint.name, false);
        checks.text("description", &endpoint.description, false);
        checks.optional_name("uid", endpoint.uid.as_deref());
        checks.names("channels", endpoint.channels.as_deref(), CHANNELS_MAX);
        checks.metadata("metadata", &endpoint.metadata);
        checks.rule("auth", rules.check_auth(&endpoint.auth));
        checks.rule("headers", rules.check_headers(&endpoint.headers));
        let granted = was.and_then(|was| was.event_types.as_deref()).unwrap_or_default();
        let wanted = endpoint.event_types.as_deref();
        check_event_types(&mut checks, state, environment, wanted, granted).await?;
        checks.finish()?;
        Ok(endpoint)
    }
}

fn check_url(
    checks: &mut Checks,
    environment: &Environment,
    (transport, text): (Transport, &String),
) {
    // Parsing drops or rewrites these, so what is kept and shown would not be what is called.
    if text.chars().any(char::is_control) || text.trim() != text {
        checks.refuse("url", "Must not contain control characters or spaces around it");
        return;
    }
    if text.len() > MAX_URL_BYTES {
        checks.refuse("url", format!("Must have at most {MAX_URL_BYTES} bytes"));
        return;
    }
    let verdict = match Url::parse(text) {
        Ok(url) => environment.guard.check_url(&url, transport, environment.https_only()),
        Err(error) => Err(format!("Not a URL: {error}")),
    };
    if let Err(reason) = verdict {
        checks.refuse("url", reason);
    }
}

async fn check_event_types(
    checks: &mut Checks,
    state: &ApiState,
    environment: &Environment,
    event_types: Option<&[String]>,
    granted: &[String],
) -> Result<()> {
    let rules = environment.contract.endpoint();
    checks.rule("filterTypes", rules.check_event_count(event_types.map(<[String]>::len)));
    let Some(wanted) = event_types else { return Ok(()) };
    if wanted.is_empty() || wanted.len() > FILTER_TYPES_MAX {
        checks.refuse("filterTypes", format!("Must have 1 to {FILTER_TYPES_MAX} items"));
        return Ok(());
    }
    for (index, name) in wanted.iter().enumerate().filter(|(_, name)| !granted.contains(name)) {
        let known = match name.as_str() {
            ALL_EVENTS => rules.wildcard,
            name => event_type::is_known(state, environment, name).await?,
        };
        if !known {
            let shown: String = name.chars().take(64).collect();
            let field = format!("filterTypes.{index}");
            checks.refuse(&field, format!("`{shown}` is not in the catalog of event types"));
        }
    }
    Ok(())
}
