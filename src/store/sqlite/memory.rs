//! The store in memory and without threads, for simulations: the same transitions on the same
//! schema, and whoever drives the simulation says when the next transaction is made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::SqliteStore;
use super::batch::{Batch, Kept};
use super::connection::{check_key, open_memory};
use super::disk::Disk;
use super::fault::Fault;
use super::readers::Readers;
use super::resend_count::Counting;
use super::writer::{Command, Writer, transact};
use crate::domain::Result;
use crate::store::arrivals::EventReaders;
use crate::store::{Vault, WaitingLimits};

/// A database in memory. It outlives the stores that are opened on it, as a file does.
#[derive(Clone)]
pub struct MemoryDatabase {
    connection: Arc<Mutex<Connection>>,
    failing: Arc<AtomicBool>,
}

impl MemoryDatabase {
    /// An empty one.
    ///
    /// # Errors
    /// Where SQLite has no memory for it.
    pub fn new() -> Result<MemoryDatabase> {
        let mut connection = open_memory()?;
        let failing = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&failing);
        let hooked = connection.commit_hook(Some(move || switch.load(SeqCst)));
        hooked.map_err(|error| Fault::from(error).into_error())?;
        Ok(MemoryDatabase { connection: Arc::new(Mutex::new(connection)), failing })
    }

    /// Whether commits fail from now on, as they do on a disk that is full.
    pub fn fail_commits(&self, fail: bool) {
        self.failing.store(fail, SeqCst);
    }

    /// Opens a store on it. What an earlier one had not committed yet never happened.
    ///
    /// # Errors
    /// Where the database was made with another master key than the vault's.
    pub fn open(&self, vault: Vault) -> Result<(SqliteStore, Turns)> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        check_key(&connection, &vault).map_err(Fault::into_error)?;
        let vault = Arc::new(vault);
        let (writer, queue) = Writer::without_thread();
        let readers = Readers::sharing(&self.connection);
        let waiting = EventReaders::new(WaitingLimits::default());
        let kept = Kept::new(Arc::clone(&vault), Disk::default());
        let unwritten = kept.activity().unwritten();
        let turns = Turns {
            connection: Arc::clone(&self.connection),
            queue,
            kept: Some(kept),
            waiting: Arc::clone(&waiting),
        };
        let (lookups, events) = (Arc::clone(&readers), Arc::clone(&readers));
        let (seq_restarts, counting) = (AtomicU64::new(0), Counting::default());
        let store = SqliteStore {
            writer,
            readers,
            lookups,
            events,
            waiting,
            vault,
            seq_restarts,
            counting,
            unwritten,
        };
        Ok((store, turns))
    }
}

/// What a writing thread does, one transaction at a time.
pub struct Turns {
    connection: Arc<Mutex<Connection>>,
    queue: mpsc::Receiver<Box<dyn Command>>,
    /// Away while a transaction runs.
    kept: Option<Kept>,
    waiting: Arc<EventReaders>,
}

/// One transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How many commands shared it.
    pub commands: usize,
    pub committed: bool,
}

impl Turns {
    /// Whether there is something to write.
    pub fn waiting(&self) -> bool {
        !self.queue.is_empty() || self.kept.as_ref().is_some_and(Kept::discards_waiting)
    }

    /// Makes one transaction with what waits, up to `limit` commands, and answers them.
    pub fn take(&mut self, limit: usize) -> Turn {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.kept.take().expect("one transaction at a time");
        let mut batch = Batch::new(&connection, kept);
        let mut ran = Vec::new();
        let committed = transact(&mut batch, &mut self.queue, &mut ran, limit);
        self.waiting.tell(batch.news());
        self.kept = Some(batch.into_kept());
        let turn = Turn { commands: ran.len(), committed: committed.is_ok() };
        for command in ran {
            command.answer(&committed);
        }
        turn
    }
}
