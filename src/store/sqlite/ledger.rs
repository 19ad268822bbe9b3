//! The ledger: running totals, and what is pending, counted.

use std::collections::HashMap;

use rusqlite::Connection;

use super::columns::read_count;
use super::fault::Fallible;
use crate::domain::{ApplicationId, LedgerLine};

/// Reads all lines, within the caller's read transaction.
pub(super) fn lines(connection: &Connection) -> Fallible<Vec<LedgerLine>> {
    let unfinished = unfinished(connection)?;
    let mut select = connection.prepare_cached(
        "SELECT a.id, a.environment, a.uid, coalesce(l.accepted, 0), coalesce(l.succeeded, 0),
            coalesce(l.failed, 0), coalesce(l.discarded, 0), coalesce(l.removed, 0)
         FROM applications a LEFT JOIN ledger l ON l.application_id = a.id
         ORDER BY a.environment, a.id",
    )?;
    let mut rows = select.query([])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let application = row.get(0)?;
        let unfinished = unfinished.get(&application).copied().unwrap_or_default();
        lines.push(LedgerLine {
            environment: row.get(1)?,
            application,
            uid: row.get(2)?,
            accepted: read_count(row, 3)?,
            succeeded: read_count(row, 4)?,
            failed: read_count(row, 5)?,
            pending: unfinished.pending,
            discarded: read_count(row, 6)? + unfinished.discarded,
            removed: read_count(row, 7)?,
        });
    }
    Ok(lines)
}

#[derive(Clone, Copy, Default)]
struct Unfinished {
    pending: u64,
    /// Their endpoint is deleted, and their rows are about to say so.
    discarded: u64,
}

fn unfinished(connection: &Connection) -> Fallible<HashMap<ApplicationId, Unfinished>> {
    let mut select = connection.prepare_cached(
        "SELECT e.application_id, e.deleted_at_us IS NOT NULL, p.deliveries
         FROM (SELECT endpoint_id, count(*) AS deliveries
               FROM deliveries INDEXED BY deliveries_pending
               WHERE state = 0 GROUP BY endpoint_id) p
         CROSS JOIN endpoints e ON e.id = p.endpoint_id",
    )?;
    let mut rows = select.query([])?;
    let mut unfinished: HashMap<ApplicationId, Unfinished> = HashMap::new();
    while let Some(row) = rows.next()? {
        let of_application = unfinished.entry(row.get(0)?).or_default();
        if row.get(1)? {
            of_application.discarded += read_count(row, 2)?;
        } else {
            of_application.pending += read_count(row, 2)?;
        }
    }
    Ok(unfinished)
}
