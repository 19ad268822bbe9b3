//! Nothing acknowledged is lost: the real binary, killed and stopped in the middle of its work,
//! again and again, under mixed load. `scripts/crash-loop` runs it for as long as one likes.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

mod support;

mod crash {
    mod kills;
    mod load;
    mod receiver;
    mod stops;
    mod verdict;
    mod world;

    pub(crate) const KEY: &str = "an-admin-key-for-tests";

    /// Stands before the number of the server's process in what it calls itself, so that a
    /// receiver knows which one a request comes from, however late it reads it.
    pub(crate) const LIFE_PREFIX: &str = "life-";
}
