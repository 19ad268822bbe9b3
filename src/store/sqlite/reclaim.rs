//! Giving room back to the disk: free pages are taken off the end of the file, a few at a time.

use std::path::Path;

use rusqlite::Connection;

use super::connection::connect;
use super::fault::{Fallible, Fault};
use crate::domain::Result;
use crate::store::Reclaim;

/// How many pages one step takes off: half a millisecond of the writing thread's time.
const PAGES_PER_STEP: i64 = 32;

/// Free pages are used again before the file grows, so some are worth keeping: taking off
/// begins where they are more than a quarter of the file, and ends where they are an eighth.
const BEGIN_ABOVE_ONE_IN: i64 = 4;
const END_BELOW_ONE_IN: i64 = 8;

/// `auto_vacuum` of a file whose pages can be taken off by steps.
pub(super) const INCREMENTAL: i64 = 2;

/// Whether a step has anything to do.
pub(super) fn wanted(connection: &Connection, reclaim: Reclaim) -> Fallible<bool> {
    if pragma(connection, "auto_vacuum")? != INCREMENTAL {
        return Ok(false);
    }
    let (free, all) = (pragma(connection, "freelist_count")?, pragma(connection, "page_count")?);
    let one_in = if reclaim.bytes == 0 { BEGIN_ABOVE_ONE_IN } else { END_BELOW_ONE_IN };
    Ok(free.saturating_mul(one_in) > all)
}

/// Takes some pages off.
pub(super) fn step(connection: &Connection, reclaim: Reclaim) -> Fallible<Reclaim> {
    if !wanted(connection, reclaim)? {
        return Ok(Reclaim { done: true, ..reclaim });
    }
    let before = pragma(connection, "page_count")?;
    let mut vacuum =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_PER_STEP})"))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    let taken = before - pragma(connection, "page_count")?;
    let bytes = taken * pragma(connection, "page_size")?;
    let bytes = reclaim.bytes + u64::try_from(bytes).unwrap_or(0);
    // Where nothing came off, nothing will.
    Ok(Reclaim { bytes, done: taken <= 0 })
}

fn pragma(connection: &Connection, name: &str) -> Fallible<i64> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

/// Writes the whole file anew without free pages, and so that pages can be taken off later.
/// Nobody else may have it open. Needs room for two more copies of what is in use.
pub(super) fn compact(path: &Path, cache_kib: i64) -> Result<()> {
    let compact = || -> Fallible<()> {
        let connection = connect(path, cache_kib)?;
        // The copy is as large as the store: neither memory nor /tmp may have room for it.
        connection.pragma_update(None, "temp_store", "file")?;
        if let Some(folder) = path.parent().and_then(Path::to_str) {
            connection.pragma_update(None, "temp_store_directory", folder)?;
        }
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        connection.execute("VACUUM", [])?;
        Ok(())
    };
    // Closing the only connection writes the log back and cuts the file.
    compact().map_err(Fault::into_error)
}
