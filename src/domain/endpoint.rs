//! Endpoints: where an application wants its events delivered.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{
    ApplicationId, EndpointId, Message, Metadata, SecretText, SigningSecret, Subscription,
    ThrottleRate, Timestamp,
};

/// The HTTP method of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub const ALL: [Method; 5] =
        [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];

    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// Whether a request of this method carries a body. What a body means in GET and DELETE
    /// is undefined (RFC 9110, section 9.3), so a contract sends it another way.
    pub const fn has_body(self) -> bool {
        !matches!(self, Method::Get | Method::Delete)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Method {
    type Err = ();

    fn from_str(text: &str) -> Result<Method, ()> {
        Method::ALL.into_iter().find(|method| method.as_str() == text).ok_or(())
    }
}

/// How deliveries travel.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Each in an HTTP request of its own.
    #[default]
    Webhook,
    /// As frames of a websocket that the server opens.
    Websocket,
}

impl Transport {
    pub const ALL: [Transport; 2] = [Transport::Webhook, Transport::Websocket];

    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Webhook => "webhook",
            Transport::Websocket => "websocket",
        }
    }

    /// The URL schemes that lead there: the encrypted one, and the one that isn't.
    pub const fn schemes(self) -> [&'static str; 2] {
        match self {
            Transport::Webhook => ["https", "http"],
            Transport::Websocket => ["wss", "ws"],
        }
    }
}

impl FromStr for Transport {
    type Err = ();

    fn from_str(text: &str) -> Result<Transport, ()> {
        Transport::ALL.into_iter().find(|transport| transport.as_str() == text).ok_or(())
    }
}

/// How deliveries authenticate to the receiver, beside the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    None,
    /// `Authorization: <token>`, the token exactly as typed.
    Basic { token: SecretText },
    /// A header of the customer's choice.
    Header { name: String, value: SecretText },
}

impl Auth {
    /// The word that the API and contracts use for it.
    pub const fn kind(&self) -> AuthKind {
        match self {
            Auth::None => AuthKind::None,
            Auth::Basic { .. } => AuthKind::Basic,
            Auth::Header { .. } => AuthKind::Header,
        }
    }
}

/// The kinds of authentication that a contract may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthKind {
    None,
    Basic,
    Header,
}

impl AuthKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            AuthKind::None => "none",
            AuthKind::Basic => "basic",
            AuthKind::Header => "header",
        }
    }
}

/// Whether an endpoint takes deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EndpointState {
    #[default]
    Enabled,
    /// A rule of the contract stopped it. New events wait and go out when it is enabled.
    Paused { at: Timestamp, reason: String },
    /// Somebody switched it off, or the receiver answered that it is gone. New events are
    /// not kept for it; what was pending waits.
    Disabled { at: Timestamp, reason: String },
}

impl EndpointState {
    /// Whether attempts may be made.
    pub const fn delivers(&self) -> bool {
        matches!(self, EndpointState::Enabled)
    }

    /// Whether new messages make deliveries for it.
    pub const fn collects(&self) -> bool {
        !matches!(self, EndpointState::Disabled { .. })
    }
}

/// Where a delivery goes, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    pub application: ApplicationId,
    pub endpoint: EndpointId,
}

/// A customer's endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub application_id: ApplicationId,
    pub environment: Arc<str>,
    pub uid: Option<String>,
    pub name: String,
    pub description: String,
    /// As the customer gave it.
    pub url: String,
    pub transport: Transport,
    /// Of deliveries by webhook.
    pub method: Method,
    pub auth: Auth,
    /// Custom headers. Their values may be credentials, so they are treated as such.
    pub headers: Vec<(String, SecretText)>,
    /// The events it takes.
    pub subscription: Subscription,
    /// The channels it listens on; `None` for all of them.
    pub channels: Option<Vec<String>>,
    /// Attempts that may start in any one second; `None` for no limit.
    pub throttle_rate: Option<ThrottleRate>,
    /// Whether it gets its events one by one, in the order of publishing.
    pub ordered: bool,
    pub metadata: Metadata,
    pub state: EndpointState,
    /// The current signing secret first. Empty where there is none.
    pub secrets: Vec<SigningSecret>,
    /// Grows with each change, so that a newer copy is told from an older one.
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Endpoint {
    /// The endpoint with the application it belongs to.
    pub fn destination(&self) -> Destination {
        Destination { application: self.application_id, endpoint: self.id }
    }

    /// Whether it subscribes to this message, and isn't switched off.
    pub fn takes(&self, message: &Message) -> bool {
        let Message { event_type, event_group, channels, .. } = message;
        self.state.collects() && self.subscribes_to(event_type, event_group.as_deref(), channels)
    }

    /// Whether it subscribes to an event of this type, which may belong to a group, on these
    /// channels.
    pub fn subscribes_to(
        &self,
        event_type: &str,
        group: Option<&str>,
        channels: &[String],
    ) -> bool {
        let channel_matches = match &self.channels {
            None => true,
            Some(wanted) => wanted.iter().any(|channel| channels.contains(channel)),
        };
        channel_matches && self.subscription.takes(event_type, group)
    }

    /// The secrets that sign at `now`, the current one first.
    pub fn signing_secrets(&self, now: Timestamp) -> impl Iterator<Item = &SecretText> {
        self.secrets.iter().filter(move |secret| secret.signs_at(now)).map(|secret| &secret.text)
    }
}
