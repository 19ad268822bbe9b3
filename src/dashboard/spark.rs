//! Charts of bars, each with what succeeded below what failed; among them the small one of an
//! endpoint's last day.

use std::time::Duration;

use super::words;
use crate::domain::{EndpointId, Timestamp};
use crate::store::EndpointHour;

/// Bars of a chart.
const HOURS: usize = 24;

/// The height of an endpoint's chart, in units of its drawing.
const HEIGHT: u64 = 24;

/// From one bar's left edge to the next one's, in the same units.
const STEP: usize = 4;

const HOUR: Duration = Duration::from_secs(3_600);

/// One bar: where its parts begin and how high they are, from the top.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) failed: u64,
    pub(super) succeeded_from: u64,
    pub(super) succeeded: u64,
}

/// An endpoint's last day.
pub(super) struct Spark {
    pub(super) bars: Vec<Bar>,
    pub(super) attempts: u64,
    pub(super) failed: u64,
}

/// When the last day's chart begins.
pub(super) fn since(now: Timestamp) -> Timestamp {
    now.before(HOUR * 23)
}

impl Spark {
    pub(super) fn of(endpoint: EndpointId, hours: &[EndpointHour], now: Timestamp) -> Spark {
        let first = since(now).as_seconds().div_euclid(3_600);
        let mut counts = [(0, 0); HOURS];
        for hour in hours.iter().filter(|hour| hour.endpoint == endpoint) {
            let place = hour.starts_at.as_seconds().div_euclid(3_600) - first;
            if let Some(counts) =
                usize::try_from(place).ok().and_then(|place| counts.get_mut(place))
            {
                counts.0 += hour.succeeded;
                counts.1 += hour.failed;
            }
        }
        let failed = counts.iter().map(|(_, failed)| failed).sum::<u64>();
        let attempts = counts.iter().map(|(succeeded, _)| succeeded).sum::<u64>() + failed;
        Spark { bars: bars(&counts, HEIGHT), attempts, failed }
    }

    /// Whether most of what was tried lately failed.
    pub(super) fn is_failing(&self) -> bool {
        let tried = self.bars.iter().rfind(|bar| bar.failed + bar.succeeded > 0);
        tried.is_some_and(|bar| bar.failed > bar.succeeded)
    }

    /// How many of the attempts succeeded, in per cent; never 100 where one failed.
    pub(super) fn rate(&self) -> Option<String> {
        let succeeded = self.attempts - self.failed;
        // In tenths of a per cent, rounded down.
        let tenths = (succeeded * 1_000).checked_div(self.attempts)?;
        Some(match tenths % 10 {
            0 => format!("{} %", tenths / 10),
            rest => format!("{}.{rest} %", tenths / 10),
        })
    }

    pub(super) fn words(&self) -> String {
        match (self.attempts, self.failed) {
            (0, _) => "no attempts".to_owned(),
            (attempts, 0) => format!("{} attempts, none failed", words::number(attempts)),
            (attempts, failed) => {
                format!("{} of {} attempts failed", words::number(failed), words::number(attempts))
            }
        }
    }
}

/// A bar for each pair of what succeeded and what failed; the highest is as high as the chart.
pub(super) fn bars(counts: &[(u64, u64)], height: u64) -> Vec<Bar> {
    let most = counts.iter().map(|(succeeded, failed)| succeeded + failed).max().unwrap_or(0);
    let counts = counts.iter().enumerate();
    counts.map(|(place, counts)| bar(place, *counts, (most, height))).collect()
}

fn bar(place: usize, (succeeded, failed): (u64, u64), (most, chart): (u64, u64)) -> Bar {
    // What happened at all can be seen, however little it was.
    let height = |count: u64| match count {
        0 => 0,
        count => (count.saturating_mul(chart) / most.max(1)).max(2),
    };
    let failed = height(failed);
    let succeeded = height(succeeded).min(chart - failed);
    Bar { x: place * STEP, failed, succeeded_from: chart - failed - succeeded, succeeded }
}
