//! Deliveries that wait: claiming them, giving them back, resending, and what there is to do.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::{Batch, Totals};
use super::fault::{Fallible, damaged};
use super::{applications, endpoints, messages, ordered};
use crate::domain::{
    Application, ApplicationId, DeliveryId, DeliveryState, Destination, Endpoint, EndpointId,
    EndpointState, Error, MessageId, Timestamp, Trigger,
};
use crate::store::{Claimed, DeliveryRow, Job, Lease, Vault};

/// A pending delivery, as its endpoint's queue shows it.
struct Waiting {
    message: MessageId,
    attempts: u32,
    failed_in_round: u32,
    trigger: Trigger,
}

pub(super) fn claim(
    batch: &mut Batch<'_>,
    id: EndpointId,
    limit: u32,
    max_bytes: usize,
    lease: Lease,
    now: Timestamp,
) -> Fallible<Claimed> {
    let Some(endpoint) = batch.endpoint(id)? else {
        return Ok(Claimed { endpoint: None, jobs: Vec::new(), next_due: None });
    };
    if !endpoint.state.delivers() {
        return Ok(Claimed { endpoint: Some(endpoint), jobs: Vec::new(), next_due: None });
    }
    let application = batch.application(endpoint.application_id)?;
    let application = application.ok_or_else(|| damaged("an endpoint without application"))?;
    let epoch = batch.lease_epoch()?;
    let looked = match endpoint.ordered {
        true => look_in_order(batch.connection, id, limit, epoch, now)?,
        false => look(batch.connection, id, limit, epoch, now)?,
    };
    let (waiting, mut next_due) = looked;
    let mut jobs = Vec::with_capacity(waiting.len());
    let mut bytes = 0;
    for delivery in waiting {
        if bytes >= max_bytes && !jobs.is_empty() {
            next_due = Some(now);
            break;
        }
        let job = job(batch.connection, &application, id, &delivery, lease)?;
        bytes += job.message.payload.len();
        jobs.push(job);
    }
    // In the order of the table's key, which is faster than that of the queue.
    let mut ids: Vec<MessageId> = jobs.iter().map(|job| job.message.id).collect();
    ids.sort_unstable();
    let mut update = batch.connection.prepare_cached(
        "UPDATE deliveries SET lease_epoch = ?3, lease_node = ?4, lease_until_us = ?5
         WHERE message_id = ?1 AND endpoint_id = ?2",
    )?;
    for message in ids {
        update.execute(params![message, id, epoch, lease.node, lease.until])?;
    }
    Ok(Claimed { endpoint: Some(endpoint), jobs, next_due })
}

/// An endpoint's queue.
const QUEUE: &str = "SELECT message_id, next_at_us, lease_epoch, lease_until_us, attempts,
        failed_in_round, manual
     FROM deliveries INDEXED BY deliveries_pending
     WHERE endpoint_id = ?1 AND state = 0
     ORDER BY next_at_us, message_id";

/// Walks along an endpoint's queue: up to `limit` deliveries that may be claimed at `now`,
/// and when the next one may be.
fn look(
    connection: &Connection,
    endpoint: EndpointId,
    limit: u32,
    epoch: i64,
    now: Timestamp,
) -> Fallible<(Vec<Waiting>, Option<Timestamp>)> {
    let mut select = connection.prepare_cached(QUEUE)?;
    let mut rows = select.query(params![endpoint])?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut next_due: Option<Timestamp> = None;
    while let Some(row) = rows.next()? {
        let next_at: Timestamp = row.get(1)?;
        if next_due.is_some_and(|due| due <= next_at) {
            // Nothing behind it can be due earlier.
            break;
        }
        let free_at = next_at.max(leased_until(row, 2, epoch)?.unwrap_or(next_at));
        if free_at <= now && found.len() < limit {
            found.push(waiting(row)?);
        } else {
            next_due = Some(next_due.map_or(free_at, |due| due.min(free_at)));
        }
    }
    Ok((found, next_due))
}

/// The same for a queue in which each waits for those before it: none is found behind one that
/// can't be claimed yet.
fn look_in_order(
    connection: &Connection,
    endpoint: EndpointId,
    limit: u32,
    epoch: i64,
    now: Timestamp,
) -> Fallible<(Vec<Waiting>, Option<Timestamp>)> {
    let mut select = connection.prepare_cached(QUEUE)?;
    let mut rows = select.query(params![endpoint])?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let waiting = waiting(row)?;
        let delivery = DeliveryId { message: waiting.message, endpoint };
        let retry_at = match waiting.failed_in_round {
            0 => None,
            _ => Some(ordered::due(connection, delivery, row.get(1)?)?),
        };
        let free_at = retry_at.max(leased_until(row, 2, epoch)?);
        if let Some(free_at) = free_at.filter(|&free_at| free_at > now) {
            return Ok((found, Some(free_at)));
        }
        if found.len() >= limit {
            return Ok((found, Some(now)));
        }
        found.push(waiting);
    }
    Ok((found, None))
}

fn waiting(row: &Row<'_>) -> Fallible<Waiting> {
    Ok(Waiting {
        message: row.get(0)?,
        attempts: row.get(4)?,
        failed_in_round: row.get(5)?,
        trigger: row.get(6)?,
    })
}

/// Until when a delivery is leased, from its lease's epoch and end, if that epoch goes on.
fn leased_until(row: &Row<'_>, column: usize, epoch: i64) -> Fallible<Option<Timestamp>> {
    let of: Option<i64> = row.get(column)?;
    let until: Option<Timestamp> = row.get(column + 1)?;
    Ok(until.filter(|_| of == Some(epoch)))
}

fn job(
    connection: &Connection,
    application: &Arc<Application>,
    endpoint: EndpointId,
    delivery: &Waiting,
    lease: Lease,
) -> Fallible<Job> {
    let message = messages::by_id(connection, application, delivery.message)?;
    Ok(Job {
        message: message.ok_or_else(|| damaged("a delivery without message"))?,
        endpoint,
        attempts: delivery.attempts,
        failed_in_round: delivery.failed_in_round,
        trigger: delivery.trigger,
        lease,
    })
}

pub(super) fn release(batch: &mut Batch<'_>, mut claims: Vec<(DeliveryId, Lease)>) -> Fallible<()> {
    claims.sort_unstable_by_key(|(delivery, _)| *delivery);
    let mut update = batch.connection.prepare_cached(
        "UPDATE deliveries SET lease_epoch = NULL, lease_node = NULL, lease_until_us = NULL
         WHERE message_id = ?1 AND endpoint_id = ?2 AND lease_node = ?3
            AND lease_until_us = ?4 AND state = 0",
    )?;
    for (DeliveryId { message, endpoint }, Lease { node, until }) in claims {
        update.execute(params![message, endpoint, node, until])?;
    }
    Ok(())
}

pub(super) fn resend(
    batch: &mut Batch<'_>,
    application: ApplicationId,
    message: MessageId,
    endpoint: EndpointId,
    lease: Lease,
    now: Timestamp,
) -> Fallible<(Job, Arc<Endpoint>)> {
    let application = batch.application(application)?.ok_or_else(Error::not_found)?;
    let endpoint = batch.endpoint_of(application.id, endpoint)?;
    let message =
        messages::by_id(batch.connection, &application, message)?.ok_or_else(Error::not_found)?;
    refuse_unless_delivering(&endpoint)?;
    if message.payload_expired() {
        let sentence = "The message's payload is no longer kept, so it can't be sent again.";
        return Err(Error::conflict(sentence).into());
    }
    let epoch = batch.lease_epoch()?;
    let (attempts, totals) = match standing(batch.connection, message.id, endpoint.id, epoch)? {
        None => (0, Totals { accepted: 1, ..Totals::default() }),
        Some(standing) if standing.leased_until.is_some_and(|until| until > now) => {
            return Err(Error::conflict("An attempt at this delivery is under way.").into());
        }
        Some(standing) => {
            let mut totals = Totals::default();
            totals.moved(standing.state, -1);
            (standing.attempts, totals)
        }
    };
    renew(batch.connection, message.id, &endpoint, Some((epoch, lease)), now)?;
    batch.count(application.id, totals);
    let job = Job {
        message,
        endpoint: endpoint.id,
        attempts,
        failed_in_round: 0,
        trigger: Trigger::Manual,
        lease,
    };
    Ok((job, endpoint))
}

/// Starts a new round of attempts at a delivery, due at `at`, or makes the delivery. A person
/// asked for it. What of the ledger it changes is for the caller to count.
pub(super) fn renew(
    connection: &Connection,
    message: MessageId,
    endpoint: &Endpoint,
    claim: Option<(i64, Lease)>,
    at: Timestamp,
) -> Fallible<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO deliveries (message_id, endpoint_id, state, attempts, failed_in_round,
            manual, next_at_us, lease_epoch, lease_node, lease_until_us)
         VALUES (?1, ?2, 0, 0, 0, 1, ?3, ?4, ?5, ?6)
         ON CONFLICT (message_id, endpoint_id) DO UPDATE SET state = 0, failed_in_round = 0,
            manual = 1, next_at_us = CASE WHEN ?7 AND state = 0 THEN next_at_us ELSE ?3 END,
            lease_epoch = ?4, lease_node = ?5, lease_until_us = ?6",
    )?;
    let epoch = claim.map(|(epoch, _)| epoch);
    let (node, until) = claim.map(|(_, lease)| (lease.node, lease.until)).unzip();
    // In an ordered queue, what is pending keeps its place.
    let keeps = endpoint.ordered;
    upsert.execute(params![message, endpoint.id, at, epoch, node, until, keeps])?;
    Ok(())
}

/// What a person sends is sent now or not at all.
pub(super) fn refuse_unless_delivering(endpoint: &Endpoint) -> Fallible<()> {
    let state = match endpoint.state {
        EndpointState::Enabled => return Ok(()),
        EndpointState::Paused { .. } => "paused",
        EndpointState::Disabled { .. } => "disabled",
    };
    Err(Error::conflict(format!("The endpoint is {state}; enable it first.")).into())
}

struct Standing {
    state: DeliveryState,
    attempts: u32,
    leased_until: Option<Timestamp>,
}

fn standing(
    connection: &Connection,
    message: MessageId,
    endpoint: EndpointId,
    epoch: i64,
) -> Fallible<Option<Standing>> {
    let mut select = connection.prepare_cached(
        "SELECT state, attempts, lease_epoch, lease_until_us FROM deliveries
         WHERE message_id = ?1 AND endpoint_id = ?2",
    )?;
    let mut rows = select.query(params![message, endpoint])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let leased_until = leased_until(row, 2, epoch)?;
    Ok(Some(Standing { state: row.get(0)?, attempts: row.get(1)?, leased_until }))
}

pub(super) fn backlog(connection: &Connection) -> Fallible<Vec<(Destination, Timestamp)>> {
    let epoch = lease_epoch(connection)?;
    let mut select = connection.prepare_cached(
        "SELECT id, application_id FROM endpoints WHERE deleted_at_us IS NULL AND state = 0",
    )?;
    let mut rows = select.query([])?;
    let mut backlog = Vec::new();
    while let Some(row) = rows.next()? {
        let endpoint = row.get(0)?;
        let (_, due) = look(connection, endpoint, 0, epoch, Timestamp::EPOCH)?;
        let destination = Destination { application: row.get(1)?, endpoint };
        backlog.extend(due.map(|due| (destination, due)));
    }
    Ok(backlog)
}

/// Starts a new epoch of leases, so that those of all earlier ones are void at once, however
/// many there are. Takes up again the discards that the last process didn't finish.
pub(super) fn recover(batch: &mut Batch<'_>) -> Fallible<()> {
    let epoch = lease_epoch(batch.connection)?.saturating_add(1);
    let mut upsert = batch.connection.prepare_cached(
        "INSERT INTO settings (name, value) VALUES ('lease_epoch', ?1)
         ON CONFLICT (name) DO UPDATE SET value = ?1",
    )?;
    upsert.execute(params![epoch])?;
    batch.caches.forget_lease_epoch();
    let mut select = batch.connection.prepare_cached(
        "SELECT e.id FROM endpoints e WHERE e.deleted_at_us IS NOT NULL AND EXISTS
            (SELECT 1 FROM deliveries d INDEXED BY deliveries_pending
             WHERE d.endpoint_id = e.id AND d.state = 0)",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        batch.discard_later(row.get(0)?);
    }
    Ok(())
}

/// The present epoch of leases.
pub(super) fn lease_epoch(connection: &Connection) -> Fallible<i64> {
    let mut select =
        connection.prepare_cached("SELECT value FROM settings WHERE name = 'lease_epoch'")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// The deliveries of a message, with their endpoints.
pub(super) fn of_message(
    connection: &Connection,
    vault: &Vault,
    application: ApplicationId,
    message: MessageId,
) -> Fallible<Vec<(DeliveryRow, Arc<Endpoint>)>> {
    let application = applications::live(connection, application)?;
    messages::by_id(connection, &application, message)?.ok_or_else(Error::not_found)?;
    let mut select = connection.prepare_cached(
        "SELECT d.endpoint_id, d.state, d.attempts, coalesce(r.at_us, d.next_at_us)
         FROM deliveries d LEFT JOIN ordered_retries r
            ON r.endpoint_id = d.endpoint_id AND r.message_id = d.message_id
                AND d.failed_in_round > 0
         WHERE d.message_id = ?1 ORDER BY d.endpoint_id",
    )?;
    let mut rows = select.query(params![message])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        let id = DeliveryId { message, endpoint: row.get(0)? };
        let (endpoint, deleted) = endpoints::with_deleted(connection, vault, id.endpoint)?
            .ok_or_else(|| damaged("a delivery without endpoint"))?;
        let state = match row.get(1)? {
            // It only wasn't written down yet.
            DeliveryState::Pending if deleted => DeliveryState::Discarded,
            state => state,
        };
        let next_at = (state == DeliveryState::Pending).then(|| row.get(3)).transpose()?;
        deliveries.push((DeliveryRow { id, state, attempts: row.get(2)?, next_at }, endpoint));
    }
    Ok(deliveries)
}
