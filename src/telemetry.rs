//! Logs: human-readable on a terminal, JSON lines where asked. Nothing secret is ever passed
//! to them; types that hold secrets have a `Debug` that shows nothing.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::Clock;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Starts logging to standard error, filtered by `filter` (`info`, `hookwright=debug`, …).
///
/// # Errors
/// Where the filter can't be read. A second call in one process is no error and changes
/// nothing.
pub fn start(filter: &str, format: LogFormat, clock: Clock) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| format!("log filter {filter:?} can't be read: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(ClockTime(clock))
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(started);
    Ok(())
}

struct ClockTime(Clock);

impl FormatTime for ClockTime {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", self.0.now())
    }
}
