//! The connections that only read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::open_reader;
use super::fault::{Fallible, Fault};
use crate::domain::{Error, Result};

/// A few connections, each used by one reader at a time, on a thread that may block.
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path, connections: usize) -> Result<Arc<Readers>> {
        let connections = connections.max(1);
        let idle = (0..connections).map(|_| open_reader(path)).collect::<Result<Vec<_>>>()?;
        let permits = Arc::new(Semaphore::new(connections));
        Ok(Arc::new(Readers { idle: Mutex::new(idle), permits }))
    }

    /// Runs `query` within one read transaction: all that it reads was true at one moment.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Readers>,
        query: impl FnOnce(&Connection) -> Fallible<T> + Send + 'static,
    ) -> Result<T> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| closed())?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            // Held until the connection is back, also where the caller has gone away.
            let _permit = permit;
            let borrowed = Borrowed::take(&readers).ok_or_else(closed)?;
            let transaction = borrowed.connection().ok_or_else(closed)?.unchecked_transaction();
            let transaction = transaction.map_err(|error| Fault::from(error).into_error())?;
            query(&transaction).map_err(Fault::into_error)
        });
        reading.await.map_err(|error| {
            tracing::error!(%error, "a reader of the store stopped");
            Error::internal("A reader of the store stopped.")
        })?
    }
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

    fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
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
