//! How much the lanes hold and send at once, and who gets how much of it.

/// How small a part of what is free somebody gets where more than half is used.
const PARTS_OF_WHAT_IS_FREE: usize = 64;

/// How much the lanes hold and send at once.
///
/// Of a common limit, half is for whichever application comes first, and an application's half
/// for whichever of its endpoints. Of what is left, everybody gets a small part at a time, so
/// that hundreds of receivers that hang can't leave nothing for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Attempts in flight to one endpoint.
    pub in_flight_per_endpoint: usize,
    /// Attempts in flight altogether.
    pub in_flight: usize,
    /// Deliveries held in memory for one endpoint. The rest waits in the store.
    pub window: usize,
    /// Deliveries held in memory altogether.
    pub held: usize,
    /// Bytes of payloads held in memory altogether.
    pub held_bytes: usize,
}

impl Default for LaneLimits {
    fn default() -> LaneLimits {
        LaneLimits {
            in_flight_per_endpoint: 64,
            in_flight: 4_096,
            window: 256,
            held: 20_000,
            held_bytes: 256 << 20,
        }
    }
}

/// What somebody uses of the common limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) in_flight: usize,
    pub(super) held: usize,
    pub(super) held_bytes: usize,
    /// What the claims under way may bring.
    pub(super) reserved: usize,
    /// Claims under way.
    pub(super) claims: usize,
}

impl Usage {
    pub(super) fn hold(&mut self, bytes: usize) {
        self.held += 1;
        self.held_bytes += bytes;
    }

    pub(super) fn let_go(&mut self, bytes: usize) {
        self.held -= 1;
        self.held_bytes -= bytes;
    }
}

/// What a lane may have of everything, as far as the others leave it room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) in_flight: usize,
    pub(super) held: usize,
    pub(super) held_bytes: usize,
}

impl Share {
    /// Of a lane whose application uses `own` of what all use. Nothing where the application
    /// has its part.
    pub(super) fn of(limits: &LaneLimits, all: &Usage, own: &Usage) -> Share {
        let LaneLimits { in_flight_per_endpoint, in_flight, window, held, held_bytes } = *limits;
        Share {
            in_flight: nested(in_flight_per_endpoint, in_flight, all.in_flight, own.in_flight),
            held: nested(window, held, all.held + all.reserved, own.held + own.reserved),
            held_bytes: nested(held_bytes, held_bytes, all.held_bytes, own.held_bytes),
        }
    }
}

/// A lane's share of an application's share.
fn nested(cap: usize, limit: usize, used: usize, own: usize) -> usize {
    let application = share(limit.div_ceil(2), limit, used);
    share(cap, application, own)
}

/// A share of a `limit` of which so much is `used`: `cap` while less than half is used, then a
/// small part of what is free, and nothing where nothing is.
fn share(cap: usize, limit: usize, used: usize) -> usize {
    let free = limit.saturating_sub(used);
    if used * 2 < limit {
        return cap.min(free);
    }
    (free / PARTS_OF_WHAT_IS_FREE).max(1).min(cap).min(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_alone_gets_half_and_a_lane_half_of_that_before_it_gets_less() {
        assert_eq!(nested(64, 4_096, 0, 0), 64);
        assert_eq!(nested(64, 4_096, 1_023, 1_023), 64);
        assert_eq!(nested(64, 4_096, 1_024, 1_024), 16);
        assert_eq!(nested(64, 4_096, 2_047, 2_047), 1);
        assert_eq!(nested(64, 4_096, 2_048, 2_048), 0);
    }

    #[test]
    fn as_long_as_anything_is_free_who_has_nothing_gets_something() {
        for used in 0..4_096 {
            assert!(nested(64, 4_096, used, 0) >= 1, "{used}");
        }
        assert_eq!(nested(64, 4_096, 4_096, 0), 0);
        assert_eq!(nested(64, 1, 0, 0), 1);
    }
}
