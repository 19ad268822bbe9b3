//! How an environment stands: what waits, what fails, what is paused.

use rusqlite::{Connection, Row, params};

use super::columns::read_count;
use super::fault::Fallible;
use crate::domain::{ApplicationId, Timestamp};
use crate::store::{Standing, Trouble, Troubles};

/// So many failed attempts in a row are more than a hiccup.
const FAILURES_MIN: u32 = 3;

/// Within the caller's read transaction.
pub(super) fn of_environment(
    connection: &Connection,
    environment: &str,
    limit: u32,
) -> Fallible<Standing> {
    Ok(Standing {
        pending: pending(connection, environment)?,
        failing: failing(connection, environment, limit)?,
        paused: paused(connection, environment, limit)?,
    })
}

/// By the ledger's totals: counting the rows takes time that grows with the backlog. What waits
/// for deleted applications is on its way out.
fn pending(connection: &Connection, environment: &str) -> Fallible<u64> {
    let mut select = connection.prepare_cached(
        "SELECT coalesce(sum(l.accepted - l.succeeded - l.failed - l.discarded), 0)
         FROM applications a JOIN ledger l ON l.application_id = a.id
         WHERE a.environment = ?1 AND a.deleted_at_us IS NULL",
    )?;
    let mut rows = select.query([environment])?;
    rows.next()?.map_or(Ok(0), |row| read_count(row, 0))
}

/// Driven by the table of health: only endpoints with failed attempts are in it.
fn failing(connection: &Connection, environment: &str, limit: u32) -> Fallible<Troubles> {
    let select = "SELECT e.id, e.name, e.url, a.id, a.uid, a.name,
            h.health ->> 'failing_since_us' AS since, NULL, h.health ->> 'consecutive_failures',
            count(*) OVER ()
         FROM endpoint_health h CROSS JOIN endpoints e ON e.id = h.endpoint_id
            CROSS JOIN applications a ON a.id = e.application_id
         WHERE e.environment = ?1 AND e.state = 0 AND e.deleted_at_us IS NULL
            AND h.health ->> 'consecutive_failures' >= ?3 AND since IS NOT NULL
         ORDER BY since, e.id LIMIT ?2";
    let mut select = connection.prepare_cached(select)?;
    read(select.query(params![environment, limit, FAILURES_MIN])?)
}

fn paused(connection: &Connection, environment: &str, limit: u32) -> Fallible<Troubles> {
    let select =
        "SELECT e.id, e.name, e.url, a.id, a.uid, a.name, e.state_at_us, e.state_reason, 0,
            count(*) OVER ()
         FROM endpoints e INDEXED BY endpoints_paused
            JOIN applications a ON a.id = e.application_id
         WHERE e.environment = ?1 AND e.state = 1 AND e.deleted_at_us IS NULL
         ORDER BY e.state_at_us DESC, e.id LIMIT ?2";
    let mut select = connection.prepare_cached(select)?;
    read(select.query(params![environment, limit])?)
}

fn read(mut rows: rusqlite::Rows<'_>) -> Fallible<Troubles> {
    let mut troubles = Troubles::default();
    while let Some(row) = rows.next()? {
        troubles.count = read_count(row, 9)?;
        troubles.first.push(trouble(row)?);
    }
    Ok(troubles)
}

fn trouble(row: &Row<'_>) -> rusqlite::Result<Trouble> {
    let application: ApplicationId = row.get(3)?;
    let uid: Option<String> = row.get(4)?;
    Ok(Trouble {
        endpoint: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        application: (uid.unwrap_or_else(|| application.to_string()), row.get(5)?),
        since: row.get::<_, Timestamp>(6)?,
        reason: row.get(7)?,
        failures: row.get(8)?,
    })
}
