//! From the file as it is written to a contract that works, with every mistake reported.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use toml::Spanned;

use super::file::{Key, RawContract, RawDelivery, RawEndpoint, RawHeaders, RawPause, RawSignature};
use super::json;
use super::load_catalog::catalog;
use super::load_secret::secret_rules;
use super::problem::Problems;
use super::routes::{RawApi, routes};
use super::rules::{EndpointRules, SENDER_HEADERS, choices};
use super::scope::Place;
use super::signature::Signature;
use super::template::{Escape, Origin, Template};
use super::{Contract, Delivery};
use crate::domain::{AuthKind, Method, PausePolicy, RetryPolicy, Transport, parse_duration};

/// The most retries that a contract may ask for.
pub const MAX_RETRIES: usize = 50;
/// The longest that one attempt may take.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const DEFAULT_RETRIES_S: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
const DEFAULT_JITTER: f64 = 0.1;
const DEFAULT_RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);
const DEFAULT_MAX_HEADERS: usize = 20;
const MAX_NAME_CHARS: usize = 64;

/// Builds the contract. `None` where something is missing that nothing can stand in for;
/// then it has been reported.
pub(super) fn build(raw: RawContract, problems: &mut Problems<'_>) -> Option<Contract> {
    let name = contract_name(&raw.name, problems);
    let retry = retry_policy(&raw.delivery, problems);
    let pause = pause_policy(raw.pause.as_ref(), problems);
    let delivery = delivery(&raw.delivery, problems);
    let signatures = signatures(&raw.signature, problems);
    let secret = secret_rules(raw.secret.as_ref(), raw.signature.first(), problems);
    let set_by_contract =
        reserved_headers(&raw, delivery.as_ref(), signatures.as_deref(), problems);
    let endpoint = delivery
        .as_ref()
        .map(|delivery| endpoint_rules(&raw.endpoint, delivery, set_by_contract, problems));
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

fn duration_of(text: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Duration> {
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

fn method_of(text: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Method> {
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

fn retry_policy(raw: &RawDelivery, problems: &mut Problems<'_>) -> RetryPolicy {
    let timeout = duration(&raw.timeout, DEFAULT_TIMEOUT, problems);
    if let Some(key) = &raw.timeout
        && (timeout.is_zero() || timeout > MAX_TIMEOUT)
    {
        let limit = MAX_TIMEOUT.as_secs();
        problems.at(
            key.span().start,
            format!("the timeout must be at most {limit}s, and not 0"),
            None,
        );
    }
    let retries: Vec<Duration> = match &raw.retries {
        None => DEFAULT_RETRIES_S.map(Duration::from_secs).to_vec(),
        Some(waits) => {
            if waits.get_ref().len() > MAX_RETRIES {
                let message = format!("there can be at most {MAX_RETRIES} retries");
                problems.at(waits.span().start, message, None);
            }
            waits.get_ref().iter().filter_map(|wait| duration_of(wait, problems)).collect()
        }
    };
    let jitter = or(&raw.jitter, DEFAULT_JITTER);
    if let Some(key) = &raw.jitter
        && !(0.0..=1.0).contains(&jitter)
    {
        problems.at(key.span().start, "`jitter` must be between 0 and 1", None);
    }
    if let Some(gone) = &raw.gone
        && !(300..600).contains(gone.get_ref())
    {
        problems.at(gone.span().start, "`gone` must be a status from 300 to 599", None);
    }
    RetryPolicy {
        timeout,
        retries,
        jitter,
        honours_retry_after: or(&raw.retry_after, true),
        retry_after_max: duration(&raw.retry_after_max, DEFAULT_RETRY_AFTER_MAX, problems),
        success: success(&raw.success, problems),
        gone: raw.gone.as_ref().map(|gone| *gone.get_ref()),
    }
}

/// `2xx`, `204` or `200-204`.
fn success(key: &Key<String>, problems: &mut Problems<'_>) -> (u16, u16) {
    const DEFAULT: (u16, u16) = (200, 299);
    let Some(key) = key else { return DEFAULT };
    let text = key.get_ref();
    let range = match text.strip_suffix("xx") {
        Some(class) => class.parse().ok().map(|class: u16| {
            let first = class.saturating_mul(100);
            (first, first.saturating_add(99))
        }),
        None => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.trim().parse().ok().zip(last.trim().parse().ok())
        }
    };
    match range {
        Some((first, last)) if first >= 200 && first <= last && last < 600 => (first, last),
        _ => {
            problems.at(
                key.span().start,
                format!("`{text}` isn't a range of statuses"),
                Some("such as \"2xx\", \"204\" or \"200-204\"".to_owned()),
            );
            DEFAULT
        }
    }
}

fn pause_policy(raw: Option<&Spanned<RawPause>>, problems: &mut Problems<'_>) -> PausePolicy {
    let Some(section) = raw else { return PausePolicy::Never };
    let raw = section.get_ref();
    let place = section.span().start;
    let rules = [raw.consecutive.is_some(), raw.failures.is_some(), raw.failing_for.is_some()];
    if rules.into_iter().filter(|&given| given).count() != 1 {
        let hint = "`consecutive`, `failures` with `within`, or `failing_for`";
        problems.at(place, "[pause] must have exactly one rule", Some(hint.to_owned()));
        return PausePolicy::Never;
    }
    if raw.failures.is_some() != raw.within.is_some() {
        problems.at(place, "`failures` and `within` belong together", None);
        return PausePolicy::Never;
    }
    for count in [&raw.consecutive, &raw.failures].into_iter().flatten() {
        if *count.get_ref() == 0 {
            problems.at(count.span().start, "the number of failures must not be 0", None);
        }
    }
    if let Some(failures) = &raw.consecutive {
        return PausePolicy::Consecutive { failures: *failures.get_ref() };
    }
    let time = raw.within.as_ref().or(raw.failing_for.as_ref());
    let Some(duration) = time.and_then(|text| duration_of(text, problems)) else {
        return PausePolicy::Never;
    };
    match &raw.failures {
        Some(failures) => PausePolicy::TooMany { failures: *failures.get_ref(), within: duration },
        None => PausePolicy::FailingFor { duration },
    }
}

/// Compiles a template of the file, or reports what is wrong with it.
fn template(
    source: &Spanned<String>,
    label: &str,
    escape: Escape,
    place: Place,
    problems: &mut Problems<'_>,
) -> Option<Template> {
    let origin =
        Origin { label: label.into(), first_line: problems.first_line_of(source.span().start) };
    match Template::compile(source.get_ref(), escape, place, origin) {
        Ok(template) => Some(template),
        Err(errors) => {
            for error in errors {
                problems.on_line(error.line, error.to_string(), error.hint);
            }
            None
        }
    }
}

fn template_or(
    source: &Key<String>,
    default: &str,
    label: &str,
    (escape, place): (Escape, Place),
    problems: &mut Problems<'_>,
) -> Option<Template> {
    match source {
        Some(source) => template(source, label, escape, place, problems),
        None => template(&Spanned::new(0..0, default.to_owned()), label, escape, place, problems),
    }
}

fn delivery(raw: &RawDelivery, problems: &mut Problems<'_>) -> Option<Delivery> {
    let content_type = or(&raw.content_type, "application/json".to_owned());
    let parsed_type = HeaderValue::from_str(&content_type).ok();
    if let (None, Some(key)) = (&parsed_type, &raw.content_type) {
        problems.at(key.span().start, format!("`{content_type}` can't be sent in a header"), None);
    }
    let is_json = is_json(&content_type);
    let escape = if is_json { Escape::Json } else { Escape::Plain };
    let body =
        template_or(&raw.body, "{{ payload }}", "delivery.body", (escape, Place::Body), problems);
    let headers = headers(&raw.headers, problems);
    let method = raw.method.as_ref().and_then(|method| method_of(method, problems));
    if let Some(key) = &raw.body_in_query
        && key.get_ref().is_empty()
    {
        problems.at(key.span().start, "`body_in_query` names a query parameter", None);
    }
    Some(Delivery {
        body: body?,
        content_type: parsed_type?,
        is_json,
        method: method.unwrap_or_default(),
        body_in_query: raw.body_in_query.as_ref().map(|key| key.get_ref().clone()),
        headers: headers?,
    })
}

/// Whether a media type is JSON: `application/json` or anything with the suffix `+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

fn headers(raw: &RawHeaders, problems: &mut Problems<'_>) -> Option<Vec<(HeaderName, Template)>> {
    let compiled = raw.0.iter().map(|(name, source)| {
        let label = format!("delivery.headers.{}", name.get_ref());
        let header = header_name(name, problems);
        let template = template(source, &label, Escape::Plain, Place::Header, problems);
        Some((header?, template?))
    });
    // Not lazily: the mistakes of all of them are wanted.
    let compiled: Vec<Option<(HeaderName, Template)>> = compiled.collect();
    compiled.into_iter().collect()
}

fn header_name(name: &Spanned<String>, problems: &mut Problems<'_>) -> Option<HeaderName> {
    let text = name.get_ref();
    let Ok(header) = HeaderName::from_bytes(text.as_bytes()) else {
        problems.at(name.span().start, format!("`{text}` isn't a valid header name"), None);
        return None;
    };
    if SENDER_HEADERS.contains(&header.as_str()) {
        let hint = (header == http::header::CONTENT_TYPE)
            .then(|| "the content type is `content_type` of [delivery]".to_owned());
        problems.at(name.span().start, format!("the header `{text}` is the server's"), hint);
        return None;
    }
    Some(header)
}

fn signatures(
    raw: &[Spanned<RawSignature>],
    problems: &mut Problems<'_>,
) -> Option<Vec<Signature>> {
    let compiled: Vec<Option<Signature>> =
        raw.iter().map(|signature| self::signature(signature, problems)).collect();
    compiled.into_iter().collect()
}

fn signature(section: &Spanned<RawSignature>, problems: &mut Problems<'_>) -> Option<Signature> {
    let raw = section.get_ref();
    let place = section.span().start;
    if raw.header.is_none() {
        problems.at(place, "the signature has no `header`", None);
    }
    if raw.algorithm.is_none() {
        let hint = "hmac-sha256, hmac-sha512 or hmac-sha1".to_owned();
        problems.at(place, "the signature has no `algorithm`", Some(hint));
    }
    let header = raw.header.as_ref().and_then(|name| header_name(name, problems));
    let plain = |place| (Escape::Plain, place);
    let content = template_or(
        &raw.content,
        "{{ body }}",
        "signature.content",
        plain(Place::Content),
        problems,
    );
    let format = template_or(
        &raw.format,
        "{{ signature }}",
        "signature.format",
        plain(Place::Format),
        problems,
    );
    Some(Signature {
        header: header?,
        algorithm: *raw.algorithm.as_ref()?.get_ref(),
        content: content?,
        encoding: or(&raw.encoding, Default::default()),
        format: format?,
    })
}

/// The headers that the contract sets, each of which may be set only once.
fn reserved_headers(
    raw: &RawContract,
    delivery: Option<&Delivery>,
    signatures: Option<&[Signature]>,
    problems: &mut Problems<'_>,
) -> Vec<HeaderName> {
    let headers = delivery.into_iter().flat_map(|delivery| &delivery.headers);
    let places = raw.delivery.headers.0.iter().map(|(name, _)| name.span().start);
    let of_headers = headers.map(|(name, _)| name.clone()).zip(places);
    let of_signatures = signatures.into_iter().flatten().map(|signature| signature.header.clone());
    let places = raw.signature.iter().map(|signature| signature.span().start);
    let mut seen = HashSet::new();
    let mut reserved = Vec::new();
    for (name, place) in of_headers.chain(of_signatures.zip(places)) {
        if seen.insert(name.clone()) {
            reserved.push(name);
        } else {
            problems.at(place, format!("the header `{name}` is set twice"), None);
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
