//! The `[secret]` section.

use std::time::Duration;

use toml::Spanned;

use super::file::{Key, RawKeyPair, RawSecret, RawSignature};
use super::key_pair::KeyPairRules;
use super::load::{duration, or};
use super::problem::Problems;
use super::secret::{MAX_SECRET_BYTES, SecretEncoding, SecretKey, SecretOrigin, SecretRules};
use super::signature::Algorithm;

const DEFAULT_BYTES: usize = 32;
const DEFAULT_MIN_BYTES: usize = 16;
const DEFAULT_MAX_BYTES: usize = 256;

/// The rules for secrets. Without the section, a contract that signs generates them, and one
/// that doesn't has none.
pub(super) fn secret_rules(
    section: Option<&Spanned<RawSecret>>,
    signatures: &[Spanned<RawSignature>],
    problems: &mut Problems<'_>,
) -> SecretRules {
    let first_signature = signatures.first();
    let left_out = RawSecret::default();
    let raw = section.map_or(&left_out, Spanned::get_ref);
    let default_origin = match first_signature {
        Some(_) => SecretOrigin::Generated,
        None => SecretOrigin::None,
    };
    let encoding = or(&raw.encoding, SecretEncoding::default());
    let default_key = match encoding.has_bytes() {
        true => SecretKey::Decoded,
        false => SecretKey::Text,
    };
    let algorithms = || signatures.iter().filter_map(|one| one.get_ref().algorithm.as_ref());
    let asymmetric = |algorithm: &Spanned<Algorithm>| *algorithm.get_ref() == Algorithm::Ed25519;
    let has_pairs = algorithms().any(asymmetric);
    let rules = SecretRules {
        origin: or(&raw.origin, default_origin),
        scope: or(&raw.scope, Default::default()),
        symmetric: !has_pairs || !algorithms().all(asymmetric),
        key_pair: key_pair(raw.ed25519.as_ref(), has_pairs, problems),
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
    let place = section.map(|one| one.span().start);
    let place = place.or(first_signature.map(|one| one.span().start));
    check_prefixes(&rules, place.unwrap_or_default(), problems);
    rules
}

fn key_pair(
    section: Option<&Spanned<RawKeyPair>>,
    has_pairs: bool,
    problems: &mut Problems<'_>,
) -> Option<KeyPairRules> {
    let left_out = RawKeyPair::default();
    let raw = section.map_or(&left_out, Spanned::get_ref);
    if let (Some(section), false) = (section, has_pairs) {
        let message = "there is no signature with the algorithm ed25519";
        problems.at(section.span().start, message, None);
    }
    let encoding = or(&raw.encoding, SecretEncoding::Base64);
    if let (Some(key), false) = (&raw.encoding, encoding.has_bytes()) {
        let hint = "base64, base64url or hex".to_owned();
        problems.at(key.span().start, "keys are bytes, and written as such", Some(hint));
    }
    has_pairs.then(|| KeyPairRules {
        private_prefix: or(&raw.private_prefix, "whsk_".to_owned()),
        public_prefix: or(&raw.public_prefix, "whpk_".to_owned()),
        encoding,
    })
}

/// Where there are both kinds, the prefix tells one from the other.
fn check_prefixes(rules: &SecretRules, place: usize, problems: &mut Problems<'_>) {
    let (Some(pair), true) = (&rules.key_pair, rules.symmetric) else { return };
    let (one, other) = (rules.prefix.as_str(), pair.private_prefix.as_str());
    if one.is_empty() || other.is_empty() || one.starts_with(other) || other.starts_with(one) {
        let hint = "give [secret] a `prefix` and [secret.ed25519] another `private_prefix`";
        let message = "symmetric secrets and private keys can't be told apart";
        problems.at(place, message, Some(hint.to_owned()));
    }
}

fn check(rules: &SecretRules, section: &Spanned<RawSecret>, problems: &mut Problems<'_>) {
    let raw = section.get_ref();
    let place =
        |key: &Key<usize>| key.as_ref().map_or(section.span().start, |key| key.span().start);
    if rules.origin == SecretOrigin::Generated && rules.encoding == SecretEncoding::Text {
        let hint = "base64, base64url, hex or alphanumeric".to_owned();
        problems.at(section.span().start, "a generated secret can't be plain text", Some(hint));
    }
    if rules.key == SecretKey::Decoded && !rules.encoding.has_bytes() {
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
