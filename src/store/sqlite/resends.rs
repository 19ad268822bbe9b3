//! Resends: many events of an endpoint are sent again, in steps between which others write. A
//! reader looks for what comes next, and the writing thread makes it due and notes the place in
//! one transaction, so that whatever happens in between, nothing is sent twice or left out.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};

use super::batch::{Batch, Totals};
use super::claim::{refuse_unless_delivering, renew};
use super::columns::{count, json, read_count, read_json};
use super::fault::{Fallible, damaged};
use super::range::{IdRange, id_number, order};
use super::resend_walk::{Reach, Route, Walked, walk};
use super::writer::Care::Savepoint;
use super::{SqliteStore, endpoints, messages};
use crate::domain::{
    Backlog, DeliveryState, Destination, Endpoint, EndpointId, EndpointState, Error, ErrorCode,
    MessageId, RESEND_DUE_MAX, RESEND_PENDING_MAX, RESENDS_PER_ENDPOINT_MAX, RESENDS_RUNNING_MAX,
    RESENDS_RUNNING_PER_APPLICATION_MAX, Reference, Resend, ResendId, ResendKind, ResendScope,
    ResendState, Result, Timestamp, resent_in_step,
};
use crate::store::{NewResend, Page, ResendQuery, ResendStep, ResendStore, ResendsOf, Vault};

/// Messages that one step looks at: some ten milliseconds' worth. What matches next to nothing
/// takes more steps.
const SCANNED_PER_STEP: usize = 10_000;

const COLUMNS: &str = "id, endpoint_id, application_id, environment, kind, since_us, until_us, \
    filter, state, reason, counted, sent, created_at_us, updated_at_us";

#[async_trait]
impl ResendStore for SqliteStore {
    async fn count_resend(&self, to: Destination, scope: ResendScope) -> Result<u64> {
        Ok(self.count(to, scope, |_| Ok(())).await?.1)
    }

    async fn create_resend(&self, new: NewResend, now: Timestamp) -> Result<Resend> {
        // Counting within the transaction would hold everybody up.
        let to = new.destination;
        let refuse = move |reader: &Connection| refuse_too_many(reader, to);
        let (route, counted) = self.count(to, new.scope.clone(), refuse).await?;
        let create = move |batch: &mut Batch<'_>| create(batch, &new, route.through, counted, now);
        self.writer.write(Savepoint, create).await
    }

    async fn step_resend(&self, id: ResendId, now: Timestamp) -> Result<ResendStep> {
        let vault = Arc::clone(&self.vault);
        let looked = self.readers.read_all(move |reader| look(reader, &vault, id, now)).await?;
        match looked {
            Looked::Waits(resend) => Ok(ResendStep { resend, queued: 0, waits: true }),
            Looked::Found(found) => {
                self.writer.write(Savepoint, move |batch| step(batch, id, &found, now)).await
            }
        }
    }

    async fn cancel_resend(&self, id: ResendId, now: Timestamp) -> Result<Resend> {
        self.writer.write(Savepoint, move |batch| cancel(batch, id, now)).await
    }

    async fn fail_resend(&self, id: ResendId, reason: &str, now: Timestamp) -> Result<()> {
        let reason = reason.to_owned();
        let fail = move |batch: &mut Batch<'_>| {
            set_end(batch.connection, id, ResendState::Failed, Some(&reason), now)
        };
        self.writer.write(Savepoint, fail).await
    }

    async fn get_resend(&self, environment: &Arc<str>, id: ResendId) -> Result<Resend> {
        let environment = Arc::clone(environment);
        let get = move |reader: &Connection| {
            let stored = stored(reader, id)?.filter(|one| one.resend.environment == environment);
            stored.map(|one| one.resend).ok_or_else(|| Error::not_found().into())
        };
        self.lookups.read(get).await
    }

    async fn list_resends(&self, query: ResendQuery, page: Page<ResendId>) -> Result<Vec<Resend>> {
        self.readers.read(move |reader| list(reader, &query, &page)).await
    }

    async fn running_resends(&self) -> Result<Vec<ResendId>> {
        let running = |reader: &Connection| {
            let mut select = reader.prepare_cached(
                "SELECT id FROM resends INDEXED BY resends_running
                 WHERE state = 0 ORDER BY id LIMIT ?1",
            )?;
            let rows = select.query_map(params![RESENDS_RUNNING_MAX], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.lookups.read(running).await
    }
}

impl SqliteStore {
    /// What a resend would be about if it began now, and how many messages it would send. What
    /// can be refused without counting is.
    async fn count(
        &self,
        to: Destination,
        scope: ResendScope,
        refuse: impl FnOnce(&Connection) -> Fallible<()> + Send + 'static,
    ) -> Result<(Route, u64)> {
        let vault = Arc::clone(&self.vault);
        let begin = move |reader: &Connection| {
            let endpoint = live(reader, &vault, to)?;
            refuse_unless_delivering(&endpoint)?;
            refuse(reader)?;
            Ok((endpoint, messages::newest(reader)?))
        };
        let (endpoint, through) = self.lookups.read(begin).await?;
        let route = Route { scope, through };
        let place = self.counting.enter(to.application)?;
        let counted = self.count_along(&place, &route, endpoint).await?;
        Ok((route, counted))
    }
}

fn live(reader: &Connection, vault: &Vault, to: Destination) -> Fallible<Arc<Endpoint>> {
    endpoints::get(reader, vault, to.application, &Reference(to.endpoint.to_string()))
}

fn create(
    batch: &mut Batch<'_>,
    new: &NewResend,
    through: MessageId,
    counted: u64,
    now: Timestamp,
) -> Fallible<Resend> {
    batch.disk.check()?;
    let endpoint = batch.endpoint_of(new.destination.application, new.destination.endpoint)?;
    refuse_unless_delivering(&endpoint)?;
    refuse_too_many(batch.connection, new.destination)?;
    let mut insert = batch.connection.prepare_cached(
        "INSERT INTO resends (id, endpoint_id, application_id, environment, kind, since_us,
            until_us, filter, through, after, state, counted, sent, created_at_us, updated_at_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, 0, ?12, ?12)",
    )?;
    insert.execute(params![
        new.id,
        endpoint.id,
        endpoint.application_id,
        endpoint.environment,
        new.scope.kind.as_str(),
        new.scope.since,
        new.scope.until,
        json(&new.scope.filter)?,
        through,
        MessageId::LOWEST,
        count(counted),
        now
    ])?;
    forget_oldest(batch.connection, endpoint.id)?;
    Ok(of_row(batch.connection, new.id)?.resend)
}

fn refuse_too_many(connection: &Connection, to: Destination) -> Fallible<()> {
    let mut select = connection.prepare_cached(
        "SELECT count(*), coalesce(sum(application_id = ?1), 0), coalesce(sum(endpoint_id = ?2), 0)
         FROM resends INDEXED BY resends_running WHERE state = 0",
    )?;
    let (all, own, same): (u32, u32, u32) = select
        .query_row(params![to.application, to.endpoint], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if same > 0 {
        let sentence = "Events are being sent to this endpoint again already: wait until that \
            has finished, or cancel it.";
        return Err(Error::conflict(sentence).into());
    }
    if all >= RESENDS_RUNNING_MAX || own >= RESENDS_RUNNING_PER_APPLICATION_MAX {
        let sentence = "As many resends run already as may: wait until one has finished.";
        return Err(Error::new(ErrorCode::RateLimited, sentence).into());
    }
    Ok(())
}

fn forget_oldest(connection: &Connection, endpoint: EndpointId) -> Fallible<()> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM resends WHERE endpoint_id = ?1 AND id <=
            (SELECT id FROM resends WHERE endpoint_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    delete.execute(params![endpoint, RESENDS_PER_ENDPOINT_MAX])?;
    Ok(())
}

/// What comes next, as a reader saw it.
enum Looked {
    /// Enough is due at the endpoint.
    Waits(Resend),
    Found(Found),
}

struct Found {
    /// Where the resend stood.
    after: MessageId,
    /// The endpoint's revision, as it decides what the endpoint takes.
    revision: u64,
    walked: Walked,
}

fn look(reader: &Connection, vault: &Vault, id: ResendId, now: Timestamp) -> Fallible<Looked> {
    let Stored { resend, route, after } = of_row(reader, id)?;
    let endpoint = endpoints::with_deleted(reader, vault, resend.endpoint_id)?;
    let (endpoint, _) = endpoint.ok_or_else(|| damaged("a resend without endpoint"))?;
    let nothing = Walked { found: Vec::new(), reached: after, done: false };
    let mut found = Found { after, revision: endpoint.revision, walked: nothing };
    if endpoint.state.delivers() {
        let backlog = backlog(reader, endpoint.id, now)?;
        let Some(limit) = resent_in_step(backlog, endpoint.throttle_rate) else {
            return Ok(Looked::Waits(resend));
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let reach = Reach { found: limit, scanned: SCANNED_PER_STEP };
        found.walked = walk(reader, &route, &endpoint, after, reach)?;
    }
    Ok(Looked::Found(found))
}

/// What waits at an endpoint, counted no further than it matters.
fn backlog(reader: &Connection, endpoint: EndpointId, now: Timestamp) -> Fallible<Backlog> {
    let mut select = reader.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_pending
            WHERE endpoint_id = ?1 AND state = 0
            AND next_at_us <= coalesce(?2, 9223372036854775807) LIMIT ?3)",
    )?;
    let mut counted = |until: Option<Timestamp>, limit: u32| {
        select.query_row(params![endpoint, until, limit], |row| row.get(0))
    };
    let due = counted(Some(now), RESEND_DUE_MAX)?;
    Ok(Backlog { due, pending: counted(None, RESEND_PENDING_MAX)? })
}

/// Makes due what was found, unless something changed since that makes it wrong.
fn step(
    batch: &mut Batch<'_>,
    id: ResendId,
    found: &Found,
    now: Timestamp,
) -> Fallible<ResendStep> {
    let Stored { resend, after, .. } = of_row(batch.connection, id)?;
    if resend.state != ResendState::Running || after != found.after {
        return Ok(ResendStep { resend, queued: 0, waits: false });
    }
    let endpoint = batch.endpoint(resend.endpoint_id)?;
    let endpoint = endpoint.ok_or_else(|| damaged("a resend without endpoint"))?;
    match endpoint.state {
        EndpointState::Enabled => {}
        EndpointState::Paused { .. } => return fail(batch, id, "The endpoint was paused.", now),
        EndpointState::Disabled { .. } => {
            return fail(batch, id, "The endpoint was disabled.", now);
        }
    }
    if endpoint.revision != found.revision {
        return Ok(ResendStep { resend, queued: 0, waits: false });
    }
    batch.disk.check()?;
    // No step's deliveries go before those of the last one, also where the clock was set back.
    let at = now.max(resend.updated_at);
    let queued = send_again(batch, &resend, &endpoint, &found.walked.found, at)?;
    let state = if found.walked.done { ResendState::Finished } else { ResendState::Running };
    let mut update = batch.connection.prepare_cached(
        "UPDATE resends SET after = ?2, sent = sent + ?3, state = ?4, updated_at_us = ?5
         WHERE id = ?1",
    )?;
    update.execute(params![id, found.walked.reached, queued, number(state), at])?;
    Ok(ResendStep { resend: of_row(batch.connection, id)?.resend, queued, waits: false })
}

/// Starts a new round of attempts at each of these messages that still wants one. Returns how
/// many there were.
fn send_again(
    batch: &mut Batch<'_>,
    resend: &Resend,
    endpoint: &Endpoint,
    found: &[MessageId],
    at: Timestamp,
) -> Fallible<u32> {
    let mut select = batch.connection.prepare_cached(
        "SELECT d.state FROM messages m
         LEFT JOIN deliveries d ON d.message_id = m.id AND d.endpoint_id = ?3
         WHERE m.application_id = ?1 AND m.id = ?2 AND octet_length(m.payload) > 0",
    )?;
    let (mut totals, mut queued) = (Totals::default(), 0);
    for &message in found {
        let values = params![endpoint.application_id, message, endpoint.id];
        let delivery: Option<Option<DeliveryState>> =
            select.query_row(values, |row| row.get(0)).optional()?;
        // It may have been removed, or sent by somebody else, since it was found.
        let Some(delivery) = delivery.filter(|state| resend.scope.kind.sends(*state)) else {
            continue;
        };
        renew(batch.connection, message, endpoint, None, at)?;
        match delivery {
            None => totals.accepted += 1,
            Some(state) => totals.moved(state, -1),
        }
        queued += 1;
    }
    batch.count(endpoint.application_id, totals);
    Ok(queued)
}

fn fail(batch: &mut Batch<'_>, id: ResendId, reason: &str, now: Timestamp) -> Fallible<ResendStep> {
    let resend = end(batch, id, ResendState::Failed, Some(reason), now)?;
    Ok(ResendStep { resend, queued: 0, waits: false })
}

fn cancel(batch: &mut Batch<'_>, id: ResendId, now: Timestamp) -> Fallible<Resend> {
    end(batch, id, ResendState::Cancelled, None, now)
}

/// Forgets the resends of an endpoint, which are few.
pub(super) fn forget(connection: &Connection, endpoint: EndpointId) -> Fallible<()> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM resends INDEXED BY resends_by_endpoint WHERE endpoint_id = ?1",
    )?;
    delete.execute(params![endpoint])?;
    Ok(())
}

/// Ends a resend that runs; another one stays as it is.
fn end(
    batch: &mut Batch<'_>,
    id: ResendId,
    state: ResendState,
    reason: Option<&str>,
    now: Timestamp,
) -> Fallible<Resend> {
    set_end(batch.connection, id, state, reason, now)?;
    Ok(of_row(batch.connection, id)?.resend)
}

/// The same without reading what is stored of it, which may be damaged.
fn set_end(
    connection: &Connection,
    id: ResendId,
    state: ResendState,
    reason: Option<&str>,
    now: Timestamp,
) -> Fallible<()> {
    let mut update = connection.prepare_cached(
        "UPDATE resends SET state = ?2, reason = ?3, updated_at_us = max(updated_at_us, ?4)
         WHERE id = ?1 AND state = 0",
    )?;
    update.execute(params![id, number(state), reason, now])?;
    Ok(())
}

fn number(state: ResendState) -> u8 {
    match state {
        ResendState::Running => 0,
        ResendState::Finished => 1,
        ResendState::Cancelled => 2,
        ResendState::Failed => 3,
    }
}

/// A row: the resend, and how it goes on.
struct Stored {
    resend: Resend,
    route: Route,
    after: MessageId,
}

fn of_row(connection: &Connection, id: ResendId) -> Fallible<Stored> {
    stored(connection, id)?.ok_or_else(|| Error::not_found().into())
}

fn stored(connection: &Connection, id: ResendId) -> Fallible<Option<Stored>> {
    let mut select = connection
        .prepare_cached(&format!("SELECT {COLUMNS}, through, after FROM resends WHERE id = ?1"))?;
    let mut rows = select.query(params![id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let resend = read(row)?;
    let route = Route { scope: resend.scope.clone(), through: row.get("through")? };
    Ok(Some(Stored { resend, route, after: row.get("after")? }))
}

fn list(reader: &Connection, query: &ResendQuery, page: &Page<ResendId>) -> Fallible<Vec<Resend>> {
    let range = IdRange::of(page, id_number);
    // The sign keeps SQLite from going along everybody's resends for those of one.
    let (condition, whose): (_, Option<&dyn ToSql>) = match &query.of {
        ResendsOf::Everybody => (":whose IS NULL AND environment", None),
        ResendsOf::Application(id) => ("application_id = :whose AND +environment", Some(id)),
        ResendsOf::Endpoint(id) => ("endpoint_id = :whose AND +environment", Some(id)),
    };
    let states: Vec<u8> = query.states.iter().map(|&state| number(state)).collect();
    let mut select = reader.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM resends
         WHERE {condition} = :environment AND id BETWEEN :low AND :high
            AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
            AND (:kind IS NULL OR kind = :kind)
         ORDER BY id {} LIMIT :limit",
        order(page)
    ))?;
    let mut rows = select.query(named_params! {
        ":whose": whose,
        ":environment": query.environment,
        ":low": range.low(),
        ":high": range.high(),
        ":states": json(&states)?,
        ":kind": query.kind.map(ResendKind::as_str),
        ":limit": page.limit,
    })?;
    let mut resends = Vec::new();
    while let Some(row) = rows.next()? {
        resends.push(read(row)?);
    }
    Ok(resends)
}

fn read(row: &Row<'_>) -> Fallible<Resend> {
    let (kind, state): (String, u8) = (row.get(4)?, row.get(8)?);
    let kind = ResendKind::ALL.into_iter().find(|known| known.as_str() == kind);
    let state = ResendState::ALL.into_iter().find(|known| number(*known) == state);
    let scope = ResendScope {
        kind: kind.ok_or_else(|| damaged("a resend"))?,
        since: row.get(5)?,
        until: row.get(6)?,
        filter: read_json(row, 7)?.unwrap_or_default(),
    };
    Ok(Resend {
        id: row.get(0)?,
        endpoint_id: row.get(1)?,
        application_id: row.get(2)?,
        environment: row.get(3)?,
        scope,
        state: state.ok_or_else(|| damaged("a resend"))?,
        reason: row.get(9)?,
        counted: read_count(row, 10)?,
        sent: read_count(row, 11)?,
        created_at: row.get(12)?,
        updated_at: row.get(13)?,
    })
}
