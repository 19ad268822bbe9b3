//! The only place that makes randomness: ids, secrets, nonces and jitter.
//!
//! Handed in like the clock, so that a simulation replays from its seed.
#![allow(clippy::disallowed_methods)]

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::clock::Clock;
use crate::domain::Id;

/// A source of randomness: the system's, or one seeded by a test.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// The operating system's randomness, through a cryptographic generator per thread.
    pub fn system() -> Entropy {
        Entropy(Source::System)
    }

    /// The same sequence for the same seed. For tests and simulations only.
    pub fn seeded(seed: u64) -> Entropy {
        Entropy(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => rand::rng().fill_bytes(bytes),
            Source::Seeded(rng) => rng.lock().expect("no panic while drawing").fill_bytes(bytes),
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        match &self.0 {
            Source::System => rand::rng().random(),
            Source::Seeded(rng) => rng.lock().expect("no panic while drawing").random(),
        }
    }

    /// A new time-ordered id (UUID version 7).
    pub fn id<K>(&self, clock: &Clock) -> Id<K> {
        Id::at(clock.now(), self.bytes())
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}
