//! Events as a stream: server-sent events, as the HTML standard describes them.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::event::{EventReader, EventsQuery, checked_types, start};
use super::extract::{Path, Query};
use super::message::MessageOut;
use crate::domain::{Cursor, Error, FieldError, Message, MessageId, Timestamp};
use crate::store::{Arrivals, EventPage, EventQuery};

/// The header with which a client that was cut off says where it was.
const LAST_EVENT_ID: &str = "last-event-id";

/// How long a client that was cut off should wait, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// How often a stream shows that it is alive where there are no events.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What is read at once for one stream: events, and bytes of their payloads. A single event
/// may be larger. A client that doesn't keep up costs no more memory than this.
const PIECE_EVENTS: u32 = 100;
const PIECE_MAX_BYTES: usize = 256 << 10;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(stream_events))
}

/// Stream an application's events
///
/// Server-sent events (`text/event-stream`) in the order in which the events were accepted,
/// from a cursor on. `id` is the cursor behind the event; a client that comes back with it, in
/// `Last-Event-ID` or as `after`, misses nothing and gets nothing twice. `data` is the event on
/// one line, as the list has it. All are of the default type `message`.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/events/stream", tag = "Event", operation_id = "v1.event.stream",
    params(("app_id" = String, Path, description = "The application's id or uid"), EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Where a stream broke off; counts instead of `after`")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 404, body = ErrorBody), (status = 422, body = ValidationBody),
        (status = 429, body = ErrorBody), (status = 503, body = ErrorBody)))]
async fn stream_events(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let application = caller.application(&state, app_id).await?.id;
    let start = match headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        Some(id) => start(application, Some(&String::from_utf8_lossy(id.as_bytes())))
            .map_err(|error| about_header(&error))?,
        None => start(application, query.after.as_deref())?,
    };
    let query = EventQuery {
        start,
        event_types: checked_types(&state, &caller, &query.types).await?,
        limit: PIECE_EVENTS,
        max_bytes: PIECE_MAX_BYTES,
    };
    // Before the first look, so that nothing falls between it and the waiting.
    let arrivals = state.store.arrivals(application)?;
    let beat_at = state.clock.now() + HEARTBEAT;
    let mut reader = EventReader { state, caller, application, query };
    let page = reader.read().await?;
    let mut events = EventStream { reader, arrivals, told: None, beat_at };
    let opening = format!("retry: {RETRY_MS}\n\n{}{}", events.print(&page), events.mark(&page));
    let rest = stream::unfold(events, async |mut events| Some((events.next().await?, events)));
    let pieces = stream::iter([opening]).chain(rest);
    Ok(answer(Body::from_stream(pieces.map(|piece| Ok::<_, Infallible>(Bytes::from(piece))))))
}

fn about_header(error: &Error) -> Error {
    let location = vec!["header".to_owned(), LAST_EVENT_ID.to_owned()];
    let (message, kind) = (error.detail.clone(), "value_error".to_owned());
    Error::fields(vec![FieldError { location, message, kind }])
}

fn answer(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Said to proxies of the nginx kind, which would collect events to fill a buffer.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

/// A stream on its way to a client, who takes one piece after the other: the next one is read
/// from the store when the one before has gone out.
struct EventStream {
    reader: EventReader,
    arrivals: Arrivals,
    /// The cursor that the client knows.
    told: Option<MessageId>,
    /// When to show again that the stream is alive.
    beat_at: Timestamp,
}

impl EventStream {
    /// The next piece; `None` where the stream ends: the server stops, the key was revoked, the
    /// application deleted, or the store can't be read. The client comes back and is told.
    async fn next(&mut self) -> Option<String> {
        let state = self.reader.state.clone();
        loop {
            if state.stopping.is_cancelled() {
                return None;
            }
            self.reader.caller.check_again(&state).await.ok()?;
            let page = self.reader.read().await.ok()?;
            let now = state.clock.now();
            if !page.events.is_empty() || now >= self.beat_at {
                self.beat_at = now + HEARTBEAT;
                return Some(self.piece(&page));
            }
            if page.has_more {
                continue;
            }
            tokio::select! {
                () = self.arrivals.next() => {}
                () = state.clock.sleep_until(self.beat_at) => {}
                () = state.stopping.cancelled() => {}
            }
        }
    }

    fn piece(&mut self, page: &EventPage) -> String {
        if page.events.is_empty() {
            // A line that starts with a colon is a comment.
            return format!("{}:\n\n", self.mark(page));
        }
        self.print(page)
    }

    fn print(&mut self, page: &EventPage) -> String {
        let mut text = String::new();
        for event in &page.events {
            let id = self.cursor(event.id);
            let data = one_line(event);
            // Writing to a string can't fail.
            let _ = write!(text, "id: {id}\ndata: {data}\n\n");
        }
        text
    }

    /// Tells the client how far it is where events of other types were passed over, so that it
    /// needn't wait for them again. An id without data is remembered and dispatches nothing.
    fn mark(&mut self, page: &EventPage) -> String {
        if self.told == Some(page.last) {
            return String::new();
        }
        format!("id: {}\n\n", self.cursor(page.last))
    }

    fn cursor(&mut self, after: MessageId) -> Cursor {
        self.told = Some(after);
        Cursor { application: self.reader.application, after }
    }
}

/// An event as the list has it, on one line. Within JSON a line can only end between tokens,
/// where a space means the same.
fn one_line(message: &Message) -> String {
    let event = serde_json::to_string(&MessageOut::new(message, true)).unwrap_or_default();
    // Few payloads have any, and looking for one character is much faster than replacing two.
    if event.contains('\n') || event.contains('\r') {
        return event.replace(['\r', '\n'], " ");
    }
    event
}
