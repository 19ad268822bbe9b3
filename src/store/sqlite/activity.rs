//! How many attempts at an endpoint's deliveries ended how, hour by hour, and what happened in
//! each environment minute by minute.
//!
//! The writing thread counts in memory and writes the counts down every few seconds: a row for
//! each endpoint in each transaction would cost more than a chart is worth. A crash loses what
//! wasn't written yet, of the counts alone.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::batch::Batch;
use super::columns::{count, read_count};
use super::fault::Fallible;
use super::traffic;
use crate::domain::{ApplicationId, Attempt, Endpoint, EndpointId, Timestamp};
use crate::store::EndpointHour;

/// How long counts stay in memory, in microseconds.
const UNWRITTEN_MAX_US: i64 = 5_000_000;

/// How many counts stay in memory.
const UNWRITTEN_MAX: usize = 10_000;

/// How many hours are kept: the last day, and the one before to compare it with.
const HOURS_KEPT: i64 = 49;

const HOUR_US: i64 = 3_600_000_000;

/// What was counted and isn't written yet.
#[derive(Default)]
pub(super) struct Activity {
    counts: HashMap<(EndpointId, i64), (u64, u64)>,
    traffic: traffic::Counts,
    since: Option<Timestamp>,
}

impl Activity {
    /// Counts a published event.
    pub(super) fn count_event(&mut self, environment: &Arc<str>, at: Timestamp) {
        self.since.get_or_insert(at);
        self.traffic.event(environment, at);
    }

    /// Counts the end of an attempt.
    pub(super) fn count_attempt(&mut self, endpoint: &Endpoint, attempt: &Attempt, at: Timestamp) {
        self.since.get_or_insert(at);
        let counts = self.counts.entry((endpoint.id, hour(at))).or_default();
        match attempt.succeeded {
            true => counts.0 += 1,
            false => counts.1 += 1,
        }
        self.traffic.attempt(&endpoint.environment, attempt, at);
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let old =
            self.since.is_some_and(|since| now.as_micros() - since.as_micros() >= UNWRITTEN_MAX_US);
        old || self.counts.len() + self.traffic.len() >= UNWRITTEN_MAX
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(HOUR_US)
}

/// Writes the counts down where it is time to.
pub(super) fn write_if_due(batch: &mut Batch<'_>, now: Timestamp) -> Fallible<()> {
    if batch.activity.is_due(now) { write(batch) } else { Ok(()) }
}

/// Writes all counts down.
pub(super) fn write(batch: &mut Batch<'_>) -> Fallible<()> {
    let activity = std::mem::take(&mut batch.activity);
    let mut upsert = batch.connection.prepare_cached(
        "INSERT INTO endpoint_hours (endpoint_id, hour, succeeded, failed) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (endpoint_id, hour) DO UPDATE SET
            succeeded = succeeded + ?3, failed = failed + ?4",
    )?;
    let mut newest = i64::MIN;
    for ((endpoint, hour), (succeeded, failed)) in activity.counts {
        upsert.execute(params![endpoint, hour, count(succeeded), count(failed)])?;
        newest = newest.max(hour);
    }
    let mut delete =
        batch.connection.prepare_cached("DELETE FROM endpoint_hours WHERE hour <= ?1")?;
    delete.execute(params![newest.saturating_sub(HOURS_KEPT)])?;
    activity.traffic.write(batch.connection)
}

/// The counts of an application's endpoints since `since`, oldest first.
pub(super) fn of_application(
    batch: &mut Batch<'_>,
    application: ApplicationId,
    since: Timestamp,
) -> Fallible<Vec<EndpointHour>> {
    write(batch)?;
    read(batch.connection, application, since)
}

fn read(
    connection: &Connection,
    application: ApplicationId,
    since: Timestamp,
) -> Fallible<Vec<EndpointHour>> {
    let mut select = connection.prepare_cached(
        "SELECT h.endpoint_id, h.hour, h.succeeded, h.failed
         FROM endpoints e JOIN endpoint_hours h ON h.endpoint_id = e.id
         WHERE e.application_id = ?1 AND e.deleted_at_us IS NULL AND h.hour >= ?2
         ORDER BY h.hour",
    )?;
    let mut rows = select.query(params![application, hour(since)])?;
    let mut hours = Vec::new();
    while let Some(row) = rows.next()? {
        let hour: i64 = row.get(1)?;
        hours.push(EndpointHour {
            endpoint: row.get(0)?,
            starts_at: Timestamp::from_micros(hour.saturating_mul(HOUR_US)),
            succeeded: read_count(row, 2)?,
            failed: read_count(row, 3)?,
        });
    }
    Ok(hours)
}
