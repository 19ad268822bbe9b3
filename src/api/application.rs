//! Applications: the company's tenants.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, Path, Query, present};
use super::names::Checks;
use super::page::{List, Order, PageQuery};
use crate::domain::{Application, ErrorCode, Metadata, Reference, Result};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, patch, delete))
}

/// An application as the company describes it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationIn {
    /// For people.
    name: String,
    /// The company's own id for it, usable wherever the id is.
    uid: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

impl ApplicationIn {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.text("name", &self.name, true);
        checks.optional_name("uid", self.uid.as_deref());
        checks.metadata("metadata", &self.metadata);
        checks.finish()
    }
}

/// What to change. Absent fields stay as they are, `null` clears.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationPatch {
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    uid: Option<Option<String>>,
    metadata: Option<Metadata>,
}

/// An application.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationOut {
    id: String,
    uid: Option<String>,
    name: String,
    metadata: Metadata,
    created_at: String,
    updated_at: String,
}

impl From<&Application> for ApplicationOut {
    fn from(application: &Application) -> ApplicationOut {
        ApplicationOut {
            id: application.id.to_string(),
            uid: application.uid.clone(),
            name: application.name.clone(),
            metadata: application.metadata.clone(),
            created_at: application.created_at.to_string(),
            updated_at: application.updated_at.to_string(),
        }
    }
}

fn show(application: &Application) -> Json<ApplicationOut> {
    Json(application.into())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CreateQuery {
    /// Answers 200 with the application of this uid where there is one, instead of 409.
    #[serde(default)]
    get_if_exists: bool,
}

/// Create an application
#[utoipa::path(post, path = "/api/v1/app", tag = "Application", operation_id = "v1.application.create",
    params(CreateQuery), request_body = ApplicationIn,
    responses((status = 201, body = ApplicationOut), (status = 200, body = ApplicationOut),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<CreateQuery>,
    Body(input): Body<ApplicationIn>,
) -> ApiResult<(StatusCode, Json<ApplicationOut>)> {
    caller.require_environment()?;
    input.check()?;
    let now = state.clock.now();
    let uid = input.uid.clone();
    let created = state
        .store
        .create_application(Application {
            id: state.entropy.id(&state.clock),
            environment: caller.environment.name.clone(),
            uid: input.uid,
            name: input.name,
            metadata: input.metadata,
            created_at: now,
            updated_at: now,
        })
        .await;
    match (created, uid) {
        (Ok(application), _) => Ok((StatusCode::CREATED, show(&application))),
        (Err(error), Some(uid)) if error.code == ErrorCode::Conflict && query.get_if_exists => {
            let reference = Reference(uid);
            let environment = &caller.environment.name;
            let existing = state.store.get_application(environment, &reference).await?;
            Ok((StatusCode::OK, show(&existing)))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// List the applications
#[utoipa::path(get, path = "/api/v1/app", tag = "Application", operation_id = "v1.application.list",
    params(PageQuery), responses((status = 200, body = List<ApplicationOut>)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<List<ApplicationOut>>> {
    let request = page.read(Order::Ascending)?;
    let rows: Vec<Arc<Application>> = match caller.only_application {
        None => state.store.list_applications(&caller.environment.name, request.page()).await?,
        Some(only) => vec![caller.application(&state, only.to_string()).await?],
    };
    Ok(Json(request.answer(rows, |row| row.id, |row| (&*row).into())))
}

/// Get an application
#[utoipa::path(get, path = "/api/v1/app/{app_id}", tag = "Application", operation_id = "v1.application.get",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses((status = 200, body = ApplicationOut), (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
) -> ApiResult<Json<ApplicationOut>> {
    Ok(show(&*caller.application(&state, app_id).await?))
}

/// Replace an application
#[utoipa::path(put, path = "/api/v1/app/{app_id}", tag = "Application", operation_id = "v1.application.update",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body = ApplicationIn,
    responses((status = 200, body = ApplicationOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Body(input): Body<ApplicationIn>,
) -> ApiResult<Json<ApplicationOut>> {
    let application = caller.application(&state, app_id).await?;
    caller.require_environment()?;
    store_changed(&state, &application, input).await
}

/// Change an application
#[utoipa::path(patch, path = "/api/v1/app/{app_id}", tag = "Application", operation_id = "v1.application.patch",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body = ApplicationPatch,
    responses((status = 200, body = ApplicationOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn patch(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Body(change): Body<ApplicationPatch>,
) -> ApiResult<Json<ApplicationOut>> {
    let application = caller.application(&state, app_id).await?;
    caller.require_environment()?;
    let input = ApplicationIn {
        name: change.name.unwrap_or_else(|| application.name.clone()),
        uid: change.uid.unwrap_or_else(|| application.uid.clone()),
        metadata: change.metadata.unwrap_or_else(|| application.metadata.clone()),
    };
    store_changed(&state, &application, input).await
}

async fn store_changed(
    state: &ApiState,
    application: &Application,
    input: ApplicationIn,
) -> ApiResult<Json<ApplicationOut>> {
    input.check()?;
    let changed = Application {
        uid: input.uid,
        name: input.name,
        metadata: input.metadata,
        updated_at: state.clock.now(),
        ..application.clone()
    };
    Ok(show(&*state.store.update_application(changed).await?))
}

/// Delete an application
///
/// Its endpoints go with it. What was not delivered yet is discarded.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}", tag = "Application", operation_id = "v1.application.delete",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses((status = 204), (status = 404, body = ErrorBody)))]
async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
) -> ApiResult<StatusCode> {
    let application = caller.application(&state, app_id).await?;
    caller.require_environment()?;
    state.engine.delete_application(application.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
