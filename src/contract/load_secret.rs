//! The `[secret]` section.

use std::time::Duration;

use toml::Spanned;

use super::file::{Key, RawSecret, RawSignature};
use super::load::{duration, or};
use super::problem::Problems;
use super::secret::{MAX_SECRET_BYTES, SecretEncoding, SecretKey, SecretOrigin, SecretRules};

const DEFAULT_BYTES: usize = 32;
const DEFAULT_MIN_BYTES: usize = 16;
const DEFAULT_MAX_BYTES: usize = 256;

/// The rules for secrets. Without the section, a contract that signs generates them, and one
/// that doesn't has none.
pub(super) fn secret_rules(
    section: Option<&Spanned<RawSecret>>,
    first_signature: Option<&Spanned<RawSignature>>,
    problems: &mut Problems<'_>,
) -> SecretRules {
    let left_out = RawSecret::default();
    let raw = section.map_or(&left_out, Spanned::get_ref);
    let default_origin = match first_signature {
        Some(_) => SecretOrigin::Generated,
        None => SecretOrigin::None,
    };
    let encoding = or(&raw.encoding, SecretEncoding::default());
    let default_key = match encoding {
        SecretEncoding::Text => SecretKey::Text,
        SecretEncoding::Base64 | SecretEncoding::Hex => SecretKey::Decoded,
    };
    let rules = SecretRules {
        origin: or(&raw.origin, default_origin),
        prefix: or(&raw.prefix, String::new()),
        encoding,
        key: or(&raw.key, default_key),
        bytes: or(&raw.bytes, DEFAULT_BYTES),
        min_bytes: or(&raw.min_bytes, DEFAULT_MIN_BYTES),
        max_bytes: or(&raw.max_bytes, DEFAULT_MAX_BYTES),
        overlap: duration(&raw.overlap, Duration::ZERO, problems),
        reveal: or(&raw.reveal, false),
    };
    if let (SecretOrigin::None, Some(signature)) = (rules.origin, first_signature) {
        let hint = "give [secret] an origin: generated, required or optional".to_owned();
        problems.at(signature.span().start, "there are no secrets to sign with", Some(hint));
    }
    if let Some(section) = section {
        check(&rules, section, problems);
    }
    rules
}

fn check(rules: &SecretRules, section: &Spanned<RawSecret>, problems: &mut Problems<'_>) {
    let raw = section.get_ref();
    let place =
        |key: &Key<usize>| key.as_ref().map_or(section.span().start, |key| key.span().start);
    if rules.origin == SecretOrigin::Generated && rules.encoding == SecretEncoding::Text {
        let hint = "generated secrets are written in base64 or hex".to_owned();
        problems.at(section.span().start, "a generated secret can't be plain text", Some(hint));
    }
    if rules.key == SecretKey::Decoded && rules.encoding == SecretEncoding::Text {
        problems.at(section.span().start, "a plain text has no decoded bytes", None);
    }
    if rules.max_bytes > MAX_SECRET_BYTES {
        let message = format!("a secret can have at most {MAX_SECRET_BYTES} bytes");
        problems.at(place(&raw.max_bytes), message, None);
    }
    if rules.min_bytes == 0 || rules.min_bytes > rules.max_bytes {
        let message = "`min_bytes` must be from 1 to `max_bytes`";
        problems.at(place(&raw.min_bytes), message, None);
    }
    let generated = rules.origin == SecretOrigin::Generated;
    if generated && !(rules.min_bytes..=rules.max_bytes).contains(&rules.bytes) {
        let message = "`bytes` must be from `min_bytes` to `max_bytes`";
        problems.at(place(&raw.bytes), message, None);
    }
}
