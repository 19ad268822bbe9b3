//! Tries routes out when a contract is loaded: each request template with stand-ins for what
//! customers send, each response with samples of what the operation answers.

use http::Method;
use minijinja::Value;
use serde_json::Value as Json;
use toml::Spanned;

use super::filters::{OMITTED, REFUSED};
use super::load::{RawRoute, report};
use super::operation::{Field, Input, Kind, Operation, is_list};
use super::probe::Probe;
use super::template::TemplateId;
use super::{Context, Route, Routes, native, request};
use crate::contract::problem::{Problems, did_you_mean};

/// What a route knows of a customer's request.
const REQUEST: [&str; 3] = ["path", "query", "body"];

/// Renders the body of errors.
pub(super) fn error_body(routes: &Routes, body: &TemplateId, problems: &mut Problems<'_>) {
    let field: [(&str, Value); 2] =
        [("name", Value::from("url")), ("message", Value::from("Required"))];
    let fields = Value::from(vec![Value::from_pairs(field)]);
    for (field, fields) in
        [(Value::from("url"), fields), (Value::from(()), Value::from(Vec::<Value>::new()))]
    {
        let members: [(&str, Value); 5] = [
            ("code", Value::from("not_found")),
            ("status", Value::from(404)),
            ("message", Value::from("Entity not found")),
            ("field", field),
            ("fields", fields),
        ];
        let context = Context::from([("error", Value::from_pairs(members))]);
        if let Err(error) = routes.templates.render_json(body, &context) {
            report(error, problems);
            return;
        }
    }
}

/// Checks a route, and finds out where its input comes from.
pub(super) fn route(
    routes: &Routes,
    mut route: Route,
    section: &Spanned<RawRoute>,
    reveals: bool,
    problems: &mut Problems<'_>,
) -> Route {
    names_of_path(routes, &route, problems);
    for template in names(&route) {
        name(routes, template, problems);
    }
    route.reads_body = reads_body(routes, &route, section, problems);
    match &route.request {
        Some(template) => {
            if let Some(made) = tried(routes, template, problems) {
                input(routes, &route, template, &made, problems);
                route.sources = request::sources(&made);
            }
        }
        None => {
            for field in route.operation.input().fields().iter().filter(|field| field.required) {
                let message =
                    format!("{} needs a `request` that makes `{}`", operation(&route), field.name);
                problems.at(section.span().start, message, None);
            }
        }
    }
    if let Some(template) = &route.response {
        route.shows_secret =
            has_endpoints(route.operation) && routes.templates.mentions(template, "secret");
        if route.shows_secret && !reveals && !route.operation.makes_secret() {
            let hint =
                "set `reveal = true` in [secret], or show it only where it is made".to_owned();
            let message = "this shows signing secrets, and the contract doesn't reveal them";
            report(routes.templates.problem(template, message, Some(hint)), problems);
        }
        response(routes, &route, template, problems);
    }
    route
}

fn operation(route: &Route) -> String {
    route.operation.name().to_owned()
}

fn has_endpoints(operation: Operation) -> bool {
    operation.answers().iter().any(|(name, _)| matches!(*name, "endpoint" | "endpoints"))
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// The templates that say what a route is about.
fn names(route: &Route) -> impl Iterator<Item = &TemplateId> {
    route.nouns.iter().map(|(_, template)| template).chain(&route.application)
}

fn templates(route: &Route) -> impl Iterator<Item = &TemplateId> {
    names(route).chain(&route.request).chain(&route.response)
}

/// Tries out what says what a route is about.
fn name(routes: &Routes, template: &TemplateId, problems: &mut Problems<'_>) {
    for name in routes.templates.names(template) {
        let root = name.split('.').next().unwrap_or_default();
        if !REQUEST.contains(&root) {
            let hint = did_you_mean(root, REQUEST)
                .unwrap_or_else(|| format!("there is {}", REQUEST.join(", ")));
            let message = format!("`{name}` isn't defined here");
            report(routes.templates.problem(template, message, Some(hint)), problems);
            return;
        }
    }
    let rendered = routes.templates.render(template, &probes());
    let rendered =
        rendered.or_else(|_| routes.templates.render(template, &plain_texts(routes, template)));
    if let Err(error) = rendered {
        report(error, problems);
    }
}

/// Whether the body of a request matters. What a GET or a DELETE has as a body has no meaning
/// (RFC 9110, section 9.3), and isn't read.
fn reads_body(
    routes: &Routes,
    route: &Route,
    section: &Spanned<RawRoute>,
    problems: &mut Problems<'_>,
) -> bool {
    let of_body = |name: &str| name.split('.').next() == Some("body");
    let can = !matches!(route.method, Method::GET | Method::DELETE);
    let unread = || format!("the body of a {} isn't read", route.method);
    let mut named = false;
    for template in templates(route) {
        let name = routes.templates.names(template).into_iter().find(|name| of_body(name));
        if let Some(name) = name {
            named = true;
            if !can {
                let message = format!("`{name}`: {}", unread());
                let hint = Some("what it takes is in the query or the path".to_owned());
                report(routes.templates.problem(template, message, hint), problems);
            }
        }
    }
    let required = section.get_ref().required.as_ref();
    for name in required.map(|names| names.get_ref().as_slice()).unwrap_or_default() {
        if of_body(name.get_ref()) {
            named = true;
            if !can {
                problems.at(name.span().start, unread(), None);
            }
        }
    }
    can && (named || matches!(route.operation.input(), Input::Body(_)))
}

/// What templates say of the path must be in it.
fn names_of_path(routes: &Routes, route: &Route, problems: &mut Problems<'_>) {
    for template in templates(route) {
        for name in routes.templates.names(template) {
            let Some(parameter) = name.strip_prefix("path.") else { continue };
            if parameters(&route.path).any(|known| known == parameter) {
                continue;
            }
            let known: Vec<&str> = parameters(&route.path).collect();
            let hint = match known.as_slice() {
                [] => format!("{} has no parameters; they stand in braces", route.path),
                known => did_you_mean(parameter, known.iter().copied())
                    .unwrap_or_else(|| format!("{} has {}", route.path, known.join(", "))),
            };
            let message = format!("`{name}` isn't in the path");
            report(routes.templates.problem(template, message, Some(hint)), problems);
        }
    }
}

/// Stand-ins for all that a customer can send.
fn probes() -> Context {
    Context::from(REQUEST.map(|root| (root, Probe::value(root))))
}

/// What a request template makes of stand-ins.
fn tried(routes: &Routes, template: &TemplateId, problems: &mut Problems<'_>) -> Option<Json> {
    let made = routes.templates.render_json(template, &probes()).or_else(|_| {
        // Filters that want a text can't take a stand-in.
        routes.templates.render_json(template, &plain_texts(routes, template))
    });
    match made {
        Ok(text) => serde_json::from_str(&text).ok(),
        Err(error) => {
            report(error, problems);
            None
        }
    }
}

/// A text for each name that a template uses.
fn plain_texts(routes: &Routes, template: &TemplateId) -> Context {
    texts(routes.templates.names(template).iter().map(String::as_str))
}

/// A text for each of these names of a request, and nothing else.
fn texts<'a>(names: impl Iterator<Item = &'a str>) -> Context {
    let mut tree = serde_json::Map::new();
    for root in REQUEST {
        tree.insert(root.to_owned(), Json::Object(serde_json::Map::new()));
    }
    for name in names {
        let mut steps = name.split('.').peekable();
        let mut here = &mut tree;
        while let Some(step) = steps.next() {
            if steps.peek().is_none() {
                here.entry(step).or_insert_with(|| Json::String("text".to_owned()));
                break;
            }
            let next = here.entry(step).or_insert_with(|| Json::Object(serde_json::Map::new()));
            let Json::Object(members) = next else { break };
            here = members;
        }
    }
    Context::from(REQUEST.map(|root| (root, Value::from(minijinja::value::Serde(&tree[root])))))
}

/// Whether what a request template makes is the operation's input.
fn input(
    routes: &Routes,
    route: &Route,
    template: &TemplateId,
    made: &Json,
    problems: &mut Problems<'_>,
) {
    let mut problem = |message: String, hint: Option<String>| {
        report(routes.templates.problem(template, message, hint), problems);
    };
    let Json::Object(members) = made else {
        problem("a request is a JSON object".to_owned(), None);
        return;
    };
    let fields = route.operation.input().fields();
    for (name, value) in members {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let hint = did_you_mean(name, known.iter().copied())
                .unwrap_or_else(|| format!("it takes {}", known.join(", ")));
            problem(format!("the operation has no input `{name}`"), Some(hint));
            continue;
        };
        if !fits(field, value) {
            problem(format!("`{name}` must be {}", field.kind.words()), None);
        }
    }
    for field in fields.iter().filter(|field| field.required && !members.contains_key(field.name)) {
        if !routes.templates.has_text(template, &format!("\"{}\"", field.name)) {
            problem(format!("the operation needs `{}`", field.name), None);
        }
    }
}

fn fits(field: &Field, value: &Json) -> bool {
    match value {
        Json::String(text) => {
            let from_customer = Probe::path_of(text).is_some()
                || text == OMITTED
                || text.starts_with(REFUSED)
                || text == "text";
            from_customer || field.kind == Kind::Text
        }
        Json::Null => true,
        Json::Bool(_) => field.kind == Kind::Flag,
        Json::Number(_) => field.kind == Kind::Number,
        Json::Array(items) => field.kind == Kind::Texts && items.iter().all(Json::is_string),
        Json::Object(_) => field.kind == Kind::Object,
    }
}

/// Renders a response with all that an operation can answer, and with as little.
fn response(routes: &Routes, route: &Route, template: &TemplateId, problems: &mut Problems<'_>) {
    let answers = route.operation.answers();
    if let Some(error) = unknown_name(routes, route, template, &answers) {
        report(error, problems);
        return;
    }
    let in_path: Vec<String> =
        parameters(&route.path).map(|parameter| format!("path.{parameter}")).collect();
    let least = texts(in_path.iter().chain(&route.required).map(String::as_str));
    for (variant, request) in [probes(), least].into_iter().enumerate() {
        let mut context = request;
        context.insert("application", Value::from_pairs([("uid", "u"), ("name", "n")]));
        context.insert("environment", Value::from("production"));
        for (name, samples) in &answers {
            let read = |text: &str| native::read(text.as_bytes(), &routes.ids).unwrap_or_default();
            let value = match (is_list(name), variant) {
                (false, variant) => read(samples[variant]),
                (true, 0) => Value::from(samples.map(read).to_vec()),
                (true, _) => Value::from(Vec::<Value>::new()),
            };
            context.insert(name, value);
        }
        if let Err(mut error) = routes.templates.render_json(template, &context) {
            if variant > 0 && error.hint.is_none() {
                let hint = "what can be missing needs a default: {{ body.name|default(none) }}";
                error.hint = Some(hint.to_owned());
            }
            report(error, problems);
            return;
        }
    }
}

/// A name that the answers don't have.
fn unknown_name(
    routes: &Routes,
    route: &Route,
    template: &TemplateId,
    answers: &[(&'static str, [&'static str; 2])],
) -> Option<crate::contract::template::TemplateError> {
    const ALWAYS: [&str; 5] = ["application", "environment", REQUEST[0], REQUEST[1], REQUEST[2]];
    for name in routes.templates.names(template) {
        let (root, member) = name.split_once('.').unwrap_or((&name, ""));
        if ALWAYS.contains(&root) {
            continue;
        }
        let Some((_, [sample, _])) = answers.iter().find(|(known, _)| *known == root) else {
            let known: Vec<&str> = answers.iter().map(|(known, _)| *known).chain(ALWAYS).collect();
            let hint = did_you_mean(root, known.iter().copied()).unwrap_or_else(|| {
                format!("{} answers with {}", operation(route), known.join(", "))
            });
            return Some(routes.templates.problem(
                template,
                format!("`{name}` isn't defined here"),
                Some(hint),
            ));
        };
        let Ok(Json::Object(members)) = serde_json::from_str(sample) else { continue };
        let first = member.split('.').next().unwrap_or_default();
        if is_list(root) || first.is_empty() || members.contains_key(first) {
            continue;
        }
        let hint = did_you_mean(first, members.keys().map(String::as_str)).unwrap_or_else(|| {
            let known: Vec<&str> = members.keys().map(String::as_str).collect();
            format!("{root} has {}", known.join(", "))
        });
        return Some(routes.templates.problem(
            template,
            format!("`{name}` isn't defined here"),
            Some(hint),
        ));
    }
    None
}
