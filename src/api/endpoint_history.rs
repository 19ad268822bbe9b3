//! An endpoint's history.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Path, Query};
use super::page::{List, Order, PageQuery};
use crate::domain::{HistoryEntry, Reference};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Something that happened to an endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HistoryOut {
    id: String,
    timestamp: String,
    /// `created`, `changed`, `secret_rotated`, `paused`, `disabled`, `enabled`,
    /// `pending_discarded` or `deleted`.
    event: &'static str,
    /// Who did it: `api` (somebody who called it), `rule` (one of the contract's) or
    /// `receiver` (which said that it is gone).
    by: &'static str,
    /// Why, or what exactly. Of `changed`, the names of the fields.
    reason: Option<String>,
    /// The failure that led to it, where one did.
    last_failure: Option<String>,
}

impl From<HistoryEntry> for HistoryOut {
    fn from(entry: HistoryEntry) -> HistoryOut {
        HistoryOut {
            id: entry.id.to_string(),
            timestamp: entry.at.to_string(),
            event: entry.event.as_str(),
            by: entry.by.as_str(),
            reason: entry.reason,
            last_failure: entry.last_failure,
        }
    }
}

/// List what happened to an endpoint
///
/// Newest first. Only the latest entries are kept. A deleted endpoint is still found by its
/// id.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/history", tag = "Endpoint", operation_id = "v1.endpoint.history",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"), PageQuery),
    responses((status = 200, body = List<HistoryOut>), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, endpoint_id)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<List<HistoryOut>>> {
    let application = caller.application(&state, app_id).await?;
    let request = page.read(Order::Descending)?;
    let reference = Reference(endpoint_id);
    let rows = state.store.list_history(application.id, &reference, request.page()).await?;
    Ok(Json(request.answer(rows, |row| row.id, HistoryOut::from)))
}
