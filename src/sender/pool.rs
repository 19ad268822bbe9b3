//! Connections that wait for their next request.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::{Http1, SharedConnection};
use super::origin::{Destination, Origin};
use crate::domain::Timestamp;

/// So many locks share the load; with few cores few suffice.
const SHARDS: usize = 8;

/// How many connections may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) per_host: usize,
    pub(super) total: usize,
    pub(super) timeout: Duration,
}

/// An open connection from the pool.
pub(super) enum Pooled {
    Http1(Box<Http1>),
    Shared(SharedConnection),
}

/// Idle HTTP/1 connections and shared HTTP/2 connections by where they lead.
///
/// There is no task that closes what has waited too long: every return of a connection looks
/// whether it is time to, and [`Pool::sweep`] does it on demand.
pub(super) struct Pool {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    limits: Limits,
    /// All waiting connections, over all shards.
    total: AtomicUsize,
    /// In microseconds since the epoch.
    next_sweep: AtomicI64,
}

/// By the hash of the destination. Each has a list, because hashes may collide.
#[derive(Default)]
struct Shard(HashMap<u64, Vec<Entry>>);

struct Entry {
    origin: Arc<Origin>,
    /// The one that was used last stands last, and is taken first.
    idle: Vec<Waiting<Box<Http1>>>,
    shared: Option<Waiting<SharedConnection>>,
}

struct Waiting<C> {
    connection: C,
    since: Timestamp,
}

/// Connections on their way out. Closing one is a system call, so it happens after the lock
/// is released.
type Closing = Vec<Pooled>;

impl Pool {
    pub(super) fn new(limits: Limits) -> Pool {
        Pool {
            shards: Default::default(),
            hasher: RandomState::new(),
            limits,
            total: AtomicUsize::new(0),
            next_sweep: AtomicI64::new(0),
        }
    }

    pub(super) fn hash(&self, destination: &Destination<'_>) -> u64 {
        self.hasher.hash_one(destination)
    }

    /// How many connections wait.
    pub(super) fn len(&self) -> usize {
        self.total.load(Relaxed)
    }

    /// A connection that leads to `destination`. A shared one stays in the pool as well.
    pub(super) fn take(
        &self,
        destination: &Destination<'_>,
        hash: u64,
        now: Timestamp,
    ) -> Option<Pooled> {
        let mut closing = Closing::new();
        let mut shard = self.shard(hash);
        let entry = shard.find(hash, destination)?;
        if let Some(shared) = &mut entry.shared {
            if shared.connection.is_open() && !self.is_over(shared.since, now) {
                shared.since = now;
                return Some(Pooled::Shared(shared.connection.clone()));
            }
            entry.close_shared(&mut closing);
        }
        let mut taken = None;
        if let Some(waiting) = entry.idle.pop() {
            if self.is_over(waiting.since, now) {
                // The others have waited even longer.
                closing.push(Pooled::Http1(waiting.connection));
                entry.close_idle(&mut closing);
            } else {
                self.total.fetch_sub(1, Relaxed);
                taken = Some(Pooled::Http1(waiting.connection));
            }
        }
        self.total.fetch_sub(closing.len(), Relaxed);
        drop(shard);
        taken
    }

    /// Keeps an idle connection, or closes it where there is no room.
    pub(super) fn put(&self, connection: Box<Http1>, now: Timestamp) {
        self.sweep_if_due(now);
        let origin = connection.origin().clone();
        let mut closing = Closing::new();
        let mut shard = self.shard(origin.hash);
        let waiting_here = shard.find(origin.hash, &origin.as_destination());
        if waiting_here.is_some_and(|entry| entry.idle.len() >= self.limits.per_host) {
            return;
        }
        if !self.make_room(&mut shard, &mut closing) {
            return;
        }
        shard.entry(&origin).idle.push(Waiting { connection, since: now });
        self.total.fetch_add(1, Relaxed);
        drop(shard);
    }

    /// Offers a new HTTP/2 connection to the attempts that follow. Where another attempt was
    /// faster, that one's stays and is returned.
    pub(super) fn share(&self, connection: SharedConnection, now: Timestamp) -> SharedConnection {
        self.sweep_if_due(now);
        let origin = connection.origin().clone();
        let mut closing = Closing::new();
        let mut shard = self.shard(origin.hash);
        let entry = shard.find(origin.hash, &origin.as_destination());
        if let Some(entry) = entry {
            match &entry.shared {
                Some(first) if first.connection.is_open() => return first.connection.clone(),
                _ => entry.close_shared(&mut closing),
            }
            self.total.fetch_sub(closing.len(), Relaxed);
        }
        if self.make_room(&mut shard, &mut closing) {
            let waiting = Waiting { connection: connection.clone(), since: now };
            shard.entry(&origin).shared = Some(waiting);
            self.total.fetch_add(1, Relaxed);
        }
        drop(shard);
        connection
    }

    /// Offers a shared connection no longer, because something is wrong with it. Attempts
    /// that are using it go on.
    pub(super) fn forget(&self, connection: &SharedConnection) {
        let mut closing = Closing::new();
        let origin = connection.origin();
        let mut shard = self.shard(origin.hash);
        let Some(entry) = shard.find(origin.hash, &origin.as_destination()) else { return };
        if entry.shared.as_ref().is_some_and(|shared| shared.connection.is_same(connection)) {
            entry.close_shared(&mut closing);
            self.total.fetch_sub(closing.len(), Relaxed);
        }
        drop(shard);
    }

    /// Closes what has waited too long, or all that waits where `now` is `None`.
    pub(super) fn sweep(&self, now: Option<Timestamp>) {
        let is_over = |since| now.is_none_or(|now| self.is_over(since, now));
        for shard in &self.shards {
            let mut closing = Closing::new();
            let mut shard = lock(shard);
            shard.0.retain(|_, entries| {
                entries.retain_mut(|entry| entry.keep(is_over, &mut closing));
                !entries.is_empty()
            });
            self.total.fetch_sub(closing.len(), Relaxed);
            drop(shard);
        }
    }

    fn sweep_if_due(&self, now: Timestamp) {
        let due = self.next_sweep.load(Relaxed);
        if now.as_micros() < due {
            return;
        }
        let next = (now + self.limits.timeout).as_micros();
        // Whoever moves the time on does the work.
        if self.next_sweep.compare_exchange(due, next, Relaxed, Relaxed).is_ok() {
            self.sweep(Some(now));
        }
    }

    /// Makes sure that one more may wait, at the cost of the one in this shard that has
    /// waited longest. False where there is none to give up.
    fn make_room(&self, shard: &mut Shard, closing: &mut Closing) -> bool {
        if self.total.load(Relaxed) < self.limits.total {
            return true;
        }
        let Some(oldest) = shard.oldest() else { return false };
        closing.push(Pooled::Http1(oldest));
        self.total.fetch_sub(1, Relaxed);
        true
    }

    fn is_over(&self, since: Timestamp, now: Timestamp) -> bool {
        now.since(since) >= self.limits.timeout
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The high bits, because the map inside uses the low ones.
        lock(&self.shards[(hash >> 32) as usize % SHARDS])
    }
}

/// Nothing that runs under the lock leaves it half-changed, so a panic elsewhere is no reason
/// to stop sending.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn find(&mut self, hash: u64, destination: &Destination<'_>) -> Option<&mut Entry> {
        let entries = self.0.get_mut(&hash)?;
        entries.iter_mut().find(|entry| entry.origin.leads_to(destination))
    }

    fn entry(&mut self, origin: &Arc<Origin>) -> &mut Entry {
        let entries = self.0.entry(origin.hash).or_default();
        let destination = origin.as_destination();
        let found = entries.iter().position(|entry| entry.origin.leads_to(&destination));
        let index = found.unwrap_or_else(|| {
            entries.push(Entry { origin: origin.clone(), idle: Vec::new(), shared: None });
            entries.len() - 1
        });
        &mut entries[index]
    }

    fn oldest(&mut self) -> Option<Box<Http1>> {
        let entries = self.0.values_mut().flatten().filter(|entry| !entry.idle.is_empty());
        let entry = entries.min_by_key(|entry| entry.idle[0].since)?;
        Some(entry.idle.remove(0).connection)
    }
}

impl Entry {
    fn close_shared(&mut self, closing: &mut Closing) {
        closing.extend(self.shared.take().map(|shared| Pooled::Shared(shared.connection)));
    }

    fn close_idle(&mut self, closing: &mut Closing) {
        closing.extend(self.idle.drain(..).map(|idle| Pooled::Http1(idle.connection)));
    }

    /// Moves what is over to `closing`; whether anything is left.
    fn keep(&mut self, is_over: impl Fn(Timestamp) -> bool, closing: &mut Closing) -> bool {
        // The list is in the order of use, so what is over stands first.
        let over = self.idle.partition_point(|idle| is_over(idle.since));
        closing.extend(self.idle.drain(..over).map(|idle| Pooled::Http1(idle.connection)));
        let shared_is_over = |shared: &Waiting<SharedConnection>| {
            is_over(shared.since) || !shared.connection.is_open()
        };
        if self.shared.as_ref().is_some_and(shared_is_over) {
            self.close_shared(closing);
        }
        !self.idle.is_empty() || self.shared.is_some()
    }
}
