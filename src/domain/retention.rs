//! How long what was published is kept.

use std::time::Duration;

/// How long messages are kept, counted from when they were published. `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Messages, with their deliveries and attempts.
    pub messages: Option<Duration>,
    /// Their content: payloads, and what receivers answered.
    pub content: Option<Duration>,
}

/// What becomes of a message for which nothing is pending any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// Its content goes; what is known of it and of its attempts stays.
    Emptying,
    /// It goes, with its deliveries and attempts.
    Removal,
}

impl Retention {
    /// What is due for a message of this age.
    pub fn due(&self, age: Duration) -> Due {
        let reached = |limit: Option<Duration>| limit.is_some_and(|limit| age >= limit);
        if reached(self.messages) {
            Due::Removal
        } else if reached(self.content) {
            Due::Emptying
        } else {
            Due::Nothing
        }
    }

    /// The ages at which something is due.
    pub fn ages(&self) -> impl Iterator<Item = Duration> {
        [self.messages, self.content].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_goes_first_and_the_message_later() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let retention = Retention { messages: Some(days(90)), content: Some(days(7)) };
        assert_eq!(retention.due(days(7) - Duration::from_micros(1)), Due::Nothing);
        assert_eq!(retention.due(days(7)), Due::Emptying);
        assert_eq!(retention.due(days(90) - Duration::from_micros(1)), Due::Emptying);
        assert_eq!(retention.due(days(90)), Due::Removal);
        assert_eq!(Retention::default().due(days(100_000)), Due::Nothing);
        let content_only = Retention { messages: None, content: Some(days(7)) };
        assert_eq!(content_only.due(days(100_000)), Due::Emptying);
    }
}
