//! How long messages are kept, as settings say it.

use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use serde::{Deserialize, Deserializer};

use crate::domain::{Retention, parse_duration};

/// How long messages are kept where nobody says.
const DEFAULT_RETENTION: Kept = Kept::For(Duration::from_secs(90 * 86_400));

/// The shortest time that anything is kept: old messages are looked for once a minute.
const RETENTION_MIN: Duration = Duration::from_secs(60);

/// How long something is kept. It sorts by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    For(Duration),
    Forever,
}

impl Kept {
    fn limit(self) -> Option<Duration> {
        match self {
            Kept::For(duration) => Some(duration),
            Kept::Forever => None,
        }
    }
}

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Kept, String> {
        if text == "forever" {
            return Ok(Kept::Forever);
        }
        let kept = parse_duration(text)
            .ok_or_else(|| "write a number and s, m, h or d, such as 90d, or forever".to_owned())?;
        if kept < RETENTION_MIN {
            return Err(format!("must be at least {} seconds", RETENTION_MIN.as_secs()));
        }
        Ok(Kept::For(kept))
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kept, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What two settings mean together.
pub(super) fn retention(
    messages: Option<Kept>,
    content: Option<Kept>,
) -> anyhow::Result<Retention> {
    let messages = messages.unwrap_or(DEFAULT_RETENTION);
    let content = content.unwrap_or(messages);
    if content > messages {
        bail!(
            "payload_retention is longer than retention (90d unless told), but a payload can't be \
             kept without its message: make retention longer, or payload_retention shorter"
        );
    }
    Ok(Retention { messages: messages.limit(), content: content.limit() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_environments_own_time_goes_before_the_one_for_all() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let text = r#"
            retention = "30d"
            payload_retention = "7d"
            [environments.production]
            [environments.eu]
            payload_retention = "1d"
            [environments.archive]
            retention = "forever"
            payload_retention = "forever"
        "#;
        let settings = super::super::parse(Path::new("test.toml"), text).unwrap();
        let environments = settings.complete().unwrap().environments;
        for (name, messages, content) in [
            ("production", days(30), days(7)),
            ("production/operations", days(30), days(7)),
            ("eu", days(30), days(1)),
            ("eu/operations", days(30), days(1)),
            ("archive", None, None),
            ("one-that-a-token-opened", days(30), days(7)),
        ] {
            let retention = environments.get(&Arc::from(name)).retention;
            assert_eq!((retention.messages, retention.content), (messages, content), "{name}");
        }
        assert_eq!(environments.retention_ages(), [days(30), days(7), days(1)].map(Option::unwrap));
    }

    #[test]
    fn content_is_kept_as_long_as_messages_unless_told() {
        let kept = |messages: &str, content: Option<&str>| {
            retention(Some(messages.parse().unwrap()), content.map(|text| text.parse().unwrap()))
        };
        let day = Duration::from_secs(86_400);
        let both = |limit| Retention { messages: limit, content: limit };
        assert_eq!(retention(None, None).unwrap(), both(Some(90 * day)));
        assert_eq!(kept("forever", None).unwrap(), both(None));
        assert_eq!(kept("1d", Some("1d")).unwrap(), both(Some(day)));
        assert!(kept("1d", Some("forever")).is_err());
        assert!(kept("1d", Some("25h")).is_err());
    }
}
