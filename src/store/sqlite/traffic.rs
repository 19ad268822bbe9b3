//! What happened in each environment, minute by minute: events, attempts, and how long events
//! took to arrive.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::columns::{count, read_count};
use super::fault::Fallible;
use crate::domain::{Attempt, Timestamp, Trigger};
use crate::store::{LATENCY_BOUNDS_MS, TrafficMinute};

/// How many minutes are kept.
const MINUTES_KEPT: i64 = 180;

const MINUTE_US: i64 = 60_000_000;

const EVENTS: usize = 0;
const SUCCEEDED: usize = 1;
const FAILED: usize = 2;
const LATENCY: usize = 3;
const MEASURES: usize = LATENCY + LATENCY_BOUNDS_MS.len() + 1;

/// How many old rows go with each minute that is written: more than a minute has.
const DELETED_PER_MINUTE: usize = 64;

type Measures = [u64; MEASURES];

/// What was counted.
#[derive(Default)]
pub(super) struct Minutes {
    minutes: BTreeMap<(Arc<str>, i64), Measures>,
}

impl Minutes {
    pub(super) fn len(&self) -> usize {
        self.minutes.len()
    }

    fn at(&mut self, environment: &Arc<str>, at: Timestamp) -> &mut Measures {
        self.minutes.entry((Arc::clone(environment), minute(at))).or_insert([0; MEASURES])
    }

    pub(super) fn event(&mut self, environment: &Arc<str>, at: Timestamp) {
        self.at(environment, at)[EVENTS] += 1;
    }

    pub(super) fn attempt(&mut self, environment: &Arc<str>, attempt: &Attempt, at: Timestamp) {
        let counts = self.at(environment, at);
        if !attempt.succeeded {
            counts[FAILED] += 1;
            return;
        }
        counts[SUCCEEDED] += 1;
        // Later attempts would tell of the receiver's outages and of the contract's schedule,
        // and those that a person asked for of how long that person took.
        if attempt.number == 1 && attempt.trigger == Trigger::Scheduled {
            let took_ms = at.since(attempt.delivery.message.time()).as_millis();
            let place = LATENCY_BOUNDS_MS.partition_point(|&bound| u128::from(bound) < took_ms);
            counts[LATENCY + place] += 1;
        }
    }

    pub(super) fn add(&mut self, other: Minutes) {
        for (key, counts) in other.minutes {
            add(self.minutes.entry(key).or_insert([0; MEASURES]), &counts);
        }
    }

    /// Writes the first `limit` minutes, in the order of the table's key.
    pub(super) fn write(&self, connection: &Connection, limit: usize) -> Fallible<()> {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO environment_minutes (environment, minute, measure, count)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (environment, minute, measure) DO UPDATE SET count = count + ?4",
        )?;
        let mut delete = connection.prepare_cached(
            "DELETE FROM environment_minutes WHERE (environment, minute, measure) IN
                (SELECT environment, minute, measure FROM environment_minutes
                 WHERE environment = ?1 AND minute <= ?2 LIMIT ?3)",
        )?;
        for ((environment, minute), counts) in self.minutes.iter().take(limit) {
            for (measure, &number) in (0_i64..).zip(counts).filter(|(_, number)| **number > 0) {
                upsert.execute(params![environment, minute, measure, count(number)])?;
            }
            let oldest = minute.saturating_sub(MINUTES_KEPT);
            delete.execute(params![environment, oldest, count(DELETED_PER_MINUTE as u64)])?;
        }
        Ok(())
    }

    /// Takes off what [`Minutes::write`] wrote.
    pub(super) fn written(&mut self, limit: usize) {
        for _ in 0..limit {
            self.minutes.pop_first();
        }
    }

    /// An environment's minutes since `since`.
    pub(super) fn of(&self, environment: &str, since: Timestamp) -> Vec<(i64, Measures)> {
        let wanted = |(name, at): &(Arc<str>, i64)| **name == *environment && *at >= minute(since);
        let minutes = self.minutes.iter().filter(|(key, _)| wanted(key));
        minutes.map(|((_, minute), counts)| (*minute, *counts)).collect()
    }
}

fn add(sums: &mut Measures, counts: &Measures) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MINUTE_US)
}

/// An environment's minutes since `since`, oldest first, with those of `unwritten` added; those
/// without traffic are left out.
pub(super) fn of_environment(
    connection: &Connection,
    unwritten: Vec<(i64, Measures)>,
    environment: &str,
    since: Timestamp,
) -> Fallible<Vec<TrafficMinute>> {
    let mut select = connection.prepare_cached(
        "SELECT minute, measure, count FROM environment_minutes
         WHERE environment = ?1 AND minute >= ?2",
    )?;
    let mut rows = select.query(params![environment, minute(since)])?;
    let mut minutes: BTreeMap<i64, Measures> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let measure = usize::try_from(read_count(row, 1)?).unwrap_or(usize::MAX);
        let counts = minutes.entry(row.get(0)?).or_insert([0; MEASURES]);
        if let Some(count) = counts.get_mut(measure) {
            *count = read_count(row, 2)?;
        }
    }
    for (minute, counts) in unwritten {
        add(minutes.entry(minute).or_insert([0; MEASURES]), &counts);
    }
    Ok(minutes.into_iter().map(|(minute, counts)| traffic(minute, &counts)).collect())
}

fn traffic(minute: i64, counts: &Measures) -> TrafficMinute {
    let mut traffic =
        TrafficMinute::empty(Timestamp::from_micros(minute.saturating_mul(MINUTE_US)));
    traffic.events = counts[EVENTS];
    traffic.succeeded = counts[SUCCEEDED];
    traffic.failed = counts[FAILED];
    traffic.latency.copy_from_slice(&counts[LATENCY..]);
    traffic
}
