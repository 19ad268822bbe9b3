//! The ledger: what became of everything that was accepted.

use std::sync::Arc;

use super::ApplicationId;

/// One application's line. Invariant 3 of ARCHITECTURE.md: the sum holds at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    pub environment: Arc<str>,
    pub application: ApplicationId,
    pub uid: Option<String>,
    pub accepted: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// Counted from the rows themselves, unlike the others, which are running totals.
    pub pending: u64,
    pub discarded: u64,
    /// How many of those that ended have grown too old and were removed. The totals go on
    /// counting them.
    pub removed: u64,
}

impl LedgerLine {
    /// Whether accepted = succeeded + failed + pending + discarded.
    pub fn adds_up(&self) -> bool {
        self.accepted == self.succeeded + self.failed + self.pending + self.discarded
    }
}
