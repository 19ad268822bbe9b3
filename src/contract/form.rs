//! `application/x-www-form-urlencoded`: writing it from JSON, and taking it apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::json::{self, Json, JsonError};
use super::template::BODY_BYTES;

/// Why JSON can't become a form.
#[derive(Debug)]
pub(super) enum FormError {
    NotJson(JsonError),
    /// Deep names are repeated for each value below them, so a form can be far larger than
    /// the JSON it is made from.
    TooLarge,
}

/// Encodes a name or value: spaces as `+`, everything but `*-._`, letters and digits as `%XX`.
pub(super) fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A JSON object as a form, in the order of its members. Members of members are named
/// `outer[inner]`; items of lists get the suffix `index` (`[0]` for their number, `[]`, or
/// nothing, so that the name is repeated). `null` is an empty value.
pub(super) fn from_json(text: &str, index: ListNames) -> Result<String, FormError> {
    let value = json::parse(text, json::MAX_DEPTH).map_err(FormError::NotJson)?;
    let mut form = String::new();
    write(&value, &mut String::new(), index, &mut form)?;
    Ok(form)
}

/// How the items of lists are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListNames {
    Numbered,
    Brackets,
    Repeated,
}

impl ListNames {
    pub(super) fn parse(text: &str) -> Option<ListNames> {
        match text {
            "[0]" => Some(ListNames::Numbered),
            "[]" => Some(ListNames::Brackets),
            "" => Some(ListNames::Repeated),
            _ => None,
        }
    }
}

fn write(
    value: &Json<'_>,
    name: &mut String,
    lists: ListNames,
    form: &mut String,
) -> Result<(), FormError> {
    let outer = name.len();
    match value {
        Json::Object(members) => {
            for (key, member) in members {
                let key = String::from_utf8_lossy(key);
                match outer {
                    0 => name.push_str(&key),
                    _ => name.extend(["[", &key, "]"]),
                }
                write(member, name, lists, form)?;
                name.truncate(outer);
            }
        }
        Json::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                match lists {
                    ListNames::Numbered => name.push_str(&format!("[{number}]")),
                    ListNames::Brackets => name.push_str("[]"),
                    ListNames::Repeated => {}
                }
                write(item, name, lists, form)?;
                name.truncate(outer);
            }
        }
        scalar => {
            if !form.is_empty() {
                form.push('&');
            }
            form.extend([&encode(name), "=", &encode(&json::scalar_text(scalar))]);
        }
    }
    if form.len() > BODY_BYTES { Err(FormError::TooLarge) } else { Ok(()) }
}

/// The parameters of a form or query, decoded and sorted by name and value: each as its name,
/// `between` and its value, with `behind` between one and the next.
pub(super) fn sorted_pairs(form: &str, between: &str, behind: &str) -> String {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        url::form_urlencoded::parse(form.as_bytes()).collect();
    pairs.sort();
    let written = pairs.into_iter().map(|(name, value)| format!("{name}{between}{value}"));
    written.collect::<Vec<_>>().join(behind)
}

/// A query in K-LINK's normalised form: names and values percent-decoded, sorted by name;
/// the values of a name that occurs several times sorted, in brackets.
pub(super) fn sorted_query(query: &str) -> String {
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
    fn json_becomes_a_form_in_the_ways_that_are_usual() {
        let json = r#"{"b":{"c d":[1.10,"x&y"]},"a":null,"e":true,"f":[],"é":"ü"}"#;
        let form = |lists| from_json(json, ListNames::parse(lists).unwrap()).unwrap();
        let rest = "&a=&e=true&%C3%A9=%C3%BC";
        let start = "b%5Bc+d%5D";
        assert_eq!(form("[0]"), format!("{start}%5B0%5D=1.10&{start}%5B1%5D=x%26y{rest}"));
        assert_eq!(form("[]"), format!("{start}%5B%5D=1.10&{start}%5B%5D=x%26y{rest}"));
        assert_eq!(form(""), format!("{start}=1.10&{start}=x%26y{rest}"));
    }

    #[test]
    fn a_form_stops_growing_at_its_limit() {
        let json = format!(r#"{{"{}":[{}0]}}"#, "n".repeat(100_000), "0,".repeat(100_000));
        assert!(matches!(from_json(&json, ListNames::Repeated), Err(FormError::TooLarge)));
        assert!(matches!(from_json("{", ListNames::Repeated), Err(FormError::NotJson(_))));
    }

    #[test]
    fn pairs_are_decoded_and_sorted() {
        assert_eq!(sorted_pairs("To=%2B1&Body=a+b&A=2&A=1", "", ""), "A1A2Bodya bTo+1");
        assert_eq!(sorted_pairs("b=2&a=1", "=", "&"), "a=1&b=2");
    }
}
