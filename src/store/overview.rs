//! What charts and overviews show.

use crate::domain::{EndpointId, Timestamp};

/// How many attempts at an endpoint's deliveries ended how, within one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointHour {
    pub endpoint: EndpointId,
    pub starts_at: Timestamp,
    pub succeeded: u64,
    pub failed: u64,
}

/// The upper bounds of a [`TrafficMinute`]'s latencies, in milliseconds. What took longer than
/// the last is in one bucket more.
pub const LATENCY_BOUNDS_MS: [u32; 14] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/// What happened in an environment within one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficMinute {
    pub starts_at: Timestamp,
    /// Events published.
    pub events: u64,
    /// Attempts that ended, by how they did.
    pub succeeded: u64,
    pub failed: u64,
    /// From publishing to the answer, of deliveries that succeeded at their first attempt: how
    /// many took no longer than each of [`LATENCY_BOUNDS_MS`], and longer than the one before.
    pub latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
}

impl TrafficMinute {
    pub fn empty(starts_at: Timestamp) -> TrafficMinute {
        let latency = [0; LATENCY_BOUNDS_MS.len() + 1];
        TrafficMinute { starts_at, events: 0, succeeded: 0, failed: 0, latency }
    }
}

/// How an environment stands: what waits, and what somebody may have to look after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Deliveries that are pending.
    pub pending: u64,
    /// Enabled endpoints whose last attempts all failed, the longest first.
    pub failing: Troubles,
    /// Endpoints that a rule has paused, the latest first.
    pub paused: Troubles,
}

/// Some endpoints in trouble, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    pub first: Vec<Trouble>,
    pub count: u64,
}

/// An endpoint in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub endpoint: EndpointId,
    pub name: String,
    pub url: String,
    /// The application's uid, or its id where it has none, and its name.
    pub application: (String, String),
    /// Since when it fails, or is paused.
    pub since: Timestamp,
    /// The rule's words where it is paused.
    pub reason: Option<String>,
    /// Failed attempts in a row.
    pub failures: u32,
}
