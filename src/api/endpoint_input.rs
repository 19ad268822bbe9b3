//! What a request may make of an endpoint: the contract's rules, applied to the whole endpoint
//! as it would be, so that creating, replacing and changing can't differ.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;

use super::extract::present;
use super::names::Checks;
use super::{ApiState, catalog};
use crate::domain::{
    ALL_EVENTS, Auth, Endpoint, EndpointState, Metadata, Method, Result, SecretText, Subscription,
    ThrottleRate, Timestamp, Transport,
};
use crate::environment::Environment;
use crate::sender::MAX_URL_BYTES;

/// Channels of one endpoint.
const CHANNELS_MAX: usize = 10;

/// Event types that an endpoint names.
const FILTER_TYPES_MAX: usize = 1_000;

/// Groups that an endpoint names.
const FILTER_GROUPS_MAX: usize = 100;

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
    /// The event types it takes. Without types and groups it takes all events.
    pub(super) filter_types: Option<Vec<String>>,
    /// The groups of which it takes every event, also those that are added later; beside
    /// `filterTypes`, or alone. Where the contract lets whole groups be chosen.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) filter_groups: Option<Option<Vec<String>>>,
    /// The channels it listens on; all of them where left out.
    pub(super) channels: Option<Vec<String>>,
    /// How many attempts may start in any one second, retries and resends included; no limit
    /// where left out. What is beyond it waits. It also holds for the second after a change of
    /// this field and after a restart of the server.
    #[schema(value_type = Option<u16>, minimum = 1)]
    pub(super) throttle_rate: Option<i64>,
    /// The older name of `throttleRate`.
    #[schema(value_type = Option<u16>, minimum = 1)]
    pub(super) rate_limit: Option<i64>,
    /// Whether it gets its events one by one, in the order in which they were published: the
    /// next one goes out when the one before was received, has failed for good or was dropped.
    /// So one that fails holds up all behind it until its retries are used up. `false` where
    /// left out on creation. When it is switched on, what waits for a retry then takes its turn
    /// at the time of that retry; everything published later is in order. What a person resends
    /// goes at once, and where it fails, takes its turn by the time of the resend.
    pub(super) ordered: Option<bool>,
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
        let rates = [self.throttle_rate, self.rate_limit];
        let groups = self
            .filter_groups
            .unwrap_or_else(|| endpoint.subscription.groups().map(<[String]>::to_vec));
        let endpoint = Endpoint {
            url: self.url,
            name: self.name.unwrap_or(endpoint.name),
            description: self.description.unwrap_or_default(),
            uid: self.uid,
            state: switched(endpoint.state, self.disabled, now),
            subscription: Subscription::new(self.filter_types, groups),
            channels: self.channels,
            ordered: self.ordered.unwrap_or(endpoint.ordered),
            metadata: self.metadata.unwrap_or_default(),
            auth: self.auth.map_or(endpoint.auth, Auth::from),
            headers: self.headers.map_or(endpoint.headers, secret_headers),
            ..endpoint
        };
        Draft { endpoint, transport, method, rates }
    }
}

/// An endpoint with input in it that was not checked yet.
pub(super) struct Draft {
    endpoint: Endpoint,
    /// The transport asked for, or the text that isn't one.
    transport: Option<Result<Transport, String>>,
    /// The method asked for, or the text that isn't one.
    method: Option<Result<Method, String>>,
    /// `throttleRate`, and its older name.
    rates: [Option<i64>; 2],
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
        endpoint.throttle_rate = check_rates(&mut checks, self.rates);
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
        let granted = was.map(|was| &was.subscription);
        check_subscription(&mut checks, state, environment, &endpoint.subscription, granted)
            .await?;
        checks.finish()?;
        Ok(endpoint)
    }
}

/// The rate that goes by two names, and may be given by either or both.
fn check_rates(checks: &mut Checks, rates: [Option<i64>; 2]) -> Option<ThrottleRate> {
    for (field, rate) in ["throttleRate", "rateLimit"].into_iter().zip(rates) {
        let valid = |rate| u16::try_from(rate).is_ok_and(|rate| rate > 0);
        if rate.is_some_and(|rate| !valid(rate)) {
            checks.refuse(field, format!("Must be from 1 to {}, or null", u16::MAX));
        }
    }
    let [rate, older] = rates;
    if rate.is_some() && older.is_some() && rate != older {
        checks.refuse("rateLimit", "Must be the same as `throttleRate`, or be left out");
    }
    rate.or(older).and_then(|rate| u16::try_from(rate).ok()).and_then(ThrottleRate::new)
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
        Err(_) if text.trim().is_empty() => Err("A URL is required.".to_owned()),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            Err("Must be a whole URL, such as https://example.com/webhooks".to_owned())
        }
        Err(error) => Err(format!("Not a URL: {error}")),
    };
    if let Err(reason) = verdict {
        checks.refuse("url", reason);
    }
}

async fn check_subscription(
    checks: &mut Checks,
    state: &ApiState,
    environment: &Environment,
    wanted: &Subscription,
    granted: Option<&Subscription>,
) -> Result<()> {
    let rules = environment.contract.endpoint();
    checks.rule("filterTypes", rules.check_subscription(wanted));
    if granted.is_none_or(|granted| granted.groups() != wanted.groups()) {
        checks.rule("filterGroups", rules.check_groups(wanted));
    }
    let types = wanted.types().unwrap_or_default();
    let groups = wanted.groups().unwrap_or_default();
    if types.len() > FILTER_TYPES_MAX {
        checks.refuse("filterTypes", format!("Must have at most {FILTER_TYPES_MAX} items"));
        return Ok(());
    }
    if groups.len() > FILTER_GROUPS_MAX {
        checks.refuse("filterGroups", format!("Must have at most {FILTER_GROUPS_MAX} items"));
        return Ok(());
    }
    let granted_types = granted.and_then(Subscription::types).unwrap_or_default();
    for (index, name) in types.iter().enumerate().filter(|(_, one)| !granted_types.contains(one)) {
        let known = match name.as_str() {
            ALL_EVENTS => rules.wildcard,
            name => catalog::entry(state, environment, name).await?.is_some(),
        };
        if !known {
            checks.refuse(&format!("filterTypes.{index}"), catalog::no_event_type(name));
        }
    }
    let granted_groups = granted.and_then(Subscription::groups).unwrap_or_default();
    for (index, name) in groups.iter().enumerate().filter(|(_, one)| !granted_groups.contains(one))
    {
        if !catalog::has_group(state, environment, name).await? {
            let shown = catalog::shown(name);
            let message = format!("`{shown}` is not in the catalog of groups");
            checks.refuse(&format!("filterGroups.{index}"), message);
        }
    }
    Ok(())
}
