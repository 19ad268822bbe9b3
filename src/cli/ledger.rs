//! `hookwright ledger`: shows that nothing accepted is unaccounted for.

use std::process::ExitCode;

use clap::Args;

use super::serve::open_existing_store;
use crate::config::Sources;
use crate::domain::LedgerLine;
use crate::entropy::Entropy;
use crate::store::Store;

/// What stands below the table where something was removed.
const REMOVED_EXPLAINED: &str = "\nREMOVED deliveries had ended and grew older than `retention`: \
    their rows are gone, the totals go on counting them.";

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
                "removed": line.removed,
                "adds_up": line.adds_up(),
            })
            .to_string()
        })
        .collect();
    objects.join("\n")
}

fn table(lines: &[LedgerLine]) -> String {
    let row = |cells: [&str; 9]| {
        let [environment, application, counts @ .., verdict] = cells;
        let counts = counts.map(|count| format!("{count:>10}")).join(" ");
        format!("{environment:<16} {application:<28} {counts}  {verdict}")
    };
    let mut rows = vec![row([
        "ENVIRONMENT",
        "APPLICATION",
        "ACCEPTED",
        "SUCCEEDED",
        "FAILED",
        "PENDING",
        "DISCARDED",
        "REMOVED",
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
            &line.removed.to_string(),
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
        &sum(|line| line.removed),
        if lines.iter().all(LedgerLine::adds_up) { "adds up" } else { "DOES NOT ADD UP" },
    ]));
    if lines.iter().any(|line| line.removed > 0) {
        rows.push(REMOVED_EXPLAINED.to_owned());
    }
    rows.join("\n")
}
