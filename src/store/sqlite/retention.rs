//! Removing what has grown too old, in small steps. What is old is found by a reader; the
//! writing thread gets a short list, looks once more whether nothing is pending, and removes
//! whole messages.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::batch::Batch;
use super::columns::read_count;
use super::fault::Fallible;
use crate::domain::{ApplicationId, Due, MessageId, Retention, Timestamp};
use crate::store::{AgeWalk, RetentionOf};

/// How many messages one step looks at: a few milliseconds of a reader's time.
const MESSAGES_LOOKED_AT_MAX: usize = 1_000;

/// How many rows one step removes or empties, but one whole message at least: half a
/// millisecond of the writing thread's time.
const ROWS_PER_STEP: u64 = 64;

/// So many bytes of content weigh as much as a row: they have pages of their own.
const BYTES_PER_ROW: u64 = 4_096;

/// A message for which something is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aged {
    seq: i64,
    id: MessageId,
    application: ApplicationId,
    due: Due,
}

/// What a step has found, and where its walk stands when that is dealt with.
pub(super) struct Found {
    pub(super) aged: Vec<Aged>,
    pub(super) walk: AgeWalk,
}

/// What a step has done.
pub(super) struct Applied {
    pub(super) walk: AgeWalk,
    /// Whether the newest of all messages was removed, so that a later one may get its place.
    pub(super) newest_removed: bool,
}

/// Looks for what is due next. Nothing is written.
pub(super) fn look(
    connection: &Connection,
    mut walk: AgeWalk,
    rules: &RetentionOf,
    now: Timestamp,
) -> Fallible<Found> {
    let mut select = connection.prepare_cached(
        "SELECT m.seq, m.id, m.application_id, octet_length(m.payload), m.created_at_us,
            a.environment
         FROM messages m CROSS JOIN applications a ON a.id = m.application_id
         WHERE m.seq > ?1 ORDER BY m.seq",
    )?;
    let mut rows = select.query(params![walk.after_seq])?;
    let mut known: HashMap<Arc<str>, Retention> = HashMap::new();
    let (mut aged, mut weight, mut looked_at) = (Vec::new(), 0, 0);
    walk.done = true;
    while let Some(row) = rows.next()? {
        let age = now.since(row.get(4)?);
        if age < walk.age {
            break;
        }
        let environment: Arc<str> = row.get(5)?;
        let retention = *known.entry(environment).or_insert_with_key(|name| rules(name));
        let seq = row.get(0)?;
        let one = Aged { seq, id: row.get(1)?, application: row.get(2)?, due: retention.due(age) };
        let bytes = read_count(row, 3)?;
        let nothing = one.due == Due::Nothing || (one.due == Due::Emptying && bytes == 0);
        if !nothing && is_pending(connection, one.id)? {
            walk.leave_behind(seq);
        } else if !nothing {
            weight += rows_of(connection, one.id)? + bytes / BYTES_PER_ROW;
            if weight > ROWS_PER_STEP && !aged.is_empty() {
                walk.done = false;
                break;
            }
            aged.push(one);
        }
        walk.after_seq = seq;
        looked_at += 1;
        if looked_at == MESSAGES_LOOKED_AT_MAX {
            walk.done = false;
            break;
        }
    }
    Ok(Found { aged, walk })
}

fn is_pending(connection: &Connection, message: MessageId) -> Fallible<bool> {
    let mut select = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM deliveries WHERE message_id = ?1 AND state = 0)",
    )?;
    Ok(select.query_row(params![message], |row| row.get(0))?)
}

fn rows_of(connection: &Connection, message: MessageId) -> Fallible<u64> {
    let mut select = connection.prepare_cached(
        "SELECT 1 + (SELECT count(*) FROM deliveries WHERE message_id = ?1)
            + (SELECT count(*) FROM attempts WHERE message_id = ?1)",
    )?;
    let rows: i64 = select.query_row(params![message], |row| row.get(0))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// Does what is due. What became pending since it was found is left behind.
pub(super) fn apply(batch: &mut Batch<'_>, found: Found) -> Fallible<Applied> {
    let Found { aged, mut walk } = found;
    let (mut removals, mut emptyings) = (Vec::new(), Vec::new());
    for one in aged {
        if is_pending(batch.connection, one.id)? {
            walk.leave_behind(one.seq);
        } else if one.due == Due::Removal {
            removals.push(one);
        } else {
            emptyings.push(one);
        }
    }
    walk.removed += removals.len() as u64;
    walk.emptied += emptyings.len() as u64;
    let newest_removed = keep_newest(batch.connection, &removals)?;
    remove(batch.connection, &removals)?;
    for one in &emptyings {
        empty(batch.connection, one)?;
    }
    Ok(Applied { walk, newest_removed })
}

/// Removes messages with all that belongs to them. They come in the order of the tables' keys,
/// and one table after the other is several times as fast as one message after the other.
fn remove(connection: &Connection, messages: &[Aged]) -> Fallible<()> {
    let mut delete = connection.prepare_cached("DELETE FROM attempts WHERE message_id = ?1")?;
    for message in messages {
        delete.execute(params![message.id])?;
    }
    let mut removed: HashMap<ApplicationId, usize> = HashMap::new();
    let mut delete = connection.prepare_cached("DELETE FROM deliveries WHERE message_id = ?1")?;
    for message in messages {
        *removed.entry(message.application).or_default() += delete.execute(params![message.id])?;
    }
    let mut delete = connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?;
    for message in messages {
        delete.execute(params![message.seq])?;
    }
    let mut update = connection
        .prepare_cached("UPDATE ledger SET removed = removed + ?2 WHERE application_id = ?1")?;
    for (application, deliveries) in removed {
        update.execute(params![application, i64::try_from(deliveries).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

/// Where the newest of all messages is to be removed, its id is kept, as later ones must be
/// higher. Returns whether it is so.
fn keep_newest(connection: &Connection, removals: &[Aged]) -> Fallible<bool> {
    let Some(last) = removals.last() else { return Ok(false) };
    let mut select = connection.prepare_cached("SELECT max(seq) FROM messages")?;
    let newest: Option<i64> = select.query_row([], |row| row.get(0))?;
    if newest != Some(last.seq) {
        return Ok(false);
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO settings (name, value) VALUES ('newest_message', ?1)
         ON CONFLICT (name) DO UPDATE SET value = ?1",
    )?;
    upsert.execute(params![last.id])?;
    Ok(true)
}

/// Removes a message's content and that of its attempts.
fn empty(connection: &Connection, message: &Aged) -> Fallible<()> {
    let mut update = connection.prepare_cached(
        "UPDATE attempts SET truncated = truncated OR body IS NOT NULL, headers = NULL, body = NULL
         WHERE message_id = ?1 AND (headers IS NOT NULL OR body IS NOT NULL)",
    )?;
    update.execute(params![message.id])?;
    rewrite_without_payload(connection, message.seq)
}

/// Deletes a message's row and puts it back without its payload. An update in place would
/// leave the room in the row's page, where nothing else can use it; a deletion merges pages.
fn rewrite_without_payload(connection: &Connection, seq: i64) -> Fallible<()> {
    let mut select = connection.prepare_cached("SELECT * FROM messages WHERE seq = ?1")?;
    let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
    let values = select
        .query_row(params![seq], |row| {
            (0..columns.len()).map(|place| row.get(place)).collect::<rusqlite::Result<Vec<Value>>>()
        })
        .optional()?;
    let Some(mut values) = values else { return Ok(()) };
    for (column, value) in columns.iter().zip(&mut values) {
        if column == "payload" {
            *value = Value::Text(String::new());
        }
    }
    connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute(params![seq])?;
    let places = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT INTO messages ({}) VALUES ({places})", columns.join(", "));
    connection.prepare_cached(&insert)?.execute(params_from_iter(values))?;
    Ok(())
}
