//! What a contract says about signing secrets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::encoding::{URL_SAFE_EITHER, URL_SAFE_UNPADDED};
use super::key_pair::{KeyPairRules, SEED_BYTES, SigningKey};
use super::signature::Algorithm;
use crate::domain::SecretText;
use crate::entropy::Entropy;

/// The longest secret that any contract may allow, in bytes (of a text: characters).
pub const MAX_SECRET_BYTES: usize = 1_024;

/// Where an endpoint's secret comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretOrigin {
    /// The server makes one for each endpoint.
    #[default]
    Generated,
    /// The customer has to give one.
    Required,
    /// The customer may give one; without it nothing is signed.
    Optional,
    /// There are no secrets.
    None,
}

/// How the bytes of a secret are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretEncoding {
    /// Standard alphabet, with padding.
    #[default]
    Base64,
    /// The alphabet for URLs, written without padding and read with or without.
    Base64url,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Letters and digits: they have no bytes behind them.
    Alphanumeric,
    /// Any text: it has no bytes behind it.
    Text,
}

impl SecretEncoding {
    /// Whether bytes stand behind what is written.
    pub(super) const fn has_bytes(self) -> bool {
        !matches!(self, SecretEncoding::Text | SecretEncoding::Alphanumeric)
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            SecretEncoding::Base64 => "base64",
            SecretEncoding::Base64url => "base64url",
            SecretEncoding::Hex => "hexadecimal digits",
            SecretEncoding::Alphanumeric => "letters and digits",
            SecretEncoding::Text => "plain text",
        }
    }

    pub(super) fn write(self, bytes: &[u8]) -> Zeroizing<String> {
        Zeroizing::new(match self {
            SecretEncoding::Base64 => STANDARD.encode(bytes),
            SecretEncoding::Base64url => URL_SAFE_UNPADDED.encode(bytes),
            SecretEncoding::Hex | SecretEncoding::Text => hex::encode(bytes),
            SecretEncoding::Alphanumeric => bytes.iter().map(|&byte| letter(byte)).collect(),
        })
    }

    pub(super) fn decode(self, text: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match self {
            SecretEncoding::Base64 => STANDARD.decode(text).ok()?,
            SecretEncoding::Base64url => URL_SAFE_EITHER.decode(text).ok()?,
            SecretEncoding::Hex => hex::decode(text).ok()?,
            SecretEncoding::Alphanumeric | SecretEncoding::Text => text.as_bytes().to_vec(),
        };
        Some(Zeroizing::new(bytes))
    }
}

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The largest multiple of the number of letters that a byte can hold: bytes from there on
/// would make the first letters likelier than the others.
const EVEN_BYTES: u8 = 248;

fn letter(byte: u8) -> char {
    char::from(LETTERS[usize::from(byte) % LETTERS.len()])
}

/// Whose secret it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretScope {
    /// Each endpoint has its own.
    #[default]
    Endpoint,
    /// All endpoints of an application share one.
    Application,
}

/// The two kinds of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Both sides know it.
    Symmetric,
    /// An Ed25519 key pair, of which the receiver knows the public half.
    Ed25519,
}

impl SecretKind {
    /// The word that the API uses for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            SecretKind::Symmetric => "symmetric",
            SecretKind::Ed25519 => "ed25519",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<SecretKind> {
        [SecretKind::Symmetric, SecretKind::Ed25519].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What keys the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretKey {
    /// The bytes that are written behind the prefix.
    Decoded,
    /// The whole text in UTF-8, prefix included.
    Text,
    /// The SHA-1 digest of the whole text.
    Sha1,
    /// The SHA-256 digest of the whole text.
    Sha256,
}

/// The rules for the signing secrets of a contract's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRules {
    pub origin: SecretOrigin,
    pub scope: SecretScope,
    /// Whether secrets can be symmetric: not where all signatures are Ed25519.
    pub symmetric: bool,
    /// How key pairs are written, where there is an Ed25519 signature.
    pub key_pair: Option<KeyPairRules>,
    /// What every secret starts with; empty for nothing.
    pub prefix: String,
    pub encoding: SecretEncoding,
    pub key: SecretKey,
    /// The bytes that a generated secret has.
    pub bytes: usize,
    /// The fewest bytes that a customer may set; characters where the encoding is text.
    pub min_bytes: usize,
    /// The most bytes that a customer may set; characters where the encoding is text.
    pub max_bytes: usize,
    /// How long a replaced secret goes on signing beside the new one.
    pub overlap: Duration,
    /// Whether customers may see the secret again after it was made.
    pub reveal: bool,
}

impl SecretRules {
    /// The kind of a new secret that nobody chose a kind for.
    pub const fn default_kind(&self) -> SecretKind {
        if self.symmetric { SecretKind::Symmetric } else { SecretKind::Ed25519 }
    }

    /// Whether secrets of this kind can sign.
    pub const fn offers(&self, kind: SecretKind) -> bool {
        match kind {
            SecretKind::Symmetric => self.symmetric,
            SecretKind::Ed25519 => self.key_pair.is_some(),
        }
    }

    /// The kind of a secret, which its prefix tells.
    pub fn kind_of(&self, secret: &str) -> SecretKind {
        match &self.key_pair {
            Some(pair) if !self.symmetric || secret.starts_with(&pair.private_prefix) => {
                SecretKind::Ed25519
            }
            _ => SecretKind::Symmetric,
        }
    }

    /// A new secret; `None` where the server doesn't make them, or not of this kind.
    pub fn generate(&self, kind: SecretKind, entropy: &Entropy) -> Option<SecretText> {
        if self.origin != SecretOrigin::Generated {
            return None;
        }
        if kind == SecretKind::Ed25519 {
            let mut seed = Zeroizing::new([0; SEED_BYTES]);
            entropy.fill(&mut *seed);
            return self.key_pair.as_ref()?.write(&seed);
        }
        let mut bytes = Zeroizing::new(vec![0; self.bytes]);
        entropy.fill(&mut bytes);
        if self.encoding == SecretEncoding::Alphanumeric {
            for byte in bytes.iter_mut() {
                while *byte >= EVEN_BYTES {
                    entropy.fill(std::slice::from_mut(byte));
                }
            }
        }
        Some(self.write(&bytes))
    }

    /// Whether a customer may set this secret.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the secret in it.
    pub fn check(&self, secret: &str) -> Result<(), String> {
        if let (SecretKind::Ed25519, Some(pair)) = (self.kind_of(secret), &self.key_pair) {
            return pair.check(secret);
        }
        let Some(rest) = secret.strip_prefix(self.prefix.as_str()) else {
            return Err(format!("The secret must start with \"{}\".", self.prefix));
        };
        if self.encoding == SecretEncoding::Text && rest.chars().any(char::is_control) {
            return Err("The secret must not contain control characters.".to_owned());
        }
        let letters = rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let Some(bytes) = self
            .encoding
            .decode(rest)
            .filter(|_| letters || self.encoding != SecretEncoding::Alphanumeric)
        else {
            return Err(format!("The secret must be written in {}.", self.encoding.words()));
        };
        let (length, unit) = match self.encoding.has_bytes() {
            true => (bytes.len(), "bytes"),
            false => (rest.chars().count(), "characters"),
        };
        if (self.min_bytes..=self.max_bytes).contains(&length) {
            return Ok(());
        }
        let (min, max) = (self.min_bytes, self.max_bytes);
        Err(format!("The secret must have {min} to {max} {unit}; it has {length}."))
    }

    /// What the receiver knows of a secret: all of a symmetric one, and of a key pair only the
    /// public half. `None` where the secret isn't in the form that these rules ask for.
    pub fn known(&self, secret: &SecretText) -> Option<SecretText> {
        match (self.kind_of(secret.expose()), &self.key_pair) {
            (SecretKind::Ed25519, Some(pair)) => {
                pair.public_text(secret.expose()).map(SecretText::new)
            }
            _ => Some(secret.clone()),
        }
    }

    /// The same, as far as a customer may see it at any time: symmetric secrets only where the
    /// contract reveals them.
    pub fn shown(&self, secret: &SecretText) -> Option<SecretText> {
        let is_public = self.kind_of(secret.expose()) == SecretKind::Ed25519;
        self.known(secret).filter(|_| is_public || self.reveal)
    }

    /// The key for the HMAC.
    ///
    /// # Errors
    /// A sentence, where the secret isn't in the form that these rules ask for.
    pub fn key_bytes(&self, secret: &SecretText) -> Result<Zeroizing<Vec<u8>>, String> {
        let text = secret.expose();
        match self.key {
            SecretKey::Text => Ok(Zeroizing::new(text.as_bytes().to_vec())),
            SecretKey::Sha1 => Ok(Zeroizing::new(Algorithm::Sha1.compute(&[], text.as_bytes()))),
            SecretKey::Sha256 => {
                Ok(Zeroizing::new(Algorithm::Sha256.compute(&[], text.as_bytes())))
            }
            SecretKey::Decoded => text
                .strip_prefix(self.prefix.as_str())
                .and_then(|rest| self.encoding.decode(rest))
                .ok_or_else(|| {
                    format!("The signing secret isn't written in {}.", self.encoding.words())
                }),
        }
    }

    /// The key that a secret stands for, ready to sign.
    ///
    /// # Errors
    /// As for [`SecretRules::key_bytes`].
    pub(super) fn signing_key<'a>(&self, secret: &'a SecretText) -> Result<SigningKey<'a>, String> {
        match (self.kind_of(secret.expose()), &self.key_pair) {
            (SecretKind::Ed25519, Some(pair)) => pair.signing_key(secret.expose()),
            _ => Ok(SigningKey::Symmetric { bytes: self.key_bytes(secret)?, text: secret }),
        }
    }

    /// A secret that these rules accept, the same at each call: for examples. `None` where
    /// nothing is signed.
    pub fn example(&self) -> Option<SecretText> {
        self.example_of(self.default_kind())
    }

    /// The same of this kind.
    pub(super) fn example_of(&self, kind: SecretKind) -> Option<SecretText> {
        const WORDS: &str = "example-secret-";
        if self.origin == SecretOrigin::None {
            return None;
        }
        if kind == SecretKind::Ed25519 {
            return self.key_pair.as_ref()?.write(&[1; SEED_BYTES]);
        }
        let length = self.bytes.clamp(self.min_bytes, self.max_bytes);
        if self.encoding == SecretEncoding::Text {
            let text: String = WORDS.chars().cycle().take(length).collect();
            return Some(SecretText::new(format!("{}{text}", self.prefix)));
        }
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().skip(1).take(length).collect();
        Some(self.write(&bytes))
    }

    fn write(&self, bytes: &[u8]) -> SecretText {
        SecretText::new(format!("{}{}", self.prefix, *self.encoding.write(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> SecretRules {
        SecretRules {
            origin: SecretOrigin::Generated,
            scope: SecretScope::Endpoint,
            symmetric: true,
            key_pair: None,
            prefix: "whsec_".to_owned(),
            encoding: SecretEncoding::Base64,
            key: SecretKey::Decoded,
            bytes: 24,
            min_bytes: 24,
            max_bytes: 64,
            overlap: Duration::ZERO,
            reveal: false,
        }
    }

    fn sentence(rules: &SecretRules, secret: &str) -> String {
        rules.check(secret).expect_err("a refused secret")
    }

    #[test]
    fn generated_secrets_are_accepted_and_differ() {
        let entropy = Entropy::seeded(7);
        use SecretEncoding::{Alphanumeric, Base64, Base64url, Hex};
        for encoding in [Base64, Base64url, Hex, Alphanumeric] {
            let rules = SecretRules { encoding, ..rules() };
            let generate = || rules.generate(SecretKind::Symmetric, &entropy).unwrap();
            let (one, two) = (generate(), generate());
            assert_ne!(one, two);
            assert_eq!(rules.check(one.expose()), Ok(()));
            assert_eq!(rules.key_bytes(&one).unwrap().len(), 24);
        }
        let optional = SecretRules { origin: SecretOrigin::Optional, ..rules() };
        assert_eq!(optional.generate(SecretKind::Symmetric, &entropy), None);
    }

    #[test]
    fn refusals_say_why_and_never_repeat_the_secret() {
        assert_eq!(sentence(&rules(), "abc"), "The secret must start with \"whsec_\".");
        let short = format!("whsec_{}", STANDARD.encode([1; 23]));
        assert_eq!(sentence(&rules(), &short), "The secret must have 24 to 64 bytes; it has 23.");
        assert_eq!(sentence(&rules(), "whsec_!!"), "The secret must be written in base64.");
        let text = SecretRules {
            prefix: String::new(),
            encoding: SecretEncoding::Text,
            min_bytes: 3,
            max_bytes: 5,
            ..rules()
        };
        assert_eq!(text.check("ééé"), Ok(()));
        assert!(sentence(&text, "éé").contains("3 to 5 characters"));
        assert!(sentence(&text, "abc\n").contains("control characters"));
    }

    #[test]
    fn a_text_key_is_the_whole_text() {
        let rules = SecretRules { key: SecretKey::Text, ..rules() };
        let secret = SecretText::new("whsec_AAAA");
        assert_eq!(**rules.key_bytes(&secret).unwrap(), *b"whsec_AAAA");
        let decoded = SecretRules { key: SecretKey::Decoded, ..rules };
        assert_eq!(**decoded.key_bytes(&secret).unwrap(), [0, 0, 0]);
        assert!(decoded.key_bytes(&SecretText::new("AAAA")).is_err());
    }
}
