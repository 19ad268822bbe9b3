//! An endpoint's history: what happened to it, when, and why.

use super::{Attempt, Endpoint, EndpointState, HistoryId, Outcome, Timestamp};

/// Entries that are kept of one endpoint's history. Beyond it the oldest go.
pub const HISTORY_PER_ENDPOINT_MAX: u32 = 200;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryEvent {
    Created,
    /// Something that the customer may set.
    Changed,
    SecretRotated,
    Paused,
    Disabled,
    Enabled,
    /// What waited was dropped.
    PendingDiscarded,
    Deleted,
}

impl HistoryEvent {
    pub const ALL: [HistoryEvent; 8] = [
        HistoryEvent::Created,
        HistoryEvent::Changed,
        HistoryEvent::SecretRotated,
        HistoryEvent::Paused,
        HistoryEvent::Disabled,
        HistoryEvent::Enabled,
        HistoryEvent::PendingDiscarded,
        HistoryEvent::Deleted,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            HistoryEvent::Created => "created",
            HistoryEvent::Changed => "changed",
            HistoryEvent::SecretRotated => "secret_rotated",
            HistoryEvent::Paused => "paused",
            HistoryEvent::Disabled => "disabled",
            HistoryEvent::Enabled => "enabled",
            HistoryEvent::PendingDiscarded => "pending_discarded",
            HistoryEvent::Deleted => "deleted",
        }
    }
}

/// Who made it happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody who called the API.
    Api,
    /// A rule of the contract.
    Rule,
    /// The receiver, which answered that it is gone.
    Receiver,
}

impl Actor {
    pub const ALL: [Actor; 3] = [Actor::Api, Actor::Rule, Actor::Receiver];

    pub const fn as_str(self) -> &'static str {
        match self {
            Actor::Api => "api",
            Actor::Rule => "rule",
            Actor::Receiver => "receiver",
        }
    }
}

/// One entry of an endpoint's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    pub id: HistoryId,
    pub at: Timestamp,
    pub event: HistoryEvent,
    pub by: Actor,
    /// Why, or what exactly: a sentence for a support engineer.
    pub reason: Option<String>,
    /// The failure that led to it, where one did.
    pub last_failure: Option<String>,
}

/// What a change through the API did to an endpoint: events with their reasons. Names of
/// fields only, because values may be credentials.
pub fn changes(before: &Endpoint, after: &Endpoint) -> Vec<(HistoryEvent, Option<String>)> {
    let mut changes = Vec::new();
    let fields = changed_fields(before, after);
    if !fields.is_empty() {
        changes.push((HistoryEvent::Changed, Some(fields.join(", "))));
    }
    if before.secrets != after.secrets {
        let old = after.secrets.get(1).and_then(|old| old.expires_at);
        let reason = match old {
            Some(end) => format!("the old secret goes on signing until {end}"),
            None => "the old secret stopped signing at once".to_owned(),
        };
        changes.push((HistoryEvent::SecretRotated, Some(reason)));
    }
    match (&before.state, &after.state) {
        (was, EndpointState::Enabled) if !was.delivers() => {
            changes.push((HistoryEvent::Enabled, None));
        }
        (was, EndpointState::Disabled { reason, .. }) if was.collects() => {
            changes.push((HistoryEvent::Disabled, Some(reason.clone())));
        }
        _ => {}
    }
    changes
}

/// The names, as the API has them, of what is different.
fn changed_fields(before: &Endpoint, after: &Endpoint) -> Vec<&'static str> {
    let different = [
        ("url", before.url != after.url),
        ("transport", before.transport != after.transport),
        ("method", before.method != after.method),
        ("name", before.name != after.name),
        ("description", before.description != after.description),
        ("uid", before.uid != after.uid),
        ("filterTypes", before.subscription.types() != after.subscription.types()),
        ("filterGroups", before.subscription.groups() != after.subscription.groups()),
        ("channels", before.channels != after.channels),
        ("throttleRate", before.throttle_rate != after.throttle_rate),
        ("ordered", before.ordered != after.ordered),
        ("auth", before.auth != after.auth),
        ("headers", before.headers != after.headers),
        ("metadata", before.metadata != after.metadata),
    ];
    different.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// A failed attempt in one sentence.
pub fn failure_sentence(attempt: &Attempt) -> String {
    let what = match &attempt.outcome {
        Outcome::Answered(answer) => format!("the receiver answered {}", answer.status),
        Outcome::Failed(failure) => {
            let cause = failure.causes.first().map_or("no answer", String::as_str);
            format!("{}: {cause}", failure.kind.as_str())
        }
    };
    format!("{what} (attempt {} of message {})", attempt.id, attempt.delivery.message)
}
