//! JSON Schemas of payloads: what a publisher must keep to, so that no receiver gets less than
//! the contract documents.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

/// The most mistakes that are reported of one payload.
pub const MAX_SCHEMA_ERRORS: usize = 20;

/// A JSON Schema (draft 2020-12 unless it says otherwise), compiled. References to other
/// documents are not followed.
#[derive(Clone)]
pub struct Schema {
    text: Arc<str>,
    validator: Arc<Validator>,
}

/// A value that the schema doesn't allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// The path to the value within the payload: member names and indexes.
    pub location: Vec<String>,
    pub message: String,
}

impl Schema {
    /// # Errors
    /// A sentence, where the text is not JSON or not a schema.
    pub fn compile(text: Arc<str>) -> Result<Schema, String> {
        let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let validator = jsonschema::validator_for(&value).map_err(|error| error.to_string())?;
        Ok(Schema { text, validator: Arc::new(validator) })
    }

    /// The schema, as raw JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks a payload.
    ///
    /// # Errors
    /// The first [`MAX_SCHEMA_ERRORS`] mistakes, each with where it is.
    pub fn check(&self, payload: &str) -> Result<(), Vec<SchemaError>> {
        let value: Value = serde_json::from_str(payload).map_err(|error| {
            vec![SchemaError { location: Vec::new(), message: error.to_string() }]
        })?;
        let errors: Vec<SchemaError> = self
            .validator
            .iter_errors(&value)
            .take(MAX_SCHEMA_ERRORS)
            .map(|error| SchemaError {
                location: steps(error.instance_path().as_str()),
                // The value itself may be personal, and the publisher knows it.
                message: error.masked_with("The value").to_string(),
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The steps of a JSON Pointer (RFC 6901).
fn steps(pointer: &str) -> Vec<String> {
    let steps = pointer.split('/').skip(1);
    steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

impl PartialEq for Schema {
    fn eq(&self, other: &Schema) -> bool {
        self.text == other.text
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let text = r#"{
            "type": "object",
            "properties": {
                "score": { "type": "integer" },
                "a/b": { "type": "array", "items": { "type": "string" } }
            },
            "additionalProperties": false
        }"#;
        Schema::compile(text.into()).unwrap()
    }

    #[test]
    fn every_mistake_is_named_by_its_path_and_without_its_value() {
        assert_eq!(schema().check(r#"{"score":1,"a/b":["x"]}"#), Ok(()));
        let errors = schema().check(r#"{"score":"confidential","a/b":["x",2]}"#).unwrap_err();
        let mut locations: Vec<_> = errors.iter().map(|error| error.location.join(".")).collect();
        locations.sort();
        assert_eq!(locations, ["a/b.1", "score"]);
        assert!(errors.iter().all(|error| !error.message.contains("confidential")), "{errors:?}");
        let errors = schema().check(r#"{"scores":1}"#).unwrap_err();
        assert!(errors[0].message.contains("scores"), "{errors:?}");
    }

    #[test]
    fn numbers_beyond_a_double_are_judged_by_their_kind() {
        let huge = r#"{"score":123456789012345678901234567890}"#;
        assert_eq!(schema().check(huge), Ok(()));
        assert!(schema().check(r#"{"score":1.5}"#).is_err());
    }

    #[test]
    fn schemas_that_refer_to_themselves_come_to_an_end() {
        for text in [
            r##"{"$ref":"#"}"##,
            r##"{"allOf":[{"$ref":"#"}]}"##,
            r##"{"anyOf":[{"$ref":"#"},{"type":"string"}]}"##,
            r##"{"oneOf":[{"$ref":"#"}]}"##,
            r##"{"not":{"$ref":"#"}}"##,
            r##"{"if":{"$ref":"#"},"then":{"$ref":"#"}}"##,
            r##"{"dependentSchemas":{"a":{"$ref":"#"}}}"##,
            r##"{"$dynamicAnchor":"a","allOf":[{"$dynamicRef":"#a"}]}"##,
            r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"allOf":[{"$ref":"#/$defs/a"}]}}}"##,
            r##"{"unevaluatedProperties":false,"allOf":[{"$ref":"#"}]}"##,
            r##"{"properties":{"a":{"$ref":"#"}},"unevaluatedProperties":{"$ref":"#"}}"##,
        ] {
            let Ok(schema) = Schema::compile(text.into()) else { continue };
            let deep = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
            for payload in ["1", r#"{"a":1}"#, &deep] {
                // Whatever the verdict: there is one.
                let _ = schema.check(payload);
            }
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(Schema::compile(r#"{"type":"text"}"#.into()).is_err());
        assert!(Schema::compile("{".into()).is_err());
        assert!(Schema::compile(r#"{"$ref":"https://example.com/other.json"}"#.into()).is_err());
    }
}
