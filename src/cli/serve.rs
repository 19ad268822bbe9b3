//! `hookwright serve`, and the only place where the parts are wired together.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiParts, Authenticator, auth};
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::contract::routes::KeyRules;
use crate::dashboard;
use crate::domain::{ApiKey, Scope, SecretText};
use crate::engine::{Engine, EngineParts};
use crate::entropy::Entropy;
use crate::sender::{Resolver, Sender, SenderConfig};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{MasterKey, Store, Vault};
use crate::telemetry;

/// The embedded store within the data directory.
pub(super) const STORE_FILE: &str = "hookwright.db";

/// The master key within the data directory.
const MASTER_KEY_FILE: &str = "master.key";

/// Locked while a server runs.
const LOCK_FILE: &str = "hookwright.lock";

/// Open files that a server asks for, and how many it needs for its limits of connections.
const OPEN_FILES_WANTED: u64 = 65_536;
const OPEN_FILES_ENOUGH: u64 = 16_384;

#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    sources: Sources,
}

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.sources.load()?;
    let clock = Clock::system();
    telemetry::start(&config.log, config.log_format, clock.clone()).map_err(anyhow::Error::msg)?;
    raise_open_files();
    super::runtime()?.block_on(async {
        let entropy = Entropy::system();
        let server = Server::start(&config, clock, entropy.clone()).await?;
        // Before anybody is told that it runs: a stop that comes at once is graceful too.
        let stop = StopSignals::listen()?;
        greet(&config, &server, &entropy).await?;
        stop.received().await;
        tracing::info!("stopping: no new requests, attempts in flight get their time");
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub store: Arc<dyn Store>,
    pub engine: Engine,
    config: Config,
    clock: Clock,
    stop: CancellationToken,
    listening: JoinHandle<()>,
    /// Held for as long as the server uses the data directory.
    _lock: File,
}

impl Server {
    /// Starts a server of this configuration.
    ///
    /// # Errors
    /// Where the address is taken, or the data directory or what is in it can't be used.
    pub async fn start(config: &Config, clock: Clock, entropy: Entropy) -> anyhow::Result<Server> {
        Server::start_with(config, clock, entropy, Resolver::system()).await
    }

    /// [`Server::start`], with receivers' names resolved in another way.
    ///
    /// # Errors
    /// Those of [`Server::start`].
    pub async fn start_with(
        config: &Config,
        clock: Clock,
        entropy: Entropy,
        resolver: Resolver,
    ) -> anyhow::Result<Server> {
        let lock = lock_data_dir(&config.data_dir)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("can't listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let store: Arc<dyn Store> = Arc::new(open_store(config, &entropy)?);
        let engine = Engine::start(EngineParts {
            store: store.clone(),
            network: Arc::new(sender(config, clock.clone(), resolver)?),
            environments: config.environments.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            limits: config.lanes,
            intake: config.intake,
        })
        .await?;
        let stop = CancellationToken::new();
        let service = dashboard::service(
            ApiParts {
                authenticator: Arc::new(Authenticator::new(
                    store.clone(),
                    clock.clone(),
                    config.admin_key.as_ref(),
                    config.jwt_secret.as_ref(),
                )),
                store: store.clone(),
                engine: engine.clone(),
                environments: config.environments.clone(),
                clock: clock.clone(),
                entropy,
                limits: config.api,
                public_url: config.dashboard.public_url_at(address),
                stopping: stop.clone(),
            },
            config.dashboard.clone(),
        );
        let listening = tokio::spawn(api::server::serve(
            listener,
            service,
            clock.clone(),
            stop.clone(),
            config.shutdown_grace,
        ));
        Ok(Server {
            address,
            store,
            engine,
            config: config.clone(),
            clock,
            stop,
            listening,
            _lock: lock,
        })
    }

    /// Stops gracefully: first the requests, then the attempts, then the store.
    pub async fn stop(self) {
        let deadline = self.clock.now() + self.config.shutdown_grace;
        self.stop.cancel();
        let _ = self.listening.await;
        self.engine.stop(deadline.since(self.clock.now())).await;
    }
}

/// Opens the embedded store that a server made.
///
/// # Errors
/// Where there is none, or it can't be used.
pub(super) fn open_existing_store(
    config: &Config,
    entropy: &Entropy,
) -> anyhow::Result<SqliteStore> {
    if !config.data_dir.join(STORE_FILE).exists() {
        bail!(
            "there is no store in {}: start the server once, or name its directory with --data-dir",
            config.data_dir.display()
        );
    }
    open_store(config, entropy)
}

/// Opens the embedded store, making the data directory and the master key on first use.
fn open_store(config: &Config, entropy: &Entropy) -> anyhow::Result<SqliteStore> {
    let dir = &config.data_dir;
    make_private_dir(dir)?;
    let key = match &config.master_key {
        Some(text) => MasterKey::from_base64(text.expose()).context("master_key")?,
        None => {
            let path = dir.join(MASTER_KEY_FILE);
            // A new key could not open what is sealed with the one that is missing.
            if dir.join(STORE_FILE).exists() && !path.exists() {
                bail!(
                    "the store in {} was made with a master key that is not there: give it as \
                     HOOKWRIGHT_MASTER_KEY, or put {} back",
                    dir.display(),
                    path.display()
                );
            }
            MasterKey::load_or_create(&path, entropy)
                .with_context(|| format!("the master key {}", path.display()))?
        }
    };
    let path = dir.join(STORE_FILE);
    let vault = Vault::new(key, entropy.clone());
    let options = SqliteOptions {
        waiting: config.waiting,
        disk_reserve_bytes: config.disk_reserve_bytes,
        ..SqliteOptions::default()
    };
    SqliteStore::open(&path, vault, options)
        .with_context(|| format!("the store {}", path.display()))
}

/// Takes the data directory for this process. A second server on the same store would take
/// over the deliveries that this one has in flight.
pub(super) fn lock_data_dir(dir: &Path) -> anyhow::Result<File> {
    make_private_dir(dir)?;
    let path = dir.join(LOCK_FILE);
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another server uses the data directory {}", dir.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("can't lock {}", path.display()))
        }
    }
}

fn make_private_dir(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("can't make the data directory {}", dir.display()))
}

fn sender(config: &Config, clock: Clock, resolver: Resolver) -> anyhow::Result<Sender> {
    let mut settings = SenderConfig { resolver, ..SenderConfig::default() };
    settings.websocket.in_flight = config.lanes.in_flight_per_endpoint;
    // Half of the files that may be open, and a quarter for websockets; the rest is for
    // connections in use and the API's.
    if let Ok((limit, _)) = rlimit::Resource::NOFILE.get() {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        settings.idle_connections = limit / 2;
        settings.websocket.connections = settings.websocket.connections.min(limit / 4).max(1);
    }
    settings.source_address = config.source_address;
    settings.extra_roots.extend(config.tls_ca_file.clone());
    if let Some(user_agent) = &config.user_agent {
        settings.user_agent.clone_from(user_agent);
    }
    Ok(Sender::new(settings, clock)?)
}

/// Every connection is an open file, and the usual limit of 1,024 is meant for other programs.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(OPEN_FILES_WANTED) {
        Ok(limit) if limit < OPEN_FILES_ENOUGH => {
            tracing::warn!(limit, "few open files are allowed; raise the limit (ulimit -n)");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "can't raise the limit of open files"),
    }
}

/// Says where the server is and, the first time, makes and shows the admin key.
async fn greet(config: &Config, server: &Server, entropy: &Entropy) -> anyhow::Result<()> {
    let address = server.address;
    let environments: Vec<String> = config
        .environments
        .configured()
        .map(|one| format!("{} ({})", one.name, one.contract.name()))
        .collect();
    tracing::info!(%address, environments = environments.join(", "), "listening");
    if config.admin_key.is_none() && server.store.list_keys().await?.is_empty() {
        let key = {
            let text = KeyRules::default().generate(entropy);
            create_key(&*server.store, entropy, ("first admin key", Scope::Admin), text).await?
        };
        super::print(&format!(
            "\nYour admin key, shown only this once:\n\n    {}\n\nTry it:\n\n    \
             curl http://{address}/api/v1/app -H 'Authorization: Bearer {}'\n\nIt also \
             signs you in to the pages.\n",
            key.expose(),
            key.expose(),
        ))?;
    }
    super::print(&format!(
        "Hookwright listens on http://{address} (pages: http://{address}/dashboard, API reference: \
         http://{address}/docs)"
    ))?;
    Ok(())
}

/// Makes an API key. Its text is returned and kept nowhere.
///
/// # Errors
/// Those of the store.
pub async fn create_key(
    store: &dyn Store,
    entropy: &Entropy,
    (name, scope): (&str, Scope),
    text: SecretText,
) -> anyhow::Result<SecretText> {
    let clock = Clock::system();
    let key = ApiKey {
        id: entropy.id(&clock),
        name: name.to_owned(),
        scope,
        hash: auth::hash_key(text.expose()),
        created_at: clock.now(),
        revoked_at: None,
    };
    store.create_key(key).await?;
    Ok(text)
}

/// SIGTERM and SIGINT, which otherwise end the process on the spot.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<StopSignals> {
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
