//! From `[[routes]]` and the sections around it to routes that work, with every mistake
//! reported.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, Method, StatusCode};
use serde::Deserialize;
use toml::Spanned;

use super::errors::{ErrorRules, ErrorWord};
use super::ids::{IdForm, Ids};
use super::keys::KeyRules;
use super::operation::{Input, Noun, Operation};
use super::template::{TemplateId, TemplateSet, Use};
use super::{Route, Routes, check};
use crate::contract::file::Key;
use crate::contract::load::or;
use crate::contract::problem::{Problems, did_you_mean};
use crate::contract::template::{Origin, TemplateError};
use crate::domain::ErrorCode;

/// The most routes that a contract can have.
pub const MAX_ROUTES: usize = 200;
/// The most characters of a generated key behind its prefix, and the fewest.
const KEY_CHARACTERS: std::ops::RangeInclusive<usize> = 22..=256;

/// Where the paths of the native API begin, which no contract can take.
pub const NATIVE_PATHS: [&str; 8] = [
    "/api/v1/app",
    "/api/v1/attempt",
    "/api/v1/auth",
    "/api/v1/event-type",
    "/api/v1/health",
    "/api/v1/operational-webhook",
    "/docs",
    "/openapi.json",
];

/// `[keys]`: the API keys of the company's customers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::contract) struct RawKeys {
    /// The header that carries the key: `Authorization` where left out.
    header: Key<String>,
    /// The word before the key: `Bearer` where the header is `Authorization`, else none.
    scheme: Key<String>,
    /// What the keys that `hookwright key create` makes for an application start with: `hw_`
    /// where left out.
    prefix: Key<String>,
    /// How many random characters follow: 64 where left out.
    characters: Key<usize>,
}

/// `[errors]`: how errors of the contract's routes look.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::contract) struct RawErrors {
    /// The template of the body. `error.code`, `error.status`, `error.message`, `error.field`
    /// (the first refused one) and `error.fields` (all of them: `name`, `message`) are known.
    body: Key<String>,
    /// The company's words, by our codes.
    codes: BTreeMap<Spanned<String>, RawErrorWord>,
}

/// `[errors.codes]`: what the company says instead of one of our codes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawErrorWord {
    /// The company's code; ours where left out.
    code: Key<String>,
    /// The HTTP status; ours where left out.
    status: Key<u16>,
    /// A sentence that takes the place of ours.
    message: Key<String>,
}

/// `[ids]`: how ids are written, in the company's API and in deliveries.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::contract) struct RawIds {
    /// `uuid`, or the prefix of endpoints' ids: `ep_` where left out.
    endpoint: Key<String>,
    /// `uuid`, or the prefix of messages' ids: `msg_` where left out.
    message: Key<String>,
    /// `uuid`, or the prefix of attempts' ids: `atmpt_` where left out.
    attempt: Key<String>,
}

/// `[templates]`: pieces that responses share with `{% include "name" %}`.
pub(in crate::contract) type RawTemplates = BTreeMap<Spanned<String>, Spanned<String>>;

/// `[[routes]]`: one method of one path of the company's API.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::contract) struct RawRoute {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    method: Key<String>,
    /// With parameters in braces: `/v1/webhooks/{id}`.
    path: Key<String>,
    /// What it does.
    operation: Key<Operation>,
    /// The template of the application's id or uid; the key's own application where left out.
    application: Key<String>,
    /// The template of the endpoint's id: `{{ path.id }}` where left out.
    endpoint: Key<String>,
    /// The template of the event type's name: `{{ path.event }}` where left out.
    event_type: Key<String>,
    /// The template of the message's id: `{{ path.message }}` where left out.
    message: Key<String>,
    /// What the request must have: names such as `body.url` or `query.topic`.
    pub(super) required: Key<Vec<Spanned<String>>>,
    /// The template of the operation's input, as a JSON object. `path`, `query` and `body` are
    /// known; members whose value wasn't sent are left out.
    request: Key<String>,
    /// The status of the answer: the operation's own where left out.
    status: Key<u16>,
    /// The template of the answer; the native answer where left out.
    response: Key<String>,
}

impl RawRoute {
    /// The key that says which one the route is about.
    const fn noun(&self, noun: Noun) -> &Key<String> {
        match noun {
            Noun::Endpoint => &self.endpoint,
            Noun::EventType => &self.event_type,
            Noun::Message => &self.message,
        }
    }
}

/// The sections that make a contract's API.
pub(in crate::contract) struct RawApi<'a> {
    pub(in crate::contract) keys: Option<&'a Spanned<RawKeys>>,
    pub(in crate::contract) errors: &'a RawErrors,
    pub(in crate::contract) ids: &'a RawIds,
    pub(in crate::contract) templates: &'a RawTemplates,
    pub(in crate::contract) routes: &'a [Spanned<RawRoute>],
    /// Whether the contract shows secrets again after they were made.
    pub(in crate::contract) reveals: bool,
}

/// Builds a contract's API, and tries it out.
pub(in crate::contract) fn routes(raw: &RawApi<'_>, problems: &mut Problems<'_>) -> Routes {
    let mut built = Routes { keys: keys(raw.keys, problems), ..Routes::default() };
    built.ids = Arc::new(ids(raw.ids, problems));
    partials(raw.templates, &mut built.templates, problems);
    built.errors = errors(raw.errors, &mut built.templates, problems);
    if let Some(body) = &built.errors.body {
        check::error_body(&built, body, problems);
    }
    if let Some(beyond) = raw.routes.get(MAX_ROUTES) {
        problems.at(beyond.span().start, format!("there can be at most {MAX_ROUTES} routes"), None);
    }
    for section in raw.routes.iter().take(MAX_ROUTES) {
        let Some(route) = route(section, &mut built.templates, problems) else { continue };
        let place = section.get_ref().path.as_ref().map_or(0, |path| path.span().start);
        if !add_path(&mut built, &route, place, problems) {
            continue;
        }
        let route = check::route(&built, route, section, raw.reveals, problems);
        built.routes.push(route);
    }
    built
}

fn keys(section: Option<&Spanned<RawKeys>>, problems: &mut Problems<'_>) -> KeyRules {
    let default = KeyRules::default();
    let Some(section) = section else { return default };
    let raw = section.get_ref();
    let header = match &raw.header {
        None => default.header.clone(),
        Some(key) => HeaderName::from_bytes(key.get_ref().as_bytes()).unwrap_or_else(|_| {
            let message = format!("`{}` isn't a valid header name", key.get_ref());
            problems.at(key.span().start, message, None);
            default.header.clone()
        }),
    };
    let scheme = match &raw.scheme {
        Some(key) => Some(key.get_ref().clone()).filter(|scheme| !scheme.is_empty()),
        None => default.scheme.filter(|_| header == default.header),
    };
    for key in [&raw.scheme, &raw.prefix].into_iter().flatten() {
        if !key.get_ref().bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("`{}` can't be sent in a header", key.get_ref().escape_debug());
            let hint = "letters, digits and signs, without spaces".to_owned();
            problems.at(key.span().start, message, Some(hint));
        }
    }
    let characters = or(&raw.characters, default.characters);
    if let Some(key) = &raw.characters
        && !KEY_CHARACTERS.contains(&characters)
    {
        let (least, most) = (KEY_CHARACTERS.start(), KEY_CHARACTERS.end());
        let message = format!("a key has {least} to {most} random characters");
        let hint = "22 characters hold 128 bits, which nobody guesses".to_owned();
        problems.at(key.span().start, message, Some(hint));
    }
    KeyRules { header, scheme, prefix: or(&raw.prefix, default.prefix), characters }
}

fn ids(raw: &RawIds, problems: &mut Problems<'_>) -> Ids {
    let mut form = |key: &Key<String>| {
        let Some(key) = key else { return IdForm::Native };
        // Ids stand in paths.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !key.get_ref().bytes().all(plain) {
            let message = format!("`{}` can't begin an id", key.get_ref().escape_debug());
            let hint = "letters, digits and `_`, `-` or `.`".to_owned();
            problems.at(key.span().start, message, Some(hint));
        }
        IdForm::of(key.get_ref())
    };
    Ids { endpoint: form(&raw.endpoint), message: form(&raw.message), attempt: form(&raw.attempt) }
}

fn origin(source: &Spanned<String>, label: String, problems: &Problems<'_>) -> Origin {
    Origin { label: label.into(), first_line: problems.first_line_of(source.span().start) }
}

pub(super) fn report(error: TemplateError, problems: &mut Problems<'_>) {
    problems.on_line(error.line, error.to_string(), error.hint);
}

fn partials(raw: &RawTemplates, templates: &mut TemplateSet, problems: &mut Problems<'_>) {
    for (name, source) in raw {
        let text = name.get_ref();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            let hint = "letters, digits and underscores".to_owned();
            problems.at(
                name.span().start,
                format!("`{text}` can't be a template's name"),
                Some(hint),
            );
            continue;
        }
        let origin = origin(source, format!("templates.{text}"), problems);
        if let Err(error) = templates.add_partial(text, source.get_ref(), origin) {
            report(error, problems);
        }
    }
}

fn compile(
    key: &Spanned<String>,
    label: &str,
    place: Use,
    templates: &mut TemplateSet,
    problems: &mut Problems<'_>,
) -> Option<TemplateId> {
    let origin = origin(key, label.to_owned(), problems);
    match templates.add(place, key.get_ref(), origin) {
        Ok(id) => Some(id),
        Err(error) => {
            report(error, problems);
            None
        }
    }
}

fn errors(raw: &RawErrors, templates: &mut TemplateSet, problems: &mut Problems<'_>) -> ErrorRules {
    let body = raw.body.as_ref();
    let body = body.and_then(|key| compile(key, "errors.body", Use::Response, templates, problems));
    let mut codes = BTreeMap::new();
    for (name, word) in &raw.codes {
        let Some(code) = ErrorCode::ALL.into_iter().find(|code| code.as_str() == name.get_ref())
        else {
            let known: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
            let hint = did_you_mean(name.get_ref(), known.iter().copied())
                .unwrap_or_else(|| format!("known: {}", known.join(", ")));
            problems.at(
                name.span().start,
                format!("there is no code `{}`", name.get_ref()),
                Some(hint),
            );
            continue;
        };
        let status = word.status.as_ref().and_then(|key| {
            let status = StatusCode::from_u16(*key.get_ref()).ok();
            let status = status.filter(|one| one.is_client_error() || one.is_server_error());
            if status.is_none() {
                problems.at(key.span().start, "an error has a status from 400 to 599", None);
            }
            status
        });
        let text = |key: &Key<String>| key.as_ref().map(|key| key.get_ref().clone());
        codes.insert(
            code.as_str(),
            ErrorWord { code: text(&word.code), status, message: text(&word.message) },
        );
    }
    ErrorRules { body, codes }
}

fn route(
    section: &Spanned<RawRoute>,
    templates: &mut TemplateSet,
    problems: &mut Problems<'_>,
) -> Option<Route> {
    let raw = section.get_ref();
    for (missing, key) in [
        (raw.method.is_none(), "method"),
        (raw.path.is_none(), "path"),
        (raw.operation.is_none(), "operation"),
    ] {
        if missing {
            problems.at(section.span().start, format!("the route has no `{key}`"), None);
        }
    }
    let method = raw.method.as_ref().and_then(|key| method(key, problems));
    let operation = *raw.operation.as_ref()?.get_ref();
    let path = raw.path.as_ref()?.get_ref().clone();
    unused_keys(raw, operation, problems);
    let verb = raw.method.as_ref().map_or("", |method| method.get_ref());
    let label = |key: &str| format!("{verb} {path}: {key}");
    let nouns = nouns(raw, operation, &label, templates, problems)?;
    let mut optional = |key: &Key<String>, name: &str, place: Use| {
        key.as_ref().and_then(|key| compile(key, &label(name), place, templates, problems))
    };
    Some(Route {
        application: optional(&raw.application, "application", Use::Name),
        request: optional(&raw.request, "request", Use::Request),
        response: optional(&raw.response, "response", Use::Response),
        status: status(raw, operation, problems),
        required: required(raw, problems),
        reads_body: false,
        method: method?,
        path,
        operation,
        nouns,
        sources: Vec::new(),
        shows_secret: false,
    })
}

/// The templates of what a route's path names.
fn nouns(
    raw: &RawRoute,
    operation: Operation,
    label: &impl Fn(&str) -> String,
    templates: &mut TemplateSet,
    problems: &mut Problems<'_>,
) -> Option<Vec<(Noun, TemplateId)>> {
    let mut nouns = Vec::new();
    for &noun in operation.nouns() {
        let key = raw.noun(noun).clone().unwrap_or_else(|| {
            // Blamed on the path, which has to have it then.
            let span = raw.path.as_ref().map(Spanned::span).unwrap_or_default();
            Spanned::new(span, noun.default_template().to_owned())
        });
        nouns.push((noun, compile(&key, &label(noun.key()), Use::Name, templates, problems)?));
    }
    Some(nouns)
}

/// Reports keys that the operation has no use for.
fn unused_keys(raw: &RawRoute, operation: Operation, problems: &mut Problems<'_>) {
    for noun in [Noun::Endpoint, Noun::EventType, Noun::Message] {
        if let Some(key) = raw.noun(noun)
            && !operation.nouns().contains(&noun)
        {
            let message = format!("this operation takes no `{}`", noun.key());
            problems.at(key.span().start, message, None);
        }
    }
    if let (Some(key), Input::Nothing) = (&raw.request, operation.input()) {
        problems.at(key.span().start, "this operation takes no input", None);
    }
}

fn required(raw: &RawRoute, problems: &mut Problems<'_>) -> Vec<String> {
    let names = raw.required.as_ref().map(|names| names.get_ref().as_slice()).unwrap_or_default();
    for name in names {
        if !["body.", "query."].iter().any(|root| name.get_ref().starts_with(root)) {
            let hint = "such as \"body.url\" or \"query.topic\"".to_owned();
            let message = format!("`{}` isn't a part of a request", name.get_ref());
            problems.at(name.span().start, message, Some(hint));
        }
    }
    names.iter().map(|name| name.get_ref().clone()).collect()
}

fn method(key: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Method> {
    const KNOWN: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let text = key.get_ref();
    if !KNOWN.contains(&text.as_str()) {
        let hint = format!("one of {}", KNOWN.join(", "));
        problems.at(key.span().start, format!("`{text}` isn't a method of routes"), Some(hint));
        return None;
    }
    text.parse().ok()
}

fn status(raw: &RawRoute, operation: Operation, problems: &mut Problems<'_>) -> StatusCode {
    let default = StatusCode::from_u16(operation.status()).unwrap_or_default();
    let Some(key) = &raw.status else { return default };
    let Some(status) = StatusCode::from_u16(*key.get_ref()).ok().filter(StatusCode::is_success)
    else {
        problems.at(key.span().start, "a route's status is one from 200 to 299", None);
        return default;
    };
    if let (StatusCode::NO_CONTENT, Some(response)) = (status, &raw.response) {
        problems.at(response.span().start, "an answer with status 204 has no body", None);
    }
    status
}

/// Enters a route's path. `false` where that can't be.
fn add_path(routes: &mut Routes, route: &Route, place: usize, problems: &mut Problems<'_>) -> bool {
    let path = route.path.as_str();
    let plain = path.starts_with('/') && !path.contains(['?', '#', '*', ' ']);
    if !plain || (path.len() > 1 && path.ends_with('/')) {
        let hint = "such as \"/v1/webhooks/{id}\"".to_owned();
        problems.at(place, format!("`{path}` isn't a path"), Some(hint));
        return false;
    }
    let native = |start: &&&str| {
        path.strip_prefix(**start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(start) = NATIVE_PATHS.iter().find(|start| native(start)) {
        problems.at(place, format!("`{start}` belongs to the native API"), None);
        return false;
    }
    let index = routes.routes.len();
    if let Some(known) = routes.routes.iter().position(|known| known.path == path) {
        if routes.routes.iter().any(|known| known.path == path && known.method == route.method) {
            problems.at(place, format!("there is another route {} {path}", route.method), None);
            return false;
        }
        let Some(entry) = routes.by_path.iter().position(|entry| entry.contains(&known)) else {
            return false;
        };
        routes.by_path[entry].push(index);
        return true;
    }
    match routes.paths.insert(path, routes.by_path.len()) {
        Ok(()) => {
            routes.by_path.push(vec![index]);
            true
        }
        Err(matchit::InsertError::Conflict { with }) => {
            problems.at(place, format!("`{path}` can't be told from `{with}`"), None);
            false
        }
        Err(error) => {
            problems.at(place, format!("`{path}` isn't a path: {error}"), None);
            false
        }
    }
}
