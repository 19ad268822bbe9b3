//! Opening the file: settings of a connection, migrations, the master key's check.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::SqliteOptions;
use super::fault::{Fallible, Fault};
use super::reclaim::INCREMENTAL;
use crate::domain::{Error, Result};
use crate::store::Vault;

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// How long to wait for another process that writes, in milliseconds.
const BUSY_TIMEOUT_MS: i64 = 5_000;
/// How many pages the write-ahead log takes before SQLite writes it back by itself: 64 MB. A
/// server's writing connection leaves that to `checkpoint.rs`.
const WAL_AUTOCHECKPOINT_PAGES: i64 = 16_000;
/// What the write-ahead log is cut back to once it has been written back, in bytes.
const JOURNAL_SIZE_LIMIT_BYTES: i64 = 128 * 1024 * 1024;
/// How many prepared statements a connection keeps: more than there are.
const STATEMENTS_KEPT: usize = 128;
/// The page cache of a reader, in KiB.
const READER_CACHE_KIB: i64 = 8 * 1024;
/// The page cache of the connection that writes the log back, which goes past it.
const CHECKPOINTER_CACHE_KIB: i64 = 64;

/// What is sealed under `key_check`, to tell a wrong master key at once.
const KEY_CHECK: &[u8] = b"hookwright";

/// Brings the file up to date and returns the connection that will write to it.
pub(super) fn open_writer(
    path: &Path,
    vault: &Vault,
    options: &SqliteOptions,
) -> Result<Connection> {
    // Two processes that start together must not both run the same migration.
    let lock = lock(path)?;
    let mut connection = connect(path, i64::from(options.cache_kib)).map_err(Fault::into_error)?;
    migrate(&mut connection)?;
    if let Some(bytes) = options.size_max_bytes {
        limit_size(&connection, bytes).map_err(Fault::into_error)?;
    }
    check_key(&connection, vault).map_err(Fault::into_error)?;
    advise_compaction(&connection).map_err(Fault::into_error)?;
    drop(lock);
    Ok(connection)
}

/// Makes a database in memory, with the schema that a file has.
pub(super) fn open_memory() -> Result<Connection> {
    let mut connection =
        connect(Path::new(":memory:"), READER_CACHE_KIB).map_err(Fault::into_error)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a connection that can't write.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let open = || -> Fallible<Connection> {
        let connection = connect(path, READER_CACHE_KIB)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    };
    open().map_err(Fault::into_error)
}

/// Opens a connection that writes the log back into the database.
pub(super) fn open_checkpointer(path: &Path) -> Result<Connection> {
    connect(path, CHECKPOINTER_CACHE_KIB).map_err(Fault::into_error)
}

fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let lock = || {
        let file = File::options().create(true).truncate(false).write(true).open(&name)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|error: std::io::Error| {
        let sentence = format!("The store can't be opened at {}: {error}.", path.display());
        Error::unavailable(sentence)
    })
}

pub(super) fn connect(path: &Path, cache_kib: i64) -> Fallible<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
    make_shrinkable(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_AUTOCHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT_BYTES)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // A negative number counts KiB, a positive one pages.
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// Lets a new file give room back. Once it has a table, only a rewrite can do that.
fn make_shrinkable(connection: &Connection) -> Fallible<()> {
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    }
    Ok(())
}

/// Says where an older file keeps all the room that it ever took.
fn advise_compaction(connection: &Connection) -> Fallible<()> {
    let auto_vacuum: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if auto_vacuum != INCREMENTAL {
        tracing::warn!(
            "the store was made by an earlier version: what is removed makes room for new \
             messages, but the file doesn't shrink; to change that, stop the server and run \
             `hookwright store compact` once"
        );
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<()> {
    // Grouped, so that a migration and the note that it ran are one transaction.
    let outcome = embedded::migrations::runner().set_grouped(true).run(connection);
    outcome.map(drop).map_err(|error| {
        tracing::error!(%error, "the store can't be migrated");
        Error::unavailable(format!("The store can't be brought up to date: {error}."))
    })
}

fn limit_size(connection: &Connection, bytes: u64) -> Fallible<()> {
    let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page_bytes.max(1);
    // SQLite answers with the limit that it set, which is never below the present size.
    connection.pragma_update(None, "max_page_count", pages.max(1))?;
    Ok(())
}

pub(super) fn check_key(connection: &Connection, vault: &Vault) -> Fallible<()> {
    let select = "SELECT value FROM settings WHERE name = 'key_check'";
    let known: Option<Vec<u8>> = connection.query_row(select, [], |row| row.get(0)).optional()?;
    let Some(sealed) = known else {
        let sealed = vault.seal(KEY_CHECK, b"key_check")?;
        let insert = "INSERT INTO settings (name, value) VALUES ('key_check', ?1)";
        connection.execute(insert, params![sealed])?;
        return Ok(());
    };
    match vault.open(&sealed, b"key_check") {
        Ok(text) if text.as_slice() == KEY_CHECK => Ok(()),
        _ => Err(Error::unavailable(
            "This is not the master key that the store was made with, so its secrets can't be read.",
        )
        .into()),
    }
}
