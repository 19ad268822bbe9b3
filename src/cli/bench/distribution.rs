//! How times are spread.

use serde::Serialize;

/// The usual percentiles of a set of times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Distribution {
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Distribution {
    /// Of times in microseconds, in any order; `None` of none.
    pub(super) fn of(mut times_us: Vec<u32>) -> Option<Distribution> {
        times_us.sort_unstable();
        let ms = |per_cent| Some(f64::from(percentile(&times_us, per_cent)?) / 1_000.0);
        Some(Distribution { p50_ms: ms(50)?, p90_ms: ms(90)?, p99_ms: ms(99)?, max_ms: ms(100)? })
    }
}

/// The smallest of the sorted values that at least `per_cent` of them don't exceed (nearest
/// rank), so it is always one that was measured.
fn percentile(sorted: &[u32], per_cent: usize) -> Option<u32> {
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_at_its_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).collect();
        for per_cent in [1, 50, 90, 99, 100] {
            assert_eq!(percentile(&hundred, per_cent), u32::try_from(per_cent).ok());
        }
        assert_eq!(percentile(&hundred, 0), Some(1));
        assert_eq!(percentile(&[10, 20, 30], 50), Some(20));
        assert_eq!(percentile(&[10, 20, 30], 99), Some(30));
        assert_eq!(percentile(&[10, 20], 50), Some(10));
        assert_eq!(percentile(&[7], 1), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_distribution_does_not_depend_on_the_order_and_is_in_milliseconds() {
        let times: Vec<u32> = (1..=1_000).rev().map(|ms| ms * 1_000).collect();
        let expected =
            Distribution { p50_ms: 500.0, p90_ms: 900.0, p99_ms: 990.0, max_ms: 1_000.0 };
        assert_eq!(Distribution::of(times), Some(expected));
        assert_eq!(Distribution::of(Vec::new()), None);
    }
}
