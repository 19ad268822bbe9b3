//! Chance, all of it from the seed.

use std::time::Duration;

/// A generator whose numbers stay the same whatever version a library has (SplitMix64), so that
/// a seed that was once noted goes on meaning the same.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of one subject, which don't change with how many another one drew.
    pub(crate) fn new(seed: u64, subject: u64) -> Dice {
        let mut dice = Dice(seed ^ subject.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// So many milliseconds, to the microsecond.
    pub(crate) fn ms(&mut self, low: u64, high: u64) -> Duration {
        let (low, high) = (low * 1_000, high * 1_000);
        Duration::from_micros(low + self.next() % (high - low).max(1))
    }
}
