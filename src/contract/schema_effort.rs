//! A bound on the work of checking a payload. A schema of a few lines, whose parts refer to
//! each other twice, asks for more steps than there is time; and its validator can't be told to
//! stop. So each of its parts is put behind a keyword of ours, which counts what the part costs.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jsonschema::{Keyword, ValidationError};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// The keyword that counts. It says how many keywords of the part behind it look at all of a
/// value, however deep it goes.
pub(super) const KEYWORD: &str = "hookwright:effort";

/// The name of the schema as a whole.
const ROOT: &str = "hookwright:root";

/// Keywords that hold a schema, or several in an array.
const HOLD_SCHEMAS: [&str; 16] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords that hold a schema for each of some names.
const HOLD_NAMED: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// Keywords that refer to other parts.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// How much of its thread's stack a check may take, in bytes; a thread has 2 MiB.
const STACK_BYTES: usize = 768 * 1_024;

/// Bytes of a text that are read in the time of one step.
const BYTES_PER_STEP: usize = 16;

/// What a check may cost.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// How many parts of the schema it may try at values.
    pub(super) parts: usize,
    /// How many looks at values that may take.
    pub(super) steps: usize,
}

thread_local! {
    /// What the check that runs on this thread has left.
    static LEFT: Cell<Effort> = const { Cell::new(Effort { parts: 0, steps: 0 }) };
    /// Where on the stack it began.
    static BEGAN_AT: Cell<usize> = const { Cell::new(0) };
}

/// What unwinds a check that has nothing left.
struct Exhausted;

/// Runs a check. `None` where it would cost more, or where parts lie too deep within each other.
pub(super) fn within<T>(effort: Effort, check: impl FnOnce() -> T) -> Option<T> {
    LEFT.set(effort);
    BEGAN_AT.set(place_on_stack());
    match catch_unwind(AssertUnwindSafe(check)) {
        Ok(checked) => Some(checked),
        Err(panic) if panic.is::<Exhausted>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

#[inline(never)]
fn place_on_stack() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

/// The schema with every part of it counted before it is tried.
///
/// # Errors
/// A sentence about a reference to where nothing counts.
pub(super) fn counted(mut schema: Value) -> Result<Value, String> {
    let Some(keywords) = schema.as_object_mut() else { return Ok(schema) };
    let draft = keywords.remove("$schema");
    let id = keywords.remove("$id");
    let mut whole = match draft {
        Some(draft) => json!({ "$schema": draft }),
        None => json!({}),
    };
    Counting { id: id.as_ref().and_then(Value::as_str).unwrap_or_default() }.part(&mut schema)?;
    // Within another, so that what refers to all of it is counted too.
    whole["$defs"] = json!({ ROOT: schema });
    whole["$ref"] = format!("#/$defs/{ROOT}").into();
    Ok(whole)
}

struct Counting<'a> {
    /// That of the document.
    id: &'a str,
}

impl Counting<'_> {
    fn part(&self, part: &mut Value) -> Result<(), String> {
        // `true` and `false` cost nothing.
        let Value::Object(keywords) = part else { return Ok(()) };
        // No keyword since draft 6.
        keywords.remove("id");
        for (keyword, value) in keywords.iter_mut() {
            self.keyword(keyword, value)?;
        }
        let thorough = thorough_keywords(keywords);
        *part = json!({ "allOf": [{ KEYWORD: thorough }, part.take()] });
        Ok(())
    }

    fn keyword(&self, keyword: &str, value: &mut Value) -> Result<(), String> {
        match value {
            Value::String(target) if REFERENCES.contains(&keyword) => {
                *target = self.moved(target)?;
            }
            Value::String(id) if keyword == "$id" => {
                return Err(format!("A part of a schema can't have an id of its own: `{id}`"));
            }
            Value::Array(parts) if HOLD_SCHEMAS.contains(&keyword) => {
                parts.iter_mut().try_for_each(|part| self.part(part))?;
            }
            part if HOLD_SCHEMAS.contains(&keyword) => self.part(part)?,
            Value::Object(parts) if HOLD_NAMED.contains(&keyword) => {
                parts.values_mut().try_for_each(|part| self.part(part))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The reference to where its target is when every part counts.
    fn moved(&self, target: &str) -> Result<String, String> {
        let (document, fragment) = target.split_once('#').unwrap_or((target, ""));
        if !document.is_empty() && document != self.id.trim_end_matches('#') {
            return Err(format!("References to other documents are not followed: `{target}`"));
        }
        if !fragment.is_empty() && !fragment.starts_with('/') {
            // The name of an anchor.
            return Ok(format!("#{fragment}"));
        }
        let mut moved = format!("#/$defs/{ROOT}");
        let mut steps = fragment.split('/').skip(1).peekable();
        while let Some(step) = steps.next() {
            let keyword = percent_decode_str(step).decode_utf8_lossy();
            let no_schema = || format!("`{target}` doesn't refer to a schema");
            moved.extend(["/allOf/1/", step]);
            if HOLD_NAMED.contains(&&*keyword) {
                moved.extend(["/", steps.next().ok_or_else(no_schema)?]);
            } else if !HOLD_SCHEMAS.contains(&&*keyword) {
                return Err(no_schema());
            } else if let Some(index) = steps.next_if(|step| step.parse::<usize>().is_ok()) {
                moved.extend(["/", index]);
            }
        }
        Ok(moved)
    }
}

fn thorough_keywords(schema: &Map<String, Value>) -> usize {
    let each = |keyword| match schema.get(keyword) {
        Some(Value::Array(values)) => values.len(),
        Some(Value::Object(patterns)) => patterns.len(),
        _ => 0,
    };
    let once = ["uniqueItems", "const", "pattern", "format"];
    let once = once.iter().filter(|keyword| schema.contains_key(**keyword)).count();
    once + each("enum") + each("patternProperties")
}

/// Counts what the part behind it costs.
pub(super) struct Counter {
    thorough: usize,
}

impl Counter {
    /// As the keyword's value has it.
    pub(super) fn new(thorough: &Value) -> Counter {
        let thorough = thorough.as_u64().and_then(|count| usize::try_from(count).ok());
        Counter { thorough: thorough.unwrap_or(usize::MAX) }
    }

    fn count(&self, value: &Value) {
        let Effort { parts, steps } = LEFT.get();
        let stack = BEGAN_AT.get().abs_diff(place_on_stack());
        match (parts.checked_sub(1), steps.checked_sub(self.steps(value))) {
            (Some(parts), Some(steps)) if stack <= STACK_BYTES => LEFT.set(Effort { parts, steps }),
            // Not a panic that anybody is told of: [`within`] takes it.
            _ => resume_unwind(Box::new(Exhausted)),
        }
    }

    fn steps(&self, value: &Value) -> usize {
        let wide = match value {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            Value::String(text) => text.len() / BYTES_PER_STEP,
            _ => 0,
        };
        let deep = match self.thorough {
            0 => 0,
            times => times.saturating_mul(size(value)),
        };
        deep.saturating_add(wide).saturating_add(1)
    }
}

/// The steps that a look at all of a value takes.
fn size(value: &Value) -> usize {
    let text = |text: &str| 1 + text.len() / BYTES_PER_STEP;
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => {
            1 + members.iter().map(|(name, value)| text(name) + size(value)).sum::<usize>()
        }
        Value::String(value) => text(value),
        _ => 1,
    }
}

impl<'i> Keyword<'i> for Counter {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        self.count(value);
        Ok(())
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        self.count(value);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(thorough: usize, part: Value) -> Value {
        json!({ "allOf": [{ KEYWORD: thorough }, part] })
    }

    #[test]
    fn every_part_counts_and_values_stay_as_they_are() {
        let draft = "http://json-schema.org/draft-07/schema#";
        let schema = json!({
            "$schema": draft,
            "$id": "https://example.com/",
            "properties": { "enum": { "enum": [{ "not": 1 }, 2] }, "b": true },
            "dependencies": { "a": ["b"], "b": false },
            "not": { "const": { "not": {} } },
            "anyOf": [{ "uniqueItems": true, "pattern": "a", "mine": { "not": {} } }],
        });
        let expected = json!({
            "properties": { "enum": part(2, json!({ "enum": [{ "not": 1 }, 2] })), "b": true },
            "dependencies": { "a": ["b"], "b": false },
            "not": part(1, json!({ "const": { "not": {} } })),
            "anyOf": [
                part(2, json!({ "uniqueItems": true, "pattern": "a", "mine": { "not": {} } })),
            ],
        });
        let expected = json!({
            "$schema": draft,
            "$ref": "#/$defs/hookwright:root",
            "$defs": { ROOT: part(0, expected) },
        });
        assert_eq!(counted(schema), Ok(expected));
        assert_eq!(counted(json!(true)), Ok(json!(true)));
        assert!(counted(json!({ "items": { "$id": "https://example.com/" } })).is_err());
    }

    #[test]
    fn references_lead_to_where_their_targets_are_moved() {
        let counting = Counting { id: "https://example.com/a" };
        for (target, expected) in [
            ("#", Some("")),
            ("https://example.com/a", Some("")),
            ("https://example.com/a#/not", Some("/allOf/1/not")),
            ("#/$defs/a", Some("/allOf/1/$defs/a")),
            ("#/%24defs/a~1b", Some("/allOf/1/%24defs/a~1b")),
            ("#/allOf/0/not", Some("/allOf/1/allOf/0/allOf/1/not")),
            (
                "#/properties/const/items/2/properties/items",
                Some("/allOf/1/properties/const/allOf/1/items/2/allOf/1/properties/items"),
            ),
            ("#/const", None),
            ("#/%63onst/a", None),
            ("#/properties", None),
            ("#/properties/properties/enum/0", None),
            ("#/components/schemas/a", None),
            ("b#/not", None),
            ("https://json-schema.org/draft/2020-12/schema", None),
        ] {
            let expected = expected.map(|path| format!("#/$defs/{ROOT}{path}"));
            assert_eq!(counting.moved(target).ok(), expected, "{target}");
        }
        assert_eq!(counting.moved("#anchor"), Ok("#anchor".to_owned()));
    }
}
