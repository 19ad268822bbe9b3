//! Deliveries as a log shows them: newest message first, each with its last attempt.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::{Connection, Row, named_params, params};

use super::applications;
use super::columns::{read_count, read_json};
use super::fault::Fallible;
use super::range::{IdRange, id_number, order};
use crate::domain::{ApplicationId, DeliveryId, DeliveryState, EndpointId, Failure, MessageId};
use crate::store::{DeliveryFilter, DeliveryLine, DeliveryPage, DeliveryResult, LastAttempt, Page};

/// How many deliveries are looked at for one page. A filter that matches next to nothing comes
/// back for the rest, and meanwhile others have their turn.
const DELIVERIES_SCANNED_MAX: usize = 10_000;

pub(super) fn list(
    connection: &Connection,
    application: ApplicationId,
    filter: &DeliveryFilter,
    page: &Page<DeliveryId>,
) -> Fallible<DeliveryPage> {
    let application = applications::live(connection, application)?;
    let types: HashSet<&str> = filter.event_types.iter().map(String::as_str).collect();
    let (range, limit) = (range(filter, page), usize::try_from(page.limit).unwrap_or(usize::MAX));
    let mut select = connection.prepare_cached(&sql(page))?;
    let mut rows = select.query(named_params! {
        ":application": application.id,
        ":low": range.low(),
        ":high": range.high(),
        ":endpoint": filter.endpoint,
    })?;
    let mut found = DeliveryPage { lines: Vec::new(), first: None, reached: None, has_more: false };
    let mut scanned = 0;
    while let Some(row) = rows.next()? {
        let endpoint: Option<EndpointId> = row.get(5)?;
        let message: MessageId = row.get(0)?;
        // A message without such a delivery counts as looked at, and is passed by as a whole.
        let whole = if page.descending { EndpointId::MIN } else { EndpointId::MAX };
        let id = DeliveryId { message, endpoint: endpoint.unwrap_or(whole) };
        if page.after.is_some_and(|after| !is_behind(id, after, page.descending)) {
            continue;
        }
        if found.lines.len() == limit || scanned == DELIVERIES_SCANNED_MAX {
            found.has_more = true;
            break;
        }
        scanned += 1;
        found.first.get_or_insert(id);
        found.reached = Some((id, row.get(3)?));
        if endpoint.is_none() {
            continue;
        }
        let line = read(row, id)?;
        let in_time = filter.after.is_none_or(|after| line.published_at >= after)
            && filter.before.is_none_or(|before| line.published_at < before);
        if in_time
            && (types.is_empty() || types.contains(&*line.event_type))
            && filter.result.is_none_or(|wanted| is_result(&line, wanted))
        {
            found.lines.push(line);
        }
    }
    Ok(found)
}

/// The messages that a page can be about. Where it starts within a message's deliveries is for
/// [`is_behind`] to say.
fn range(filter: &DeliveryFilter, page: &Page<DeliveryId>) -> IdRange {
    if let Some(message) = filter.message {
        return IdRange::only(id_number(&message));
    }
    let number = |id: &MessageId| id_number(id);
    let from = page.after.map(|after| {
        let message = id_number(&after.message);
        // One step back, so that the rest of the message's deliveries is in it.
        let before =
            if page.descending { message.saturating_add(1) } else { message.saturating_sub(1) };
        MessageId::from_bytes(before.to_be_bytes())
    });
    let messages = Page { after: from, descending: page.descending, limit: page.limit };
    IdRange::of(&messages, number).within(filter.after, filter.before)
}

fn is_behind(id: DeliveryId, after: DeliveryId, descending: bool) -> bool {
    if descending { id < after } else { id > after }
}

fn sql(page: &Page<DeliveryId>) -> String {
    let order = order(page);
    format!(
        "SELECT m.id, m.event_type, m.event_id, m.created_at_us, m.test,
            d.endpoint_id, d.state, d.attempts, coalesce(r.at_us, d.next_at_us), e.name, e.url,
            e.deleted_at_us IS NOT NULL, e.state,
            a.started_at_us, a.duration_us, a.status, a.failure, a.succeeded
         FROM messages m INDEXED BY messages_by_application
         LEFT JOIN deliveries d ON d.message_id = m.id
            AND (:endpoint IS NULL OR d.endpoint_id = :endpoint)
         LEFT JOIN endpoints e ON e.id = d.endpoint_id
         LEFT JOIN ordered_retries r ON r.endpoint_id = d.endpoint_id
            AND r.message_id = d.message_id AND d.failed_in_round > 0
         LEFT JOIN attempts a ON a.message_id = d.message_id AND a.id = (
            -- The sign keeps SQLite from walking all attempts at the endpoint instead.
            SELECT max(l.id) FROM attempts l
            WHERE l.message_id = d.message_id AND +l.endpoint_id = d.endpoint_id)
         WHERE m.application_id = :application AND m.id BETWEEN :low AND :high
         ORDER BY m.id {order}, d.endpoint_id {order}"
    )
}

fn read(row: &Row<'_>, id: DeliveryId) -> Fallible<DeliveryLine> {
    let (state, deleted): (DeliveryState, bool) = (row.get(6)?, row.get(11)?);
    let state = match state {
        // It only wasn't written down yet.
        DeliveryState::Pending if deleted => DeliveryState::Discarded,
        state => state,
    };
    let enabled = row.get::<_, u8>(12)? == 0;
    let pending = state == DeliveryState::Pending;
    let failure: Option<Failure> = read_json(row, 16)?;
    let started_at: Option<_> = row.get(13)?;
    let last = match started_at {
        None => None,
        Some(started_at) => Some(LastAttempt {
            started_at,
            duration: Duration::from_micros(read_count(row, 14)?),
            status: row.get(15)?,
            failure,
            succeeded: row.get(17)?,
        }),
    };
    Ok(DeliveryLine {
        id,
        event_type: row.get(1)?,
        event_id: row.get(2)?,
        published_at: row.get(3)?,
        test: row.get(4)?,
        state,
        attempts: row.get(7)?,
        next_at: if pending && enabled { Some(row.get(8)?) } else { None },
        waits: pending && !enabled,
        endpoint_name: row.get(9)?,
        endpoint_url: row.get(10)?,
        endpoint_deleted: deleted,
        last,
    })
}

fn is_result(line: &DeliveryLine, wanted: DeliveryResult) -> bool {
    let last = line.last.as_ref();
    match wanted {
        DeliveryResult::Class(class) => {
            last.and_then(|last| last.status).is_some_and(|status| status / 100 == class)
        }
        DeliveryResult::NoAnswer => last.is_some_and(|last| last.status.is_none()),
        DeliveryResult::Delivered => line.state == DeliveryState::Succeeded,
        DeliveryResult::Failed => line.state == DeliveryState::Failed,
        DeliveryResult::Cancelled => line.state == DeliveryState::Discarded,
        DeliveryResult::Waiting => line.waits,
        DeliveryResult::Retrying => line.next_at.is_some() && last.is_some(),
        DeliveryResult::Pending => line.next_at.is_some() && last.is_none(),
    }
}

pub(super) fn count_waiting(
    connection: &Connection,
    application: ApplicationId,
    endpoint: EndpointId,
) -> Fallible<u64> {
    let mut select = connection.prepare_cached(
        "SELECT count(*) FROM endpoints e
         CROSS JOIN deliveries d INDEXED BY deliveries_pending
            ON d.endpoint_id = e.id AND d.state = 0
         WHERE e.application_id = ?1 AND e.id = ?2",
    )?;
    let counted: i64 = select.query_row(params![application, endpoint], |row| row.get(0))?;
    Ok(u64::try_from(counted).unwrap_or(0))
}
