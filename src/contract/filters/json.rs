//! Filters that read and write JSON.

use std::fmt::Write as _;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, Value};

use super::{refused, text_of};
use crate::contract::form::{self, FormError, ListNames};
use crate::contract::json::{self, JsonError};
use crate::contract::scope::{RawText, Ready};

pub(super) fn register(engine: &mut Environment<'static>) {
    engine.add_filter("canonical", |text: &Value| rewritten(text, json::canonical));
    engine.add_filter("stringified", |text: &Value| rewritten(text, json::stringified));
    engine.add_filter("ascii", ascii);
    engine.add_filter("member", member);
    engine.add_filter("elements", elements);
    engine.add_filter("text", text);
    engine.add_filter("json", quoted);
    engine.add_filter("with", with);
    engine.add_filter("form", to_form);
}

fn raw(text: impl Into<String>) -> Value {
    Value::from_object(RawText::new(text.into().into()))
}

fn rewritten(
    value: &Value,
    form: impl Fn(&str) -> Result<String, JsonError>,
) -> Result<Value, Error> {
    let text = text_of(value)?;
    // A request without a body has none in any form.
    if text.is_empty() {
        return Ok(raw(""));
    }
    form(&text).map(raw).map_err(not_json)
}

/// JSON with everything beyond ASCII written as `\\uXXXX`.
fn ascii(value: &Value) -> Result<Value, Error> {
    let text = text_of(value)?;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    Ok(raw(out))
}

/// What stands at the end of this path of names and numbers; `null` where nothing does.
fn member(value: &Value, path: Rest<Value>) -> Result<Value, Error> {
    let text = text_of(value)?;
    let mut found: &str = &text;
    // Only where the whole text is asked: what is found in it has nothing to remember it by.
    let mut whole = value.downcast_object_ref::<RawText>();
    for step in path.iter() {
        let next = match (step.as_str(), step.as_usize()) {
            (Some(name), _) => match whole.take() {
                Some(text) => text.member(name),
                None => json::member(found, name),
            }
            .map_err(not_json)?,
            (None, Some(number)) => {
                whole = None;
                json::items(found).map_err(not_json)?.into_iter().flatten().nth(number)
            }
            (None, None) => return Err(refused("member takes names and numbers")),
        };
        let Some(next) = next else { return Ok(raw("null")) };
        found = next;
    }
    Ok(raw(found))
}

/// The elements of a JSON list, to loop over; of anything else there are none.
fn elements(value: &Value) -> Result<Vec<Value>, Error> {
    let text = text_of(value)?;
    let found = json::items(&text).map_err(not_json)?.unwrap_or_default();
    Ok(found.into_iter().map(raw).collect())
}

/// The content of a JSON string, and any other JSON as it stands; nothing for `null`.
fn text(value: &Value) -> Result<String, Error> {
    let text = text_of(value)?;
    json::content(&text).map_err(not_json)
}

/// A value as JSON, for where values are not escaped.
fn quoted(value: &Value) -> Result<Value, Error> {
    if value.downcast_object_ref::<RawText>().is_some() {
        return Ok(value.clone());
    }
    if value.is_none() {
        return Ok(raw("null"));
    }
    if let ValueKind::Number | ValueKind::Bool = value.kind() {
        return Ok(raw(value.to_string()));
    }
    let text = text_of(value)?;
    let mut written = Vec::with_capacity(text.len() + 2);
    json::write_string(text.as_bytes(), &mut written);
    String::from_utf8(written).map(raw).map_err(|_| refused("this isn't UTF-8"))
}

/// An object with one more member: of the payload, mostly.
fn with(object: &Value, name: &str, value: &Value) -> Result<Value, Error> {
    let added = quoted(value)?;
    let changed = json::with_member(&text_of(object)?, name, &text_of(&added)?);
    match changed.map_err(not_json)? {
        Some(changed) => Ok(raw(changed)),
        None => Err(refused("a member can only be added to an object")),
    }
}

fn to_form(value: &Value, lists: Option<&str>) -> Result<Value, Error> {
    let text = text_of(value)?;
    let lists = ListNames::parse(lists.unwrap_or("[0]"))
        .ok_or_else(|| refused("lists are named \"[0]\", \"[]\" or \"\""))?;
    match form::from_json(&text, lists) {
        Ok(form) => Ok(Value::from_object(Ready(form))),
        Err(FormError::NotJson(error)) => Err(not_json(error)),
        Err(FormError::TooLarge) => Err(refused("the form is too large")),
    }
}

fn not_json(error: JsonError) -> Error {
    refused(format!("this isn't JSON: {error}"))
}
