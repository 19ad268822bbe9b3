//! What lists are asked for, and their rows.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    Attempt, DeliveryId, DeliveryState, EndpointId, Failure, Message, MessageId, Outcome, Timestamp,
};

/// After so many bytes of payloads and answers a list of messages or attempts breaks off, with
/// one row more, which tells that it goes on.
pub const PAGE_BYTES: usize = 4 << 20;

/// Where reading a list starts, and how much of it to read.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// Read on from behind this one.
    pub after: Option<K>,
    /// Newest first, or oldest first.
    pub descending: bool,
    pub limit: u32,
}

/// Which messages of an application to list.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Empty for all.
    pub event_types: Vec<String>,
    pub channel: Option<String>,
    pub tag: Option<String>,
    pub before: Option<Timestamp>,
    pub after: Option<Timestamp>,
}

/// Where a reader of events starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStart {
    /// With the oldest that is kept.
    Oldest,
    /// Behind the newest there is.
    Latest,
    /// Behind this one, which needn't be there any more.
    After(MessageId),
}

/// Which of an application's events to read, in the order of their commits.
#[derive(Clone, Debug)]
pub struct EventQuery {
    pub start: EventStart,
    /// Empty for all.
    pub event_types: Vec<String>,
    /// Events in the page.
    pub limit: u32,
    /// Bytes of payloads in the page, but one event at least.
    pub max_bytes: usize,
}

/// Events one after the other, and how far they reach.
#[derive(Clone, Debug)]
pub struct EventPage {
    pub events: Vec<Arc<Message>>,
    /// Nothing up to here is left to be read. It may lie behind the last event, where those in
    /// between are of other types.
    pub last: MessageId,
    /// Whether there is something behind `last` that was not looked at.
    pub has_more: bool,
}

/// Which attempts to list.
#[derive(Clone, Debug, Default)]
pub struct AttemptFilter {
    pub endpoint: Option<EndpointId>,
    pub message: Option<MessageId>,
    /// Whether it succeeded.
    pub succeeded: Option<bool>,
    /// The hundreds of the status: 2 for 200 to 299. 0 for attempts without an answer.
    pub status_class: Option<u16>,
    pub event_types: Vec<String>,
    pub channel: Option<String>,
    pub before: Option<Timestamp>,
    pub after: Option<Timestamp>,
}

/// An attempt as a list shows it, with its message and where its delivery stands now.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub attempt: Attempt,
    pub message: Arc<Message>,
}

impl AttemptRow {
    /// What it counts towards [`PAGE_BYTES`].
    pub fn bytes(&self) -> usize {
        let answer = match &self.attempt.outcome {
            // As many as it can become in JSON, where a control character is `\u0001`.
            Outcome::Answered(answer) => 6 * answer.body.len(),
            Outcome::Failed(_) => 0,
        };
        self.message.payload.len() + answer
    }
}

/// A delivery as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When the next attempt is due, while it is pending.
    pub next_at: Option<Timestamp>,
}

/// How a delivery stands, for who looks for some in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The hundreds of the last answer's status.
    Class(u16),
    /// The last attempt brought no answer.
    NoAnswer,
    /// Never tried yet.
    Pending,
    /// Tried, and to be tried again.
    Retrying,
    /// Held back, because its endpoint doesn't deliver at present.
    Waiting,
    Delivered,
    Failed,
    Cancelled,
}

/// Which deliveries of an application to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub endpoint: Option<EndpointId>,
    pub message: Option<MessageId>,
    /// Empty for all.
    pub event_types: Vec<String>,
    pub result: Option<DeliveryResult>,
    /// Of messages published before this time, and at or after that one.
    pub before: Option<Timestamp>,
    pub after: Option<Timestamp>,
}

/// A delivery as a log shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryLine {
    pub id: DeliveryId,
    pub event_type: String,
    pub event_id: Option<String>,
    pub published_at: Timestamp,
    pub test: bool,
    pub state: DeliveryState,
    /// The attempts made so far.
    pub attempts: u32,
    /// When the next one is due.
    pub next_at: Option<Timestamp>,
    /// Whether it is held back, because its endpoint doesn't deliver at present.
    pub waits: bool,
    pub endpoint_name: String,
    pub endpoint_url: String,
    pub endpoint_deleted: bool,
    pub last: Option<LastAttempt>,
}

/// The latest attempt at a delivery, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct LastAttempt {
    pub started_at: Timestamp,
    pub duration: Duration,
    /// `None` where there was no answer.
    pub status: Option<u16>,
    pub failure: Option<Failure>,
    pub succeeded: bool,
}

/// Deliveries one after the other, and how far they reach.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    pub lines: Vec<DeliveryLine>,
    /// The first place that was looked at. It may lie before the first line.
    pub first: Option<DeliveryId>,
    /// The last place that was looked at, and when its message was published. It may lie behind
    /// the last line, where those in between don't pass the filter, and be a message without a
    /// delivery.
    pub reached: Option<(DeliveryId, Timestamp)>,
    /// Whether there is something behind it that was not looked at.
    pub has_more: bool,
}
