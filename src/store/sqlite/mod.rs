//! The embedded store: one SQLite file, one thread that writes, a few connections that read.

mod activity;
mod applications;
mod attempts;
mod batch;
mod cache;
mod checkpoint;
mod claim;
mod columns;
mod confidential;
mod connection;
mod deliveries;
mod discard;
mod disk;
mod endpoints;
mod event_types;
mod events;
mod fault;
mod history;
mod keys;
mod ledger;
mod memory;
mod messages;
mod operations;
mod ordered;
mod pages;
mod passes;
mod range;
mod readers;
mod reclaim;
mod record;
mod resend_count;
mod resend_walk;
mod resends;
mod retention;
mod standing;
mod traffic;
mod transitions;
mod writer;

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

pub use self::memory::{MemoryDatabase, Turn, Turns};

use self::activity::Unwritten;
use self::batch::Kept;
use self::checkpoint::{Checkpoints, LogLimits};
use self::disk::Disk;
use self::readers::Readers;
use self::resend_count::Counting;
use self::writer::Writer;
use super::arrivals::EventReaders;
use super::{Vault, WaitingLimits};
use crate::domain::Result;

/// Connections that look single rows up.
const LOOKUP_CONNECTIONS: usize = 2;

/// Connections that read events. They are others than those of lists, because readers of events
/// come back with every event there is.
const EVENT_CONNECTIONS: usize = 2;

/// What an operator may want different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How many connections read at the same time.
    pub readers: usize,
    /// The page cache of the writing connection, in KiB.
    pub cache_kib: u32,
    /// How large the database file may grow, in bytes, its log not counted. Beyond it the
    /// store is `unavailable` to everything that needs more room. `None` for no limit.
    pub size_max_bytes: Option<u64>,
    /// Below so many bytes of free disk no new events are accepted, so that there is room for
    /// what becomes of the old ones. 0 for no reserve.
    pub disk_reserve_bytes: u64,
    /// How many readers may wait for events.
    pub waiting: WaitingLimits,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions {
            readers: 4,
            cache_kib: 32 * 1024,
            size_max_bytes: None,
            disk_reserve_bytes: 0,
            waiting: WaitingLimits::default(),
        }
    }
}

/// The store in one file. One process may serve from it; others may look into it, and add
/// and revoke API keys, meanwhile.
pub struct SqliteStore {
    writer: Writer,
    /// For lists, which may look at many rows.
    readers: Arc<Readers>,
    /// For single rows, so that looking up a key never waits for somebody's long list.
    lookups: Arc<Readers>,
    events: Arc<Readers>,
    waiting: Arc<EventReaders>,
    vault: Arc<Vault>,
    /// How often the newest message was removed. Later ones may then have the same `seq`.
    seq_restarts: AtomicU64,
    counting: Counting,
    /// What the writing thread counted for the charts and hasn't written yet.
    unwritten: Arc<Mutex<Unwritten>>,
}

impl SqliteStore {
    /// Opens the file at `path`, or makes it, and brings its schema up to date.
    ///
    /// # Errors
    /// Where the file can't be used, comes from a newer version, or was made with another
    /// master key than the vault's.
    pub fn open(path: &Path, vault: Vault, options: SqliteOptions) -> Result<SqliteStore> {
        let mut connection = connection::open_writer(path, &vault, &options)?;
        let readers = Readers::open(path, options.readers)?;
        let lookups = Readers::open(path, LOOKUP_CONNECTIONS)?;
        let events = Readers::open(path, EVENT_CONNECTIONS)?;
        let vault = Arc::new(vault);
        let waiting = EventReaders::new(options.waiting);
        let disk = Disk::below(path, options.disk_reserve_bytes)?;
        let checkpoints = Checkpoints::start(path, &mut connection, LogLimits::default())?;
        let kept = Kept::new(Arc::clone(&vault), disk);
        let unwritten = kept.activity().unwritten();
        let writer = Writer::start(connection, checkpoints, kept, Arc::clone(&waiting))?;
        let (seq_restarts, counting) = (AtomicU64::new(0), Counting::default());
        Ok(SqliteStore {
            writer,
            readers,
            lookups,
            events,
            waiting,
            vault,
            seq_restarts,
            counting,
            unwritten,
        })
    }

    /// Writes the file at `path` anew, as small as it can be. Nobody else may have it open. On
    /// the way it needs room for two more copies of what is in use.
    ///
    /// # Errors
    /// Where the file can't be used, or there is too little room. It is as it was then.
    pub fn compact(path: &Path) -> Result<()> {
        reclaim::compact(path, i64::from(SqliteOptions::default().cache_kib))
    }
}
