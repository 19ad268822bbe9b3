//! An endpoint's custom headers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::endpoint;
use super::endpoint_input::secret_headers;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, Path};
use super::names::Checks;
use crate::domain::{Endpoint, SecretText};

/// Parts of header names whose values are credentials. These values are never shown.
const SENSITIVE: [&str; 6] = ["auth", "token", "secret", "key", "password", "cookie"];

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get, update, patch))
}

/// Whether the value of a header looks like a credential, so that it isn't shown.
pub(super) fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SENSITIVE.iter().any(|part| name.contains(part))
}

/// The custom headers.
#[derive(Serialize, ToSchema)]
pub(super) struct HeadersOut {
    headers: BTreeMap<String, String>,
    /// The names of headers whose values are not shown, since they look like credentials.
    sensitive: Vec<String>,
}

/// Custom headers, in place of all that were there.
#[derive(Deserialize, ToSchema)]
pub(super) struct HeadersIn {
    headers: BTreeMap<String, String>,
}

/// Custom headers to set, or to remove with `null`.
#[derive(Deserialize, ToSchema)]
struct HeadersPatch {
    headers: BTreeMap<String, Option<String>>,
}

/// List an endpoint's custom headers
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "Endpoint", operation_id = "v1.endpoint.get-headers",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 200, body = HeadersOut), (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<Json<HeadersOut>> {
    let found = endpoint::find(&state, &caller, path).await?;
    Ok(Json((&*found).into()))
}

impl From<&Endpoint> for HeadersOut {
    fn from(endpoint: &Endpoint) -> HeadersOut {
        let (hidden, shown): (Vec<_>, Vec<_>) =
            endpoint.headers.iter().partition(|(name, _)| is_sensitive(name));
        HeadersOut {
            headers: shown
                .into_iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            sensitive: hidden.into_iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// Replace an endpoint's custom headers
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "Endpoint", operation_id = "v1.endpoint.update-headers",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = HeadersIn,
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Body(input): Body<HeadersIn>,
) -> ApiResult<StatusCode> {
    let found = endpoint::find(&state, &caller, path).await?;
    replace(&state, &caller, &found, input).await
}

/// Gives an endpoint these headers and no others.
pub(super) async fn replace(
    state: &ApiState,
    caller: &Caller,
    found: &Endpoint,
    input: HeadersIn,
) -> ApiResult<StatusCode> {
    store_headers(state, caller, found, secret_headers(input.headers)).await
}

/// Set or remove some of an endpoint's custom headers
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "Endpoint", operation_id = "v1.endpoint.patch-headers",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = HeadersPatch,
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn patch(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Body(input): Body<HeadersPatch>,
) -> ApiResult<StatusCode> {
    let found = endpoint::find(&state, &caller, path).await?;
    let named = |name: &str| input.headers.keys().any(|given| given.eq_ignore_ascii_case(name));
    let mut headers = found.headers.clone();
    headers.retain(|(name, _)| !named(name));
    // Two spellings of one name both go in, for the contract's rules to refuse.
    let set = input.headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
    headers.extend(set.map(|(name, value)| (name, SecretText::new(value))));
    store_headers(&state, &caller, &found, headers).await
}

async fn store_headers(
    state: &ApiState,
    caller: &Caller,
    found: &Endpoint,
    headers: Vec<(String, SecretText)>,
) -> ApiResult<StatusCode> {
    let mut checks = Checks::default();
    checks.rule("headers", caller.environment.contract.endpoint().check_headers(&headers));
    checks.finish()?;
    let changed = Endpoint { headers, ..found.clone() };
    endpoint::store_changed(state, caller, found.revision, changed).await?;
    Ok(StatusCode::NO_CONTENT)
}
