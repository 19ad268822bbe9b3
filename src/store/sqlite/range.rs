//! Pages as ranges of ids.

use std::time::Duration;

use crate::domain::{Id, Timestamp};
use crate::store::Page;

/// How far the time within an id may be off the time that is stored beside it. The ids of
/// messages and attempts are made a moment before or after.
const ID_TIME_SLACK: Duration = Duration::from_secs(3_600);

/// The ids that a page can hold, both ends included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IdRange {
    low: u128,
    high: u128,
}

impl IdRange {
    /// What lies behind where the page starts.
    pub(super) fn of<K>(page: &Page<K>, number: impl Fn(&K) -> u128) -> IdRange {
        let all = IdRange { low: 0, high: u128::MAX };
        match &page.after {
            None => all,
            Some(after) if page.descending => match number(after).checked_sub(1) {
                Some(high) => IdRange { high, ..all },
                None => IdRange::EMPTY,
            },
            Some(after) => match number(after).checked_add(1) {
                Some(low) => IdRange { low, ..all },
                None => IdRange::EMPTY,
            },
        }
    }

    /// This one alone.
    pub(super) const fn only(number: u128) -> IdRange {
        IdRange { low: number, high: number }
    }

    const EMPTY: IdRange = IdRange { low: 1, high: 0 };

    /// Leaves out the ids that are too old or too young for a span of time. What remains
    /// still has to be compared by its time.
    pub(super) fn within(mut self, after: Option<Timestamp>, before: Option<Timestamp>) -> IdRange {
        if let Some(after) = after {
            self.low = self.low.max(floor(after.before(ID_TIME_SLACK)));
        }
        if let Some(before) = before {
            self.high = self.high.min(floor(before + ID_TIME_SLACK));
        }
        self
    }

    pub(super) fn low(&self) -> [u8; 16] {
        self.low.to_be_bytes()
    }

    pub(super) fn high(&self) -> [u8; 16] {
        self.high.to_be_bytes()
    }
}

fn floor(time: Timestamp) -> u128 {
    id_number(&Id::<()>::floor(time))
}

/// An id as the number that it sorts by.
pub(super) fn id_number<K>(id: &Id<K>) -> u128 {
    u128::from_be_bytes(*id.bytes())
}

/// The word that sorts a page by a column.
pub(super) fn order<K>(page: &Page<K>) -> &'static str {
    if page.descending { "DESC" } else { "ASC" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: Option<u128>, descending: bool) -> Page<u128> {
        Page { after, descending, limit: 10 }
    }

    #[test]
    fn a_page_starts_behind_its_mark_in_either_direction() {
        let range = |after, descending| IdRange::of(&page(after, descending), |number| *number);
        assert_eq!(range(None, true), IdRange { low: 0, high: u128::MAX });
        assert_eq!(range(Some(7), false), IdRange { low: 8, high: u128::MAX });
        assert_eq!(range(Some(7), true), IdRange { low: 0, high: 6 });
        assert_eq!(range(Some(0), true), IdRange::EMPTY);
        assert_eq!(range(Some(u128::MAX), false), IdRange::EMPTY);
    }

    #[test]
    fn a_span_of_time_keeps_its_own_ids_and_leaves_out_far_ones() {
        let at = Timestamp::from_seconds;
        let range = IdRange { low: 0, high: u128::MAX }.within(Some(at(10_000)), Some(at(20_000)));
        let holds = |time| (range.low..=range.high).contains(&floor(time));
        assert!(holds(at(10_000)) && holds(at(20_000)));
        assert!(!holds(at(1_000)) && !holds(at(30_000)));
    }
}
