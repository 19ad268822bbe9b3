//! API keys.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::fault::{Fallible, damaged, unique};
use crate::domain::{ApiKey, ApplicationId, Error, KeyId, Scope, Timestamp};

const COLUMNS: &str = "id, name, environment, application_id, hash, created_at_us, revoked_at_us";

pub(super) fn create(batch: &mut Batch<'_>, key: &ApiKey) -> Fallible<()> {
    let (environment, application) = match &key.scope {
        Scope::Admin => (None, None),
        Scope::Environment(environment) => (Some(environment), None),
        Scope::Application { environment, application } => (Some(environment), Some(application)),
    };
    let mut insert = batch.connection.prepare_cached(
        "INSERT INTO api_keys
            (id, name, environment, application_id, hash, created_at_us, revoked_at_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let inserted = insert.execute(params![
        key.id,
        key.name,
        environment,
        application,
        key.hash,
        key.created_at,
        key.revoked_at
    ]);
    let conflict = "This API key exists already.";
    unique(inserted, &[("api_keys.id", conflict), ("api_keys.hash", conflict)])?;
    Ok(())
}

pub(super) fn list(connection: &Connection) -> Fallible<Vec<ApiKey>> {
    let mut select =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys ORDER BY id"))?;
    let mut rows = select.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read(row)?);
    }
    Ok(keys)
}

pub(super) fn revoke(batch: &mut Batch<'_>, id: KeyId, now: Timestamp) -> Fallible<ApiKey> {
    // The first revocation is the one that counts.
    let mut update = batch.connection.prepare_cached(
        "UPDATE api_keys SET revoked_at_us = coalesce(revoked_at_us, ?2) WHERE id = ?1",
    )?;
    update.execute(params![id, now])?;
    one(batch.connection, "id = ?1", params![id])?.ok_or_else(|| Error::not_found().into())
}

pub(super) fn find(connection: &Connection, hash: [u8; 32]) -> Fallible<Option<ApiKey>> {
    one(connection, "hash = ?1 AND revoked_at_us IS NULL", params![hash])
}

fn one(
    connection: &Connection,
    condition: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Fallible<Option<ApiKey>> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE {condition}");
    let mut select = connection.prepare_cached(&sql)?;
    select.query_row(values, |row| Ok(read(row))).optional()?.transpose()
}

fn read(row: &Row<'_>) -> Fallible<ApiKey> {
    let environment: Option<String> = row.get(2)?;
    let application: Option<ApplicationId> = row.get(3)?;
    let scope = match (environment, application) {
        (None, None) => Scope::Admin,
        (Some(environment), None) => Scope::Environment(environment.into()),
        (Some(environment), Some(application)) => {
            Scope::Application { environment: environment.into(), application }
        }
        (None, Some(_)) => return Err(damaged("an API key")),
    };
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        scope,
        hash: row.get(4)?,
        created_at: row.get(5)?,
        revoked_at: row.get(6)?,
    })
}
