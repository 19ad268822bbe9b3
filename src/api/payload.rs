//! Checks of published JSON that its syntax alone doesn't make: depth, and text that is text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::contract::MAX_JSON_DEPTH;

/// Walks a JSON text once. It must not be nested deeper than [`MAX_JSON_DEPTH`], and its
/// strings must be Unicode: an unpaired surrogate (`"\ud800"`) passes as JSON, but no receiver
/// can be sent it in UTF-8.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check(json: &str) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let walked = Walk { depth: 0 }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    walked.map_err(|error| {
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })
}

struct Walk {
    depth: usize,
}

impl Walk {
    fn inside<E: serde::de::Error>(&self) -> Result<Walk, E> {
        if self.depth == MAX_JSON_DEPTH {
            return Err(E::custom(format!(
                "Must not be nested deeper than {MAX_JSON_DEPTH} levels"
            )));
        }
        Ok(Walk { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.inside::<A::Error>()?;
        while items.next_element_seed(Walk { depth: inside.depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.inside::<A::Error>()?;
        while members.next_key_seed(Walk { depth: inside.depth })?.is_some() {
            members.next_value_seed(Walk { depth: inside.depth })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_limited() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check(&nested(MAX_JSON_DEPTH)), Ok(()));
        assert!(check(&nested(MAX_JSON_DEPTH + 1)).unwrap_err().contains("nested deeper"));
        assert!(check(&nested(100_000)).is_err());
    }

    #[test]
    fn numbers_of_any_size_and_unicode_pass_but_half_characters_do_not() {
        assert_eq!(
            check(r#"{"a":1.10,"b":123456789012345678901234567890,"c":"é\ud83d\ude00"}"#),
            Ok(())
        );
        assert!(check(r#"{"a":"\ud800"}"#).is_err());
        assert!(check(r#"{"\ud800":1}"#).is_err());
    }
}
