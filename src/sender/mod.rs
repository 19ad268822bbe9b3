//! One attempt: a request goes out, an [`Outcome`] comes back.

use std::time::Duration;

use crate::domain::{Outcome, Timing};


/// What an attempt brought.
#[derive(Clone, Debug)]
pub struct Sent {
    pub outcome: Outcome,
    pub duration: Duration,
    pub timing: Timing,
}
