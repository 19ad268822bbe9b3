//! Passes into the pages.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::columns::{json, read_json};
use super::fault::{Fallible, damaged};
use crate::domain::{ApplicationId, Error, Pass, PassKind, Timestamp};

/// How many passes that have expired go away whenever one is made.
const EXPIRED_REMOVED: u32 = 100;

/// Their places are their numbers.
const KINDS: [PassKind; 3] = [PassKind::Link, PassKind::Session, PassKind::Token];

fn number(kind: PassKind) -> u8 {
    match kind {
        PassKind::Link => 0,
        PassKind::Session => 1,
        PassKind::Token => 2,
    }
}

pub(super) fn create(batch: &mut Batch<'_>, pass: &Pass, now: Timestamp) -> Fallible<()> {
    let mut delete = batch.connection.prepare_cached(
        "DELETE FROM passes WHERE hash IN
            (SELECT hash FROM passes WHERE expires_at_us <= ?1 LIMIT ?2)",
    )?;
    delete.execute(params![now, EXPIRED_REMOVED])?;
    let mut insert = batch.connection.prepare_cached(
        "INSERT INTO passes (hash, kind, holder, expires_at_us) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let (kind, holder) = (number(pass.kind), json(&pass.holder)?);
    insert.execute(params![pass.hash, kind, holder, pass.expires_at])?;
    let mut insert = batch.connection.prepare_cached(
        "INSERT OR IGNORE INTO pass_applications (application_id, hash) VALUES (?1, ?2)",
    )?;
    for (_, application) in pass.applications() {
        insert.execute(params![application, pass.hash])?;
    }
    Ok(())
}

/// Takes a link back and gives a session of the same end for it, in one transaction, so that two
/// who follow the same link can't both come in.
pub(super) fn redeem(
    batch: &mut Batch<'_>,
    link: [u8; 32],
    session: [u8; 32],
    now: Timestamp,
) -> Fallible<Pass> {
    let link = find(batch.connection, link, PassKind::Link, now)?.ok_or_else(Error::not_found)?;
    delete(batch, link.hash)?;
    let pass = Pass { hash: session, kind: PassKind::Session, ..link };
    create(batch, &pass, now)?;
    Ok(pass)
}

pub(super) fn find(
    connection: &Connection,
    hash: [u8; 32],
    kind: PassKind,
    now: Timestamp,
) -> Fallible<Option<Pass>> {
    let mut select = connection.prepare_cached(
        "SELECT hash, kind, holder, expires_at_us FROM passes
         WHERE hash = ?1 AND kind = ?2 AND expires_at_us > ?3",
    )?;
    let row = select.query_row(params![hash, number(kind), now], |row| Ok(read(row))).optional()?;
    row.transpose()
}

fn read(row: &Row<'_>) -> Fallible<Pass> {
    let kind = usize::from(row.get::<_, u16>(1)?);
    Ok(Pass {
        hash: row.get(0)?,
        kind: *KINDS.get(kind).ok_or_else(|| damaged("a pass"))?,
        holder: read_json(row, 2)?.ok_or_else(|| damaged("a pass"))?,
        expires_at: row.get(3)?,
    })
}

pub(super) fn delete(batch: &mut Batch<'_>, hash: [u8; 32]) -> Fallible<()> {
    let mut delete = batch.connection.prepare_cached("DELETE FROM passes WHERE hash = ?1")?;
    delete.execute(params![hash])?;
    Ok(())
}

/// Ends all passes that open an application.
pub(super) fn delete_of_application(
    batch: &mut Batch<'_>,
    application: ApplicationId,
) -> Fallible<()> {
    let mut delete = batch.connection.prepare_cached(
        "DELETE FROM passes WHERE hash IN
            (SELECT hash FROM pass_applications WHERE application_id = ?1)",
    )?;
    delete.execute(params![application])?;
    Ok(())
}
