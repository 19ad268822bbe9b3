//! What happened in each environment, minute by minute: events, attempts, and how long events
//! took to arrive.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::columns::{count, read_count};
use super::fault::Fallible;
use crate::domain::{Attempt, Timestamp};
use crate::store::{LATENCY_BOUNDS_MS, TrafficMinute};

/// How many minutes are kept.
const MINUTES_KEPT: i64 = 180;

const MINUTE_US: i64 = 60_000_000;

const EVENTS: usize = 0;
const SUCCEEDED: usize = 1;
const FAILED: usize = 2;
const LATENCY: usize = 3;
const MEASURES: usize = LATENCY + LATENCY_BOUNDS_MS.len() + 1;

/// What was counted and isn't written yet.
#[derive(Default)]
pub(super) struct Counts {
    minutes: HashMap<(Arc<str>, i64), [u64; MEASURES]>,
}

impl Counts {
    pub(super) fn len(&self) -> usize {
        self.minutes.len()
    }

    fn at(&mut self, environment: &Arc<str>, at: Timestamp) -> &mut [u64; MEASURES] {
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
        // Later attempts would tell of the receiver's outages and of the contract's schedule.
        if attempt.number == 1 {
            let took_ms = at.since(attempt.delivery.message.time()).as_millis();
            let place = LATENCY_BOUNDS_MS.partition_point(|&bound| u128::from(bound) < took_ms);
            counts[LATENCY + place] += 1;
        }
    }

    pub(super) fn write(self, connection: &Connection) -> Fallible<()> {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO environment_minutes (environment, minute, measure, count)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (environment, minute, measure) DO UPDATE SET count = count + ?4",
        )?;
        let mut delete = connection.prepare_cached(
            "DELETE FROM environment_minutes WHERE environment = ?1 AND minute <= ?2",
        )?;
        for ((environment, minute), counts) in self.minutes {
            for (measure, &number) in (0_i64..).zip(&counts).filter(|(_, number)| **number > 0) {
                upsert.execute(params![environment, minute, measure, count(number)])?;
            }
            delete.execute(params![environment, minute.saturating_sub(MINUTES_KEPT)])?;
        }
        Ok(())
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MINUTE_US)
}

/// An environment's minutes since `since`, oldest first; those without traffic are left out.
pub(super) fn of_environment(
    connection: &Connection,
    environment: &str,
    since: Timestamp,
) -> Fallible<Vec<TrafficMinute>> {
    let mut select = connection.prepare_cached(
        "SELECT minute, measure, count FROM environment_minutes
         WHERE environment = ?1 AND minute >= ?2 ORDER BY minute, measure",
    )?;
    let mut rows = select.query(params![environment, minute(since)])?;
    let mut minutes: Vec<TrafficMinute> = Vec::new();
    while let Some(row) = rows.next()? {
        let starts_at = Timestamp::from_micros(row.get::<_, i64>(0)?.saturating_mul(MINUTE_US));
        if minutes.last().is_none_or(|last| last.starts_at != starts_at) {
            minutes.push(TrafficMinute::empty(starts_at));
        }
        let Some(last) = minutes.last_mut() else { continue };
        let (measure, number) = (read_count(row, 1)?, read_count(row, 2)?);
        match usize::try_from(measure).unwrap_or(usize::MAX) {
            EVENTS => last.events = number,
            SUCCEEDED => last.succeeded = number,
            FAILED => last.failed = number,
            latency => {
                if let Some(bucket) = last.latency.get_mut(latency - LATENCY) {
                    *bucket = number;
                }
            }
        }
    }
    Ok(minutes)
}
