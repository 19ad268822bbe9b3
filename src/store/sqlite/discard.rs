//! Discarding what waits for an endpoint that stays, in steps between which others write.

use rusqlite::{Connection, params};

use super::batch::{Batch, DISCARDS_PER_BATCH, Totals};
use super::fault::Fallible;
use super::history::{self, Details};
use super::{messages, ordered};
use crate::domain::{Actor, ApplicationId, EndpointId, HistoryEvent, MessageId, Timestamp};
use crate::store::Discard;

/// A delivery in its endpoint's queue.
struct Waiting {
    next_at: Timestamp,
    message: MessageId,
    /// Whether a person asked for the attempt since the discard began.
    resent: bool,
}

/// Makes the next step. Walking along the queue by where the last step ended, each row is
/// looked at once: one that is put off meanwhile comes again further back.
pub(super) fn step(
    batch: &mut Batch<'_>,
    application: ApplicationId,
    endpoint: EndpointId,
    mut discard: Discard,
    now: Timestamp,
) -> Fallible<Discard> {
    batch.endpoint_of(application, endpoint)?;
    let connection = batch.connection;
    let through = match discard.through {
        Some(through) => through,
        None => *discard.through.insert(messages::newest(connection)?),
    };
    let waiting = look(connection, endpoint, &discard)?;
    let affected = |delivery: &&Waiting| !delivery.resent && delivery.message <= through;
    let mut ids: Vec<MessageId> =
        waiting.iter().filter(affected).map(|delivery| delivery.message).collect();
    // In the order of the table's key, which is faster than that of the queue.
    ids.sort_unstable();
    let mut update = connection.prepare_cached(
        "UPDATE deliveries
         SET state = 3, lease_epoch = NULL, lease_node = NULL, lease_until_us = NULL
         WHERE message_id = ?1 AND endpoint_id = ?2 AND state = 0",
    )?;
    for message in &ids {
        update.execute(params![message, endpoint])?;
    }
    let discarded = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    batch.count(application, Totals { discarded, ..Totals::default() });
    discard.discarded += ids.len() as u64;
    match waiting.last() {
        Some(last) => discard.after = Some((last.next_at, last.message)),
        None => finish(batch, endpoint, &mut discard, now)?,
    }
    Ok(discard)
}

fn finish(
    batch: &mut Batch<'_>,
    endpoint: EndpointId,
    discard: &mut Discard,
    now: Timestamp,
) -> Fallible<()> {
    discard.done = true;
    ordered::discarded(batch.connection, endpoint)?;
    if discard.discarded == 0 {
        return Ok(());
    }
    let dropped = match discard.discarded {
        1 => "1 waiting delivery was dropped".to_owned(),
        count => format!("{count} waiting deliveries were dropped"),
    };
    let details = Details { reason: Some(dropped), last_failure: None };
    history::add(batch, endpoint, (HistoryEvent::PendingDiscarded, Actor::Api), details, now)
}

fn look(
    connection: &Connection,
    endpoint: EndpointId,
    discard: &Discard,
) -> Fallible<Vec<Waiting>> {
    let mut select = connection.prepare_cached(
        "SELECT next_at_us, message_id, manual AND next_at_us > ?4
         FROM deliveries INDEXED BY deliveries_pending
         WHERE endpoint_id = ?1 AND state = 0 AND (next_at_us, message_id) > (?2, ?3)
         ORDER BY next_at_us, message_id LIMIT ?5",
    )?;
    let start = (Timestamp::from_micros(i64::MIN), MessageId::from_bytes([0; 16]));
    let (next_at, message) = discard.after.unwrap_or(start);
    let values = params![endpoint, next_at, message, discard.started_at, DISCARDS_PER_BATCH];
    let rows = select.query_map(values, |row| {
        Ok(Waiting { next_at: row.get(0)?, message: row.get(1)?, resent: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
