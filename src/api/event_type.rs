//! Event types: the contract's catalog, and what the company adds to it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::auth::Caller;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, Path, Query, present};
use super::names::Checks;
use super::page::{Order, checked_limit};
use super::payload;
use crate::contract::{Contract, EventSpec};
use crate::domain::{Error, EventType, Result, Timestamp};
use crate::environment::Environment;

/// The version under which a schema is kept, as the Svix API numbers them.
const SCHEMA_VERSION: &str = "1";

/// Event types that a company may add to an environment.
const OWN_EVENT_TYPES_MAX: usize = 10_000;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, patch, delete))
}

/// Raw JSON, by version.
type Schemas = BTreeMap<String, Box<RawValue>>;

/// An event type that the company adds.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeIn {
    name: String,
    description: String,
    #[serde(default)]
    archived: bool,
    group_name: Option<String>,
    title: Option<String>,
    /// A JSON Schema (draft 2020-12) under the key `1`.
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    schemas: Option<Schemas>,
    /// An example payload.
    #[schema(value_type = Option<Object>)]
    example: Option<Box<RawValue>>,
}

/// What replaces an event type of this name.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeUpdate {
    description: String,
    #[serde(default)]
    archived: bool,
    group_name: Option<String>,
    title: Option<String>,
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    schemas: Option<Schemas>,
    #[schema(value_type = Option<Object>)]
    example: Option<Box<RawValue>>,
}

/// What to change. Absent fields stay as they are, `null` clears.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypePatch {
    description: Option<String>,
    archived: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    group_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    schemas: Option<Option<Schemas>>,
}

/// An event type.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeOut {
    name: String,
    description: String,
    archived: bool,
    deprecated: bool,
    group_name: Option<String>,
    title: Option<String>,
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    schemas: Option<Schemas>,
    #[schema(value_type = Option<Object>)]
    example: Option<Box<RawValue>>,
    /// Whether it comes from the contract, and so can't be changed here.
    from_contract: bool,
    created_at: String,
    updated_at: String,
}

impl From<EventType> for EventTypeOut {
    fn from(one: EventType) -> EventTypeOut {
        let raw = |text: String| RawValue::from_string(text).ok();
        EventTypeOut {
            schemas: one
                .schema
                .and_then(raw)
                .map(|schema| BTreeMap::from([(SCHEMA_VERSION.to_owned(), schema)])),
            example: one.example.and_then(raw),
            name: one.name,
            description: one.description,
            archived: one.archived,
            deprecated: one.archived,
            group_name: one.group,
            title: one.title,
            from_contract: one.from_contract,
            created_at: one.created_at.to_string(),
            updated_at: one.updated_at.to_string(),
        }
    }
}

fn from_spec(spec: &EventSpec) -> EventType {
    EventType {
        name: spec.name.clone(),
        group: spec.group.clone(),
        title: Some(spec.title.clone()),
        description: spec.description.clone(),
        schema: spec.schema.as_ref().map(|schema| schema.text().to_owned()),
        example: spec.example.as_deref().map(str::to_owned),
        archived: false,
        from_contract: true,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

/// Says whether an event type may be published or subscribed to.
///
/// A contract with a catalog takes what is in it and what the company added; one without (the
/// `standard` contract) leaves the names to the company, which need not declare them.
///
/// # Errors
/// Those of the store.
pub(super) async fn is_known(
    state: &ApiState,
    environment: &Environment,
    name: &str,
) -> Result<bool> {
    let contract: &Contract = &environment.contract;
    if contract.event(name).is_some() {
        return Ok(true);
    }
    match state.own_event_types.of(&environment.name, &*state.store).await?.get(name) {
        Some(own) => Ok(!own.archived),
        None => Ok(contract.events().is_empty()),
    }
}

/// Says whether events of this type may be among those that were published, also when it is
/// archived by now.
///
/// # Errors
/// Those of the store.
pub(super) async fn may_exist(
    state: &ApiState,
    environment: &Environment,
    name: &str,
) -> Result<bool> {
    let contract: &Contract = &environment.contract;
    if contract.events().is_empty() || contract.event(name).is_some() {
        return Ok(true);
    }
    let own = state.own_event_types.of(&environment.name, &*state.store).await?;
    Ok(own.contains_key(name))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Items in the page, 1 to 250; 50 unless told.
    limit: Option<u32>,
    /// The `iterator` of another page: the name of its last item.
    iterator: Option<String>,
    /// From A to Z (`ascending`, unless told) or back (`descending`).
    #[param(inline)]
    order: Option<Order>,
    #[serde(default)]
    include_archived: bool,
}

/// A page of event types, by name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeList {
    data: Vec<EventTypeOut>,
    iterator: Option<String>,
    prev_iterator: Option<String>,
    done: bool,
}

/// List the event types
///
/// The contract's catalog and the company's own, by name.
#[utoipa::path(get, path = "/api/v1/event-type", tag = "Event type", operation_id = "v1.event-type.list",
    params(ListQuery), responses((status = 200, body = EventTypeList)))]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<EventTypeList>> {
    let limit = checked_limit(query.limit)? as usize;
    let mut all: Vec<EventType> =
        caller.environment.contract.events().iter().map(from_spec).collect();
    let own = state.own_event_types.of(&caller.environment.name, &*state.store).await?;
    all.extend(own.values().cloned());
    all.retain(|one| query.include_archived || !one.archived);
    let along = |a: &str, b: &str| match query.order.unwrap_or(Order::Ascending) {
        Order::Ascending => a.cmp(b),
        Order::Descending => b.cmp(a),
    };
    all.sort_by(|a, b| along(&a.name, &b.name));
    if let Some(after) = &query.iterator {
        all.retain(|one| along(&one.name, after).is_gt());
    }
    let done = all.len() <= limit;
    all.truncate(limit);
    Ok(Json(EventTypeList {
        iterator: all.last().map(|one| one.name.clone()),
        prev_iterator: None,
        done,
        data: all.into_iter().map(EventTypeOut::from).collect(),
    }))
}

async fn find(state: &ApiState, caller: &Caller, name: &str) -> Result<EventType> {
    if let Some(spec) = caller.environment.contract.event(name) {
        return Ok(from_spec(spec));
    }
    let own = state.own_event_types.of(&caller.environment.name, &*state.store).await?;
    own.get(name).cloned().ok_or_else(Error::not_found)
}

/// An own event type, to be changed.
async fn find_own(state: &ApiState, caller: &Caller, name: &str) -> Result<EventType> {
    let found = find(state, caller, name).await?;
    caller.require_environment()?;
    refuse_contract_types(&found)?;
    Ok(found)
}

fn refuse_contract_types(event_type: &EventType) -> Result<()> {
    if event_type.from_contract {
        return Err(Error::conflict(format!(
            "`{}` belongs to the contract; change it in the contract's file",
            event_type.name
        )));
    }
    Ok(())
}

fn check(event_type: &EventType) -> Result<()> {
    let mut checks = Checks::default();
    checks.name("name", &event_type.name);
    checks.text("description", &event_type.description, false);
    checks.text("groupName", event_type.group.as_deref().unwrap_or_default(), false);
    checks.text("title", event_type.title.as_deref().unwrap_or_default(), false);
    for (field, text) in [("schemas", &event_type.schema), ("example", &event_type.example)] {
        if let Some(Err(reason)) = text.as_deref().map(payload::check) {
            checks.refuse(field, reason);
        }
    }
    checks.finish()
}

fn schema(schemas: Option<Schemas>) -> Option<String> {
    schemas?.remove(SCHEMA_VERSION).map(|raw| raw.get().to_owned())
}

/// Add an event type
#[utoipa::path(post, path = "/api/v1/event-type", tag = "Event type", operation_id = "v1.event-type.create",
    request_body = EventTypeIn,
    responses((status = 201, body = EventTypeOut), (status = 409, body = ErrorBody),
        (status = 422, body = ValidationBody)))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(input): Body<EventTypeIn>,
) -> ApiResult<(StatusCode, Json<EventTypeOut>)> {
    caller.require_environment()?;
    let environment = &caller.environment;
    if let Some(spec) = environment.contract.event(&input.name) {
        refuse_contract_types(&from_spec(spec))?;
    }
    let now = state.clock.now();
    let event_type = EventType {
        schema: schema(input.schemas),
        example: input.example.map(|raw| raw.get().to_owned()),
        name: input.name,
        group: input.group_name,
        title: input.title,
        description: input.description,
        archived: input.archived,
        from_contract: false,
        created_at: now,
        updated_at: now,
    };
    check(&event_type)?;
    let own = &state.own_event_types;
    if own.of(&environment.name, &*state.store).await?.len() >= OWN_EVENT_TYPES_MAX {
        let detail = format!("An environment can have {OWN_EVENT_TYPES_MAX} own event types");
        return Err(Error::conflict(detail).into());
    }
    own.put(&environment.name, event_type.clone(), false, &*state.store).await?;
    Ok((StatusCode::CREATED, Json(event_type.into())))
}

/// Get an event type
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}", tag = "Event type", operation_id = "v1.event-type.get",
    params(("event_type_name" = String, Path)),
    responses((status = 200, body = EventTypeOut), (status = 404, body = ErrorBody)))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> ApiResult<Json<EventTypeOut>> {
    Ok(Json(find(&state, &caller, &name).await?.into()))
}

/// Replace an own event type
#[utoipa::path(put, path = "/api/v1/event-type/{event_type_name}", tag = "Event type", operation_id = "v1.event-type.update",
    params(("event_type_name" = String, Path)), request_body = EventTypeUpdate,
    responses((status = 200, body = EventTypeOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    Body(input): Body<EventTypeUpdate>,
) -> ApiResult<Json<EventTypeOut>> {
    let found = find_own(&state, &caller, &name).await?;
    let changed = EventType {
        schema: schema(input.schemas),
        example: input.example.map(|raw| raw.get().to_owned()),
        group: input.group_name,
        title: input.title,
        description: input.description,
        archived: input.archived,
        ..found
    };
    store_changed(&state, &caller, changed).await
}

/// Change an own event type
#[utoipa::path(patch, path = "/api/v1/event-type/{event_type_name}", tag = "Event type", operation_id = "v1.event-type.patch",
    params(("event_type_name" = String, Path)), request_body = EventTypePatch,
    responses((status = 200, body = EventTypeOut), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ValidationBody)))]
async fn patch(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<EventTypePatch>,
) -> ApiResult<Json<EventTypeOut>> {
    let found = find_own(&state, &caller, &name).await?;
    let changed = EventType {
        description: change.description.unwrap_or(found.description),
        archived: change.archived.unwrap_or(found.archived),
        group: change.group_name.unwrap_or(found.group),
        schema: change.schemas.map_or(found.schema, schema),
        ..found
    };
    store_changed(&state, &caller, changed).await
}

async fn store_changed(
    state: &ApiState,
    caller: &Caller,
    changed: EventType,
) -> ApiResult<Json<EventTypeOut>> {
    check(&changed)?;
    let changed = EventType { updated_at: state.clock.now(), ..changed };
    let environment = &caller.environment.name;
    state.own_event_types.put(environment, changed.clone(), true, &*state.store).await?;
    Ok(Json(changed.into()))
}

/// Delete an own event type
///
/// Endpoints that subscribed to it keep the subscription, which brings them nothing more.
#[utoipa::path(delete, path = "/api/v1/event-type/{event_type_name}", tag = "Event type", operation_id = "v1.event-type.delete",
    params(("event_type_name" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    let found = find_own(&state, &caller, &name).await?;
    let environment = &caller.environment.name;
    state.own_event_types.delete(environment, &found.name, &*state.store).await?;
    Ok(StatusCode::NO_CONTENT)
}
