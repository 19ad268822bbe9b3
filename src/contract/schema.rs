//! JSON Schemas of payloads: what a publisher must keep to, so that no receiver gets less than
//! the contract documents.

use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::schema_effort::{self, Counter, Effort};

/// The most mistakes that are reported of one payload.
pub const MAX_SCHEMA_ERRORS: usize = 20;

/// What it may cost to find out whether a payload keeps to its schema: some tens of
/// milliseconds.
const CHECK: Effort = Effort { parts: 2_000_000, steps: 2_000_000 };

/// What it may cost to find out what is wrong with it. Each part may be a mistake, and mistakes
/// take memory.
const SEARCH: Effort = Effort { parts: 100_000, steps: 2_000_000 };

/// The most memory that a compiled pattern takes, in bytes.
const PATTERN_BYTES: usize = 256 * 1_024;

/// A JSON Schema (draft 2020-12 unless it says otherwise), compiled. References to other
/// documents are not followed. Patterns are searched for in linear time, so they can't look
/// around or back.
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
        let patterns = PatternOptions::regex();
        let patterns = patterns.size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        let options = jsonschema::options().with_pattern_options(patterns);
        // First as it is, so that errors are about what its author wrote.
        options.build(&value).map_err(|error| error.to_string())?;
        let options = options
            .with_keyword(schema_effort::KEYWORD, |_, value, _| Ok(Box::new(Counter::new(value))));
        let counted = schema_effort::counted(value)?;
        let validator = options.build(&counted).map_err(|error| error.to_string())?;
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
        let validator = &self.validator;
        match schema_effort::within(CHECK, || validator.is_valid(&value)) {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => return Err(vec![whole("Takes too many steps to be checked")]),
        }
        let all = || {
            let errors = validator.iter_errors(&value).take(MAX_SCHEMA_ERRORS);
            errors.map(described).collect::<Vec<_>>()
        };
        let first = || validator.validate(&value).err().map(|error| vec![described(error)]);
        let found = schema_effort::within(SEARCH, all)
            .or_else(|| schema_effort::within(SEARCH, first).flatten())
            .filter(|errors| !errors.is_empty());
        Err(found.unwrap_or_else(|| vec![whole("Doesn't keep to its schema")]))
    }
}

/// A mistake of which nobody knows where it is.
fn whole(message: &str) -> SchemaError {
    SchemaError { location: Vec::new(), message: message.to_owned() }
}

fn described(error: ValidationError<'_>) -> SchemaError {
    let location = steps(error.instance_path().as_str());
    let message = match error.kind() {
        // This one shows the schema, to which what counts was added.
        ValidationErrorKind::Not { .. } => "The value is what the schema excludes".to_owned(),
        // The value itself may be personal, and the publisher knows it.
        _ => error.masked_with("The value").to_string(),
    };
    SchemaError { location, message }
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
        let not = Schema::compile(r#"{"not":{"type":"integer"}}"#.into()).unwrap();
        assert_eq!(not.check("1").unwrap_err()[0].message, "The value is what the schema excludes");
    }

    /// Of 2 to the power of `doublings` steps.
    fn doubling(doublings: usize, leaf: &str) -> String {
        let links = (1..=doublings).map(|link| {
            let before = format!(r##"{{"$ref":"#/$defs/{}"}}"##, link - 1);
            format!(r#""{link}":{{"allOf":[{before},{before}]}}"#)
        });
        let links = links.collect::<Vec<_>>().join(",");
        format!(r##"{{"$ref":"#/$defs/{doublings}","$defs":{{"0":{leaf},{links}}}}}"##)
    }

    #[test]
    fn schemas_that_explode_are_given_up() {
        let check = |schema: &str, payload: &str| {
            Schema::compile(schema.into())
                .unwrap()
                .check(payload)
                .map_err(|errors| errors.into_iter().map(|error| error.message).collect::<Vec<_>>())
        };
        let too_many = Err(vec!["Takes too many steps to be checked".to_owned()]);
        assert_eq!(check(&doubling(10, r#"{"type":"string"}"#), r#""a""#), Ok(()));
        assert_eq!(check(&doubling(100, r#"{"type":"string"}"#), r#""a""#), too_many);
        // One mistake is found at once, all of them never.
        let found = check(&doubling(100, r#"{"type":"string"}"#), "1").unwrap_err();
        assert_eq!(found, [r#"The value is not of type "string""#]);
        // Also where no part holds, and where no look at the payload is needed to know.
        for leaf in [r#"{"type":"string"}"#, r#"{"not":{}}"#, "false"] {
            assert_eq!(check(&doubling(100, leaf).replace("allOf", "anyOf"), "1"), too_many);
        }
        // Parts within parts, as deep as the payload.
        let chain =
            (1..1_000).map(|link| format!(r##""{link}":{{"$ref":"#/$defs/{}"}}"##, link - 1));
        let chain = chain.collect::<Vec<_>>().join(",");
        let chain = format!(
            r##"{{"items":{{"$ref":"#/$defs/999"}},"$defs":{{"0":{{"$ref":"#"}},{chain}}}}}"##
        );
        assert_eq!(check(&chain, &format!("{}{}", "[".repeat(100), "]".repeat(100))), too_many);
        // What refers to the whole, and looks at every name of it.
        let names = (0..1_000).map(|name| format!(r#""b{name}":true"#)).collect::<Vec<_>>();
        let names = format!(r#"{{"patternProperties":{{{}}}}}"#, names.join(","));
        let members = (0..10_000).map(|name| format!(r#""a{name}":1"#)).collect::<Vec<_>>();
        assert_eq!(check(&names, &format!("{{{}}}", members.join(","))), too_many);
        // Few steps that take long.
        let unique = format!(r#"{{"allOf":[{}]}}"#, [r#"{"uniqueItems":true}"#; 2_000].join(","));
        let long: Vec<String> = (0..10_000).map(|item| format!("[{item}]")).collect();
        assert_eq!(check(&unique, &format!("[{}]", long.join(","))), too_many);
    }

    #[test]
    fn a_payload_of_nothing_but_mistakes_is_refused_with_the_first_of_them() {
        let texts = Schema::compile(r#"{"items":{"type":"string"}}"#.into()).unwrap();
        let numbers = format!("[{}]", vec!["1"; 500_000].join(","));
        let errors = texts.check(&numbers).unwrap_err();
        assert_eq!((errors.len(), errors[0].location.join(".")), (1, "0".to_owned()));
        let integers = Schema::compile(r#"{"items":{"type":"integer"}}"#.into()).unwrap();
        assert_eq!(integers.check(&numbers), Ok(()));
    }

    #[test]
    fn patterns_take_linear_time_and_little_memory() {
        let compile = |pattern: &str| {
            Schema::compile(serde_json::json!({ "pattern": pattern }).to_string().into())
        };
        assert!(compile(r"^[A-Z]{2}\d+$").is_ok());
        assert!(compile(r"^(?=a)(a+)+\1$").is_err());
        assert!(compile(r"(a{1000}){1000}").is_err());
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
