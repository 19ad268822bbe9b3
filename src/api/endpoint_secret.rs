//! An endpoint's signing secret: showing it and rotating it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::endpoint;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{OptionalBody, Path};
use crate::contract::SecretOrigin;
use crate::domain::{Endpoint, Error, ErrorCode, Result, SecretText, SigningSecret};
use crate::environment::Environment;

/// Secrets of one endpoint that sign at once: the current one and those it replaced lately.
const SIGNING_SECRETS_MAX: usize = 5;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(rotate))
}

/// The secret of a new endpoint, or of a rotation: the customer's, checked, or a generated one.
///
/// # Errors
/// A refused `field` where the contract wants it otherwise.
pub(super) fn new_secret(
    state: &ApiState,
    environment: &Environment,
    given: Option<String>,
    field: &str,
) -> Result<Option<SecretText>> {
    let rules = environment.contract.secret();
    match (given, rules.origin) {
        (None, SecretOrigin::Generated) => Ok(rules.generate(&state.entropy)),
        (None, SecretOrigin::Required) => Err(Error::field(field, "A secret is required")),
        (None, SecretOrigin::Optional | SecretOrigin::None) => Ok(None),
        (Some(_), SecretOrigin::None) => {
            Err(Error::field(field, "This contract signs nothing, so it has no secrets"))
        }
        (Some(text), _) => {
            rules.check(&text).map_err(|reason| Error::field(field, reason))?;
            Ok(Some(SecretText::new(text)))
        }
    }
}

/// A signing secret.
#[derive(Serialize, ToSchema)]
struct SecretOut {
    key: String,
}

/// Show an endpoint's signing secret
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
    if !caller.environment.contract.secret().reveal {
        let detail = "This contract never shows a secret again; rotate it instead";
        return Err(Error::new(ErrorCode::Forbidden, detail).into());
    }
    let current = found.secrets.first().ok_or_else(Error::not_found)?;
    Ok(Json(SecretOut { key: current.text.expose().to_owned() }))
}

/// The new secret.
#[derive(Default, Deserialize, ToSchema)]
struct RotateIn {
    /// Left out, one is generated where the contract generates secrets.
    key: Option<String>,
}

/// Rotate an endpoint's signing secret
///
/// Whether the old one goes on signing beside the new one, and for how long, is the
/// contract's decision.
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
    OptionalBody(RotateIn { key }): OptionalBody<RotateIn>,
) -> ApiResult<Response> {
    let found = endpoint::find(&state, &caller, path).await?;
    let Some(text) = new_secret(&state, &caller.environment, key, "key")? else {
        return Err(Error::field("key", "A secret is required").into());
    };
    let key = text.expose().to_owned();
    let changed = rotated(&state, &caller.environment, &found, text);
    endpoint::store_changed(&state, &caller, found.revision, changed).await?;
    // Version 2 of the Svix SDKs reads the new secret from the answer, version 1 looks away.
    Ok(match caller.environment.contract.secret().reveal {
        true => Json(SecretOut { key }).into_response(),
        false => StatusCode::NO_CONTENT.into_response(),
    })
}

/// The endpoint with the secret that a customer gave it in passing, which is a rotation. One
/// that the server makes is not given, so there it is refused.
pub(super) fn replaced_secret(
    state: &ApiState,
    environment: &Environment,
    endpoint: Endpoint,
    given: Option<String>,
) -> Result<Endpoint> {
    match (given, environment.contract.secret().origin) {
        (None, _) => Ok(endpoint),
        (Some(_), SecretOrigin::Generated) => {
            Err(Error::field("secret", "Rotate the secret instead of changing it here"))
        }
        (given, SecretOrigin::Required | SecretOrigin::Optional | SecretOrigin::None) => {
            let text = new_secret(state, environment, given, "secret")?;
            Ok(text.map_or(endpoint.clone(), |text| rotated(state, environment, &endpoint, text)))
        }
    }
}

fn rotated(
    state: &ApiState,
    environment: &Environment,
    endpoint: &Endpoint,
    text: SecretText,
) -> Endpoint {
    let now = state.clock.now();
    let overlap = environment.contract.secret().overlap;
    let replaced = endpoint.secrets.iter().filter(|old| old.text != text).map(|old| {
        let end = now + overlap;
        let expires_at = Some(old.expires_at.map_or(end, |expiry| expiry.min(end)));
        SigningSecret { text: old.text.clone(), expires_at }
    });
    let current = SigningSecret { text: text.clone(), expires_at: None };
    let secrets = std::iter::once(current)
        .chain(replaced.filter(|old| old.signs_at(now)))
        .take(SIGNING_SECRETS_MAX)
        .collect();
    Endpoint { secrets, ..endpoint.clone() }
}
