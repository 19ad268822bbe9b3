//! `hookwright bench`: load, server and receivers on this machine, and what became of it all.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::clock::Clock;
use crate::domain::{SecretText, parse_duration};
use crate::entropy::Entropy;
use measure::{Conditions, Stage};
use report::{Outcome, Report};
use scenario::{Scenario, Sizes};
use target::Foreign;

mod certificate;
mod connection;
mod distribution;
mod load;
mod measure;
mod payload;
mod progress;
mod receiver;
mod report;
mod scenario;
mod server;
mod tally;
mod target;

/// Open files that the bench asks for: a socket each for publishers, receivers and deliveries.
const OPEN_FILES_WANTED: u64 = 65_536;

#[derive(Args)]
pub(super) struct BenchArgs {
    /// What to measure; can be given several times
    #[arg(long, value_enum, value_delimiter = ',', default_value = "flat-out")]
    scenario: Vec<Scenario>,
    /// How long messages are published, in seconds
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Publishers, each with one connection and one message at a time
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=4_096))]
    publishers: u16,
    /// Messages a second of the paced scenario
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Messages of the scenarios outage, pending and history
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    messages: u32,
    /// Size of a payload
    #[arg(long, value_name = "BYTES", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(payload::MIN_BYTES as i64..=1_000_000))]
    payload_bytes: u32,
    /// How long nothing may arrive until what is missing is given up
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    patience: String,
    /// The address of this machine at which the server reaches the receivers
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    receive_on: IpAddr,
    /// Measure this server instead of one of our own: any that speaks the Svix API
    #[arg(long, value_name = "URL", requires = "token")]
    server: Option<String>,
    /// The key that opens that server
    #[arg(long, env = "HOOKWRIGHT_BENCH_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<SecretText>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let conditions = args.conditions()?;
    if conditions.foreign.is_some() {
        args.scenario.iter().try_for_each(|scenario| scenario.check_foreign())?;
    }
    if cfg!(debug_assertions) {
        eprintln!("hookwright: this is a debug build, whose figures say nothing");
    }
    // Where there can't be more, what fails says so.
    let _ = rlimit::increase_nofile_limit(OPEN_FILES_WANTED);
    let scenarios = super::runtime()?.block_on(async {
        let mut interruption = Interruption::listen()?;
        let mut outcomes = Vec::new();
        for scenario in &args.scenario {
            let measured = measure_one(*scenario, &conditions, &mut interruption).await;
            outcomes.extend(measured.with_context(|| scenario.name())?);
        }
        anyhow::Ok(outcomes)
    })?;
    let target = args.server.clone().unwrap_or_else(|| "our own".to_owned());
    let report = Report::new(target, scenarios);
    super::print(&if args.json { report.json()? } else { report.text() })?;
    if !report.is_complete() {
        eprintln!("hookwright: something acknowledged did not arrive where it should");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure_one(
    scenario: Scenario,
    conditions: &Conditions,
    interruption: &mut Interruption,
) -> anyhow::Result<Vec<Outcome>> {
    let mut stage = tokio::select! {
        stage = Stage::start(scenario, conditions) => stage?,
        () = interruption.received() => bail!("interrupted"),
    };
    let outcomes = tokio::select! {
        outcomes = stage.run() => outcomes,
        () = interruption.received() => Err(anyhow::anyhow!("interrupted")),
    };
    match (outcomes, stage.target.clean_up().await) {
        (Err(error), Err(remains)) => Err(error.context(format!("{remains:#}"))),
        (outcomes, cleaned) => cleaned.and(outcomes),
    }
}

impl BenchArgs {
    fn conditions(&self) -> anyhow::Result<Conditions> {
        let patience = parse_duration(&self.patience)
            .context("--patience: write a number and ms, s, m, h or d, such as 30s")?;
        let foreign = self.server.clone().zip(self.token.clone());
        Ok(Conditions {
            sizes: Sizes {
                publishers: usize::from(self.publishers),
                time: Duration::from_secs(self.seconds),
                rate: self.rate,
                messages: self.messages,
                payload_bytes: usize::try_from(self.payload_bytes)?,
            },
            foreign: foreign.map(|(url, token)| Foreign { url, token }),
            receive_on: self.receive_on,
            patience,
            clock: Clock::system(),
            entropy: Entropy::system(),
        })
    }
}

/// Ctrl-C and SIGTERM, which otherwise would leave a server and its directory behind.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruption {
    fn listen() -> std::io::Result<Interruption> {
        Ok(Interruption {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
