//! Events for those who ask instead of being called: an application reads its own in order,
//! page by page, and may wait for the next one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Path, Query};
use super::message::{MessageOut, split_commas};
use super::page::checked_limit;
use super::{ApiState, catalog};
use crate::domain::{ApplicationId, Cursor, Error, FieldError, Result};
use crate::store::{EventPage, EventQuery, EventStart};

/// The word that stands for the cursor at the end.
const LATEST: &str = "latest";

/// Event types in a filter.
const TYPES_MAX: usize = 100;

/// The longest wait, in seconds.
const WAIT_MAX_S: u32 = 60;

/// Payloads in one answer, in bytes. A single event may be larger.
const PAGE_MAX_BYTES: usize = 4 << 20;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What both ways of reading events take.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// The `cursor` of another answer, or `latest` for what is yet to come. Without it, from
    /// the oldest event that is kept.
    pub(super) after: Option<String>,
    /// Only these event types; repeated, or separated by commas.
    #[serde(default)]
    pub(super) types: Vec<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PollQuery {
    /// Events in the answer, 1 to 250; 50 unless told.
    limit: Option<u32>,
    /// Seconds to wait for an event where there is none, 0 to 60; 0 unless told.
    wait: Option<u32>,
}

/// Events in the order in which they were accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventList {
    data: Vec<MessageOut>,
    /// Continues behind this answer, as `after`. It is there even where `data` is empty.
    cursor: String,
    /// Whether to ask again at once. It can be so where `data` is empty: an answer looks at a
    /// limited number of events, and with `types` none of them may be of those.
    has_more: bool,
}

/// Read an application's events
///
/// In the order in which they were accepted, from a cursor on: every event is in exactly one
/// of the answers that follow each other by their cursors. A cursor stays good, also when the
/// events before it are deleted. `wait` holds the answer back until there is an event.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/events", tag = "Event", operation_id = "v1.event.list",
    params(("app_id" = String, Path, description = "The application's id or uid"), EventsQuery, PollQuery),
    responses((status = 200, body = EventList), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody), (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Query(query): Query<EventsQuery>,
    Query(poll): Query<PollQuery>,
) -> ApiResult<Json<EventList>> {
    let application = caller.application(&state, app_id).await?.id;
    let wait = checked_wait(poll.wait)?;
    let query = EventQuery {
        start: start(application, query.after.as_deref())?,
        event_types: checked_types(&state, &caller, &query.types).await?,
        limit: checked_limit(poll.limit)?,
        max_bytes: PAGE_MAX_BYTES,
    };
    let mut reader = EventReader { state, caller, application, query };
    let page = reader.read_or_wait(wait).await?;
    Ok(Json(EventList {
        data: page.events.iter().map(|event| MessageOut::new(event, true)).collect(),
        cursor: Cursor { application, after: page.last }.to_string(),
        has_more: page.has_more,
    }))
}

fn checked_wait(wait: Option<u32>) -> Result<Duration> {
    let seconds = wait.unwrap_or(0);
    if seconds > WAIT_MAX_S {
        return Err(refused("wait", format!("Must be between 0 and {WAIT_MAX_S} seconds")));
    }
    Ok(Duration::from_secs(u64::from(seconds)))
}

fn refused(parameter: &str, message: impl Into<String>) -> Error {
    Error::fields(vec![FieldError::query(parameter, message)])
}

/// Where `after` says to start.
///
/// # Errors
/// Where it is not a cursor of this application.
pub(super) fn start(application: ApplicationId, after: Option<&str>) -> Result<EventStart> {
    match after {
        None => Ok(EventStart::Oldest),
        Some(LATEST) => Ok(EventStart::Latest),
        Some(text) => {
            let cursor = Cursor::parse(application, text).map_err(|_| {
                refused("after", "Not a cursor that this application's events were answered with")
            })?;
            Ok(EventStart::After(cursor.after))
        }
    }
}

/// The types that a filter names.
///
/// # Errors
/// Where they are too many, or one of them can't have any events.
pub(super) async fn checked_types(
    state: &ApiState,
    caller: &Caller,
    types: &[String],
) -> Result<Vec<String>> {
    let types = split_commas(types);
    if types.len() > TYPES_MAX {
        return Err(refused("types", format!("Must be at most {TYPES_MAX} event types")));
    }
    for name in &types {
        if name.is_empty() {
            return Err(refused("types", "Must name event types, or be left out"));
        }
        if !catalog::may_exist(state, &caller.environment, name).await? {
            let message = format!("`{name}` is not in the catalog of event types");
            return Err(refused("types", message));
        }
    }
    Ok(types)
}

/// Somebody who reads an application's events, and where.
pub(super) struct EventReader {
    pub(super) state: ApiState,
    pub(super) caller: Caller,
    pub(super) application: ApplicationId,
    pub(super) query: EventQuery,
}

impl EventReader {
    /// Reads the next page, if there is one by now.
    ///
    /// # Errors
    /// Those of the store; `not_found` where the application was deleted.
    pub(super) async fn read(&mut self) -> Result<EventPage> {
        let page = self.state.store.read_events(self.application, self.query.clone()).await?;
        self.query.start = EventStart::After(page.last);
        Ok(page)
    }

    async fn read_or_wait(&mut self, wait: Duration) -> Result<EventPage> {
        let state = self.state.clone();
        let deadline = state.clock.now() + wait;
        let mut page = self.read().await?;
        if wait.is_zero() || has_news(&page) {
            return Ok(page);
        }
        let mut arrivals = state.store.arrivals(self.application)?;
        loop {
            // What came before the waiting began is only found by looking again.
            page = self.read().await?;
            if has_news(&page) {
                return Ok(page);
            }
            tokio::select! {
                () = arrivals.next() => self.caller.check_again(&state).await?,
                () = state.clock.sleep_until(deadline) => return Ok(page),
                () = state.stopping.cancelled() => return Ok(page),
            }
        }
    }
}

fn has_news(page: &EventPage) -> bool {
    !page.events.is_empty() || page.has_more
}
