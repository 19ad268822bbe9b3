//! The templates of routes: requests, responses, the texts that name things, and errors.
//!
//! Unlike those of deliveries they write whole JSON values, and what they make is JSON that
//! is read again (requests) or printed without white space (responses), so authors can lay it
//! out as they like.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use minijinja::value::ValueKind;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
};

use super::filters::{self, OMITTED};
use super::probe::Probe;
use crate::contract::json;
use crate::contract::problem::did_you_mean;
use crate::contract::scope::{RawText, Ready};
use crate::contract::template::{BoundedOutput, Origin, TEMPLATE_BYTES, TemplateError};

/// The largest answer that a route may make, in bytes.
pub const RESPONSE_BYTES: usize = 8 * 1024 * 1024;
/// The steps that rendering an answer may take: a list may have a thousand endpoints.
const FUEL: u64 = 2_000_000;
/// How deep templates may nest, of which the engine counts ten for each that is included.
const RECURSION: usize = 64;
/// How deep a value may be nested that is written as a whole.
const VALUE_DEPTH: usize = 70;

/// What a template is for, which decides how it treats names that nothing defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Makes JSON; what the customer left out is left out.
    Request,
    /// Makes JSON; every name has to be there.
    Response,
    /// Makes the text that names something; every name has to be there.
    Name,
}

impl Use {
    /// Template names end in a word that says how values are escaped and what is undefined.
    const fn suffix(self) -> &'static str {
        match self {
            Use::Request => ".request",
            Use::Response => ".response",
            Use::Name => ".name",
        }
    }
}

/// A compiled template of a [`TemplateSet`].
#[derive(Clone, Debug)]
pub(super) struct TemplateId(String);

/// All route templates of a contract. They share its partial templates.
pub(super) struct TemplateSet {
    strict: Environment<'static>,
    lenient: Environment<'static>,
    origins: HashMap<String, Origin>,
}

impl fmt::Debug for TemplateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.origins.keys()).finish()
    }
}

fn engine(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(undefined);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(RECURSION);
    engine.set_debug(false);
    engine.set_formatter(write_value);
    engine.set_auto_escape_callback(|name| match name.ends_with(Use::Name.suffix()) {
        true => AutoEscape::None,
        false => AutoEscape::Json,
    });
    crate::contract::filters::register(&mut engine);
    filters::register(&mut engine);
    engine
}

impl Default for TemplateSet {
    fn default() -> TemplateSet {
        TemplateSet {
            strict: engine(UndefinedBehavior::Strict),
            lenient: engine(UndefinedBehavior::Chainable),
            origins: HashMap::new(),
        }
    }
}

impl TemplateSet {
    /// Adds a template that others include by its name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add_partial(
        &mut self,
        name: &str,
        source: &str,
        origin: Origin,
    ) -> Result<(), TemplateError> {
        self.origins.insert(name.to_owned(), origin);
        self.compile(Use::Response, name.to_owned(), source)?;
        self.lenient
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|error| self.describe(&error, name))
    }

    /// Adds a template of a route.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(
        &mut self,
        place: Use,
        source: &str,
        origin: Origin,
    ) -> Result<TemplateId, TemplateError> {
        let name = format!("{}{}", self.origins.len(), place.suffix());
        self.origins.insert(name.clone(), origin);
        self.compile(place, name.clone(), source)?;
        Ok(TemplateId(name))
    }

    fn compile(&mut self, place: Use, name: String, source: &str) -> Result<(), TemplateError> {
        if source.len() > TEMPLATE_BYTES {
            let message = format!("the template is longer than {TEMPLATE_BYTES} bytes");
            return Err(self.error(&name, message, None));
        }
        let engine = match place {
            Use::Request => &mut self.lenient,
            Use::Response | Use::Name => &mut self.strict,
        };
        let added = engine.add_template_owned(name.clone(), source.to_owned());
        added.map_err(|error| self.describe(&error, &name))
    }

    fn engine_of(&self, id: &TemplateId) -> &Environment<'static> {
        match id.0.ends_with(Use::Request.suffix()) {
            true => &self.lenient,
            false => &self.strict,
        }
    }

    /// The names that a template uses and doesn't define itself, as whole paths.
    pub(super) fn names(&self, id: &TemplateId) -> Vec<String> {
        let Ok(template) = self.engine_of(id).get_template(&id.0) else { return Vec::new() };
        let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        names.sort_unstable();
        names
    }

    /// Whether a template, or one that it includes, names this member of anything. It goes by
    /// the text, because the engine doesn't tell whose members the variables of loops have.
    pub(super) fn mentions(&self, id: &TemplateId, member: &str) -> bool {
        let ways = [format!(".{member}"), format!("[\"{member}\"]"), format!("['{member}']")];
        let named = |source: &str| ways.iter().any(|way| source.contains(way));
        let mut waiting = vec![id.0.as_str()];
        let mut seen = Vec::new();
        while let Some(name) = waiting.pop() {
            seen.push(name);
            let Ok(template) = self.engine_of(id).get_template(name) else { continue };
            let source = template.source();
            if named(source) {
                return true;
            }
            let includes = |partial: &&str| {
                let quoted = [format!("\"{partial}\""), format!("'{partial}'")];
                quoted.iter().any(|text| source.contains(text))
            };
            waiting.extend(self.partials().filter(includes).filter(|one| !seen.contains(one)));
        }
        false
    }

    /// Whether a template's source has this text in it.
    pub(super) fn has_text(&self, id: &TemplateId, text: &str) -> bool {
        let template = self.engine_of(id).get_template(&id.0);
        template.is_ok_and(|template| template.source().contains(text))
    }

    fn partials(&self) -> impl Iterator<Item = &str> {
        self.origins.keys().map(String::as_str).filter(|name| !name.contains('.'))
    }

    /// Renders into text.
    ///
    /// # Errors
    /// Why it can't be rendered with these values.
    pub(super) fn render(
        &self,
        id: &TemplateId,
        context: &BTreeMap<&'static str, Value>,
    ) -> Result<String, TemplateError> {
        let mut output = BoundedOutput::new(RESPONSE_BYTES);
        let rendered = self.engine_of(id).get_template(&id.0).and_then(|template| {
            template.render_captured_to(Value::from(context), &mut output).map(|_| ())
        });
        rendered.map_err(|error| self.describe(&error, &id.0))?;
        String::from_utf8(output.into_bytes())
            .map_err(|_| self.error(&id.0, "this isn't UTF-8", None))
    }

    /// Renders JSON and prints it without white space.
    ///
    /// # Errors
    /// Why it can't be rendered, or isn't JSON.
    pub(super) fn render_json(
        &self,
        id: &TemplateId,
        context: &BTreeMap<&'static str, Value>,
    ) -> Result<String, TemplateError> {
        let text = self.render(id, context)?;
        json::compact(&text).map_err(|error| {
            let near: String =
                text.get(error.offset..).unwrap_or_default().chars().take(30).collect();
            let hint = "values are quoted for you: {{ endpoint.url }} without quotes around it";
            let message =
                format!("this doesn't make JSON: {error}, near `{}`", near.escape_debug());
            self.error(&id.0, message, Some(hint.to_owned()))
        })
    }

    /// An error of a template as a whole.
    pub(super) fn problem(
        &self,
        id: &TemplateId,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> TemplateError {
        self.error(&id.0, message, hint)
    }

    fn error(&self, name: &str, message: impl Into<String>, hint: Option<String>) -> TemplateError {
        let origin = &self.origins[name];
        TemplateError {
            label: origin.label.clone(),
            line: origin.first_line,
            message: message.into(),
            hint,
        }
    }

    /// Puts an error of the engine into the contract's words.
    fn describe(&self, error: &Error, name: &str) -> TemplateError {
        // Where one template includes another, the innermost one is to blame.
        let mut innermost = error;
        while let Some(cause) =
            std::error::Error::source(innermost).and_then(|cause| cause.downcast_ref::<Error>())
        {
            innermost = cause;
        }
        let name = innermost.name().filter(|name| self.origins.contains_key(*name)).unwrap_or(name);
        let detail =
            || innermost.detail().map_or_else(|| innermost.kind().to_string(), str::to_owned);
        let (message, hint) = match innermost.kind() {
            ErrorKind::OutOfFuel => (format!("takes more than {FUEL} steps"), None),
            ErrorKind::WriteFailure => (format!("makes more than {RESPONSE_BYTES} bytes"), None),
            ErrorKind::UnknownFilter => {
                let detail = detail();
                let filter = detail.split_whitespace().nth(1).unwrap_or_default();
                let known = filters::names();
                let hint = did_you_mean(filter, known.iter().copied())
                    .unwrap_or_else(|| format!("the filters are {}", known.join(", ")));
                (format!("there is no filter `{filter}`"), Some(hint))
            }
            ErrorKind::TemplateNotFound => {
                let known: Vec<&str> = self.partials().collect();
                (detail(), Some(format!("[templates] has {}", known.join(", "))))
            }
            ErrorKind::UndefinedError => ("a value isn't defined".to_owned(), None),
            _ => (detail(), None),
        };
        let mut described = self.error(name, message, hint);
        described.line += innermost.line().unwrap_or(1).saturating_sub(1);
        described
    }
}

/// Writes one value.
fn write_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    if matches!(state.auto_escape(), AutoEscape::Json) {
        let mut json = Vec::with_capacity(64);
        write_json(value, 0, &mut json)?;
        let json = String::from_utf8(json).map_err(|_| refused("this isn't UTF-8"))?;
        return out.write_str(&json).map_err(Error::from);
    }
    if let Some(ready) = value.downcast_object_ref::<Ready>() {
        return out.write_str(&ready.0).map_err(Error::from);
    }
    match value.kind() {
        ValueKind::String | ValueKind::Number => {
            out.write_str(&value.to_string()).map_err(Error::from)
        }
        _ if value.downcast_object_ref::<Probe>().is_some() => {
            out.write_str("probe").map_err(Error::from)
        }
        kind => Err(refused(format!("a name is a text, and this is {kind}"))),
    }
}

fn write_json(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    if depth > VALUE_DEPTH {
        return Err(refused("this is nested too deep"));
    }
    if let Some(raw) = value.downcast_object_ref::<RawText>() {
        out.extend_from_slice(raw.as_str().as_bytes());
        return Ok(());
    }
    if let Some(ready) = value.downcast_object_ref::<Ready>() {
        json::write_string(ready.0.as_bytes(), out);
        return Ok(());
    }
    if let Some(probe) = value.downcast_object_ref::<Probe>() {
        json::write_string(probe.mark().as_bytes(), out);
        return Ok(());
    }
    match value.kind() {
        ValueKind::Undefined => json::write_string(OMITTED.as_bytes(), out),
        ValueKind::None => out.extend_from_slice(b"null"),
        ValueKind::Bool => out.extend_from_slice(if value.is_true() { b"true" } else { b"false" }),
        ValueKind::Number => out.extend_from_slice(value.to_string().as_bytes()),
        ValueKind::String if value.is_safe() => out.extend_from_slice(value.to_string().as_bytes()),
        ValueKind::String => json::write_string(value.as_str().unwrap_or_default().as_bytes(), out),
        ValueKind::Seq | ValueKind::Iterable => {
            for (index, item) in value.try_iter()?.enumerate() {
                out.push(if index == 0 { b'[' } else { b',' });
                write_json(&item, depth + 1, out)?;
            }
            close(out, (b'[', b']'), value.len() == Some(0));
        }
        ValueKind::Map => {
            for (index, key) in value.try_iter()?.enumerate() {
                out.push(if index == 0 { b'{' } else { b',' });
                json::write_string(key.to_string().as_bytes(), out);
                out.push(b':');
                write_json(&value.get_item(&key)?, depth + 1, out)?;
            }
            close(out, (b'{', b'}'), value.len() == Some(0));
        }
        kind => return Err(refused(format!("{kind} can't be written as JSON"))),
    }
    Ok(())
}

fn close(out: &mut Vec<u8>, (open, close): (u8, u8), empty: bool) {
    if empty {
        out.push(open);
    }
    out.push(close);
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}
