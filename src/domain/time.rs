//! Points in time.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Timestamp = Timestamp(0);

    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(1_000_000))
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time that passed since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The point `duration` before this one.
    pub fn before(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(micros(duration)))
    }

    /// RFC 3339 in UTC with `digits` (0, 3 or 6) digits of the second: `2025-01-15T14:32:00Z`.
    pub fn rfc3339(self, digits: u8) -> String {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        match digits {
            0 => instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            // `%.Nf` truncates, so a time never reads as later than it was.
            3 => instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            _ => instant.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        }
    }

    /// The time in UTC in a format of `strftime`; `None` where that isn't one.
    pub fn strftime(self, format: &str) -> Option<String> {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        let zoned = instant.to_zoned(jiff::tz::TimeZone::UTC);
        jiff::fmt::strtime::format(format, &zoned).ok()
    }

    /// Reads an RFC 3339 time with any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp(instant.as_microsecond()))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(micros(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339(6))
    }
}

/// Reads a duration as contracts and configuration write it: a whole number and one of
/// `ms`, `s`, `m`, `h`, `d`. `None` where the text is anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(unit_ms)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_truncates_to_the_digits_asked_for() {
        let time = Timestamp::from_micros(1_752_575_400_999_999);
        assert_eq!(time.rfc3339(0), "2025-07-15T10:30:00Z");
        assert_eq!(time.rfc3339(3), "2025-07-15T10:30:00.999Z");
        assert_eq!(time.rfc3339(6), "2025-07-15T10:30:00.999999Z");
        assert_eq!(Timestamp::parse_rfc3339(&time.rfc3339(6)), Some(time));
    }

    #[test]
    fn durations_have_one_number_and_one_unit() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("5d"), Some(Duration::from_secs(432_000)));
        for wrong in ["", "5", "s", "-1s", "1.5s", "5 m", "1h30m", "99999999999999999999d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
