//! The `[[handshake]]` sections.

use std::time::Duration;

use toml::Spanned;

use super::file::{RawHandshake, RawHeaders};
use super::handshake::{AnswerPlace, Handshake};
use super::load::{content_type, duration, headers, method_of, or, query, template, template_or};
use super::load_policy::success;
use super::problem::Problems;
use super::scope::Place;
use super::template::{Escape, Template};

/// The most handshakes of one contract.
pub const MAX_HANDSHAKES: usize = 4;
/// The longest that one handshake may take: whoever makes an endpoint waits for it.
pub const MAX_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_EVENT: &str = "handshake";

pub(super) fn handshakes(
    raw: &[Spanned<RawHandshake>],
    problems: &mut Problems<'_>,
) -> Option<Vec<Handshake>> {
    if let Some(surplus) = raw.get(MAX_HANDSHAKES) {
        let message = format!("there can be at most {MAX_HANDSHAKES} handshakes");
        problems.at(surplus.span().start, message, None);
    }
    let loaded: Vec<Option<Handshake>> =
        raw.iter().map(|section| handshake(section.get_ref(), problems)).collect();
    loaded.into_iter().collect()
}

fn handshake(raw: &RawHandshake, problems: &mut Problems<'_>) -> Option<Handshake> {
    let content_type = content_type(&raw.content_type, problems);
    let escape = match &raw.content_type {
        Some(key) => Escape::of(key.get_ref()),
        None => Escape::Json,
    };
    let place = (escape, Place::Handshake);
    let body = template_or(&raw.body, "", "handshake.body", place, problems);
    let query = query(&raw.query, "handshake.query", Place::Handshake, &[], problems);
    let headers = headers(&raw.headers, "handshake.headers", Place::Handshake, &[], problems);
    let method = raw.method.as_ref().and_then(|method| method_of(method, problems));
    let timeout = duration(&raw.timeout, DEFAULT_TIMEOUT, problems);
    if let Some(key) = &raw.timeout
        && (timeout.is_zero() || timeout > MAX_HANDSHAKE_TIMEOUT)
    {
        let limit = MAX_HANDSHAKE_TIMEOUT.as_secs();
        let message = format!("a handshake's timeout must be at most {limit}s, and not 0");
        problems.at(key.span().start, message, None);
    }
    let expect = expect(&raw.expect, problems);
    if let (Some(method), Some(key)) = (method, &raw.body)
        && !method.has_body()
    {
        problems.at(key.span().start, format!("{method} requests have no body"), None);
    }
    Some(Handshake {
        method: method.unwrap_or_default(),
        body: body?,
        content_type: content_type?,
        is_json: escape == Escape::Json,
        query: query?,
        headers: headers?,
        signature: or(&raw.signature, Default::default()),
        event: or(&raw.event, DEFAULT_EVENT.to_owned()),
        expect: expect?,
        status: success(&raw.status, problems),
        timeout,
    })
}

fn expect(raw: &RawHeaders, problems: &mut Problems<'_>) -> Option<Vec<(AnswerPlace, Template)>> {
    let compiled = raw.0.iter().map(|(name, source)| {
        let place = AnswerPlace::parse(name.get_ref());
        if place.is_none() {
            let hint = "`body`, `body.member` or `header.Name`".to_owned();
            let message = format!("`{}` is no part of an answer", name.get_ref());
            problems.at(name.span().start, message, Some(hint));
        }
        let label = format!("handshake.expect.{}", name.get_ref());
        let template = template(source, &label, (Escape::Plain, Place::Handshake), &[], problems);
        Some((place?, template?))
    });
    let compiled: Vec<Option<(AnswerPlace, Template)>> = compiled.collect();
    compiled.into_iter().collect()
}
