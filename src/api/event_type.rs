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

use super::auth::Caller;
use super::error::{ApiResult, ErrorBody, ValidationBody};
use super::extract::{Body, Path, Query, present};
use super::names::Checks;
use super::page::{Order, checked_limit};
use super::{ApiState, catalog, payload};
use crate::contract::{Contract, Schema};
use crate::domain::{Error, EventType, Result};

/// The version under which a schema is kept, as the Svix API numbers them.
const SCHEMA_VERSION: &str = "1";

/// The longest schema of an own event type, in bytes.
const SCHEMA_MAX_BYTES: usize = 64 * 1024;

/// The longest example of an own event type, in bytes.
const EXAMPLE_MAX_BYTES: usize = 64 * 1024;

/// Event types that a company may add to an environment.
const OWN_EVENT_TYPES_MAX: usize = 10_000;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, patch, delete))
        .routes(routes!(list_groups))
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
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    example: Option<Option<Box<RawValue>>>,
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
    /// Only those of this group.
    group: Option<String>,
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
    let mut all = catalog::all(&state, &caller.environment).await?;
    all.retain(|one| query.include_archived || !one.archived);
    if let Some(group) = &query.group {
        all.retain(|one| one.group.as_ref() == Some(group));
    }
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
    catalog::find(state, &caller.environment, name).await?.ok_or_else(Error::not_found)
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

fn check(event_type: &EventType, contract: &Contract) -> Result<()> {
    let mut checks = Checks::default();
    checks.name("name", &event_type.name);
    checks.text("description", &event_type.description, false);
    checks.text("title", event_type.title.as_deref().unwrap_or_default(), false);
    if let Some(group) = &event_type.group
        && !contract.groups().iter().any(|known| known.name == *group)
    {
        checks.name("groupName", group);
    }
    let compiled = event_type.schema.as_deref().and_then(|text| check_schema(&mut checks, text));
    if let Some(example) = &event_type.example {
        check_example(&mut checks, example, compiled.as_ref());
    }
    checks.finish()
}

/// What could not check payloads would be found out at publishing.
fn check_schema(checks: &mut Checks, text: &str) -> Option<Schema> {
    let field = format!("schemas.{SCHEMA_VERSION}");
    if text.len() > SCHEMA_MAX_BYTES {
        checks.refuse(&field, format!("Must have at most {SCHEMA_MAX_BYTES} bytes"));
        return None;
    }
    let compiled = payload::check(text).and_then(|()| Schema::compile(text.into()));
    compiled.map_err(|reason| checks.refuse(&field, reason)).ok()
}

/// An example that breaks its own schema would be refused when somebody sends it.
fn check_example(checks: &mut Checks, text: &str, schema: Option<&Schema>) {
    if text.len() > EXAMPLE_MAX_BYTES {
        checks.refuse("example", format!("Must have at most {EXAMPLE_MAX_BYTES} bytes"));
        return;
    }
    if let Err(reason) = payload::check(text) {
        checks.refuse("example", reason);
        return;
    }
    let errors = schema.map(|schema| schema.check(text)).and_then(Result::err).unwrap_or_default();
    for error in errors {
        let path = std::iter::once("example".to_owned()).chain(error.location);
        checks.refuse_at(path.collect(), error.message);
    }
}

fn schema(schemas: Option<Schemas>) -> Option<String> {
    schemas?.remove(SCHEMA_VERSION).map(|raw| raw.get().to_owned())
}

fn example(raw: Option<Box<RawValue>>) -> Option<String> {
    raw.map(|raw| raw.get().to_owned())
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
        refuse_contract_types(&catalog::from_spec(spec))?;
    }
    let now = state.clock.now();
    let event_type = EventType {
        schema: schema(input.schemas),
        example: example(input.example),
        name: input.name,
        group: input.group_name,
        title: input.title,
        description: input.description,
        archived: input.archived,
        from_contract: false,
        created_at: now,
        updated_at: now,
    };
    check(&event_type, &environment.contract)?;
    let own = &state.own_event_types;
    if own.of(&environment.name, &*state.store).await?.len() >= OWN_EVENT_TYPES_MAX {
        let detail = format!("An environment can have {OWN_EVENT_TYPES_MAX} own event types");
        return Err(Error::conflict(detail).into());
    }
    own.put(&environment.name, event_type.clone(), false, &state.store).await?;
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
        example: example(input.example),
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
        title: change.title.unwrap_or(found.title),
        schema: change.schemas.map_or(found.schema, schema),
        example: change.example.map_or(found.example, example),
        ..found
    };
    store_changed(&state, &caller, changed).await
}

async fn store_changed(
    state: &ApiState,
    caller: &Caller,
    changed: EventType,
) -> ApiResult<Json<EventTypeOut>> {
    check(&changed, &caller.environment.contract)?;
    let changed = EventType { updated_at: state.clock.now(), ..changed };
    let environment = &caller.environment.name;
    state.own_event_types.put(environment, changed.clone(), true, &state.store).await?;
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
    state.own_event_types.delete(environment, &found.name, &state.store).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A group of event types.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeGroupOut {
    name: String,
    /// For people.
    title: String,
    description: String,
    /// The names of its event types that aren't archived.
    event_types: Vec<String>,
    /// Whether it comes from the contract.
    from_contract: bool,
}

/// A page of groups.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeGroupList {
    data: Vec<EventTypeGroupOut>,
    iterator: Option<String>,
    prev_iterator: Option<String>,
    done: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct GroupListQuery {
    /// Items in the page, 1 to 250; 50 unless told.
    limit: Option<u32>,
    /// The `iterator` of another page: the name of its last item.
    iterator: Option<String>,
}

/// List the groups of event types
///
/// The contract's in its own order, then those that only own event types have, by name.
#[utoipa::path(get, path = "/api/v1/event-type-group", tag = "Event type", operation_id = "v1.event-type-group.list",
    params(GroupListQuery), responses((status = 200, body = EventTypeGroupList)))]
async fn list_groups(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<GroupListQuery>,
) -> ApiResult<Json<EventTypeGroupList>> {
    let limit = checked_limit(query.limit)? as usize;
    let mut groups = catalog::groups(&state, &caller.environment).await?;
    if let Some(after) = &query.iterator
        && let Some(place) = groups.iter().position(|group| group.name == *after)
    {
        groups.drain(..=place);
    }
    let done = groups.len() <= limit;
    groups.truncate(limit);
    let show = |group: catalog::Group| EventTypeGroupOut {
        name: group.name,
        title: group.title,
        description: group.description,
        event_types: group.event_types,
        from_contract: group.from_contract,
    };
    Ok(Json(EventTypeGroupList {
        iterator: groups.last().map(|group| group.name.clone()),
        prev_iterator: None,
        done,
        data: groups.into_iter().map(show).collect(),
    }))
}
