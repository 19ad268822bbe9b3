//! Messages: publishing, and looking at what was published.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::error::{ApiError, ApiResult, ErrorBody, ValidationBody};
use super::extract::{self, Path, Query};
use super::names::Checks;
use super::page::{List, Order, PageQuery};
use super::{ApiState, catalog, payload};
use crate::contract::{Contract, Schema, SchemaError};
use crate::domain::{Audience, Error, FieldError, Message, Reference, Result, Timestamp};
use crate::engine::{Place, Published};
use crate::store::{MessageFilter, NewMessage};

/// Channels or tags of one message.
const LABELS_MAX: usize = 10;

/// What stands for a payload that is no longer kept, as the Svix server has it.
const EXPIRED_PAYLOAD: &str = r#"{"expired":true}"#;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get))
}

/// An event to publish.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageIn {
    event_type: String,
    /// Any JSON. It is kept, signed and sent as the bytes that came.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// The publisher's own id. A second message of the same id is refused with 409, so a
    /// request can be repeated safely.
    event_id: Option<String>,
    channels: Option<Vec<String>>,
    tags: Option<Vec<String>>,
}

impl MessageIn {
    fn check(&self, contract: &Contract) -> Result<()> {
        let mut checks = Checks::default();
        // A contract's own names may be ones that nobody could add: `orders/create`.
        if contract.event(&self.event_type).is_none() {
            checks.name("eventType", &self.event_type);
        }
        checks.optional_name("eventId", self.event_id.as_deref());
        checks.names("channels", self.channels.as_deref(), LABELS_MAX);
        checks.names("tags", self.tags.as_deref(), LABELS_MAX);
        if let Err(reason) = payload::check(self.payload.get()) {
            checks.refuse("payload", reason);
        }
        checks.finish()
    }
}

/// A published event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageOut {
    id: String,
    event_id: Option<String>,
    event_type: String,
    /// Empty where it was not asked for, and `{"expired":true}` where it is no longer kept.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// Whether the payload is no longer kept. Such a message can't be sent again.
    payload_expired: bool,
    channels: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    timestamp: String,
    /// Whether it is the catalog's example, sent to try endpoints out.
    test: bool,
}

impl MessageOut {
    pub(super) fn new(message: &Message, with_content: bool) -> MessageOut {
        let payload = match (with_content, message.payload_expired()) {
            (false, _) => None,
            (true, true) => Some(EXPIRED_PAYLOAD),
            (true, false) => Some(&*message.payload),
        };
        let payload = payload.and_then(|text| RawValue::from_string(text.to_owned()).ok());
        MessageOut::with_payload(message, payload)
    }

    /// With this payload, or with an empty one.
    fn with_payload(message: &Message, payload: Option<Box<RawValue>>) -> MessageOut {
        let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        MessageOut {
            id: message.id.to_string(),
            event_id: message.event_id.clone(),
            event_type: message.event_type.clone(),
            payload: payload.unwrap_or_else(|| {
                // As Svix shows a payload that was not asked for.
                RawValue::from_string("{}".to_owned()).unwrap_or_default()
            }),
            payload_expired: message.payload_expired(),
            channels: some(&message.channels),
            tags: some(&message.tags),
            timestamp: message.created_at.to_string(),
            test: message.test,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ContentQuery {
    /// Whether the answer holds the payload; `true` unless told.
    with_content: Option<bool>,
}

/// Publish an event
///
/// When this answers 202, the message and all its deliveries are on disk: nothing short of
/// losing the disk loses them.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg", tag = "Message", operation_id = "v1.message.create",
    params(("app_id" = String, Path, description = "The application's id or uid"), ContentQuery),
    request_body = MessageIn,
    responses((status = 202, body = MessageOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 422, body = ValidationBody), (status = 503, body = ErrorBody)))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Query(query): Query<ContentQuery>,
    request: Request,
) -> ApiResult<(StatusCode, Json<MessageOut>)> {
    let body = extract::read_body(request, &state).await?;
    // From here on there will be copies of it.
    let place = state.engine.admit(body.len())?;
    let input: MessageIn = extract::parse_json(&body)?;
    drop(body);
    input.check(&caller.environment.contract)?;
    let shown = query.with_content.unwrap_or(true).then(|| input.payload.clone());
    let message = NewMessage {
        event_id: input.event_id,
        channels: input.channels.unwrap_or_default(),
        tags: input.tags.unwrap_or_default(),
        ..new_message(&state, &caller, app_id, input.event_type, input.payload)
    };
    let message = publish(&state, &caller, message, place).await?.message;
    Ok((StatusCode::ACCEPTED, Json(MessageOut::with_payload(&message, shown))))
}

/// A message for all who take it, with nothing that may be left out.
pub(super) fn new_message(
    state: &ApiState,
    caller: &Caller,
    app_id: String,
    event_type: String,
    payload: Box<RawValue>,
) -> NewMessage {
    NewMessage {
        environment: caller.environment.name.clone(),
        application: Reference(app_id),
        only_application: caller.only_application,
        id: state.entropy.id(&state.clock),
        event_type,
        event_group: None,
        event_id: None,
        payload: Arc::from(Box::<str>::from(payload)),
        channels: Vec::new(),
        tags: Vec::new(),
        test: false,
        audience: Audience::Subscribers,
    }
}

/// Holds a message against the catalog, from which it has its group, and publishes it.
///
/// # Errors
/// Where the catalog doesn't have its type, or the payload isn't what that type's schema asks
/// for; those of the engine.
pub(super) async fn publish(
    state: &ApiState,
    caller: &Caller,
    message: NewMessage,
    place: Place,
) -> Result<Published> {
    let event_type = &message.event_type;
    let Some(entry) = catalog::entry(state, &caller.environment, event_type).await? else {
        // Whose application it is comes first: what exists is nobody else's business.
        caller.application(state, message.application.0).await?;
        return Err(Error::field("eventType", catalog::no_event_type(event_type)));
    };
    if let Some(schema) = &entry.schema {
        check_schema(schema, &message.payload)?;
    }
    state.engine.publish(NewMessage { event_group: entry.group, ..message }, place).await
}

/// A payload has to be what the catalog documents.
fn check_schema(schema: &Schema, payload: &str) -> Result<()> {
    schema.check(payload).map_err(|errors| {
        let at_payload = |error: SchemaError| {
            let path = std::iter::once("payload".to_owned()).chain(error.location);
            FieldError::body_at(path, error.message)
        };
        Error::fields(errors.into_iter().map(at_payload).collect())
    })
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only these event types; repeated, or separated by commas.
    #[serde(default)]
    event_types: Vec<String>,
    channel: Option<String>,
    tag: Option<String>,
    /// Only messages published before this RFC 3339 time.
    before: Option<String>,
    /// Only messages published after this RFC 3339 time.
    after: Option<String>,
    /// Whether the answer holds the payloads; `true` unless told.
    with_content: Option<bool>,
}

/// Reads an RFC 3339 time of the query.
pub(super) fn query_time(parameter: &str, text: Option<&str>) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    // A `+` of an offset that was not encoded arrives as a space.
    match Timestamp::parse_rfc3339(&text.replace(' ', "+")) {
        Some(time) => Ok(Some(time)),
        None => {
            let message = "Must be an RFC 3339 time, such as 2025-01-15T14:32:00Z";
            Err(Error::fields(vec![FieldError::query(parameter, message)]))
        }
    }
}

/// Splits lists that were given with commas.
pub(super) fn split_commas(values: &[String]) -> Vec<String> {
    values.iter().flat_map(|value| value.split(',')).map(str::to_owned).collect()
}

/// List an application's messages
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg", tag = "Message", operation_id = "v1.message.list",
    params(("app_id" = String, Path, description = "The application's id or uid"), PageQuery, ListQuery),
    responses((status = 200, body = List<MessageOut>), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<List<MessageOut>>> {
    let application = caller.application(&state, app_id).await?;
    let request = page.read(Order::Descending)?;
    let filter = MessageFilter {
        event_types: split_commas(&query.event_types),
        before: query_time("before", query.before.as_deref())?,
        after: query_time("after", query.after.as_deref())?,
        channel: query.channel,
        tag: query.tag,
    };
    let rows = state.store.list_messages(application.id, filter, request.page()).await?;
    let with_content = query.with_content.unwrap_or(true);
    let show = |row: Arc<Message>| MessageOut::new(&row, with_content);
    Ok(Json(request.answer_within(rows, |row| row.payload.len(), |row| row.id, show)))
}

/// Get a message
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}", tag = "Message", operation_id = "v1.message.get",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"), ContentQuery),
    responses((status = 200, body = MessageOut), (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, msg_id)): Path<(String, String)>,
    Query(query): Query<ContentQuery>,
) -> Result<Json<MessageOut>, ApiError> {
    let application = caller.application(&state, app_id).await?;
    let message = state.store.get_message(application.id, &Reference(msg_id)).await?;
    Ok(Json(MessageOut::new(&message, query.with_content.unwrap_or(true))))
}
