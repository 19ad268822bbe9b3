//! The filters of contract templates. There are few, and none whose output can be much
//! larger than its input.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use minijinja::{Environment, Error, ErrorKind, Value};

use super::json::{self, JsonError};
use super::scope::{Moment, RawText};
use crate::domain::Timestamp;

/// The names of all filters, for "did you mean".
pub(super) const NAMES: [&str; 15] = [
    "canonical",
    "default",
    "join",
    "lower",
    "member",
    "rfc3339",
    "rfc3339_ms",
    "rfc3339_us",
    "sorted",
    "stringified",
    "unix",
    "unix_decimal",
    "unix_ms",
    "upper",
    "urlencode",
];

/// Adds the filters, and the few tests that conditions need.
pub(super) fn register(engine: &mut Environment<'static>) {
    engine.add_filter("rfc3339", |time: &Value| moment(time).map(|time| time.rfc3339(0)));
    engine.add_filter("rfc3339_ms", |time: &Value| moment(time).map(|time| time.rfc3339(3)));
    engine.add_filter("rfc3339_us", |time: &Value| moment(time).map(|time| time.rfc3339(6)));
    engine.add_filter("unix", |time: &Value| moment(time).map(Timestamp::as_seconds));
    engine.add_filter("unix_ms", |time: &Value| moment(time).map(Timestamp::as_millis));
    engine.add_filter("unix_decimal", |time: &Value| moment(time).map(unix_decimal));
    engine.add_filter("canonical", |text: &Value| rewritten(text, json::canonical));
    engine.add_filter("stringified", |text: &Value| rewritten(text, json::stringified));
    engine.add_filter("member", member);
    engine.add_filter("sorted", |query: &Value| text(query).map(|query| sorted_query(&query)));
    engine.add_filter("urlencode", |value: &Value| text(value).map(|text| percent_encode(&text)));
    engine.add_filter("default", minijinja::filters::default);
    engine.add_filter("join", minijinja::filters::join);
    engine.add_filter("lower", minijinja::filters::lower);
    engine.add_filter("upper", minijinja::filters::upper);
    engine.add_test("defined", minijinja::tests::is_defined);
    engine.add_test("undefined", minijinja::tests::is_undefined);
    engine.add_test("none", minijinja::tests::is_none);
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

fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(raw) = value.downcast_object_ref::<RawText>() {
        return Ok(Cow::Borrowed(raw.as_str()));
    }
    match value.as_str() {
        Some(text) => Ok(Cow::Borrowed(text)),
        None => Err(refused("this filter takes a text")),
    }
}

fn refused(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Seconds since the epoch with six decimals, as a JSON number.
fn unix_decimal(time: Timestamp) -> Value {
    let micros = time.as_micros();
    let sign = if micros < 0 { "-" } else { "" };
    let (seconds, fraction) =
        (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    Value::from_safe_string(format!("{sign}{seconds}.{fraction:06}"))
}

fn rewritten(
    value: &Value,
    form: impl Fn(&str) -> Result<String, JsonError>,
) -> Result<Value, Error> {
    let text = text(value)?;
    // A request without a body has none in any form.
    if text.is_empty() {
        return Ok(Value::from_safe_string(String::new()));
    }
    form(&text).map(Value::from_safe_string).map_err(not_json)
}

fn member(value: &Value, name: &str) -> Result<Value, Error> {
    let text = text(value)?;
    let found = json::member(&text, name).map_err(not_json)?;
    Ok(Value::from_safe_string(found.unwrap_or("null").to_owned()))
}

fn not_json(error: JsonError) -> Error {
    refused(format!("this isn't JSON: {error}"))
}

/// A query in K-LINK's normalised form: names and values percent-decoded, sorted by name;
/// the values of a name that occurs several times sorted, in brackets.
fn sorted_query(query: &str) -> String {
    let mut values: BTreeMap<Cow<'_, str>, Vec<Cow<'_, str>>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        values.entry(name).or_default().push(value);
    }
    let pairs = values.into_iter().map(|(name, mut values)| match values.as_mut_slice() {
        [only] => format!("{name}={only}"),
        several => {
            several.sort();
            format!("{name}=[{}]", several.join(" "))
        }
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_sorted_and_grouped() {
        for (query, expected) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("b=z&a=1&b=y", "a=1&b=[y z]"),
            ("q=a+b%20c&%C3%A9=%26", "q=a b c&é=&"),
            ("flag&empty=", "empty=&flag="),
            ("Z=1&a=2&z=3", "Z=1&a=2&z=3"),
            ("k=10&k=9&k=10", "k=[10 10 9]"),
        ] {
            assert_eq!(sorted_query(query), expected, "{query}");
        }
    }

    #[test]
    fn names_sort_by_utf8_and_not_by_utf16() {
        // U+FF5E comes before U+1F600 in UTF-8, behind its surrogates in UTF-16.
        assert_eq!(sorted_query("😀=1&～=2"), "～=2&😀=1");
    }

    #[test]
    fn percent_encoding_leaves_only_unreserved_characters() {
        assert_eq!(percent_encode("aZ9-._~"), "aZ9-._~");
        assert_eq!(percent_encode("{\"é\": 1+1}&"), "%7B%22%C3%A9%22%3A%201%2B1%7D%26");
    }

    #[test]
    fn epoch_seconds_keep_their_microseconds() {
        let at = |micros| unix_decimal(Timestamp::from_micros(micros)).to_string();
        assert_eq!(at(1_774_173_334_258_162), "1774173334.258162");
        assert_eq!(at(1_000_000), "1.000000");
        assert_eq!(at(-1_500_000), "-1.500000");
    }
}
