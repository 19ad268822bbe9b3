//! What was measured, for people and for machines.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::HumanCount;
use serde::Serialize;

use super::distribution::Distribution;
use super::server::Usage;
use super::tally::Tally;

/// Everything that one call measured.
#[derive(Serialize)]
pub(super) struct Report {
    version: &'static str,
    /// `release`, or `debug`, whose figures say nothing.
    build: &'static str,
    os: &'static str,
    architecture: &'static str,
    /// Processors that load, server and receivers share; those of this machine alone where the
    /// server is elsewhere.
    cpus: usize,
    target: String,
    scenarios: Vec<Outcome>,
}

/// What a run consisted of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Setting {
    pub(super) scenario: String,
    /// Messages that the store held before, where that is what is measured.
    pub(super) stored_messages: Option<u64>,
    pub(super) publishers: usize,
    pub(super) rate_per_second: Option<u32>,
    pub(super) payload_bytes: usize,
    pub(super) applications: u32,
    /// Endpoints that answer, and those that never do.
    pub(super) endpoints: u32,
    pub(super) hanging_endpoints: u32,
}

/// What a run was measured by.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) publishing: Duration,
    /// From the time that deliveries could arrive to the last that did.
    pub(super) delivering: Duration,
    /// From the end of publishing, or of the outage, to the last arrival.
    pub(super) draining: Duration,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) late: u64,
    pub(super) publish: Option<Distribution>,
    pub(super) tally: Tally,
    /// What the server had used when deliveries could arrive, and at the end.
    pub(super) usage: Option<(Usage, Usage)>,
    pub(super) raw_per_second: Option<f64>,
    /// Deliveries that the server holds as pending, where that was asked.
    pub(super) pending: Option<u64>,
    /// Whether deliveries could arrive only after everything was published, which then
    /// decides their arrival times.
    pub(super) after_outage: bool,
}

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    setting: Setting,
    seconds: f64,
    accepted: u64,
    accepted_per_second: f64,
    refused: u64,
    late: u64,
    expected: u64,
    delivered: u64,
    delivered_per_second: f64,
    /// Delivering, draining and the server's CPU count from the end of an outage.
    after_outage: bool,
    pending: Option<u64>,
    missing: u64,
    repeated: u64,
    unacknowledged: u64,
    misdirected: u64,
    drain_seconds: f64,
    publish: Option<Distribution>,
    arrival: Option<Distribution>,
    server: Option<ServerFigures>,
    raw_per_second: Option<f64>,
    ratio_percent: Option<f64>,
}

/// What the server's process used.
#[derive(Debug, Serialize)]
struct ServerFigures {
    /// `None` where nothing was delivered.
    cpu_us_per_delivery: Option<f64>,
    cpu_user_us_per_delivery: Option<f64>,
    cpu_system_us_per_delivery: Option<f64>,
    rss_bytes: u64,
    peak_rss_bytes: u64,
}

impl Outcome {
    pub(super) fn new(setting: Setting, measured: Measured) -> Outcome {
        let tally = measured.tally;
        let delivered_per_second = per_second(tally.delivered, measured.delivering);
        let (missing, delivered) = (tally.missing(), tally.delivered);
        let ratio = |raw: f64| (raw > 0.0).then(|| 100.0 * delivered_per_second / raw);
        Outcome {
            setting,
            seconds: measured.publishing.as_secs_f64(),
            accepted: measured.accepted,
            accepted_per_second: per_second(measured.accepted, measured.publishing),
            refused: measured.refused,
            late: measured.late,
            expected: tally.expected,
            delivered,
            delivered_per_second,
            after_outage: measured.after_outage,
            pending: measured.pending,
            missing: missing.saturating_sub(measured.pending.unwrap_or(0)),
            repeated: tally.repeated,
            unacknowledged: tally.unacknowledged,
            misdirected: tally.misdirected,
            drain_seconds: measured.draining.as_secs_f64(),
            publish: measured.publish,
            arrival: tally.arrival.filter(|_| !measured.after_outage),
            server: measured.usage.map(|(from, to)| ServerFigures::new(from, to, delivered)),
            raw_per_second: measured.raw_per_second,
            ratio_percent: measured.raw_per_second.and_then(ratio),
        }
    }

    /// How many messages were acknowledged.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Whether everything that was acknowledged arrived where it should.
    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0 && self.misdirected == 0
    }

    fn text(&self) -> String {
        let mut text = self.heading();
        let mut line = |name: &str, value: String| {
            let _ = write!(text, "\n  {name:<16}{value}");
        };
        let publish = self.publish.map(|times| format!("; publish {}", spread(times)));
        let accepted = rate(self.accepted_per_second, self.accepted);
        line("accepted", accepted + &publish.unwrap_or_default());
        if self.delivered > 0 {
            let since = if self.after_outage { "the receiver's return" } else { "the last 202" };
            let drained = format!("; all of it {:.2} s after {since}", self.drain_seconds);
            line("delivered", rate(self.delivered_per_second, self.delivered) + &drained);
        }
        if let Some(arrival) = self.arrival {
            line("arrival", spread(arrival));
        }
        match &self.server {
            None => line("server", "CPU and memory aren't known".to_owned()),
            Some(server) => {
                if let Some(cpu) = server.cpu_text() {
                    line("server CPU", cpu);
                }
                line("server memory", server.memory_text());
            }
        }
        if let (Some(raw), Some(ratio)) = (self.raw_per_second, self.ratio_percent) {
            line("raw", format!("{raw:.0}/s straight at the receiver; delivered is {ratio:.1}%"));
        }
        line("accounts", self.accounts());
        text
    }

    fn heading(&self) -> String {
        let setting = &self.setting;
        let stored = setting.stored_messages.map(|count| format!(" on {}", some(count, "message")));
        let pace = setting.rate_per_second.map(|rate| format!(" at {rate}/s")).unwrap_or_default();
        let hanging = match setting.hanging_endpoints {
            0 => String::new(),
            count => format!(" and {count} that hangs"),
        };
        format!(
            "{}{}: {}{pace}, {}{hanging}, {}-byte payloads, {:.1} s",
            setting.scenario,
            stored.unwrap_or_default(),
            some(setting.publishers as u64, "publisher"),
            some(u64::from(setting.applications * setting.endpoints), "endpoint"),
            setting.payload_bytes,
            self.seconds,
        )
    }

    /// What became of everything, in words only where there is something to say.
    fn accounts(&self) -> String {
        let counts = [
            (self.pending, "pending"),
            (Some(self.missing), "missing"),
            (Some(self.repeated), "repeated"),
            (Some(self.unacknowledged).filter(|&count| count > 0), "arrived unacknowledged"),
            (Some(self.misdirected).filter(|&count| count > 0), "MISDIRECTED"),
            (Some(self.refused).filter(|&count| count > 0), "refused"),
            (Some(self.late).filter(|&count| count > 0), "sent late"),
        ];
        let words: Vec<String> = counts
            .into_iter()
            .filter_map(|(count, word)| Some(format!("{} {word}", HumanCount(count?))))
            .collect();
        words.join(", ")
    }
}

impl ServerFigures {
    fn new(from: Usage, to: Usage, delivered: u64) -> ServerFigures {
        let (user, system) = (to.user_us - from.user_us, to.system_us - from.system_us);
        let each = |micros: u64| (delivered > 0).then(|| float(micros) / float(delivered));
        ServerFigures {
            cpu_us_per_delivery: each(user + system),
            cpu_user_us_per_delivery: each(user),
            cpu_system_us_per_delivery: each(system),
            rss_bytes: to.rss_bytes,
            peak_rss_bytes: to.peak_rss_bytes,
        }
    }

    fn cpu_text(&self) -> Option<String> {
        Some(format!(
            "{:.1} µs a delivery: {:.1} user, {:.1} system",
            self.cpu_us_per_delivery?,
            self.cpu_user_us_per_delivery?,
            self.cpu_system_us_per_delivery?,
        ))
    }

    fn memory_text(&self) -> String {
        let megabytes = |bytes: u64| float(bytes) / 1e6;
        let (peak, end) = (megabytes(self.peak_rss_bytes), megabytes(self.rss_bytes));
        format!("{peak:.0} MB at most, {end:.0} MB at the end")
    }
}

impl Report {
    /// `target` is the server that was measured: ours, or another's URL.
    pub(super) fn new(target: String, scenarios: Vec<Outcome>) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            os: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            target,
            scenarios,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.scenarios.iter().all(Outcome::is_complete)
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    pub(super) fn text(&self) -> String {
        let Report { version, build, os, architecture, cpus, target, .. } = self;
        let mut text = format!(
            "Hookwright {version} ({build}), {os} {architecture}, {cpus} processors; \
             server: {target}"
        );
        for outcome in &self.scenarios {
            let _ = write!(text, "\n\n{}", outcome.text());
        }
        text
    }
}

fn spread(times: Distribution) -> String {
    let Distribution { p50_ms, p90_ms, p99_ms, max_ms } = times;
    format!("p50 {p50_ms:.2} ms, p90 {p90_ms:.2} ms, p99 {p99_ms:.2} ms, max {max_ms:.2} ms")
}

fn some(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

fn rate(per_second: f64, count: u64) -> String {
    format!("{per_second:.0}/s ({})", HumanCount(count))
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { float(count) / time.as_secs_f64() }
}

/// No count comes near the 2^53 where this loses something.
#[allow(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting {
            scenario: "flat-out".to_owned(),
            stored_messages: None,
            publishers: 64,
            rate_per_second: None,
            payload_bytes: 500,
            applications: 1,
            endpoints: 1,
            hanging_endpoints: 0,
        }
    }

    fn measured() -> Measured {
        let used = |user_us, system_us| Usage {
            user_us,
            system_us,
            rss_bytes: 70_000_000,
            peak_rss_bytes: 83_000_000,
        };
        Measured {
            publishing: Duration::from_secs(2),
            delivering: Duration::from_millis(2_500),
            draining: Duration::from_millis(500),
            accepted: 20_000,
            tally: Tally { expected: 20_000, delivered: 20_000, ..Tally::default() },
            usage: Some((used(100_000, 50_000), used(900_000, 250_000))),
            raw_per_second: Some(32_000.0),
            ..Measured::default()
        }
    }

    fn close(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() < 1e-9)
    }

    #[test]
    fn rates_and_shares_are_of_the_time_and_the_deliveries_they_belong_to() {
        let outcome = Outcome::new(setting(), measured());
        assert!(close(Some(outcome.accepted_per_second), 10_000.0));
        assert!(close(Some(outcome.delivered_per_second), 8_000.0));
        assert!(close(outcome.ratio_percent, 25.0));
        let server = outcome.server.as_ref().unwrap();
        assert!(close(server.cpu_user_us_per_delivery, 40.0));
        assert!(close(server.cpu_system_us_per_delivery, 10.0));
        assert!(close(server.cpu_us_per_delivery, 50.0));
        assert!(outcome.is_complete());
        let text = outcome.text();
        for line in [
            "flat-out: 64 publishers, 1 endpoint, 500-byte payloads, 2.0 s\n",
            "10000/s (20,000)",
            "8000/s (20,000); all of it 0.50 s after the last 202\n",
            "50.0 µs a delivery: 40.0 user, 10.0 system\n",
            "83 MB at most, 70 MB at the end\n",
            "32000/s straight at the receiver; delivered is 25.0%\n",
            "0 missing, 0 repeated",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }

    #[test]
    fn what_the_server_holds_as_pending_is_not_missing() {
        let tally = || Tally { expected: 20_000, delivered: 10, ..Tally::default() };
        let lost = Outcome::new(setting(), Measured { tally: tally(), ..measured() });
        assert_eq!((lost.missing, lost.is_complete()), (19_990, false));
        let held = Measured { tally: tally(), pending: Some(19_990), ..measured() };
        assert!(Outcome::new(setting(), held).is_complete());
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let nothing = Measured { usage: None, raw_per_second: None, ..Measured::default() };
        let outcome = Outcome::new(setting(), nothing);
        assert!(outcome.server.is_none() && outcome.ratio_percent.is_none());
        assert!(close(Some(outcome.accepted_per_second), 0.0), "and nothing is divided by zero");
        assert!(outcome.text().contains("CPU and memory aren't known"));
    }
}
