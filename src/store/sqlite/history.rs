//! An endpoint's history, written in the transaction of what it tells of.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::fault::{Fallible, damaged};
use super::range::{IdRange, id_number, order};
use crate::domain::{
    Actor, ApplicationId, EndpointId, Error, HISTORY_PER_ENDPOINT_MAX, HistoryEntry, HistoryEvent,
    HistoryId, Reference, Timestamp,
};
use crate::store::Page;

/// What is told of an event beside its name.
#[derive(Default)]
pub(super) struct Details {
    pub(super) reason: Option<String>,
    pub(super) last_failure: Option<String>,
}

/// Adds an entry, and removes the oldest where there are too many.
pub(super) fn add(
    batch: &mut Batch<'_>,
    endpoint: EndpointId,
    (event, by): (HistoryEvent, Actor),
    details: Details,
    now: Timestamp,
) -> Fallible<()> {
    let id = next_id(batch.connection, endpoint, now)?;
    let mut insert = batch.connection.prepare_cached(
        "INSERT INTO endpoint_history (endpoint_id, id, at_us, event, actor, reason, last_failure)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let Details { reason, last_failure } = details;
    insert.execute(params![
        endpoint,
        id,
        now,
        event.as_str(),
        by.as_str(),
        reason,
        last_failure
    ])?;
    let mut trim = batch.connection.prepare_cached(
        "DELETE FROM endpoint_history WHERE endpoint_id = ?1 AND id <=
            (SELECT id FROM endpoint_history WHERE endpoint_id = ?1
             ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    trim.execute(params![endpoint, HISTORY_PER_ENDPOINT_MAX])?;
    Ok(())
}

/// An id behind all that the endpoint has, also where the clock stands still or was set back.
fn next_id(connection: &Connection, endpoint: EndpointId, now: Timestamp) -> Fallible<HistoryId> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM endpoint_history WHERE endpoint_id = ?1 ORDER BY id DESC LIMIT 1",
    )?;
    let latest: Option<HistoryId> =
        select.query_row(params![endpoint], |row| row.get(0)).optional()?;
    let after = latest.map_or(0, |latest| id_number(&latest).saturating_add(1));
    let number = id_number(&HistoryId::floor(now)).max(after);
    Ok(HistoryId::from_bytes(number.to_be_bytes()))
}

/// A page of the history of an endpoint, which may be deleted where its id names it.
pub(super) fn list(
    connection: &Connection,
    application: ApplicationId,
    reference: &Reference,
    page: &Page<HistoryId>,
) -> Fallible<Vec<HistoryEntry>> {
    let endpoint = find(connection, application, reference)?.ok_or_else(Error::not_found)?;
    let range = IdRange::of(page, id_number);
    let mut select = connection.prepare_cached(&format!(
        "SELECT id, at_us, event, actor, reason, last_failure FROM endpoint_history
         WHERE endpoint_id = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id {} LIMIT ?4",
        order(page)
    ))?;
    let mut rows = select.query(params![endpoint, range.low(), range.high(), page.limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read(row)?);
    }
    Ok(entries)
}

fn find(
    connection: &Connection,
    application: ApplicationId,
    reference: &Reference,
) -> Fallible<Option<EndpointId>> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM endpoints WHERE application_id = ?1 AND
            (id = ?2 OR (uid = ?3 AND deleted_at_us IS NULL))
         ORDER BY id = ?2 DESC LIMIT 1",
    )?;
    let id = reference.0.parse::<EndpointId>().ok();
    Ok(select.query_row(params![application, id, reference.0], |row| row.get(0)).optional()?)
}

fn read(row: &Row<'_>) -> Fallible<HistoryEntry> {
    let (event, by): (String, String) = (row.get(2)?, row.get(3)?);
    let event = HistoryEvent::ALL.into_iter().find(|known| known.as_str() == event);
    let by = Actor::ALL.into_iter().find(|known| known.as_str() == by);
    Ok(HistoryEntry {
        id: row.get(0)?,
        at: row.get(1)?,
        event: event.ok_or_else(|| damaged("an endpoint's history"))?,
        by: by.ok_or_else(|| damaged("an endpoint's history"))?,
        reason: row.get(4)?,
        last_failure: row.get(5)?,
    })
}
