//! The span of time that a form asks for.

use std::time::Duration;

use serde::Deserialize;

use super::native::Refusal;
use crate::domain::{Error, ErrorCode, Resend, Timestamp};

/// Spans that can be chosen at once: the word in the address, the label, and how far back.
pub(super) const PRESETS: [(&str, &str, Duration); 4] = [
    ("1h", "The last hour", Duration::from_secs(3_600)),
    ("6h", "The last 6 hours", Duration::from_secs(6 * 3_600)),
    ("24h", "The last 24 hours", Duration::from_secs(24 * 3_600)),
    ("7d", "The last 7 days", Duration::from_secs(7 * 24 * 3_600)),
];

/// The preset that a form begins with.
const FIRST_CHOSEN: &str = "24h";

/// The word for times of one's own.
const OWN: &str = "own";

/// The form as it stands in the address.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    range: String,
    /// As a form's field has it, in UTC.
    #[serde(default)]
    pub(super) since: String,
    #[serde(default)]
    pub(super) until: String,
}

impl Asked {
    /// Whether this word is chosen.
    pub(super) fn is(&self, word: &str) -> bool {
        match self.range.as_str() {
            "" => word == FIRST_CHOSEN,
            range => range == word,
        }
    }

    /// The form that would ask for a span.
    pub(super) fn of(span: Span) -> Asked {
        Asked { range: OWN.to_owned(), since: local(span.since), until: local(span.until) }
    }

    /// The span; `None` where the form was not sent yet. Its end is this moment where no other
    /// is given, so that what is counted is what will be sent.
    ///
    /// # Errors
    /// What is wrong with the fields.
    pub(super) fn span(&self, now: Timestamp) -> Result<Option<Span>, Refusal> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let until = match self.until.as_str() {
            "" => Some(now),
            text => utc(text),
        };
        match (self.begins(now), until) {
            (Ok(since), Some(until)) if since < until => Ok(Some(Span { since, until })),
            (Ok(_), Some(_)) => Err(refused("until", "The end must be later than the beginning.")),
            (Ok(_), None) => Err(refused("until", "Enter a date and a time, or nothing.")),
            (Err(sentence), _) => Err(refused("since", sentence)),
        }
    }

    fn begins(&self, now: Timestamp) -> Result<Timestamp, &'static str> {
        let preset = PRESETS.iter().find(|(word, _, _)| *word == self.range);
        match preset {
            None => utc(&self.since).ok_or("Enter a date and a time."),
            Some((_, _, before)) if self.since.is_empty() => Ok(now.before(*before)),
            // Which of the two was meant is not for us to guess.
            Some(_) => Err("Choose “A time of your own” above, or leave this empty."),
        }
    }
}

/// A sentence for a field of the form.
pub(super) fn refused(field: &str, sentence: &str) -> Refusal {
    Refusal { fields: vec![(field.to_owned(), sentence.to_owned())] }
}

/// From one moment to another, to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

/// The span that was counted, as the form that confirms it has it.
#[derive(Deserialize)]
pub(super) struct Confirmed {
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
}

impl Confirmed {
    /// # Errors
    /// Where it isn't what our form says.
    pub(super) fn span(&self) -> crate::domain::Result<Span> {
        let times =
            Timestamp::parse_rfc3339(&self.since).zip(Timestamp::parse_rfc3339(&self.until));
        let sentence = "The form doesn't say since when. Go back and count again.";
        let (since, until) = times.ok_or_else(|| Error::new(ErrorCode::BadRequest, sentence))?;
        Ok(Span { since, until })
    }
}

impl Span {
    /// The filters that show a resend's events in the log.
    pub(super) fn log(resend: &Resend) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("webhook", &resend.endpoint_id.to_string());
        query.append_pair("from", &local(resend.scope.since));
        if let Some(until) = resend.scope.until {
            // The log knows whole seconds.
            query.append_pair("to", &local(until + Duration::from_secs(1)));
        }
        query.finish()
    }
}

/// A time as a form's field has it, in UTC: `2026-11-21T14:02`, with seconds or without.
fn utc(text: &str) -> Option<Timestamp> {
    let seconds = if text.len() == 16 { ":00Z" } else { "Z" };
    Timestamp::parse_rfc3339(&format!("{text}{seconds}"))
}

fn local(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_736_951_520);

    fn asked(range: &str, since: &str, until: &str) -> Asked {
        Asked { range: range.to_owned(), since: since.to_owned(), until: until.to_owned() }
    }

    #[test]
    fn presets_and_own_times_are_spans() {
        let end = NOW.before(Duration::from_secs(60));
        let ended = Span { since: NOW.before(Duration::from_secs(3_600)), until: end };
        assert_eq!(asked("1h", "", "2025-01-15T14:31").span(NOW).unwrap(), Some(ended));
        let hour = Span { since: NOW.before(Duration::from_secs(3_600)), until: NOW };
        assert_eq!(asked("1h", "", "").span(NOW).unwrap(), Some(hour));
        assert_eq!(asked("", "", "").span(NOW).unwrap(), None);
        let own = asked("own", "2025-01-15T13:32", "2025-01-15T14:32:00").span(NOW).unwrap();
        assert_eq!(own, Some(hour));
        assert_eq!(asked("own", "2025-01-15T13:32", "").span(NOW).unwrap(), own);
        assert_eq!(Asked::of(hour).span(NOW).unwrap(), own);
    }

    #[test]
    fn what_is_no_span_is_refused_at_its_field() {
        for (asked, field) in [
            (asked("own", "", ""), "since"),
            (asked("own", "yesterday", ""), "since"),
            (asked("1w", "", ""), "since"),
            (asked("1h", "2025-01-15T13:32", ""), "since"),
            (asked("1h", "", "2025-01-15T13:31"), "until"),
            (asked("own", "2025-01-15T13:32", "soon"), "until"),
            (asked("own", "2025-01-15T13:32", "2025-01-15T13:32"), "until"),
            (asked("own", "2025-02-15T13:32", ""), "until"),
        ] {
            let refusal = asked.span(NOW).unwrap_err();
            assert!(refusal.at(field).is_some(), "{asked:?}: {refusal:?}");
        }
    }
}
