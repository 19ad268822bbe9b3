//! One scenario, from its first connection to its figures.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::certificate::Identity;
use super::connection::Origin;
use super::distribution::Distribution;
use super::load::{Amount, Destination, Load, Published, Run};
use super::progress::Progress;
use super::receiver::{Mood, RAW_PATH, Receivers};
use super::report::{Measured, Outcome, Setting};
use super::scenario::{Plan, Scenario, Sizes};
use super::server::ServerOptions;
use super::tally::Tally;
use super::target::{Foreign, Target};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::entropy::Entropy;

/// How often progress is shown and the server is looked after.
const TICK: Duration = Duration::from_millis(100);

/// How often it is looked whether everything has arrived.
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// How long repetitions, and the server's records of the last answers, are waited for.
const SETTLE: Duration = Duration::from_millis(200);

/// How long the raw run takes at most: its rate hardly varies.
const RAW_TIME: Duration = Duration::from_secs(3);

/// What all scenarios of a call have in common.
pub(super) struct Conditions {
    pub(super) sizes: Sizes,
    pub(super) foreign: Option<Foreign>,
    pub(super) receive_on: IpAddr,
    /// How long nothing may arrive until what is missing is given up.
    pub(super) patience: Duration,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
}

/// A scenario with everything that it needs running.
pub(super) struct Stage<'a> {
    scenario: Scenario,
    plan: Plan,
    conditions: &'a Conditions,
    receivers: Receivers,
    identity: Option<Identity>,
    progress: Progress,
    pub(super) target: Target,
    /// The number of the next message.
    next: u32,
}

/// What was published, and when.
struct Phase {
    first: u32,
    started: Timestamp,
    ended: Timestamp,
    published: Published,
}

impl<'a> Stage<'a> {
    /// Starts receivers and, if it is ours, the server.
    ///
    /// # Errors
    /// Where one of them can't be started.
    pub(super) async fn start(
        scenario: Scenario,
        conditions: &'a Conditions,
    ) -> anyhow::Result<Stage<'a>> {
        let Conditions { receive_on, clock, entropy, .. } = conditions;
        let progress = Progress::new();
        progress.begin(&scenario.name(), "starting");
        let plan = scenario.plan(conditions.sizes)?;
        let identity = plan.tls.then(|| Identity::new(*receive_on)).transpose()?;
        let receivers = Receivers::start(plan.receivers, *receive_on, identity.as_ref(), clock)?;
        let options = ServerOptions {
            receivers: *receive_on,
            contract: plan.contract.clone(),
            authority: identity.as_ref().map(|identity| identity.pem.clone()),
        };
        let foreign = conditions.foreign.as_ref();
        let target = Target::start(foreign, &options, (clock, entropy)).await?;
        Ok(Stage { scenario, plan, conditions, receivers, identity, progress, target, next: 0 })
    }

    /// Measures.
    ///
    /// # Errors
    /// Where the server ends, or refuses what the scenario needs.
    pub(super) async fn run(&mut self) -> anyhow::Result<Vec<Outcome>> {
        self.target.set_up(&self.plan, &self.receivers).await?;
        let raw = if self.plan.raw { Some(self.raw().await?) } else { None };
        Ok(match self.scenario {
            Scenario::Outage => vec![self.outage().await?],
            Scenario::Pending => vec![self.pending().await?],
            Scenario::History => self.history(raw).await?,
            _ => vec![self.steady(None, raw).await?],
        })
    }

    /// Messages a second straight at the receivers.
    async fn raw(&mut self) -> anyhow::Result<f64> {
        let Conditions { sizes, clock, .. } = self.conditions;
        let origin =
            |index| Origin::new(&self.receivers.origin(index), None, self.identity.as_ref(), clock);
        let destination = Destination {
            origins: (0..sizes.publishers).map(origin).collect::<anyhow::Result<_>>()?,
            paths: vec![RAW_PATH.to_owned()],
            published: false,
        };
        let amount = Amount::For(sizes.time.min(RAW_TIME));
        let load = Load { amount, waits_for: None, pace: None, ..self.plan.load.clone() };
        let phase = self.publish("raw", load, destination).await?;
        self.receivers.forget_arrivals();
        let seconds = phase.ended.since(phase.started).as_secs_f64();
        let count = u32::try_from(phase.published.acknowledged.len()).unwrap_or(u32::MAX);
        Ok(f64::from(count) / seconds)
    }

    /// The plan's load, with receivers that answer.
    async fn steady(
        &mut self,
        stored: Option<u64>,
        raw_per_second: Option<f64>,
    ) -> anyhow::Result<Outcome> {
        let before = self.target.usage();
        let load = self.plan.load.clone();
        let phase = self.publish("publishing", load, self.target.destination()).await?;
        let tally = self.drain(&phase).await?;
        let mut measured = self.measured(&phase, phase.started, phase.ended, tally);
        measured.usage = before.zip(self.target.usage());
        measured.publish = Distribution::of(phase.published.took_us);
        measured.raw_per_second = raw_per_second;
        self.receivers.forget_arrivals();
        Ok(Outcome::new(self.setting(stored), measured))
    }

    /// Everything is published while the receiver is down; what counts is what comes then.
    async fn outage(&mut self) -> anyhow::Result<Outcome> {
        self.receivers.set_mood(Mood::Refuse);
        let load = self.plan.load.clone();
        let phase = self.publish("piling up", load, self.target.destination()).await?;
        let before = self.target.usage();
        self.receivers.set_mood(Mood::Answer);
        let back = self.conditions.clock.now();
        let tally = self.drain(&phase).await?;
        let mut measured = self.measured(&phase, back, back, tally);
        measured.after_outage = true;
        measured.usage = before.zip(self.target.usage());
        measured.publish = Distribution::of(phase.published.took_us);
        Ok(Outcome::new(self.setting(None), measured))
    }

    /// Nothing is answered, so everything stays where it is.
    async fn pending(&mut self) -> anyhow::Result<Outcome> {
        self.receivers.set_mood(Mood::Hang);
        let before = self.target.usage();
        let load = self.plan.load.clone();
        let phase = self.publish("publishing", load, self.target.destination()).await?;
        let after = self.target.usage();
        let tally = self.tally(&phase);
        let mut measured = self.measured(&phase, phase.started, phase.ended, tally);
        measured.pending = Some(self.target.pending().await?);
        measured.usage = before.zip(after);
        measured.publish = Distribution::of(phase.published.took_us);
        Ok(Outcome::new(self.setting(None), measured))
    }

    /// The same load before and after many messages.
    async fn history(&mut self, raw: Option<f64>) -> anyhow::Result<Vec<Outcome>> {
        let empty = self.steady(Some(0), raw).await?;
        let messages = self.conditions.sizes.messages;
        let load = Load { amount: Amount::Messages(messages), ..self.plan.load.clone() };
        let phase = self.publish("filling", load, self.target.destination()).await?;
        let missing = self.drain(&phase).await?.missing();
        anyhow::ensure!(missing == 0, "{missing} of the messages that fill the store are missing");
        self.receivers.forget_arrivals();
        let stored = empty.accepted() + phase.published.acknowledged.len() as u64;
        let full = self.steady(Some(stored), raw).await?;
        Ok(vec![empty, full])
    }

    /// Publishes a load to its end.
    async fn publish(
        &mut self,
        what: &str,
        load: Load,
        destination: Destination,
    ) -> anyhow::Result<Phase> {
        self.progress.begin(&self.scenario.name(), what);
        let clock = self.conditions.clock.clone();
        let (first, shared) = (self.next, self.receivers.shared.clone());
        let run = Arc::new(Run::new(load, destination, first, shared, &clock));
        let publishing = run.publish();
        tokio::pin!(publishing);
        let published = loop {
            tokio::select! {
                published = &mut publishing => break published,
                () = clock.sleep(TICK) => {
                    self.target.check()?;
                    self.progress.show(run.done(), run.acknowledged(), self.receivers.arrived());
                }
            }
        };
        // Where it ended, that says more than what its connections say.
        if published.is_err() {
            self.target.check()?;
        }
        self.next = run.end();
        Ok(Phase { first, started: run.started(), ended: clock.now(), published: published? })
    }

    /// Waits until everything that was acknowledged has arrived, or nothing arrives any more.
    async fn drain(&mut self, phase: &Phase) -> anyhow::Result<Tally> {
        self.progress.begin(&self.scenario.name(), "draining");
        let clock = self.conditions.clock.clone();
        let acknowledged = phase.published.acknowledged.len() as u64;
        let expected = acknowledged * u64::from(self.plan.topology.endpoints);
        let (mut arrived, mut progressed_at) = (self.receivers.arrived(), clock.now());
        // Repetitions count as arrived, so only a tally tells whether all of it is there.
        let mut looked_at = None;
        loop {
            if arrived >= expected
                && looked_at.replace(arrived) != Some(arrived)
                && self.tally(phase).missing() == 0
            {
                break;
            }
            if clock.now().since(progressed_at) > self.conditions.patience {
                break;
            }
            clock.sleep(DRAIN_TICK).await;
            self.target.check()?;
            let now = self.receivers.arrived();
            if now > arrived {
                (arrived, progressed_at) = (now, clock.now());
            }
            self.progress.show(share(arrived, expected), acknowledged, arrived);
        }
        clock.sleep(SETTLE).await;
        Ok(self.tally(phase))
    }

    fn tally(&self, phase: &Phase) -> Tally {
        let acknowledged = phase.published.acknowledged.clone();
        Tally::of(self.plan.topology, phase.first, acknowledged, self.receivers.arrivals())
    }

    /// What is the same in every scenario. Deliveries could arrive from `open` on, and drained
    /// from `drained_from` on.
    fn measured(
        &self,
        phase: &Phase,
        open: Timestamp,
        drained_from: Timestamp,
        tally: Tally,
    ) -> Measured {
        let last = tally.last.unwrap_or(open);
        Measured {
            publishing: phase.ended.since(phase.started),
            delivering: last.since(open),
            draining: last.since(drained_from),
            accepted: phase.published.acknowledged.len() as u64,
            refused: phase.published.refused,
            late: phase.published.late,
            tally,
            ..Measured::default()
        }
    }

    fn setting(&self, stored_messages: Option<u64>) -> Setting {
        Setting {
            scenario: self.scenario.name(),
            stored_messages,
            publishers: self.plan.load.publishers,
            rate_per_second: self.plan.load.pace,
            payload_bytes: self.plan.load.payload_bytes,
            applications: self.plan.topology.applications,
            endpoints: self.plan.topology.endpoints,
            hanging_endpoints: self.plan.hanging_endpoints,
        }
    }
}

/// How much of the whole there is, from 0 to 1.
#[allow(clippy::cast_precision_loss)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
