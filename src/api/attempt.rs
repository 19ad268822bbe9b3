//! Attempts: what was tried, and what came back.

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
use super::extract::{Path, Query};
use super::message::{MessageOut, query_time, split_commas};
use super::page::{List, Order, PageQuery};
use crate::domain::{
    Answer, ApplicationId, AttemptId, DeliveryState, Endpoint, Error, Failure, FieldError, Outcome,
    Reference, Result, Timing, Trigger,
};
use crate::store::{AttemptFilter, AttemptRow, DeliveryRow};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_by_endpoint))
        .routes(routes!(list_by_message))
        .routes(routes!(get))
        .routes(routes!(list_destinations))
        .routes(routes!(resend))
}

/// Numbers of the Svix API for the state of an attempt or a delivery.
const STATUS_SUCCESS: u8 = 0;
const STATUS_PENDING: u8 = 1;
const STATUS_FAIL: u8 = 2;
const STATUS_SENDING: u8 = 3;

/// One try at a delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptOut {
    id: String,
    msg_id: String,
    endpoint_id: String,
    url: String,
    /// 1 for the first attempt of a delivery.
    number: u32,
    /// 0 success, 2 failure.
    status: u8,
    status_text: &'static str,
    /// 0 scheduled, 1 manual.
    trigger_type: u8,
    /// When it started.
    timestamp: String,
    response_duration_ms: u64,
    /// 0 where there was no answer.
    response_status_code: u16,
    /// The first KiB of the answer's body. It and the headers are kept as long as the message's
    /// payload.
    response: String,
    /// Whether the answer had more body than is kept.
    response_truncated: bool,
    #[schema(value_type = Vec<[String; 2]>)]
    response_headers: Vec<(String, String)>,
    /// Why there was no answer.
    error: Option<AttemptError>,
    timing: AttemptTiming,
    /// Whether the message is an example that was sent to try endpoints out.
    test: bool,
    /// The message, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<MessageOut>,
}

/// A failure without an answer.
#[derive(Serialize, ToSchema)]
struct AttemptError {
    /// `render`, `url`, `dns`, `blocked`, `connect`, `tls`, `timeout`, `reset` or `protocol`.
    kind: &'static str,
    /// Where it happened: `resolve`, `connect`, `tls`, `send`, `wait` or `receive`.
    phase: Option<&'static str>,
    /// What happened, then what caused it, then what caused that.
    causes: Vec<String>,
}

/// How long each phase took, in milliseconds. Phases of a reused connection are 0.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptTiming {
    resolve_ms: f64,
    connect_ms: f64,
    tls_ms: f64,
    wait_ms: f64,
    receive_ms: f64,
}

impl From<Timing> for AttemptTiming {
    #[expect(clippy::cast_precision_loss, reason = "no attempt lasts 285 years")]
    fn from(timing: Timing) -> AttemptTiming {
        let ms = |us: u64| us as f64 / 1_000.0;
        AttemptTiming {
            resolve_ms: ms(timing.resolve_us),
            connect_ms: ms(timing.connect_us),
            tls_ms: ms(timing.tls_us),
            wait_ms: ms(timing.wait_us),
            receive_ms: ms(timing.receive_us),
        }
    }
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> AttemptError {
        AttemptError {
            kind: failure.kind.as_str(),
            phase: failure.phase.map(|phase| phase.as_str()),
            causes: failure.causes,
        }
    }
}

impl AttemptOut {
    fn new(row: AttemptRow, content: Content) -> AttemptOut {
        let AttemptRow { attempt, message } = row;
        let (answer, error) = match attempt.outcome {
            Outcome::Answered(answer) => (answer, None),
            Outcome::Failed(failure) => (Answer::default(), Some(failure.into())),
        };
        let body = if content.with_content { answer.body } else { Vec::new() };
        AttemptOut {
            id: attempt.id.to_string(),
            msg_id: attempt.delivery.message.to_string(),
            endpoint_id: attempt.delivery.endpoint.to_string(),
            url: attempt.url,
            number: attempt.number,
            status: if attempt.succeeded { STATUS_SUCCESS } else { STATUS_FAIL },
            status_text: if attempt.succeeded { "success" } else { "fail" },
            trigger_type: match attempt.trigger {
                Trigger::Scheduled => 0,
                Trigger::Manual => 1,
            },
            timestamp: attempt.started_at.to_string(),
            response_duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            response_status_code: answer.status,
            response: String::from_utf8_lossy(&body).into_owned(),
            response_truncated: answer.truncated,
            response_headers: answer.headers,
            error,
            timing: attempt.timing.into(),
            test: message.test,
            msg: content.with_msg.then(|| MessageOut::new(&message, content.with_content)),
        }
    }
}

#[derive(Clone, Copy)]
struct Content {
    with_content: bool,
    with_msg: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// 0 success, 1 pending, 2 failure, 3 sending. Attempts are listed when they have ended.
    status: Option<u8>,
    /// 100 to 500 by hundreds, or 0 for attempts without an answer.
    status_code_class: Option<u16>,
    /// Only messages of these event types; repeated, or separated by commas.
    #[serde(default)]
    event_types: Vec<String>,
    channel: Option<String>,
    /// Only attempts that started before this RFC 3339 time.
    before: Option<String>,
    /// Only attempts that started after this RFC 3339 time.
    after: Option<String>,
    /// Only attempts at this endpoint. By message only.
    endpoint_id: Option<String>,
    /// Whether answers' bodies and payloads are shown; `true` unless told.
    with_content: Option<bool>,
    /// Whether the message is shown with each attempt.
    #[serde(default)]
    with_msg: bool,
}

impl ListQuery {
    fn content(&self) -> Content {
        Content { with_content: self.with_content.unwrap_or(true), with_msg: self.with_msg }
    }

    /// The filter; `None` where nothing can match it.
    fn filter(&self) -> Result<Option<AttemptFilter>> {
        let succeeded = match self.status {
            None => None,
            Some(STATUS_SUCCESS) => Some(true),
            Some(STATUS_FAIL) => Some(false),
            Some(STATUS_PENDING | STATUS_SENDING) => return Ok(None),
            Some(_) => return Err(refused("status", "Must be 0, 1, 2 or 3")),
        };
        let status_class = match self.status_code_class {
            None => None,
            Some(class @ (0 | 100 | 200 | 300 | 400 | 500)) => Some(class / 100),
            Some(_) => {
                let message = "Must be 0, 100, 200, 300, 400 or 500";
                return Err(refused("status_code_class", message));
            }
        };
        Ok(Some(AttemptFilter {
            succeeded,
            status_class,
            event_types: split_commas(&self.event_types),
            channel: self.channel.clone(),
            before: query_time("before", self.before.as_deref())?,
            after: query_time("after", self.after.as_deref())?,
            ..AttemptFilter::default()
        }))
    }
}

fn refused(parameter: &str, message: &str) -> Error {
    Error::fields(vec![FieldError::query(parameter, message)])
}

async fn answer(
    state: &ApiState,
    application: ApplicationId,
    filter: Option<AttemptFilter>,
    page: &PageQuery,
    content: Content,
) -> ApiResult<Json<List<AttemptOut>>> {
    let request = page.read(Order::Descending)?;
    let rows = match filter {
        Some(filter) => state.store.list_attempts(application, filter, request.page()).await?,
        None => Vec::new(),
    };
    let show = |row| AttemptOut::new(row, content);
    Ok(Json(request.answer_within(rows, AttemptRow::bytes, |row| row.attempt.id, show)))
}

/// List the attempts at an endpoint
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}", tag = "Attempt",
    operation_id = "v1.message-attempt.list-by-endpoint",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"), PageQuery, ListQuery),
    responses((status = 200, body = List<AttemptOut>), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn list_by_endpoint(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, endpoint_id)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<List<AttemptOut>>> {
    let application = caller.application(&state, app_id).await?;
    let endpoint = state.store.get_endpoint(application.id, &Reference(endpoint_id)).await?;
    let filter = query.filter()?;
    let filter = filter.map(|filter| AttemptFilter { endpoint: Some(endpoint.id), ..filter });
    answer(&state, application.id, filter, &page, query.content()).await
}

/// List the attempts at a message
///
/// Newest first, at all endpoints unless one is named.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/msg/{msg_id}", tag = "Attempt",
    operation_id = "v1.message-attempt.list-by-msg",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"), PageQuery, ListQuery),
    responses((status = 200, body = List<AttemptOut>), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn list_by_message(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, msg_id)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<List<AttemptOut>>> {
    let application = caller.application(&state, app_id).await?;
    let message = state.store.get_message(application.id, &Reference(msg_id)).await?;
    let endpoint = match &query.endpoint_id {
        None => None,
        Some(endpoint_id) => {
            let reference = Reference(endpoint_id.clone());
            Some(state.store.get_endpoint(application.id, &reference).await?.id)
        }
    };
    let filter = query.filter()?;
    let filter =
        filter.map(|filter| AttemptFilter { message: Some(message.id), endpoint, ..filter });
    answer(&state, application.id, filter, &page, query.content()).await
}

/// Get an attempt
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}", tag = "Attempt",
    operation_id = "v1.message-attempt.get",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        ("attempt_id" = String, Path)),
    responses((status = 200, body = AttemptOut), (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, msg_id, attempt_id)): Path<(String, String, String)>,
) -> ApiResult<Json<AttemptOut>> {
    let application = caller.application(&state, app_id).await?;
    let message = state.store.get_message(application.id, &Reference(msg_id)).await?;
    let id: AttemptId = attempt_id.parse().map_err(|_| Error::not_found())?;
    let row = state.store.get_attempt(application.id, message.id, id).await?;
    Ok(Json(AttemptOut::new(row, Content { with_content: true, with_msg: false })))
}

/// Where a message went, and how that stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DestinationOut {
    /// The endpoint's id.
    id: String,
    uid: Option<String>,
    url: String,
    name: String,
    description: String,
    disabled: bool,
    /// 0 success, 1 pending, 2 failure.
    status: u8,
    /// `pending`, `succeeded`, `failed` or `discarded`.
    status_text: &'static str,
    attempts: u32,
    /// When it is tried next. `null` where it isn't pending.
    next_attempt: Option<String>,
}

impl DestinationOut {
    fn new((delivery, endpoint): (DeliveryRow, Arc<Endpoint>)) -> DestinationOut {
        DestinationOut {
            id: endpoint.id.to_string(),
            uid: endpoint.uid.clone(),
            url: endpoint.url.clone(),
            name: endpoint.name.clone(),
            description: endpoint.description.clone(),
            disabled: !endpoint.state.delivers(),
            status: match delivery.state {
                DeliveryState::Succeeded => STATUS_SUCCESS,
                DeliveryState::Pending => STATUS_PENDING,
                DeliveryState::Failed | DeliveryState::Discarded => STATUS_FAIL,
            },
            status_text: delivery.state.as_str(),
            attempts: delivery.attempts,
            next_attempt: delivery.next_at.map(|at| at.to_string()),
        }
    }
}

/// A message's deliveries.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DestinationList {
    data: Vec<DestinationOut>,
    iterator: Option<String>,
    prev_iterator: Option<String>,
    done: bool,
}

/// List where a message went
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint", tag = "Attempt",
    operation_id = "v1.message-attempt.list-attempted-destinations",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id")),
    responses((status = 200, body = DestinationList), (status = 404, body = ErrorBody)))]
async fn list_destinations(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, msg_id)): Path<(String, String)>,
) -> ApiResult<Json<DestinationList>> {
    let application = caller.application(&state, app_id).await?;
    let message = state.store.get_message(application.id, &Reference(msg_id)).await?;
    let rows = state.store.list_deliveries(application.id, message.id).await?;
    let data: Vec<DestinationOut> = rows.into_iter().map(DestinationOut::new).collect();
    let iterator = data.last().map(|one| one.id.clone());
    let prev_iterator = data.first().map(|one| format!("-{}", one.id));
    Ok(Json(DestinationList { data, iterator, prev_iterator, done: true }))
}

/// Nothing to say.
#[derive(Serialize, ToSchema)]
struct Empty {}

/// Send a message to an endpoint again
///
/// At once, and with the contract's retries. Also for an endpoint that it never went to.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend", tag = "Attempt",
    operation_id = "v1.message-attempt.resend",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses((status = 202, body = Empty), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
async fn resend(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, msg_id, endpoint_id)): Path<(String, String, String)>,
) -> ApiResult<(StatusCode, Json<Empty>)> {
    let application = caller.application(&state, app_id).await?;
    let message = state.store.get_message(application.id, &Reference(msg_id)).await?;
    let endpoint = state.store.get_endpoint(application.id, &Reference(endpoint_id)).await?;
    state.engine.resend(application.id, message.id, endpoint.id).await?;
    Ok((StatusCode::ACCEPTED, Json(Empty {})))
}
