//! Attempts: writing them down, and the lists of them.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, named_params, params};

use super::columns::{count, json, json_unless_empty, read_count, read_json};
use super::fault::{Fallible, damaged};
use super::range::{IdRange, id_number, order};
use super::{applications, endpoints, messages};
use crate::domain::{
    Answer, Application, ApplicationId, Attempt, AttemptId, DeliveryId, EndpointId, Error,
    MessageId, Outcome, Timing,
};
use crate::store::{AttemptFilter, AttemptRow, PAGE_BYTES, Page};

const COLUMNS: &str = "message_id, id, endpoint_id, number, manual, url, started_at_us, \
    duration_us, resolve_us, connect_us, tls_us, wait_us, receive_us, status, headers, body, \
    truncated, retry_after_us, failure, succeeded";

/// The statement for [`insert`].
pub(super) fn prepare_insert(connection: &Connection) -> Fallible<CachedStatement<'_>> {
    Ok(connection.prepare_cached(
        "INSERT INTO attempts (message_id, id, endpoint_id, number, manual, url,
            started_at_us, duration_us, resolve_us, connect_us, tls_us, wait_us, receive_us,
            status, headers, body, truncated, retry_after_us, failure, succeeded)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
            ?18, ?19, ?20)
         ON CONFLICT (message_id, id) DO NOTHING",
    )?)
}

/// Writes an attempt down. Returns whether it is a new one.
pub(super) fn insert(insert: &mut CachedStatement<'_>, attempt: &Attempt) -> Fallible<bool> {
    let (answer, failure) = match &attempt.outcome {
        Outcome::Answered(answer) => (Some(answer), None),
        Outcome::Failed(failure) => (None, Some(json(failure)?)),
    };
    let headers = answer.map(|answer| json_unless_empty(&answer.headers)).transpose()?.flatten();
    let body = answer.map(|answer| &answer.body).filter(|body| !body.is_empty());
    let timing = &attempt.timing;
    let inserted = insert.execute(params![
        attempt.delivery.message,
        attempt.id,
        attempt.delivery.endpoint,
        attempt.number,
        attempt.trigger,
        attempt.url,
        attempt.started_at,
        micros(attempt.duration),
        count(timing.resolve_us),
        count(timing.connect_us),
        count(timing.tls_us),
        count(timing.wait_us),
        count(timing.receive_us),
        answer.map(|answer| answer.status),
        headers,
        body,
        answer.is_some_and(|answer| answer.truncated),
        answer.and_then(|answer| answer.retry_after).map(micros),
        failure,
        attempt.succeeded
    ])?;
    Ok(inserted > 0)
}

/// Removes an attempt whose delivery is gone: discarded while it was under way, and then too
/// old to be kept.
pub(super) fn remove_orphan(connection: &Connection, attempt: &Attempt) -> Fallible<()> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM attempts WHERE message_id = ?1 AND id = ?2 AND NOT EXISTS
            (SELECT 1 FROM deliveries WHERE message_id = ?1 AND endpoint_id = ?3)",
    )?;
    let delivery = attempt.delivery;
    delete.execute(params![delivery.message, attempt.id, delivery.endpoint])?;
    Ok(())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn list(
    connection: &Connection,
    application: ApplicationId,
    filter: &AttemptFilter,
    page: &Page<AttemptId>,
) -> Fallible<Vec<AttemptRow>> {
    let application = applications::live(connection, application)?;
    let mine = endpoints::ids_with_deleted(connection, application.id)?;
    if filter.endpoint.is_some_and(|endpoint| !mine.contains(&endpoint)) {
        return Err(Error::not_found().into());
    }
    let keys = match (filter.message, filter.endpoint) {
        (Some(message), _) => {
            messages::by_id(connection, &application, message)?.ok_or_else(Error::not_found)?;
            matching(connection, Source::Message(message), &application, filter, page)?
        }
        (None, Some(endpoint)) => {
            matching(connection, Source::Endpoint(endpoint), &application, filter, page)?
        }
        (None, None) => {
            let mut keys = Vec::new();
            for endpoint in mine {
                let source = Source::Endpoint(endpoint);
                keys.extend(matching(connection, source, &application, filter, page)?);
            }
            first_of_all(keys, page)
        }
    };
    let mut rows: Vec<AttemptRow> = Vec::new();
    let mut bytes: usize = 0;
    for key in keys {
        let row = fetch(connection, &application, key)?;
        let breaks_off = bytes > PAGE_BYTES;
        bytes += row.bytes();
        rows.push(row);
        if breaks_off {
            break;
        }
    }
    Ok(rows)
}

pub(super) fn get(
    connection: &Connection,
    application: ApplicationId,
    message: MessageId,
    id: AttemptId,
) -> Fallible<AttemptRow> {
    let application = applications::live(connection, application)?;
    fetch(connection, &application, Key { id, message })
}

/// Where an attempt stands in the table.
struct Key {
    id: AttemptId,
    message: MessageId,
}

/// What a list goes along.
enum Source {
    /// The table itself.
    Message(MessageId),
    /// The index by endpoint.
    Endpoint(EndpointId),
}

/// The first page of several lists taken together.
fn first_of_all(mut keys: Vec<Key>, page: &Page<AttemptId>) -> Vec<Key> {
    keys.sort_unstable_by_key(|key| key.id);
    if page.descending {
        keys.reverse();
    }
    keys.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    keys
}

/// The attempts of one list that pass the filter.
fn matching(
    connection: &Connection,
    source: Source,
    application: &Application,
    filter: &AttemptFilter,
    page: &Page<AttemptId>,
) -> Fallible<Vec<Key>> {
    let (from, condition) = match source {
        Source::Message(_) => ("attempts a", "a.message_id = :message"),
        Source::Endpoint(_) => {
            ("attempts a INDEXED BY attempts_by_endpoint", "a.endpoint_id = :endpoint")
        }
    };
    // Both are named in either form, so that one set of parameters serves them.
    let sql = format!(
        "SELECT a.id, a.message_id FROM {from}
         WHERE {condition} AND a.id BETWEEN :low AND :high
            AND (:message IS NULL OR a.message_id = :message)
            AND (:endpoint IS NULL OR a.endpoint_id = :endpoint)
            AND (:succeeded IS NULL OR a.succeeded = :succeeded)
            AND (:class IS NULL OR coalesce(a.status, 0) / 100 = :class)
            AND (:after IS NULL OR a.started_at_us > :after)
            AND (:before IS NULL OR a.started_at_us < :before)
            AND ((:types IS NULL AND :channel IS NULL) OR EXISTS (
                SELECT 1 FROM messages m
                WHERE m.application_id = :application AND m.id = a.message_id
                    AND (:types IS NULL
                        OR m.event_type IN (SELECT value FROM json_each(:types)))
                    AND (:channel IS NULL
                        OR :channel IN (SELECT value FROM json_each(m.channels)))))
         ORDER BY a.id {} LIMIT :limit",
        order(page)
    );
    let (message, endpoint) = match source {
        Source::Message(message) => (Some(message), filter.endpoint),
        Source::Endpoint(endpoint) => (None, Some(endpoint)),
    };
    let range = IdRange::of(page, id_number).within(filter.after, filter.before);
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map(
        named_params! {
            ":application": application.id,
            ":message": message,
            ":endpoint": endpoint,
            ":low": range.low(),
            ":high": range.high(),
            ":succeeded": filter.succeeded,
            ":class": filter.status_class,
            ":after": filter.after,
            ":before": filter.before,
            ":types": json_unless_empty(&filter.event_types)?,
            ":channel": filter.channel,
            ":limit": page.limit,
        },
        |row| Ok(Key { id: row.get(0)?, message: row.get(1)? }),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn fetch(
    connection: &Connection,
    application: &Arc<Application>,
    key: Key,
) -> Fallible<AttemptRow> {
    let message =
        messages::by_id(connection, application, key.message)?.ok_or_else(Error::not_found)?;
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM attempts WHERE message_id = ?1 AND id = ?2"
    ))?;
    let read = |row: &Row<'_>| Ok(read(row, application.id));
    let attempt = select.query_row(params![key.message, key.id], read).optional()?;
    let attempt = attempt.unwrap_or_else(|| Err(Error::not_found().into()))?;
    Ok(AttemptRow { attempt, message })
}

fn read(row: &Row<'_>, application_id: ApplicationId) -> Fallible<Attempt> {
    Ok(Attempt {
        id: row.get(1)?,
        delivery: DeliveryId { message: row.get(0)?, endpoint: row.get(2)? },
        application_id,
        number: row.get(3)?,
        trigger: row.get(4)?,
        url: row.get(5)?,
        started_at: row.get(6)?,
        duration: Duration::from_micros(read_count(row, 7)?),
        timing: Timing {
            resolve_us: read_count(row, 8)?,
            connect_us: read_count(row, 9)?,
            tls_us: read_count(row, 10)?,
            wait_us: read_count(row, 11)?,
            receive_us: read_count(row, 12)?,
        },
        outcome: read_outcome(row)?,
        succeeded: row.get(19)?,
    })
}

fn read_outcome(row: &Row<'_>) -> Fallible<Outcome> {
    let status: Option<u16> = row.get(13)?;
    let Some(status) = status else {
        let failure = read_json(row, 18)?;
        return Ok(Outcome::Failed(failure.ok_or_else(|| damaged("an attempt's outcome"))?));
    };
    let retry_after: Option<i64> = row.get(17)?;
    Ok(Outcome::Answered(Answer {
        status,
        headers: read_json(row, 14)?.unwrap_or_default(),
        body: row.get::<_, Option<Vec<u8>>>(15)?.unwrap_or_default(),
        truncated: row.get(16)?,
        retry_after: retry_after.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros),
    }))
}
