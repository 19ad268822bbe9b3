//! Event types that the company added to its contract's own.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::fault::{Fallible, unique};
use crate::domain::{Error, EventType};

const COLUMNS: &str = "name, group_name, title, description, schema, example, archived, \
    created_at_us, updated_at_us";

pub(super) fn list(connection: &Connection, environment: &str) -> Fallible<Vec<EventType>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM event_types WHERE environment = ?1 ORDER BY name"
    ))?;
    let rows = select.query_map(params![environment], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn get(
    connection: &Connection,
    environment: &str,
    name: &str,
) -> Fallible<Option<EventType>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM event_types WHERE environment = ?1 AND name = ?2"
    ))?;
    Ok(select.query_row(params![environment, name], read).optional()?)
}

/// Replacing one keeps the time of its creation.
pub(super) fn put(
    batch: &mut Batch<'_>,
    environment: &str,
    event_type: &EventType,
    replace: bool,
) -> Fallible<()> {
    let on_conflict = if replace {
        "ON CONFLICT (environment, name) DO UPDATE SET group_name = ?3, title = ?4,
            description = ?5, schema = ?6, example = ?7, archived = ?8, updated_at_us = ?10"
    } else {
        ""
    };
    let mut insert = batch.connection.prepare_cached(&format!(
        "INSERT INTO event_types (environment, {COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) {on_conflict}"
    ))?;
    let inserted = insert.execute(params![
        environment,
        event_type.name,
        event_type.group,
        event_type.title,
        event_type.description,
        event_type.schema,
        event_type.example,
        event_type.archived,
        event_type.created_at,
        event_type.updated_at
    ]);
    let conflict = "An event type with this name exists already.";
    unique(inserted, &[("event_types.name", conflict)])?;
    Ok(())
}

pub(super) fn delete(batch: &mut Batch<'_>, environment: &str, name: &str) -> Fallible<()> {
    let mut delete = batch
        .connection
        .prepare_cached("DELETE FROM event_types WHERE environment = ?1 AND name = ?2")?;
    match delete.execute(params![environment, name])? {
        0 => Err(Error::not_found().into()),
        _ => Ok(()),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<EventType> {
    Ok(EventType {
        name: row.get(0)?,
        group: row.get(1)?,
        title: row.get(2)?,
        description: row.get(3)?,
        schema: row.get(4)?,
        example: row.get(5)?,
        archived: row.get(6)?,
        from_contract: false,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}
