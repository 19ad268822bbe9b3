//! Applications.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::columns::{json, read_json};
use super::confidential;
use super::fault::{Fallible, unique};
use super::range::{IdRange, id_number, order};
use super::{endpoints, passes};
use crate::domain::{
    Application, ApplicationId, Endpoint, EndpointId, Error, Reference, SigningSecret, Timestamp,
};
use crate::store::{Page, Vault};

const COLUMNS: &str = "id, environment, uid, name, metadata, created_at_us, updated_at_us";
const CONFLICTS: [(&str, &str); 2] = [
    ("applications.uid", "An application with this uid exists already."),
    ("applications.id", "An application with this id exists already."),
];

pub(super) fn create(
    batch: &mut Batch<'_>,
    application: Application,
) -> Fallible<Arc<Application>> {
    let mut insert = batch.connection.prepare_cached(
        "INSERT INTO applications
            (id, environment, uid, name, metadata, created_at_us, updated_at_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let inserted = insert.execute(params![
        application.id,
        application.environment,
        application.uid,
        application.name,
        json(&application.metadata)?,
        application.created_at,
        application.updated_at
    ]);
    unique(inserted, &CONFLICTS)?;
    batch.caches.forget_operations();
    Ok(Arc::new(application))
}

pub(super) fn update(
    batch: &mut Batch<'_>,
    application: Application,
) -> Fallible<Arc<Application>> {
    let mut update = batch.connection.prepare_cached(
        "UPDATE applications SET uid = ?3, name = ?4, metadata = ?5, updated_at_us = ?6
         WHERE id = ?1 AND environment = ?2 AND deleted_at_us IS NULL",
    )?;
    let updated = update.execute(params![
        application.id,
        application.environment,
        application.uid,
        application.name,
        json(&application.metadata)?,
        application.updated_at
    ]);
    unique(updated, &CONFLICTS)?;
    batch.caches.forget(application.id);
    batch
        .application(application.id)?
        .filter(|stored| stored.environment == application.environment)
        .ok_or_else(|| Error::not_found().into())
}

pub(super) fn delete(
    batch: &mut Batch<'_>,
    id: ApplicationId,
    now: Timestamp,
) -> Fallible<Vec<EndpointId>> {
    let application = batch.application(id)?.ok_or_else(Error::not_found)?;
    let endpoints = batch.endpoints(&application)?;
    let mut update = batch.connection.prepare_cached(
        "UPDATE applications SET deleted_at_us = ?2, confidential = NULL WHERE id = ?1",
    )?;
    update.execute(params![id, now])?;
    passes::delete_of_application(batch, id)?;
    for endpoint in endpoints.iter() {
        endpoints::mark_deleted(batch, endpoint.id, now)?;
    }
    batch.caches.forget(id);
    batch.tell(id);
    Ok(endpoints.iter().map(|endpoint| endpoint.id).collect())
}

/// The secrets that an application's endpoints share.
pub(super) fn secrets(
    connection: &Connection,
    vault: &Vault,
    id: ApplicationId,
) -> Fallible<Vec<SigningSecret>> {
    let mut select =
        connection.prepare_cached("SELECT confidential FROM applications WHERE id = ?1")?;
    let sealed: Option<Option<Vec<u8>>> =
        select.query_row(params![id], |row| row.get(0)).optional()?;
    match sealed.flatten() {
        Some(sealed) => confidential::open_shared(id, &sealed, vault),
        None => Ok(Vec::new()),
    }
}

/// The same of an application that must be there.
pub(super) fn live_secrets(
    connection: &Connection,
    vault: &Vault,
    id: ApplicationId,
) -> Fallible<Vec<SigningSecret>> {
    live(connection, id)?;
    secrets(connection, vault, id)
}

pub(super) fn replace_secrets(
    batch: &mut Batch<'_>,
    id: ApplicationId,
    were: &[SigningSecret],
    secrets: &[SigningSecret],
) -> Fallible<Vec<Arc<Endpoint>>> {
    let application = batch.application(id)?.ok_or_else(Error::not_found)?;
    if self::secrets(batch.connection, &batch.vault, id)? != were {
        return Err(Error::conflict("The secret was changed in the meantime.").into());
    }
    let sealed = confidential::seal_shared(id, secrets, &batch.vault)?;
    let mut update = batch
        .connection
        .prepare_cached("UPDATE applications SET confidential = ?2 WHERE id = ?1")?;
    update.execute(params![id, sealed])?;
    let endpoints = batch.endpoints(&application)?;
    let changed = endpoints.iter().map(|endpoint| endpoints::share(batch, endpoint, secrets));
    let changed = changed.collect::<Fallible<_>>()?;
    batch.caches.forget(id);
    Ok(changed)
}

/// The live application of that id.
pub(super) fn by_id(connection: &Connection, id: ApplicationId) -> Fallible<Option<Application>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM applications WHERE id = ?1 AND deleted_at_us IS NULL"
    ))?;
    select.query_row(params![id], |row| Ok(read(row))).optional()?.transpose()
}

/// The live application of that uid.
pub(super) fn by_uid(
    connection: &Connection,
    environment: &str,
    uid: &str,
) -> Fallible<Option<ApplicationId>> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM applications
         WHERE environment = ?1 AND uid = ?2 AND deleted_at_us IS NULL",
    )?;
    Ok(select.query_row(params![environment, uid], |row| row.get(0)).optional()?)
}

/// The live application of that id, or `not_found`.
pub(super) fn live(connection: &Connection, id: ApplicationId) -> Fallible<Arc<Application>> {
    by_id(connection, id)?.map(Arc::new).ok_or_else(|| Error::not_found().into())
}

pub(super) fn get(
    connection: &Connection,
    environment: &Arc<str>,
    reference: &Reference,
) -> Fallible<Arc<Application>> {
    if let Ok(id) = reference.0.parse()
        && let Some(application) = by_id(connection, id)?
        && application.environment == *environment
    {
        return Ok(Arc::new(application));
    }
    let id = by_uid(connection, environment, &reference.0)?.ok_or_else(Error::not_found)?;
    live(connection, id)
}

pub(super) fn list(
    connection: &Connection,
    environment: &Arc<str>,
    page: &Page<ApplicationId>,
) -> Fallible<Vec<Arc<Application>>> {
    let range = IdRange::of(page, id_number);
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM applications
         WHERE environment = ?1 AND id BETWEEN ?2 AND ?3 AND deleted_at_us IS NULL
         ORDER BY id {} LIMIT ?4",
        order(page)
    ))?;
    let mut rows = select.query(params![environment, range.low(), range.high(), page.limit])?;
    let mut applications = Vec::new();
    while let Some(row) = rows.next()? {
        applications.push(Arc::new(read(row)?));
    }
    Ok(applications)
}

fn read(row: &Row<'_>) -> Fallible<Application> {
    Ok(Application {
        id: row.get(0)?,
        environment: row.get(1)?,
        uid: row.get(2)?,
        name: row.get(3)?,
        metadata: read_json(row, 4)?.unwrap_or_default(),
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}
