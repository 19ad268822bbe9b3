//! The retry policy of a contract.

use std::time::Duration;

use super::{Answer, Timestamp};

/// When an attempt counts as received, and when the next one is due.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// For a whole attempt, from resolving the name to the last byte of the answer.
    pub timeout: Duration,
    /// The wait before each retry, counted from the end of the attempt before.
    pub retries: Vec<Duration>,
    /// How far a wait may be stretched, as a fraction of it: 0.1 adds up to a tenth.
    pub jitter: f64,
    /// Whether a receiver's `Retry-After` can put the next attempt off.
    pub honours_retry_after: bool,
    /// The longest a receiver can put an attempt off.
    pub retry_after_max: Duration,
    /// The statuses that acknowledge, both ends included.
    pub success: (u16, u16),
    /// What the body of an acknowledging answer starts with, where a contract wants that.
    pub success_body: Option<String>,
    /// The status by which a receiver says that it is gone for good.
    pub gone: Option<u16>,
}

impl RetryPolicy {
    pub fn acknowledges(&self, answer: &Answer) -> bool {
        let said = self
            .success_body
            .as_ref()
            .is_none_or(|expected| answer.body.trim_ascii_start().starts_with(expected.as_bytes()));
        said && (self.success.0..=self.success.1).contains(&answer.status)
    }

    /// When to try again after `failed_attempts` failures, the last of which ended at `now`;
    /// `None` where the schedule is used up. `jitter` is a random number in `0.0..1.0`.
    pub fn next_attempt(
        &self,
        failed_attempts: u32,
        retry_after: Option<Duration>,
        now: Timestamp,
        jitter: f64,
    ) -> Option<Timestamp> {
        let index = usize::try_from(failed_attempts).ok()?.checked_sub(1)?;
        let wait = *self.retries.get(index)?;
        let wait = wait.mul_f64(1.0 + self.jitter * jitter);
        let asked = match retry_after {
            Some(asked) if self.honours_retry_after => asked.min(self.retry_after_max),
            _ => Duration::ZERO,
        };
        Some(now + wait.max(asked))
    }
}
