//! Environments as an operator configures them.

use std::sync::Arc;

use hookwright::config::Config;
use hookwright::contract::Contract;
use hookwright::environment::{Environment, Environments};
use hookwright::sender::Guard;

/// Replaces the configured environments by these, each with its contract. Receivers on the
/// loopback may be reached; whether over `http://` is up to `allow_http`.
pub fn configure(config: &mut Config, environments: &[(&str, &str)], allow_http: bool) {
    let loopback = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let environment = |name: &str, contract: &str| Environment {
        name: Arc::from(name),
        contract: Contract::shipped(contract).unwrap(),
        guard: Guard::new(loopback.clone()),
        allow_http,
    };
    let configured = environments.iter().map(|(name, contract)| environment(name, contract));
    let other = environment("other", "standard");
    config.environments = Arc::new(Environments::new(configured.collect(), other));
}
