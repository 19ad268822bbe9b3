//! An endpoint's signing secret: showing, rotating and removing it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::application_secret::{is_shared, remove_shared, rotate_shared};
use super::auth::Caller;
use super::endpoint;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{OptionalBody, Path};
use crate::contract::{SecretKind, SecretOrigin, SecretRules};
use crate::domain::{Endpoint, Error, ErrorCode, Result, SecretText, SigningSecret, Timestamp};
use crate::environment::Environment;

/// Secrets of one endpoint that sign at once: the current one and those it replaced lately.
const SIGNING_SECRETS_MAX: usize = 5;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get, remove)).routes(routes!(rotate))
}

/// What a request says about a secret.
pub(super) struct SecretWish {
    /// The secret itself, where the customer chooses it.
    pub(super) text: Option<String>,
    /// `symmetric` or `ed25519`, where the customer chooses.
    pub(super) kind: Option<String>,
}

impl SecretWish {
    /// The kind that is wanted: the one that was named, that of the text, or the contract's.
    fn kind(&self, rules: &SecretRules) -> Result<SecretKind> {
        let of_text = self.text.as_deref().map(|text| rules.kind_of(text));
        let Some(word) = &self.kind else { return Ok(of_text.unwrap_or(rules.default_kind())) };
        let kind = SecretKind::parse(word).filter(|kind| rules.offers(*kind));
        let Some(kind) = kind else {
            let kinds = [SecretKind::Symmetric, SecretKind::Ed25519];
            let offered: Vec<&str> = kinds
                .into_iter()
                .filter(|kind| rules.offers(*kind))
                .map(SecretKind::as_str)
                .collect();
            let sentence = format!("Must be {}", offered.join(" or "));
            return Err(Error::field("secretType", sentence));
        };
        if of_text.is_some_and(|of_text| of_text != kind) {
            return Err(Error::field("secretType", "The given secret is of another type"));
        }
        Ok(kind)
    }
}

/// A new secret: the customer's, checked, or a generated one.
///
/// # Errors
/// A refused `field` where the contract wants it otherwise.
pub(super) fn new_secret(
    state: &ApiState,
    environment: &Environment,
    wish: SecretWish,
    field: &str,
) -> Result<Option<SecretText>> {
    let rules = environment.contract.secret();
    if rules.origin == SecretOrigin::None {
        return match wish {
            SecretWish { text: None, kind: None } => Ok(None),
            _ => Err(Error::field(field, "This contract signs nothing, so it has no secrets")),
        };
    }
    let kind = wish.kind(rules)?;
    match (wish.text, rules.origin) {
        (None, SecretOrigin::Generated) => Ok(rules.generate(kind, &state.entropy)),
        (None, SecretOrigin::Required) => Err(Error::field(field, "A secret is required")),
        (None, SecretOrigin::Optional | SecretOrigin::None) => Ok(None),
        (Some(text), _) => {
            rules.check(&text).map_err(|reason| Error::field(field, reason))?;
            Ok(Some(SecretText::new(text)))
        }
    }
}

/// What the receiver verifies with: the secret, or the public key of a key pair.
#[derive(Serialize, ToSchema)]
pub(super) struct SecretOut {
    pub(super) key: String,
}

/// Show an endpoint's signing secret
///
/// Of a key pair the public key is shown, and the private one never.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret", tag = "Endpoint", operation_id = "v1.endpoint.get-secret",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 200, body = SecretOut), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<Json<SecretOut>> {
    let found = endpoint::find(&state, &caller, path).await?;
    shown(&caller.environment, &found.secrets).map(Json)
}

/// What may be seen of the current secret.
pub(super) fn shown(environment: &Environment, secrets: &[SigningSecret]) -> ApiResult<SecretOut> {
    let rules = environment.contract.secret();
    let refused = || {
        let detail = "This contract never shows a secret again; rotate it instead";
        Error::new(ErrorCode::Forbidden, detail)
    };
    let Some(current) = secrets.first() else {
        let error = if rules.reveal { Error::not_found() } else { refused() };
        return Err(error.into());
    };
    let key = rules.shown(&current.text).ok_or_else(refused)?;
    Ok(SecretOut { key: key.expose().to_owned() })
}

/// The new secret.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RotateIn {
    /// Left out, one is generated where the contract generates secrets.
    key: Option<String>,
    /// `symmetric` or `ed25519`, where the contract has both. Left out, it follows from the
    /// key, and where there is none the endpoint keeps the kind that it has.
    secret_type: Option<String>,
}

impl RotateIn {
    pub(super) fn wish(self, rules: &SecretRules, current: &[SigningSecret]) -> SecretWish {
        let same = || Some(rules.kind_of(current.first()?.text.expose()).as_str().to_owned());
        let kind = match (&self.secret_type, &self.key) {
            (None, None) => same(),
            _ => self.secret_type,
        };
        SecretWish { text: self.key, kind }
    }
}

/// Rotate an endpoint's signing secret
///
/// Whether the old one goes on signing beside the new one, and for how long, is the
/// contract's decision. Where the application's endpoints share a secret, it is rotated for
/// all of them.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate", tag = "Endpoint", operation_id = "v1.endpoint.rotate-secret",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body(content = RotateIn),
    responses((status = 200, body = SecretOut, description = "The new secret"),
        (status = 204, description = "Rotated, where the contract never shows a secret"),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn rotate(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    OptionalBody(input): OptionalBody<RotateIn>,
) -> ApiResult<Response> {
    let found = endpoint::find(&state, &caller, path).await?;
    if is_shared(&caller.environment) {
        return rotate_shared(&state, &caller.environment, found.application_id, input).await;
    }
    rotate_to(&state, &caller, &found, input).await
}

/// Gives an endpoint a secret of its own.
pub(super) async fn rotate_to(
    state: &ApiState,
    caller: &Caller,
    found: &Endpoint,
    input: RotateIn,
) -> ApiResult<Response> {
    let rules = caller.environment.contract.secret();
    let wish = input.wish(rules, &found.secrets);
    let Some(text) = new_secret(state, &caller.environment, wish, "key")? else {
        return Err(Error::field("key", "A secret is required").into());
    };
    let secrets = rotated(&found.secrets, text, rules.overlap, state.clock.now());
    let answer = rotation_answer(&caller.environment, &secrets);
    let changed = Endpoint { secrets, ..found.clone() };
    endpoint::store_changed(state, caller, found.revision, changed).await?;
    Ok(answer)
}

/// Version 2 of the Svix SDKs reads the new secret from the answer, version 1 looks away.
pub(super) fn rotation_answer(environment: &Environment, secrets: &[SigningSecret]) -> Response {
    match shown(environment, secrets) {
        Ok(out) => Json(out).into_response(),
        Err(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The endpoint with the secret that a customer gave it in passing, which is a rotation. One
/// that the server makes is not given, and one that the application's endpoints share is not
/// this endpoint's to change, so there it is refused.
pub(super) fn replaced_secret(
    state: &ApiState,
    environment: &Environment,
    endpoint: Endpoint,
    wish: SecretWish,
) -> Result<Endpoint> {
    let rules = environment.contract.secret();
    match (&wish, rules.origin) {
        (SecretWish { text: None, kind: None }, _) => Ok(endpoint),
        (SecretWish { text: None, .. }, _) | (_, SecretOrigin::Generated) => {
            Err(Error::field("secret", "Rotate the secret instead of changing it here"))
        }
        _ if is_shared(environment) => {
            let sentence = "The application's endpoints share a secret; rotate it there";
            Err(Error::field("secret", sentence))
        }
        (_, SecretOrigin::Required | SecretOrigin::Optional | SecretOrigin::None) => {
            let Some(text) = new_secret(state, environment, wish, "secret")? else {
                return Ok(endpoint);
            };
            let secrets = rotated(&endpoint.secrets, text, rules.overlap, state.clock.now());
            Ok(Endpoint { secrets, ..endpoint })
        }
    }
}

/// The secrets after `text` was put in the place of the current one.
pub(super) fn rotated(
    secrets: &[SigningSecret],
    text: SecretText,
    overlap: Duration,
    now: Timestamp,
) -> Vec<SigningSecret> {
    let replaced = secrets.iter().filter(|old| old.text != text).map(|old| {
        let end = now + overlap;
        let expires_at = Some(old.expires_at.map_or(end, |expiry| expiry.min(end)));
        SigningSecret { text: old.text.clone(), expires_at }
    });
    let current = SigningSecret { text: text.clone(), expires_at: None };
    std::iter::once(current)
        .chain(replaced.filter(|old| old.signs_at(now)))
        .take(SIGNING_SECRETS_MAX)
        .collect()
}

/// Remove an endpoint's signing secret
///
/// Where the contract leaves it to the customer whether there is one. From then on nothing is
/// signed.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret", tag = "Endpoint", operation_id = "v1.endpoint.delete-secret",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    let found = endpoint::find(&state, &caller, path).await?;
    if is_shared(&caller.environment) {
        return remove_shared(&state, &caller.environment, found.application_id).await;
    }
    removable(&caller.environment)?;
    let changed = Endpoint { secrets: Vec::new(), ..(*found).clone() };
    endpoint::store_changed(&state, &caller, found.revision, changed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// # Errors
/// A conflict where the contract doesn't leave secrets to the customer.
pub(super) fn removable(environment: &Environment) -> Result<()> {
    match environment.contract.secret().origin {
        SecretOrigin::Optional => Ok(()),
        SecretOrigin::None => Err(Error::not_found()),
        SecretOrigin::Generated | SecretOrigin::Required => {
            Err(Error::conflict("This contract signs everything, so the secret has to stay"))
        }
    }
}
