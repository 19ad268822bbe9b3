//! From the file as it is written to a contract that works, with every mistake reported.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use toml::Spanned;

use super::file::{Key, RawContract, RawDelivery, RawEndpoint, RawHeaders};
use super::json;
use super::load_catalog::catalog;
use super::load_handshake::handshakes;
use super::load_policy::{pause_policy, retry_policy};
use super::load_secret::secret_rules;
use super::load_signature::{names, signatures};
use super::problem::Problems;
use super::routes::{RawApi, routes};
use super::rules::{EndpointRules, SENDER_HEADERS, choices};
use super::scope::Place;
use super::signature::{Signature, Stage};
use super::template::{Escape, Origin, Template};
use super::{Contract, Delivery};
use crate::domain::{AuthKind, Method, Transport, parse_duration};

const DEFAULT_MAX_HEADERS: usize = 20;
const DEFAULT_CONTENT_TYPE: &str = "application/json";
/// The most parameters that a contract may add to a query.
pub const MAX_QUERY_PARAMETERS: usize = 32;
const MAX_NAME_CHARS: usize = 64;

/// Builds the contract. `None` where something is missing that nothing can stand in for;
/// then it has been reported.
pub(super) fn build(raw: RawContract, problems: &mut Problems<'_>) -> Option<Contract> {
    let name = contract_name(&raw.name, problems);
    let retry = retry_policy(&raw.delivery, problems);
    let pause = pause_policy(raw.pause.as_ref(), problems);
    let signatures = signatures(&raw.signature, problems);
    let delivery = delivery(&raw.delivery, signatures.as_deref(), problems);
    let secret = secret_rules(raw.secret.as_ref(), &raw.signature, problems);
    let set_by_contract =
        reserved_headers(&raw, delivery.as_ref(), signatures.as_deref(), problems);
    let endpoint = delivery
        .as_ref()
        .map(|delivery| endpoint_rules(&raw.endpoint, delivery, set_by_contract, problems));
    let handshakes = handshakes(&raw.handshake, problems);
    if let (Some(word), Some(transports)) = (&raw.delivery.success_body, &raw.endpoint.transports)
        && transports.get_ref().iter().any(|one| *one.get_ref() == Transport::Websocket)
    {
        let message = "a websocket's acknowledgement has no body to look at";
        problems.at(word.span().start, message, None);
    }
    let header_spellings = header_spellings(&raw);
    let catalog = catalog(&raw.groups, &raw.events, problems);
    let api = RawApi {
        keys: raw.keys.as_ref(),
        errors: &raw.errors,
        ids: &raw.ids,
        templates: &raw.templates,
        routes: &raw.routes,
        reveals: secret.reveal,
    };
    let routes = routes(&api, problems);
    let name = name?;
    Some(Contract {
        title: raw.title.map_or_else(|| name.clone(), Spanned::into_inner),
        name,
        description: raw.description.map(Spanned::into_inner).unwrap_or_default(),
        delivery: delivery?,
        signatures: signatures?,
        handshakes: handshakes?,
        header_spellings,
        retry,
        pause,
        secret,
        endpoint: endpoint?,
        catalog,
        routes,
    })
}

/// Whether a contract can have this name: lower-case letters, digits and hyphens.
pub fn is_contract_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(allowed)
}

fn contract_name(name: &Key<String>, problems: &mut Problems<'_>) -> Option<String> {
    let Some(name) = name else {
        problems.on_line(1, "the contract has no `name`", None);
        return None;
    };
    let text = name.get_ref();
    if !is_contract_name(text) {
        problems.at(
            name.span().start,
            format!("`{text}` can't be a contract's name"),
            Some("lower-case letters, digits and hyphens".to_owned()),
        );
    }
    Some(text.clone())
}

/// The value of a key, or what stands in for it where it was left out.
pub(super) fn or<T: Clone>(key: &Key<T>, default: T) -> T {
    key.as_ref().map_or(default, |key| key.get_ref().clone())
}

pub(super) fn duration(
    key: &Key<String>,
    default: Duration,
    problems: &mut Problems<'_>,
) -> Duration {
    match key {
        Some(text) => duration_of(text, problems).unwrap_or(default),
        None => default,
    }
}

pub(super) fn duration_of(text: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Duration> {
    let parsed = parse_duration(text.get_ref());
    if parsed.is_none() {
        problems.at(
            text.span().start,
            format!("`{}` isn't a duration", text.get_ref()),
            Some("a whole number and ms, s, m, h or d, such as \"30s\"".to_owned()),
        );
    }
    parsed
}

pub(super) fn method_of(text: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Method> {
    let method = text.get_ref().parse().ok();
    if method.is_none() {
        let known: Vec<&str> = Method::ALL.iter().map(|method| method.as_str()).collect();
        problems.at(
            text.span().start,
            format!("`{}` isn't a method", text.get_ref()),
            Some(choices(text.get_ref(), &known)),
        );
    }
    method
}

/// Compiles a template of the file, or reports what is wrong with it.
pub(super) fn template(
    source: &Spanned<String>,
    label: &str,
    (escape, place): (Escape, Place),
    more: &[String],
    problems: &mut Problems<'_>,
) -> Option<Template> {
    let origin =
        Origin { label: label.into(), first_line: problems.first_line_of(source.span().start) };
    match Template::compile(source.get_ref(), escape, place, origin, more) {
        Ok(template) => Some(template),
        Err(errors) => {
            for error in errors {
                problems.on_line(error.line, error.to_string(), error.hint);
            }
            None
        }
    }
}

pub(super) fn template_or(
    source: &Key<String>,
    default: &str,
    label: &str,
    place: (Escape, Place),
    problems: &mut Problems<'_>,
) -> Option<Template> {
    named_template(source, default, label, place, &[], problems)
}

/// The same with more names than the place has.
pub(super) fn named_template(
    source: &Key<String>,
    default: &str,
    label: &str,
    place: (Escape, Place),
    more: &[String],
    problems: &mut Problems<'_>,
) -> Option<Template> {
    match source {
        Some(source) => template(source, label, place, more, problems),
        None => template(&Spanned::new(0..0, default.to_owned()), label, place, more, problems),
    }
}

fn delivery(
    raw: &RawDelivery,
    signatures: Option<&[Signature]>,
    problems: &mut Problems<'_>,
) -> Option<Delivery> {
    let content_type = content_type(&raw.content_type, problems);
    let escape = Escape::of(&or(&raw.content_type, DEFAULT_CONTENT_TYPE.to_owned()));
    let place = (escape, Place::Body);
    let in_body = names(signatures, Stage::Event);
    let body =
        named_template(&raw.body, "{{ payload }}", "delivery.body", place, &in_body, problems);
    let outside = names(signatures, Stage::Body);
    let query = query(&raw.query, "delivery.query", Place::Query, &outside, problems);
    let headers = headers(&raw.headers, "delivery.headers", Place::Header, &outside, problems);
    let method = raw.method.as_ref().and_then(|method| method_of(method, problems));
    if let Some(key) = &raw.body_in_query
        && key.get_ref().is_empty()
    {
        problems.at(key.span().start, "`body_in_query` names a query parameter", None);
    }
    Some(Delivery {
        body: body?,
        content_type: content_type?,
        is_json: escape == Escape::Json,
        method: method.unwrap_or_default(),
        body_in_query: raw.body_in_query.as_ref().map(|key| key.get_ref().clone()),
        query: query?,
        headers: headers?,
    })
}

pub(super) fn content_type(key: &Key<String>, problems: &mut Problems<'_>) -> Option<HeaderValue> {
    let text = or(key, DEFAULT_CONTENT_TYPE.to_owned());
    let parsed = HeaderValue::from_str(&text).ok();
    if let (None, Some(key)) = (&parsed, key) {
        problems.at(key.span().start, format!("`{text}` can't be sent in a header"), None);
    }
    parsed
}

pub(super) fn query(
    raw: &RawHeaders,
    section: &str,
    place: Place,
    more: &[String],
    problems: &mut Problems<'_>,
) -> Option<Vec<(String, Template)>> {
    if let Some((surplus, _)) = raw.0.get(MAX_QUERY_PARAMETERS) {
        let message = format!("at most {MAX_QUERY_PARAMETERS} parameters can be added");
        problems.at(surplus.span().start, message, None);
    }
    let compiled: Vec<Option<(String, Template)>> = raw
        .0
        .iter()
        .map(|(name, source)| {
            let label = format!("{section}.{}", name.get_ref());
            let template = template(source, &label, (Escape::Plain, place), more, problems);
            Some((name.get_ref().clone(), template?))
        })
        .collect();
    compiled.into_iter().collect()
}

pub(super) fn headers(
    raw: &RawHeaders,
    section: &str,
    place: Place,
    more: &[String],
    problems: &mut Problems<'_>,
) -> Option<Vec<(HeaderName, Template)>> {
    let compiled = raw.0.iter().map(|(name, source)| {
        let label = format!("{section}.{}", name.get_ref());
        let header = header_name(name, problems);
        let template = template(source, &label, (Escape::Plain, place), more, problems);
        Some((header?, template?))
    });
    // Not lazily: the mistakes of all of them are wanted.
    let compiled: Vec<Option<(HeaderName, Template)>> = compiled.collect();
    compiled.into_iter().collect()
}

pub(super) fn header_name(
    name: &Spanned<String>,
    problems: &mut Problems<'_>,
) -> Option<HeaderName> {
    let text = name.get_ref();
    let Ok(header) = HeaderName::from_bytes(text.as_bytes()) else {
        problems.at(name.span().start, format!("`{text}` isn't a valid header name"), None);
        return None;
    };
    // Companies document their user agent; customers have no say in it.
    if SENDER_HEADERS.contains(&header.as_str()) && header != http::header::USER_AGENT {
        let hint = (header == http::header::CONTENT_TYPE)
            .then(|| "the content type is `content_type` of [delivery]".to_owned());
        problems.at(name.span().start, format!("the header `{text}` is the server's"), hint);
        return None;
    }
    Some(header)
}

/// The headers that the contract sets, each of which may be set only once.
fn reserved_headers(
    raw: &RawContract,
    delivery: Option<&Delivery>,
    signatures: Option<&[Signature]>,
    problems: &mut Problems<'_>,
) -> Vec<HeaderName> {
    let headers: &[(HeaderName, Template)] = delivery.map_or(&[], |delivery| &delivery.headers);
    let places = raw.delivery.headers.0.iter().map(|(name, _)| name.span().start);
    let of_headers = headers.iter().map(|(name, _)| (name, false)).zip(places);
    let of_signatures = signatures.into_iter().flatten().zip(&raw.signature);
    let of_signatures = of_signatures.filter_map(|(signature, section)| {
        let name = signature.header.as_ref()?;
        let joins = signature.separator.is_some() && !headers.iter().any(|(set, _)| set == name);
        Some(((name, joins), section.span().start))
    });
    let mut reserved: Vec<HeaderName> = Vec::new();
    for ((name, joins), place) in of_headers.chain(of_signatures) {
        if !reserved.contains(name) {
            reserved.push(name.clone());
        } else if !joins {
            let hint = "signatures that share a header need a `separator`";
            let hint = signatures.is_some_and(|all| all.len() > 1).then(|| hint.to_owned());
            problems.at(place, format!("the header `{name}` is set twice"), hint);
        }
    }
    reserved
}

/// How the contract writes the names of its headers.
fn header_spellings(raw: &RawContract) -> Vec<(HeaderName, String)> {
    let of_headers = raw.delivery.headers.0.iter().map(|(name, _)| name);
    let of_signatures = raw.signature.iter().filter_map(|one| one.get_ref().header.as_ref());
    of_headers
        .chain(of_signatures)
        .filter_map(|name| Some((name.get_ref().parse().ok()?, name.get_ref().clone())))
        .collect()
}

fn endpoint_rules(
    raw: &RawEndpoint,
    delivery: &Delivery,
    reserved_headers: Vec<HeaderName>,
    problems: &mut Problems<'_>,
) -> EndpointRules {
    let http_methods = http_methods(raw, delivery, problems);
    let auth = match &raw.auth {
        Some(kinds) => kinds.get_ref().iter().map(|kind| *kind.get_ref()).collect(),
        None => vec![AuthKind::None],
    };
    EndpointRules {
        transports: transports(raw, problems),
        http_methods,
        default_method: delivery.method,
        auth,
        headers: or(&raw.headers, false),
        max_headers: or(&raw.max_headers, DEFAULT_MAX_HEADERS),
        name: or(&raw.name, Default::default()),
        unique_name: or(&raw.unique_name, false),
        https_only: or(&raw.https_only, false),
        wildcard: or(&raw.wildcard, false),
        groups: or(&raw.groups, false),
        events: or(&raw.events, Default::default()),
        single_event: or(&raw.single_event, false),
        reserved_headers,
    }
}

fn transports(raw: &RawEndpoint, problems: &mut Problems<'_>) -> Vec<Transport> {
    let Some(key) = &raw.transports else { return vec![Transport::default()] };
    if key.get_ref().is_empty() {
        let hint = "\"webhook\", \"websocket\" or both".to_owned();
        problems.at(key.span().start, "`transports` must have at least one", Some(hint));
    }
    key.get_ref().iter().map(|transport| *transport.get_ref()).collect()
}

fn http_methods(
    raw: &RawEndpoint,
    delivery: &Delivery,
    problems: &mut Problems<'_>,
) -> Vec<Method> {
    let Some(key) = &raw.http_methods else { return vec![delivery.method] };
    let methods: Vec<Method> =
        key.get_ref().iter().filter_map(|method| method_of(method, problems)).collect();
    let all_known = methods.len() == key.get_ref().len();
    if all_known && !methods.contains(&delivery.method) {
        let message = format!("the default method {} isn't among the methods", delivery.method);
        problems.at(key.span().start, message, None);
    }
    if delivery.body_in_query.is_none()
        && let Some(bodiless) = methods.iter().find(|method| !method.has_body())
    {
        problems.at(
            key.span().start,
            format!("{bodiless} requests have no body to carry the event"),
            Some("name a query parameter in `body_in_query` of [delivery]".to_owned()),
        );
    }
    methods
}

/// Reports a text that should be JSON and isn't.
pub(super) fn check_json(
    key: &Key<String>,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<Arc<str>> {
    let key = key.as_ref()?;
    let text = key.get_ref();
    if let Err(error) = json::validate(text) {
        let above = text.get(..error.offset).unwrap_or_default().matches('\n').count();
        let line = problems.first_line_of(key.span().start) + above;
        problems.on_line(line, format!("the {what} isn't JSON: {error}"), None);
        return None;
    }
    Some(text.as_str().into())
}
