//! The operator's overview of an environment: what goes through, how fast, what waits, and who
//! is in trouble.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::error::PageResult;
use super::place::{base, operated};
use super::shell::{Section, Shell};
use super::spark::{self, Bar};
use super::viewer::Viewer;
use super::{Pages, html, words};
use crate::domain::Timestamp;
use crate::store::{LATENCY_BOUNDS_MS, TrafficMinute, Trouble, Troubles};

/// Bars of a chart, the present minute included.
const MINUTES: usize = 60;

/// Minutes that rates and latencies are taken from, beside the present one.
const RECENT_MINUTES: u64 = 5;

/// The height of a chart, in units of its drawing.
const CHART_HEIGHT: u64 = 64;

/// Endpoints of each kind of trouble on the page.
const TROUBLES_SHOWN: u32 = 20;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn router() -> Router<Pages> {
    Router::new().route("/env/{environment}/overview", get(show))
}

/// A chart of the last hour.
struct Chart {
    title: &'static str,
    bars: Vec<Bar>,
    /// What it shows, for those who don't see it.
    words: String,
}

/// An endpoint in trouble.
struct Row {
    webhook: String,
    href: String,
    url: String,
    application: String,
    application_href: String,
    since: String,
    since_rfc3339: String,
    far: String,
    why: String,
}

struct Rows {
    first: Vec<Row>,
    more: Option<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    environment: String,
    events: String,
    deliveries: String,
    failed: String,
    latency: Option<(String, String)>,
    pending: String,
    charts: [Chart; 2],
    failing: Rows,
    paused: Rows,
    now: String,
}

async fn show(
    State(pages): State<Pages>,
    viewer: Viewer,
    Path(environment): Path<String>,
) -> PageResult {
    let environment = operated(&pages, &viewer, &environment)?;
    let now = pages.clock.now();
    let since = now.before(MINUTE * 59);
    let traffic = pages.store.traffic(&environment.name, since).await?;
    let standing = pages.store.standing(&environment.name, TROUBLES_SHOWN).await?;
    let recent = Recent::of(&traffic, now);
    let rows = |troubles: &Troubles| rows(troubles, &environment.name, now);
    html(&OverviewPage {
        environment: environment.name.to_string(),
        events: rate(recent.events),
        deliveries: rate(recent.succeeded + recent.failed),
        failed: rate(recent.failed),
        latency: recent.latency(),
        pending: words::number(standing.pending),
        charts: charts(&traffic, since),
        failing: rows(&standing.failing),
        paused: rows(&standing.paused),
        now: words::exact(now),
        shell: Shell::of_environment(&pages, &viewer, &environment, Section::Overview),
    })
}

/// The last whole minutes, added up.
struct Recent {
    events: u64,
    succeeded: u64,
    failed: u64,
    latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
}

impl Recent {
    fn of(traffic: &[TrafficMinute], now: Timestamp) -> Recent {
        let present = now.as_seconds().div_euclid(60);
        let minute = |one: &&TrafficMinute| {
            let age = present - one.starts_at.as_seconds().div_euclid(60);
            (1..=RECENT_MINUTES.cast_signed()).contains(&age)
        };
        let latency = [0; LATENCY_BOUNDS_MS.len() + 1];
        let mut recent = Recent { events: 0, succeeded: 0, failed: 0, latency };
        for one in traffic.iter().filter(minute) {
            recent.events += one.events;
            recent.succeeded += one.succeeded;
            recent.failed += one.failed;
            for (sum, count) in recent.latency.iter_mut().zip(one.latency) {
                *sum += count;
            }
        }
        recent
    }

    /// The median and the 99th percentile, as the bounds that they are within.
    fn latency(&self) -> Option<(String, String)> {
        let all: u64 = self.latency.iter().sum();
        (all > 0).then(|| (self.percentile(all, 50), self.percentile(all, 99)))
    }

    fn percentile(&self, all: u64, percent: u64) -> String {
        let wanted = (all * percent).div_ceil(100);
        let mut seen = 0;
        let place = self.latency.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        let bound = |place: usize| LATENCY_BOUNDS_MS.get(place).copied();
        match (place.and_then(bound), LATENCY_BOUNDS_MS.last()) {
            (Some(ms), _) => format!("≤ {}", bound_words(ms)),
            (None, last) => format!("> {}", bound_words(last.copied().unwrap_or_default())),
        }
    }
}

fn bound_words(ms: u32) -> String {
    if ms >= 1_000 { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}

/// A number of the last minutes as so many a minute.
fn rate(count: u64) -> String {
    let tenths = count * 10 / RECENT_MINUTES;
    match (tenths / 10, tenths % 10) {
        (whole, tenth) if whole < 10 && tenth > 0 => format!("{whole}.{tenth}"),
        (whole, _) => words::number(whole),
    }
}

fn charts(traffic: &[TrafficMinute], since: Timestamp) -> [Chart; 2] {
    let first = since.as_seconds().div_euclid(60);
    let (mut events, mut deliveries) = ([(0, 0); MINUTES], [(0, 0); MINUTES]);
    for minute in traffic {
        let place = usize::try_from(minute.starts_at.as_seconds().div_euclid(60) - first);
        let Ok(place @ 0..MINUTES) = place else { continue };
        events[place] = (minute.events, 0);
        deliveries[place] = (minute.succeeded, minute.failed);
    }
    [chart("Events a minute", &events), chart("Deliveries a minute", &deliveries)]
}

fn chart(title: &'static str, counts: &[(u64, u64)]) -> Chart {
    let sum = |part: fn(&(u64, u64)) -> u64| counts.iter().map(part).sum::<u64>();
    let (all, failed) = (sum(|(good, bad)| good + bad), sum(|(_, bad)| *bad));
    let most = counts.iter().map(|(good, bad)| good + bad).max().unwrap_or(0);
    let failed = match failed {
        0 => String::new(),
        failed => format!(", {} of them failed", words::number(failed)),
    };
    Chart {
        title,
        bars: spark::bars(counts, CHART_HEIGHT),
        words: format!(
            "{} in the last hour{failed}, at most {} in a minute",
            words::number(all),
            words::number(most)
        ),
    }
}

fn rows(troubles: &Troubles, environment: &str, now: Timestamp) -> Rows {
    let first: Vec<Row> =
        troubles.first.iter().map(|trouble| row(trouble, environment, now)).collect();
    let more = troubles.count - first.len() as u64;
    Rows { first, more: (more > 0).then(|| words::number(more)) }
}

fn row(trouble: &Trouble, environment: &str, now: Timestamp) -> Row {
    let (uid, name) = &trouble.application;
    let application_href = format!("{}/webhooks", base(environment, uid));
    let or = |text: &str, other: &str| if text.trim().is_empty() { other } else { text }.to_owned();
    Row {
        webhook: or(&trouble.name, &trouble.url),
        href: format!("{application_href}/{}", trouble.endpoint),
        url: trouble.url.clone(),
        application: or(name, uid),
        application_href,
        since: words::exact(trouble.since),
        since_rfc3339: trouble.since.rfc3339(0),
        far: words::relative(trouble.since, now),
        why: trouble.reason.clone().unwrap_or_else(|| {
            format!("{} failed attempts in a row", words::number(trouble.failures.into()))
        }),
    }
}
