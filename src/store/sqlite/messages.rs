//! Messages: accepting, reading, listing.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, named_params, params};

use super::applications;
use super::batch::{Batch, Totals};
use super::claim::refuse_unless_delivering;
use super::columns::{json_unless_empty, read_json};
use super::fault::{Fallible, unique};
use super::ordered;
use super::range::{IdRange, id_number, order};
use crate::domain::{
    Application, ApplicationId, Audience, Endpoint, Error, Message, MessageId, Reference,
    Timestamp, Trigger,
};
use crate::store::{Accepted, Job, Lease, MessageFilter, NewMessage, PAGE_BYTES, Page, Room};

const COLUMNS: &str = "id, event_type, event_id, payload, channels, tags, created_at_us, \
    event_group, test";

pub(super) fn accept(
    batch: &mut Batch<'_>,
    new: NewMessage,
    lease: Lease,
    room: &dyn Room,
    now: Timestamp,
) -> Fallible<Accepted> {
    if !room.takes_turn() {
        return Err(Error::unavailable("The publisher no longer waits.").into());
    }
    batch.disk.check()?;
    let application = batch.resolve(&new.environment, &new.application)?;
    if new.only_application.is_some_and(|only| only != application.id) {
        return Err(Error::not_found().into());
    }
    let endpoints = batch.endpoints(&application)?;
    let epoch = batch.lease_epoch()?;
    let message = Arc::new(Message {
        id: batch.message_id(new.id)?,
        application,
        event_type: new.event_type,
        event_group: new.event_group,
        event_id: new.event_id,
        payload: new.payload,
        channels: new.channels,
        tags: new.tags,
        test: new.test,
        created_at: now,
    });
    let takers = takers(&endpoints, &message, new.audience)?;
    let mut inserts = match batch.inserts.take() {
        Some(inserts) => inserts,
        None => Inserts::prepare(batch.connection)?,
    };
    insert(&mut inserts.message, &message)?;

    let (claimed, unclaimed) = (Vec::new(), Vec::new());
    let mut accepted = Accepted { message, deliveries: 0, claimed, unclaimed };
    let message = &accepted.message;
    for endpoint in takers {
        accepted.deliveries += 1;
        let claims = endpoint.state.delivers() && room.has_room(endpoint);
        let held = claims.then_some((epoch, lease.node, lease.until));
        let (epoch, node, until) = split(held);
        let place = if endpoint.ordered { ordered::place(message.id) } else { now };
        inserts.delivery.execute(params![message.id, endpoint.id, place, epoch, node, until])?;
        if claims {
            let job = Job {
                message: Arc::clone(message),
                endpoint: endpoint.id,
                attempts: 0,
                failed_in_round: 0,
                trigger: Trigger::Scheduled,
                lease,
            };
            accepted.claimed.push((job, Arc::clone(endpoint)));
        } else if endpoint.state.delivers() {
            accepted.unclaimed.push(endpoint.id);
        }
    }
    let totals = Totals { accepted: accepted.deliveries.into(), ..Totals::default() };
    batch.count(message.application.id, totals);
    batch.activity.count_event(&message.application.environment, now);
    batch.tell(message.application.id);
    batch.weighs();
    batch.inserts = Some(inserts);
    Ok(accepted)
}

/// The statements of [`accept`], kept from one message to the next: to look them up costs as
/// much as binding their values.
pub(super) struct Inserts<'c> {
    message: CachedStatement<'c>,
    delivery: CachedStatement<'c>,
}

impl<'c> Inserts<'c> {
    fn prepare(connection: &'c Connection) -> Fallible<Inserts<'c>> {
        Ok(Inserts {
            message: connection.prepare_cached(
                "INSERT INTO messages (id, application_id, event_type, event_id, payload,
                    channels, tags, created_at_us, event_group, test)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?,
            delivery: connection.prepare_cached(
                "INSERT INTO deliveries (message_id, endpoint_id, state, attempts,
                    failed_in_round, manual, next_at_us, lease_epoch, lease_node, lease_until_us)
                 VALUES (?1, ?2, 0, 0, 0, 0, ?3, ?4, ?5, ?6)",
            )?,
        })
    }
}

/// The endpoints that get a message.
fn takers<'e>(
    endpoints: &'e [Arc<Endpoint>],
    message: &Message,
    audience: Audience,
) -> Fallible<Vec<&'e Arc<Endpoint>>> {
    let Audience::Only(id) = audience else {
        let active_only = audience == Audience::ActiveSubscribers;
        let takes = |endpoint: &&Arc<Endpoint>| {
            endpoint.takes(message) && (endpoint.state.delivers() || !active_only)
        };
        return Ok(endpoints.iter().filter(takes).collect());
    };
    let endpoint = endpoints.iter().find(|endpoint| endpoint.id == id);
    let endpoint = endpoint.ok_or_else(Error::not_found)?;
    refuse_unless_delivering(endpoint)?;
    Ok(vec![endpoint])
}

fn split<A, B, C>(three: Option<(A, B, C)>) -> (Option<A>, Option<B>, Option<C>) {
    match three {
        Some((a, b, c)) => (Some(a), Some(b), Some(c)),
        None => (None, None, None),
    }
}

fn insert(insert: &mut CachedStatement<'_>, message: &Message) -> Fallible<()> {
    let inserted = insert.execute(params![
        message.id,
        message.application.id,
        message.event_type,
        message.event_id,
        message.payload,
        json_unless_empty(&message.channels)?,
        json_unless_empty(&message.tags)?,
        message.created_at,
        message.event_group,
        message.test
    ]);
    let conflicts = [
        ("messages.event_id", "A message with this event id exists already."),
        ("messages.id", "A message with this id exists already."),
    ];
    unique(inserted, &conflicts).map(drop)
}

/// A message of an application.
pub(super) fn by_id(
    connection: &Connection,
    application: &Arc<Application>,
    id: MessageId,
) -> Fallible<Option<Arc<Message>>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM messages WHERE application_id = ?1 AND id = ?2"
    ))?;
    let read = |row: &Row<'_>| Ok(read(row, application));
    select.query_row(params![application.id, id], read).optional()?.transpose()
}

/// The highest id of all messages that there ever were.
pub(super) fn newest(connection: &Connection) -> Fallible<MessageId> {
    let mut select =
        connection.prepare_cached("SELECT id FROM messages ORDER BY seq DESC LIMIT 1")?;
    let stored = select.query_row([], |row| row.get(0)).optional()?;
    let mut select =
        connection.prepare_cached("SELECT value FROM settings WHERE name = 'newest_message'")?;
    let removed = select.query_row([], |row| row.get(0)).optional()?;
    Ok(stored.max(removed).unwrap_or(MessageId::LOWEST))
}

pub(super) fn get(
    connection: &Connection,
    application: ApplicationId,
    reference: &Reference,
) -> Fallible<Arc<Message>> {
    let application = applications::live(connection, application)?;
    if let Ok(id) = reference.0.parse()
        && let Some(message) = by_id(connection, &application, id)?
    {
        return Ok(message);
    }
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM messages WHERE application_id = ?1 AND event_id = ?2"
    ))?;
    let read = |row: &Row<'_>| Ok(read(row, &application));
    let message = select.query_row(params![application.id, reference.0], read).optional()?;
    message.unwrap_or_else(|| Err(Error::not_found().into()))
}

pub(super) fn list(
    connection: &Connection,
    application: ApplicationId,
    filter: &MessageFilter,
    page: &Page<MessageId>,
) -> Fallible<Vec<Arc<Message>>> {
    let application = applications::live(connection, application)?;
    let range = IdRange::of(page, id_number).within(filter.after, filter.before);
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM messages
         WHERE application_id = :application AND id BETWEEN :low AND :high
            AND (:types IS NULL OR event_type IN (SELECT value FROM json_each(:types)))
            AND (:channel IS NULL OR :channel IN (SELECT value FROM json_each(channels)))
            AND (:tag IS NULL OR :tag IN (SELECT value FROM json_each(tags)))
            AND (:after IS NULL OR created_at_us > :after)
            AND (:before IS NULL OR created_at_us < :before)
         ORDER BY id {} LIMIT :limit",
        order(page)
    ))?;
    let mut rows = select.query(named_params! {
        ":application": application.id,
        ":low": range.low(),
        ":high": range.high(),
        ":types": json_unless_empty(&filter.event_types)?,
        ":channel": filter.channel,
        ":tag": filter.tag,
        ":after": filter.after,
        ":before": filter.before,
        ":limit": page.limit,
    })?;
    let mut messages = Vec::new();
    let mut bytes: usize = 0;
    while let Some(row) = rows.next()? {
        let message = read(row, &application)?;
        let breaks_off = bytes > PAGE_BYTES;
        bytes += message.payload.len();
        messages.push(message);
        if breaks_off {
            break;
        }
    }
    Ok(messages)
}

fn read(row: &Row<'_>, application: &Arc<Application>) -> Fallible<Arc<Message>> {
    Ok(Arc::new(Message {
        id: row.get(0)?,
        application: Arc::clone(application),
        event_type: row.get(1)?,
        event_id: row.get(2)?,
        payload: row.get(3)?,
        channels: read_json(row, 4)?.unwrap_or_default(),
        tags: read_json(row, 5)?.unwrap_or_default(),
        created_at: row.get(6)?,
        event_group: row.get(7)?,
        test: row.get(8)?,
    }))
}
