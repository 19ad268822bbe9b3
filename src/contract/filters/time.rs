//! Times in every usual form.

use minijinja::{Environment, Error, Value};

use super::refused;
use crate::contract::scope::{Moment, RawText};
use crate::domain::Timestamp;

pub(super) fn register(engine: &mut Environment<'static>) {
    engine.add_filter("rfc3339", |time: &Value| moment(time).map(|time| time.rfc3339(0)));
    engine.add_filter("rfc3339_ms", |time: &Value| moment(time).map(|time| time.rfc3339(3)));
    engine.add_filter("rfc3339_us", |time: &Value| moment(time).map(|time| time.rfc3339(6)));
    engine.add_filter("rfc2822", |time: &Value| date(time, "%a, %d %b %Y %H:%M:%S +0000"));
    engine.add_filter("http_date", |time: &Value| date(time, "%a, %d %b %Y %H:%M:%S GMT"));
    engine.add_filter("date", date);
    engine.add_filter("unix", |time: &Value| moment(time).map(Timestamp::as_seconds));
    engine.add_filter("unix_ms", |time: &Value| moment(time).map(Timestamp::as_millis));
    engine.add_filter("unix_us", |time: &Value| moment(time).map(Timestamp::as_micros));
    engine.add_filter("unix_decimal", |time: &Value| moment(time).map(unix_decimal));
}

fn moment(value: &Value) -> Result<Timestamp, Error> {
    if let Some(moment) = value.downcast_object_ref::<Moment>() {
        return Ok(moment.0);
    }
    // The native API writes times in RFC 3339, which is what routes see.
    value
        .as_str()
        .and_then(Timestamp::parse_rfc3339)
        .ok_or_else(|| refused("this filter takes a time, such as timestamp or event.timestamp"))
}

fn date(time: &Value, format: &str) -> Result<String, Error> {
    let written = moment(time)?.strftime(format);
    written.ok_or_else(|| refused(format!("`{format}` isn't a format of a date in UTC")))
}

/// Seconds since the epoch with six decimals, as a JSON number.
fn unix_decimal(time: Timestamp) -> Value {
    let micros = time.as_micros();
    let sign = if micros < 0 { "-" } else { "" };
    let (seconds, fraction) =
        (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    Value::from_object(RawText::new(format!("{sign}{seconds}.{fraction:06}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_seconds_keep_their_microseconds() {
        let at = |micros| unix_decimal(Timestamp::from_micros(micros)).to_string();
        assert_eq!(at(1_774_173_334_258_162), "1774173334.258162");
        assert_eq!(at(1_000_000), "1.000000");
        assert_eq!(at(-1_500_000), "-1.500000");
    }
}
