//! What can go wrong in a transition, and what callers are told of it.

use rusqlite::ErrorCode as SqliteCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::domain::{Error, ErrorCode};
use crate::store::VaultError;

/// Why a transition came to nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// The transition itself refused: the caller is told as it is.
    Refused(Error),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

pub(super) type Fallible<T> = Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Fault {
        tracing::error!(%error, "a sealed value in the store can't be opened");
        Fault::Refused(Error::internal("A sealed value in the store can't be opened."))
    }
}

impl Fault {
    /// What the caller is told. SQLite's own words go to the log.
    pub(super) fn into_error(self) -> Error {
        match self {
            Fault::Refused(error) => error,
            Fault::Sqlite(error) => explain(&error),
        }
    }
}

fn explain(error: &rusqlite::Error) -> Error {
    let full = is_disk_full(error);
    let (code, sentence) = match error.sqlite_error_code() {
        _ if full => (ErrorCode::Unavailable, "The store's disk is full."),
        Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => {
            (ErrorCode::Unavailable, "The store is in use by another process.")
        }
        Some(SqliteCode::SystemIoFailure) => {
            (ErrorCode::Unavailable, "The store's disk reports an error.")
        }
        Some(SqliteCode::CannotOpen | SqliteCode::ReadOnly | SqliteCode::PermissionDenied) => {
            (ErrorCode::Unavailable, "The store's file can't be opened for writing.")
        }
        Some(SqliteCode::OperationInterrupted) => (
            ErrorCode::Unavailable,
            "The query looks at too much; narrow it by time or drop a filter.",
        ),
        Some(SqliteCode::OutOfMemory) => {
            (ErrorCode::Unavailable, "The store has no memory left to work with.")
        }
        Some(SqliteCode::DatabaseCorrupt | SqliteCode::NotADatabase) => {
            (ErrorCode::Internal, "The store's file is damaged.")
        }
        _ => (ErrorCode::Internal, "The store failed in a way that it should not."),
    };
    if full {
        // The writing thread says so once, and not with every event that it refuses.
        tracing::debug!(%error, "the store failed: {sentence}");
    } else {
        tracing::error!(%error, "the store failed: {sentence}");
    }
    Error::new(code, sentence)
}

fn is_disk_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failure| {
        // The log's index couldn't grow, which nothing but a full disk keeps it from.
        failure.code == SqliteCode::DiskFull || failure.extended_code == SQLITE_IOERR_SHMSIZE
    })
}

/// A column that doesn't hold what it must.
pub(super) fn damaged(what: &str) -> Fault {
    tracing::error!("the store holds {what} that can't be read");
    Fault::Refused(Error::internal(format!("The store holds {what} that can't be read.")))
}

/// Turns a violated unique index into a conflict, told apart by the column in SQLite's words.
pub(super) fn unique<T>(result: rusqlite::Result<T>, conflicts: &[(&str, &str)]) -> Fallible<T> {
    let error = match result {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let rusqlite::Error::SqliteFailure(failure, Some(words)) = &error
        && failure.code == SqliteCode::ConstraintViolation
        && let Some((_, sentence)) = conflicts.iter().find(|(column, _)| words.ends_with(column))
    {
        return Err(Error::conflict(*sentence).into());
    }
    Err(error.into())
}
