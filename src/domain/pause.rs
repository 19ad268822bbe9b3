//! When an endpoint that keeps failing is paused.

use std::collections::VecDeque;
use std::time::Duration;

use super::Timestamp;

/// A contract's rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PausePolicy {
    #[default]
    Never,
    /// So many failed attempts in a row.
    Consecutive { failures: u32 },
    /// *More than* so many failed attempts within a sliding window.
    TooMany { failures: u32, within: Duration },
    /// Every attempt failed for at least this long.
    FailingFor { duration: Duration },
}

/// What has to be remembered of an endpoint's recent attempts to apply the rule. It is kept
/// in the store, so that neither a restart nor a second node forgets failures.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Health {
    /// Failed attempts since the last success.
    pub consecutive_failures: u32,
    /// The end of the first failed attempt since the last success, in microseconds.
    pub failing_since_us: Option<i64>,
    /// The ends of the latest failed attempts, oldest first, as many as the rule looks at.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub failures_us: VecDeque<i64>,
}

impl Health {
    /// Takes in an attempt that ended at `now`. Returns the reason to pause, where the rule
    /// now says so.
    pub fn observe(
        &mut self,
        succeeded: bool,
        now: Timestamp,
        policy: PausePolicy,
    ) -> Option<String> {
        if succeeded {
            self.consecutive_failures = 0;
            self.failing_since_us = None;
            return None;
        }
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        let since = *self.failing_since_us.get_or_insert(now.as_micros());
        match policy {
            PausePolicy::Never => None,
            PausePolicy::Consecutive { failures } => (self.consecutive_failures >= failures)
                .then(|| format!("{failures} failed attempts in a row")),
            PausePolicy::TooMany { failures, within } => self
                .exceeds(failures, within, now)
                .then(|| format!("more than {failures} failed attempts within {}", words(within))),
            PausePolicy::FailingFor { duration } => (now.since(Timestamp::from_micros(since))
                >= duration)
                .then(|| format!("every attempt failed for {}", words(duration))),
        }
    }

    fn exceeds(&mut self, failures: u32, within: Duration, now: Timestamp) -> bool {
        self.failures_us.push_back(now.as_micros());
        let window_start = now.before(within).as_micros();
        // A failure exactly at the window's start is no longer within it.
        while self.failures_us.front().is_some_and(|&failure| failure <= window_start) {
            self.failures_us.pop_front();
        }
        let limit = usize::try_from(failures).unwrap_or(usize::MAX);
        while self.failures_us.len() > limit.saturating_add(1) {
            self.failures_us.pop_front();
        }
        self.failures_us.len() > limit
    }
}

fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        s if s >= 86_400 && s % 86_400 == 0 => (s / 86_400, "day"),
        s if s >= 3_600 && s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s >= 60 && s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn a_row_of_failures_is_broken_by_one_success() {
        let policy = PausePolicy::Consecutive { failures: 4 };
        let mut health = Health::default();
        for second in 0..3 {
            assert_eq!(health.observe(false, at(second), policy), None);
        }
        health.observe(true, at(3), policy);
        for second in 4..7 {
            assert_eq!(health.observe(false, at(second), policy), None);
        }
        assert_eq!(
            health.observe(false, at(7), policy).as_deref(),
            Some("4 failed attempts in a row")
        );
    }

    #[test]
    fn the_window_slides_and_the_limit_itself_is_still_allowed() {
        let policy = PausePolicy::TooMany { failures: 50, within: Duration::from_secs(3_600) };
        let mut health = Health::default();
        for second in 0..50 {
            assert_eq!(health.observe(false, at(second), policy), None, "{second}");
        }
        // The first failure left the window just now, so this is the fiftieth within it.
        assert_eq!(health.observe(false, at(3_600), policy), None);
        // A success doesn't empty the window.
        health.observe(true, at(3_600), policy);
        let reason = health.observe(false, at(3_600), policy);
        assert_eq!(reason.as_deref(), Some("more than 50 failed attempts within 1 hour"));
        assert!(health.failures_us.len() <= 51);
    }

    #[test]
    fn five_days_of_nothing_but_failures() {
        let policy = PausePolicy::FailingFor { duration: Duration::from_secs(5 * 86_400) };
        let mut health = Health::default();
        assert_eq!(health.observe(false, at(0), policy), None);
        assert_eq!(health.observe(false, at(5 * 86_400 - 1), policy), None);
        let reason = health.observe(false, at(5 * 86_400), policy);
        assert_eq!(reason.as_deref(), Some("every attempt failed for 5 days"));
    }
}
