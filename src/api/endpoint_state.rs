//! Enabling a stopped endpoint, and dropping what waits for one.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::endpoint::{self, EndpointOut};
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{OptionalBody, Path};
use crate::domain::{Error, Result};
use crate::engine::Pending;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(enable)).routes(routes!(discard_pending))
}

/// How to enable an endpoint.
#[derive(Default, Deserialize, ToSchema)]
struct EnableIn {
    /// What becomes of the deliveries that wait for it: `send` (unless told) or `drop`.
    pending: Option<String>,
}

impl EnableIn {
    fn pending(&self) -> Result<Pending> {
        match self.pending.as_deref() {
            None | Some("send") => Ok(Pending::Send),
            Some("drop") => Ok(Pending::Drop),
            Some(_) => Err(Error::field("pending", "Must be `send` or `drop`")),
        }
    }
}

/// An enabled endpoint.
#[derive(Serialize, ToSchema)]
struct EnabledOut {
    #[serde(flatten)]
    endpoint: EndpointOut,
    /// How many waiting deliveries were dropped.
    discarded: u64,
}

/// Enable an endpoint
///
/// Whatever stopped it. What waits for it goes out, oldest first and gently, or is dropped.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/enable", tag = "Endpoint", operation_id = "v1.endpoint.enable",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body(content = EnableIn),
    responses((status = 200, body = EnabledOut), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn enable(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    OptionalBody(input): OptionalBody<EnableIn>,
) -> ApiResult<Json<EnabledOut>> {
    let found = endpoint::find(&state, &caller, path).await?;
    let pending = input.pending()?;
    let (enabled, discarded) =
        state.engine.enable_endpoint(found.application_id, found.id, pending).await?;
    Ok(Json(EnabledOut { endpoint: (&*enabled).into(), discarded }))
}

/// What was dropped.
#[derive(Serialize, ToSchema)]
struct DiscardedOut {
    /// How many deliveries.
    discarded: u64,
}

/// Drop what waits for an endpoint
///
/// Everything that was published before this call and is not delivered yet, whether the
/// endpoint is enabled or not. An attempt that is under way is finished and recorded.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/discard-pending", tag = "Endpoint", operation_id = "v1.endpoint.discard-pending",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 200, body = DiscardedOut), (status = 404, body = ErrorBody)))]
async fn discard_pending(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<Json<DiscardedOut>> {
    let found = endpoint::find(&state, &caller, path).await?;
    let discarded = state.engine.discard_pending(found.application_id, found.id).await?;
    Ok(Json(DiscardedOut { discarded }))
}
