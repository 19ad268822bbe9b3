//! Hookwright: a webhook server that speaks a company's own webhook contract.
//!
//! The modules stand in the order in which data walks through them. ARCHITECTURE.md is the
//! map with its invariants; `cli/serve.rs` is the only place that wires them together.

pub mod domain;

pub mod contract;

pub mod environment;

pub mod api;

pub mod store;

pub mod engine;

pub mod sender;

pub mod dashboard;

pub mod cli;

pub mod config;

pub mod clock;

pub mod entropy;

pub mod telemetry;
