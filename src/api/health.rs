//! Whether the server works.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::error::{ApiResult, ErrorBody};
use crate::domain::Error;

/// How long the store may take to answer.
const STORE_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get))
}

/// Tell whether the server and its store answer
///
/// 503 where new events would be refused for the store's sake: it doesn't answer, or its disk
/// is full or nearly so. Reading may go on. Needs no key.
#[utoipa::path(get, path = "/api/v1/health", tag = "Health", operation_id = "v1.health.get", security(()),
    responses((status = 204, description = "All is well"), (status = 503, body = ErrorBody)))]
async fn get(State(state): State<ApiState>) -> ApiResult<StatusCode> {
    let answered = state.clock.timeout(STORE_ANSWER_TIMEOUT, state.store.ping()).await;
    answered.map_err(|_| Error::unavailable("The store does not answer."))??;
    Ok(StatusCode::NO_CONTENT)
}
