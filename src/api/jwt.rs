//! Signed tokens (RFC 7519, HS256): what the Svix SDKs and a company's own backend send
//! instead of an API key when a JWT secret is configured.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use sha2::Sha256;

use crate::domain::{ApplicationId, Scope, SecretText, Timestamp};

/// How far the issuer's clock may be off.
const LEEWAY_SECONDS: f64 = 60.0;

/// The longest name an organisation, and so an environment, may have.
const ORGANISATION_MAX_BYTES: usize = 64;

/// Checks tokens.
pub(super) struct JwtVerification {
    key: DecodingKey,
    validation: Validation,
}

#[derive(serde::Deserialize)]
struct Claims {
    /// The organisation, which is the environment; or an application.
    sub: String,
    /// The organisation, where `sub` is an application.
    org: Option<String>,
    /// Seconds since the epoch, which may have a fraction (RFC 7519, section 2).
    exp: Option<f64>,
    nbf: Option<f64>,
}

impl JwtVerification {
    pub(super) fn new(secret: &SecretText) -> JwtVerification {
        // A second installation is the same one.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are compared with our own clock below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        JwtVerification { key: DecodingKey::from_secret(secret.expose().as_bytes()), validation }
    }

    /// What the token opens; `None` where it isn't valid now.
    pub(super) fn scope(&self, token: &str, now: Timestamp) -> Option<Scope> {
        let claims =
            jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).ok()?.claims;
        let now = Duration::from_micros(u64::try_from(now.as_micros()).ok()?).as_secs_f64();
        let expired = claims.exp.is_some_and(|exp| exp + LEEWAY_SECONDS <= now);
        let early = claims.nbf.is_some_and(|nbf| nbf - LEEWAY_SECONDS > now);
        if expired || early {
            return None;
        }
        match (claims.org, claims.sub.parse::<ApplicationId>()) {
            (Some(org), Ok(application)) => {
                Some(Scope::Application { environment: environment(&org)?, application })
            }
            (Some(_), Err(_)) | (None, Ok(_)) => None,
            (None, Err(_)) => Some(Scope::Environment(environment(&claims.sub)?)),
        }
    }
}

fn environment(name: &str) -> Option<Arc<str>> {
    let valid = !name.is_empty()
        && name.len() <= ORGANISATION_MAX_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    valid.then(|| Arc::from(name))
}

/// HS256 and nothing else, on the `hmac` crate that we have anyway: the backends that
/// `jsonwebtoken` offers bring RSA and elliptic curves, or a second TLS provider.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key: &EncodingKey| -> JwtResult<Box<dyn JwtSigner>> {
        Ok(Box::new(hs256(algorithm, key.as_bytes())?))
    },
    verifier_factory: |algorithm, key| -> JwtResult<Box<dyn JwtVerifier>> {
        Ok(Box::new(hs256(algorithm, key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

fn hs256(algorithm: &Algorithm, secret: &[u8]) -> JwtResult<Hs256> {
    match algorithm {
        Algorithm::HS256 => {
            Hmac::new_from_slice(secret).map(Hs256).map_err(|_| ErrorKind::InvalidKeyFormat.into())
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let mac = self.0.clone().chain_update(message);
        mac.verify_slice(signature).map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
