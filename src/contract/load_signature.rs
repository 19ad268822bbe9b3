//! The `[[signature]]` sections.

use std::sync::Arc;

use toml::Spanned;

use super::file::RawSignature;
use super::load::{header_name, named_template, or, template_or};
use super::problem::Problems;
use super::scope::Place;
use super::signature::{Algorithm, Signature, Stage};
use super::template::{Escape, Template};

/// The most signatures of one contract.
pub const MAX_SIGNATURES: usize = 16;

/// Names of the request that a signature may be made over, beside the body.
const OF_THE_URL: [&str; 5] = ["url", "query", "full_url", "host", "path"];

pub(super) fn signatures(
    raw: &[Spanned<RawSignature>],
    problems: &mut Problems<'_>,
) -> Option<Vec<Signature>> {
    if let Some(surplus) = raw.get(MAX_SIGNATURES) {
        let message = format!("there can be at most {MAX_SIGNATURES} signatures");
        problems.at(surplus.span().start, message, None);
    }
    let mut names: Vec<&str> = Vec::new();
    for name in raw.iter().filter_map(|signature| signature.get_ref().name.as_ref()) {
        if names.contains(&name.get_ref().as_str()) {
            let message = format!("two signatures are called `{}`", name.get_ref());
            problems.at(name.span().start, message, None);
        }
        names.push(name.get_ref());
    }
    let compiled: Vec<Option<Signature>> =
        raw.iter().map(|signature| self::signature(signature, problems)).collect();
    compiled.into_iter().collect()
}

/// What templates call the signatures that are made by this stage at the latest.
pub(super) fn names(signatures: Option<&[Signature]>, stage: Stage) -> Vec<String> {
    let known = signatures.into_iter().flatten().filter(|signature| signature.stage <= stage);
    known
        .filter_map(|signature| signature.name.as_deref())
        .flat_map(|name| [format!("signature.{name}"), format!("signatures.{name}")])
        .collect()
}

fn signature(section: &Spanned<RawSignature>, problems: &mut Problems<'_>) -> Option<Signature> {
    let raw = section.get_ref();
    check_keys(section, problems);
    let header = raw.header.as_ref().map(|name| header_name(name, problems));
    let algorithm = raw.algorithm.as_ref().map(|key| *key.get_ref());
    let digests = algorithm.is_some_and(Algorithm::is_plain_digest);
    let more: &[String] = if digests { &["secret".to_owned()] } else { &[] };
    let content = named_template(
        &raw.content,
        "{{ body }}",
        "signature.content",
        (Escape::Plain, Place::Content),
        more,
        problems,
    );
    let plain = (Escape::Plain, Place::Format);
    let format = template_or(&raw.format, "{{ signature }}", "signature.format", plain, problems);
    let content = content?;
    if digests && !content.uses("secret") {
        let hint = "name {{ secret }} in `content`, or take an algorithm that has a key".to_owned();
        let message = "whoever knows the content can make this signature";
        problems.at(section.span().start, message, Some(hint));
    }
    Some(Signature {
        // A header's name that is none has been reported.
        header: match header {
            Some(name) => Some(name?),
            None => None,
        },
        name: raw.name.as_ref().map(|name| Arc::from(name.get_ref().as_str())),
        separator: raw.separator.as_ref().map(|key| key.get_ref().clone()),
        algorithm: algorithm?,
        signed_by: or(&raw.secret, Default::default()),
        stage: stage(&content),
        content,
        encoding: or(&raw.encoding, Default::default()),
        format: format?,
    })
}

fn stage(content: &Template) -> Stage {
    if OF_THE_URL.iter().any(|name| content.uses(name)) {
        Stage::Request
    } else if content.uses("body") || content.uses("method") {
        Stage::Body
    } else {
        Stage::Event
    }
}

fn check_keys(section: &Spanned<RawSignature>, problems: &mut Problems<'_>) {
    let raw = section.get_ref();
    let place = section.span().start;
    if raw.header.is_none() && raw.name.is_none() {
        let hint = "a `name` is for signatures that the body or the query holds".to_owned();
        problems.at(place, "the signature has no `header`", Some(hint));
    }
    if raw.algorithm.is_none() {
        let hint = "such as hmac-sha256, ed25519 or token".to_owned();
        problems.at(place, "the signature has no `algorithm`", Some(hint));
    }
    if let Some(name) = &raw.name
        && !is_identifier(name.get_ref())
    {
        let hint = "lower-case letters, digits and underscores".to_owned();
        let message = format!("`{}` can't be a signature's name", name.get_ref());
        problems.at(name.span().start, message, Some(hint));
    }
    if raw.header.is_none()
        && let Some(key) = raw.format.as_ref().or(raw.separator.as_ref())
    {
        let message = "only a header has a `format` and a `separator`";
        problems.at(key.span().start, message, None);
    }
    let is_token = raw.algorithm.as_ref().is_some_and(|key| *key.get_ref() == Algorithm::Token);
    let unused =
        raw.content.as_ref().map(Spanned::span).or(raw.encoding.as_ref().map(Spanned::span));
    if let (true, Some(span)) = (is_token, unused) {
        let message = "a token is the secret as it stands: it has no content and no encoding";
        problems.at(span.start, message, None);
    }
}

fn is_identifier(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(allowed)
}
