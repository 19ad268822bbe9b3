//! What should be true, kept by hand: a small account of every delivery, written from the
//! transitions and from what the network saw, by rules of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hookwright::contract::Contract;
use hookwright::domain::{
    ApplicationId, DeliveryId, DeliveryState, Endpoint, EndpointId, EndpointState, Message,
    MessageId, ThrottleRate, Timestamp,
};
use hookwright::engine::LaneLimits;
use hookwright::store::Lease;

use super::network::Short;

pub(crate) type Kept = Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use ensure;

/// About what a payload of a simulation has.
const PAYLOAD_BYTES: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Running,
    Paused,
    Disabled,
    Deleted,
}

/// An endpoint, as it should be.
pub(crate) struct Hook {
    pub(crate) application: ApplicationId,
    pub(crate) contract: Arc<Contract>,
    pub(crate) channels: Option<Vec<String>>,
    pub(crate) standing: Standing,
    /// When the engine was told that it stopped.
    pub(crate) told: Option<Timestamp>,
    /// The ends of the failed attempts since it was enabled that count, and how many of them
    /// there were since the last success.
    pub(crate) failures: Vec<Timestamp>,
    pub(crate) in_a_row: u32,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) in_flight: usize,
    /// Whether it stopped or dropped its queue in this life. What was claimed before is void
    /// then, and is given back without being held.
    pub(crate) voided: bool,
    /// When what waited was last discarded.
    pub(crate) discarded_at: Option<Timestamp>,
    pub(crate) ordered: bool,
    pub(crate) throttle_rate: Option<ThrottleRate>,
    /// The attempts that began within the last second.
    pub(crate) starts: VecDeque<Timestamp>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Received,
    Failed {
        retry_after: Option<Duration>,
    },
    Gone,
    /// The process died, or gave it up.
    Cut,
}

/// One attempt, as the network saw it.
pub(crate) struct Flight {
    pub(crate) life: u32,
    pub(crate) started_at: Timestamp,
    pub(crate) ended: Option<(Timestamp, Verdict)>,
    pub(crate) taken_in: bool,
    pub(crate) recorded: bool,
    /// Its delivery went on without it: it was discarded, or counted as received.
    pub(crate) void: bool,
}

pub(crate) struct Delivery {
    pub(crate) state: DeliveryState,
    /// The highest number of an attempt.
    pub(crate) attempts: u32,
    pub(crate) failed_in_round: u32,
    pub(crate) due: Timestamp,
    pub(crate) lease: Option<(Lease, u32)>,
    /// Whether a person ever sent it again, which is outside of any order.
    pub(crate) resent: bool,
    /// Whether it was claimed because a person wanted it sent now, however much was held.
    pub(crate) by_hand: bool,
    /// A claim that goes on although its delivery is finished.
    pub(crate) overtaken: Option<Lease>,
    pub(crate) flights: Vec<Flight>,
    /// Whether an outcome came that decided nothing, so that its number comes twice.
    pub(crate) late: bool,
    pub(crate) identity: Option<String>,
}

impl Delivery {
    pub(crate) fn new(due: Timestamp) -> Delivery {
        Delivery {
            state: DeliveryState::Pending,
            attempts: 0,
            failed_in_round: 0,
            due,
            lease: None,
            resent: false,
            by_hand: false,
            overtaken: None,
            flights: Vec::new(),
            late: false,
            identity: None,
        }
    }

    /// Until when somebody has claimed it.
    pub(crate) fn claimed_until(&self, life: u32, now: Timestamp) -> Option<Timestamp> {
        let (lease, of) = self.lease?;
        (of == life && lease.until > now).then_some(lease.until)
    }

    pub(crate) fn void(&mut self) {
        self.lease = None;
        for flight in self.flights.iter_mut().filter(|flight| flight.ended.is_none()) {
            flight.void = true;
        }
    }
}

pub(crate) struct Model {
    pub(crate) limits: LaneLimits,
    pub(crate) hooks: BTreeMap<EndpointId, Hook>,
    pub(crate) deliveries: BTreeMap<EndpointId, BTreeMap<MessageId, Delivery>>,
    pub(crate) messages: BTreeMap<MessageId, ApplicationId>,
    pub(crate) tokens: BTreeMap<String, MessageId>,
    /// Those of events that were given up, which must never be stored.
    pub(crate) given_up: BTreeSet<String>,
    /// The receiver's number leads to the endpoint.
    pub(crate) receivers: BTreeMap<usize, EndpointId>,
    pub(crate) deleted: BTreeSet<ApplicationId>,
    /// How often a process began.
    pub(crate) life: u32,
    /// Whether a claim could not be given back in this life.
    pub(crate) keeps_claims: bool,
    /// The most commands in one transaction of this life.
    pub(crate) commands: usize,
    pub(crate) in_flight: usize,
    pub(crate) counts: Counts,
}

/// What a run came to, to know that it came to something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) published: usize,
    pub(crate) attempts: usize,
    pub(crate) received: usize,
    pub(crate) exhausted: usize,
    pub(crate) pauses: usize,
    pub(crate) gone: usize,
    pub(crate) resends: usize,
    pub(crate) discards: usize,
    pub(crate) crashes: usize,
    pub(crate) stops: usize,
    pub(crate) late: usize,
    pub(crate) repeated: usize,
    pub(crate) turns: usize,
    pub(crate) shared_turns: usize,
    pub(crate) failed_turns: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.published += other.published;
        self.attempts += other.attempts;
        self.received += other.received;
        self.exhausted += other.exhausted;
        self.pauses += other.pauses;
        self.gone += other.gone;
        self.resends += other.resends;
        self.discards += other.discards;
        self.crashes += other.crashes;
        self.stops += other.stops;
        self.late += other.late;
        self.repeated += other.repeated;
        self.turns += other.turns;
        self.shared_turns += other.shared_turns;
        self.failed_turns += other.failed_turns;
    }

    /// What many runs must come to now and then.
    pub(crate) fn rare(&self) -> [(&'static str, usize); 11] {
        [
            ("exhausted schedules", self.exhausted),
            ("pauses", self.pauses),
            ("receivers that are gone", self.gone),
            ("resends", self.resends),
            ("discards", self.discards),
            ("crashes", self.crashes),
            ("graceful stops", self.stops),
            ("late outcomes", self.late),
            ("repeated attempts", self.repeated),
            ("shared transactions", self.shared_turns),
            ("failed transactions", self.failed_turns),
        ]
    }
}

impl Model {
    pub(crate) fn new(limits: LaneLimits) -> Model {
        Model {
            limits,
            hooks: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            messages: BTreeMap::new(),
            tokens: BTreeMap::new(),
            given_up: BTreeSet::new(),
            receivers: BTreeMap::new(),
            deleted: BTreeSet::new(),
            life: 0,
            keeps_claims: false,
            commands: 0,
            in_flight: 0,
            counts: Counts::default(),
        }
    }

    pub(crate) fn created(&mut self, endpoint: &Endpoint, contract: Arc<Contract>, number: usize) {
        self.receivers.insert(number, endpoint.id);
        let hook = Hook {
            application: endpoint.application_id,
            contract,
            channels: endpoint.channels.clone(),
            standing: Standing::Running,
            told: None,
            failures: Vec::new(),
            in_a_row: 0,
            failing_since: None,
            in_flight: 0,
            ordered: endpoint.ordered,
            throttle_rate: endpoint.throttle_rate,
            starts: VecDeque::new(),
            voided: false,
            discarded_at: None,
        };
        self.hooks.insert(endpoint.id, hook);
    }

    pub(crate) fn delivery(&mut self, id: DeliveryId) -> Option<&mut Delivery> {
        self.deliveries.get_mut(&id.endpoint)?.get_mut(&id.message)
    }

    /// Whom a message goes to.
    pub(crate) fn audience(&self, message: &Message) -> Vec<EndpointId> {
        let takes = |hook: &Hook| {
            let standing = matches!(hook.standing, Standing::Running | Standing::Paused);
            let channel = hook
                .channels
                .as_ref()
                .is_none_or(|wanted| wanted.iter().any(|one| message.channels.contains(one)));
            hook.application == message.application.id && standing && channel
        };
        self.hooks.iter().filter(|(_, hook)| takes(hook)).map(|(id, _)| *id).collect()
    }

    /// The engine knows now that these endpoints have stopped.
    pub(crate) fn told(&mut self, endpoints: &[EndpointId], now: Timestamp) {
        for id in endpoints {
            if let Some(hook) = self.hooks.get_mut(id)
                && hook.standing != Standing::Running
            {
                hook.told.get_or_insert(now);
            }
        }
    }

    /// What nothing excuses: an endpoint with nothing claimed and something long due.
    pub(crate) fn overdue(&self, now: Timestamp, slack: Duration) -> Kept {
        let life = self.life;
        let claimed = |delivery: &Delivery| delivery.claimed_until(life, now).is_some();
        let held = self.deliveries.values().flat_map(BTreeMap::values).filter(|one| claimed(one));
        let (held, limits) = (held.count(), self.limits);
        let full = held * 2 >= limits.held || held * PAYLOAD_BYTES * 2 >= limits.held_bytes;
        if full || self.in_flight * 2 >= limits.in_flight {
            return Ok(());
        }
        for (endpoint, deliveries) in &self.deliveries {
            let hook = &self.hooks[endpoint];
            let busy = hook.in_flight > 0 || deliveries.values().any(claimed);
            if hook.standing != Standing::Running || busy {
                continue;
            }
            let waits = |one: &Delivery| one.state == DeliveryState::Pending;
            if hook.ordered && deliveries.values().any(|one| one.resent && waits(one)) {
                continue;
            }
            // In an ordered queue the others wait for the first.
            let looked_at = if hook.ordered { 1 } else { usize::MAX };
            let pending = deliveries.iter().filter(|(_, one)| waits(one)).take(looked_at);
            for (message, delivery) in pending {
                let ran_out = delivery.lease.map_or(delivery.due, |(lease, of)| {
                    if of == life { lease.until } else { delivery.due }
                });
                let since = delivery.due.max(ran_out);
                let id = DeliveryId { message: *message, endpoint: *endpoint };
                ensure!(
                    since + slack > now,
                    "{:?} was due {:?} ago and nobody cares",
                    Short(id),
                    now.since(since)
                );
            }
        }
        Ok(())
    }

    /// The lanes hold no more than they may, but for what shared a transaction: whether there is
    /// room is asked before any of that has arrived.
    pub(crate) fn held(&self, now: Timestamp) -> Kept {
        let held = |deliveries: &BTreeMap<MessageId, Delivery>| {
            let waits = |one: &&Delivery| {
                let over = one.flights.last().is_some_and(|flight| !flight.recorded);
                let landed = over && one.flights.last().is_some_and(|one| one.ended.is_some());
                one.claimed_until(self.life, now).is_some() && !landed && !one.by_hand
            };
            deliveries.values().filter(waits).count()
        };
        let lanes = self.deliveries.iter().filter(|(endpoint, _)| !self.hooks[*endpoint].voided);
        let lanes: Vec<usize> = lanes.map(|(_, deliveries)| held(deliveries)).collect();
        let (most, all) = (lanes.iter().max().copied().unwrap_or(0), lanes.iter().sum::<usize>());
        let (limits, commands) = (&self.limits, self.commands);
        ensure!(most <= limits.window + commands, "a lane holds {most}");
        ensure!(all <= limits.held + commands * self.hooks.len(), "the lanes hold {all}");
        Ok(())
    }

    /// What was discarded while an attempt at it was under way that goes on.
    pub(crate) fn discarded_in_flight(&self) -> Vec<(MessageId, EndpointId)> {
        let mut found = Vec::new();
        for (endpoint, deliveries) in &self.deliveries {
            for (message, delivery) in deliveries {
                let flying = delivery.flights.iter().any(|flight| flight.ended.is_none());
                if delivery.state == DeliveryState::Discarded && flying {
                    found.push((*message, *endpoint));
                }
            }
        }
        found
    }

    /// How many deliveries are still to be made.
    pub(crate) fn open(&self) -> usize {
        let running = self.deliveries.iter().filter(|(endpoint, _)| {
            self.hooks.get(endpoint).is_some_and(|hook| hook.standing == Standing::Running)
        });
        let pending = |deliveries: &BTreeMap<MessageId, Delivery>| {
            deliveries.values().filter(|one| one.state == DeliveryState::Pending).count()
        };
        running.map(|(_, deliveries)| pending(deliveries)).sum()
    }
}

/// The standing that a state means.
pub(crate) fn standing(state: &EndpointState) -> Standing {
    match state {
        EndpointState::Enabled => Standing::Running,
        EndpointState::Paused { .. } => Standing::Paused,
        EndpointState::Disabled { .. } => Standing::Disabled,
    }
}
