//! Errors in a company's own words.

use std::collections::BTreeMap;

use http::StatusCode;
use minijinja::Value;

use super::template::TemplateId;
use super::{Context, Route, Routes};
use crate::domain::{Error, ErrorCode, FieldError};

/// How a contract's errors look.
#[derive(Debug, Default)]
pub struct ErrorRules {
    /// The body; the native one where there is none.
    pub(super) body: Option<TemplateId>,
    /// The company's words for our codes, where they differ.
    pub(super) codes: BTreeMap<&'static str, ErrorWord>,
}

/// The company's word for one of our codes.
#[derive(Clone, Debug)]
pub(super) struct ErrorWord {
    pub(super) code: Option<String>,
    pub(super) status: Option<StatusCode>,
    /// A sentence that takes the place of ours.
    pub(super) message: Option<String>,
}

/// An error as the customer gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    pub status: StatusCode,
    pub body: String,
}

impl Routes {
    /// Writes an error the company's way. `native` is the status that the native API gives
    /// it; `None` where the contract leaves errors as they are.
    ///
    /// # Errors
    /// Where the template can't be rendered: a defect of the contract.
    pub fn error(
        &self,
        error: &Error,
        native: StatusCode,
        route: Option<&Route>,
    ) -> Result<Option<ErrorReply>, String> {
        let Some(body) = &self.errors.body else { return Ok(None) };
        let word = self.errors.codes.get(error.code.as_str());
        let status = word.and_then(|word| word.status).unwrap_or(native);
        let code = word.and_then(|word| word.code.as_deref()).unwrap_or(error.code.as_str());
        let fields: Vec<Value> = error.fields.iter().map(|field| shown(field, route)).collect();
        let message = match word.and_then(|word| word.message.as_deref()) {
            Some(message) => message.to_owned(),
            None => sentence(error, route),
        };
        let first = fields
            .first()
            .map_or(Value::from(()), |first| first.get_attr("name").unwrap_or_default());
        let members: [(&str, Value); 5] = [
            ("code", Value::from(code)),
            ("status", Value::from(status.as_u16())),
            ("message", Value::from(message)),
            ("field", first),
            ("fields", Value::from(fields)),
        ];
        let context = Context::from([("error", Value::from_pairs(members))]);
        let body = self.templates.render_json(body, &context).map_err(super::located)?;
        Ok(Some(ErrorReply { status, body }))
    }
}

/// What is wrong in a sentence, with the fields by the customer's names for them.
fn sentence(error: &Error, route: Option<&Route>) -> String {
    if error.code == ErrorCode::Internal {
        return "Something went wrong on our side".to_owned();
    }
    if error.fields.is_empty() {
        return error.detail.clone();
    }
    let one = |field: &FieldError| {
        let message = field.message.trim_end_matches('.');
        match name(field, route) {
            name if name.is_empty() => message.to_owned(),
            name => format!("{name}: {message}"),
        }
    };
    error.fields.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn shown(field: &FieldError, route: Option<&Route>) -> Value {
    let members: [(&str, Value); 2] = [
        ("name", Value::from(name(field, route))),
        ("message", Value::from(field.message.as_str())),
    ];
    Value::from_pairs(members)
}

/// The customer's name for a refused field.
fn name(field: &FieldError, route: Option<&Route>) -> String {
    // The first step says whether it stood in the body or the query, which nobody documents.
    let native = field.location.get(1..).unwrap_or_default().join(".");
    route.and_then(|route| route.source_of(&native)).unwrap_or(native)
}
