//! What a contract says about signing secrets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

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
    /// Lower-case hexadecimal digits.
    Hex,
    /// Any text: it has no bytes behind it.
    Text,
}

/// What keys the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretKey {
    /// The bytes that are written behind the prefix.
    Decoded,
    /// The whole text in UTF-8, prefix included.
    Text,
}

/// The rules for the signing secrets of a contract's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRules {
    pub origin: SecretOrigin,
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
    /// A new secret; `None` where the server doesn't make them.
    pub fn generate(&self, entropy: &Entropy) -> Option<SecretText> {
        if self.origin != SecretOrigin::Generated {
            return None;
        }
        let mut bytes = Zeroizing::new(vec![0; self.bytes]);
        entropy.fill(&mut bytes);
        Some(self.write(&bytes))
    }

    /// Whether a customer may set this secret.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the secret in it.
    pub fn check(&self, secret: &str) -> Result<(), String> {
        let Some(rest) = secret.strip_prefix(self.prefix.as_str()) else {
            return Err(format!("The secret must start with \"{}\".", self.prefix));
        };
        let (length, unit) = match self.encoding {
            SecretEncoding::Text => {
                if rest.chars().any(char::is_control) {
                    return Err("The secret must not contain control characters.".to_owned());
                }
                (rest.chars().count(), "characters")
            }
            SecretEncoding::Base64 | SecretEncoding::Hex => match self.decode(rest) {
                Some(bytes) => (bytes.len(), "bytes"),
                None => return Err(format!("The secret must be written in {}.", self.words())),
            },
        };
        if (self.min_bytes..=self.max_bytes).contains(&length) {
            return Ok(());
        }
        let (min, max) = (self.min_bytes, self.max_bytes);
        Err(format!("The secret must have {min} to {max} {unit}; it has {length}."))
    }

    /// The key for the HMAC.
    ///
    /// # Errors
    /// A sentence, where the secret isn't in the form that these rules ask for.
    pub fn key_bytes(&self, secret: &SecretText) -> Result<Zeroizing<Vec<u8>>, String> {
        let text = secret.expose();
        match self.key {
            SecretKey::Text => Ok(Zeroizing::new(text.as_bytes().to_vec())),
            SecretKey::Decoded => text
                .strip_prefix(self.prefix.as_str())
                .and_then(|rest| self.decode(rest))
                .ok_or_else(|| format!("The signing secret isn't written in {}.", self.words())),
        }
    }

    /// A secret that these rules accept, the same at each call: for examples. `None` where
    /// nothing is signed.
    pub fn example(&self) -> Option<SecretText> {
        const WORDS: &str = "example-secret-";
        if self.origin == SecretOrigin::None {
            return None;
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
        let text = Zeroizing::new(match self.encoding {
            SecretEncoding::Base64 => STANDARD.encode(bytes),
            SecretEncoding::Hex | SecretEncoding::Text => hex::encode(bytes),
        });
        SecretText::new(format!("{}{}", self.prefix, *text))
    }

    fn decode(&self, text: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match self.encoding {
            SecretEncoding::Base64 => STANDARD.decode(text).ok()?,
            SecretEncoding::Hex => hex::decode(text).ok()?,
            SecretEncoding::Text => text.as_bytes().to_vec(),
        };
        Some(Zeroizing::new(bytes))
    }

    const fn words(&self) -> &'static str {
        match self.encoding {
            SecretEncoding::Base64 => "base64",
            SecretEncoding::Hex => "hexadecimal digits",
            SecretEncoding::Text => "plain text",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> SecretRules {
        SecretRules {
            origin: SecretOrigin::Generated,
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
        for encoding in [SecretEncoding::Base64, SecretEncoding::Hex] {
            let rules = SecretRules { encoding, ..rules() };
            let (one, two) = (rules.generate(&entropy).unwrap(), rules.generate(&entropy).unwrap());
            assert_ne!(one, two);
            assert_eq!(rules.check(one.expose()), Ok(()));
            assert_eq!(rules.key_bytes(&one).unwrap().len(), 24);
        }
        let optional = SecretRules { origin: SecretOrigin::Optional, ..rules() };
        assert_eq!(optional.generate(&entropy), None);
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
