//! What receivers saw, held against what the store knows.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use rusqlite::Connection;

use hookwright::domain::{MessageId, Timestamp};

use super::load::Callers;
use super::receiver::Arrival;

/// One process of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) began: Timestamp,
    /// Whether it ended by force.
    pub(crate) killed: bool,
}

/// An attempt that the store knows of.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    life: usize,
    succeeded: bool,
}

/// What there is to say in the end.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) lives: usize,
    pub(crate) killed: usize,
    pub(crate) acknowledged_events: usize,
    /// Events and endpoints that acknowledged events were for.
    pub(crate) acknowledged: usize,
    /// Deliveries in the ledger. More than acknowledged where an answer was lost in a kill.
    pub(crate) accepted: u64,
    pub(crate) requests: usize,
    pub(crate) resent: usize,
    /// Attempts that arrived and were not recorded, because the process that made them was
    /// killed: these were repeated, and nothing else was.
    pub(crate) repeated: usize,
    /// The most of one life.
    pub(crate) repeated_most: usize,
}

impl Verdict {
    /// # Panics
    /// Where anything was lost, or repeated without a reason.
    pub(crate) fn on(callers: &Callers, lives: &[Life], store: &Path, accepted: u64) -> Verdict {
        let arrivals = callers.receiver.arrivals();
        let recorded = recorded(store, lives);
        let expected = callers.expected();
        let missing: Vec<_> =
            expected.iter().filter(|pair| !arrivals.contains_key(*pair)).collect();
        assert!(missing.is_empty(), "{} missing, such as {:?}", missing.len(), missing[0]);

        let resent = callers.acknowledged.lock().unwrap().resent.clone();
        let mut of_lives = vec![0; lives.len()];
        for (pair, arrived) in &arrivals {
            let known = recorded.get(pair).map_or(&[][..], Vec::as_slice);
            for (life, unrecorded) in unrecorded(arrived, known, lives.len()) {
                // A delivery is attempted by one at a time, so one attempt at most was under way.
                let allowed = usize::from(lives[life].killed);
                let story = || format!("{pair:?} in life {life}: {arrived:?}, known: {known:?}");
                assert!(unrecorded <= allowed, "repeated without a reason: {}", story());
                of_lives[life] += unrecorded;
            }
            match resent.get(pair) {
                None => assert_not_after_success(pair, arrived, known),
                Some(true) => assert!(arrived.len() > 1, "{pair:?} was not sent again"),
                Some(false) => {}
            }
        }
        Verdict {
            lives: lives.len(),
            killed: lives.iter().filter(|life| life.killed).count(),
            acknowledged_events: callers.acknowledged.lock().unwrap().events.len(),
            acknowledged: expected.len(),
            accepted,
            requests: arrivals.values().map(Vec::len).sum(),
            resent: resent.values().filter(|&&taken| taken).count(),
            repeated: of_lives.iter().sum(),
            repeated_most: of_lives.into_iter().max().unwrap_or(0),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} processes, {} of them killed; {} events acknowledged, which are {} deliveries; \
             0 of those missing, {} accepted; {} requests arrived, {} after a resend by hand; \
             {} repeated because a kill came before their record, at most {} of one process; \
             0 repeated for any other reason",
            self.lives,
            self.killed,
            self.acknowledged_events,
            self.acknowledged,
            self.accepted,
            self.requests,
            self.resent,
            self.repeated,
            self.repeated_most
        )
    }
}

/// By life: how many attempts at a delivery arrived that the store doesn't know of.
fn unrecorded(
    arrived: &[Arrival],
    known: &[Recorded],
    lives: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let of_arrivals = |life| arrived.iter().filter(|one| one.life as usize == life).count();
    let of_records = |life| known.iter().filter(|one| one.life == life).count();
    let first = arrived.iter().map(|one| one.life as usize).min().unwrap_or(lives);
    let last = arrived.iter().map(|one| one.life as usize).max().unwrap_or(0);
    (first..=last)
        .map(move |life| (life, of_arrivals(life).saturating_sub(of_records(life))))
        .collect::<Vec<_>>()
        .into_iter()
}

/// What the store knew to be delivered isn't delivered again.
fn assert_not_after_success(pair: &(String, String), arrived: &[Arrival], known: &[Recorded]) {
    let mut successes = known.iter().filter(|one| one.succeeded);
    let Some(success) = successes.next() else { return };
    assert!(successes.next().is_none(), "{pair:?} succeeded twice: {known:?}");
    let later = arrived.iter().any(|one| one.life as usize > success.life);
    assert!(!later, "{pair:?} was delivered after it was done: {arrived:?}, {known:?}");
    assert!(arrived.iter().any(|one| one.taken), "{pair:?} succeeded at nobody");
}

/// Attempts by endpoint (as it stands in its URL) and event.
fn recorded(store: &Path, lives: &[Life]) -> HashMap<(String, String), Vec<Recorded>> {
    let connection = Connection::open(store).unwrap();
    let check: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let sql = "SELECT message_id, url, started_at_us, succeeded FROM attempts ORDER BY id";
    let mut select = connection.prepare(sql).unwrap();
    let mut rows = select.query([]).unwrap();
    let mut recorded: HashMap<_, Vec<Recorded>> = HashMap::new();
    while let Some(row) = rows.next().unwrap() {
        let event: MessageId = row.get(0).unwrap();
        let url: String = row.get(1).unwrap();
        let endpoint = url.rsplit('/').next().unwrap().to_owned();
        let started: Timestamp = row.get(2).unwrap();
        let life = lives.partition_point(|life| life.began <= started) - 1;
        let attempt = Recorded { life, succeeded: row.get(3).unwrap() };
        recorded.entry((endpoint, event.to_string())).or_default().push(attempt);
    }
    recorded
}
