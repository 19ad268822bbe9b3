//! Endpoints.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};

use super::applications;
use super::batch::Batch;
use super::columns::{count, json, read_count, read_json};
use super::confidential::{self, Confidential};
use super::fault::{Fallible, damaged, unique};
use super::history::{self, Details};
use super::operations;
use super::ordered;
use super::range::{IdRange, id_number, order};
use super::resends;
use crate::domain::{
    Actor, ApplicationId, Cause, Endpoint, EndpointId, EndpointState, Error, HistoryEvent,
    Reference, SigningSecret, Subscription, ThrottleRate, Timestamp, changes,
};
use crate::store::{EndpointChange, Page, Updated, Vault};

const COLUMNS: &str = "id, application_id, environment, uid, name, description, url, method, \
    event_types, channels, metadata, state, state_at_us, state_reason, confidential, revision, \
    created_at_us, updated_at_us, transport, event_groups, throttle_rate, ordered, \
    (SELECT shared.confidential FROM applications shared WHERE shared.id = application_id) AS shared";

pub(super) fn create(
    batch: &mut Batch<'_>,
    mut endpoint: Endpoint,
    unique_name: bool,
    limit: u32,
) -> Fallible<Arc<Endpoint>> {
    let application = batch.application(endpoint.application_id)?;
    let application = application
        .filter(|application| application.environment == endpoint.environment)
        .ok_or_else(Error::not_found)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM endpoints WHERE id = ?1)";
    if batch.connection.prepare_cached(sql)?.query_row(params![endpoint.id], |row| row.get(0))? {
        return Err(Error::conflict("An endpoint with this id exists already.").into());
    }
    let others = batch.endpoints(&application)?;
    if u32::try_from(others.len()).is_ok_and(|have| have >= limit) || limit == 0 {
        let sentence = format!("The application has {limit} endpoints, and may not have more.");
        return Err(Error::conflict(sentence).into());
    }
    if unique_name {
        refuse_taken_name(&others, &endpoint)?;
    }
    store(batch, &endpoint)?;
    let created = (HistoryEvent::Created, Actor::Api);
    history::add(batch, endpoint.id, created, Details::default(), endpoint.created_at)?;
    batch.caches.forget(endpoint.application_id);
    if endpoint.secrets.is_empty() {
        endpoint.secrets = shared_secrets(batch, &endpoint)?;
    }
    Ok(Arc::new(endpoint))
}

/// Makes a live endpoint sign with its application's secrets, which are stored already.
pub(super) fn share(
    batch: &mut Batch<'_>,
    endpoint: &Endpoint,
    secrets: &[SigningSecret],
) -> Fallible<Arc<Endpoint>> {
    let revision = endpoint.revision.saturating_add(1);
    let changed = Endpoint { secrets: secrets.to_vec(), revision, ..endpoint.clone() };
    store(batch, &changed)?;
    Ok(Arc::new(changed))
}

fn shared_secrets(batch: &Batch<'_>, endpoint: &Endpoint) -> Fallible<Vec<SigningSecret>> {
    applications::secrets(batch.connection, &batch.vault, endpoint.application_id)
}

pub(super) fn update(
    batch: &mut Batch<'_>,
    change: EndpointChange,
    unique_name: bool,
) -> Fallible<Updated> {
    let EndpointChange { mut endpoint, from_revision } = change;
    let before = batch.endpoint_of(endpoint.application_id, endpoint.id)?;
    if before.environment != endpoint.environment {
        return Err(Error::not_found().into());
    }
    if before.revision != from_revision {
        return Err(Error::conflict("The endpoint was changed in the meantime.").into());
    }
    if unique_name {
        let application =
            batch.application(endpoint.application_id)?.ok_or_else(Error::not_found)?;
        refuse_taken_name(&batch.endpoints(&application)?, &endpoint)?;
    }
    endpoint.revision = from_revision.saturating_add(1);
    endpoint.created_at = before.created_at;
    store(batch, &endpoint)?;
    changed(batch, &before, endpoint)
}

/// Enables an endpoint, whatever stopped it. One that delivers stays as it is.
pub(super) fn enable(
    batch: &mut Batch<'_>,
    application: ApplicationId,
    id: EndpointId,
    now: Timestamp,
) -> Fallible<Updated> {
    let before = batch.endpoint_of(application, id)?;
    if before.state.delivers() {
        return Ok(Updated { endpoint: before, resumed: false, due: Vec::new() });
    }
    let enabled = set_state(batch, &before, EndpointState::Enabled, now)?;
    changed(batch, &before, Arc::unwrap_or_clone(enabled))
}

/// What follows from a change through the API that was stored.
fn changed(batch: &mut Batch<'_>, before: &Endpoint, after: Endpoint) -> Fallible<Updated> {
    let now = after.updated_at;
    let resumed = after.state.delivers() && !before.state.delivers();
    if resumed {
        // It starts anew: old failures must not pause it again at once.
        let sql = "DELETE FROM endpoint_health WHERE endpoint_id = ?1";
        batch.connection.prepare_cached(sql)?.execute(params![after.id])?;
    }
    for (event, reason) in changes(before, &after) {
        let details = Details { reason, last_failure: None };
        history::add(batch, after.id, (event, Actor::Api), details, now)?;
    }
    if before.ordered && !after.ordered {
        ordered::switched_off(batch.connection, after.id)?;
    }
    let switched_off = before.state.collects() && !after.state.collects();
    let due = match resumed || switched_off {
        true => operations::state_changed(batch, &after, Cause::default(), now)?,
        false => Vec::new(),
    };
    batch.caches.forget(after.application_id);
    Ok(Updated { endpoint: Arc::new(after), resumed, due })
}

pub(super) fn delete(
    batch: &mut Batch<'_>,
    application: ApplicationId,
    id: EndpointId,
    now: Timestamp,
) -> Fallible<()> {
    batch.endpoint_of(application, id)?;
    mark_deleted(batch, id, now)?;
    batch.caches.forget(application);
    Ok(())
}

/// Deletes an endpoint. From then on its pending deliveries count as discarded; their rows
/// are changed as time allows. Its secrets are wiped at once.
pub(super) fn mark_deleted(batch: &mut Batch<'_>, id: EndpointId, now: Timestamp) -> Fallible<()> {
    let mut update = batch.connection.prepare_cached(
        "UPDATE endpoints SET deleted_at_us = ?2, confidential = NULL, revision = revision + 1
         WHERE id = ?1",
    )?;
    update.execute(params![id, now])?;
    let mut delete =
        batch.connection.prepare_cached("DELETE FROM endpoint_health WHERE endpoint_id = ?1")?;
    delete.execute(params![id])?;
    ordered::deleted(batch.connection, id)?;
    resends::forget(batch.connection, id)?;
    history::add(batch, id, (HistoryEvent::Deleted, Actor::Api), Details::default(), now)?;
    batch.discard_later(id);
    Ok(())
}

/// Gives a live endpoint another state.
pub(super) fn set_state(
    batch: &mut Batch<'_>,
    endpoint: &Endpoint,
    state: EndpointState,
    now: Timestamp,
) -> Fallible<Arc<Endpoint>> {
    let revision = endpoint.revision.saturating_add(1);
    let changed = Endpoint { state, revision, updated_at: now, ..endpoint.clone() };
    let (number, at, reason) = state_columns(&changed.state);
    let mut update = batch.connection.prepare_cached(
        "UPDATE endpoints SET state = ?2, state_at_us = ?3, state_reason = ?4, revision = ?5,
            updated_at_us = ?6
         WHERE id = ?1",
    )?;
    update.execute(params![changed.id, number, at, reason, count(changed.revision), now])?;
    let changed = Arc::new(changed);
    batch.caches.replace(&changed);
    Ok(changed)
}

fn refuse_taken_name(others: &[Arc<Endpoint>], endpoint: &Endpoint) -> Fallible<()> {
    let taken = others.iter().any(|other| other.id != endpoint.id && other.name == endpoint.name);
    if taken {
        return Err(Error::conflict("An endpoint with this name exists already.").into());
    }
    Ok(())
}

/// Inserts the endpoint or replaces the row of that id.
fn store(batch: &mut Batch<'_>, endpoint: &Endpoint) -> Fallible<()> {
    let (state, state_at, state_reason) = state_columns(&endpoint.state);
    // What it shares with others isn't its own, or it would keep it when they change.
    let own: &[SigningSecret] = match shared_secrets(batch, endpoint)? == endpoint.secrets {
        true => &[],
        false => &endpoint.secrets,
    };
    let mut upsert = batch.connection.prepare_cached(
        "INSERT INTO endpoints (id, application_id, environment, uid, name, description, url,
            method, event_types, channels, metadata, state, state_at_us, state_reason,
            confidential, revision, created_at_us, updated_at_us, transport, event_groups,
            throttle_rate, ordered)
         VALUES (:id, :application, :environment, :uid, :name, :description, :url, :method,
            :event_types, :channels, :metadata, :state, :state_at, :state_reason,
            :confidential, :revision, :created_at, :updated_at, :transport, :event_groups,
            :throttle_rate, :ordered)
         ON CONFLICT (id) DO UPDATE SET
            uid = :uid, name = :name, description = :description, url = :url,
            method = :method, event_types = :event_types, channels = :channels,
            metadata = :metadata, state = :state, state_at_us = :state_at,
            state_reason = :state_reason, confidential = :confidential,
            revision = :revision, updated_at_us = :updated_at, transport = :transport,
            event_groups = :event_groups, throttle_rate = :throttle_rate, ordered = :ordered",
    )?;
    let stored = upsert.execute(named_params! {
        ":id": endpoint.id,
        ":application": endpoint.application_id,
        ":environment": endpoint.environment,
        ":uid": endpoint.uid,
        ":name": endpoint.name,
        ":description": endpoint.description,
        ":url": endpoint.url,
        ":method": endpoint.method.as_str(),
        ":event_types": endpoint.subscription.types().map(|list| json(&list)).transpose()?,
        ":channels": endpoint.channels.as_ref().map(json).transpose()?,
        ":metadata": json(&endpoint.metadata)?,
        ":state": state,
        ":state_at": state_at,
        ":state_reason": state_reason,
        ":confidential": confidential::seal(endpoint, own, &batch.vault)?,
        ":revision": count(endpoint.revision),
        ":created_at": endpoint.created_at,
        ":updated_at": endpoint.updated_at,
        ":transport": endpoint.transport.as_str(),
        ":event_groups": endpoint.subscription.groups().map(|list| json(&list)).transpose()?,
        ":throttle_rate": endpoint.throttle_rate.map(|rate| rate.get()),
        ":ordered": endpoint.ordered,
    });
    unique(stored, &[("endpoints.uid", "An endpoint with this uid exists already.")]).map(drop)
}

fn state_columns(state: &EndpointState) -> (i64, Option<Timestamp>, Option<&str>) {
    match state {
        EndpointState::Enabled => (0, None, None),
        EndpointState::Paused { at, reason } => (1, Some(*at), Some(reason)),
        EndpointState::Disabled { at, reason } => (2, Some(*at), Some(reason)),
    }
}

/// The application of a live endpoint.
pub(super) fn owner(connection: &Connection, id: EndpointId) -> Fallible<Option<ApplicationId>> {
    let mut select = connection.prepare_cached(
        "SELECT application_id FROM endpoints WHERE id = ?1 AND deleted_at_us IS NULL",
    )?;
    Ok(select.query_row(params![id], |row| row.get(0)).optional()?)
}

/// The live endpoints of an application, in the order of their ids.
pub(super) fn of_application(
    connection: &Connection,
    vault: &Vault,
    application: ApplicationId,
) -> Fallible<Vec<Arc<Endpoint>>> {
    let all = Page { after: None, descending: false, limit: u32::MAX };
    list(connection, vault, application, &all)
}

pub(super) fn list(
    connection: &Connection,
    vault: &Vault,
    application: ApplicationId,
    page: &Page<EndpointId>,
) -> Fallible<Vec<Arc<Endpoint>>> {
    let range = IdRange::of(page, id_number);
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM endpoints
         WHERE application_id = ?1 AND id BETWEEN ?2 AND ?3 AND deleted_at_us IS NULL
         ORDER BY id {} LIMIT ?4",
        order(page)
    ))?;
    let mut rows = select.query(params![application, range.low(), range.high(), page.limit])?;
    let mut endpoints = Vec::new();
    while let Some(row) = rows.next()? {
        endpoints.push(Arc::new(read(row, vault)?));
    }
    Ok(endpoints)
}

pub(super) fn get(
    connection: &Connection,
    vault: &Vault,
    application: ApplicationId,
    reference: &Reference,
) -> Fallible<Arc<Endpoint>> {
    let live = "application_id = ?1 AND deleted_at_us IS NULL";
    if let Ok(id) = reference.0.parse::<EndpointId>() {
        let condition = format!("{live} AND id = ?2");
        if let Some(endpoint) = one(connection, vault, &condition, params![application, id])? {
            return Ok(Arc::new(endpoint));
        }
    }
    let condition = format!("{live} AND uid = ?2");
    let endpoint = one(connection, vault, &condition, params![application, reference.0])?;
    endpoint.map(Arc::new).ok_or_else(|| Error::not_found().into())
}

/// An endpoint, also a deleted one, and whether it is deleted.
pub(super) fn with_deleted(
    connection: &Connection,
    vault: &Vault,
    id: EndpointId,
) -> Fallible<Option<(Arc<Endpoint>, bool)>> {
    let Some(endpoint) = one(connection, vault, "id = ?1", params![id])? else { return Ok(None) };
    let deleted = owner(connection, id)?.is_none();
    Ok(Some((Arc::new(endpoint), deleted)))
}

/// The ids of an application's endpoints, deleted ones too.
pub(super) fn ids_with_deleted(
    connection: &Connection,
    application: ApplicationId,
) -> Fallible<Vec<EndpointId>> {
    let mut select =
        connection.prepare_cached("SELECT id FROM endpoints WHERE application_id = ?1")?;
    let rows = select.query_map(params![application], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn one(
    connection: &Connection,
    vault: &Vault,
    condition: &str,
    values: &[&dyn ToSql],
) -> Fallible<Option<Endpoint>> {
    let sql = format!("SELECT {COLUMNS} FROM endpoints WHERE {condition}");
    let mut select = connection.prepare_cached(&sql)?;
    select.query_row(values, |row| Ok(read(row, vault))).optional()?.transpose()
}

fn read(row: &Row<'_>, vault: &Vault) -> Fallible<Endpoint> {
    let id: EndpointId = row.get(0)?;
    let confidential = match row.get_ref(14)?.as_blob_or_null() {
        Ok(Some(sealed)) => confidential::open(id, sealed, vault)?,
        Ok(None) => Confidential::default(),
        Err(_) => return Err(damaged("an endpoint's secrets")),
    };
    let application_id = row.get(1)?;
    let secrets = match row.get_ref("shared")?.as_blob_or_null() {
        _ if !confidential.secrets.is_empty() => confidential.secrets,
        Ok(Some(sealed)) => confidential::open_shared(application_id, sealed, vault)?,
        Ok(None) => Vec::new(),
        Err(_) => return Err(damaged("an application's secrets")),
    };
    let method: String = row.get(7)?;
    let transport: String = row.get("transport")?;
    let groups = row.as_ref().column_index("event_groups")?;
    Ok(Endpoint {
        id,
        application_id,
        environment: row.get(2)?,
        uid: row.get(3)?,
        name: row.get(4)?,
        description: row.get(5)?,
        url: row.get(6)?,
        method: method.parse().map_err(|()| damaged("an HTTP method"))?,
        transport: transport.parse().map_err(|()| damaged("a transport"))?,
        auth: confidential.auth,
        headers: confidential.headers,
        subscription: Subscription::new(read_json(row, 8)?, read_json(row, groups)?),
        channels: read_json(row, 9)?,
        throttle_rate: row.get::<_, Option<u16>>("throttle_rate")?.and_then(ThrottleRate::new),
        ordered: row.get("ordered")?,
        metadata: read_json(row, 10)?.unwrap_or_default(),
        state: read_state(row)?,
        secrets,
        revision: read_count(row, 15)?,
        created_at: row.get(16)?,
        updated_at: row.get(17)?,
    })
}

fn read_state(row: &Row<'_>) -> Fallible<EndpointState> {
    let at = |row: &Row<'_>| row.get::<_, Option<Timestamp>>(12).map(Option::unwrap_or_default);
    let reason = |row: &Row<'_>| row.get::<_, Option<String>>(13).map(Option::unwrap_or_default);
    match row.get::<_, i64>(11)? {
        0 => Ok(EndpointState::Enabled),
        1 => Ok(EndpointState::Paused { at: at(row)?, reason: reason(row)? }),
        2 => Ok(EndpointState::Disabled { at: at(row)?, reason: reason(row)? }),
        _ => Err(damaged("an endpoint's state")),
    }
}
