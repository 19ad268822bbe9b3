//! `hookwright key`: works on the store directly, also while a server runs on it.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::serve::{create_key, open_existing_store};
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::domain::{ApiKey, KeyId, Reference, Scope};
use crate::entropy::Entropy;
use crate::store::Store;

#[derive(Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a key and print it, this once
    Create {
        /// What it is for, so that it is recognised in the list
        #[arg(long, default_value = "")]
        name: String,
        /// Everything, in every environment
        #[arg(long, conflicts_with_all = ["environment", "application"])]
        admin: bool,
        /// The one environment that it opens
        #[arg(long, required_unless_present = "admin")]
        environment: Option<String>,
        /// The one application of that environment that it opens, by id or uid
        #[arg(long, requires = "environment")]
        application: Option<String>,
        #[command(flatten)]
        sources: Sources,
    },
    /// List the keys; their texts are not kept
    List {
        #[command(flatten)]
        sources: Sources,
    },
    /// Revoke a key for good
    Revoke {
        /// The key's id, as the list shows it
        id: String,
        #[command(flatten)]
        sources: Sources,
    },
}

pub(super) fn run(args: KeyArgs) -> anyhow::Result<ExitCode> {
    super::runtime()?.block_on(async {
        match args.command {
            KeyCommand::Create { name, admin: _, environment, application, sources } => {
                create(&sources.load()?, &name, environment, application).await
            }
            KeyCommand::List { sources } => list(&sources.load()?).await,
            KeyCommand::Revoke { id, sources } => revoke(&sources.load()?, &id).await,
        }
    })
}

async fn create(
    config: &Config,
    name: &str,
    environment: Option<String>,
    application: Option<String>,
) -> anyhow::Result<ExitCode> {
    let entropy = Entropy::system();
    let store = open_existing_store(config, &entropy)?;
    let scope = match (environment, application) {
        (None, _) => Scope::Admin,
        (Some(environment), application) => {
            if !config.environments.is_configured(&environment) {
                let names: Vec<&str> =
                    config.environments.configured().map(|one| &*one.name).collect();
                bail!(
                    "there is no environment {environment}: the configuration has {}",
                    names.join(", ")
                );
            }
            let environment: Arc<str> = environment.into();
            match application {
                None => Scope::Environment(environment),
                Some(reference) => {
                    let found =
                        store.get_application(&environment, &Reference(reference.clone())).await;
                    let application = found.with_context(|| {
                        format!("there is no application {reference} in {environment}")
                    })?;
                    Scope::Application { environment, application: application.id }
                }
            }
        }
    };
    let text = create_key(&store, &entropy, name, scope).await?;
    super::print(text.expose())
}

async fn list(config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_existing_store(config, &Entropy::system())?;
    let mut lines =
        vec![format!("{:<27} {:<40} {:<27} {:<8} {}", "ID", "OPENS", "CREATED", "STATE", "NAME")];
    lines.extend(store.list_keys().await?.iter().map(line));
    super::print(&lines.join("\n"))
}

fn line(key: &ApiKey) -> String {
    let opens = match &key.scope {
        Scope::Admin => "everything".to_owned(),
        Scope::Environment(environment) => environment.to_string(),
        Scope::Application { environment, application } => format!("{environment}/{application}"),
    };
    let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
    format!("{:<27} {opens:<40} {:<27} {state:<8} {}", key.id, key.created_at, key.name)
}

async fn revoke(config: &Config, id: &str) -> anyhow::Result<ExitCode> {
    let id: KeyId = id.parse().with_context(|| format!("{id} is not the id of a key (key_…)"))?;
    let store = open_existing_store(config, &Entropy::system())?;
    let revoked = store.revoke_key(id, Clock::system().now()).await;
    let key = revoked.with_context(|| format!("there is no key {id}"))?;
    super::print(&format!("{} is revoked; a running server refuses it within 2 seconds", key.id))
}
