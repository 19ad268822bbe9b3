//! Signatures as they stand in headers: in the form that the contract writes, and nearly so.

use subtle::ConstantTimeEq;

use super::parts::Check;
use crate::contract::encoding::Encoding;
use crate::contract::verifier::expression::{Piece, unquote};

/// Signatures of one request that are looked at.
pub(super) const SIGNATURES: usize = 16;

/// The bytes of a signature by a key pair.
const PAIR_SIGNATURE_BYTES: usize = 64;

/// Encodings that a signature may turn out to be in.
pub(super) const ENCODINGS: [Encoding; 6] = [
    Encoding::Hex,
    Encoding::HexUpper,
    Encoding::Base64,
    Encoding::Base64Unpadded,
    Encoding::Base64url,
    Encoding::Base64urlUnpadded,
];

/// What is wrong with how a signature is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormFault {
    /// What the contract writes around it is missing or another.
    Frame { expected: String },
    /// Other letters and digits.
    Encoding { found: Encoding, expected: Encoding },
}

/// A signature to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) text: String,
    /// Whether it stands in its header as the contract writes it.
    pub(super) framed: bool,
    /// The header where it was found instead of its own.
    pub(super) found_in: Option<String>,
    /// What stands in the header beside it.
    pub(super) fields: Vec<String>,
}

impl Target {
    /// Whether it is this digest; in which encoding, where not in the one that was expected.
    ///
    /// Only whole signatures count: one who could try beginnings could guess byte by byte.
    pub(super) fn is(&self, digest: &[u8], expected: Encoding) -> Option<Option<Encoding>> {
        let is = |encoding: Encoding| -> bool {
            self.text.len() == length(encoding, digest.len())
                && bool::from(encoding.write(digest).as_bytes().ct_eq(self.text.as_bytes()))
        };
        if is(expected) {
            return Some(None);
        }
        ENCODINGS.into_iter().find(|&other| other != expected && is(other)).map(Some)
    }

    /// The bytes that it may stand for.
    pub(super) fn decoded(&self) -> Vec<Vec<u8>> {
        let readers = [Encoding::Hex, Encoding::Base64, Encoding::Base64url];
        readers.into_iter().filter_map(|encoding| encoding.read(&self.text)).collect()
    }

    /// The signatures by a key pair that it may stand for, each once.
    pub(super) fn pair_signatures(&self) -> Vec<Vec<u8>> {
        if !self.could_be(PAIR_SIGNATURE_BYTES) {
            return Vec::new();
        }
        let mut all = self.decoded();
        all.retain(|bytes| bytes.len() == PAIR_SIGNATURE_BYTES);
        all.dedup();
        all
    }

    /// Whether a digest of so many bytes could be written like this.
    pub(super) fn could_be(&self, bytes: usize) -> bool {
        ENCODINGS.into_iter().any(|encoding| self.text.len() == length(encoding, bytes))
    }
}

/// The characters of so many bytes.
fn length(encoding: Encoding, bytes: usize) -> usize {
    match encoding {
        Encoding::Hex | Encoding::HexUpper => 2 * bytes,
        Encoding::Base64 | Encoding::Base64url => bytes.div_ceil(3) * 4,
        Encoding::Base64Unpadded | Encoding::Base64urlUnpadded => (bytes * 4).div_ceil(3),
    }
}

impl Check<'_> {
    /// The signatures in a header's value that is written as the contract says.
    pub(super) fn read(&self, value: &str) -> Vec<Target> {
        let starts: Vec<usize> = match &self.shared {
            Some(shared) => {
                let behind = value.match_indices(shared.as_str());
                let behind = behind.map(|(at, _)| at + shared.len()).take(SIGNATURES);
                std::iter::once(0).chain(behind).collect()
            }
            None => vec![0],
        };
        let found = starts.into_iter().find_map(|start| self.read_at(value.get(start..)?));
        found.unwrap_or_default()
    }

    fn read_at(&self, value: &str) -> Option<Vec<Target>> {
        let (mut rest, mut texts, mut fields) = (value, Vec::new(), Vec::new());
        let mut format = self.format.iter().peekable();
        while let Some(piece) = format.next() {
            let expression = match piece {
                Piece::Literal(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                Piece::Expression(expression) => expression,
            };
            let end = match format.peek() {
                Some(Piece::Literal(text)) => rest.find(text.as_str())?,
                _ => rest.len(),
            };
            let (here, behind) = rest.split_at(end);
            rest = behind;
            match between(expression) {
                Some(between) => {
                    let listed = here.split(between.as_str()).take(SIGNATURES);
                    texts.extend(listed.map(|one| self.alone(one).to_owned()));
                }
                None if expression == "signature" => texts.push(self.alone(here).to_owned()),
                None => fields.push(here.to_owned()),
            }
        }
        let plausible = |text: &String| !text.is_empty() && (self.is_token() || is_digest(text));
        if texts.is_empty() || !texts.iter().all(plausible) {
            return None;
        }
        let target = |text| Target { text, framed: true, found_in: None, fields: fields.clone() };
        Some(texts.into_iter().map(target).collect())
    }

    /// A signature without those of other kinds behind it.
    fn alone<'t>(&self, text: &'t str) -> &'t str {
        match &self.shared {
            Some(shared) => text.split(shared.as_str()).next().unwrap_or(text),
            None => text,
        }
    }

    pub(super) fn is_token(&self) -> bool {
        self.signature.algorithm == crate::contract::Algorithm::Token
    }

    /// Whatever in a value might be a signature.
    pub(super) fn read_loosely(&self, value: &str) -> Vec<Target> {
        let mut texts: Vec<&str> = Vec::new();
        let words = value.split(|one: char| one.is_whitespace() || matches!(one, ',' | ';'));
        for word in std::iter::once(value).chain(words) {
            let word = word.trim().trim_matches(['"', '\'']);
            let behind = |mark| word.split_once(mark).map(|(_, behind): (&str, &str)| behind);
            let all = [Some(word), behind('='), behind(':')];
            let all = all.into_iter().flatten().map(|text| text.trim_matches(['"', '\'', ' ']));
            texts.extend(
                all.filter(|text| self.is_token() || (text.len() >= 20 && is_digest(text))),
            );
        }
        texts.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        let texts = texts.into_iter().take(SIGNATURES).map(str::to_owned);
        let target =
            |text| Target { text, framed: false, found_in: None, fields: self.loose_fields(value) };
        texts.map(target).collect()
    }

    /// What stands beside the signatures, where the value has the beginning of the form.
    fn loose_fields(&self, value: &str) -> Vec<String> {
        let found = self.fields.iter().map(|_| {
            let words = value.split([',', ';', ' ']).filter_map(|word| word.split_once('='));
            words.map(|(_, value)| value).find(|text| !is_digest(text) || text.len() < 20)
        });
        found.map(|text| text.unwrap_or_default().to_owned()).collect()
    }

    /// How the header is written: `t=<timestamp>,v1=<64 hexadecimal digits>`.
    pub(super) fn form(&self) -> String {
        let pieces = self.format.iter().map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Expression(text) if text.starts_with("signature") => {
                format!("<{}>", self.signature_words())
            }
            Piece::Expression(text) => {
                format!("<{}>", text.split('|').next().unwrap_or(text))
            }
        });
        pieces.collect()
    }

    /// The bytes of a signature; `None` for tokens.
    pub(super) fn digest_bytes(&self) -> Option<usize> {
        use crate::contract::Algorithm::Ed25519;
        match self.signature.algorithm {
            Ed25519 => Some(PAIR_SIGNATURE_BYTES),
            other => Some(other.compute(&[], &[]).len()).filter(|bytes| *bytes > 0),
        }
    }

    fn signature_words(&self) -> String {
        let Some(bytes) = self.digest_bytes() else { return "secret".to_owned() };
        let encoding = self.signature.encoding;
        let count = length(encoding, bytes);
        match encoding {
            Encoding::Hex => format!("{count} hexadecimal digits"),
            Encoding::HexUpper => format!("{count} hexadecimal digits in upper case"),
            other => format!("{count} characters of {}", other.words()),
        }
    }
}

/// What stands between the signatures of a list.
fn between(expression: &str) -> Option<String> {
    let quoted = expression.strip_prefix("signatures|join(")?.strip_suffix(')')?;
    unquote(quoted).filter(|text| !text.is_empty())
}

fn is_digest(text: &str) -> bool {
    let unpadded = text.trim_end_matches('=').bytes();
    unpadded.into_iter().all(|one| one.is_ascii_alphanumeric() || b"+/_-".contains(&one))
}
