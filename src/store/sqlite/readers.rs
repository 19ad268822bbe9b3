//! The connections that only read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::open_reader;
use super::fault::{Fallible, Fault};
use crate::domain::{Error, Result};

/// How many steps of SQLite's virtual machine a query may take: a few seconds' worth. A filter
/// that matches next to nothing would otherwise read an application's whole history.
const STEPS_MAX: u32 = 100_000_000;

/// How many steps lie between two checks of the limit.
const STEPS_BETWEEN_CHECKS: u32 = 100_000;

/// A few connections, each used by one reader at a time, on a thread that may block.
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    /// Read from this one, on the caller's thread, where there is only one.
    only: Option<Arc<Mutex<Connection>>>,
}

impl Readers {
    pub(super) fn open(path: &Path, connections: usize) -> Result<Arc<Readers>> {
        let connections = connections.max(1);
        let idle = (0..connections).map(|_| open_reader(path)).collect::<Result<Vec<_>>>()?;
        let permits = Arc::new(Semaphore::new(connections));
        Ok(Arc::new(Readers { idle: Mutex::new(idle), permits, only: None }))
    }

    /// Reads from the connection that also writes: a database in memory has no other.
    pub(super) fn sharing(connection: &Arc<Mutex<Connection>>) -> Arc<Readers> {
        let (idle, permits) = (Mutex::default(), Arc::new(Semaphore::new(0)));
        Arc::new(Readers { idle, permits, only: Some(Arc::clone(connection)) })
    }

    /// Runs `query` within one read transaction: all that it reads was true at one moment. It
    /// may take [`STEPS_MAX`] steps.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Readers>,
        query: impl FnOnce(&Connection) -> Fallible<T> + Send + 'static,
    ) -> Result<T> {
        self.run(Some(STEPS_MAX), query).await
    }

    /// The same without a limit, for what the operator asks.
    pub(super) async fn read_all<T: Send + 'static>(
        self: &Arc<Readers>,
        query: impl FnOnce(&Connection) -> Fallible<T> + Send + 'static,
    ) -> Result<T> {
        self.run(None, query).await
    }

    /// Writes the log back to the file as far as nobody reads it or writes meanwhile, without
    /// holding anybody up. Then the file is as short as it was made.
    pub(super) async fn checkpoint(self: &Arc<Readers>) -> Result<()> {
        self.lend(|connection| {
            let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
            let done = connection.query_row(checkpoint, [], |_| Ok(()));
            done.map_err(|error| Fault::from(error).into_error())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        self: &Arc<Readers>,
        steps: Option<u32>,
        query: impl FnOnce(&Connection) -> Fallible<T> + Send + 'static,
    ) -> Result<T> {
        self.lend(move |connection| read_on(connection, steps, query)).await
    }

    /// Lends a connection outside of any transaction.
    async fn lend<T: Send + 'static>(
        self: &Arc<Readers>,
        use_it: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if let Some(only) = &self.only {
            let mut connection = only.lock().unwrap_or_else(PoisonError::into_inner);
            let used = use_it(&mut connection);
            limit_steps(&mut connection, None).map_err(Fault::into_error)?;
            return used;
        }
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| closed())?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            // Held until the connection is back, also where the caller has gone away.
            let _permit = permit;
            let mut borrowed = Borrowed::take(&readers).ok_or_else(closed)?;
            let connection = borrowed.connection().ok_or_else(closed)?;
            use_it(connection)
        });
        reading.await.map_err(|error| {
            tracing::error!(%error, "a reader of the store stopped");
            Error::internal("A reader of the store stopped.")
        })?
    }
}

fn read_on<T>(
    connection: &mut Connection,
    steps: Option<u32>,
    query: impl FnOnce(&Connection) -> Fallible<T>,
) -> Result<T> {
    limit_steps(connection, steps).map_err(Fault::into_error)?;
    let transaction = connection.unchecked_transaction();
    let transaction = transaction.map_err(|error| Fault::from(error).into_error())?;
    query(&transaction).map_err(Fault::into_error)
}

/// Interrupts what runs on a connection after so many steps. Counting them needs no clock, and
/// stops the same query at the same row on any machine.
fn limit_steps(connection: &mut Connection, steps: Option<u32>) -> Fallible<()> {
    let Some(steps) = steps else {
        connection.progress_handler(0, None::<fn() -> bool>)?;
        return Ok(());
    };
    let mut left = steps / STEPS_BETWEEN_CHECKS;
    let check = move || {
        left = left.saturating_sub(1);
        left == 0
    };
    connection
        .progress_handler(STEPS_BETWEEN_CHECKS.try_into().unwrap_or(i32::MAX), Some(check))?;
    Ok(())
}

fn closed() -> Error {
    Error::unavailable("The store is closed.")
}

/// A connection that goes back where it came from, also when its user panics.
struct Borrowed<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl<'a> Borrowed<'a> {
    fn take(readers: &'a Readers) -> Option<Borrowed<'a>> {
        let connection = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Borrowed { readers, connection: Some(connection) })
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(connection);
        }
    }
}
