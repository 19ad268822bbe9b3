//! Writing the log back into the database. Most of it happens on a thread of its own, because
//! commits would wait for it otherwise.
//!
//! The log can start over only when all of it is written back, and commits go on meanwhile. So
//! the other thread writes back until little is left, and the writing thread does the rest
//! between two commits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::connection::open_checkpointer;
use super::fault::{Fallible, Fault};
use crate::domain::{Error, Result};

/// When the log is written back, in pages of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogLimits {
    /// How long the log is when that begins.
    begin_pages: u32,
    /// How much the writing thread writes back itself.
    rest_pages: u32,
    /// How long the log may be before commits wait for the other thread.
    most_pages: u32,
}

impl Default for LogLimits {
    /// 64 MB, a few milliseconds' worth, and 256 MB.
    fn default() -> LogLimits {
        LogLimits { begin_pages: 16_000, rest_pages: 1_000, most_pages: 64_000 }
    }
}

/// The log of one store, as the writing thread sees it.
pub(super) struct Checkpoints {
    limits: LogLimits,
    /// Pages in the log after the last commit.
    pages: Arc<AtomicU32>,
    /// How many there were when the log was written back last, or is being.
    began_at: u32,
    under_way: bool,
    ask: Option<mpsc::Sender<()>>,
    /// Pages of the log that are written back.
    done: mpsc::Receiver<u32>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Takes the log of `connection`, which writes to the store at `path`, into its care.
    pub(super) fn start(
        path: &Path,
        connection: &mut Connection,
        limits: LogLimits,
    ) -> Result<Checkpoints> {
        let pages = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&pages);
        // In place of SQLite's own, which writes back within the commit.
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(|error| Fault::from(error).into_error())?;
        let own = open_checkpointer(path)?;
        let (ask, asked) = mpsc::channel();
        let (tell, done) = mpsc::channel();
        let work = move || {
            while asked.recv().is_ok() && tell.send(write_back(&own)).is_ok() {}
        };
        let thread = thread::Builder::new().name("store-checkpoint".to_owned()).spawn(work);
        let thread = thread
            .map_err(|error| Error::unavailable(format!("No thread for the store: {error}.")))?;
        let (ask, thread) = (Some(ask), Some(thread));
        Ok(Checkpoints { limits, pages, began_at: 0, under_way: false, ask, done, thread })
    }

    /// To be called between two transactions.
    pub(super) fn committed(&mut self, connection: &Connection) {
        let LogLimits { begin_pages, rest_pages, most_pages } = self.limits;
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.began_at {
            self.began_at = 0;
        }
        if self.under_way {
            let answer = match pages < most_pages {
                true => self.done.try_recv().ok(),
                false => self.done.recv().ok(),
            };
            let Some(written_back) = answer else { return };
            self.under_way = false;
            if pages.saturating_sub(written_back) <= rest_pages || pages >= most_pages {
                write_back(connection);
            }
        } else if pages >= begin_pages && pages >= self.began_at.saturating_add(rest_pages) {
            // Not after every commit: where a reader still needs the log, it can't be done.
            self.began_at = pages;
            self.under_way = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the store's log back panicked");
        }
    }
}

/// Writes back what no reader needs in the log. Returns how many of its pages are written back.
fn write_back(connection: &Connection) -> u32 {
    let run = || -> Fallible<i64> {
        Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))?)
    };
    match run() {
        Ok(pages) => u32::try_from(pages).unwrap_or(0),
        Err(fault) => {
            let error = fault.into_error();
            tracing::debug!(%error, "the store's log could not be written back; trying again later");
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIMITS: LogLimits = LogLimits { begin_pages: 100, rest_pages: 10, most_pages: 400 };
    const PAGE_BYTES: u64 = 4_096;
    /// What one transaction of these tests may write.
    const TRANSACTION_PAGES: u64 = 20;

    struct Store {
        folder: tempfile::TempDir,
        connection: Connection,
        checkpoints: Checkpoints,
    }

    fn store() -> Store {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut connection = open_checkpointer(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)").unwrap();
        let checkpoints = Checkpoints::start(&path, &mut connection, LIMITS).unwrap();
        Store { folder, connection, checkpoints }
    }

    impl Store {
        fn write(&mut self, transactions: usize) {
            for _ in 0..transactions {
                let sql = "INSERT INTO t (b) VALUES (randomblob(40000))";
                self.connection.execute(sql, []).unwrap();
                self.checkpoints.committed(&self.connection);
            }
        }

        fn log_pages(&self) -> u64 {
            let log = self.folder.path().join("store.db-wal");
            fs::metadata(log).unwrap().len() / PAGE_BYTES
        }
    }

    #[test]
    fn the_log_is_written_back_and_starts_over() {
        let mut store = store();
        store.write(500);
        // Ten times as many pages were written.
        assert!(store.log_pages() < 400 + 2 * TRANSACTION_PAGES, "{}", store.log_pages());
        let database = fs::metadata(store.folder.path().join("store.db")).unwrap().len();
        assert!(database > 4_000 * PAGE_BYTES, "{database}");
    }

    #[test]
    fn a_reader_keeps_the_log_and_its_end_lets_it_go() {
        let mut store = store();
        let reader = open_checkpointer(&store.folder.path().join("store.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        store.write(200);
        let kept = store.log_pages();
        assert!(kept > 1_500, "{kept}");
        reader.execute_batch("COMMIT").unwrap();
        store.write(300);
        // It never shrinks, but starts over in the same file.
        assert!(store.log_pages() < kept + 100, "{}", store.log_pages());
    }
}
