//! Configuration: a TOML file, environment variables over it, flags over those.
//!
//! Every setting has all three forms; `hookwright.example.toml` documents them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use crate::contract::{Contract, SHIPPED};
use crate::dashboard::{Brand, DashboardSettings};
use crate::domain::{SecretText, parse_duration};
use crate::environment::{Environment, Environments};
use crate::sender::Guard;
use crate::telemetry::LogFormat;

mod checks;
mod pages;
mod retention;

use checks::{check_name, positive, secret};
use retention::{Kept, retention};

/// The file that is read where none is named, if it is there.
const DEFAULT_FILE: &str = "hookwright.toml";

/// The environment that there is where none is configured.
const DEFAULT_ENVIRONMENT: &str = "production";

/// The contract that is spoken where none is named.
const DEFAULT_CONTRACT: &str = "standard";

/// Free disk below which no new events are accepted, in bytes.
const DISK_RESERVE_BYTES: u64 = 256 << 20;

/// A secret shorter than this could be guessed.
const ADMIN_KEY_MIN_BYTES: usize = 16;
const JWT_SECRET_MIN_BYTES: usize = 16;

/// Settings as the file has them, all optional. The flags and environment variables have the
/// same names.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on [default: 127.0.0.1:8071]
    #[arg(long, env = "HOOKWRIGHT_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where the embedded store and the master key live; made on first start [default: ./data]
    #[arg(long, env = "HOOKWRIGHT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// An admin key for every environment, instead of the one made on first start
    #[arg(long, env = "HOOKWRIGHT_ADMIN_KEY", value_name = "KEY", hide_env_values = true)]
    admin_key: Option<SecretText>,
    /// Accept JWTs (HS256) signed with this secret
    #[arg(long, env = "HOOKWRIGHT_JWT_SECRET", value_name = "SECRET", hide_env_values = true)]
    jwt_secret: Option<SecretText>,
    /// The key that secrets are encrypted with: base64 of 32 bytes [default: made in the data directory]
    #[arg(long, env = "HOOKWRIGHT_MASTER_KEY", value_name = "BASE64", hide_env_values = true)]
    master_key: Option<SecretText>,
    /// The contract of environments that name none: a shipped name or a file [default: standard]
    #[arg(long, env = "HOOKWRIGHT_CONTRACT", value_name = "NAME|FILE")]
    contract: Option<String>,
    /// Private networks that deliveries may reach, in every environment, such as 127.0.0.0/8
    #[arg(long, env = "HOOKWRIGHT_ALLOW_PRIVATE", value_name = "NETWORK", value_delimiter = ',')]
    allow_private: Option<Vec<IpNet>>,
    /// Allow http:// endpoints where a contract wants https://, in every environment
    #[arg(long, env = "HOOKWRIGHT_ALLOW_HTTP", num_args = 0..=1, default_missing_value = "true")]
    allow_http: Option<bool>,
    /// What is logged: error, warn, info, debug, or a filter such as hookwright::engine=debug [default: info]
    #[arg(long, env = "HOOKWRIGHT_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How it is logged [default: text]
    #[arg(long, env = "HOOKWRIGHT_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// How long attempts and requests under way get on a stop [default: 30s]
    #[arg(long, env = "HOOKWRIGHT_SHUTDOWN_GRACE", value_name = "DURATION", value_parser = duration)]
    #[serde(default, deserialize_with = "optional_duration")]
    shutdown_grace: Option<Duration>,
    /// The largest request body, in bytes [default: 1048576]
    #[arg(long, env = "HOOKWRIGHT_MAX_BODY_BYTES", value_name = "BYTES")]
    max_body_bytes: Option<usize>,
    /// Endpoints of one application [default: 1000]
    #[arg(long, env = "HOOKWRIGHT_ENDPOINTS_PER_APPLICATION", value_name = "N")]
    endpoints_per_application: Option<u32>,
    /// Attempts in flight altogether [default: 4096]
    #[arg(long, env = "HOOKWRIGHT_IN_FLIGHT", value_name = "N")]
    in_flight: Option<usize>,
    /// Attempts in flight to one endpoint [default: 64]
    #[arg(long, env = "HOOKWRIGHT_IN_FLIGHT_PER_ENDPOINT", value_name = "N")]
    in_flight_per_endpoint: Option<usize>,
    /// Deliveries of one endpoint held in memory; the rest waits in the store [default: 256]
    #[arg(long, env = "HOOKWRIGHT_WINDOW", value_name = "N")]
    window: Option<usize>,
    /// Deliveries held in memory altogether [default: 20000]
    #[arg(long, env = "HOOKWRIGHT_HELD", value_name = "N")]
    held: Option<usize>,
    /// Bytes of payloads held in memory altogether [default: 268435456]
    #[arg(long, env = "HOOKWRIGHT_HELD_BYTES", value_name = "BYTES")]
    held_bytes: Option<usize>,
    /// Publishes that may wait for the store; further ones are answered 503 [default: 8192]
    #[arg(long, env = "HOOKWRIGHT_WAITING_PUBLISHES", value_name = "N")]
    waiting_publishes: Option<usize>,
    /// Bytes of publishes that may wait for the store [default: 268435456]
    #[arg(long, env = "HOOKWRIGHT_WAITING_PUBLISH_BYTES", value_name = "BYTES")]
    waiting_publish_bytes: Option<usize>,
    /// How long a publish may wait for the store before it is answered 503 [default: 10s]
    #[arg(long, env = "HOOKWRIGHT_PUBLISH_WAIT", value_name = "DURATION", value_parser = duration)]
    #[serde(default, deserialize_with = "optional_duration")]
    publish_wait: Option<Duration>,
    /// Free disk below which new events are refused, so that outcomes can still be recorded; 0 for none [default: 268435456]
    #[arg(long, env = "HOOKWRIGHT_DISK_RESERVE_BYTES", value_name = "BYTES")]
    disk_reserve_bytes: Option<u64>,
    /// Readers that wait for new events altogether [default: 4096]
    #[arg(long, env = "HOOKWRIGHT_WAITING_READERS", value_name = "N")]
    waiting_readers: Option<usize>,
    /// Readers that wait for new events of one application [default: 64]
    #[arg(long, env = "HOOKWRIGHT_WAITING_READERS_PER_APPLICATION", value_name = "N")]
    waiting_readers_per_application: Option<usize>,
    /// How long messages, deliveries and attempts are kept: a duration, or forever [default: 90d]
    #[arg(long, env = "HOOKWRIGHT_RETENTION", value_name = "DURATION|forever")]
    retention: Option<Kept>,
    /// How long payloads and receivers' answers are kept [default: as long as their messages]
    #[arg(long, env = "HOOKWRIGHT_PAYLOAD_RETENTION", value_name = "DURATION|forever")]
    payload_retention: Option<Kept>,
    /// The address that deliveries leave from [default: the system's choice]
    #[arg(long, env = "HOOKWRIGHT_SOURCE_ADDRESS", value_name = "IP")]
    source_address: Option<IpAddr>,
    /// Certificates (PEM) to trust beside the web's, for receivers of your own
    #[arg(long, env = "HOOKWRIGHT_TLS_CA_FILE", value_name = "FILE")]
    tls_ca_file: Option<PathBuf>,
    /// The User-Agent of deliveries [default: Hookwright and its version]
    #[arg(long, env = "HOOKWRIGHT_USER_AGENT", value_name = "TEXT")]
    user_agent: Option<String>,
    /// Where browsers reach this server, such as `https://hooks.example.com` [default: where it listens]
    #[arg(long, env = "HOOKWRIGHT_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Sites that may show a customer's portal in a frame, such as `https://app.example.com`
    #[arg(long, env = "HOOKWRIGHT_PORTAL_FRAMES", value_name = "ORIGIN", value_delimiter = ',')]
    portal_frames: Option<Vec<String>>,
    /// The addresses that deliveries leave from, shown to customers for their firewalls
    #[arg(long, env = "HOOKWRIGHT_OUTBOUND_ADDRESSES", value_name = "IP", value_delimiter = ',')]
    outbound_addresses: Option<Vec<pages::Addresses>>,
    /// The company's name, colour and logo on the pages. In the file only.
    #[arg(skip)]
    brand: Option<Brand>,
    /// The environments, by name. In the file only; `--environments` makes simple ones.
    #[arg(skip)]
    #[serde(default)]
    environments: BTreeMap<String, EnvironmentSettings>,
}

/// Where settings come from.
#[derive(Args, Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file [default: hookwright.toml, if it is there]
    #[arg(long, env = "HOOKWRIGHT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The environments and their contracts, instead of the file's
    #[arg(
        long,
        env = "HOOKWRIGHT_ENVIRONMENTS",
        value_name = "NAME=CONTRACT,…",
        value_delimiter = ','
    )]
    environments: Vec<String>,
    #[command(flatten)]
    settings: Settings,
}

/// One environment of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvironmentSettings {
    contract: Option<String>,
    allow_private: Option<Vec<IpNet>>,
    allow_http: Option<bool>,
    retention: Option<Kept>,
    payload_retention: Option<Kept>,
}

/// The configuration, complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub admin_key: Option<SecretText>,
    pub jwt_secret: Option<SecretText>,
    pub master_key: Option<SecretText>,
    pub environments: Arc<Environments>,
    pub log: String,
    pub log_format: LogFormat,
    pub shutdown_grace: Duration,
    pub api: crate::api::ApiLimits,
    pub lanes: crate::engine::LaneLimits,
    pub intake: crate::engine::IntakeLimits,
    pub disk_reserve_bytes: u64,
    pub waiting: crate::store::WaitingLimits,
    pub source_address: Option<IpAddr>,
    pub tls_ca_file: Option<PathBuf>,
    pub user_agent: Option<String>,
    /// `public_url` is empty where nothing was said.
    pub dashboard: DashboardSettings,
}

impl Sources {
    /// Reads everything and checks it.
    ///
    /// # Errors
    /// A sentence with the file and the line, or the flag, that is wrong.
    pub fn load(&self) -> anyhow::Result<Config> {
        let file = self.read_file()?;
        let mut settings = file.overlaid_with(&self.settings);
        if !self.environments.is_empty() {
            settings.environments = self.named_environments()?;
        }
        settings.complete()
    }

    fn read_file(&self) -> anyhow::Result<Settings> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
            None => return Ok(Settings::default()),
        };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("can't read the configuration file {}", path.display()))?;
        parse(&path, &text)
    }

    fn named_environments(&self) -> anyhow::Result<BTreeMap<String, EnvironmentSettings>> {
        let mut environments = BTreeMap::new();
        for text in &self.environments {
            let (name, contract) = text.split_once('=').with_context(|| {
                format!("--environments {text}: write NAME=CONTRACT, such as production=klink")
            })?;
            let contract = Some(contract.trim().to_owned());
            let settings = EnvironmentSettings { contract, ..EnvironmentSettings::default() };
            if environments.insert(name.trim().to_owned(), settings).is_some() {
                bail!("--environments {text}: {name} is there twice");
            }
        }
        Ok(environments)
    }
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Settings> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        anyhow!("{}:{line}: {}", path.display(), error.message())
    })
}

impl Settings {
    /// These settings, with what is set in `over` in their place.
    fn overlaid_with(self, over: &Settings) -> Settings {
        macro_rules! first {
            ($($field:ident),*) => {
                Settings {
                    $($field: over.$field.clone().or(self.$field),)*
                    environments: self.environments,
                }
            };
        }
        first!(
            listen,
            data_dir,
            admin_key,
            jwt_secret,
            master_key,
            contract,
            allow_private,
            allow_http,
            log,
            log_format,
            shutdown_grace,
            max_body_bytes,
            endpoints_per_application,
            in_flight,
            in_flight_per_endpoint,
            window,
            held,
            held_bytes,
            waiting_publishes,
            waiting_publish_bytes,
            publish_wait,
            disk_reserve_bytes,
            waiting_readers,
            waiting_readers_per_application,
            retention,
            payload_retention,
            source_address,
            tls_ca_file,
            user_agent,
            public_url,
            portal_frames,
            outbound_addresses,
            brand
        )
    }

    fn complete(self) -> anyhow::Result<Config> {
        let environments = self.environments()?;
        let dashboard = pages::settings(&self)?;
        let api = crate::api::ApiLimits::default();
        let lanes = crate::engine::LaneLimits::default();
        let waiting = crate::store::WaitingLimits::default();
        let intake = self.intake()?;
        Ok(Config {
            listen: self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8071))),
            data_dir: self.data_dir.unwrap_or_else(|| PathBuf::from("data")),
            admin_key: secret("admin_key", self.admin_key, ADMIN_KEY_MIN_BYTES)?,
            jwt_secret: secret("jwt_secret", self.jwt_secret, JWT_SECRET_MIN_BYTES)?,
            master_key: self.master_key,
            environments: Arc::new(environments),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format.unwrap_or_default(),
            shutdown_grace: self.shutdown_grace.unwrap_or(Duration::from_secs(30)),
            api: crate::api::ApiLimits {
                max_body_bytes: positive(
                    "max_body_bytes",
                    self.max_body_bytes,
                    api.max_body_bytes,
                )?,
                endpoints_per_application: self
                    .endpoints_per_application
                    .unwrap_or(api.endpoints_per_application),
            },
            lanes: crate::engine::LaneLimits {
                in_flight: positive("in_flight", self.in_flight, lanes.in_flight)?,
                in_flight_per_endpoint: positive(
                    "in_flight_per_endpoint",
                    self.in_flight_per_endpoint,
                    lanes.in_flight_per_endpoint,
                )?,
                window: positive("window", self.window, lanes.window)?,
                held: positive("held", self.held, lanes.held)?,
                held_bytes: positive("held_bytes", self.held_bytes, lanes.held_bytes)?,
            },
            intake,
            disk_reserve_bytes: self.disk_reserve_bytes.unwrap_or(DISK_RESERVE_BYTES),
            waiting: crate::store::WaitingLimits {
                readers: positive("waiting_readers", self.waiting_readers, waiting.readers)?,
                readers_per_application: positive(
                    "waiting_readers_per_application",
                    self.waiting_readers_per_application,
                    waiting.readers_per_application,
                )?,
            },
            source_address: self.source_address,
            tls_ca_file: self.tls_ca_file,
            user_agent: self.user_agent,
            dashboard,
        })
    }

    fn intake(&self) -> anyhow::Result<crate::engine::IntakeLimits> {
        let defaults = crate::engine::IntakeLimits::default();
        let wait = self.publish_wait.unwrap_or(defaults.wait);
        if wait.is_zero() {
            bail!("publish_wait must be longer than 0");
        }
        Ok(crate::engine::IntakeLimits {
            waiting: positive("waiting_publishes", self.waiting_publishes, defaults.waiting)?,
            waiting_bytes: positive(
                "waiting_publish_bytes",
                self.waiting_publish_bytes,
                defaults.waiting_bytes,
            )?,
            wait,
        })
    }

    fn environments(&self) -> anyhow::Result<Environments> {
        retention(self.retention, self.payload_retention)?;
        let other = self.environment("other", &EnvironmentSettings::default())?;
        let mut configured = Vec::new();
        for (name, settings) in &self.environments {
            check_name(name)?;
            configured.push(self.environment(name, settings)?);
        }
        if configured.is_empty() {
            configured
                .push(self.environment(DEFAULT_ENVIRONMENT, &EnvironmentSettings::default())?);
        }
        Ok(Environments::new(configured, other))
    }

    fn environment(
        &self,
        name: &str,
        settings: &EnvironmentSettings,
    ) -> anyhow::Result<Environment> {
        let contract = settings.contract.as_deref().or(self.contract.as_deref());
        let contract = load_contract(contract.unwrap_or(DEFAULT_CONTRACT))
            .with_context(|| format!("environment {name}"))?;
        let mut allow_private = self.allow_private.clone().unwrap_or_default();
        allow_private.extend(settings.allow_private.iter().flatten());
        let retention = retention(
            settings.retention.or(self.retention),
            settings.payload_retention.or(self.payload_retention),
        )
        .with_context(|| format!("environment {name}"))?;
        Ok(Environment {
            name: Arc::from(name),
            contract,
            guard: Guard::new(allow_private),
            allow_http: settings.allow_http.or(self.allow_http).unwrap_or(false),
            retention,
        })
    }
}

impl Config {
    /// A configuration for this machine alone, as the demo and tests want it: a free port, one
    /// environment for each contract (named like it), receivers on the loopback interface.
    ///
    /// # Errors
    /// Where there is no such contract.
    pub fn local(contracts: &[&str], data_dir: &Path) -> anyhow::Result<Config> {
        let environment = |&contract: &&str| {
            let settings =
                EnvironmentSettings { contract: Some(contract.to_owned()), ..Default::default() };
            (contract.to_owned(), settings)
        };
        let settings = Settings {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            data_dir: Some(data_dir.to_owned()),
            allow_private: Some(vec!["127.0.0.0/8".parse()?, "::1/128".parse()?]),
            allow_http: Some(true),
            environments: contracts.iter().map(environment).collect(),
            ..Settings::default()
        };
        settings.complete()
    }
}

/// A shipped contract by its name, or a company's own by its file.
///
/// # Errors
/// Where there is no such contract, or the file has problems: all of them, with their lines.
pub fn load_contract(name_or_file: &str) -> anyhow::Result<Arc<Contract>> {
    if let Some(contract) = Contract::shipped(name_or_file) {
        return Ok(contract);
    }
    let path = Path::new(name_or_file);
    if !path.exists() {
        bail!(
            "there is no contract {name_or_file}: name a shipped one ({}) or a file",
            SHIPPED.map(|(name, _)| name).join(", ")
        );
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can't read the contract {name_or_file}"))?;
    Contract::load(name_or_file, &text).map(Arc::new).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the contract has problems:\n  {}", lines.join("\n  "))
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| "write a number and ms, s, m, h or d, such as 30s".to_owned())
}

fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration(&text).map(Some).map_err(serde::de::Error::custom)
}
