//! Secrets: values that never reach a log.

use std::fmt;

use zeroize::Zeroizing;

use super::Timestamp;

/// A text that must not be seen: its `Debug` shows nothing, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub fn new(text: impl Into<String>) -> SecretText {
        SecretText(Zeroizing::new(text.into()))
    }

    /// The text itself. Each call is a place to think about who will see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> SecretText {
        SecretText::new(text)
    }
}

impl<'de> serde::Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretText, D::Error> {
        String::deserialize(deserializer).map(SecretText::new)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// One signing secret of an endpoint. The first of a list signs; the others sign beside it
/// until they expire, so that a receiver can change over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecret {
    pub text: SecretText,
    /// From when on it no longer signs; `None` for the current one.
    pub expires_at: Option<Timestamp>,
}

impl SigningSecret {
    pub fn signs_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_nothing() {
        let secret = SigningSecret { text: SecretText::new("whsec_x"), expires_at: None };
        assert!(!format!("{secret:?}").contains("whsec"));
    }
}
