//! A limit of messages per second that holds in every window of a second, wherever it begins.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Duration;

use super::Timestamp;

/// Messages per second.
pub type ThrottleRate = NonZeroU16;

/// What a rate is counted in.
pub const THROTTLE_WINDOW: Duration = Duration::from_secs(1);

/// Starts that lie closer together than this may be remembered as one group, which leaves the
/// window with its last one: at most 129 groups, and less than a hundredth of the rate lost.
const GROUP_SPAN: Duration = Duration::from_micros(7_812);

/// Starts that lie close together.
#[derive(Clone, Copy, Debug)]
struct Group {
    first: Timestamp,
    last: Timestamp,
    count: u32,
}

/// The attempts that began within the last second. A sliding window, and no even spacing: a few
/// events after a quiet second go out at once, and a timer of a millisecond is enough for any
/// rate.
#[derive(Clone, Debug)]
pub struct Throttle {
    groups: VecDeque<Group>,
    started: u32,
    /// Nothing starts before, as what began earlier isn't known.
    closed_until: Timestamp,
}

impl Throttle {
    /// Of an endpoint at which nothing may start before `closed_until`.
    pub fn new(closed_until: Timestamp) -> Throttle {
        Throttle { groups: VecDeque::new(), started: 0, closed_until }
    }

    /// When the next attempt may start. `None`: now.
    pub fn wait(&mut self, rate: ThrottleRate, now: Timestamp) -> Option<Timestamp> {
        self.pass(now);
        if self.closed_until > now {
            return Some(self.closed_until);
        }
        let mut left = self.started;
        // More than the rate where it was lowered since.
        for group in &self.groups {
            if left < u32::from(rate.get()) {
                break;
            }
            left -= group.count;
            if left < u32::from(rate.get()) {
                return Some(group.last + THROTTLE_WINDOW);
            }
        }
        None
    }

    /// Notes an attempt that starts.
    pub fn start(&mut self, now: Timestamp) {
        self.pass(now);
        self.started += 1;
        match self.groups.back_mut() {
            Some(group) if now.since(group.first) < GROUP_SPAN => {
                group.last = now;
                group.count += 1;
            }
            _ => self.groups.push_back(Group { first: now, last: now, count: 1 }),
        }
    }

    /// From when on nothing of it needs to be remembered.
    pub fn forgotten_at(&self) -> Timestamp {
        let last = self.groups.back().map(|group| group.last + THROTTLE_WINDOW);
        last.map_or(self.closed_until, |last| last.max(self.closed_until))
    }

    /// Forgets what has left the window at `now`.
    fn pass(&mut self, now: Timestamp) {
        if self.groups.back().is_some_and(|group| group.last > now) {
            // The clock was set back: as if everything had begun just now, so that nothing has
            // to wait until the clock is where it was.
            self.groups.clear();
            self.groups.push_back(Group { first: now, last: now, count: self.started });
        }
        self.closed_until = self.closed_until.min(now + THROTTLE_WINDOW);
        while let Some(group) = self.groups.front()
            && group.last + THROTTLE_WINDOW <= now
        {
            self.started -= group.count;
            self.groups.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000);

    fn rate(per_second: u16) -> ThrottleRate {
        ThrottleRate::new(per_second).unwrap()
    }

    /// Starts as early as may be, but asks only every `step`; returns when.
    fn starts(throttle: &mut Throttle, rate: ThrottleRate, step: u64, until: u64) -> Vec<u64> {
        let mut starts = Vec::new();
        for at_us in (0..until).step_by(usize::try_from(step).unwrap()) {
            let now = START + Duration::from_micros(at_us);
            while throttle.wait(rate, now).is_none() {
                throttle.start(now);
                starts.push(at_us);
            }
        }
        starts
    }

    #[test]
    fn no_window_of_a_second_has_more_and_the_rate_is_reached() {
        for (per_second, step) in [(1, 1_000), (3, 777), (50, 10_007), (1_000, 311), (20_000, 997)]
        {
            let mut throttle = Throttle::new(START);
            let starts = starts(&mut throttle, rate(per_second), step, 5_000_000);
            let per = usize::from(per_second);
            for (first, after) in starts.iter().zip(starts.iter().skip(per)) {
                assert!(after - first >= 1_000_000, "{per_second}: {first} and {after}");
            }
            assert!(starts.len() * 100 >= per * 5 * 95, "{per_second}: {}", starts.len());
            assert!(throttle.groups.len() <= 129);
        }
    }

    #[test]
    fn it_says_when_the_next_may_start() {
        let mut throttle = Throttle::new(START);
        let later = |ms| START + Duration::from_millis(ms);
        throttle.start(START);
        throttle.start(later(300));
        assert_eq!(throttle.wait(rate(2), later(300)), Some(later(1_000)));
        assert_eq!(throttle.wait(rate(2), later(1_000)), None);
        // A lower rate counts what began under the higher one.
        assert_eq!(throttle.wait(rate(1), later(400)), Some(later(1_300)));
        assert_eq!(throttle.wait(rate(3), later(400)), None);
        assert_eq!(throttle.forgotten_at(), later(1_300));
    }

    #[test]
    fn nothing_starts_while_it_is_closed() {
        let mut throttle = Throttle::new(START + THROTTLE_WINDOW);
        assert_eq!(throttle.wait(rate(9), START), Some(START + THROTTLE_WINDOW));
        assert_eq!(throttle.wait(rate(9), START + THROTTLE_WINDOW), None);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_by_a_second_only() {
        let mut throttle = Throttle::new(START);
        throttle.start(START);
        let earlier = START.before(Duration::from_secs(3_600));
        assert_eq!(throttle.wait(rate(1), earlier), Some(earlier + THROTTLE_WINDOW));
        let mut closed = Throttle::new(START);
        assert_eq!(closed.wait(rate(1), earlier), Some(earlier + THROTTLE_WINDOW));
    }
}
