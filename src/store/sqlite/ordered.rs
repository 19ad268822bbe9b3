//! Endpoints that get their events one by one. What is pending for them stands in the queue at
//! the time of its publishing, also while it waits for a retry: its place is its turn. When the
//! retry is due stands in a table of its own.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fallible;
use crate::domain::{DeliveryId, EndpointId, MessageId, Timestamp};

/// The place of a new delivery in the queue. Ids of messages grow in the order of commits,
/// which the times at which they came don't.
pub(super) fn place(message: MessageId) -> Timestamp {
    message.time()
}

/// Notes when a delivery that failed is tried again.
pub(super) fn retry_at(
    connection: &Connection,
    delivery: DeliveryId,
    at: Timestamp,
) -> Fallible<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO ordered_retries (endpoint_id, message_id, at_us) VALUES (?1, ?2, ?3)
         ON CONFLICT (endpoint_id, message_id) DO UPDATE SET at_us = ?3",
    )?;
    upsert.execute(params![delivery.endpoint, delivery.message, at])?;
    Ok(())
}

/// Forgets a delivery that is finished.
pub(super) fn finished(connection: &Connection, delivery: DeliveryId) -> Fallible<()> {
    let mut delete = connection
        .prepare_cached("DELETE FROM ordered_retries WHERE endpoint_id = ?1 AND message_id = ?2")?;
    delete.execute(params![delivery.endpoint, delivery.message])?;
    Ok(())
}

/// Forgets what isn't pending any more, after much of it was discarded.
pub(super) fn discarded(connection: &Connection, endpoint: EndpointId) -> Fallible<()> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM ordered_retries WHERE endpoint_id = ?1 AND NOT EXISTS
            (SELECT 1 FROM deliveries d WHERE d.message_id = ordered_retries.message_id
                AND d.endpoint_id = ?1 AND d.state = 0)",
    )?;
    delete.execute(params![endpoint])?;
    Ok(())
}

/// Forgets everything of an endpoint that is deleted.
pub(super) fn deleted(connection: &Connection, endpoint: EndpointId) -> Fallible<()> {
    let mut delete =
        connection.prepare_cached("DELETE FROM ordered_retries WHERE endpoint_id = ?1")?;
    delete.execute(params![endpoint])?;
    Ok(())
}

/// When a delivery that failed is tried again: as noted, or where it failed before its endpoint
/// was ordered, at its place in the queue.
pub(super) fn due(
    connection: &Connection,
    delivery: DeliveryId,
    place: Timestamp,
) -> Fallible<Timestamp> {
    let mut select = connection.prepare_cached(
        "SELECT at_us FROM ordered_retries WHERE endpoint_id = ?1 AND message_id = ?2",
    )?;
    let values = params![delivery.endpoint, delivery.message];
    Ok(select.query_row(values, |row| row.get(0)).optional()?.unwrap_or(place))
}

/// The endpoint is no longer ordered: what waits for a retry goes to its time in the queue.
pub(super) fn switched_off(connection: &Connection, endpoint: EndpointId) -> Fallible<()> {
    let mut update = connection.prepare_cached(
        "UPDATE deliveries SET next_at_us = max(next_at_us, waiting.at_us)
         FROM ordered_retries waiting
         WHERE waiting.endpoint_id = ?1 AND deliveries.endpoint_id = ?1
            AND deliveries.message_id = waiting.message_id AND deliveries.state = 0
            AND deliveries.failed_in_round > 0",
    )?;
    update.execute(params![endpoint])?;
    deleted(connection, endpoint)
}
