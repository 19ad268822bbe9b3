//! The signing secret that all endpoints of an application share, where the contract says that
//! secrets belong to applications.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::endpoint_secret::{
    RotateIn, SecretOut, SecretWish, new_secret, removable, rotated, rotation_answer, shown,
};
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{OptionalBody, Path};
use crate::contract::{SecretOrigin, SecretScope};
use crate::domain::{Application, ApplicationId, Error, ErrorCode, Result, SigningSecret};
use crate::environment::Environment;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get, remove)).routes(routes!(rotate))
}

/// Whether the contract's secrets belong to applications.
pub(super) fn is_shared(environment: &Environment) -> bool {
    environment.contract.secret().scope == SecretScope::Application
}

fn require_shared(environment: &Environment) -> Result<()> {
    match is_shared(environment) {
        true => Ok(()),
        false => Err(Error::conflict("With this contract, each endpoint has its own secret")),
    }
}

/// Whether what is made on the way to a new endpoint is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Secrets,
    /// For a dry run.
    Nothing,
}

/// The secrets that a new endpoint of the application will share. Where the server makes them,
/// the first endpoint is when it does.
///
/// # Errors
/// A refused `secret` where one is given, or the application needs one and has none.
pub(super) async fn for_new_endpoint(
    state: &ApiState,
    environment: &Environment,
    application: &Application,
    (wish, keep): (SecretWish, Keep),
) -> Result<Vec<SigningSecret>> {
    if wish.text.is_some() {
        let sentence = "The application's endpoints share a secret; rotate it there";
        return Err(Error::field("secret", sentence));
    }
    let found = state.store.application_secrets(application.id).await?;
    let origin = environment.contract.secret().origin;
    if !found.is_empty() || matches!(origin, SecretOrigin::None | SecretOrigin::Optional) {
        return Ok(found);
    }
    if origin == SecretOrigin::Required {
        let sentence = "The application needs a secret before it can have an endpoint";
        return Err(Error::field("secret", sentence));
    }
    let text = new_secret(state, environment, wish, "secret")?;
    let made: Vec<SigningSecret> =
        text.map(|text| SigningSecret { text, expires_at: None }).into_iter().collect();
    if keep == Keep::Nothing {
        return Ok(made);
    }
    let id = application.id;
    match state.engine.replace_application_secrets(id, Vec::new(), made.clone()).await {
        Ok(()) => Ok(made),
        // Another endpoint was made at the same time.
        Err(error) if error.code == ErrorCode::Conflict => {
            state.store.application_secrets(id).await
        }
        Err(error) => Err(error),
    }
}

/// Puts another secret in the place of the one that the application's endpoints share.
pub(super) async fn rotate_shared(
    state: &ApiState,
    environment: &Environment,
    application: ApplicationId,
    input: RotateIn,
) -> ApiResult<Response> {
    let rules = environment.contract.secret();
    let found = state.store.application_secrets(application).await?;
    let wish = input.wish(rules, &found);
    let Some(text) = new_secret(state, environment, wish, "key")? else {
        return Err(Error::field("key", "A secret is required").into());
    };
    let secrets = rotated(&found, text, rules.overlap, state.clock.now());
    let answer = rotation_answer(environment, &secrets);
    state.engine.replace_application_secrets(application, found, secrets).await?;
    Ok(answer)
}

/// Takes the secret away that the application's endpoints share.
pub(super) async fn remove_shared(
    state: &ApiState,
    environment: &Environment,
    application: ApplicationId,
) -> ApiResult<StatusCode> {
    removable(environment)?;
    let found = state.store.application_secrets(application).await?;
    state.engine.replace_application_secrets(application, found, Vec::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show an application's signing secret
///
/// With a contract whose secrets belong to applications: all endpoints share it. Of a key pair
/// the public key is shown, and the private one never.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/secret", tag = "Application", operation_id = "v1.application.get-secret",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses((status = 200, body = SecretOut), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Each endpoint has its own secret")))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
) -> ApiResult<Json<SecretOut>> {
    let application = caller.application(&state, app_id).await?;
    require_shared(&caller.environment)?;
    let secrets = state.store.application_secrets(application.id).await?;
    shown(&caller.environment, &secrets).map(Json)
}

/// Rotate an application's signing secret
///
/// Also sets the first one. Whether the old one goes on signing beside the new one, and for how
/// long, is the contract's decision.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/secret/rotate", tag = "Application", operation_id = "v1.application.rotate-secret",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body(content = RotateIn),
    responses((status = 200, body = SecretOut, description = "The new secret"),
        (status = 204, description = "Rotated, where the contract never shows a secret"),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Each endpoint has its own secret"),
        (status = 422, body = ValidationBody)))]
async fn rotate(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    OptionalBody(input): OptionalBody<RotateIn>,
) -> ApiResult<Response> {
    let application = caller.application(&state, app_id).await?;
    require_shared(&caller.environment)?;
    rotate_shared(&state, &caller.environment, application.id, input).await
}

/// Remove an application's signing secret
///
/// Where the contract leaves it to the customer whether there is one.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/secret", tag = "Application", operation_id = "v1.application.delete-secret",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
) -> ApiResult<StatusCode> {
    let application = caller.application(&state, app_id).await?;
    require_shared(&caller.environment)?;
    remove_shared(&state, &caller.environment, application.id).await
}
