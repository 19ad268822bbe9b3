//! Signature headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::template::Template;

/// How a signature is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    HmacSha256,
    HmacSha512,
    HmacSha1,
}

impl Algorithm {
    /// The hash function's name, as Python and Node call it.
    pub(super) const fn hash_name(self) -> &'static str {
        match self {
            Algorithm::HmacSha256 => "sha256",
            Algorithm::HmacSha512 => "sha512",
            Algorithm::HmacSha1 => "sha1",
        }
    }
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    #[default]
    Hex,
    /// Standard alphabet, with padding.
    Base64,
}

/// One signature header of a contract.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) header: HeaderName,
    pub(super) algorithm: Algorithm,
    pub(super) content: Template,
    pub(super) encoding: Encoding,
    pub(super) format: Template,
}

impl Signature {
    /// The signature of `content`, written out.
    pub(super) fn sign(&self, key: &[u8], content: &[u8]) -> String {
        let code = self.algorithm.compute(key, content);
        match self.encoding {
            Encoding::Hex => hex::encode(code),
            Encoding::Base64 => STANDARD.encode(code),
        }
    }
}

impl Algorithm {
    fn compute(self, key: &[u8], content: &[u8]) -> Vec<u8> {
        match self {
            Algorithm::HmacSha256 => authenticate::<Hmac<Sha256>>(key, content),
            Algorithm::HmacSha512 => authenticate::<Hmac<Sha512>>(key, content),
            Algorithm::HmacSha1 => authenticate::<Hmac<Sha1>>(key, content),
        }
    }
}

fn authenticate<M: Mac + KeyInit>(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(content);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_agrees_with_another_implementation() {
        use ring::hmac;
        for (ours, theirs) in [
            (Algorithm::HmacSha256, hmac::HMAC_SHA256),
            (Algorithm::HmacSha512, hmac::HMAC_SHA512),
            (Algorithm::HmacSha1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ] {
            for key in [&b""[..], b"k", &[0xaa; 200]] {
                let expected = hmac::sign(&hmac::Key::new(theirs, key), b"content");
                assert_eq!(ours.compute(key, b"content"), expected.as_ref());
            }
        }
    }
}
