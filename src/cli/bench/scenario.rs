//! The scenarios, and what each consists of.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;

use super::load::{Amount, Load};
use super::tally::Topology;
use crate::contract::SHIPPED;

/// Endpoints of the one application that fans out.
const FAN_OUT: u32 = 20;

/// Applications with one endpoint each, where there are many.
const MANY: u32 = 1_000;

/// Healthy endpoints beside the one that hangs, and messages a second to all of them.
const HEALTHY: u32 = 4;
const HANGING_PACE: u32 = 100;

/// The pause before each retry during the outage. It is short, so that what is measured is the
/// server and not its schedule, and there are so many that none is given up.
const OUTAGE_RETRY: &str = "2s";
const OUTAGE_RETRIES: usize = 50;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// As many messages as are accepted, to one endpoint
    FlatOut,
    /// So many messages a second, to one endpoint
    Paced,
    /// Each message to 20 endpoints; publishers wait for what is under way
    FanOut,
    /// Flat out to 1,000 applications with one endpoint each, on as many ports
    ManyEndpoints,
    /// Flat out to a receiver that speaks TLS
    Tls,
    /// 100 messages a second to four endpoints that answer and one that doesn't
    Hanging,
    /// Messages pile up while the receiver answers 503; how long until all have arrived
    Outage,
    /// The memory that pending messages take
    Pending,
    /// Flat out on an empty store, and once it holds many messages
    History,
}

/// What the command line asks of all scenarios.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) publishers: usize,
    pub(super) time: Duration,
    pub(super) rate: u32,
    pub(super) messages: u32,
    pub(super) payload_bytes: usize,
}

/// What a scenario consists of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) topology: Topology,
    /// Endpoints of each application that never answer, beside those that do.
    pub(super) hanging_endpoints: u32,
    pub(super) receivers: usize,
    pub(super) tls: bool,
    pub(super) load: Load,
    /// Whether the same load straight at the receiver says anything.
    pub(super) raw: bool,
    /// A contract for our own server, instead of its default.
    pub(super) contract: Option<String>,
}

impl Scenario {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Why it can't be measured on somebody else's server.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn check_foreign(self) -> anyhow::Result<()> {
        let why = match self {
            Scenario::Tls => "that server does not trust a certificate made for the run",
            Scenario::Outage => "that server's retry schedule would decide the time",
            Scenario::Pending => "nothing is known of that server's memory",
            _ => return Ok(()),
        };
        bail!("--scenario {} can't be had with --server: {why}", self.name())
    }

    /// What it consists of.
    ///
    /// # Errors
    /// Where the contract of an outage can't be made.
    pub(super) fn plan(self, sizes: Sizes) -> anyhow::Result<Plan> {
        let flat_out = Plan {
            topology: Topology { applications: 1, endpoints: 1 },
            hanging_endpoints: 0,
            receivers: 1,
            tls: false,
            load: Load {
                publishers: sizes.publishers,
                pace: None,
                amount: Amount::For(sizes.time),
                payload_bytes: sizes.payload_bytes,
                waits_for: None,
            },
            raw: true,
            contract: None,
        };
        let load = flat_out.load.clone();
        let paced = |pace| Load { pace: Some(pace), ..load.clone() };
        let counted = Load { amount: Amount::Messages(sizes.messages), ..load.clone() };
        Ok(match self {
            Scenario::FlatOut | Scenario::History => flat_out,
            Scenario::Paced => Plan { load: paced(sizes.rate), raw: false, ..flat_out },
            Scenario::FanOut => Plan {
                topology: Topology { applications: 1, endpoints: FAN_OUT },
                load: Load { waits_for: Some(FAN_OUT), ..load },
                ..flat_out
            },
            Scenario::ManyEndpoints => Plan {
                topology: Topology { applications: MANY, endpoints: 1 },
                receivers: MANY as usize,
                ..flat_out
            },
            Scenario::Tls => Plan { tls: true, ..flat_out },
            Scenario::Hanging => Plan {
                topology: Topology { applications: 1, endpoints: HEALTHY },
                hanging_endpoints: 1,
                load: paced(HANGING_PACE),
                raw: false,
                ..flat_out
            },
            Scenario::Outage => {
                Plan { load: counted, raw: false, contract: Some(outage_contract()?), ..flat_out }
            }
            Scenario::Pending => Plan { load: counted, raw: false, ..flat_out },
        })
    }
}

/// The standard contract with an outage's retries.
fn outage_contract() -> anyhow::Result<String> {
    let shipped = SHIPPED.iter().find(|(name, _)| *name == "standard");
    let (_, standard) = shipped.context("there is no standard contract")?;
    let retries = format!("retries = {:?}", vec![OUTAGE_RETRY; OUTAGE_RETRIES]);
    let lines = standard.lines().map(|line| match line.starts_with("retries = ") {
        true => retries.as_str(),
        false => line,
    });
    Ok(lines.collect::<Vec<&str>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Contract;

    const SIZES: Sizes = Sizes {
        publishers: 64,
        time: Duration::from_secs(5),
        rate: 200,
        messages: 100_000,
        payload_bytes: 500,
    };

    #[test]
    fn an_outage_is_retried_every_two_seconds_for_longer_than_it_lasts() {
        let text = Scenario::Outage.plan(SIZES).unwrap().contract.unwrap();
        let contract = Contract::load("contract.toml", &text).unwrap();
        let retries = &contract.retry().retries;
        assert_eq!(retries.len(), OUTAGE_RETRIES);
        assert!(retries.iter().all(|pause| *pause == Duration::from_secs(2)));
    }

    #[test]
    fn only_what_depends_on_our_own_server_is_refused_for_another() {
        let refused: Vec<Scenario> = Scenario::value_variants()
            .iter()
            .copied()
            .filter(|scenario| scenario.check_foreign().is_err())
            .collect();
        assert_eq!(refused, [Scenario::Tls, Scenario::Outage, Scenario::Pending]);
    }

    #[test]
    fn publishers_that_wait_do_so_for_all_deliveries_of_a_message() {
        for scenario in Scenario::value_variants() {
            let plan = scenario.plan(SIZES).unwrap();
            if let Some(deliveries) = plan.load.waits_for {
                assert_eq!(deliveries, plan.topology.endpoints, "{scenario:?}");
            }
        }
    }
}
