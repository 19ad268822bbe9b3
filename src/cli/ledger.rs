//! `hookwright ledger`: shows that nothing accepted is unaccounted for.

use std::process::ExitCode;

use clap::Args;

use super::serve::open_existing_store;
use crate::config::Sources;
use crate::domain::LedgerLine;
use crate::entropy::Entropy;
use crate::store::Store;

#[derive(Args)]
pub(super) struct LedgerArgs {
    /// Print JSON, one object an application
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

pub(super) fn run(args: &LedgerArgs) -> anyhow::Result<ExitCode> {
    let config = args.sources.load()?;
    let lines = super::runtime()?.block_on(async {
        let store = open_existing_store(&config, &Entropy::system())?;
        anyhow::Ok(store.ledger().await?)
    })?;
    let text = if args.json { json(&lines) } else { table(&lines) };
    super::print(&text)?;
    let adds_up = lines.iter().all(LedgerLine::adds_up);
    Ok(if adds_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn json(lines: &[LedgerLine]) -> String {
    let objects: Vec<String> = lines
        .iter()
        .map(|line| {
            serde_json::json!({
                "environment": &*line.environment,
                "application": line.application.to_string(),
                "uid": line.uid,
                "accepted": line.accepted,
                "succeeded": line.succeeded,
                "failed": line.failed,
                "pending": line.pending,
                "discarded": line.discarded,
                "adds_up": line.adds_up(),
            })
            .to_string()
        })
        .collect();
    objects.join("\n")
}

fn table(lines: &[LedgerLine]) -> String {
    let row = |cells: [&str; 8]| {
        let [environment, application, accepted, succeeded, failed, pending, discarded, verdict] =
            cells;
        format!(
            "{environment:<16} {application:<28} {accepted:>10} {succeeded:>10} {failed:>10} \
             {pending:>10} {discarded:>10}  {verdict}"
        )
    };
    let mut rows = vec![row([
        "ENVIRONMENT",
        "APPLICATION",
        "ACCEPTED",
        "SUCCEEDED",
        "FAILED",
        "PENDING",
        "DISCARDED",
        "",
    ])];
    for line in lines {
        let application = line.uid.clone().unwrap_or_else(|| line.application.to_string());
        rows.push(row([
            &line.environment,
            &application,
            &line.accepted.to_string(),
            &line.succeeded.to_string(),
            &line.failed.to_string(),
            &line.pending.to_string(),
            &line.discarded.to_string(),
            if line.adds_up() { "adds up" } else { "DOES NOT ADD UP" },
        ]));
    }
    let sum = |count: fn(&LedgerLine) -> u64| lines.iter().map(count).sum::<u64>().to_string();
    rows.push(row([
        "all",
        "",
        &sum(|line| line.accepted),
        &sum(|line| line.succeeded),
        &sum(|line| line.failed),
        &sum(|line| line.pending),
        &sum(|line| line.discarded),
        if lines.iter().all(LedgerLine::adds_up) { "adds up" } else { "DOES NOT ADD UP" },
    ]));
    rows.join("\n")
}
