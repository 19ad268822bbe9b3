//! The server under test: a process of its own, so that what it uses is its alone.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use ipnet::IpNet;
use serde_json::Value;

use crate::clock::Clock;
use crate::domain::SecretText;

/// How long a server may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What a server prints when it listens; its address follows.
const GREETING: &str = "Hookwright listens on http://";

/// How much of a server's log is shown where it failed, in lines.
const LOG_TAIL_LINES: usize = 12;

/// Linux counts CPU time for `/proc` in hundredths of a second on every architecture that Rust
/// runs on, whatever the kernel's own clock is.
const TICK_US: u64 = 10_000;

/// What the bench needs differently from a server's defaults.
pub(super) struct ServerOptions {
    /// Where receivers are, so that deliveries may reach them. The loopback interface they
    /// always may.
    pub(super) receivers: IpAddr,
    /// The text of a contract to speak instead of the default.
    pub(super) contract: Option<String>,
    /// A certificate (PEM) to trust.
    pub(super) authority: Option<String>,
}

/// A running server with an empty store. Ends, and its directory with it, when dropped.
pub(super) struct ServerProcess {
    pub(super) address: SocketAddr,
    child: Child,
    dir: tempfile::TempDir,
    /// Held so that the server can go on printing.
    _stdout: BufReader<ChildStdout>,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) user_us: u64,
    pub(super) system_us: u64,
    pub(super) rss_bytes: u64,
    pub(super) peak_rss_bytes: u64,
}

impl ServerProcess {
    /// Starts this very program as a server on a free port of this machine.
    ///
    /// # Errors
    /// Where it can't be started or doesn't come to listen, with the end of its log.
    pub(super) async fn start(
        options: &ServerOptions,
        key: &SecretText,
        clock: &Clock,
    ) -> anyhow::Result<ServerProcess> {
        let dir = tempfile::tempdir().context("can't make a directory for the server's store")?;
        let mut command = command(options, key, dir.path())?;
        let mut child = command.spawn().context("can't start the server")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        // Whatever happens from here on, the process doesn't outlive the bench.
        let mut starting = Starting { child: Some(child) };
        let greeting = tokio::task::spawn_blocking(move || read_greeting(stdout));
        match clock.timeout(START_TIMEOUT, greeting).await {
            Ok(Ok(Ok((address, stdout)))) => {
                let child = starting.child.take().context("the server is gone")?;
                Ok(ServerProcess { address, child, dir, _stdout: stdout })
            }
            Ok(Ok(Err(error))) => Err(with_log(&error, dir.path())),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                let seconds = START_TIMEOUT.as_secs();
                let error = anyhow!("the server did not listen within {seconds} seconds");
                Err(with_log(&error, dir.path()))
            }
        }
    }

    /// How many deliveries its ledger holds as pending.
    ///
    /// # Errors
    /// Where the ledger can't be read or doesn't add up.
    pub(super) async fn pending(&self) -> anyhow::Result<u64> {
        let mut command = this_program()?;
        command.args(["ledger", "--json", "--log", "error", "--data-dir"]);
        command.arg(data_dir(self.dir.path())).current_dir(self.dir.path());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            bail!("the ledger does not add up: {}", String::from_utf8_lossy(&output.stderr));
        }
        let lines = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
        let mut pending = 0;
        for line in lines {
            pending += line?["pending"].as_u64().context("the ledger names nothing pending")?;
        }
        Ok(pending)
    }

    /// An error where the server has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(with_log(&anyhow!("the server ended ({status})"), self.dir.path())),
        }
    }

    /// What it has used so far. `None` on systems that don't say so as Linux does.
    pub(super) fn usage(&self) -> Option<Usage> {
        let of =
            |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).ok();
        Usage::parse(&of("stat")?, &of("status")?)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A process that isn't known to listen yet.
struct Starting {
    child: Option<Child>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

/// Nothing that the store of a bench holds is worth a graceful stop.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn command(options: &ServerOptions, key: &SecretText, dir: &Path) -> anyhow::Result<Command> {
    use std::os::unix::process::CommandExt;
    let mut command = this_program()?;
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--allow-http", "true"]);
    command.arg("--data-dir").arg(data_dir(dir));
    let receivers = IpNet::from(options.receivers);
    command.arg("--allow-private").arg(format!("127.0.0.0/8,{receivers}"));
    for (flag, file, text) in [
        ("--contract", "contract.toml", &options.contract),
        ("--tls-ca-file", "authority.pem", &options.authority),
    ] {
        if let Some(text) = text {
            let path = dir.join(file);
            std::fs::write(&path, text).with_context(|| format!("can't write {file}"))?;
            command.arg(flag).arg(path);
        }
    }
    command.env("HOOKWRIGHT_ADMIN_KEY", key.expose()).current_dir(dir);
    // Ctrl-C in a terminal goes to the bench alone, which then ends the server.
    command.process_group(0);
    let log = File::create(log_file(dir)).context("can't make the server's log")?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    Ok(command)
}

/// This very program, without the settings of this machine's real server.
fn this_program() -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("can't find this program's own file")?;
    let mut command = Command::new(program);
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("HOOKWRIGHT_")) {
        command.env_remove(name);
    }
    Ok(command)
}

fn data_dir(dir: &Path) -> PathBuf {
    dir.join("data")
}

fn log_file(dir: &Path) -> PathBuf {
    dir.join("server.log")
}

/// Reads what a server prints until it says where it listens.
fn read_greeting(stdout: ChildStdout) -> anyhow::Result<(SocketAddr, BufReader<ChildStdout>)> {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line)? == 0 {
            bail!("the server did not start");
        }
        if let Some(rest) = line.strip_prefix(GREETING) {
            let address = rest.split_whitespace().next().unwrap_or_default();
            let address = address.parse().with_context(|| format!("{address} is no address"))?;
            return Ok((address, stdout));
        }
    }
}

/// The error, and the end of the server's log below it.
fn with_log(error: &anyhow::Error, dir: &Path) -> anyhow::Error {
    let log = std::fs::read_to_string(log_file(dir)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    match tail.is_empty() {
        true => anyhow!("{error:#}"),
        false => anyhow!("{error:#}; it said:\n  {}", tail.join("\n  ")),
    }
}

impl Usage {
    /// From the texts of a process's `stat` and `status` in `/proc`; see proc(5).
    fn parse(stat: &str, status: &str) -> Option<Usage> {
        // The second field is a name in parentheses, which may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // Fields are counted from one, and `fields` begins with the third.
        let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
            Some(kib * 1024)
        };
        Some(Usage {
            user_us: ticks(14)? * TICK_US,
            system_us: ticks(15)? * TICK_US,
            rss_bytes: bytes("VmRSS:")?,
            peak_rss_bytes: bytes("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_as_proc_5_describes_it() {
        let stat = "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 9 0 1";
        let status = "Name:\thookwright\nVmHWM:\t   83000 kB\nVmRSS:\t   70000 kB\n";
        let expected = Usage {
            user_us: 2_500_000,
            system_us: 750_000,
            rss_bytes: 70_000 * 1024,
            peak_rss_bytes: 83_000 * 1024,
        };
        assert_eq!(Usage::parse(stat, status), Some(expected));
        assert_eq!(Usage::parse("4711 (x) S 1", status), None);
        assert_eq!(Usage::parse(stat, "Name:\tx\n"), None);
    }

    #[test]
    fn a_failure_comes_with_the_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let error = anyhow!("the server did not start");
        assert_eq!(with_log(&error, dir.path()).to_string(), "the server did not start");
        let lines: Vec<String> = (1..=20).map(|number| format!("line {number}")).collect();
        std::fs::write(log_file(dir.path()), lines.join("\n")).unwrap();
        let text = with_log(&error, dir.path()).to_string();
        assert!(text.starts_with("the server did not start; it said:\n  line 9\n"), "{text}");
        assert!(text.ends_with("line 20"), "{text}");
    }
}
