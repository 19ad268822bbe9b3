//! How many attempts at an endpoint's deliveries ended how, hour by hour, and what happened in
//! each environment minute by minute.
//!
//! The writing thread counts in memory and writes the counts down later, a few in each
//! transaction: a row for each endpoint in each transaction would cost more than a chart is
//! worth, and all rows in one transaction would hold up everybody who publishes meanwhile.
//! Readers add what they find in memory to what is written. A crash loses what wasn't written
//! yet, of the counts alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use super::columns::{count, read_count};
use super::fault::Fallible;
use super::traffic::{self, Minutes};
use crate::domain::{ApplicationId, Attempt, Endpoint, EndpointId, Result, Timestamp};
use crate::store::{EndpointHour, TrafficMinute};

/// How long counts stay in memory before their turn to be written comes, in microseconds.
const DUE_AFTER_US: i64 = 5_000_000;

/// With how many counts in memory their turn comes at once.
const DUE_FROM: usize = 10_000;

/// How many counts are taken to memory while none can be written. Further ones are left out.
const UNWRITTEN_MAX: usize = 40_000;

/// How many endpoints' hours one transaction writes, beside as many as it counted itself, so
/// that memory empties faster than it fills. It removes as many old ones.
const HOURS_PER_BATCH: usize = 250;

/// How many environments' minutes one transaction writes, likewise.
const MINUTES_PER_BATCH: usize = 16;

/// How many hours are kept: the last day, and the one before to compare it with.
const HOURS_KEPT: i64 = 49;

const HOUR_US: i64 = 3_600_000_000;

/// What succeeded and what failed.
type Ends = (u64, u64);

#[derive(Default)]
struct Counts {
    hours: BTreeMap<(EndpointId, i64), Ends>,
    minutes: Minutes,
}

impl Counts {
    fn len(&self) -> usize {
        self.hours.len() + self.minutes.len()
    }

    fn add_hour(&mut self, key: (EndpointId, i64), (succeeded, failed): Ends) {
        let sum = self.hours.entry(key).or_default();
        sum.0 += succeeded;
        sum.1 += failed;
    }

    fn add(&mut self, other: Counts) {
        for (key, ends) in other.hours {
            self.add_hour(key, ends);
        }
        self.minutes.add(other.minutes);
    }

    /// Writes the first so many hours and minutes, in the order of the tables' keys.
    fn write(&self, connection: &Connection, (hours, minutes): (usize, usize)) -> Fallible<()> {
        self.minutes.write(connection, minutes)?;
        let mut upsert = connection.prepare_cached(
            "INSERT INTO endpoint_hours (endpoint_id, hour, succeeded, failed)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (endpoint_id, hour) DO UPDATE SET
                succeeded = succeeded + ?3, failed = failed + ?4",
        )?;
        let mut newest = i64::MIN;
        for ((endpoint, hour), (succeeded, failed)) in self.hours.iter().take(hours) {
            upsert.execute(params![endpoint, hour, count(*succeeded), count(*failed)])?;
            newest = newest.max(*hour);
        }
        let mut delete = connection.prepare_cached(
            "DELETE FROM endpoint_hours WHERE (endpoint_id, hour) IN
                (SELECT endpoint_id, hour FROM endpoint_hours INDEXED BY endpoint_hours_by_age
                 WHERE hour <= ?1 ORDER BY hour LIMIT ?2)",
        )?;
        delete.execute(params![newest.saturating_sub(HOURS_KEPT), count(hours as u64)])?;
        Ok(())
    }

    /// Takes off what [`Counts::write`] wrote.
    fn written(&mut self, (hours, minutes): (usize, usize)) {
        for _ in 0..hours {
            self.hours.pop_first();
        }
        self.minutes.written(minutes);
    }
}

/// What committed transactions counted and none has written yet.
#[derive(Default)]
pub(super) struct Unwritten {
    fresh: Counts,
    /// What is being written, a few in each transaction. What is counted meanwhile is fresh, so
    /// that everybody's turn comes.
    leaving: Counts,
}

fn lock(unwritten: &Mutex<Unwritten>) -> MutexGuard<'_, Unwritten> {
    unwritten.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the writing thread counts.
#[derive(Default)]
pub(super) struct Activity {
    unwritten: Arc<Mutex<Unwritten>>,
    /// Of the running transaction.
    running: Counts,
    /// How many hours and minutes the running transaction writes.
    writing: (usize, usize),
    /// When the first fresh one was counted.
    since: Option<Timestamp>,
    /// When the running transaction counted last.
    latest: Option<Timestamp>,
}

impl Activity {
    /// What readers look into.
    pub(super) fn unwritten(&self) -> Arc<Mutex<Unwritten>> {
        Arc::clone(&self.unwritten)
    }

    /// Counts a published event.
    pub(super) fn count_event(&mut self, environment: &Arc<str>, at: Timestamp) {
        self.latest = Some(at);
        self.running.minutes.event(environment, at);
    }

    /// Counts the end of an attempt.
    pub(super) fn count_attempt(&mut self, endpoint: &Endpoint, attempt: &Attempt, at: Timestamp) {
        self.latest = Some(at);
        let ends = if attempt.succeeded { (1, 0) } else { (0, 1) };
        self.running.add_hour((endpoint.id, hour(at)), ends);
        self.running.minutes.attempt(&endpoint.environment, attempt, at);
    }

    /// Writes some counts down, where their turn has come. A transaction that counts nothing
    /// isn't made to write.
    pub(super) fn write_some(&mut self, connection: &Connection) -> Fallible<()> {
        let Some(now) = self.latest else { return Ok(()) };
        let since = *self.since.get_or_insert(now);
        let mut unwritten = lock(&self.unwritten);
        let old = now.as_micros() - since.as_micros() >= DUE_AFTER_US;
        if unwritten.leaving.len() == 0 && (old || unwritten.fresh.len() >= DUE_FROM) {
            unwritten.leaving = std::mem::take(&mut unwritten.fresh);
            self.since = Some(now);
        }
        let leaving = &unwritten.leaving;
        if leaving.len() > 0 {
            let hours = HOURS_PER_BATCH + self.running.hours.len();
            let minutes = MINUTES_PER_BATCH + self.running.minutes.len();
            self.writing = (hours, minutes);
            leaving.write(connection, self.writing)?;
        }
        Ok(())
    }

    /// Writes all counts down.
    pub(super) fn write_all(&mut self, connection: &Connection) -> Fallible<()> {
        let mut unwritten = lock(&self.unwritten);
        let fresh = std::mem::take(&mut unwritten.fresh);
        unwritten.leaving.add(fresh);
        self.writing = (unwritten.leaving.hours.len(), unwritten.leaving.minutes.len());
        unwritten.leaving.write(connection, self.writing)
    }

    /// Commits. What is written and what is in memory change as one for those who read.
    pub(super) fn commit(&mut self, commit: impl FnOnce() -> Result<()>) -> Result<()> {
        let writes = self.writing != (0, 0);
        let held = writes.then(|| lock(&self.unwritten));
        commit()?;
        if !writes && self.latest.is_none() {
            return Ok(());
        }
        let mut unwritten = held.unwrap_or_else(|| lock(&self.unwritten));
        unwritten.leaving.written(std::mem::take(&mut self.writing));
        let running = std::mem::take(&mut self.running);
        if unwritten.fresh.len() < UNWRITTEN_MAX {
            unwritten.fresh.add(running);
        }
        self.latest = None;
        Ok(())
    }

    /// The transaction came to nothing: what it counted never happened, and what it wrote is
    /// still to be written.
    pub(super) fn forget(&mut self) {
        self.running = Counts::default();
        self.writing = (0, 0);
        self.latest = None;
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(HOUR_US)
}

/// Copies from memory what the caller's read transaction doesn't see, which it has to begin
/// with. The transaction begins with its first read, and nobody may commit in between.
fn begin<T>(
    connection: &Connection,
    unwritten: &Mutex<Unwritten>,
    copy: impl Fn(&Counts) -> Vec<T>,
) -> Fallible<Vec<T>> {
    let unwritten = lock(unwritten);
    connection.prepare_cached("SELECT 1 FROM sqlite_schema LIMIT 1")?.exists([])?;
    let mut copied = copy(&unwritten.leaving);
    copied.extend(copy(&unwritten.fresh));
    Ok(copied)
}

/// The counts of an application's endpoints since `since`, oldest first.
pub(super) fn of_application(
    connection: &Connection,
    unwritten: &Mutex<Unwritten>,
    application: ApplicationId,
    since: Timestamp,
) -> Fallible<Vec<EndpointHour>> {
    let first = hour(since);
    let recent = |counts: &Counts| {
        let hours = counts.hours.iter().filter(|((_, hour), _)| *hour >= first);
        hours.map(|(key, ends)| (*key, *ends)).collect()
    };
    let copied = begin(connection, unwritten, recent)?;
    let mut hours = read(connection, application, first)?;
    let endpoints = endpoints(connection, application)?;
    for ((endpoint, hour), (succeeded, failed)) in copied {
        if endpoints.contains(&endpoint) {
            let sum = hours.entry((hour, endpoint)).or_default();
            sum.0 += succeeded;
            sum.1 += failed;
        }
    }
    let hours = hours.into_iter().map(|((hour, endpoint), (succeeded, failed))| {
        let starts_at = Timestamp::from_micros(hour.saturating_mul(HOUR_US));
        EndpointHour { endpoint, starts_at, succeeded, failed }
    });
    Ok(hours.collect())
}

fn endpoints(
    connection: &Connection,
    application: ApplicationId,
) -> Fallible<BTreeSet<EndpointId>> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM endpoints WHERE application_id = ?1 AND deleted_at_us IS NULL",
    )?;
    let ids = select.query_map([application], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn read(
    connection: &Connection,
    application: ApplicationId,
    first: i64,
) -> Fallible<BTreeMap<(i64, EndpointId), Ends>> {
    let mut select = connection.prepare_cached(
        "SELECT h.hour, h.endpoint_id, h.succeeded, h.failed
         FROM endpoints e CROSS JOIN endpoint_hours h ON h.endpoint_id = e.id
         WHERE e.application_id = ?1 AND e.deleted_at_us IS NULL AND h.hour >= ?2",
    )?;
    let mut rows = select.query(params![application, first])?;
    let mut hours = BTreeMap::new();
    while let Some(row) = rows.next()? {
        hours.insert((row.get(0)?, row.get(1)?), (read_count(row, 2)?, read_count(row, 3)?));
    }
    Ok(hours)
}

/// What happened in an environment since `since`, oldest first.
pub(super) fn of_environment(
    connection: &Connection,
    unwritten: &Mutex<Unwritten>,
    environment: &str,
    since: Timestamp,
) -> Fallible<Vec<TrafficMinute>> {
    let recent = |counts: &Counts| counts.minutes.of(environment, since);
    let copied = begin(connection, unwritten, recent)?;
    traffic::of_environment(connection, copied, environment, since)
}

#[cfg(test)]
mod tests {
    use super::super::connection::open_memory;
    use super::*;

    #[test]
    fn what_a_failed_transaction_wrote_is_written_by_the_next() {
        let connection = open_memory().unwrap();
        let mut activity = Activity::default();
        let environment: Arc<str> = "production".into();
        let start = Timestamp::from_seconds(1_750_000_000);
        let mut transact = |seconds: i64, commits: bool| {
            let now = Timestamp::from_micros(start.as_micros() + seconds * 1_000_000);
            connection.execute_batch("BEGIN").unwrap();
            activity.count_event(&environment, now);
            activity.write_some(&connection).unwrap();
            if commits {
                let commit = || connection.execute_batch("COMMIT").map(drop);
                activity.commit(|| commit().map_err(|_| unreachable!("it commits"))).unwrap();
            } else {
                connection.execute_batch("ROLLBACK").unwrap();
                activity.forget();
            }
            let written = "SELECT coalesce(sum(count), 0) FROM environment_minutes";
            let written: i64 = connection.query_row(written, [], |row| row.get(0)).unwrap();
            let unwritten = activity.unwritten();
            let shown = of_environment(&connection, &unwritten, &environment, start).unwrap();
            (written, shown.iter().map(|minute| minute.events).sum::<u64>())
        };
        assert_eq!(transact(0, true), (0, 1));
        assert_eq!(transact(1, true), (0, 2));
        assert_eq!(transact(7, false), (0, 2));
        assert_eq!(transact(8, true), (2, 3));
    }
}
