//! The driver: lets every task go on until none can, then moves the time to whatever comes next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookwright::domain::{Application, EndpointId, MessageId, ThrottleRate, Timestamp};
use hookwright::engine::{EngineParts, IntakeLimits, Pending};
use hookwright::entropy::Entropy;
use hookwright::environment::Environments;
use hookwright::store::sqlite::MemoryDatabase;
use hookwright::store::{MasterKey, Store, Vault};

use super::dice::Dice;
use super::life::Life;
use super::model::Counts;
use super::network::SimulatedNetwork;
use super::people::{self, Deed, Person};
use super::plan::Plan;
use super::store::SimulatedStore;
use super::verdict;
use super::world::World;

/// What may be late without anybody being to blame.
const SLACK: Duration = Duration::from_secs(20);

/// So many steps are more than any run takes; one that takes more goes round in circles.
const STEPS_MAX: usize = 2_000_000;

/// What a run came to.
pub(crate) struct Report {
    pub(crate) broken: Option<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A process begins.
    Start,
    /// The store of that life makes a transaction.
    Turn(u32),
    Deed,
    /// Everything that went wrong ends.
    Calm,
    /// Somebody looks after the endpoints that stand still.
    Look,
}

struct Run {
    world: Arc<World>,
    network: Arc<SimulatedNetwork>,
    environments: Arc<Environments>,
    database: MemoryDatabase,
    entropy: Entropy,
    dice: Dice,
    life: Option<Life>,
    lives: u32,
    events: BTreeMap<(Timestamp, u64), Event>,
    numbered: u64,
    turn_planned: bool,
    applications: Vec<Application>,
    published: usize,
    deeds_left: usize,
    /// When the last delivery must be done.
    deadline: Option<Timestamp>,
    /// Endpoints that nobody enables at the end.
    left_alone: Vec<EndpointId>,
}

/// Runs the world of a seed to its end.
pub(crate) fn run(seed: u64, traced: bool) -> Report {
    let world = Arc::new(World::new(Plan::of(seed), traced));
    let mut run = Run {
        network: Arc::new(SimulatedNetwork::new(Arc::clone(&world))),
        environments: world.plan.environments(),
        database: MemoryDatabase::new().expect("a database in memory"),
        entropy: Entropy::seeded(seed),
        dice: Dice::new(seed, 3),
        life: None,
        lives: 0,
        events: BTreeMap::new(),
        numbered: 0,
        turn_planned: false,
        applications: Vec::new(),
        published: 0,
        deeds_left: world.plan.operations,
        deadline: None,
        left_alone: Vec::new(),
        world,
    };
    run.populate();
    run.plan(Duration::ZERO, Event::Start);
    run.plan(Duration::from_millis(1), Event::Deed);
    let mut steps = 0;
    while run.world.broken().is_none() && run.step() {
        steps += 1;
        if steps > STEPS_MAX {
            run.world.check(Err("it goes round in circles".to_owned()));
        }
    }
    run.world.die();
    drop(run.life.take());
    let world = &run.world;
    Report { broken: world.broken(), trace: world.trace(), counts: world.model().counts }
}

impl Run {
    fn plan(&mut self, after: Duration, event: Event) {
        self.numbered += 1;
        self.events.insert((self.world.now() + after, self.numbered), event);
    }

    fn open(&self) -> Life {
        let key = MasterKey::generate(&Entropy::seeded(self.world.plan.seed));
        let vault = Vault::new(key, Entropy::seeded(self.world.plan.seed + u64::from(self.lives)));
        let (inner, turns) = self.database.open(vault).expect("the same master key");
        Life::new(SimulatedStore { world: Arc::clone(&self.world), inner }, turns)
    }

    fn populate(&mut self) {
        let mut life = self.open();
        let (world, plan) = (Arc::clone(&self.world), &self.world.plan);
        for number in 0..plan.applications {
            let application = people::application(&world, &self.entropy, number);
            let store = Arc::clone(&life.store);
            let made = application.clone();
            life.write(async move { store.inner.create_application(made).await })
                .expect("it is new");
            self.applications.push(application);
        }
        for number in 0..plan.endpoints {
            let application = self.dice.pick(&self.applications);
            let channels = people::channels(&mut self.dice.clone());
            let mut endpoint =
                people::endpoint(&world, &self.entropy, application, number, channels);
            let mut dice = Dice::new(plan.seed, 200 + number as u64);
            endpoint.ordered = dice.percent(20);
            endpoint.throttle_rate = match dice.percent(15) {
                true => ThrottleRate::new(*dice.pick(&[1, 2, 5, 20])),
                false => None,
            };
            let contract = self.environments.get(&application.environment).contract.clone();
            world.model().created(&endpoint, contract, number);
            self.dice.next();
            let store = Arc::clone(&life.store);
            life.write(async move { store.inner.create_endpoint(endpoint, false, 100).await })
                .expect("it is new");
        }
    }

    /// Goes on to the next thing that happens. Returns whether there is one.
    fn step(&mut self) -> bool {
        if let Some(life) = &self.life {
            life.settle();
        }
        if let Some(panic) = verdict::panicked() {
            self.world.check(Err(panic));
            return false;
        }
        if self.world.is_dead() && self.life.is_some() {
            self.bury("crashed");
        }
        if self.stopped() {
            self.bury("stopped");
        }
        if self.is_done() {
            self.finish();
            return false;
        }
        self.plan_turn();
        let now = self.world.now();
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let timer = self.life.as_ref().and_then(|_| self.world.clock.next_deadline());
        let Some(next) = event.into_iter().chain(timer).min() else {
            self.world.check(Err("nothing will ever happen again".to_owned()));
            return false;
        };
        if next > now {
            self.look_for_overdue(next);
            self.world.clock.advance(next.since(now));
        }
        // What sleeps comes before what happens at the same time.
        if event == Some(next) && timer.is_none_or(|timer| timer > next || next <= now) {
            let (_, event) = self.events.pop_first().expect("it was there");
            self.happen(event);
        }
        true
    }

    fn look_for_overdue(&self, next: Timestamp) {
        let world = &self.world;
        let long = next.since(world.now()) >= Duration::from_secs(1);
        let up = self.life.as_ref().is_some_and(|life| life.stopping.is_none());
        if long && up && world.untroubled() > SLACK {
            world.check(world.model().overdue(world.now(), SLACK));
        }
    }

    fn plan_turn(&mut self) {
        let waiting = self.life.as_ref().is_some_and(|life| life.turns.waiting());
        if !waiting || self.turn_planned {
            return;
        }
        self.turn_planned = true;
        let slow = self.world.happens(self.world.plan.store_slow);
        let takes = match slow {
            true => self.dice.ms(1, 300),
            false if self.dice.percent(50) => Duration::ZERO,
            false => self.dice.ms(0, 2),
        };
        self.plan(takes, Event::Turn(self.lives));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start => self.start(),
            Event::Turn(life) if life == self.lives => self.turn(),
            Event::Turn(_) => {}
            Event::Deed => self.somebody_does_something(),
            Event::Calm => self.calm_down(),
            Event::Look => self.look_after(),
        }
    }

    fn start(&mut self) {
        self.lives += 1;
        self.world.revive();
        self.world.say(|| format!("process {} starts", self.lives));
        let life = self.open();
        let (store, network) = (Arc::clone(&life.store), Arc::clone(&self.network));
        let (world, environments) = (Arc::clone(&self.world), Arc::clone(&self.environments));
        let entropy = self.entropy.clone();
        life.start(move || EngineParts {
            store: store.clone(),
            network: network.clone(),
            environments: environments.clone(),
            clock: world.clock.clone(),
            entropy: entropy.clone(),
            limits: world.plan.limits,
            intake: IntakeLimits { wait: world.plan.publish_wait, ..Default::default() },
        });
        self.life = Some(life);
    }

    fn turn(&mut self) {
        self.turn_planned = false;
        let Some(life) = &mut self.life else { return };
        let fails = self.world.happens(self.world.plan.commits_fail);
        if fails {
            self.world.trouble();
        }
        self.database.fail_commits(fails);
        let turn = life.turns.take(self.dice.between(1, self.world.plan.batch));
        self.database.fail_commits(false);
        let mut model = self.world.model();
        model.commands = model.commands.max(turn.commands);
        let counts = &mut model.counts;
        counts.turns += 1;
        counts.shared_turns += usize::from(turn.commands > 1);
        counts.failed_turns += usize::from(!turn.committed);
        drop(model);
        if !turn.committed {
            self.world.say(|| format!("a transaction of {} failed", turn.commands));
        }
    }

    /// The end of a process: nothing of it is left but what it committed.
    fn bury(&mut self, how: &str) {
        self.world.say(|| format!("process {} {how}", self.lives));
        self.world.die();
        self.world.model().all_cut(self.world.now());
        drop(self.life.take());
        self.turn_planned = false;
        {
            let counts = &mut self.world.model().counts;
            match how {
                "crashed" => counts.crashes += 1,
                _ => counts.stops += 1,
            }
        }
        let down = self.dice.ms(1, self.world.plan.down_ms);
        self.plan(down, Event::Start);
    }

    /// Whether a graceful stop has just ended.
    fn stopped(&mut self) -> bool {
        let stopping = self.life.as_ref().and_then(|life| life.stopping.as_ref());
        let stopped = stopping.is_some_and(|stopping| stopping.is_finished());
        if stopped && self.world.untroubled() > SLACK * 4 {
            self.world.check(verdict::nothing_lost(&self.world.model()));
        }
        stopped
    }

    fn person(&self) -> Option<Person> {
        let life = self.life.as_ref().filter(|life| life.stopping.is_none())?;
        Some(Person {
            world: Arc::clone(&self.world),
            engine: life.engine.get()?.clone(),
            store: Arc::clone(&life.store),
            entropy: self.entropy.clone(),
        })
    }

    fn somebody_does_something(&mut self) {
        let Some(person) = self.person() else {
            return self.plan(Duration::from_millis(500), Event::Deed);
        };
        self.deeds_left -= 1;
        let deed = people::deed(&mut self.dice);
        self.world.say(|| format!("{deed:?}"));
        match deed {
            Deed::Publish => self.publish(&person),
            Deed::Resend => self.resend(person),
            Deed::Restart => {
                let grace = self.dice.ms(0, 40_000);
                // Usually a server stops listening first.
                let last_requests = match self.dice.percent(80) {
                    true => SLACK,
                    false => Duration::ZERO,
                };
                let clock = self.world.clock.clone();
                let stop = async move {
                    clock.sleep(last_requests).await;
                    person.engine.stop(grace).await;
                };
                if let Some(life) = &mut self.life {
                    life.stopping = Some(life.spawn(stop));
                }
            }
            Deed::Kill if self.world.plan.crashes > 0 => self.world.die(),
            Deed::Kill => {}
            Deed::Away => {
                let away = self.dice.ms(0, self.world.plan.away_ms);
                self.world.go_away(away);
            }
            _ => {
                let hooks: Vec<_> = {
                    let model = self.world.model();
                    model.hooks.iter().map(|(id, hook)| (hook.application, *id)).collect()
                };
                let (application, endpoint) = *self.dice.pick(&hooks);
                let acting = person.act(deed, application, endpoint);
                self.life.as_ref().map(|life| life.spawn(acting));
            }
        }
        let pause = match self.dice.percent(40) {
            true => Duration::ZERO,
            false => self.dice.ms(0, self.world.plan.pace_ms),
        };
        match self.deeds_left {
            0 => self.plan(pause, Event::Calm),
            _ => self.plan(pause, Event::Deed),
        }
    }

    fn publish(&mut self, person: &Person) {
        let application = self.dice.pick(&self.applications).clone();
        let count = match self.dice.percent(70) {
            true => 1,
            false => self.dice.between(2, 12),
        };
        for _ in 0..count {
            self.published += 1;
            let red = self.dice.percent(50);
            let publishing = person.clone().publish(self.published, application.clone(), red);
            let patience = self.dice.percent(5).then(|| self.dice.ms(0, 50));
            let clock = self.world.clock.clone();
            self.life.as_ref().map(|life| {
                life.spawn(async move {
                    match patience {
                        None => publishing.await,
                        // Somebody who hangs up.
                        Some(patience) => drop(clock.timeout(patience, publishing).await),
                    }
                })
            });
        }
    }

    fn resend(&mut self, person: Person) {
        let (messages, hooks, discarded) = {
            let model = self.world.model();
            let messages: Vec<MessageId> = model.messages.keys().copied().collect();
            let hooks: Vec<EndpointId> = model.hooks.keys().copied().collect();
            (messages, hooks, model.discarded_in_flight())
        };
        if messages.is_empty() {
            return;
        }
        let (message, endpoint) = match discarded.is_empty() {
            true => (*self.dice.pick(&messages), *self.dice.pick(&hooks)),
            // What is resent while its old attempt is still under way.
            false => *self.dice.pick(&discarded),
        };
        let application = self.world.model().messages[&message];
        let resending = person.resend(application, message, endpoint);
        self.life.as_ref().map(|life| life.spawn(resending));
    }

    fn calm_down(&mut self) {
        self.world.calm_down();
        let mut longest = Duration::ZERO;
        for contract in &self.world.plan.contracts {
            let policy = contract.retry();
            let wait = policy.retries.iter().max().copied().unwrap_or_default();
            longest = longest.max(wait.mul_f64(1.0 + policy.jitter));
        }
        self.deadline = Some(self.world.now() + longest * 2 + Duration::from_secs(3_600));
        for (_, endpoint) in people::standing_still(&self.world) {
            if self.dice.percent(20) {
                self.left_alone.push(endpoint);
            }
        }
        self.plan(Duration::ZERO, Event::Look);
    }

    /// The endpoints that somebody still has to enable.
    fn to_enable(&self) -> Vec<(hookwright::domain::ApplicationId, EndpointId)> {
        let still = people::standing_still(&self.world).into_iter();
        still.filter(|(_, id)| !self.left_alone.contains(id)).collect()
    }

    fn look_after(&mut self) {
        if let (Some(person), Some(life)) = (self.person(), &self.life) {
            for (application, endpoint) in self.to_enable() {
                let deed = Deed::Enable(Pending::Send);
                life.spawn(person.clone().act(deed, application, endpoint));
            }
        }
        self.plan(Duration::from_secs(5), Event::Look);
    }

    fn is_done(&self) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let open = self.world.model().open();
        if self.world.now() > deadline {
            self.world.check(match open {
                0 => Ok(()),
                _ => Err(format!("{open} deliveries wait in vain")),
            });
            return true;
        }
        let flying = self.world.model().in_flight;
        let up = self.person().is_some();
        let calm = self.world.untroubled() > Duration::from_secs(2);
        up && calm && open == 0 && flying == 0 && self.to_enable().is_empty()
    }

    fn finish(&mut self) {
        if let Some(life) = &mut self.life {
            // What was deleted is discarded by and by.
            while life.turns.waiting() {
                life.turns.take(usize::MAX);
                life.settle();
            }
            let ended = verdict::at_the_end(&self.world.model(), life);
            self.world.check(ended);
        }
    }
}
