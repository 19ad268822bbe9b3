//! Environments: the outermost wall, each with the contract that it speaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::contract::Contract;
use crate::domain::{Retention, operations_of, parent_of_operations};
use crate::sender::Guard;

/// An environment as configured.
#[derive(Clone, Debug)]
pub struct Environment {
    pub name: Arc<str>,
    pub contract: Arc<Contract>,
    /// Which addresses its deliveries may reach.
    pub guard: Guard,
    /// Whether `http://` endpoints are allowed although the contract wants `https://`.
    pub allow_http: bool,
    /// How long its messages and their content are kept.
    pub retention: Retention,
}

impl Environment {
    /// Whether an endpoint's URL must be `https://`.
    pub fn https_only(&self) -> bool {
        self.contract.endpoint().https_only && !self.allow_http
    }

    /// The environment whose endpoints are told what happens in this one: it reaches what this
    /// one reaches, and speaks the contract of operational events.
    pub fn operations(&self) -> Environment {
        Environment {
            name: operations_of(&self.name),
            contract: Contract::operational(),
            guard: self.guard.clone(),
            allow_http: self.allow_http,
            retention: self.retention,
        }
    }
}

/// All environments: the configured ones, and how those look that a signed token names.
#[derive(Clone, Debug)]
pub struct Environments {
    configured: BTreeMap<Arc<str>, Arc<Environment>>,
    /// What an environment speaks that isn't configured: one that a JWT's organisation
    /// opened, or one that was taken out of the configuration while deliveries were pending.
    other: Arc<Environment>,
}

impl Environments {
    pub fn new(configured: Vec<Environment>, other: Environment) -> Environments {
        let configured =
            configured.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect();
        Environments { configured, other: Arc::new(other) }
    }

    /// The environment of this name.
    pub fn get(&self, name: &Arc<str>) -> Arc<Environment> {
        match self.configured.get(name) {
            Some(environment) => environment.clone(),
            None => match parent_of_operations(name) {
                Some(parent) => Arc::new(self.get(&Arc::from(parent)).operations()),
                None => Arc::new(Environment { name: name.clone(), ..(*self.other).clone() }),
            },
        }
    }

    /// The longest timeout that any contract gives an attempt.
    pub fn longest_timeout(&self) -> Duration {
        let all = self.configured.values().chain([&self.other]);
        let operational = Contract::operational().retry().timeout;
        let longest = all.map(|environment| environment.contract.retry().timeout).max();
        longest.map_or(operational, |longest| longest.max(operational))
    }

    /// The ages at which messages of some environment have something due, the highest first.
    pub fn retention_ages(&self) -> Vec<Duration> {
        let all = self.configured.values().chain([&self.other]);
        let ages: BTreeSet<Duration> =
            all.flat_map(|environment| environment.retention.ages()).collect();
        ages.into_iter().rev().collect()
    }

    pub fn configured(&self) -> impl Iterator<Item = &Arc<Environment>> {
        self.configured.values()
    }

    pub fn is_configured(&self, name: &str) -> bool {
        self.configured.contains_key(name)
    }

    /// The configured environment, where there is exactly one.
    pub fn only(&self) -> Option<&Arc<Environment>> {
        match self.configured.len() {
            1 => self.configured.values().next(),
            _ => None,
        }
    }
}
