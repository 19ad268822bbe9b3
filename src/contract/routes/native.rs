//! An answer of the native API as templates see it.

use std::fmt;

use bytes::Bytes;
use minijinja::Value;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::ids::Ids;
use crate::contract::scope::RawText;

/// Members whose JSON is handed on byte for byte: payloads keep their numbers as written.
const VERBATIM: [&str; 2] = ["payload", "body"];

/// Members that are ids, which the contract may write another way.
const IDS: [&str; 3] = ["id", "msgId", "endpointId"];

/// Reads JSON into a value for templates, with ids in the contract's form.
///
/// # Errors
/// Where it isn't JSON.
pub(super) fn read(text: &[u8], ids: &Ids) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Native { ids, is_id: false }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Native<'a> {
    ids: &'a Ids,
    is_id: bool,
}

impl<'de> DeserializeSeed<'de> for Native<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Native<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::from(()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::from(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(if self.is_id { Value::from(self.ids.written(text)) } else { Value::from(text) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Native { is_id: false, ..self })? {
            items.push(item);
        }
        Ok(Value::from(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = match VERBATIM.contains(&key.as_str()) {
                true => verbatim(map.next_value::<Box<RawValue>>()?),
                false => {
                    let is_id = IDS.contains(&key.as_str());
                    map.next_value_seed(Native { is_id, ..self })?
                }
            };
            members.push((key, value));
        }
        Ok(Value::from_pairs(members))
    }
}

fn verbatim(raw: Box<RawValue>) -> Value {
    Value::from_object(RawText::new(Bytes::from(String::from(Box::<str>::from(raw)))))
}
