//! Looking for what a resend sends: along the application's messages, in the order of their
//! publishing. Counting and sending look in the same way, so that they find the same.

use rusqlite::{Connection, Row, named_params};

use super::columns::read_json;
use super::fault::Fallible;
use super::range::{IdRange, id_number};
use crate::domain::{Candidate, Endpoint, MessageId, ResendScope};
use crate::store::Page;

/// The messages that a resend is about.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) scope: ResendScope,
    /// The last message it is about: what is published later goes out by itself.
    pub(super) through: MessageId,
}

/// How far one look goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Messages found.
    pub(super) found: usize,
    /// Messages looked at.
    pub(super) scanned: usize,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) found: Vec<MessageId>,
    /// The last message that was looked at.
    pub(super) reached: MessageId,
    /// Whether there is nothing behind it.
    pub(super) done: bool,
}

/// Looks at the messages behind `after`.
pub(super) fn walk(
    connection: &Connection,
    route: &Route,
    endpoint: &Endpoint,
    after: MessageId,
    reach: Reach,
) -> Fallible<Walked> {
    let page = Page { after: Some(after), descending: false, limit: 0 };
    let range = IdRange::of(&page, id_number).within(Some(route.scope.since), route.scope.until);
    let mut select = connection.prepare_cached(
        "SELECT m.id, d.state, m.event_type, m.event_group, m.channels, m.tags,
            m.created_at_us, m.test, octet_length(m.payload) > 0
         FROM messages m INDEXED BY messages_by_application
         LEFT JOIN deliveries d ON d.message_id = m.id AND d.endpoint_id = :endpoint
         WHERE m.application_id = :application AND m.id BETWEEN :low AND :high
            AND m.id <= :through
         ORDER BY m.id",
    )?;
    let mut rows = select.query(named_params! {
        ":endpoint": endpoint.id,
        ":application": endpoint.application_id,
        ":low": range.low(),
        ":high": range.high(),
        ":through": route.through,
    })?;
    let mut walked = Walked { found: Vec::new(), reached: after, done: false };
    let mut scanned = 0;
    while let Some(row) = rows.next()? {
        if scanned == reach.scanned || walked.found.len() == reach.found {
            return Ok(walked);
        }
        scanned += 1;
        walked.reached = row.get(0)?;
        if route.scope.takes(endpoint, &candidate(row)?) {
            walked.found.push(walked.reached);
        }
    }
    walked.done = true;
    Ok(walked)
}

fn candidate(row: &Row<'_>) -> Fallible<Candidate> {
    Ok(Candidate {
        delivery: row.get(1)?,
        event_type: row.get(2)?,
        event_group: row.get(3)?,
        channels: read_json(row, 4)?.unwrap_or_default(),
        tags: read_json(row, 5)?.unwrap_or_default(),
        published_at: row.get(6)?,
        test: row.get(7)?,
        has_payload: row.get(8)?,
    })
}
