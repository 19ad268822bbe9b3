//! Filters that change texts.

use std::borrow::Cow;
use std::fmt::Write as _;

use minijinja::{Environment, Error, Value};

use super::{refused, text_of};
use crate::contract::form;
use crate::contract::scope::Ready;
use crate::contract::template::BODY_BYTES;

pub(super) fn register(engine: &mut Environment<'static>) {
    engine.add_filter("sorted", |query: &Value| text_of(query).map(|it| form::sorted_query(&it)));
    engine.add_filter("pairs", pairs);
    engine.add_filter("urlencode", |value: &Value| {
        text_of(value).map(|text| Value::from_object(Ready(percent_encode(&text))))
    });
    engine.add_filter("xml", |value: &Value| {
        text_of(value).map(|text| Value::from_object(Ready(xml_text(&text).into_owned())))
    });
    engine.add_filter("truncate", truncate);
    engine.add_filter("replace", replace);
}

fn pairs(form: &Value, between: &str, behind: &str) -> Result<String, Error> {
    let form = text_of(form)?;
    let parameters = 1 + form.matches('&').count();
    let growth = parameters.saturating_mul(between.len() + behind.len());
    if form.len().saturating_add(growth) > 2 * BODY_BYTES {
        return Err(refused("the parameters are too large"));
    }
    Ok(form::sorted_pairs(&form, between, behind))
}

/// The first characters of a text.
fn truncate(value: &Value, characters: usize) -> Result<String, Error> {
    Ok(text_of(value)?.chars().take(characters).collect())
}

fn replace(value: &Value, old: &str, new: &str) -> Result<String, Error> {
    let text = text_of(value)?;
    if old.is_empty() {
        return Err(refused("the text to replace is empty"));
    }
    let growth = text.matches(old).count().saturating_mul(new.len());
    if text.len().saturating_add(growth) > 2 * BODY_BYTES {
        return Err(refused("the text with the replacements is too large"));
    }
    Ok(text.replace(old, new))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub(in crate::contract) fn percent_encode(text: &str) -> String {
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

/// Escapes a text for XML, within elements and attributes. Characters that XML can't hold at
/// all become U+FFFD.
pub(in crate::contract) fn xml_text(text: &str) -> Cow<'_, str> {
    let escaped = |character: char| match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        '\t' | '\n' | '\r' => None,
        character if character < ' ' => Some("\u{fffd}"),
        '\u{fffe}' | '\u{ffff}' => Some("\u{fffd}"),
        _ => None,
    };
    if !text.chars().any(|character| escaped(character).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match escaped(character) {
            Some(entity) => out.push_str(entity),
            None => out.push(character),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_leaves_only_unreserved_characters() {
        assert_eq!(percent_encode("aZ9-._~"), "aZ9-._~");
        assert_eq!(percent_encode("{\"é\": 1+1}&"), "%7B%22%C3%A9%22%3A%201%2B1%7D%26");
    }

    #[test]
    fn xml_has_no_character_that_it_could_not_hold() {
        assert_eq!(
            xml_text("a<b & 'c' \"d\">\n\u{1}é"),
            "a&lt;b &amp; &#39;c&#39; &quot;d&quot;&gt;\n\u{fffd}é"
        );
        assert!(matches!(xml_text("plain é"), Cow::Borrowed(_)));
    }

    #[test]
    fn replacements_have_a_limit() {
        let value = Value::from("a".repeat(100_000));
        assert!(replace(&value, "a", &"b".repeat(1_000)).is_err());
        assert!(replace(&value, "", "b").is_err());
        assert_eq!(replace(&Value::from("a:b"), ":", "\\:").unwrap(), "a\\:b");
    }
}
