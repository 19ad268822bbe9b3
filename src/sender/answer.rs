//! What is kept of an answer.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use jiff::tz::TimeZone;

use crate::domain::Timestamp;

/// The most headers of an answer that are kept.
pub const MAX_KEPT_HEADERS: usize = 24;

/// The most bytes of one header's value that are kept.
pub const MAX_KEPT_VALUE_BYTES: usize = 512;

/// The headers worth keeping: those that explain an answer or help to find it in the
/// receiver's own logs. Anything else may be private (such as a cookie) or is noise.
const KEPT: [HeaderName; 18] = [
    header::ALLOW,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::LOCATION,
    header::RETRY_AFTER,
    header::SERVER,
    header::VIA,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("cf-ray"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-amz-cf-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-correlation-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-trace-id"),
];

/// The headers to keep, and those `wanted` by name, in the order they came.
pub(super) fn kept_headers(headers: &HeaderMap, wanted: &[HeaderName]) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| KEPT.contains(name) || wanted.contains(name))
        .take(MAX_KEPT_HEADERS)
        .map(|(name, value)| (name.as_str().to_owned(), kept_value(value)))
        .collect()
}

fn kept_value(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    let end = bytes.len().min(MAX_KEPT_VALUE_BYTES);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The wish of a `retry-after` header (RFC 9110, section 10.2.3), as time from `now`.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number holds is a wish for ever; a contract caps it.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    parse_http_date(text).map(|date| date.since(now))
}

/// An HTTP date in any of its three forms (RFC 9110, section 5.6.7).
fn parse_http_date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let date = FORMS.iter().find_map(|form| {
        jiff::civil::DateTime::strptime(form, text).ok()?.to_zoned(TimeZone::UTC).ok()
    })?;
    Some(Timestamp::from_seconds(date.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse_rfc3339("1994-11-06T08:48:37Z").unwrap();
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(60)),
            ("Sun Nov  6 08:49:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ] {
            let wish = retry_after(&header(value), now);
            assert_eq!(wish, expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn kept_headers_are_named_few_and_short() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(header::SET_COOKIE, HeaderValue::from_static("session=1"));
        headers.insert(header::SERVER, HeaderValue::from_bytes(b"caf\xe9").unwrap());
        let long = HeaderValue::from_str(&"v".repeat(MAX_KEPT_VALUE_BYTES + 1)).unwrap();
        for _ in 0..MAX_KEPT_HEADERS {
            headers.append(header::VIA, long.clone());
        }
        let kept = kept_headers(&headers, &[]);
        assert_eq!(kept.len(), MAX_KEPT_HEADERS);
        assert_eq!(kept[0], ("content-type".to_owned(), "text/plain".to_owned()));
        assert_eq!(kept[1], ("server".to_owned(), "caf\u{fffd}".to_owned()));
        assert_eq!(kept[2].1.len(), MAX_KEPT_VALUE_BYTES);
        assert!(kept.iter().all(|(name, _)| name != "set-cookie"));
    }
}
