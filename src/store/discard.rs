//! How far a discard has come.

use crate::domain::{MessageId, Timestamp};

/// A discard of what waits for an endpoint, made in steps of limited size.
#[derive(Clone, Debug)]
pub struct Discard {
    /// How many deliveries were discarded so far.
    pub discarded: u64,
    pub done: bool,
    pub(super) started_at: Timestamp,
    /// The last message that is affected: what is published later isn't.
    pub(super) through: Option<MessageId>,
    /// The place in the endpoint's queue that the last step came to.
    pub(super) after: Option<(Timestamp, MessageId)>,
}

impl Discard {
    /// A discard of which no step was made yet.
    pub fn new(now: Timestamp) -> Discard {
        Discard { discarded: 0, done: false, started_at: now, through: None, after: None }
    }
}
