//! Environments as an operator configures them.

use std::sync::Arc;

use hookwright::config::{Config, load_contract};
use hookwright::contract::Contract;
use hookwright::domain::Retention;
use hookwright::environment::{Environment, Environments};
use hookwright::sender::Guard;

use super::server::TestServer;

/// Replaces the configured environments by these, each with its contract: a shipped name or a
/// file. Receivers on the
/// loopback may be reached; whether over `http://` is up to `allow_http`.
pub fn configure(config: &mut Config, environments: &[(&str, &str)], allow_http: bool) {
    let configured = environments
        .iter()
        .map(|(name, contract)| environment(name, load_contract(contract).unwrap(), allow_http));
    install(config, configured.collect(), allow_http);
}

/// Replaces the configured environments by one, whose contract is this text. Receivers on the
/// loopback may be reached, also over `http://`.
pub fn configure_file(config: &mut Config, name: &str, contract: &str) {
    let contract = Arc::new(Contract::load("test.toml", contract).unwrap());
    install(config, vec![environment(name, contract, true)], true);
}

fn environment(name: &str, contract: Arc<Contract>, allow_http: bool) -> Environment {
    let loopback = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    Environment {
        name: Arc::from(name),
        contract,
        guard: Guard::new(loopback),
        allow_http,
        retention: Retention::default(),
    }
}

fn install(config: &mut Config, configured: Vec<Environment>, allow_http: bool) {
    let other = environment("other", Contract::shipped("standard").unwrap(), allow_http);
    config.environments = Arc::new(Environments::new(configured, other));
}

/// A server with one environment, called `acme`, that speaks the contract in this file.
pub async fn speaking(file: &str) -> TestServer {
    TestServer::start_with(&["standard"], |config| configure(config, &[("acme", file)], true)).await
}

/// The same for a contract that a test writes down itself.
pub async fn speaking_text(text: &str) -> TestServer {
    TestServer::start_with(&[], |config| configure_file(config, "acme", text)).await
}
