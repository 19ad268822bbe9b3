//! How many attempts an endpoint may have in flight, learned from what became of them.

use super::{FailureKind, Outcome};

/// What an attempt says of how much its receiver can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took the event.
    Served,
    /// It could not: too slow, too busy, or not there.
    Overloaded,
    /// It refused the event, which says nothing of its strength.
    Neither,
}

/// The verdict on an attempt. An outage counts as overload: who comes back from one is met by
/// everything that waited. 502 and 504 are a proxy's words for the same.
pub fn verdict(outcome: &Outcome, succeeded: bool) -> Verdict {
    let overloaded = match outcome {
        _ if succeeded => return Verdict::Served,
        Outcome::Answered(answer) => matches!(answer.status, 429 | 502..=504),
        Outcome::Failed(failure) => matches!(
            failure.kind,
            FailureKind::Timeout
                | FailureKind::Connect
                | FailureKind::Reset
                | FailureKind::Tls
                | FailureKind::Dns
        ),
    };
    if overloaded { Verdict::Overloaded } else { Verdict::Neither }
}

/// A limit of attempts in flight that learns. It is halved where the receiver is overloaded,
/// once a round trip. With successes it grows: quickly up to half of what it was when the
/// trouble began, and slowly from there, so that it comes to rest just below what the receiver
/// can take. After an outage the first success is followed by two attempts, then by four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Congestion {
    limit: u32,
    full: u32,
    /// Below this it grows with each success.
    level: u32,
    /// Successes towards the next place, where it grows slowly.
    towards_next: u32,
    /// Counts halvings. An attempt that began before the last one knows only old news.
    round: u32,
    /// Whether there was a success since the last halving.
    served: bool,
    /// Whether there was an overload since the last success.
    in_trouble: bool,
}

impl Congestion {
    /// Of an endpoint of which nothing bad is known.
    pub fn new(full: usize) -> Congestion {
        let full = u32::try_from(full).unwrap_or(u32::MAX).max(1);
        Congestion {
            limit: full,
            full,
            level: full,
            towards_next: 0,
            round: 0,
            served: true,
            in_trouble: false,
        }
    }

    /// Of an endpoint that shows first that it is well: from one attempt it grows quickly.
    pub fn gentle(full: usize) -> Congestion {
        Congestion { limit: 1, served: false, ..Congestion::new(full) }
    }

    /// Attempts it may have in flight; never none.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Whether it has the limit of an endpoint of which nothing bad is known.
    pub fn is_full(&self) -> bool {
        self.limit == self.full
    }

    /// Whether it still grows quickly.
    pub fn is_starting(&self) -> bool {
        self.limit < self.level
    }

    /// Whether the last that was heard of it was an overload.
    pub fn in_trouble(&self) -> bool {
        self.in_trouble
    }

    /// The round of an attempt that begins now, to be handed back with its verdict.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Takes in the verdict on an attempt that began in `round`, while so many were `in_flight`,
    /// itself included.
    pub fn observe(&mut self, verdict: Verdict, round: u32, in_flight: usize) {
        match verdict {
            Verdict::Neither => {}
            Verdict::Overloaded => {
                self.in_trouble = true;
                if round == self.round {
                    self.halve();
                }
            }
            Verdict::Served => {
                self.served = true;
                self.in_trouble = false;
                // A limit that nobody came near was not put to the test.
                if self.limit < self.full && in_flight.saturating_mul(2) >= self.limit() {
                    self.grow();
                }
            }
        }
    }

    fn halve(&mut self) {
        let half = (self.limit / 2).max(1);
        if self.served {
            // It works and has too much, or comes and goes. While it only fails, the level is
            // still that of the time before.
            self.level = (self.level / 2).max(half);
        }
        self.limit = half;
        self.served = false;
        self.towards_next = 0;
        self.round = self.round.wrapping_add(1);
    }

    fn grow(&mut self) {
        self.towards_next += 1;
        if self.is_starting() || self.towards_next >= self.limit {
            self.limit += 1;
            self.towards_next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Answer, Failure};

    /// A whole round trip with as many attempts as are allowed, of which `taken` succeed.
    fn round_trip(congestion: &mut Congestion, taken: usize) -> usize {
        let (round, began) = (congestion.round(), congestion.limit());
        for place in 0..began {
            let verdict = if place < taken { Verdict::Served } else { Verdict::Overloaded };
            congestion.observe(verdict, round, began - place);
        }
        congestion.limit()
    }

    #[test]
    fn an_outage_is_followed_by_a_ramp() {
        let mut congestion = Congestion::new(64);
        let down: Vec<usize> = (0..7).map(|_| round_trip(&mut congestion, 0)).collect();
        assert_eq!(down, [32, 16, 8, 4, 2, 1, 1]);
        assert!(congestion.in_trouble());
        // Only what keeps the limit busy counts: each round trip at most doubles it.
        let up: Vec<usize> = (0..3).map(|_| round_trip(&mut congestion, 64)).collect();
        assert!(up[0] == 2 && up[1] > 2 && up[2] > up[1], "{up:?}");
        assert!(!congestion.in_trouble());
        let trips = (0..).take_while(|_| round_trip(&mut congestion, 64) < 32).count();
        assert!(trips < 10, "{trips} round trips back to half of what it was");
        let trips = (0..).take_while(|_| round_trip(&mut congestion, 64) < 64).count();
        assert!((20..200).contains(&trips), "{trips} slow ones from there");
    }

    #[test]
    fn a_receiver_that_comes_and_goes_is_not_forgotten_at_once() {
        let mut congestion = Congestion::new(64);
        for _ in 0..6 {
            round_trip(&mut congestion, 0);
        }
        // A single success within the outage.
        round_trip(&mut congestion, 1);
        round_trip(&mut congestion, 0);
        assert_eq!(congestion.limit(), 1);
        let trips = (0..).take_while(|_| round_trip(&mut congestion, 64) < 16).count();
        assert!(trips < 10, "{trips}");
    }

    #[test]
    fn it_comes_to_rest_below_what_the_receiver_takes() {
        let mut congestion = Congestion::new(64);
        for _ in 0..50 {
            round_trip(&mut congestion, 10);
        }
        for _ in 0..100 {
            let limit = round_trip(&mut congestion, 10);
            assert!((4..=12).contains(&limit), "{limit}");
        }
    }

    #[test]
    fn one_round_trip_halves_once() {
        let mut congestion = Congestion::new(64);
        let round = congestion.round();
        for left in (1..=64).rev() {
            congestion.observe(Verdict::Overloaded, round, left);
        }
        assert_eq!(congestion.limit(), 32);
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow() {
        let mut congestion = Congestion::gentle(64);
        for _ in 0..1_000 {
            congestion.observe(Verdict::Served, congestion.round(), 1);
        }
        assert_eq!(congestion.limit(), 3);
    }

    #[test]
    fn whatever_happens_the_limit_stays_between_one_and_full() {
        let mut seed = 7_u32;
        for full in [0, 1, 2, 3, 64, usize::MAX] {
            let mut congestion = Congestion::new(full);
            for _ in 0..10_000 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let verdict = [Verdict::Served, Verdict::Overloaded, Verdict::Neither]
                    [(seed >> 16) as usize % 3];
                let round = congestion.round().wrapping_sub(seed >> 31);
                congestion.observe(verdict, round, (seed >> 24) as usize);
                assert!((1..=full.max(1)).contains(&congestion.limit()));
            }
        }
    }

    #[test]
    fn refusals_say_nothing_of_strength() {
        let answered = |status| Outcome::Answered(Answer { status, ..Answer::default() });
        let failed = |kind| Outcome::Failed(Failure::new(kind, None, "a"));
        for status in [400, 401, 404, 410, 500, 501] {
            assert_eq!(verdict(&answered(status), false), Verdict::Neither, "{status}");
        }
        for status in [429, 502, 503, 504] {
            assert_eq!(verdict(&answered(status), false), Verdict::Overloaded, "{status}");
        }
        // A contract may count any status as received.
        assert_eq!(verdict(&answered(503), true), Verdict::Served);
        assert_eq!(verdict(&failed(FailureKind::Timeout), false), Verdict::Overloaded);
        assert_eq!(verdict(&failed(FailureKind::Render), false), Verdict::Neither);
    }
}
