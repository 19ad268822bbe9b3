//! Operational webhooks: the company's own endpoints, which are told what happens to those of
//! its customers. They are the endpoints of one hidden application in a hidden environment
//! beside the caller's, so they are checked, stored and delivered to like all others.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::endpoint;
use super::endpoint_headers::{self, HeadersIn, HeadersOut};
use super::endpoint_input::EndpointIn;
use super::endpoint_secret::{self, RotateIn, SecretOut};
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, OptionalBody, Path, Query};
use super::page::{List, Order, PageQuery};
use crate::domain::{
    Application, Endpoint, ErrorCode, Metadata, OPERATIONS_UID, Reference, Result,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(get_headers, update_headers))
        .routes(routes!(get_secret))
        .routes(routes!(rotate_secret))
}

/// An operational endpoint as the company describes it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperationalIn {
    /// Where operational events go.
    url: String,
    description: Option<String>,
    /// The company's own id for it, usable wherever the id is.
    uid: Option<String>,
    /// `true` switches it off.
    disabled: Option<bool>,
    /// The operational events it takes; all of them where left out.
    filter_types: Option<Vec<String>>,
    metadata: Option<Metadata>,
    /// The signing secret; generated where left out. On creation only: later it is rotated.
    secret: Option<String>,
}

impl From<OperationalIn> for EndpointIn {
    fn from(input: OperationalIn) -> EndpointIn {
        EndpointIn {
            url: input.url,
            description: input.description,
            uid: input.uid,
            disabled: input.disabled,
            filter_types: input.filter_types,
            metadata: input.metadata,
            secret: input.secret,
            secret_type: None,
            name: None,
            filter_groups: Some(None),
            channels: None,
            throttle_rate: None,
            rate_limit: None,
            ordered: None,
            transport: None,
            method: None,
            auth: None,
            headers: None,
        }
    }
}

/// An operational endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperationalOut {
    id: String,
    uid: Option<String>,
    url: String,
    description: String,
    version: u16,
    /// Whether it takes no deliveries at present, for whichever reason.
    disabled: bool,
    filter_types: Option<Vec<String>>,
    metadata: Metadata,
    created_at: String,
    updated_at: String,
}

impl From<&Endpoint> for OperationalOut {
    fn from(endpoint: &Endpoint) -> OperationalOut {
        OperationalOut {
            id: endpoint.id.to_string(),
            uid: endpoint.uid.clone(),
            url: endpoint.url.clone(),
            description: endpoint.description.clone(),
            version: 1,
            disabled: !endpoint.state.delivers(),
            filter_types: endpoint.subscription.types().map(<[String]>::to_vec),
            metadata: endpoint.metadata.clone(),
            created_at: endpoint.created_at.to_string(),
            updated_at: endpoint.updated_at.to_string(),
        }
    }
}

fn show(endpoint: &Endpoint) -> Json<OperationalOut> {
    Json(endpoint.into())
}

/// The caller, behind the wall where the operational endpoints are.
fn inside(caller: &Caller) -> Caller {
    let environment = Arc::new(caller.environment.operations());
    Caller { environment, only_application: None, ..caller.clone() }
}

/// The application that holds the operational endpoints.
async fn holder(state: &ApiState, inside: &Caller) -> Result<Arc<Application>> {
    inside.application(state, OPERATIONS_UID.to_owned()).await
}

/// The same, made where there is none yet.
async fn holder_or_new(state: &ApiState, inside: &Caller) -> Result<Arc<Application>> {
    match holder(state, inside).await {
        Err(error) if error.code == ErrorCode::NotFound => {}
        found => return found,
    }
    let now = state.clock.now();
    let new = Application {
        id: state.entropy.id(&state.clock),
        environment: inside.environment.name.clone(),
        uid: Some(OPERATIONS_UID.to_owned()),
        name: "Operational events".to_owned(),
        metadata: Metadata::new(),
        created_at: now,
        updated_at: now,
    };
    match state.store.create_application(new).await {
        // Somebody else was a moment faster.
        Err(error) if error.code == ErrorCode::Conflict => holder(state, inside).await,
        made => made,
    }
}

/// The operational endpoint that a path names, for a caller who may know of it.
async fn find(
    state: &ApiState,
    caller: &Caller,
    endpoint_id: String,
) -> Result<(Caller, Arc<Endpoint>)> {
    let inside = inside(caller);
    let application = holder(state, &inside).await?;
    let found = state.store.get_endpoint(application.id, &Reference(endpoint_id)).await?;
    caller.require_environment()?;
    Ok((inside, found))
}

/// Create an operational endpoint
///
/// It is told when an endpoint stops or delivers again, and when a delivery is given up, in
/// the environment of the key.
#[utoipa::path(post, path = "/api/v1/operational-webhook/endpoint", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.create",
    request_body = OperationalIn,
    responses((status = 201, body = OperationalOut), (status = 403, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(input): Body<OperationalIn>,
) -> ApiResult<(StatusCode, Json<OperationalOut>)> {
    caller.require_environment()?;
    let inside = inside(&caller);
    let application = holder_or_new(&state, &inside).await?;
    let created = endpoint::create_in(&state, &inside, &application, input.into()).await?;
    Ok((StatusCode::CREATED, show(&created)))
}

/// List the operational endpoints
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.list",
    params(PageQuery),
    responses((status = 200, body = List<OperationalOut>), (status = 403, body = ErrorBody)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<List<OperationalOut>>> {
    caller.require_environment()?;
    let request = page.read(Order::Ascending)?;
    let rows = match holder(&state, &inside(&caller)).await {
        Ok(application) => state.store.list_endpoints(application.id, request.page()).await?,
        Err(error) if error.code == ErrorCode::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Json(request.answer(rows, |row| row.id, |row| (&*row).into())))
}

/// Get an operational endpoint
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.get",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 200, body = OperationalOut), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
) -> ApiResult<Json<OperationalOut>> {
    let (_, found) = find(&state, &caller, endpoint_id).await?;
    Ok(show(&found))
}

/// Replace an operational endpoint
///
/// `disabled`, the headers and the secret stay as they are where they are left out.
#[utoipa::path(put, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.update",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = OperationalIn,
    responses((status = 200, body = OperationalOut), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
    Body(input): Body<OperationalIn>,
) -> ApiResult<Json<OperationalOut>> {
    let (inside, found) = find(&state, &caller, endpoint_id).await?;
    Ok(show(&*endpoint::change(&state, &inside, &found, input.into()).await?))
}

/// Delete an operational endpoint
///
/// What was not delivered to it yet is discarded.
#[utoipa::path(delete, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.delete",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 204), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
) -> ApiResult<StatusCode> {
    let (_, found) = find(&state, &caller, endpoint_id).await?;
    state.engine.delete_endpoint(found.application_id, found.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List an operational endpoint's custom headers
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.get-headers",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 200, body = HeadersOut), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
async fn get_headers(
    State(state): State<ApiState>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
) -> ApiResult<Json<HeadersOut>> {
    let (_, found) = find(&state, &caller, endpoint_id).await?;
    Ok(Json((&*found).into()))
}

/// Replace an operational endpoint's custom headers
#[utoipa::path(put, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.update-headers",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = HeadersIn,
    responses((status = 204), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn update_headers(
    State(state): State<ApiState>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
    Body(input): Body<HeadersIn>,
) -> ApiResult<StatusCode> {
    let (inside, found) = find(&state, &caller, endpoint_id).await?;
    endpoint_headers::replace(&state, &inside, &found, input).await
}

/// Show an operational endpoint's signing secret
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.get-secret",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 200, body = SecretOut), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
async fn get_secret(
    State(state): State<ApiState>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
) -> ApiResult<Json<SecretOut>> {
    let (inside, found) = find(&state, &caller, endpoint_id).await?;
    endpoint_secret::shown(&inside.environment, &found.secrets).map(Json)
}

/// Rotate an operational endpoint's signing secret
///
/// The old one goes on signing beside the new one for a day.
#[utoipa::path(post, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret/rotate", tag = "Operational Webhook", operation_id = "v1.operational-webhook.endpoint.rotate-secret",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body(content = RotateIn),
    responses((status = 200, body = SecretOut, description = "The new secret"),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn rotate_secret(
    State(state): State<ApiState>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
    OptionalBody(input): OptionalBody<RotateIn>,
) -> ApiResult<Response> {
    let (inside, found) = find(&state, &caller, endpoint_id).await?;
    endpoint_secret::rotate_to(&state, &inside, &found, input).await
}
