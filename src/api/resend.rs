//! Sending many events of an endpoint again. It runs in the background; to Svix clients it is a
//! background task, of which there are no others.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::endpoint;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, Path, Query};
use super::names::Checks;
use super::page::{List, Order, PageQuery};
use crate::domain::{
    Error, FieldError, Resend, ResendFilter, ResendKind, ResendScope, ResendState, Result,
    Timestamp,
};
use crate::store::{ResendQuery, ResendsOf};

/// Event types that a replay may name.
const EVENT_TYPES_MAX: usize = 100;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(recover))
        .routes(routes!(replay_missing))
        .routes(routes!(bulk_replay))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(cancel))
}

/// A span of time.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SpanIn {
    /// Events published at this RFC 3339 time or later.
    since: String,
    /// Events published before this RFC 3339 time; all there are unless told.
    until: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    unknown: Unknown,
}

/// Fields that a request should not have: who misspells one would send more than they want.
type Unknown = BTreeMap<String, IgnoredAny>;

impl SpanIn {
    fn scope(
        &self,
        kind: ResendKind,
        filter: ResendFilter,
        mut checks: Checks,
    ) -> Result<ResendScope> {
        let since = time(&mut checks, "since", &self.since);
        let until = self.until.as_deref().map(|until| time(&mut checks, "until", until));
        if until.is_some_and(|until| until <= since) {
            checks.refuse("until", "Must be later than `since`");
        }
        for name in self.unknown.keys() {
            checks.refuse_at(vec![name.clone()], "There is no such field");
        }
        checks.finish()?;
        Ok(ResendScope { kind, since, until, filter })
    }
}

/// The time of a field. Where it is refused it doesn't matter any more.
fn time(checks: &mut Checks, field: &str, text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap_or_else(|| {
        checks.refuse(field, "Must be an RFC 3339 time, such as 2025-01-15T14:32:00Z");
        Timestamp::EPOCH
    })
}

/// What to send again of all that was sent.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReplayIn {
    /// Events published at this RFC 3339 time or later.
    since: String,
    /// Events published before this RFC 3339 time; all there are unless told.
    until: Option<String>,
    /// Only events of these types.
    event_types: Option<Vec<String>>,
    /// Only events on this channel.
    channel: Option<String>,
    /// Only events with this tag.
    tag: Option<String>,
    /// Only deliveries that succeeded (0) or failed (2).
    status: Option<u8>,
    /// Not supported: it is refused rather than passed over.
    status_code_class: Option<u16>,
    #[serde(flatten)]
    #[schema(ignore)]
    unknown: Unknown,
}

impl ReplayIn {
    fn scope(self) -> Result<ResendScope> {
        let mut checks = Checks::default();
        checks.names("eventTypes", self.event_types.as_deref(), EVENT_TYPES_MAX);
        checks.optional_name("channel", self.channel.as_deref());
        checks.optional_name("tag", self.tag.as_deref());
        let succeeded = match self.status {
            None => None,
            Some(0) => Some(true),
            Some(2) => Some(false),
            Some(_) => {
                checks.refuse("status", "Must be 0 (succeeded) or 2 (failed)");
                None
            }
        };
        if self.status_code_class.is_some() {
            checks.refuse("statusCodeClass", "Replays can't be chosen by the class of the status");
        }
        let event_types = self.event_types.unwrap_or_default();
        let filter = ResendFilter { event_types, channel: self.channel, tag: self.tag, succeeded };
        let span = SpanIn { since: self.since, until: self.until, unknown: self.unknown };
        span.scope(ResendKind::Replay, filter, checks)
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StartQuery {
    /// Only count what there is to send. Nothing is stored or sent.
    dry_run: Option<bool>,
}

/// What a dry run found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CountOut {
    /// How many events would be sent.
    messages_counted: u64,
}

/// Events that are sent to an endpoint again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TaskOut {
    id: String,
    /// `endpoint.bulk-replay`, `endpoint.recover`, or `endpoint.replay` for what was missing.
    task: &'static str,
    /// `running`, `finished` or `failed`, which a cancelled one is too.
    status: &'static str,
    data: TaskData,
    updated_at: String,
}

/// What was asked for, and how far it has come.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TaskData {
    app_id: String,
    endpoint_id: String,
    since: String,
    until: Option<String>,
    /// How many events there were to send when it began.
    messages_counted: u64,
    /// How many were queued so far.
    messages_sent: u64,
    /// `running`, `finished`, `cancelled` or `failed`.
    state: &'static str,
    /// Why it failed.
    reason: Option<String>,
    created_at: String,
}

/// The names that the Svix API has for them.
const fn task(kind: ResendKind) -> &'static str {
    match kind {
        ResendKind::Replay => "endpoint.bulk-replay",
        ResendKind::Recover => "endpoint.recover",
        ResendKind::Missing => "endpoint.replay",
    }
}

/// The Svix API knows no cancelled tasks. Whoever waits for the end must not take it for the
/// whole.
const fn status(state: ResendState) -> &'static str {
    match state {
        ResendState::Running => "running",
        ResendState::Finished => "finished",
        ResendState::Cancelled | ResendState::Failed => "failed",
    }
}

impl From<Resend> for TaskOut {
    fn from(resend: Resend) -> TaskOut {
        TaskOut {
            id: resend.id.to_string(),
            task: task(resend.scope.kind),
            status: status(resend.state),
            data: TaskData {
                app_id: resend.application_id.to_string(),
                endpoint_id: resend.endpoint_id.to_string(),
                since: resend.scope.since.to_string(),
                until: resend.scope.until.map(|until| until.to_string()),
                messages_counted: resend.counted,
                messages_sent: resend.sent,
                state: resend.state.as_str(),
                reason: resend.reason,
                created_at: resend.created_at.to_string(),
            },
            updated_at: resend.updated_at.to_string(),
        }
    }
}

async fn start(
    state: &ApiState,
    caller: &Caller,
    path: (String, String),
    query: &StartQuery,
    scope: impl FnOnce() -> Result<ResendScope>,
) -> ApiResult<Response> {
    let to = endpoint::find(state, caller, path).await?.destination();
    let scope = scope()?;
    if query.dry_run == Some(true) {
        let messages_counted = state.store.count_resend(to, scope).await?;
        return Ok(Json(CountOut { messages_counted }).into_response());
    }
    let resend = state.engine.start_resend(to, scope).await?;
    Ok((StatusCode::ACCEPTED, Json(TaskOut::from(resend))).into_response())
}

/// Send an endpoint again what has failed
///
/// Of the events that were published in a span of time, those whose delivery has failed. It runs in
/// the background; one at a time for each endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover", tag = "Endpoint", operation_id = "v1.endpoint.recover",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"), StartQuery),
    request_body = SpanIn,
    responses((status = 202, body = TaskOut), (status = 200, body = CountOut, description = "What a dry run found"),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ValidationBody),
        (status = 429, body = ErrorBody)))]
async fn recover(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(query): Query<StartQuery>,
    Body(input): Body<SpanIn>,
) -> ApiResult<Response> {
    let scope = || input.scope(ResendKind::Recover, ResendFilter::default(), Checks::default());
    start(&state, &caller, path, &query, scope).await
}

/// Send an endpoint what it never got
///
/// Of the events that were published in a span of time, those that the endpoint takes as it is set
/// now, but for which it has no delivery, because it was made, enabled or subscribed later. It
/// runs in the background; one at a time for each endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing", tag = "Endpoint", operation_id = "v1.endpoint.replay-missing",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"), StartQuery),
    request_body = SpanIn,
    responses((status = 202, body = TaskOut), (status = 200, body = CountOut, description = "What a dry run found"),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ValidationBody),
        (status = 429, body = ErrorBody)))]
async fn replay_missing(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(query): Query<StartQuery>,
    Body(input): Body<SpanIn>,
) -> ApiResult<Response> {
    let scope = || input.scope(ResendKind::Missing, ResendFilter::default(), Checks::default());
    start(&state, &caller, path, &query, scope).await
}

/// Send an endpoint everything again
///
/// Of the events that were published in a span of time, those that were delivered or have failed.
/// Receivers get each under the event id that it had. It runs in the background; one at a time for
/// each endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay", tag = "Endpoint", operation_id = "v1.endpoint.bulk-replay",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"), StartQuery),
    request_body = ReplayIn,
    responses((status = 202, body = TaskOut), (status = 200, body = CountOut, description = "What a dry run found"),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ValidationBody),
        (status = 429, body = ErrorBody)))]
async fn bulk_replay(
    State(state): State<ApiState>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Query(query): Query<StartQuery>,
    Body(input): Body<ReplayIn>,
) -> ApiResult<Response> {
    start(&state, &caller, path, &query, || input.scope()).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `running`, `finished` or `failed`.
    status: Option<String>,
    /// `endpoint.bulk-replay`, `endpoint.recover` or `endpoint.replay`.
    task: Option<String>,
}

impl ListQuery {
    fn states(&self) -> Result<Vec<ResendState>> {
        let Some(wanted) = &self.status else { return Ok(Vec::new()) };
        let mut states = ResendState::ALL.to_vec();
        states.retain(|&state| status(state) == wanted);
        match states.is_empty() {
            true => Err(refused("status", "Must be `running`, `finished` or `failed`")),
            false => Ok(states),
        }
    }

    fn kind(&self) -> Result<Option<ResendKind>> {
        let Some(wanted) = &self.task else { return Ok(None) };
        let kind = ResendKind::ALL.into_iter().find(|&kind| task(kind) == wanted);
        let sentence = "Must be `endpoint.bulk-replay`, `endpoint.recover` or `endpoint.replay`";
        kind.map(Some).ok_or_else(|| refused("task", sentence))
    }
}

fn refused(parameter: &str, message: &str) -> Error {
    Error::fields(vec![FieldError::query(parameter, message)])
}

/// List background tasks
///
/// Newest first. A key of one application sees those of its endpoints. Of each endpoint only the
/// latest are kept.
#[utoipa::path(get, path = "/api/v1/background-task", tag = "Background task", operation_id = "v1.background-task.list",
    params(PageQuery, ListQuery),
    responses((status = 200, body = List<TaskOut>), (status = 422, body = ValidationBody)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<List<TaskOut>>> {
    let of = match caller.only_application {
        Some(application) => ResendsOf::Application(application),
        None => ResendsOf::Everybody,
    };
    let request = page.read(Order::Descending)?;
    let environment = caller.environment.name.clone();
    let query = ResendQuery { environment, of, states: query.states()?, kind: query.kind()? };
    let rows = state.store.list_resends(query, request.page()).await?;
    Ok(Json(request.answer(rows, |row| row.id, TaskOut::from)))
}

/// The task that a path names, if it is the caller's.
async fn find(state: &ApiState, caller: &Caller, task_id: &str) -> Result<Resend> {
    let id = task_id.parse().map_err(|_| Error::not_found())?;
    let resend = state.store.get_resend(&caller.environment.name, id).await?;
    match caller.only_application {
        Some(only) if only != resend.application_id => Err(Error::not_found()),
        _ => Ok(resend),
    }
}

/// Get a background task
#[utoipa::path(get, path = "/api/v1/background-task/{task_id}", tag = "Background task", operation_id = "v1.background-task.get",
    params(("task_id" = String, Path, description = "The task's id")),
    responses((status = 200, body = TaskOut), (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(task_id): Path<String>,
) -> ApiResult<Json<TaskOut>> {
    Ok(Json(find(&state, &caller, &task_id).await?.into()))
}

/// Cancel a background task
///
/// Nothing more is queued; what was queued already is still sent. A task that has ended stays as
/// it is.
#[utoipa::path(post, path = "/api/v1/background-task/{task_id}/cancel", tag = "Background task", operation_id = "v1.background-task.cancel",
    params(("task_id" = String, Path, description = "The task's id")),
    responses((status = 200, body = TaskOut), (status = 404, body = ErrorBody)))]
async fn cancel(
    State(state): State<ApiState>,
    caller: Caller,
    Path(task_id): Path<String>,
) -> ApiResult<Json<TaskOut>> {
    let id = find(&state, &caller, &task_id).await?.id;
    Ok(Json(state.store.cancel_resend(id, state.clock.now()).await?.into()))
}
