//! Looking into JSON without taking all of it apart.

use std::borrow::Cow;
use std::ops::Range;

use super::{Json, JsonError, MAX_DEPTH, Scanner, parse};

/// The raw text of a member of the object `text`; the last one, where the key is repeated.
/// `None` where there is none or `text` isn't an object.
pub(in crate::contract) fn member<'a>(
    text: &'a str,
    name: &str,
) -> Result<Option<&'a str>, JsonError> {
    let mut found = None;
    each_member(text, |member| {
        if member.key == name.as_bytes() {
            found = Some(&text[member.value.0..member.value.1]);
        }
    })?;
    Ok(found)
}

/// Where the members of an object are, for texts of which several members are asked for: a
/// template with twenty fields would otherwise read the payload twenty times.
pub(in crate::contract) struct MemberPlaces(Vec<Place>);

struct Place {
    key: Range<usize>,
    /// The key where it is written with escapes.
    unescaped: Option<Vec<u8>>,
    value: Range<usize>,
}

impl MemberPlaces {
    /// Those of `text`; none where it isn't an object.
    pub(in crate::contract) fn of(text: &str) -> Result<MemberPlaces, JsonError> {
        let mut places = Vec::new();
        each_member(text, |Member { key, start, value }| {
            let (key, unescaped) = match key {
                // Behind the opening quotation mark.
                Cow::Borrowed(plain) => (start + 1..start + 1 + plain.len(), None),
                Cow::Owned(unescaped) => (0..0, Some(unescaped)),
            };
            places.push(Place { key, unescaped, value: value.0..value.1 });
        })?;
        Ok(MemberPlaces(places))
    }

    /// Where the value of a member is in `text`, which is the one that they were taken from;
    /// the last one, where the key is repeated.
    pub(in crate::contract) fn find(&self, text: &[u8], name: &[u8]) -> Option<Range<usize>> {
        let is_it = |place: &&Place| match &place.unescaped {
            None => place.key.len() == name.len() && text[place.key.clone()] == *name,
            Some(unescaped) => unescaped == name,
        };
        self.0.iter().rev().find(is_it).map(|place| place.value.clone())
    }
}

/// The object `text` with this member (whose value is JSON) at its end, in the place of any
/// of that name. `None` where `text` isn't an object.
pub(in crate::contract) fn with_member(
    text: &str,
    name: &str,
    value: &str,
) -> Result<Option<String>, JsonError> {
    let mut out = String::with_capacity(text.len() + name.len() + value.len() + 8);
    out.push('{');
    let is_object = each_member(text, |member| {
        if member.key != name.as_bytes() {
            out.push_str(&text[member.start..member.value.1]);
            out.push(',');
        }
    })?;
    if !is_object {
        return Ok(None);
    }
    let mut key = Vec::with_capacity(name.len() + 2);
    super::write_string(name.as_bytes(), &mut key);
    out.push_str(&String::from_utf8_lossy(&key));
    out.extend([":", value, "}"]);
    Ok(Some(out))
}

/// Where a member of an object stands.
struct Member<'a> {
    key: super::Text<'a>,
    /// Where its key starts.
    start: usize,
    /// Where its value starts and ends.
    value: (usize, usize),
}

/// Hands on the members of the object `text`. `false` where it isn't one.
fn each_member<'a>(text: &'a str, mut take: impl FnMut(Member<'a>)) -> Result<bool, JsonError> {
    let mut scan = Scanner { text, at: 0, max_depth: MAX_DEPTH };
    scan.skip_space();
    if !scan.eat(b'{') {
        return Ok(false);
    }
    scan.skip_space();
    if scan.eat(b'}') {
        return Ok(true);
    }
    loop {
        let start = scan.at;
        let key = scan.key()?;
        let value = scan.at;
        scan.skip_value()?;
        take(Member { key, start, value: (value, scan.at) });
        if !scan.another(b'}')? {
            return Ok(true);
        }
        scan.skip_space();
    }
}

/// The raw texts of the items of the array `text`. `None` where it isn't one.
pub(in crate::contract) fn items(text: &str) -> Result<Option<Vec<&str>>, JsonError> {
    let mut scan = Scanner { text, at: 0, max_depth: MAX_DEPTH };
    scan.skip_space();
    if !scan.eat(b'[') {
        return Ok(None);
    }
    let mut found = Vec::new();
    scan.skip_space();
    if scan.eat(b']') {
        return Ok(Some(found));
    }
    loop {
        let start = scan.at;
        scan.skip_value()?;
        found.push(&text[start..scan.at]);
        if !scan.another(b']')? {
            return Ok(Some(found));
        }
        scan.skip_space();
    }
}

/// The content of a JSON string; nothing for `null`; any other JSON as it stands. Halves of
/// surrogate pairs become U+FFFD.
pub(in crate::contract) fn content(text: &str) -> Result<String, JsonError> {
    Ok(match parse(text, MAX_DEPTH)? {
        Json::Array(_) | Json::Object(_) => text.trim().to_owned(),
        scalar => scalar_text(&scalar),
    })
}

/// The text of a string, a number or a truth value; nothing for anything else.
pub(in crate::contract) fn scalar_text(value: &Json<'_>) -> String {
    match value {
        Json::String(content) => String::from_utf8_lossy(content).into_owned(),
        Json::Number(text) => (*text).to_owned(),
        Json::Literal(word) if *word != "null" => (*word).to_owned(),
        Json::Literal(_) | Json::Array(_) | Json::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_added_and_replaced_and_the_rest_stays_as_it_was() {
        let with = |text| with_member(text, "b", "2").unwrap();
        assert_eq!(with("{}").unwrap(), r#"{"b":2}"#);
        assert_eq!(
            with(r#" { "a" : 1.10 , "b":[1], "c": {"b":"x"} } "#).unwrap(),
            r#"{"a" : 1.10,"c": {"b":"x"},"b":2}"#
        );
        assert_eq!(with("[1]"), None);
        assert!(with_member("{", "b", "2").is_err());
    }

    #[test]
    fn items_and_contents_are_found() {
        assert_eq!(items(r#" [1, "a,]" ,[2]] "#).unwrap().unwrap(), ["1", "\"a,]\"", "[2]"]);
        assert_eq!(items("[ ]").unwrap().unwrap(), Vec::<&str>::new());
        assert_eq!(items("{}").unwrap(), None);
        for (json, text) in [
            (r#""\u00e9\n""#, "é\n"),
            ("1.10", "1.10"),
            ("null", ""),
            ("true", "true"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(content(json).unwrap(), text);
        }
        assert!(content("x").is_err());
    }
}
