//! The room that is left on the disk. New events stop before it ends, so that there is some for
//! what becomes of the old ones: an outcome that can't be recorded is an attempt made twice.

use std::fs::File;
use std::path::Path;

use crate::domain::{Error, Result};

/// Above the reserve by one part in so many, a disk isn't low any more. Between the two it
/// stays what it was, so that a log doesn't fill it with the news.
const MARGIN_PART: u64 = 16;

/// Watches the file system that the store is on.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// The store's directory; `None` where nothing is reserved.
    directory: Option<File>,
    reserve_bytes: u64,
    low: bool,
}

impl Disk {
    /// The disk below the store at `path`, of which so much is reserved.
    pub(super) fn below(path: &Path, reserve_bytes: u64) -> Result<Disk> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let open = || File::open(directory.unwrap_or(Path::new(".")));
        let directory = (reserve_bytes > 0).then(open).transpose().map_err(|error| {
            Error::unavailable(format!("The directory of the store can't be read: {error}."))
        })?;
        Ok(Disk { directory, reserve_bytes, low: false })
    }

    /// Looks how much room there is: a system call that touches no disk, so it may be made
    /// for every transaction.
    pub(super) fn look(&mut self) {
        let Some(directory) = &self.directory else { return };
        match rustix::fs::fstatvfs(directory) {
            Ok(found) => self.found(found.f_bavail.saturating_mul(found.f_frsize)),
            Err(error) => tracing::debug!(%error, "the disk doesn't say how much room it has"),
        }
    }

    fn found(&mut self, free_bytes: u64) {
        let reserve_bytes = self.reserve_bytes;
        let enough_bytes = reserve_bytes.saturating_add(reserve_bytes / MARGIN_PART);
        if !self.low && free_bytes < reserve_bytes {
            self.low = true;
            tracing::error!(
                free_bytes,
                reserve_bytes,
                "the disk is nearly full: new events are refused until there is room"
            );
        } else if self.low && free_bytes >= enough_bytes {
            self.low = false;
            tracing::info!(free_bytes, "the disk has room: new events are taken again");
        }
    }

    /// Whether there is room for new events.
    ///
    /// # Errors
    /// `unavailable` where there isn't.
    pub(super) fn check(&self) -> Result<()> {
        if self.low {
            return Err(Error::unavailable(
                "The store's disk is nearly full: new events are refused until there is room.",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_disk_needs_more_than_its_reserve_to_recover() {
        let mut disk = Disk { directory: None, reserve_bytes: 1_600, low: false };
        for (free_bytes, refuses) in
            [(1_600, false), (1_599, true), (1_600, true), (1_699, true), (1_700, false)]
        {
            disk.found(free_bytes);
            assert_eq!(disk.check().is_err(), refuses, "{free_bytes}");
        }
    }

    #[test]
    fn a_reserve_larger_than_the_disk_is_never_free_and_none_always() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        for (reserve_bytes, refuses) in [(u64::MAX, true), (1, false), (0, false)] {
            let mut disk = Disk::below(&path, reserve_bytes).unwrap();
            disk.look();
            assert_eq!(disk.check().is_err(), refuses, "{reserve_bytes}");
        }
    }
}
