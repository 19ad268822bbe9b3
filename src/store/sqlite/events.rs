//! Events: messages in the order of their commits, which is the order of their ids (see
//! [`Batch::message_id`](super::batch::Batch::message_id)). So what a reader finds is all that
//! there will ever be up to the highest id that it finds.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::applications;
use super::fault::{Fallible, damaged};
use super::messages;
use crate::domain::{Application, ApplicationId, MessageId};
use crate::store::{EventPage, EventQuery, EventStart};

/// How many events are looked at for one page: a few milliseconds' worth. A reader of a rare
/// type comes back for the rest, and meanwhile others have their turn.
const EVENTS_SCANNED_MAX: usize = 2_000;

pub(super) fn read(
    connection: &Connection,
    application: ApplicationId,
    query: &EventQuery,
) -> Fallible<EventPage> {
    let application = applications::live(connection, application)?;
    let start = match query.start {
        EventStart::Oldest => MessageId::LOWEST,
        EventStart::After(id) => id,
        EventStart::Latest => {
            let last = newest_of(connection, application.id)?;
            return Ok(EventPage { events: Vec::new(), last, has_more: false });
        }
    };
    let found = scan(connection, application.id, start, query)?;
    fetch(connection, &application, found, query.max_bytes)
}

fn newest_of(connection: &Connection, application: ApplicationId) -> Fallible<MessageId> {
    let mut select =
        connection.prepare_cached("SELECT max(id) FROM messages WHERE application_id = ?1")?;
    let newest: Option<MessageId> = select.query_row(params![application], |row| row.get(0))?;
    Ok(newest.unwrap_or(MessageId::LOWEST))
}

/// What a page can be made of.
struct Found {
    matching: Vec<MessageId>,
    last: MessageId,
    has_more: bool,
}

fn scan(
    connection: &Connection,
    application: ApplicationId,
    start: MessageId,
    query: &EventQuery,
) -> Fallible<Found> {
    let types: HashSet<&str> = query.event_types.iter().map(String::as_str).collect();
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    // Without the payload, so that passing over a large one costs as little as a small one.
    let mut select = connection.prepare_cached(
        "SELECT id, event_type FROM messages INDEXED BY messages_by_application
         WHERE application_id = ?1 AND id > ?2 ORDER BY id",
    )?;
    let mut rows = select.query(params![application, start])?;
    let mut found = Found { matching: Vec::new(), last: start, has_more: false };
    let mut scanned = 0;
    while let Some(row) = rows.next()? {
        if found.matching.len() == limit || scanned == EVENTS_SCANNED_MAX {
            found.has_more = true;
            break;
        }
        scanned += 1;
        found.last = row.get(0)?;
        let event_type = row.get_ref(1)?.as_str().map_err(|_| damaged("an event type"))?;
        if types.is_empty() || types.contains(event_type) {
            found.matching.push(found.last);
        }
    }
    Ok(found)
}

/// Reads what was found, as far as it goes into the page.
fn fetch(
    connection: &Connection,
    application: &Arc<Application>,
    found: Found,
    max_bytes: usize,
) -> Fallible<EventPage> {
    let Found { matching, last, has_more } = found;
    let mut page = EventPage { events: Vec::new(), last, has_more };
    let mut bytes: usize = 0;
    for id in matching {
        let message = messages::by_id(connection, application, id)?;
        let message = message.ok_or_else(|| damaged("an index of messages"))?;
        bytes = bytes.saturating_add(message.payload.len());
        if let Some(before) = page.events.last()
            && bytes > max_bytes
        {
            page.last = before.id;
            page.has_more = true;
            break;
        }
        page.events.push(message);
    }
    Ok(page)
}
