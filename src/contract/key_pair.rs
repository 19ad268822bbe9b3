//! Keys that sign: symmetric ones, and Ed25519 key pairs as Standard Webhooks writes them.

use std::sync::LazyLock;

use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::secret::SecretEncoding;
use crate::domain::SecretText;

/// The bytes that an Ed25519 private key is made from (RFC 8032, section 5.1.5).
pub(super) const SEED_BYTES: usize = 32;

/// How a contract writes Ed25519 keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPairRules {
    /// What the private key starts with, such as `whsk_`.
    pub private_prefix: String,
    /// What the public key starts with, such as `whpk_`.
    pub public_prefix: String,
    /// How the bytes of both are written.
    pub encoding: SecretEncoding,
}

/// A key, ready to sign.
pub(super) enum SigningKey<'a> {
    Symmetric {
        bytes: Zeroizing<Vec<u8>>,
        /// The secret as the customer knows it.
        text: &'a SecretText,
    },
    Ed25519(Box<Ed25519KeyPair>),
}

/// What a signature that must be refused is made with.
static NOBODYS: LazyLock<SecretText> =
    LazyLock::new(|| SecretText::new("a key that nobody was ever given"));

impl SigningKey<'_> {
    /// A key of the same kind that is nobody's.
    pub(super) fn another(&self) -> SigningKey<'static> {
        let text = &*NOBODYS;
        let bytes = text.expose().as_bytes();
        match (self, Ed25519KeyPair::from_seed_unchecked(bytes)) {
            (SigningKey::Ed25519(_), Ok(pair)) => SigningKey::Ed25519(Box::new(pair)),
            _ => SigningKey::Symmetric { bytes: Zeroizing::new(bytes.to_vec()), text },
        }
    }
}

impl KeyPairRules {
    /// The private key of a seed, written: the seed and the public key behind it, which is
    /// the form that other libraries export.
    pub(super) fn write(&self, seed: &[u8; SEED_BYTES]) -> Option<SecretText> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let mut bytes = Zeroizing::new(seed.to_vec());
        bytes.extend_from_slice(pair.public_key().as_ref());
        let text = self.encoding.write(&bytes);
        Some(SecretText::new(format!("{}{}", self.private_prefix, *text)))
    }

    /// Whether a customer may set this private key.
    pub(super) fn check(&self, secret: &str) -> Result<(), String> {
        if !secret.starts_with(&self.private_prefix) {
            return Err(format!("The secret must start with \"{}\".", self.private_prefix));
        }
        self.read(secret).map(drop).ok_or_else(|| {
            format!(
                "The secret must be an Ed25519 private key in {}: {SEED_BYTES} bytes, or \
                 {} with its public key behind it.",
                self.encoding.words(),
                2 * SEED_BYTES
            )
        })
    }

    /// The public key that belongs to a private one, written.
    pub(super) fn public_text(&self, secret: &str) -> Option<String> {
        let pair = self.read(secret)?;
        let text = self.encoding.write(pair.public_key().as_ref());
        Some(format!("{}{}", self.public_prefix, *text))
    }

    /// The public key's bytes, of either half as it is written.
    pub(super) fn public_key(&self, text: &str) -> Option<Vec<u8>> {
        match text.strip_prefix(&self.public_prefix) {
            Some(rest) => self.encoding.decode(rest).map(|bytes| bytes.to_vec()),
            None => self.read(text).map(|pair| pair.public_key().as_ref().to_vec()),
        }
    }

    pub(super) fn signing_key(&self, secret: &str) -> Result<SigningKey<'static>, String> {
        let pair = self.read(secret);
        pair.map(|pair| SigningKey::Ed25519(Box::new(pair)))
            .ok_or_else(|| "The signing secret isn't an Ed25519 private key.".to_owned())
    }

    fn read(&self, secret: &str) -> Option<Ed25519KeyPair> {
        let bytes = self.encoding.decode(secret.strip_prefix(&self.private_prefix)?)?;
        let (seed, public) = bytes.split_at_checked(SEED_BYTES)?;
        match public {
            [] => Ed25519KeyPair::from_seed_unchecked(seed).ok(),
            public => Ed25519KeyPair::from_seed_and_public_key(seed, public).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
        085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn rules() -> KeyPairRules {
        KeyPairRules {
            private_prefix: "sk_".to_owned(),
            public_prefix: "pk_".to_owned(),
            encoding: SecretEncoding::Hex,
        }
    }

    #[test]
    fn keys_are_those_of_the_specification() {
        let seed: [u8; SEED_BYTES] = hex::decode(SEED).unwrap().try_into().unwrap();
        let long = rules().write(&seed).unwrap();
        assert_eq!(long.expose(), format!("sk_{SEED}{PUBLIC}"));
        for text in [long.expose(), &format!("sk_{SEED}")] {
            assert_eq!(rules().check(text), Ok(()));
            assert_eq!(rules().public_text(text).unwrap(), format!("pk_{PUBLIC}"));
            let SigningKey::Ed25519(pair) = rules().signing_key(text).unwrap() else { panic!() };
            assert_eq!(hex::encode(pair.sign(&[0x72])), SIGNATURE);
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_without_being_repeated() {
        for wrong in [
            format!("pk_{SEED}"),
            "sk_".to_owned(),
            format!("sk_{}", &SEED[2..]),
            format!("sk_{SEED}00"),
            // A public key that belongs to another private one.
            format!("sk_{SEED}{}", "11".repeat(32)),
        ] {
            let refused = rules().check(&wrong).unwrap_err();
            assert!(!refused.contains(&SEED[2..10]), "{refused}");
            assert!(rules().signing_key(&wrong).is_err());
        }
    }
}
