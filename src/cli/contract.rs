//! `hookwright contract`: checks contract files and shows what they make receivers get.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use super::contract_new::{self, New};
use crate::contract::{Contract, Language, SHIPPED, WireRequest};
use crate::domain::SecretText;

#[derive(Clone, Debug, Subcommand)]
pub enum ContractCommand {
    /// Check contract files: every problem with its line, and exit status 1 where there is one
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write a commented contract to start from
    New(New),
    /// List the contracts that come with the program
    List,
    /// Show the exact request that a receiver gets, and programs that verify it
    Show(Show),
}

#[derive(Args, Clone, Debug)]
pub struct Show {
    /// The name of a contract that comes with the program, or a file
    contract: String,
    /// The event type [default: the first of the catalog]
    #[arg(long)]
    event: Option<String>,
    /// The endpoint's URL
    #[arg(long)]
    url: Option<String>,
    /// The signing secret [default: one made up for the example]
    #[arg(long)]
    secret: Option<String>,
}

const HANDSHAKE: &str = "Before an endpoint goes live";
const DELIVERY: &str = "A delivery";

/// Runs the command.
///
/// # Errors
/// Where a file can't be read, or an example can't be made.
pub fn run(command: ContractCommand) -> anyhow::Result<ExitCode> {
    match command {
        ContractCommand::Check { files } => check(&files),
        ContractCommand::New(new) => contract_new::run(&new),
        ContractCommand::List => super::print(list().trim_end()),
        ContractCommand::Show(show) => super::print(example(&show)?.trim_end()),
    }
}

fn check(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut status = ExitCode::SUCCESS;
    for file in files {
        let name = file.display().to_string();
        let text = read(file)?;
        match Contract::load(&name, &text) {
            Ok(contract) => {
                super::print(&format!("{name}: ok ({})", summary(&contract)))?;
            }
            Err(problems) => {
                status = ExitCode::FAILURE;
                for problem in problems {
                    eprintln!("{problem}");
                }
            }
        }
    }
    Ok(status)
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))
}

fn summary(contract: &Contract) -> String {
    let events = match contract.events().len() {
        0 => "no catalog".to_owned(),
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    let routes = match contract.routes().iter().count() {
        0 => String::new(),
        1 => ", 1 route".to_owned(),
        count => format!(", {count} routes"),
    };
    format!("{events}, {}{routes}", signed(contract))
}

fn signed(contract: &Contract) -> String {
    let headers: Vec<&str> = contract.signature_headers().map(|name| name.as_str()).collect();
    if headers.is_empty() { "not signed".to_owned() } else { headers.join(", ") }
}

fn list() -> String {
    let mut rows = vec![["NAME", "TITLE", "EVENTS", "SIGNATURE"].map(str::to_owned)];
    for (name, _) in SHIPPED {
        if let Some(contract) = Contract::shipped(name) {
            let events = contract.events().len().to_string();
            rows.push([name.to_owned(), contract.title().to_owned(), events, signed(&contract)]);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut table = String::new();
    for [name, title, events, signature] in &rows {
        let [w0, w1, w2] = widths;
        // Writing to a string can't fail.
        let _ = writeln!(table, "{name:w0$}  {title:w1$}  {events:>w2$}  {signature}");
    }
    table
}

/// A shipped contract by its name, or a file.
fn find(name: &str) -> anyhow::Result<Arc<Contract>> {
    if let Some(contract) = Contract::shipped(name) {
        return Ok(contract);
    }
    let file = Path::new(name);
    if !file.exists() {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        return Err(anyhow!("there is no contract and no file {name}; shipped are {names}"));
    }
    Contract::load(name, &read(file)?).map(Arc::new).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    })
}

fn example(show: &Show) -> anyhow::Result<String> {
    let contract = find(&show.contract)?;
    let mut sample = contract.sample(show.event.as_deref()).map_err(|text| anyhow!(text))?;
    if let Some(url) = &show.url {
        sample.url.clone_from(url);
    }
    if let Some(secret) = &show.secret {
        contract.secret().check(secret).map_err(|text| anyhow!(text))?;
        sample.secret = Some(SecretText::new(secret.as_str()));
    }
    let request =
        contract.example(&sample).map_err(|failure| anyhow!(failure.causes.join("\n")))?;
    let handshakes = contract.handshake_examples(&sample);
    let handshakes = handshakes.map_err(|failure| anyhow!(failure.causes.join("\n")))?;
    let mut out = String::new();
    for handshake in &handshakes {
        let rule = "-".repeat(72 - HANDSHAKE.len());
        let _ = write!(out, "-- {HANDSHAKE} {rule}\n\n{}\n\n", written(handshake)?);
    }
    if !handshakes.is_empty() {
        let _ = write!(out, "-- {DELIVERY} {}\n\n", "-".repeat(72 - DELIVERY.len()));
    }
    out.push_str(&written(&request)?);
    let Some(secret) = &sample.secret else {
        out.push_str("\n\nThis contract signs nothing.\n");
        return Ok(out);
    };
    for language in Language::ALL {
        if let Some(program) = contract.verifier(language, &request, secret) {
            let rule = "-".repeat(72 - language.title().len());
            let _ = write!(out, "\n\n-- {} {rule}\n\n{program}", language.title());
        }
    }
    Ok(out)
}

/// The request as it goes over an HTTP/1.1 connection.
fn written(request: &WireRequest) -> anyhow::Result<String> {
    let url = &request.url;
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut out = format!("{} {}{query} HTTP/1.1\n", request.method, url.path());
    let _ = writeln!(out, "host: {host}{port}");
    for (name, value) in &request.headers {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let _ = write!(out, "\n{}", String::from_utf8_lossy(&request.body));
    Ok(out)
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
