//! `hookwright store`: looks after the store's file.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::serve::{STORE_FILE, lock_data_dir};
use crate::config::Sources;
use crate::store::sqlite::SqliteStore;

#[derive(Subcommand)]
pub(super) enum StoreCommand {
    /// Write the store's file anew, as small as it can be, while no server runs on it
    ///
    /// A server gives room back by itself as old messages are removed. This is for files that
    /// were made by versions that didn't, and for giving back all there is at once. It needs
    /// room for two more copies of what is kept, and takes a minute or so for 10 GB. Should it
    /// be cut off, the store is as it was.
    Compact(Box<CompactArgs>),
}

#[derive(Args)]
pub(super) struct CompactArgs {
    #[command(flatten)]
    sources: Sources,
}

pub(super) fn run(command: StoreCommand) -> anyhow::Result<ExitCode> {
    let StoreCommand::Compact(args) = command;
    let dir = args.sources.load()?.data_dir;
    let path = dir.join(STORE_FILE);
    if !path.exists() {
        bail!("there is no store in {}: name its directory with --data-dir", dir.display());
    }
    let _lock = lock_data_dir(&dir)?;
    let bytes = || path.metadata().map(|metadata| metadata.len());
    let before = bytes()?;
    SqliteStore::compact(&path).with_context(|| format!("the store {}", path.display()))?;
    super::print(&format!("{}: {before} bytes before, {} now", path.display(), bytes()?))
}
