//! The server's lives, one after the other on the same data, and what they have to answer for.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use hookwright::clock::Clock;
use hookwright::entropy::Entropy;

use super::load::{Callers, applications};
use super::receiver::Receiver;
use super::verdict::{Life, Verdict};
use super::{KEY, LIFE_PREFIX};
use crate::support::process::{Api, ServerProcess, hookwright, run};

const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/company.toml");

/// How long each of the tests goes on where nobody says otherwise.
const USUAL: Duration = Duration::from_secs(30);

/// How long the server may take to bring everything to its end when it is left alone.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a test looks how far the server is.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);

pub(crate) struct World {
    dir: TempDir,
    clock: Clock,
    pub(crate) callers: Callers,
    lives: Vec<Life>,
    started: Instant,
}

impl World {
    pub(crate) async fn new() -> World {
        let callers = Callers {
            applications: Arc::new(applications()),
            receiver: Receiver::start().await,
            acknowledged: Arc::default(),
            entropy: Entropy::system(),
        };
        let dir = tempfile::tempdir().unwrap();
        let mut world = World {
            dir,
            clock: Clock::system(),
            callers,
            lives: Vec::new(),
            started: Instant::now(),
        };
        let server = world.start();
        world.callers.set_up(server.address).await;
        assert!(server.terminate().0.success());
        world
    }

    /// Whether there is time for another round.
    pub(crate) fn goes_on(&self) -> bool {
        let seconds = std::env::var("HOOKWRIGHT_CRASH_SECONDS").ok();
        let limit = seconds.map_or(USUAL, |text| Duration::from_secs(text.parse().unwrap()));
        self.started.elapsed() < limit
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A moment of up to so many milliseconds.
    pub(crate) fn moment(&self, milliseconds: f64) -> Duration {
        Duration::from_secs_f64(self.callers.entropy.fraction() * milliseconds / 1_000.0)
    }

    /// Arguments of a new life's process.
    fn new_life(&mut self) -> Vec<String> {
        let number = self.lives.len();
        self.lives.push(Life { began: self.clock.now(), killed: false });
        let life = format!("{LIFE_PREFIX}{number}");
        let args = ["--admin-key", KEY, "--allow-private", "127.0.0.0/8", "--allow-http"];
        let more = ["--log", "warn", "--contract", CONTRACT, "--user-agent", &life];
        args.iter().chain(&more).map(|&arg| arg.to_owned()).collect()
    }

    /// Starts the next life.
    pub(crate) fn start(&mut self) -> ServerProcess {
        let args = self.new_life();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        ServerProcess::start(self.dir(), &args)
    }

    /// A life that ends while it starts.
    pub(crate) async fn start_and_kill(&mut self, after: Duration) {
        let args = self.new_life();
        let mut command: Command = hookwright(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(self.dir()).args(args).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(after).await;
        child.kill().unwrap();
        child.wait().unwrap();
        self.was_killed();
    }

    /// The life that ended last was ended by force.
    pub(crate) fn was_killed(&mut self) {
        self.lives.last_mut().unwrap().killed = true;
    }

    /// The sums of what `hookwright ledger` says: they must add up, and it fails where they
    /// don't.
    pub(crate) fn ledger(&self) -> Ledger {
        let output = run(&["ledger", "--json", "--data-dir", self.dir().to_str().unwrap()]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let mut sums = Ledger::default();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["adds_up"], true, "{text}");
            sums.accepted += line["accepted"].as_u64().unwrap();
            sums.pending += line["pending"].as_u64().unwrap();
        }
        sums
    }

    /// Publishes nothing more until everything acknowledged has arrived.
    pub(crate) async fn expect_all_arrived(&self, server: &ServerProcess, context: &str) {
        let mut api = Api::connect(server.address, KEY).await;
        let expected = self.callers.expected();
        self.callers.receiver.set_mood(false);
        let started = Instant::now();
        loop {
            self.callers.enable_paused(&mut api).await.unwrap();
            let missing = self.callers.receiver.missing(&expected);
            if missing.is_empty() {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "missing {context}: {missing:?}");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Lets one more life bring everything to its end, stops it, and looks at it all.
    pub(crate) async fn judge(mut self) -> Verdict {
        let server = self.start();
        self.expect_all_arrived(&server, "in the end").await;
        let mut api = Api::connect(server.address, KEY).await;
        let started = Instant::now();
        while self.ledger().pending > 0 {
            assert!(started.elapsed() < PATIENCE, "{} pending", self.ledger().pending);
            self.callers.enable_paused(&mut api).await.unwrap();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        let (status, output) = server.terminate();
        assert!(status.success() && !output.contains("panicked"), "{output}");
        let accepted = self.ledger().accepted;
        let store = self.dir().join("hookwright.db");
        Verdict::on(&self.callers, &self.lives, &store, accepted)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) accepted: u64,
    pub(crate) pending: u64,
}
