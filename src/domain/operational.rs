//! Operational events: what the company is told about its customers' endpoints.
//!
//! They are delivered like any message, from one hidden application of an environment that
//! stands beside the one they are about. Their names and their payloads are those of Svix's
//! operational webhooks, with additions.

use std::sync::Arc;

use serde::Serialize;

use super::{Application, Attempt, Endpoint, EndpointState, Health, Message, Outcome, Timestamp};

/// What the name of an operations environment ends with. No configured environment and no
/// token can name one, as `/` stands in neither.
const OPERATIONS_SUFFIX: &str = "/operations";

/// The uid of the one application in an operations environment.
pub const OPERATIONS_UID: &str = "operations";

/// The environment whose endpoints are told what happens in `environment`.
pub fn operations_of(environment: &str) -> Arc<str> {
    format!("{environment}{OPERATIONS_SUFFIX}").into()
}

/// The environment that an operations environment is about; `None` for any other environment.
pub fn parent_of_operations(environment: &str) -> Option<&str> {
    environment.strip_suffix(OPERATIONS_SUFFIX)
}

/// The type of an operational event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationalType {
    EndpointDisabled,
    EndpointEnabled,
    AttemptExhausted,
}

impl OperationalType {
    pub const fn as_str(self) -> &'static str {
        match self {
            OperationalType::EndpointDisabled => "endpoint.disabled",
            OperationalType::EndpointEnabled => "endpoint.enabled",
            OperationalType::AttemptExhausted => "message.attempt.exhausted",
        }
    }
}

/// Whose endpoint an operational event is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub application: &'a Application,
    pub endpoint: &'a Endpoint,
}

/// The payload of an operational event, as JSON.
#[derive(Serialize)]
struct Envelope<D> {
    r#type: &'static str,
    data: D,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AboutOut<'a> {
    app_id: String,
    app_uid: Option<&'a str>,
    endpoint_id: String,
    endpoint_uid: Option<&'a str>,
}

impl<'a> From<About<'a>> for AboutOut<'a> {
    fn from(about: About<'a>) -> AboutOut<'a> {
        AboutOut {
            app_id: about.application.id.to_string(),
            app_uid: about.application.uid.as_deref(),
            endpoint_id: about.endpoint.id.to_string(),
            endpoint_uid: about.endpoint.uid.as_deref(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DisabledOut<'a> {
    #[serde(flatten)]
    about: AboutOut<'a>,
    /// `automatic` (a rule, or a receiver that is gone) or `manual` (the API).
    trigger: &'static str,
    /// Whether a rule paused it, so that new events wait for it.
    paused: bool,
    reason: &'a str,
    fail_since: Option<String>,
    last_attempt: Option<AttemptOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExhaustedOut<'a> {
    #[serde(flatten)]
    about: AboutOut<'a>,
    msg_id: String,
    msg_event_id: Option<&'a str>,
    event_type: &'a str,
    last_attempt: AttemptOut,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptOut {
    id: String,
    /// 0 where there was no answer.
    response_status_code: u16,
    timestamp: String,
    /// Why there was no answer.
    error: Option<String>,
}

impl From<&Attempt> for AttemptOut {
    fn from(attempt: &Attempt) -> AttemptOut {
        let (response_status_code, error) = match &attempt.outcome {
            Outcome::Answered(answer) => (answer.status, None),
            Outcome::Failed(failure) => {
                (0, Some(failure.causes.first().cloned().unwrap_or_default()))
            }
        };
        AttemptOut {
            id: attempt.id.to_string(),
            response_status_code,
            timestamp: attempt.started_at.to_string(),
            error,
        }
    }
}

/// Why an endpoint stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cause<'a> {
    /// The attempt that was one too many; `None` where somebody called the API.
    pub last_attempt: Option<&'a Attempt>,
    pub health: Option<&'a Health>,
}

/// The payload that tells of an endpoint's present state: why it stopped, or that it delivers
/// again. Returns the event's type with it.
pub fn state_event(about: About<'_>, cause: Cause<'_>) -> (OperationalType, String) {
    let (paused, reason) = match &about.endpoint.state {
        EndpointState::Enabled => {
            let kind = OperationalType::EndpointEnabled;
            return (kind, envelope(kind, AboutOut::from(about)));
        }
        EndpointState::Paused { reason, .. } => (true, reason),
        EndpointState::Disabled { reason, .. } => (false, reason),
    };
    let since = cause.health.and_then(|health| health.failing_since_us);
    let kind = OperationalType::EndpointDisabled;
    let data = DisabledOut {
        about: about.into(),
        trigger: if cause.last_attempt.is_some() { "automatic" } else { "manual" },
        paused,
        reason,
        fail_since: since.map(|since| Timestamp::from_micros(since).to_string()),
        last_attempt: cause.last_attempt.map(AttemptOut::from),
    };
    (kind, envelope(kind, data))
}

/// The payload that tells of a delivery that is given up.
pub fn exhausted_event(about: About<'_>, message: &Message, last: &Attempt) -> String {
    let data = ExhaustedOut {
        about: about.into(),
        msg_id: message.id.to_string(),
        msg_event_id: message.event_id.as_deref(),
        event_type: &message.event_type,
        last_attempt: last.into(),
    };
    envelope(OperationalType::AttemptExhausted, data)
}

fn envelope(kind: OperationalType, data: impl Serialize) -> String {
    // Strings and numbers under constant names: there is nothing that could fail.
    serde_json::to_string(&Envelope { r#type: kind.as_str(), data }).unwrap_or_default()
}
