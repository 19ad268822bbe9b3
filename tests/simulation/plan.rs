//! What a seed stands for: how large the world is, which contracts it speaks, what goes wrong.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hookwright::contract::Contract;
use hookwright::engine::LaneLimits;
use hookwright::environment::{Environment, Environments};
use hookwright::sender::Guard;

use super::dice::Dice;

/// Contracts that get to their limits soon: a short schedule, and each rule for pausing.
static BRISK: LazyLock<Vec<Arc<Contract>>> = LazyLock::new(|| {
    let rules = [
        ("", "[\"1s\", \"5s\"]", true),
        ("[pause]\nconsecutive = 3", "[\"2s\", \"2s\", \"10s\"]", true),
        ("[pause]\nfailures = 5\nwithin = \"1m\"", "[\"500ms\", \"10s\", \"30s\"]", false),
        ("[pause]\nfailing_for = \"3m\"", "[\"5s\", \"20s\", \"1m\", \"2m\"]", true),
    ];
    let contracts = rules.into_iter().map(|(pause, retries, retry_after)| {
        let text = format!(
            r#"
name = "brisk"
[delivery]
body = '{{{{ payload }}}}'
timeout = "4s"
retries = {retries}
jitter = 0.2
retry_after = {retry_after}
retry_after_max = "2m"
gone = 410
headers = {{ "X-Event-Id" = '{{{{ event.id }}}}' }}
[secret]
origin = "none"
{pause}
"#
        );
        Arc::new(Contract::load("brisk.toml", &text).expect("a contract of our own"))
    });
    contracts.collect()
});

/// The contracts that companies really have. Their schedules are hours long.
const SHIPPED: [&str; 6] = ["standard", "kynectlocal", "klink", "kakiyo", "tomba", "rechat"];

/// The world of a seed.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) contracts: Vec<Arc<Contract>>,
    pub(crate) limits: LaneLimits,
    /// How long a publish waits for the store.
    pub(crate) publish_wait: Duration,
    pub(crate) applications: usize,
    pub(crate) endpoints: usize,
    pub(crate) operations: usize,
    /// The longest wait between two operations, in milliseconds.
    pub(crate) pace_ms: u64,
    /// How often, in per mille of its transitions, the store refuses, breaks off a transaction,
    /// or is slow.
    pub(crate) store_refuses: usize,
    pub(crate) commits_fail: usize,
    pub(crate) store_slow: usize,
    /// The longest that the store is away as a whole, in milliseconds.
    pub(crate) away_ms: u64,
    /// How often, in per mille of the store's transitions, the process dies there.
    pub(crate) crashes: usize,
    /// The longest that a process is down, in milliseconds.
    pub(crate) down_ms: u64,
    /// How many commands may share a transaction.
    pub(crate) batch: usize,
    /// How often a receiver is in trouble, in percent of the time.
    pub(crate) trouble: usize,
    /// Whether receivers answer that they are gone.
    pub(crate) gone: bool,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Plan {
        let mut dice = Dice::new(seed, 1);
        let mut often = |none: usize, most: usize| match dice.percent(none) {
            true => 0,
            false => 1 + dice.below(most),
        };
        let (store_refuses, commits_fail) = (often(60, 60), often(70, 60));
        let (store_slow, crashes) = (often(50, 300), often(50, 15));
        let held = dice.between(4, 48);
        let limits = LaneLimits {
            in_flight_per_endpoint: dice.between(1, 8),
            in_flight: dice.between(1, 16),
            window: dice.between(1, 8),
            held,
            held_bytes: 1 << dice.between(7, 20),
        };
        let short = *dice.pick(&[2_000, 20_000, 120_000]);
        Plan {
            seed,
            contracts: contracts(&mut dice),
            limits,
            publish_wait: Duration::from_millis([100, 1_000, 10_000][(seed % 3) as usize]),
            applications: dice.between(1, 4),
            endpoints: dice.between(1, 6),
            operations: *dice.pick(&[20, 40, 40, 80, 160]),
            pace_ms: short,
            store_refuses,
            commits_fail,
            store_slow,
            crashes,
            away_ms: *dice.pick(&[0, 0, 5_000, 400_000]),
            down_ms: *dice.pick(&[100, 5_000, 300_000]),
            batch: *dice.pick(&[1, 2, 4, 1_024]),
            trouble: *dice.pick(&[0, 20, 40, 70]),
            gone: dice.percent(30),
        }
    }

    pub(crate) fn environments(&self) -> Arc<Environments> {
        let configured = self.contracts.iter().enumerate().map(|(number, contract)| Environment {
            name: name(number),
            contract: Arc::clone(contract),
            guard: Guard::public(),
            allow_http: false,
            retention: Default::default(),
        });
        let other = configured.clone().next().expect("one at least");
        Arc::new(Environments::new(configured.collect(), other))
    }
}

/// The name of an environment.
pub(crate) fn name(number: usize) -> Arc<str> {
    format!("env-{number}").into()
}

fn contracts(dice: &mut Dice) -> Vec<Arc<Contract>> {
    let count = dice.between(1, 2);
    let one = |dice: &mut Dice| match dice.percent(80) {
        true => Arc::clone(dice.pick(&BRISK)),
        false => Contract::shipped(dice.pick::<&str>(&SHIPPED)).expect("it is shipped"),
    };
    (0..count).map(|_| one(dice)).collect()
}
