//! What everybody in a simulation shares: its clock, its dice, its log, and whether the process
//! is alive.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use hookwright::clock::Clock;
use hookwright::domain::Timestamp;

use super::dice::Dice;
use super::model::Model;
use super::plan::Plan;

/// When every simulation starts: 2025-01-15T14:32:00.258162Z.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_736_951_520_258_162);

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) clock: Clock,
    model: Mutex<Model>,
    dice: Mutex<Dice>,
    /// The process is dead: what still runs of it must not touch the world any more.
    dead: AtomicBool,
    /// Nothing goes wrong any more.
    calm: AtomicBool,
    /// Until when the store refuses everything, in microseconds.
    away_us: AtomicI64,
    /// When something last went wrong with the process or its store, in microseconds.
    trouble_us: AtomicI64,
    trace: Option<Mutex<Vec<String>>>,
    /// The first promise that was broken.
    broken: Mutex<Option<String>>,
}

impl World {
    pub(crate) fn new(plan: Plan, traced: bool) -> World {
        World {
            clock: Clock::simulated(START),
            model: Mutex::new(Model::new(plan.limits)),
            dice: Mutex::new(Dice::new(plan.seed, 2)),
            plan,
            dead: AtomicBool::new(false),
            calm: AtomicBool::new(false),
            away_us: AtomicI64::new(0),
            trouble_us: AtomicI64::new(START.as_micros()),
            trace: traced.then(Mutex::default),
            broken: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no panic while the model is held")
    }

    /// Draws from the store's and the process's own dice.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.dice.lock().expect("no panic while drawing"))
    }

    /// Whether something that happens so often, in per mille, happens now.
    pub(crate) fn happens(&self, per_mille: usize) -> bool {
        per_mille > 0 && !self.is_calm() && self.draw(|dice| dice.below(1_000)) < per_mille
    }

    /// Writes a line of the trace, where there is one.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let at = self.now().since(START);
            let line = format!("{:>14.6}  {}", at.as_secs_f64(), line());
            trace.lock().expect("no panic while writing").push(line);
        }
    }

    /// Notes a promise that was broken. The first one counts.
    pub(crate) fn check(&self, kept: Result<(), String>) {
        if let Err(why) = kept {
            self.say(|| format!("BROKEN: {why}"));
            let at = self.now().since(START).as_secs_f64();
            let mut broken = self.broken.lock().expect("no panic while noting");
            broken.get_or_insert(format!("after {at} s: {why}"));
        }
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().expect("no panic while noting").clone()
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.trace.as_ref().map_or(Vec::new(), |trace| trace.lock().expect("no panic").clone())
    }

    /// The store refuses everything for so long.
    pub(crate) fn go_away(&self, duration: Duration) {
        self.away_us.store((self.now() + duration).as_micros(), SeqCst);
    }

    pub(crate) fn is_away(&self) -> bool {
        !self.is_calm() && self.now().as_micros() < self.away_us.load(SeqCst)
    }

    pub(crate) fn die(&self) {
        self.trouble();
        self.dead.store(true, SeqCst);
    }

    pub(crate) fn revive(&self) {
        self.trouble();
        self.dead.store(false, SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    /// Never returns to a process that has died.
    pub(crate) async fn alive(&self) {
        if self.is_dead() {
            std::future::pending().await
        }
    }

    pub(crate) fn calm_down(&self) {
        self.say(|| "from here on nothing goes wrong".to_owned());
        self.trouble();
        self.calm.store(true, SeqCst);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(SeqCst)
    }

    /// Something goes wrong that excuses a delay.
    pub(crate) fn trouble(&self) {
        self.trouble_us.store(self.now().as_micros(), SeqCst);
    }

    /// How long nothing went wrong.
    pub(crate) fn untroubled(&self) -> Duration {
        self.now().since(Timestamp::from_micros(self.trouble_us.load(SeqCst)))
    }
}
