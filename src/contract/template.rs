//! Templates: compiled once, rendered for each attempt, within limits.
//!
//! A template's source only ever comes from a contract file. What users send is data: values
//! that are escaped where they are written and never read as a template.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use minijinja::value::ValueKind;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
};

use super::direct::Direct;
use super::filters;
use super::form;
use super::json;
use super::problem::did_you_mean;
use super::scope::{Moment, Place, RawText, Ready, Scope};

/// The longest source of a template, in bytes.
pub const TEMPLATE_BYTES: usize = 16 * 1024;
/// The steps that rendering one template may take.
pub const TEMPLATE_FUEL: u64 = 10_000;
/// The steps that a template with a loop may take for each byte of the payload, where that is
/// more: a loop over its elements has to come to an end however many there are.
pub const TEMPLATE_FUEL_PER_BYTE: u64 = 8;
/// The largest body that a template may make, in bytes; also the most that the values it
/// writes may add up to, wherever it writes them.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// The largest header value that a template may make, in bytes.
pub const HEADER_VALUE_BYTES: usize = 8 * 1024;
/// What signed content may hold beside the body, in bytes.
const CONTENT_EXTRA_BYTES: usize = 128 * 1024;
/// How deep templates may nest calls.
const RECURSION: usize = 32;

impl Place {
    const fn output_limit(self) -> usize {
        match self {
            Place::Body | Place::Handshake => BODY_BYTES,
            Place::Query | Place::Header | Place::Format => HEADER_VALUE_BYTES,
            Place::Content => BODY_BYTES + CONTENT_EXTRA_BYTES,
        }
    }
}

/// Where a template's source is found.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The key in the contract, such as `delivery.body`.
    pub(super) label: Arc<str>,
    /// The line of the file on which the source starts.
    pub(super) first_line: usize,
}

/// A template can't be compiled, or can't be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemplateError {
    pub(super) label: Arc<str>,
    /// The line of the contract file.
    pub(super) line: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.message)
    }
}

/// How the values that a template writes are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// Every value becomes a JSON value.
    Json,
    /// Every value is percent-encoded, as in `application/x-www-form-urlencoded`.
    Form,
    /// Every value becomes XML text, which may also stand in an attribute.
    Xml,
    /// Values are written as they are.
    Plain,
}

impl Escape {
    /// How values are escaped in a body of this content type.
    pub(super) fn of(content_type: &str) -> Escape {
        let essence = content_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Escape::Json,
            "application/x-www-form-urlencoded" => Escape::Form,
            "application/xml" | "text/xml" => Escape::Xml,
            other if other.ends_with("+json") => Escape::Json,
            other if other.ends_with("+xml") => Escape::Xml,
            _ => Escape::Plain,
        }
    }

    fn for_engine(self) -> AutoEscape {
        match self {
            Escape::Json => AutoEscape::Json,
            Escape::Form => AutoEscape::Custom(Cow::Borrowed(FORM)),
            Escape::Xml => AutoEscape::Html,
            Escape::Plain => AutoEscape::None,
        }
    }
}

/// A compiled template.
pub(super) struct Template {
    source: Arc<str>,
    place: Place,
    origin: Origin,
    program: Program,
    /// The names that it uses, with their members.
    used: Vec<String>,
}

enum Program {
    /// No expressions at all.
    Literal(Bytes),
    /// Nothing but one name whose value goes out as it is: no need for the engine.
    Raw(&'static str),
    Engine {
        /// A shorter way, for what is simple enough.
        direct: Option<Direct>,
        engine: Box<Environment<'static>>,
        /// Whether how long it runs may depend on what it is given.
        loops: bool,
    },
}

const TEMPLATE_NAME: &str = "template";
const FORM: &str = "form";

thread_local! {
    /// What the template that renders on this thread may still write, in bytes. The engine's
    /// own limits count steps, not memory, and blocks that are captured for a filter don't
    /// pass through the writer.
    static BUDGET: Cell<usize> = const { Cell::new(0) };
}

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(TEMPLATE_FUEL));
    engine.set_recursion_limit(RECURSION);
    engine.set_debug(false);
    engine.set_formatter(write_value);
    filters::register(&mut engine);
    engine
});

impl Template {
    /// Compiles `source`, which may use `more` names than its place has.
    ///
    /// # Errors
    /// Every mistake that can be seen without rendering: the syntax, unknown names.
    pub(super) fn compile(
        source: &str,
        escape: Escape,
        place: Place,
        origin: Origin,
        more: &[String],
    ) -> Result<Template, Vec<TemplateError>> {
        let program = match program(source, escape, place) {
            Ok(program) => program,
            Err(error) => return Err(vec![describe(&error, &origin, place)]),
        };
        let used = used_names(&program);
        let unknown = unknown_names(&used, source, place, more, &origin);
        if unknown.is_empty() {
            Ok(Template { source: source.into(), place, origin, program, used })
        } else {
            Err(unknown)
        }
    }

    /// Whether it uses this name, or a member of it.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.used.iter().any(|used| used.split('.').next() == Some(name))
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Renders into UTF-8.
    pub(super) fn render(&self, scope: &Scope) -> Result<Bytes, TemplateError> {
        let (engine, loops) = match &self.program {
            Program::Literal(text) => return Ok(text.clone()),
            Program::Raw(name) => {
                let text = scope.raw(name).unwrap_or_default();
                return self.within_limit(text);
            }
            Program::Engine { direct, engine, loops } => {
                let direct = direct.as_ref();
                let limit = self.place.output_limit();
                if let Some(text) = direct.and_then(|direct| direct.render(scope, limit)) {
                    return Ok(Bytes::from(text));
                }
                (engine, *loops)
            }
        };
        let (engine, fuel) = fuelled(engine, loops, scope.payload_bytes());
        let limit = self.place.output_limit();
        BUDGET.set(limit);
        let mut output = BoundedOutput::new(limit);
        engine
            .get_template(TEMPLATE_NAME)
            .and_then(|template| {
                template
                    .render_captured_to(Value::from_object(scope.clone()), &mut output)
                    .map(|_| ())
            })
            .map_err(|error| match error.kind() {
                ErrorKind::OutOfFuel => self.error(format!("takes more than {fuel} steps"), None),
                _ => describe(&error, &self.origin, self.place),
            })?;
        Ok(Bytes::from(output.into_bytes()))
    }

    #[cfg(test)]
    fn is_direct(&self) -> bool {
        matches!(self.program, Program::Engine { direct: Some(_), .. })
    }

    fn within_limit(&self, text: Bytes) -> Result<Bytes, TemplateError> {
        if text.len() <= self.place.output_limit() {
            return Ok(text);
        }
        Err(self.error(too_large(self.place), None))
    }

    /// An error of this template as a whole.
    pub(super) fn error(&self, message: impl Into<String>, hint: Option<String>) -> TemplateError {
        TemplateError {
            label: Arc::clone(&self.origin.label),
            line: self.origin.first_line,
            message: message.into(),
            hint,
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

fn program(source: &str, escape: Escape, place: Place) -> Result<Program, Error> {
    if source.len() > TEMPLATE_BYTES {
        return Err(refused(format!("the template is longer than {TEMPLATE_BYTES} bytes")));
    }
    // The engine drops a line break at the end, so these shortcuts have to as well.
    let line = source.strip_suffix('\n').unwrap_or(source);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if !["{{", "{%", "{#"].iter().any(|opening| source.contains(opening)) {
        return Ok(Program::Literal(Bytes::copy_from_slice(line.as_bytes())));
    }
    let only_name = line.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    match (only_name.map(str::trim), place) {
        (Some("payload"), Place::Body) => return Ok(Program::Raw("payload")),
        (Some("body"), Place::Content) => return Ok(Program::Raw("body")),
        (Some("signature"), Place::Format) => return Ok(Program::Raw("signature")),
        _ => {}
    }
    let mut engine = Box::new(ENGINE.clone());
    engine.set_auto_escape_callback(move |_: &str| escape.for_engine());
    engine.add_template_owned(TEMPLATE_NAME, source.to_owned())?;
    // `for ` may also be only text: then it may take more steps than it needs.
    let (direct, loops) = (Direct::parse(line, escape), source.contains("for "));
    Ok(Program::Engine { direct, engine, loops })
}

/// The engine with the steps that a payload of this size needs, and how many those are.
fn fuelled<'e>(
    engine: &'e Environment<'static>,
    loops: bool,
    payload_bytes: usize,
) -> (Cow<'e, Environment<'static>>, u64) {
    let wanted = (payload_bytes as u64).saturating_mul(TEMPLATE_FUEL_PER_BYTE);
    if !loops || wanted <= TEMPLATE_FUEL {
        return (Cow::Borrowed(engine), TEMPLATE_FUEL);
    }
    let mut engine = engine.clone();
    engine.set_fuel(Some(wanted));
    (Cow::Owned(engine), wanted)
}

/// The names that a template takes from its scope, in branches that no sample takes too.
fn used_names(program: &Program) -> Vec<String> {
    let mut used: Vec<String> = match program {
        Program::Literal(_) => Vec::new(),
        Program::Raw(name) => vec![(*name).to_owned()],
        Program::Engine { engine, .. } => match engine.get_template(TEMPLATE_NAME) {
            Ok(template) => template.undeclared_variables(true).into_iter().collect(),
            Err(_) => Vec::new(),
        },
    };
    used.sort();
    used
}

/// Names that nothing will ever define.
fn unknown_names(
    used: &[String],
    source: &str,
    place: Place,
    more: &[String],
    origin: &Origin,
) -> Vec<TemplateError> {
    let unknown = used.iter().filter(|name| !place.knows(name) && !more.contains(name));
    unknown
        .map(|name| TemplateError {
            label: Arc::clone(&origin.label),
            line: origin.first_line + lines_before(source, name),
            hint: hint_for_name(name, place, more),
            message: format!("`{name}` isn't defined here"),
        })
        .collect()
}

fn lines_before(source: &str, name: &str) -> usize {
    let place = source.find(name).unwrap_or(0);
    source[..place].matches('\n').count()
}

fn hint_for_name(name: &str, place: Place, more: &[String]) -> Option<String> {
    if let Some(member) = name.strip_prefix("payload.") {
        return Some(format!("members of the payload are read with payload|member(\"{member}\")"));
    }
    if name == "secret" {
        let hint = "templates see it only in the content of plain digests, and in handshakes";
        return Some(hint.to_owned());
    }
    if name.starts_with("signature.") || name.starts_with("signatures.") {
        let hint = "a signature can be named where nothing of what it is made over is missing yet";
        return Some(hint.to_owned());
    }
    let mut known: Vec<&str> = place.names().collect();
    known.extend(more.iter().map(String::as_str));
    did_you_mean(name, known.iter().copied()).or_else(|| {
        let (noun, _) = name.split_once('.').unwrap_or((name, ""));
        let members: Vec<&str> =
            known.into_iter().filter(|known| known.split('.').next() == Some(noun)).collect();
        let first = |known: &'static str| known.split('.').next().unwrap_or(known);
        let mut near = members;
        if near.is_empty() {
            near = place.names().map(first).collect();
            near.sort_unstable();
            near.dedup();
        }
        Some(format!("there is {}", near.join(", ")))
    })
}

/// Puts an error of the engine into the contract's words.
fn describe(error: &Error, origin: &Origin, place: Place) -> TemplateError {
    let detail = || error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let (message, hint) = match error.kind() {
        ErrorKind::WriteFailure => (too_large(place), None),
        ErrorKind::UnknownFilter => {
            let name = detail();
            let name = name.split_whitespace().nth(1).unwrap_or_default();
            let hint = did_you_mean(name, filters::NAMES)
                .unwrap_or_else(|| format!("the filters are {}", filters::NAMES.join(", ")));
            (format!("there is no filter `{name}`"), Some(hint))
        }
        ErrorKind::UndefinedError => ("a value isn't defined".to_owned(), None),
        _ => (detail(), None),
    };
    TemplateError {
        label: Arc::clone(&origin.label),
        line: origin.first_line + error.line().unwrap_or(1).saturating_sub(1),
        message,
        hint,
    }
}

fn too_large(place: Place) -> String {
    format!("makes more than {} bytes", place.output_limit())
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Writes one value of a template, escaped.
fn write_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    let escape = match state.auto_escape() {
        AutoEscape::Json => Escape::Json,
        AutoEscape::Custom(name) if name == FORM => Escape::Form,
        AutoEscape::Html => Escape::Xml,
        _ => Escape::Plain,
    };
    if let Some(ready) = value.downcast_object_ref::<Ready>() {
        return match escape {
            Escape::Json => write_text(out, &escape.apply(&ready.0)?),
            _ => write_text(out, &ready.0),
        };
    }
    if let Some(raw) = value.downcast_object_ref::<RawText>() {
        return match escape {
            Escape::Json => write_text(out, raw.as_str()),
            other => write_text(out, &other.apply(raw.as_str())?),
        };
    }
    if let Some(text) = value.as_str() {
        // A block of the template, whose values have been escaped where they were written.
        if value.is_safe() {
            return write_text(out, text);
        }
        return write_text(out, &escape.apply(text)?);
    }
    let json = escape == Escape::Json;
    match value.kind() {
        ValueKind::None => write_text(out, if json { "null" } else { "" }),
        ValueKind::Bool => write_text(out, if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => write_text(out, &value.to_string()),
        ValueKind::Bytes => Err(refused("bytes have no form of their own: add hex or base64")),
        _ if value.downcast_object_ref::<Moment>().is_some() => Err(refused(
            "a time has no form of its own: add a filter such as rfc3339, rfc3339_ms or unix",
        )),
        _ => Err(refused("only texts and numbers can be written: name a member, or join a list")),
    }
}

impl Escape {
    pub(super) fn apply(self, text: &str) -> Result<Cow<'_, str>, Error> {
        Ok(match self {
            Escape::Plain => Cow::Borrowed(text),
            Escape::Form => Cow::Owned(form::encode(text)),
            Escape::Xml => filters::xml_text(text),
            Escape::Json => {
                let mut quoted = Vec::with_capacity(text.len() + 2);
                json::write_string(text.as_bytes(), &mut quoted);
                Cow::Owned(String::from_utf8(quoted).map_err(|_| refused("this isn't UTF-8"))?)
            }
        })
    }
}

fn write_text(out: &mut Output<'_>, text: &str) -> Result<(), Error> {
    let left = BUDGET.get();
    if text.len() > left {
        return Err(Error::from(ErrorKind::WriteFailure));
    }
    BUDGET.set(left - text.len());
    out.write_str(text).map_err(Error::from)
}

/// Takes a template's output up to its limit.
pub(super) struct BoundedOutput {
    bytes: Vec<u8>,
    limit: usize,
}

impl BoundedOutput {
    pub(super) fn new(limit: usize) -> BoundedOutput {
        BoundedOutput { bytes: Vec::with_capacity(512), limit }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl io::Write for BoundedOutput {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if text.len() > self.limit - self.bytes.len() {
            return Err(io::Error::other("the output is too large"));
        }
        self.bytes.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
