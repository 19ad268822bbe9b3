//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
pub mod contract;
mod contract_new;
mod demo;
mod key;
mod ledger;
pub mod serve;
mod store;

/// A webhook server that speaks your company's own webhook contract.
#[derive(Parser)]
#[command(name = "hookwright", version, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::ServeArgs>),
    /// Watch signed events of all six shipped contracts arrive and be verified
    Demo(demo::DemoArgs),
    /// Measure what this machine can do: load, server and receivers, and what became of it all
    Bench(Box<bench::BenchArgs>),
    /// Make, list and revoke API keys
    Key(Box<key::KeyArgs>),
    /// Check, list and show contracts
    Contract {
        #[command(subcommand)]
        command: contract::ContractCommand,
    },
    /// Show what became of everything that was accepted, and whether it adds up
    Ledger(Box<ledger::LedgerArgs>),
    /// Look after the store's file
    Store {
        #[command(subcommand)]
        command: store::StoreCommand,
    },
    /// Print the OpenAPI description of the native API
    Openapi,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Key(args) => key::run(*args),
        Command::Contract { command } => contract::run(command),
        Command::Ledger(args) => ledger::run(&args),
        Command::Store { command } => store::run(command),
        Command::Openapi => print(&crate::api::openapi_json()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hookwright: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// A runtime for a command that needs one.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
