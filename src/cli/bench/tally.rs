//! What was acknowledged against what arrived.

use super::distribution::Distribution;
use crate::domain::Timestamp;

/// One request that a receiver took and answered with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    /// The message's number.
    pub(super) number: u32,
    /// The endpoint's.
    pub(super) endpoint: u32,
    /// When all of it was there.
    pub(super) at: Timestamp,
    /// How long it took from publishing, in microseconds.
    pub(super) took_us: u32,
}

/// Which endpoints a message goes to. Messages take turns among the applications.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topology {
    pub(super) applications: u32,
    /// Endpoints of each application whose receiver answers. All its messages go to all of them.
    pub(super) endpoints: u32,
}

impl Topology {
    /// The application of a message.
    pub(super) fn application(self, number: u32) -> u32 {
        number % self.applications
    }

    fn sends(self, number: u32, endpoint: u32) -> bool {
        endpoint / self.endpoints == self.application(number)
    }
}

/// What became of the messages of one run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Deliveries of acknowledged messages that should arrive.
    pub(super) expected: u64,
    /// Those of them that did, each counted once.
    pub(super) delivered: u64,
    /// Arrivals of something that had arrived already.
    pub(super) repeated: u64,
    /// Arrivals of messages that nobody was told are safe: the answer was lost, or was late.
    pub(super) unacknowledged: u64,
    /// Arrivals at an endpoint of another application. There must never be one.
    pub(super) misdirected: u64,
    /// From publishing to the first arrival.
    pub(super) arrival: Option<Distribution>,
    /// The last first arrival of an acknowledged message.
    pub(super) last: Option<Timestamp>,
}

impl Tally {
    /// Counts. `acknowledged` are the numbers of one run's messages, none of them below
    /// `first`; what arrives with a number below that is of a run before.
    pub(super) fn of(
        topology: Topology,
        first: u32,
        mut acknowledged: Vec<u32>,
        mut arrivals: Vec<Arrival>,
    ) -> Tally {
        acknowledged.sort_unstable();
        // The first of several is the one that counts: `at` comes after number and endpoint.
        arrivals.sort_unstable();
        let mut tally = Tally {
            expected: acknowledged.len() as u64 * u64::from(topology.endpoints),
            ..Tally::default()
        };
        let (mut times_us, mut before) = (Vec::with_capacity(arrivals.len()), None);
        for arrival in arrivals {
            let again = before.replace((arrival.number, arrival.endpoint));
            if again == before || arrival.number < first {
                tally.repeated += 1;
            } else if !topology.sends(arrival.number, arrival.endpoint) {
                tally.misdirected += 1;
            } else if acknowledged.binary_search(&arrival.number).is_err() {
                tally.unacknowledged += 1;
            } else {
                tally.delivered += 1;
                tally.last = tally.last.max(Some(arrival.at));
                times_us.push(arrival.took_us);
            }
        }
        tally.arrival = Distribution::of(times_us);
        tally
    }

    /// Deliveries of acknowledged messages that didn't arrive.
    pub(super) fn missing(&self) -> u64 {
        self.expected - self.delivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Topology = Topology { applications: 1, endpoints: 1 };

    fn arrival(number: u32, endpoint: u32, at_us: i64) -> Arrival {
        let at = Timestamp::from_micros(at_us);
        Arrival { number, endpoint, at, took_us: u32::try_from(at_us).unwrap_or(0) }
    }

    #[test]
    fn everything_that_arrived_once_is_delivered() {
        let arrivals = vec![arrival(8, 0, 3_000), arrival(7, 0, 1_000)];
        let tally = Tally::of(ONE, 7, vec![8, 7], arrivals);
        assert_eq!((tally.expected, tally.delivered, tally.missing()), (2, 2, 0));
        assert_eq!((tally.repeated, tally.unacknowledged, tally.misdirected), (0, 0, 0));
        assert_eq!(tally.last, Some(Timestamp::from_micros(3_000)));
        assert_eq!(tally.arrival.map(|times| (times.p50_ms, times.max_ms)), Some((1.0, 3.0)));
    }

    #[test]
    fn what_did_not_arrive_is_missing_and_nothing_makes_up_for_it() {
        let arrivals = vec![arrival(0, 0, 1), arrival(0, 0, 2), arrival(2, 0, 3)];
        let tally = Tally::of(ONE, 0, vec![0, 1], arrivals);
        assert_eq!((tally.expected, tally.delivered, tally.missing()), (2, 1, 1));
        assert_eq!((tally.repeated, tally.unacknowledged), (1, 1));
        assert_eq!(tally.last, Some(Timestamp::from_micros(1)), "a repetition is no delivery");
    }

    #[test]
    fn a_message_counts_once_for_each_endpoint_of_its_application() {
        let two = Topology { applications: 2, endpoints: 2 };
        let arrivals = vec![arrival(4, 0, 1), arrival(4, 1, 1), arrival(5, 2, 1), arrival(5, 1, 1)];
        let tally = Tally::of(two, 0, vec![4, 5], arrivals);
        assert_eq!((tally.expected, tally.delivered, tally.missing()), (4, 3, 1));
        assert_eq!(tally.misdirected, 1);
    }

    #[test]
    fn an_arrival_of_the_run_before_is_a_repetition() {
        let tally = Tally::of(ONE, 10, vec![10], vec![arrival(9, 0, 1), arrival(10, 0, 1)]);
        assert_eq!((tally.delivered, tally.repeated), (1, 1));
    }
}
