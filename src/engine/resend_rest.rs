//! How long something rests that failed: longer each time, so that what stays broken costs
//! little and fills no log.

use std::time::Duration;

use crate::domain::Timestamp;

/// After the first failure.
const REST_MIN: Duration = Duration::from_secs(1);

/// However often it failed.
const REST_MAX: Duration = Duration::from_secs(30);

/// The rest of one thing that may fail.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest(Option<(Timestamp, Duration)>);

impl Rest {
    /// Notes a failure. Returns whether it is the first since it went well.
    pub(super) fn failed(&mut self, now: Timestamp) -> bool {
        let first = self.0.is_none();
        let longer = |(_, rest): (Timestamp, Duration)| (rest * 2).min(REST_MAX);
        self.0 = Some((now, self.0.map_or(REST_MIN, longer)));
        first
    }

    /// Whether it rests still. A clock that was set back ends it.
    pub(super) fn lasts(&self, now: Timestamp) -> bool {
        self.0.is_some_and(|(failed, rest)| now >= failed && now.since(failed) < rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_grows_up_to_its_limit() {
        let (mut rest, mut now) = (Rest::default(), Timestamp::from_seconds(1_000));
        assert!(!rest.lasts(now));
        for (failures, seconds) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            assert_eq!(rest.failed(now), failures == 0, "only the first is told of");
            assert!(!rest.lasts(now.before(Duration::from_secs(1))), "the clock was set back");
            let end = now + Duration::from_secs(seconds);
            assert!(rest.lasts(now) && rest.lasts(end.before(Duration::from_micros(1))));
            assert!(!rest.lasts(end));
            now = end;
        }
    }
}
