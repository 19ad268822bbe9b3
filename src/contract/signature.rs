//! Signatures: in headers, and under a name of their own for bodies and queries.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use md5::Md5;
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::encoding::Encoding;
use super::key_pair::SigningKey;
use super::scope::Scope;
use super::template::{Template, TemplateError};

/// How a signature is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
    HmacSha1,
    HmacMd5,
    /// A plain digest of content that has the secret in it, as the next four.
    Sha256,
    Sha384,
    Sha512,
    Sha1,
    Md5,
    /// RFC 8032, by the private half of a key pair.
    Ed25519,
    /// No signature at all: the secret itself is sent.
    Token,
}

/// Which keys a signature is made with, while an old secret overlaps with the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignedBy {
    /// The current secret, then those that it replaced.
    #[default]
    All,
    Current,
    /// Those that were replaced and still sign.
    Previous,
}

/// What a signature needs to be known before it can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing of the request, so the body can hold it.
    Event,
    /// The body, so the query and the headers can hold it.
    Body,
    /// The whole request, so only a header can hold it.
    Request,
}

/// One signature of a contract.
#[derive(Debug)]
pub(super) struct Signature {
    /// Where it goes; `None` for one that only templates name.
    pub(super) header: Option<HeaderName>,
    /// What templates call it.
    pub(super) name: Option<Arc<str>>,
    /// What stands between it and the signatures before it in the same header.
    pub(super) separator: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) signed_by: SignedBy,
    pub(super) content: Template,
    pub(super) encoding: Encoding,
    pub(super) format: Template,
    pub(super) stage: Stage,
}

/// The named signatures of one request, by their names.
pub(super) type Named = Vec<(Arc<str>, Arc<[String]>)>;

impl Signature {
    /// The signatures by those of `keys` (the current one first) that this one is made with,
    /// written out.
    pub(super) fn sign(
        &self,
        keys: &[SigningKey<'_>],
        scope: &Scope,
    ) -> Result<Vec<String>, TemplateError> {
        let chosen = match self.signed_by {
            SignedBy::All => keys,
            SignedBy::Current => keys.get(..1).unwrap_or_default(),
            SignedBy::Previous => keys.get(1..).unwrap_or_default(),
        };
        let mut content = None;
        let mut signatures = Vec::new();
        for key in chosen {
            let written = match (key, self.algorithm) {
                (SigningKey::Symmetric { text, .. }, Algorithm::Token) => text.expose().to_owned(),
                (SigningKey::Symmetric { text, .. }, digest) if digest.is_plain_digest() => {
                    let content =
                        self.content.render(&scope.with_secret(Arc::new((*text).clone())))?;
                    self.encoding.write(&digest.compute(&[], &content))
                }
                (SigningKey::Symmetric { bytes, .. }, hmac) if hmac != Algorithm::Ed25519 => {
                    let content = rendered(&mut content, &self.content, scope)?;
                    self.encoding.write(&hmac.compute(bytes, content))
                }
                (SigningKey::Ed25519(pair), Algorithm::Ed25519) => {
                    let content = rendered(&mut content, &self.content, scope)?;
                    self.encoding.write(pair.sign(content).as_ref())
                }
                // A key of the other kind, which another signature of the contract takes.
                _ => continue,
            };
            signatures.push(written);
        }
        Ok(signatures)
    }
}

fn rendered<'a>(
    content: &'a mut Option<bytes::Bytes>,
    template: &Template,
    scope: &Scope,
) -> Result<&'a [u8], TemplateError> {
    if content.is_none() {
        *content = Some(template.render(scope)?);
    }
    Ok(content.as_deref().unwrap_or_default())
}

impl Algorithm {
    /// Whether the secret is part of what is hashed.
    pub(super) const fn is_plain_digest(self) -> bool {
        use Algorithm::{Md5, Sha1, Sha256, Sha384, Sha512};
        matches!(self, Sha256 | Sha384 | Sha512 | Sha1 | Md5)
    }

    /// The hash function's name, as Python, Node and PHP call it; `None` where there is none.
    pub(super) const fn hash_name(self) -> Option<&'static str> {
        Some(match self {
            Algorithm::HmacSha256 | Algorithm::Sha256 => "sha256",
            Algorithm::HmacSha384 | Algorithm::Sha384 => "sha384",
            Algorithm::HmacSha512 | Algorithm::Sha512 => "sha512",
            Algorithm::HmacSha1 | Algorithm::Sha1 => "sha1",
            Algorithm::HmacMd5 | Algorithm::Md5 => "md5",
            Algorithm::Ed25519 | Algorithm::Token => return None,
        })
    }

    /// The code or digest of `content`; nothing for algorithms without a hash function.
    pub(super) fn compute(self, key: &[u8], content: &[u8]) -> Vec<u8> {
        match self {
            Algorithm::HmacSha256 => authenticate::<Hmac<Sha256>>(key, content),
            Algorithm::HmacSha384 => authenticate::<Hmac<Sha384>>(key, content),
            Algorithm::HmacSha512 => authenticate::<Hmac<Sha512>>(key, content),
            Algorithm::HmacSha1 => authenticate::<Hmac<Sha1>>(key, content),
            Algorithm::HmacMd5 => authenticate::<Hmac<Md5>>(key, content),
            Algorithm::Sha256 => Sha256::digest(content).to_vec(),
            Algorithm::Sha384 => Sha384::digest(content).to_vec(),
            Algorithm::Sha512 => Sha512::digest(content).to_vec(),
            Algorithm::Sha1 => Sha1::digest(content).to_vec(),
            Algorithm::Md5 => Md5::digest(content).to_vec(),
            Algorithm::Ed25519 | Algorithm::Token => Vec::new(),
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
            (Algorithm::HmacSha384, hmac::HMAC_SHA384),
            (Algorithm::HmacSha512, hmac::HMAC_SHA512),
            (Algorithm::HmacSha1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ] {
            for key in [&b""[..], b"k", &[0xaa; 200]] {
                let expected = hmac::sign(&hmac::Key::new(theirs, key), b"content");
                assert_eq!(ours.compute(key, b"content"), expected.as_ref());
            }
        }
        // RFC 2202, test case 2; RFC 1321, appendix A.5.
        let code = Algorithm::HmacMd5.compute(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex::encode(code), "750c783e6ab0b503eaa86e310a5db738");
        let digest = Algorithm::Md5.compute(&[], b"message digest");
        assert_eq!(hex::encode(digest), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
