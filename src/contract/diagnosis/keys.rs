//! Secrets, and the mistakes that are made with them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::contract::secret::{SecretKey, SecretKind, SecretRules};
use crate::contract::signature::Algorithm;
use crate::domain::{SecretText, Timestamp};

/// Secrets that a request is tried with.
pub const MAX_CANDIDATES: usize = 200;

/// Reads as much base64 as there is, as `Buffer.from(text, "base64")` does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that may have signed a request.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub owner: Owner,
    pub text: SecretText,
}

/// Whose secret it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The webhook's name; `None` for one that was pasted.
    pub webhook: Option<String>,
    /// Whether it is the one that should have signed.
    pub chosen: bool,
    /// Until when it signs, where another has replaced it.
    pub until: Option<Timestamp>,
}

/// A mistake with a secret that makes other signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// It was given without what it starts with.
    NoPrefix,
    /// White space or quotes stand around what was given.
    Surrounded,
    /// Its text is the key, where it should be the bytes that the text stands for.
    Text,
    /// The same without what it starts with.
    TextWithoutPrefix,
    /// The bytes that its text stands for are the key, where it should be the text.
    Decoded,
    /// What it starts with was decoded too.
    DecodedWithPrefix,
    /// This stands behind it: a line break or a space.
    Ending(&'static str),
    Quoted,
    /// There is nothing in it.
    Empty,
    /// A word that programs write where there is nothing.
    Word(&'static str),
}

/// A key to try.
pub(super) struct Key {
    pub(super) owner: Owner,
    pub(super) fault: Option<SecretFault>,
    /// The secret as text, for what signs or sends it as such.
    pub(super) text: Zeroizing<String>,
    pub(super) material: KeyMaterial,
}

pub(super) enum KeyMaterial {
    Symmetric(Zeroizing<Vec<u8>>),
    /// The public half of a key pair.
    Ed25519(Vec<u8>),
}

impl Key {
    /// Whether a good signature can be made with it today.
    pub(super) fn is_right(&self) -> bool {
        self.fault.is_none() && self.owner.chosen && self.owner.until.is_none()
    }
}

/// The keys to try for signatures of this algorithm: the one that should have signed first,
/// then the mistakes with it, then the others.
pub(super) fn keys(
    rules: &SecretRules,
    algorithm: Algorithm,
    candidates: &[Candidate],
) -> Vec<Key> {
    let mut keys = Vec::new();
    let usable = candidates.iter().take(MAX_CANDIDATES);
    let (chosen, others): (Vec<_>, Vec<_>) = usable.partition(|one| one.owner.chosen);
    for candidate in &chosen {
        keys.extend(plain(rules, algorithm, candidate));
    }
    if algorithm != Algorithm::Ed25519 {
        for candidate in &chosen {
            add_faults(rules, candidate, &mut keys);
        }
    }
    for candidate in others {
        keys.extend(plain(rules, algorithm, candidate));
    }
    keys
}

fn is_pair(rules: &SecretRules, text: &str) -> bool {
    let public = rules.key_pair.as_ref().map(|pair| pair.public_prefix.as_str());
    rules.kind_of(text) == SecretKind::Ed25519 || public.is_some_and(|it| text.starts_with(it))
}

/// The candidate as it should be used; `None` where it is of the other kind, or malformed.
fn plain(rules: &SecretRules, algorithm: Algorithm, candidate: &Candidate) -> Option<Key> {
    let text = candidate.text.expose();
    let material = match (algorithm, is_pair(rules, text)) {
        (Algorithm::Ed25519, true) => {
            KeyMaterial::Ed25519(rules.key_pair.as_ref()?.public_key(text)?)
        }
        (Algorithm::Ed25519, false) | (_, true) => return None,
        _ => KeyMaterial::Symmetric(rules.key_bytes(&candidate.text).ok()?),
    };
    let text = Zeroizing::new(text.to_owned());
    Some(Key { owner: candidate.owner.clone(), fault: None, text, material })
}

fn add_faults(rules: &SecretRules, candidate: &Candidate, keys: &mut Vec<Key>) {
    let text = candidate.text.expose();
    if is_pair(rules, text) {
        return;
    }
    let mut add = |fault, text: &str, bytes: Option<Zeroizing<Vec<u8>>>| {
        let Some(bytes) = bytes else { return };
        let known = keys.iter().any(|key| {
            let is = |other: &Zeroizing<Vec<u8>>| **other == *bytes;
            *key.text == text && matches!(&key.material, KeyMaterial::Symmetric(other) if is(other))
        });
        if !known {
            let owner = candidate.owner.clone();
            let text = Zeroizing::new(text.to_owned());
            let material = KeyMaterial::Symmetric(bytes);
            keys.push(Key { owner, fault: Some(fault), text, material });
        }
    };
    let meant = |text: &str| rules.key_bytes(&SecretText::new(text)).ok();
    let raw = |text: &str| Some(Zeroizing::new(text.as_bytes().to_vec()));
    let prefixed = Zeroizing::new(format!("{}{text}", rules.prefix));
    add(SecretFault::NoPrefix, &prefixed, meant(&prefixed));
    let trimmed = text.trim().trim_matches(['"', '\'']).trim();
    add(SecretFault::Surrounded, trimmed, meant(trimmed));
    let rest = text.strip_prefix(rules.prefix.as_str()).unwrap_or(text);
    add(SecretFault::Text, text, raw(text));
    add(SecretFault::TextWithoutPrefix, rest, raw(rest));
    if rules.encoding.has_bytes() && rules.key != SecretKey::Decoded {
        add(SecretFault::Decoded, text, rules.encoding.decode(rest));
    }
    add(SecretFault::DecodedWithPrefix, text, leniently(text));
    for (ending, what) in [("\n", "\n"), ("\r\n", "\r\n"), (" ", " ")] {
        let longer = Zeroizing::new(format!("{text}{ending}"));
        let bytes = meant(&longer).or_else(|| raw(&longer));
        add(SecretFault::Ending(what), &longer, bytes);
    }
    let quoted = Zeroizing::new(format!("\"{text}\""));
    add(SecretFault::Quoted, &quoted, raw(&quoted));
    add(SecretFault::Empty, "", raw(""));
    for word in ["undefined", "null", "None", "nil"] {
        add(SecretFault::Word(word), word, raw(word));
    }
}

fn leniently(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let standard: Zeroizing<String> = Zeroizing::new(
        text.chars()
            .map(|one| match one {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .filter(|one| one.is_ascii_alphanumeric() || matches!(one, '+' | '/'))
            .collect(),
    );
    // One digit more than whole bytes have stands for nothing.
    let whole = if standard.len() % 4 == 1 { standard.len() - 1 } else { standard.len() };
    LENIENT.decode(&standard[..whole]).ok().map(Zeroizing::new)
}
