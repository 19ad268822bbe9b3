//! What the transitions of one transaction share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::activity::Activity;
use super::cache::Caches;
use super::disk::Disk;
use super::fault::Fallible;
use super::messages;
use crate::domain::{ApplicationId, DeliveryState, EndpointId, MessageId, Result};
use crate::store::Vault;

/// How many deliveries of deleted endpoints are discarded in one transaction, so that nobody
/// waits long for the deletion of an endpoint with millions of them.
pub(super) const DISCARDS_PER_BATCH: u32 = 250;

/// What is written to find out whether there is room again, in bytes: a large event.
const TRIAL_BYTES: u32 = 64 * 1024;

/// The writing connection within a transaction, and what its thread remembers.
pub(super) struct Batch<'c> {
    pub(super) connection: &'c Connection,
    pub(super) vault: Arc<Vault>,
    pub(super) caches: Caches,
    pub(super) disk: Disk,
    /// Whether the store could not write, and took nothing of an event's size since.
    failing: bool,
    /// Whether the running transaction writes as much as an event needs.
    weighty: bool,
    /// What accepting a message runs, once one was accepted.
    pub(super) inserts: Option<messages::Inserts<'c>>,
    /// Of the transitions that succeeded; written once, before the commit.
    totals: HashMap<ApplicationId, Totals>,
    /// Of the transition that runs.
    running: Vec<(ApplicationId, Totals)>,
    /// Deleted endpoints that may still have pending deliveries.
    discards: VecDeque<EndpointId>,
    pub(super) activity: Activity,
    /// The highest id of a message, once it was looked up.
    newest_message: Option<MessageId>,
    /// The applications whose readers of events have something to look for after the commit.
    news: Vec<ApplicationId>,
}

/// What is remembered from one transaction to the next.
pub(super) struct Kept {
    vault: Arc<Vault>,
    caches: Caches,
    disk: Disk,
    failing: bool,
    discards: VecDeque<EndpointId>,
    activity: Activity,
    newest_message: Option<MessageId>,
}

impl Kept {
    pub(super) fn new(vault: Arc<Vault>, disk: Disk) -> Kept {
        let (caches, discards) = (Caches::default(), VecDeque::new());
        let activity = Activity::default();
        Kept { vault, caches, disk, failing: false, discards, activity, newest_message: None }
    }

    pub(super) fn discards_waiting(&self) -> bool {
        !self.discards.is_empty()
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }
}

/// A change of an application's line in the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) accepted: i64,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
    pub(super) discarded: i64,
}

impl Totals {
    /// Counts a delivery that came to (`by` 1) or left (`by` -1) a state. What is pending
    /// isn't counted here.
    pub(super) fn moved(&mut self, state: DeliveryState, by: i64) {
        match state {
            DeliveryState::Pending => {}
            DeliveryState::Succeeded => self.succeeded += by,
            DeliveryState::Failed => self.failed += by,
            DeliveryState::Discarded => self.discarded += by,
        }
    }

    fn add(&mut self, other: Totals) {
        self.accepted += other.accepted;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.discarded += other.discarded;
    }
}

impl<'c> Batch<'c> {
    pub(super) fn new(connection: &'c Connection, kept: Kept) -> Batch<'c> {
        let Kept { vault, caches, disk, failing, discards, activity, newest_message } = kept;
        Batch {
            connection,
            vault,
            caches,
            disk,
            failing,
            weighty: false,
            inserts: None,
            totals: HashMap::new(),
            running: Vec::new(),
            discards,
            activity,
            newest_message,
            news: Vec::new(),
        }
    }

    pub(super) fn into_kept(self) -> Kept {
        let Batch { vault, caches, disk, failing, discards, activity, newest_message, .. } = self;
        Kept { vault, caches, disk, failing, discards, activity, newest_message }
    }

    /// The id of a message that is about to be stored: the one that was thought of, or the next
    /// one after all that are stored. As transactions follow each other, ids grow in the order
    /// of commits, and a reader who goes along them never passes one that comes later.
    pub(super) fn message_id(&mut self, wanted: MessageId) -> Fallible<MessageId> {
        let newest = match self.newest_message {
            Some(newest) => newest,
            None => messages::newest(self.connection)?,
        };
        let id = if wanted > newest { wanted } else { newest.successor() };
        self.newest_message = Some(id);
        Ok(id)
    }

    /// Tells those who wait for an application's events, once it is committed.
    pub(super) fn tell(&mut self, application: ApplicationId) {
        self.news.push(application);
    }

    /// Whom to tell.
    pub(super) fn news(&mut self) -> impl Iterator<Item = ApplicationId> {
        self.news.drain(..)
    }

    /// Changes the ledger, if the running transition succeeds.
    pub(super) fn count(&mut self, application: ApplicationId, totals: Totals) {
        self.running.push((application, totals));
    }

    /// The running transition succeeded.
    pub(super) fn keep_totals(&mut self) {
        for (application, totals) in self.running.drain(..) {
            self.totals.entry(application).or_default().add(totals);
        }
    }

    /// The running transition failed.
    pub(super) fn drop_totals(&mut self) {
        self.running.clear();
    }

    /// Discards the pending deliveries of a deleted endpoint, as soon as there is time.
    pub(super) fn discard_later(&mut self, endpoint: EndpointId) {
        self.discards.push_back(endpoint);
    }

    pub(super) fn discards_waiting(&self) -> bool {
        !self.discards.is_empty()
    }

    /// Writes what was put off to the end of the transaction.
    pub(super) fn finish(&mut self) -> Fallible<()> {
        self.discard_some()?;
        self.keep_totals();
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO ledger (application_id, accepted, succeeded, failed, discarded)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (application_id) DO UPDATE SET
                accepted = accepted + ?2, succeeded = succeeded + ?3,
                failed = failed + ?4, discarded = discarded + ?5",
        )?;
        for (application, totals) in self.totals.drain() {
            let Totals { accepted, succeeded, failed, discarded } = totals;
            upsert.execute(params![application, accepted, succeeded, failed, discarded])?;
        }
        // What is left of a full disk is for what becomes of events.
        if self.failing { Ok(()) } else { self.activity.write_some(self.connection) }
    }

    /// The transaction came to nothing: what was read or changed in it may never have been.
    pub(super) fn forget(&mut self) {
        self.caches.clear();
        self.running.clear();
        self.totals.clear();
        self.newest_message = None;
        self.activity.forget();
        self.news.clear();
    }

    /// The running transition writes as much as an event needs.
    pub(super) fn weighs(&mut self) {
        self.weighty = true;
    }

    /// Notes how a transaction ended. What is small often fits into what was left of a larger
    /// one that didn't, so it says nothing of the room for events.
    pub(super) fn ended(&mut self, committed: &Result<()>) {
        let weighty = std::mem::take(&mut self.weighty);
        match committed {
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!(%error, "the store can't write");
            }
            Ok(()) if self.failing && weighty => {
                self.failing = false;
                tracing::info!("the store writes again");
            }
            _ => {}
        }
    }

    /// Finds out whether new events can be stored. An empty transaction succeeds on a full
    /// disk too, so where one failed this writes something.
    pub(super) fn try_to_write(&mut self) -> Fallible<()> {
        self.disk.check()?;
        if self.failing {
            let mut upsert = self.connection.prepare_cached(
                "INSERT INTO settings (name, value) VALUES ('trial', randomblob(?1))
                 ON CONFLICT (name) DO UPDATE SET value = randomblob(?1)",
            )?;
            upsert.execute(params![TRIAL_BYTES])?;
            self.weighs();
        }
        Ok(())
    }

    fn discard_some(&mut self) -> Fallible<()> {
        let mut left = DISCARDS_PER_BATCH;
        while left > 0
            && let Some(&endpoint) = self.discards.front()
        {
            let discarded = self.discard(endpoint, left)?;
            // Taken off only where nothing was left to discard: what this batch discards may
            // yet be rolled back.
            if discarded == 0 {
                self.discards.pop_front();
            } else if discarded < left {
                self.discards.rotate_left(1);
                break;
            }
            left -= discarded;
        }
        Ok(())
    }

    /// Discards up to `limit` pending deliveries of an endpoint, if it is deleted indeed: its
    /// deletion may have been rolled back. Returns how many.
    fn discard(&mut self, endpoint: EndpointId, limit: u32) -> Fallible<u32> {
        let mut select = self.connection.prepare_cached(
            "SELECT d.message_id, e.application_id
             FROM endpoints e
             CROSS JOIN deliveries d INDEXED BY deliveries_pending
                ON d.endpoint_id = e.id AND d.state = 0
             WHERE e.id = ?1 AND e.deleted_at_us IS NOT NULL
             LIMIT ?2",
        )?;
        let rows = select.query_map(params![endpoint, limit], |row| {
            Ok((row.get::<_, MessageId>(0)?, row.get::<_, ApplicationId>(1)?))
        })?;
        let mut pending = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        pending.sort_unstable();
        let mut update = self.connection.prepare_cached(
            "UPDATE deliveries
             SET state = 3, lease_epoch = NULL, lease_node = NULL, lease_until_us = NULL
             WHERE message_id = ?1 AND endpoint_id = ?2 AND state = 0",
        )?;
        for &(message, application) in &pending {
            update.execute(params![message, endpoint])?;
            let discarded = Totals { discarded: 1, ..Totals::default() };
            self.totals.entry(application).or_default().add(discarded);
        }
        Ok(u32::try_from(pending.len()).unwrap_or(limit))
    }
}
