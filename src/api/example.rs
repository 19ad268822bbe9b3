//! Examples of the catalog: shown as they would be sent, and sent as test events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, Path, Query};
use super::message::{MessageOut, new_message, publish};
use super::{ApiState, catalog, endpoint};
use crate::contract::{Sample, WireRequest};
use crate::domain::{Application, Audience, Error, ErrorCode, EventType, Failure, Method, Result};
use crate::store::NewMessage;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(send_to_endpoint))
        .routes(routes!(send_to_application))
}

/// An event type's example.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExampleOut {
    event_type: String,
    /// What is published.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    content_type: String,
    /// The whole body that receivers get, with made-up ids and time: as it is where the contract
    /// sends JSON, else as a string.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExampleQuery {
    /// The application (by id or uid) that the body shall be made for; a made-up one unless
    /// told.
    app_id: Option<String>,
}

/// Show an event type's example
///
/// With the body that receivers get. Nothing is sent.
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}/example", tag = "Event type",
    operation_id = "v1.event-type.example",
    params(("event_type_name" = String, Path), ExampleQuery),
    responses((status = 200, body = ExampleOut), (status = 404, body = ErrorBody)))]
async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<ExampleQuery>,
) -> ApiResult<Json<ExampleOut>> {
    let application = match query.app_id {
        Some(app_id) => Some(caller.application(&state, app_id).await?),
        None => None,
    };
    let found = catalog::find(&state, &caller.environment, &name).await?;
    let event_type = found.ok_or_else(Error::not_found)?;
    let payload = example_of(&event_type)
        .ok_or_else(|| Error::new(ErrorCode::NotFound, no_example(&event_type.name)))?;
    let sample = sample(&caller, &event_type, &payload, application.as_deref());
    let request = caller.environment.contract.example(&sample).map_err(unrendered)?;
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(Json(ExampleOut {
        content_type: content_type.unwrap_or_default().to_owned(),
        body: shown_body(&caller, &request)?,
        event_type: event_type.name,
        payload,
    }))
}

/// The type's own example, or else the first of its schema, which is where users of the Svix
/// API keep it.
fn example_of(event_type: &EventType) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Annotated {
        #[serde(default)]
        examples: Vec<Box<RawValue>>,
    }
    if let Some(example) = &event_type.example {
        return RawValue::from_string(example.clone()).ok();
    }
    let schema: Annotated = serde_json::from_str(event_type.schema.as_deref()?).ok()?;
    schema.examples.into_iter().next()
}

fn no_example(event_type: &str) -> String {
    format!("`{event_type}` has no example in the catalog")
}

fn sample(
    caller: &Caller,
    event_type: &EventType,
    payload: &RawValue,
    application: Option<&Application>,
) -> Sample {
    let contract = &caller.environment.contract;
    let group = event_type.group.as_deref();
    let mut sample = contract.sample_of(&event_type.name, group, payload.get().into());
    sample.environment = caller.environment.name.clone();
    // Of all methods: what it shows is a body.
    sample.method = Method::Post;
    if let Some(application) = application {
        sample.application_id = application.id;
        sample.application_uid = application.public_id();
        sample.application_name.clone_from(&application.name);
    }
    sample
}

/// An own example need not be what the contract's templates can cope with.
fn unrendered(failure: Failure) -> Error {
    let reason = failure.causes.join(": ");
    Error::conflict(format!("The contract can't make a body of this example: {reason}"))
}

/// A body as a value of an answer: as it is where it is JSON, else as a string.
fn shown_body(caller: &Caller, request: &WireRequest) -> Result<Box<RawValue>> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let value = match caller.environment.contract.sends_json() {
        true => RawValue::from_string(text),
        false => serde_json::value::to_raw_value(&text),
    };
    value.map_err(|_| Error::internal("the contract's body isn't what it says"))
}

/// An example to send.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExampleIn {
    /// The event type whose example is sent.
    event_type: String,
}

/// Send an example to an endpoint
///
/// Whichever event types the endpoint takes. The message is marked as a test and goes the way
/// of all others: signed, retried, logged, and counted where the contract pauses endpoints.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example", tag = "Endpoint",
    operation_id = "v1.endpoint.send-example",
    params(("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = ExampleIn,
    responses((status = 202, body = MessageOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody),
        (status = 503, body = ErrorBody)))]
async fn send_to_endpoint(
    State(state): State<ApiState>,
    caller: Caller,
    Path((app_id, endpoint_id)): Path<(String, String)>,
    Body(input): Body<ExampleIn>,
) -> ApiResult<(StatusCode, Json<MessageOut>)> {
    let endpoint = endpoint::find(&state, &caller, (app_id.clone(), endpoint_id)).await?;
    let message = test_message(&state, &caller, app_id, input).await?;
    let message = NewMessage { audience: Audience::Only(endpoint.id), ..message };
    let place = state.engine.admit(message.payload.len())?;
    let message = publish(&state, &caller, message, place).await?.message;
    Ok((StatusCode::ACCEPTED, Json(MessageOut::new(&message, true))))
}

/// A test event, and how far it went.
#[derive(Serialize, ToSchema)]
struct TestOut {
    #[serde(flatten)]
    message: MessageOut,
    /// How many endpoints it is delivered to; 0 where no active endpoint takes its type.
    deliveries: u32,
}

/// Send an example to all who take it
///
/// To every active endpoint of the application that takes the event type. Paused and disabled
/// ones are left out: a test is worth nothing later.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/send-example", tag = "Application",
    operation_id = "v1.application.send-example",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body = ExampleIn,
    responses((status = 202, body = TestOut), (status = 404, body = ErrorBody),
        (status = 422, body = ValidationBody), (status = 503, body = ErrorBody)))]
async fn send_to_application(
    State(state): State<ApiState>,
    caller: Caller,
    Path(app_id): Path<String>,
    Body(input): Body<ExampleIn>,
) -> ApiResult<(StatusCode, Json<TestOut>)> {
    caller.application(&state, app_id.clone()).await?;
    let message = test_message(&state, &caller, app_id, input).await?;
    let message = NewMessage { audience: Audience::ActiveSubscribers, ..message };
    let place = state.engine.admit(message.payload.len())?;
    let published = publish(&state, &caller, message, place).await?;
    let message = MessageOut::new(&published.message, true);
    Ok((StatusCode::ACCEPTED, Json(TestOut { message, deliveries: published.deliveries })))
}

/// The example of an event type as a message that is marked as a test. Its event id is its
/// own, so that no receiver takes it for one that it had before.
async fn test_message(
    state: &ApiState,
    caller: &Caller,
    app_id: String,
    input: ExampleIn,
) -> Result<NewMessage> {
    let name = input.event_type;
    let found = catalog::find(state, &caller.environment, &name).await?;
    let event_type =
        found.ok_or_else(|| Error::field("eventType", catalog::no_event_type(&name)))?;
    let payload =
        example_of(&event_type).ok_or_else(|| Error::field("eventType", no_example(&name)))?;
    let message = new_message(state, caller, app_id, name, payload);
    Ok(NewMessage { test: true, ..message })
}
