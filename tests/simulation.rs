//! The engine with the real rules, contracts and transitions, in a world that is made from a
//! seed: its time, its network, what goes wrong with its store, and when its process dies.
//!
//! - `HOOKWRIGHT_SEED=123 cargo test --test simulation -- replay --nocapture` repeats one run and
//!   prints what happened in it.
//! - `HOOKWRIGHT_SEEDS=100000 cargo test --test simulation -- fresh_seeds` runs so many new ones.

#![allow(clippy::print_stdout)] // A replay is there to be read.

#[path = "simulation/account.rs"]
mod account;
#[path = "simulation/dice.rs"]
mod dice;
#[path = "simulation/flights.rs"]
mod flights;
#[path = "simulation/life.rs"]
mod life;
#[path = "simulation/model.rs"]
mod model;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/pages.rs"]
mod pages;
#[path = "simulation/people.rs"]
mod people;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/resends.rs"]
mod resends;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/store.rs"]
mod store;
#[path = "simulation/verdict.rs"]
mod verdict;
#[path = "simulation/world.rs"]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use hookwright::entropy::Entropy;

use self::model::Counts;
use self::run::run;

/// New seeds of each run of the tests.
const FRESH_SEEDS: u64 = 1_000;

/// Seeds that found a defect when they were noted, one that was or one that was planted. What a
/// seed stands for changes with the worlds, so they are no proof that it stays found.
const KNOWN_SEEDS: &[u64] =
    &[1, 2, 3, 6, 31, 43, 67, 1_001, 1_009, 2_014, 2_017, 2_025, 2_199, 166_953_160_395_433];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// Runs these seeds on all cores, and stops at the first that breaks a promise.
fn run_all(seeds: &[u64]) -> Counts {
    verdict::watch_for_panics();
    let next = AtomicU64::new(0);
    let total = Mutex::new(Counts::default());
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let work = || {
        while failed.lock().unwrap().is_none()
            && let Some(&seed) = seeds.get(next.fetch_add(1, SeqCst) as usize)
        {
            let report = run(seed, false);
            total.lock().unwrap().add(report.counts);
            if let Some(why) = report.broken {
                failed.lock().unwrap().get_or_insert((seed, why));
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    if let Some((seed, why)) = failed.into_inner().unwrap() {
        let after = next.load(SeqCst);
        panic!(
            "seed {seed}, one of the first {after}: {why}\n\nTo see it happen:\n\n    \
             HOOKWRIGHT_SEED={seed} cargo test --test simulation -- replay --nocapture\n"
        );
    }
    total.into_inner().unwrap()
}

#[test]
fn known_seeds_keep_all_promises() {
    run_all(KNOWN_SEEDS);
}

#[test]
fn fresh_seeds_keep_all_promises() {
    let first = number("HOOKWRIGHT_SEED_FROM")
        .unwrap_or_else(|| u64::from_be_bytes(Entropy::system().bytes()) >> 16);
    let count = number("HOOKWRIGHT_SEEDS").unwrap_or(FRESH_SEEDS);
    let seeds: Vec<u64> = (first..first + count).collect();
    let counts = run_all(&seeds);
    println!("{count} seeds from {first}: {counts:#?}");
    for (what, times) in counts.rare() {
        assert!(times > 0, "no run of {count} came to {what}: the worlds are too harmless");
    }
}

#[test]
fn a_seed_replays_byte_for_byte() {
    verdict::watch_for_panics();
    for seed in 100..130 {
        let (once, again) = (run(seed, true), run(seed, true));
        assert!(once.trace.len() > 10, "seed {seed} has only {} lines", once.trace.len());
        let same = once.trace.iter().zip(&again.trace).take_while(|(one, other)| one == other);
        let same = same.count();
        assert_eq!(once.trace.get(same), again.trace.get(same), "seed {seed}, line {same}");
    }
}

#[test]
fn replay() {
    let Some(seed) = number("HOOKWRIGHT_SEED") else { return };
    verdict::watch_for_panics();
    let report = run(seed, true);
    for line in &report.trace {
        println!("{line}");
    }
    println!("{:#?}", report.counts);
    assert_eq!(report.broken, None, "seed {seed}");
}
