//! The frames that a receiver sends: `{"id","status"}`, one for each delivery.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// How much of something strange is shown, in characters.
const EXCERPT_CHARS: usize = 80;

/// A frame that says which delivery it is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement<'a> {
    pub(super) id: Cow<'a, str>,
    /// The text says what is wrong with it.
    pub(super) status: Result<u16, String>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// Reads a frame.
///
/// # Errors
/// What is wrong with it, where it doesn't even say which delivery it is about.
pub(super) fn read(text: &str) -> Result<Acknowledgement<'_>, String> {
    if !text.trim_start().starts_with('{') {
        return Err(format!("not a JSON object: {}", excerpt(text)));
    }
    let Frame { id, status } =
        serde_json::from_str(text).map_err(|error| format!("{error}: {}", excerpt(text)))?;
    let status = match status {
        None => Err("it has no status".to_owned()),
        Some(status) => match status.get().parse() {
            Ok(status @ 100..=599) => Ok(status),
            _ => Err(format!("its status is {}", excerpt(status.get()))),
        },
    };
    Ok(Acknowledgement { id, status })
}

/// The beginning of a text that somebody else wrote.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(EXCERPT_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_has_an_id_and_a_status() {
        for (text, id, status) in [
            (r#"{"id":"evt_1","status":200}"#, "evt_1", 200),
            (" {\"status\" : 503,\n \"id\" : \"a\\\"b\\u00e9\"} ", "a\"bé", 503),
            (r#"{"id":"","status":100,"message":"more than we ask for"}"#, "", 100),
        ] {
            let read = read(text).unwrap();
            assert_eq!((&*read.id, read.status), (id, Ok(status)), "{text}");
        }
    }

    #[test]
    fn a_status_that_is_none_is_a_matter_of_its_delivery_only() {
        for status in ["99", "600", "-200", "2e2", "200.0", "\"200\"", "null", "[200]", "99999999"]
        {
            let text = format!(r#"{{"id":"evt_1","status":{status}}}"#);
            let read = read(&text).unwrap();
            assert_eq!(read.id, "evt_1");
            assert!(read.status.is_err(), "{status}");
        }
        assert!(read(r#"{"id":"evt_1"}"#).unwrap().status.is_err());
    }

    #[test]
    fn what_names_no_delivery_is_malformed() {
        for text in [
            "",
            "ok",
            "200",
            "null",
            r#"["evt_1",200]"#,
            r#"{"id":5,"status":200}"#,
            r#"{"id":null,"status":200}"#,
            r#"{"status":200}"#,
            r#"{"id":"a","id":"b","status":200}"#,
            r#"{"id":"evt_1","status":200"#,
            r#"{"id":"evt_1","status":200}{}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let long = format!("\u{1b}{}", "x".repeat(100_000));
        let problem = read(&long).unwrap_err();
        assert!(problem.len() < 200 && !problem.contains('\u{1b}'), "{problem}");
    }
}
