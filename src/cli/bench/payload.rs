//! The payload of a bench's events. It carries what is needed to recognise it on arrival, so
//! that nothing has to be looked up on the way: the number of its message, and when it left.

use std::time::Duration;

use crate::domain::Timestamp;

/// A payload's least size in bytes: that of one with no padding.
pub(super) const MIN_BYTES: usize = FRAME.len() + NUMBER_DIGITS + TIME_DIGITS;

/// The event type of all events.
pub(super) const EVENT_TYPE: &str = "bench.event";

const FRAME: &str = r#"{"type":"bench.event","n":"","at":"","pad":""}"#;
const NUMBER_DIGITS: usize = 10;
const TIME_DIGITS: usize = 20;
const MARK: &[u8] = br#""n":""#;
const BETWEEN: &[u8] = br#"","at":""#;

/// What a payload says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The message's number; no two of a run are the same.
    pub(super) number: u32,
    /// When it was sent to be published.
    pub(super) sent_at: Timestamp,
}

impl Stamp {
    /// The payload, of exactly `bytes` bytes where that is at least [`MIN_BYTES`].
    pub(super) fn payload(self, bytes: usize) -> String {
        format!(
            r#"{{"type":"{EVENT_TYPE}","n":"{:0NUMBER_DIGITS$}","at":"{:0TIME_DIGITS$}","pad":"{:x<pad$}"}}"#,
            self.number,
            self.sent_at.as_micros(),
            "",
            pad = bytes.saturating_sub(MIN_BYTES),
        )
    }

    /// The stamp of a payload, wherever it stands in a body. `None` where there is none.
    pub(super) fn find(body: &[u8]) -> Option<Stamp> {
        let start = body.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
        let (number, rest) = body[start..].split_at_checked(NUMBER_DIGITS)?;
        let (time, _) = rest.strip_prefix(BETWEEN)?.split_at_checked(TIME_DIGITS)?;
        let text = |digits| std::str::from_utf8(digits).ok();
        Some(Stamp {
            number: text(number)?.parse().ok()?,
            sent_at: Timestamp::from_micros(text(time)?.parse().ok()?),
        })
    }

    /// How long it took until `now`, in whole microseconds.
    pub(super) fn age_us(self, now: Timestamp) -> u32 {
        micros(now.since(self.sent_at))
    }
}

/// A duration in whole microseconds, of which an hour and more fit.
pub(super) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp { number: 123_456, sent_at: Timestamp::from_micros(1_764_000_000_123_456) }
    }

    #[test]
    fn a_payload_is_json_of_the_size_asked_for_and_can_be_recognised() {
        for bytes in [MIN_BYTES, 500, 10_000] {
            let payload = stamp().payload(bytes);
            assert_eq!(payload.len(), bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&payload).is_ok(), "{payload}");
            assert_eq!(Stamp::find(payload.as_bytes()), Some(stamp()));
            let wrapped = format!(r#"{{"id":"msg_1","data":{payload}}}"#);
            assert_eq!(Stamp::find(wrapped.as_bytes()), Some(stamp()));
        }
    }

    #[test]
    fn other_bodies_have_no_stamp() {
        for body in [&b""[..], b"{}", br#"{"n":"12"}"#, br#"{"n":"0000000012","at":"soon"}"#] {
            assert_eq!(Stamp::find(body), None);
        }
    }

    #[test]
    fn an_age_is_in_microseconds_and_never_negative() {
        let sent = stamp().sent_at;
        assert_eq!(stamp().age_us(sent + Duration::from_millis(3)), 3_000);
        assert_eq!(stamp().age_us(Timestamp::EPOCH), 0);
    }
}
