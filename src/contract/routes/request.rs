//! From a customer's request to the native call that a route stands for.

use minijinja::Value;
use serde_json::Value as Json;

use super::filters::{MARK, OMITTED, REFUSED};
use super::probe::Probe;
use super::template::TemplateId;
use super::{Context, Noun, Route, Routes};
use crate::domain::{Error, ErrorCode, FieldError, Result};

/// What a customer sent to a route.
#[derive(Clone, Debug)]
pub struct CustomerRequest {
    /// The path's parameters, decoded.
    pub path: Vec<(String, String)>,
    /// The query's parameters, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// Empty where there was none.
    pub body: Vec<u8>,
}

/// The native call that a request amounts to.
#[derive(Debug)]
pub struct Call {
    /// The application that the route names; `None` for the key's own.
    pub application: Option<String>,
    pub endpoint: Option<String>,
    pub event_type: Option<String>,
    pub message: Option<String>,
    /// The operation's input: members of a body, or parameters of a query.
    pub input: serde_json::Map<String, Json>,
    pub(super) context: Context,
}

impl Call {
    /// Says whose application it is and in which environment, for the response.
    pub fn about(&mut self, application_uid: &str, application_name: &str, environment: &str) {
        let members =
            [("uid", Value::from(application_uid)), ("name", Value::from(application_name))];
        self.context.insert("application", Value::from_pairs(members));
        self.context.insert("environment", Value::from(environment));
    }
}

impl Routes {
    /// Reads a request.
    ///
    /// # Errors
    /// What is wrong with it, with the customer's own names for its fields.
    pub fn read(&self, route: &Route, request: &CustomerRequest) -> Result<Call> {
        let body = if route.reads_body { body(&request.body)? } else { nothing() };
        let context = Context::from([
            ("path", texts(&request.path)?),
            ("query", texts(&request.query)?),
            ("body", body),
        ]);
        let application = route.application.as_ref();
        let mut call = Call {
            application: application.map(|one| self.name(one, &context)).transpose()?,
            endpoint: None,
            event_type: None,
            message: None,
            input: serde_json::Map::new(),
            context: Context::new(),
        };
        for (noun, template) in &route.nouns {
            let text = self.name(template, &context)?;
            match noun {
                Noun::Endpoint => {
                    call.endpoint = Some(self.ids.endpoint(&text).ok_or_else(Error::not_found)?)
                }
                Noun::Message => call.message = Some(self.ids.message(&text).unwrap_or(text)),
                Noun::EventType => call.event_type = Some(text),
            }
        }
        require(&route.required, &context)?;
        if let Some(template) = &route.request {
            call.input = self.input(template, &context)?;
        }
        call.context = context;
        Ok(call)
    }

    fn name(&self, template: &TemplateId, context: &Context) -> Result<String> {
        self.templates.render(template, context).map_err(|_| {
            // It was tried out with the contract, so something isn't there or isn't a text.
            let names = self.templates.names(template);
            require(&names, context).err().unwrap_or_else(Error::not_found)
        })
    }

    fn input(
        &self,
        template: &TemplateId,
        context: &Context,
    ) -> Result<serde_json::Map<String, Json>> {
        let text = self.templates.render_json(template, context).map_err(internal)?;
        let parsed =
            serde_json::from_str(&text).map_err(|error| Error::internal(error.to_string()))?;
        let mut refused = Vec::new();
        let cleaned = clean(parsed, &mut Vec::new(), &mut refused);
        if !refused.is_empty() {
            return Err(Error::fields(refused));
        }
        match cleaned {
            Some(Json::Object(members)) => Ok(members),
            _ => Err(Error::internal("a request template makes something else than an object")),
        }
    }
}

fn internal(error: crate::contract::template::TemplateError) -> Error {
    Error::internal(super::located(error))
}

fn texts(pairs: &[(String, String)]) -> Result<Value> {
    if pairs.iter().any(|(_, text)| text.starts_with(MARK)) {
        return Err(marked());
    }
    // Of a name that is given twice the first counts.
    let first_last = pairs.iter().rev();
    let values = first_last.map(|(name, value)| (name.as_str(), Value::from(value.as_str())));
    Ok(Value::from_pairs(values))
}

fn marked() -> Error {
    let detail = "A text begins with the control character U+0001, which nothing here can hold";
    Error::new(ErrorCode::BadRequest, detail)
}

fn nothing() -> Value {
    Value::from_pairs::<_, &str, Value>([])
}

fn body(bytes: &[u8]) -> Result<Value> {
    if bytes.is_empty() {
        return Ok(nothing());
    }
    let invalid = |reason: String| {
        Error::new(ErrorCode::BadRequest, format!("The body isn't valid JSON: {reason}"))
    };
    let text = std::str::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
    crate::contract::json::validate(text).map_err(|error| invalid(error.to_string()))?;
    let value: Json = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    if has_mark(&value) {
        return Err(marked());
    }
    let value = Value::from(minijinja::value::Serde(&value));
    match value.kind() {
        minijinja::value::ValueKind::Map => Ok(value),
        kind => Err(Error::new(
            ErrorCode::BadRequest,
            format!("The body must be a JSON object, not {kind}"),
        )),
    }
}

/// Whether a text in it could be taken for what a request template says.
fn has_mark(value: &Json) -> bool {
    match value {
        Json::String(text) => text.starts_with(MARK),
        Json::Array(items) => items.iter().any(has_mark),
        Json::Object(members) => members.values().any(has_mark),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Refuses a request without what the route requires. `null` is nothing.
fn require(required: &[String], context: &Context) -> Result<()> {
    let missing = required.iter().filter(|path| {
        let mut steps = path.split('.');
        let root = steps.next().and_then(|root| context.get(root)).cloned().unwrap_or_default();
        let value = steps.try_fold(root, |value, step| value.get_attr(step).ok());
        value.is_none_or(|value| value.is_undefined() || value.is_none())
    });
    let refused: Vec<FieldError> = missing
        .map(|path| {
            let steps = path.split('.').map(str::to_owned).collect();
            FieldError {
                location: steps,
                message: "Required".to_owned(),
                kind: "missing".to_owned(),
            }
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(Error::fields(refused)) }
}

/// Leaves out what the customer left out. `None` where that is the value as a whole.
fn clean(value: Json, path: &mut Vec<String>, refused: &mut Vec<FieldError>) -> Option<Json> {
    match value {
        Json::String(text) if text == OMITTED => None,
        Json::String(text) => {
            if let Some(reason) = text.strip_prefix(REFUSED) {
                refused.push(FieldError::body_at(path.iter().cloned(), reason));
                return None;
            }
            Some(Json::String(text))
        }
        Json::Array(items) => {
            let mut kept = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                path.push(index.to_string());
                kept.extend(clean(item, path, refused));
                path.pop();
            }
            Some(Json::Array(kept))
        }
        Json::Object(members) => {
            let mut kept = serde_json::Map::new();
            for (name, member) in members {
                path.push(name);
                let cleaned = clean(member, path, refused);
                if let (Some(name), Some(member)) = (path.pop(), cleaned) {
                    kept.insert(name, member);
                }
            }
            Some(Json::Object(kept))
        }
        other => Some(other),
    }
}

impl Route {
    /// The customer's name for a native field or a part of one.
    pub(super) fn source_of(&self, native: &str) -> Option<String> {
        let found = self.sources.iter().filter_map(|(path, source)| {
            let rest = native.strip_prefix(path.as_str())?;
            (rest.is_empty() || rest.starts_with('.'))
                .then(|| (path.len(), format!("{source}{rest}")))
        });
        found.max_by_key(|(length, _)| *length).map(|(_, source)| source)
    }
}

/// Where the native fields of what a request template made come from.
pub(super) fn sources(made: &Json) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(made, &mut Vec::new(), &mut found);
    found
}

fn collect(made: &Json, path: &mut Vec<String>, found: &mut Vec<(String, String)>) {
    match made {
        Json::String(text) => {
            if let Some(source) = Probe::path_of(text) {
                // Customers know their fields without the word before.
                let (_, name) = source.split_once('.').unwrap_or(("", source));
                found.push((path.join("."), name.to_owned()));
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                collect(item, path, found);
                path.pop();
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                path.push(name.clone());
                collect(member, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
