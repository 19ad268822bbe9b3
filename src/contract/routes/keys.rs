//! The API keys of a contract's customers: where they travel and what they look like.

use http::{HeaderMap, HeaderName, header};

use crate::domain::SecretText;
use crate::entropy::Entropy;

/// The characters of generated keys.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How API keys look and travel. The default is what environments' own keys have: a prefix by
/// which they are recognised where they leak, and 380 random bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// The header that carries the key.
    pub header: HeaderName,
    /// The word before the key, such as `Bearer`; `None` where the header is the key.
    pub scheme: Option<String>,
    /// What every key that we make starts with.
    pub prefix: String,
    /// The random characters behind the prefix.
    pub characters: usize,
}

impl Default for KeyRules {
    fn default() -> KeyRules {
        KeyRules {
            header: header::AUTHORIZATION,
            scheme: Some("Bearer".to_owned()),
            prefix: "hw_".to_owned(),
            characters: 64,
        }
    }
}

impl KeyRules {
    /// A new key.
    pub fn generate(&self, entropy: &Entropy) -> SecretText {
        let mut key = self.prefix.clone();
        while key.len() < self.prefix.len() + self.characters {
            let [byte] = entropy.bytes::<1>();
            // The bytes beyond a multiple of 62 would favour some characters.
            if usize::from(byte) < 4 * ALPHABET.len() {
                key.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
            }
        }
        SecretText::new(key)
    }

    /// The key of a request, where it carries one in this form.
    pub fn credential<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let value = headers.get(&self.header)?.to_str().ok()?.trim();
        let Some(scheme) = &self.scheme else {
            return Some(value).filter(|key| !key.is_empty());
        };
        let (word, key) = value.split_once(' ')?;
        let key = key.trim();
        (word.eq_ignore_ascii_case(scheme) && !key.is_empty()).then_some(key)
    }

    /// How to send a key, as a sentence for whoever sent none.
    pub fn hint(&self) -> String {
        let scheme = self.scheme.as_ref().map(|scheme| format!("{scheme} ")).unwrap_or_default();
        let words = self.header.as_str().split('-').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{}{rest}", first.to_ascii_uppercase())
        });
        let header = words.collect::<Vec<_>>().join("-");
        format!("Invalid or missing API key: send `{header}: {scheme}<key>`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_documented_form_and_differ() {
        let rules =
            KeyRules { prefix: "kl_live_".to_owned(), characters: 32, ..KeyRules::default() };
        let entropy = Entropy::seeded(3);
        let (one, two) = (rules.generate(&entropy), rules.generate(&entropy));
        assert_ne!(one, two);
        let random = one.expose().strip_prefix("kl_live_").unwrap();
        assert_eq!(random.len(), 32);
        assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_key_counts_only_in_its_own_form() {
        let bearer = KeyRules::default();
        let bare = KeyRules {
            header: HeaderName::from_static("x-api-key"),
            scheme: None,
            ..bearer.clone()
        };
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
        };
        assert_eq!(bearer.credential(&headers("authorization", "bearer  k")), Some("k"));
        assert_eq!(bearer.credential(&headers("authorization", "Basic k")), None);
        assert_eq!(bearer.credential(&headers("authorization", "Bearer ")), None);
        assert_eq!(bare.credential(&headers("x-api-key", "k")), Some("k"));
        assert_eq!(bare.credential(&headers("authorization", "Bearer k")), None);
    }
}
