//! `hookwright key`: works on the store directly, also while a server runs on it.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::serve::{create_key, open_existing_store};
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::contract::routes::KeyRules;
use crate::domain::{ApiKey, KeyId, Reference, Scope, SecretText};
use crate::entropy::Entropy;
use crate::store::Store;

/// The length of a key that is taken over, in bytes. Keys are stored under a fast hash, which
/// protects only what can't be guessed.
const IMPORTED_KEY_BYTES: std::ops::RangeInclusive<usize> = 20..=512;

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
        /// Take over a key that its holder has already: its text is read from standard input
        #[arg(long)]
        import: bool,
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
            KeyCommand::Create { name, admin: _, environment, application, import, sources } => {
                let imported = if import { Some(read_key()?) } else { None };
                create(&sources.load()?, &name, (environment, application), imported).await
            }
            KeyCommand::List { sources } => list(&sources.load()?).await,
            KeyCommand::Revoke { id, sources } => revoke(&sources.load()?, &id).await,
        }
    })
}

async fn create(
    config: &Config,
    name: &str,
    (environment, application): (Option<String>, Option<String>),
    imported: Option<SecretText>,
) -> anyhow::Result<ExitCode> {
    let entropy = Entropy::system();
    let store = open_existing_store(config, &entropy)?;
    let scope = scope(config, &store, (environment, application)).await?;
    let text = imported.unwrap_or_else(|| new_key(config, &scope, &entropy));
    let text = create_key(&store, &entropy, (name, scope), text).await?;
    super::print(text.expose())
}

/// The text of a new key: one for an application looks like the contract's, since its holder
/// is a customer of that company.
fn new_key(config: &Config, scope: &Scope, entropy: &Entropy) -> SecretText {
    match scope {
        Scope::Application { environment, .. } => {
            config.environments.get(environment).contract.routes().keys().generate(entropy)
        }
        Scope::Admin | Scope::Environment(_) => KeyRules::default().generate(entropy),
    }
}

/// Reads a key that exists already.
fn read_key() -> anyhow::Result<SecretText> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("standard input can't be read")?;
    let key = line.trim();
    if !(IMPORTED_KEY_BYTES).contains(&key.len())
        || !key.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let (least, most) = (IMPORTED_KEY_BYTES.start(), IMPORTED_KEY_BYTES.end());
        bail!(
            "a key has {least} to {most} visible ASCII characters; keys that can be guessed are not taken"
        );
    }
    Ok(SecretText::new(key))
}

/// What a new key opens.
async fn scope(
    config: &Config,
    store: &dyn Store,
    named: (Option<String>, Option<String>),
) -> anyhow::Result<Scope> {
    Ok(match named {
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
    })
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
