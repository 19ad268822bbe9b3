//! What of an endpoint is sealed: its authentication, its custom headers, its signing secrets.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::fault::{Fallible, damaged};
use crate::domain::{
    ApplicationId, Auth, Endpoint, EndpointId, SecretText, SigningSecret, Timestamp,
};
use crate::store::Vault;

/// As JSON, which is then sealed. `T` is `&str` on the way in and `String` on the way out.
#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    auth: SealedAuth<T>,
    headers: Vec<(T, T)>,
    /// With the time in microseconds at which each expires.
    secrets: Vec<(T, Option<i64>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum SealedAuth<T> {
    None,
    Basic { token: T },
    Header { name: T, value: T },
}

/// What was sealed, opened.
#[derive(Default)]
pub(super) struct Confidential {
    pub(super) auth: Auth,
    pub(super) headers: Vec<(String, SecretText)>,
    pub(super) secrets: Vec<SigningSecret>,
}

/// Seals for this endpoint alone, with the `secrets` that are its own; `None` where it has
/// nothing confidential.
pub(super) fn seal(
    endpoint: &Endpoint,
    secrets: &[SigningSecret],
    vault: &Vault,
) -> Fallible<Option<Vec<u8>>> {
    let auth = match &endpoint.auth {
        Auth::None if endpoint.headers.is_empty() && secrets.is_empty() => {
            return Ok(None);
        }
        Auth::None => SealedAuth::None,
        Auth::Basic { token } => SealedAuth::Basic { token: token.expose() },
        Auth::Header { name, value } => {
            SealedAuth::Header { name: name.as_str(), value: value.expose() }
        }
    };
    let headers = endpoint.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
    let secrets = secrets
        .iter()
        .map(|secret| (secret.text.expose(), secret.expires_at.map(Timestamp::as_micros)));
    let sealed = Sealed { auth, headers: headers.collect(), secrets: secrets.collect() };
    let plain = serde_json::to_vec(&sealed).map_err(|_| damaged("an endpoint's secrets"))?;
    Ok(Some(vault.seal(&Zeroizing::new(plain), endpoint.id.bytes())?))
}

/// Opens what [`seal`] made.
pub(super) fn open(id: EndpointId, sealed: &[u8], vault: &Vault) -> Fallible<Confidential> {
    let plain = vault.open(sealed, id.bytes())?;
    let sealed: Sealed<String> =
        serde_json::from_slice(&plain).map_err(|_| damaged("an endpoint's secrets"))?;
    let auth = match sealed.auth {
        SealedAuth::None => Auth::None,
        SealedAuth::Basic { token } => Auth::Basic { token: SecretText::new(token) },
        SealedAuth::Header { name, value } => Auth::Header { name, value: SecretText::new(value) },
    };
    let headers = sealed.headers.into_iter().map(|(name, value)| (name, SecretText::new(value)));
    let secrets = sealed.secrets.into_iter().map(|(text, expires_at_us)| SigningSecret {
        text: SecretText::new(text),
        expires_at: expires_at_us.map(Timestamp::from_micros),
    });
    Ok(Confidential { auth, headers: headers.collect(), secrets: secrets.collect() })
}

/// Seals the secrets that an application's endpoints share; `None` for none.
pub(super) fn seal_shared(
    id: ApplicationId,
    secrets: &[SigningSecret],
    vault: &Vault,
) -> Fallible<Option<Vec<u8>>> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let written: Vec<(&str, Option<i64>)> = secrets
        .iter()
        .map(|secret| (secret.text.expose(), secret.expires_at.map(Timestamp::as_micros)))
        .collect();
    let plain = serde_json::to_vec(&written).map_err(|_| damaged("an application's secrets"))?;
    Ok(Some(vault.seal(&Zeroizing::new(plain), id.bytes())?))
}

/// Opens what [`seal_shared`] made.
pub(super) fn open_shared(
    id: ApplicationId,
    sealed: &[u8],
    vault: &Vault,
) -> Fallible<Vec<SigningSecret>> {
    let plain = vault.open(sealed, id.bytes())?;
    let secrets: Vec<(String, Option<i64>)> =
        serde_json::from_slice(&plain).map_err(|_| damaged("an application's secrets"))?;
    let secrets = secrets.into_iter().map(|(text, expires_at_us)| SigningSecret {
        text: SecretText::new(text),
        expires_at: expires_at_us.map(Timestamp::from_micros),
    });
    Ok(secrets.collect())
}
