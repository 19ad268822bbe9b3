//! The states of a delivery, and the one rule from an outcome to the next state.

use super::{Outcome, RetryPolicy, Timestamp};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not finished: never tried, waiting for a retry, or held back by a paused endpoint.
    Pending,
    /// The receiver acknowledged it.
    Succeeded,
    /// Every attempt of the schedule failed.
    Failed,
    /// Given up without having failed: its endpoint or application was deleted, or a person
    /// dropped it.
    Discarded,
}

impl DeliveryState {
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Succeeded => "succeeded",
            DeliveryState::Failed => "failed",
            DeliveryState::Discarded => "discarded",
        }
    }
}

/// What an attempt makes of its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Succeeded,
    /// Try again then.
    Retry {
        at: Timestamp,
    },
    /// The schedule is used up.
    Exhausted,
    /// The receiver said that it is gone: this delivery failed, and the endpoint with it.
    Gone,
}

/// The rule. `failed_before` counts the failures of this round: a manual resend starts a new
/// round. `jitter` is a random number in `0.0..1.0`.
pub fn next_state(
    outcome: &Outcome,
    failed_before: u32,
    policy: &RetryPolicy,
    now: Timestamp,
    jitter: f64,
) -> Next {
    let retry_after = match outcome {
        Outcome::Answered(answer) if policy.acknowledges(answer) => return Next::Succeeded,
        Outcome::Answered(answer) if policy.gone == Some(answer.status) => return Next::Gone,
        Outcome::Answered(answer) => answer.retry_after,
        Outcome::Failed(_) => None,
    };
    match policy.next_attempt(failed_before.saturating_add(1), retry_after, now, jitter) {
        Some(at) => Next::Retry { at },
        None => Next::Exhausted,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{Answer, Failure, FailureKind};

    fn policy() -> RetryPolicy {
        RetryPolicy {
            timeout: Duration::from_secs(10),
            retries: vec![Duration::from_secs(30), Duration::from_secs(60)],
            jitter: 0.0,
            honours_retry_after: true,
            retry_after_max: Duration::from_secs(3_600),
            success: (200, 299),
            success_body: None,
            gone: Some(410),
        }
    }

    fn answer(status: u16, retry_after_s: Option<u64>) -> Outcome {
        Outcome::Answered(Answer {
            status,
            retry_after: retry_after_s.map(Duration::from_secs),
            ..Answer::default()
        })
    }

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    #[test]
    fn the_schedule_is_followed_and_then_used_up() {
        let failed = Outcome::Failed(Failure::new(FailureKind::Connect, None, "refused"));
        let next = |before| next_state(&failed, before, &policy(), NOW, 0.5);
        assert_eq!(next(0), Next::Retry { at: Timestamp::from_seconds(1_030) });
        assert_eq!(next(1), Next::Retry { at: Timestamp::from_seconds(1_060) });
        assert_eq!(next(2), Next::Exhausted);
        assert_eq!(next(u32::MAX), Next::Exhausted);
    }

    #[test]
    fn only_the_success_range_acknowledges() {
        for (status, expected) in
            [(199, false), (200, true), (204, true), (299, true), (302, false)]
        {
            let next = next_state(&answer(status, None), 0, &policy(), NOW, 0.0);
            assert_eq!(next == Next::Succeeded, expected, "{status}");
        }
        assert_eq!(next_state(&answer(410, None), 0, &policy(), NOW, 0.0), Next::Gone);
    }

    #[test]
    fn a_contract_may_want_a_word_in_the_body() {
        let policy = RetryPolicy { success_body: Some("[accepted]".to_owned()), ..policy() };
        for (status, body, expected) in [
            (200, "[accepted]", true),
            (200, " \n[accepted]\n", true),
            (200, "", false),
            (200, "not [accepted]", false),
            (500, "[accepted]", false),
        ] {
            let answer = Answer { status, body: body.into(), ..Answer::default() };
            let next = next_state(&Outcome::Answered(answer), 0, &policy, NOW, 0.0);
            assert_eq!(next == Next::Succeeded, expected, "{status} {body}");
        }
    }

    #[test]
    fn retry_after_only_ever_puts_off_and_never_for_long() {
        let at = |seconds| match next_state(&answer(503, Some(seconds)), 0, &policy(), NOW, 0.0) {
            Next::Retry { at } => at.as_seconds() - 1_000,
            other => panic!("{other:?}"),
        };
        assert_eq!(at(5), 30);
        assert_eq!(at(120), 120);
        assert_eq!(at(999_999), 3_600);
        let deaf = RetryPolicy { honours_retry_after: false, ..policy() };
        let next = next_state(&answer(503, Some(120)), 0, &deaf, NOW, 0.0);
        assert_eq!(next, Next::Retry { at: Timestamp::from_seconds(1_030) });
    }

    #[test]
    fn jitter_stretches_a_wait_and_never_shortens_it() {
        let jittery = RetryPolicy { jitter: 0.1, ..policy() };
        let wait = |jitter| jittery.next_attempt(1, None, NOW, jitter).unwrap().since(NOW);
        assert_eq!(wait(0.0), Duration::from_secs(30));
        assert_eq!(wait(0.5), Duration::from_millis(31_500));
    }
}
