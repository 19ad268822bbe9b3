//! What is asked of a store whose messages grow old.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Retention;

/// Says how long an environment keeps its messages.
pub type RetentionOf = dyn Fn(&Arc<str>) -> Retention + Send + Sync;

/// A walk along all messages that have reached an age, in the order of their commits and in
/// steps of limited size. It does with each one what is due, unless something is pending.
#[derive(Clone, Debug)]
pub struct AgeWalk {
    pub age: Duration,
    /// How many messages were removed so far, and how many lost their content.
    pub removed: u64,
    pub emptied: u64,
    /// Whether the last step came to the messages that haven't reached the age.
    pub done: bool,
    /// The place that the last step came to.
    pub(super) after_seq: i64,
    /// The first message that was passed because something was pending.
    first_left: Option<i64>,
    /// How often places had begun anew when this one was taken.
    pub(super) restarts: u64,
}

impl AgeWalk {
    /// A walk that begins with the oldest message.
    pub fn new(age: Duration) -> AgeWalk {
        AgeWalk {
            age,
            removed: 0,
            emptied: 0,
            done: false,
            after_seq: 0,
            first_left: None,
            restarts: 0,
        }
    }

    /// Goes back to the first message that was left behind, if any was.
    pub fn go_back(&mut self) {
        if let Some(first) = self.first_left.take() {
            self.after_seq = self.after_seq.min(first - 1);
        }
    }

    /// Begins again where the place means nothing any more.
    pub(super) fn follow(&mut self, restarts: u64) {
        if self.restarts != restarts {
            self.restarts = restarts;
            self.after_seq = 0;
            self.first_left = None;
        }
    }

    /// Remembers a message that is passed.
    pub(super) fn leave_behind(&mut self, seq: i64) {
        self.first_left = Some(self.first_left.map_or(seq, |first| first.min(seq)));
    }
}

/// Giving free room back to the disk, in steps of limited size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaim {
    /// How much was given back so far.
    pub bytes: u64,
    pub done: bool,
}
