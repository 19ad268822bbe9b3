//! Who is calling: API keys and signed tokens, and what they open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::ApiState;
use super::error::ApiError;
use super::jwt::JwtVerification;
use crate::clock::Clock;
use crate::domain::{
    Application, ApplicationId, Error, ErrorCode, Holder, PassKind, Reference, Result, Scope,
    SecretText, Timestamp,
};
use crate::environment::Environment;
use crate::store::Store;

/// How long a key is remembered after it was looked up, and so how long a revoked key may
/// still be taken.
const KEY_REMEMBERED: Duration = Duration::from_secs(2);

/// Keys remembered at once.
const KEYS_REMEMBERED: usize = 10_000;

/// Names the environment where a key covers several.
pub const ENVIRONMENT_HEADER: &str = "hookwright-environment";

/// What is stored of a key. A fast hash is enough: the keys that we make have at least 128 random bits.
pub fn hash_key(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Tells who a credential belongs to.
pub struct Authenticator {
    store: Arc<dyn Store>,
    clock: Clock,
    /// The admin key from the configuration, hashed.
    admin_key: Option<[u8; 32]>,
    jwt: Option<JwtVerification>,
    remembered: Mutex<HashMap<[u8; 32], (Timestamp, Scope)>>,
}

impl Authenticator {
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        admin_key: Option<&SecretText>,
        jwt_secret: Option<&SecretText>,
    ) -> Authenticator {
        Authenticator {
            store,
            clock,
            admin_key: admin_key.map(|key| hash_key(key.expose())),
            jwt: jwt_secret.map(JwtVerification::new),
            remembered: Mutex::default(),
        }
    }

    /// What this credential opens.
    ///
    /// # Errors
    /// `authentication_failed` where nobody issued it, or it was revoked or has expired.
    pub async fn scope(&self, credential: &str) -> Result<Scope> {
        let now = self.clock.now();
        if credential.matches('.').count() == 2
            && let Some(jwt) = &self.jwt
            && let Some(scope) = jwt.scope(credential, now)
        {
            return Ok(scope);
        }
        self.scope_of_key(hash_key(credential)).await
    }

    /// What the key with this SHA-256 opens.
    ///
    /// # Errors
    /// Those of [`Authenticator::scope`].
    pub async fn scope_of_key(&self, hash: [u8; 32]) -> Result<Scope> {
        let now = self.clock.now();
        if let Some((until, scope)) = self.remembered().get(&hash)
            && now < *until
            // A clock that was set back must not keep a key alive that was revoked since.
            && *until <= now + KEY_REMEMBERED
        {
            return Ok(scope.clone());
        }
        if self.admin_key.is_some_and(|admin| bool::from(admin.ct_eq(&hash))) {
            return Ok(Scope::Admin);
        }
        let scope = match self.store.find_key(hash).await? {
            Some(key) => key.scope,
            None => self.scope_of_token(hash, now).await?,
        };
        let mut remembered = self.remembered();
        if remembered.len() >= KEYS_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, (now + KEY_REMEMBERED, scope.clone()));
        Ok(scope)
    }

    /// What the token of a portal opens: its application, in the first of its environments.
    async fn scope_of_token(&self, hash: [u8; 32], now: Timestamp) -> Result<Scope> {
        let pass = self.store.find_pass(hash, PassKind::Token, now).await?;
        // Where an application is deleted, so are its passes.
        let Some(Holder::Tenant { applications, read_only: false }) = pass.map(|pass| pass.holder)
        else {
            return Err(unauthenticated());
        };
        let (environment, application) =
            applications.into_iter().next().ok_or_else(unauthenticated)?;
        Ok(Scope::Application { environment, application })
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], (Timestamp, Scope)>> {
        self.remembered.lock().expect("no panic while the keys are held")
    }
}

fn unauthenticated() -> Error {
    Error::new(
        ErrorCode::AuthenticationFailed,
        "Invalid or missing token: send `Authorization: Bearer <key>`",
    )
}

/// An authenticated caller, in the one environment that the request is about.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) environment: Arc<Environment>,
    /// The only application that the credential opens, where it is that narrow.
    pub(super) only_application: Option<ApplicationId>,
    /// `None` for calls from within this process.
    pub(super) credential: Option<SecretText>,
}

impl Caller {
    /// Somebody who calls from within this process, about one application.
    pub fn within(environment: Arc<Environment>, application: ApplicationId) -> Caller {
        Caller { environment, only_application: Some(application), credential: None }
    }

    /// Whether the credential opens every environment.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn is_admin(&self, state: &ApiState) -> Result<bool> {
        let Some(credential) = &self.credential else { return Ok(false) };
        Ok(state.authenticator.scope(credential.expose()).await? == Scope::Admin)
    }

    /// The SHA-256 of the credential.
    pub(super) fn credential_hash(&self) -> Option<[u8; 32]> {
        self.credential.as_ref().map(|credential| hash_key(credential.expose()))
    }

    /// Asks again whether the credential is good, for requests that go on for long.
    ///
    /// # Errors
    /// Where it was revoked or has expired since.
    pub(super) async fn check_again(&self, state: &ApiState) -> Result<()> {
        match &self.credential {
            Some(credential) => state.authenticator.scope(credential.expose()).await.map(drop),
            None => Ok(()),
        }
    }

    /// The application of this name, if it is the caller's.
    pub(super) async fn application(
        &self,
        state: &ApiState,
        name: String,
    ) -> Result<Arc<Application>> {
        let reference = Reference(name);
        let application = state.store.get_application(&self.environment.name, &reference).await?;
        match self.only_application {
            Some(only) if only != application.id => Err(Error::not_found()),
            _ => Ok(application),
        }
    }

    /// Refuses credentials of a single application, for what concerns the company as a whole.
    pub(super) fn require_environment(&self) -> Result<()> {
        match self.only_application {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorCode::Forbidden,
                "This key covers a single application; this needs one of its environment",
            )),
        }
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Caller, ApiError> {
        // Calls that a contract's route makes in this process; nothing from outside sets it.
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(caller.clone());
        }
        let credential = bearer(&parts.headers).ok_or_else(unauthenticated)?;
        Ok(caller(state, credential, &parts.headers).await?)
    }
}

/// Who holds this credential, in the environment that the headers name.
///
/// # Errors
/// `authentication_failed`; `not_found` for an environment that isn't the caller's.
pub(super) async fn caller(
    state: &ApiState,
    credential: &str,
    headers: &HeaderMap,
) -> Result<Caller> {
    let scope = state.authenticator.scope(credential).await?;
    // What isn't text names no environment, which is not the same as naming none.
    let named = headers.get(ENVIRONMENT_HEADER);
    let named = named.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let named = named.as_deref();
    let (name, only_application) = match scope {
        Scope::Admin => (admin_environment(state, named)?, None),
        Scope::Environment(name) => (name, None),
        Scope::Application { environment, application } => (environment, Some(application)),
    };
    if named.is_some_and(|named| *named != *name) {
        return Err(Error::not_found());
    }
    let (environment, credential) =
        (state.environments.get(&name), Some(SecretText::new(credential)));
    Ok(Caller { environment, only_application, credential })
}

/// An admin key opens every environment, so a request with one has to say which it means.
fn admin_environment(state: &ApiState, named: Option<&str>) -> Result<Arc<str>> {
    match (named, state.environments.only()) {
        (Some(name), _) if state.environments.is_configured(name) => Ok(Arc::from(name)),
        (Some(_), _) => Err(Error::not_found()),
        (None, Some(only)) => Ok(only.name.clone()),
        (None, None) => {
            let names: Vec<&str> = state.environments.configured().map(|one| &*one.name).collect();
            Err(Error::new(
                ErrorCode::EnvironmentRequired,
                format!(
                    "This key opens several environments: name one in the header `{ENVIRONMENT_HEADER}` ({})",
                    names.join(", ")
                ),
            ))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credential) =
        headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty()).then_some(credential)
}
