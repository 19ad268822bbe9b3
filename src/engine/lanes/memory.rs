//! What outlives a lane: what was learned of its receiver, and whether its endpoint is deleted.

use std::collections::{HashMap, VecDeque};

use crate::domain::{Congestion, EndpointId};

/// A map that holds a limited number of endpoints, and forgets those it has known longest.
#[derive(Debug)]
struct Bounded<T> {
    entries: HashMap<EndpointId, T>,
    in_order: VecDeque<EndpointId>,
    most: usize,
}

impl<T> Bounded<T> {
    fn new(most: usize) -> Bounded<T> {
        Bounded { entries: HashMap::new(), in_order: VecDeque::new(), most }
    }

    fn keep(&mut self, id: EndpointId, value: T) {
        if self.entries.insert(id, value).is_some() {
            return;
        }
        self.in_order.push_back(id);
        if self.in_order.len() > self.most
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

/// Deleted endpoints that are remembered, so that a delivery which was claimed before the
/// deletion and arrives after it isn't sent.
const DELETED_REMEMBERED: usize = 10_000;

/// Endpoints whose learned limit is remembered while they have no lane: an endpoint that fails
/// once a minute would never learn otherwise.
const LEARNED_REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub(super) struct Memory {
    deleted: Bounded<()>,
    learned: Bounded<Congestion>,
}

impl Memory {
    pub(super) fn new() -> Memory {
        Memory {
            deleted: Bounded::new(DELETED_REMEMBERED),
            learned: Bounded::new(LEARNED_REMEMBERED),
        }
    }

    pub(super) fn is_deleted(&self, id: EndpointId) -> bool {
        self.deleted.entries.contains_key(&id)
    }

    pub(super) fn deleted(&mut self, id: EndpointId) {
        self.deleted.keep(id, ());
    }

    /// What was learned of an endpoint, if anything is left of it.
    pub(super) fn learned(&self, id: EndpointId) -> Option<Congestion> {
        self.learned.entries.get(&id).copied()
    }

    /// A lane ends. That all is well needs to be remembered only where something else was.
    pub(super) fn learn(&mut self, id: EndpointId, congestion: Congestion) {
        if !congestion.is_full() || self.learned.entries.contains_key(&id) {
            self.learned.keep(id, congestion);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verdict;

    #[test]
    fn what_is_remembered_has_a_limit_and_the_newest_stays() {
        let mut memory = Memory::new();
        let mut halved = Congestion::new(64);
        halved.observe(Verdict::Overloaded, 0, 1);
        let id = |n: usize| EndpointId::from_bytes((n as u128).to_be_bytes());
        memory.learn(id(0), Congestion::new(64));
        assert_eq!(memory.learned(id(0)), None, "nothing to remember");
        for n in 0..=LEARNED_REMEMBERED {
            memory.learn(id(n), halved);
            memory.learn(id(n), halved);
        }
        assert_eq!(memory.learned(id(0)), None);
        assert_eq!(memory.learned(id(LEARNED_REMEMBERED)), Some(halved));
        assert_eq!(memory.learned.entries.len(), LEARNED_REMEMBERED);
        assert_eq!(memory.learned.in_order.len(), LEARNED_REMEMBERED);
    }
}
