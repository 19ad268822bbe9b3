//! A disk that is really full: the real binary on a file system of a few megabytes.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

mod support;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use support::process::{Api, ServerProcess};
use support::receiver::{Receiver, Reply, Script};
use support::small_disk::SmallDisk;

const KEY: &str = "an-admin-key-for-tests";
const BINARY: &str = env!("CARGO_BIN_EXE_hookwright");
const MESSAGES: &str = "/api/v1/app/tenant/msg";
const PUBLISHERS: usize = 8;

/// Room for what a server needs and some thousand events.
const DISK_MEGABYTES: u32 = 64;
const LEFT_BYTES: u64 = 6 << 20;

/// How long the disk stays full under load.
const FULL: Duration = Duration::from_secs(3);

/// How long a recovery may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often each event arrived, by its id.
type Arrivals = Arc<Mutex<HashMap<String, usize>>>;

fn serve(disk: &SmallDisk, more: &[&str]) -> std::process::Command {
    let mut command = disk.command(BINARY);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(disk.inside());
    command.args(["--admin-key", KEY, "--allow-private", "127.0.0.0/8", "--log", "warn"]);
    command.args(more);
    command
}

fn start(disk: &SmallDisk) -> ServerProcess {
    // Without a reserve, or the disk would never be full.
    ServerProcess::launch(serve(disk, &["--disk-reserve-bytes", "0"]))
}

/// Takes everything.
async fn counting_receiver() -> (Receiver, Arrivals) {
    let arrivals = Arrivals::default();
    let receiver = Receiver::start(Script::by({
        let arrivals = arrivals.clone();
        move |request| {
            let id = request.header("webhook-id").unwrap().to_owned();
            *arrivals.lock().unwrap().entry(id).or_default() += 1;
            Reply::status(200)
        }
    }))
    .await;
    (receiver, arrivals)
}

async fn set_up(address: SocketAddr, receiver: &Receiver) {
    let mut api = Api::connect(address, KEY).await;
    let application = r#"{"name":"tenant","uid":"tenant"}"#.to_owned();
    assert_eq!(api.call("POST", "/api/v1/app", application).await.unwrap().0, 201);
    let endpoint = format!(r#"{{"url":"{}"}}"#, receiver.url("/hook"));
    assert_eq!(api.call("POST", "/api/v1/app/tenant/endpoint", endpoint).await.unwrap().0, 201);
}

/// Publishers that go on, whatever they are answered, until they are stopped or the server
/// goes away.
struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    publishers: tokio::task::JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    acknowledged: Mutex<HashSet<String>>,
    refused: std::sync::atomic::AtomicUsize,
}

impl Load {
    fn on(address: SocketAddr) -> Load {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let mut publishers = tokio::task::JoinSet::new();
        for _ in 0..PUBLISHERS {
            publishers.spawn(publish(address, stop.clone(), seen.clone()));
        }
        Load { stop, seen, publishers }
    }

    fn refused(&self) -> usize {
        self.seen.refused.load(SeqCst)
    }

    fn acknowledged(&self) -> HashSet<String> {
        self.seen.acknowledged.lock().unwrap().clone()
    }

    /// Every id that was acknowledged.
    async fn end(self) -> HashSet<String> {
        self.stop.store(true, SeqCst);
        self.publishers.join_all().await;
        self.seen.acknowledged.lock().unwrap().clone()
    }
}

async fn publish(address: SocketAddr, stop: Arc<AtomicBool>, seen: Arc<Seen>) {
    let mut api = Api::connect(address, KEY).await;
    let authorization = format!("Bearer {KEY}");
    let headers = [("authorization", authorization.as_str())];
    let text = "x".repeat(5_000);
    let body = format!(r#"{{"eventType":"tick","payload":{{"text":"{text}"}}}}"#);
    while !stop.load(SeqCst) {
        let Ok((head, json)) = api.exchange("POST", MESSAGES, &headers, body.clone()).await else {
            return;
        };
        if head.status == 202 {
            let id = json["id"].as_str().unwrap().to_owned();
            seen.acknowledged.lock().unwrap().insert(id);
        } else {
            assert_eq!(head.status, 503, "{json}");
            assert_eq!(head.headers["retry-after"], "1");
            assert_eq!(json["code"], "unavailable");
            seen.refused.fetch_add(1, SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn missing(expected: &HashSet<String>, arrivals: &Arrivals) -> usize {
    let arrived = arrivals.lock().unwrap();
    expected.iter().filter(|id| !arrived.contains_key(*id)).count()
}

fn most_often(arrivals: &Arrivals) -> usize {
    arrivals.lock().unwrap().values().copied().max().unwrap_or(0)
}

/// What `hookwright ledger` says of the live store.
fn ledger(disk: &SmallDisk) -> Value {
    let mut command = disk.command(BINARY);
    command.args(["ledger", "--json", "--log", "error", "--data-dir"]).arg(disk.inside());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line: Value = serde_json::from_str(text.trim()).unwrap_or_default();
    assert_eq!(line["adds_up"], true, "{text}");
    line
}

fn assert_sound(database: &Path) {
    let connection = rusqlite::Connection::open(database).unwrap();
    let check: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

async fn read_while_full(address: SocketAddr) {
    let mut api = Api::connect(address, KEY).await;
    let paths = ["/api/v1/app", MESSAGES, "/api/v1/app/tenant/endpoint"];
    for path in paths {
        let (status, json) = api.call("GET", path, String::new()).await.unwrap();
        assert_eq!(status, 200, "{path}: {json}");
        assert!(!json["data"].as_array().unwrap().is_empty(), "{path}");
    }
    let (status, json) = api.call("GET", "/api/v1/health", String::new()).await.unwrap();
    assert_eq!((status, &json["code"]), (503, &Value::from("unavailable")));
    // So little may still fit into what the log has of the disk; whole, or not at all.
    let endpoint = r#"{"url":"http://127.0.0.1:9/","disabled":true}"#.to_owned();
    let made = api.call("POST", "/api/v1/app/tenant/endpoint", endpoint).await.unwrap();
    assert!(matches!(made.0, 201 | 503), "{}", made.1);
}

/// Publishes until the disk is full, and stays for a while. Nothing that was delivered is
/// delivered again meanwhile, although its outcome can't be recorded.
async fn fill_under_load(disk: &SmallDisk, address: SocketAddr, arrivals: &Arrivals) -> Load {
    let load = Load::on(address);
    until("events", || load.acknowledged().len() > 100).await;
    disk.fill(LEFT_BYTES);
    until("refused events", || load.refused() > 50).await;
    disk.fill(0);
    tokio::time::sleep(FULL).await;
    assert_eq!(most_often(arrivals), 1, "repeated because it could not be recorded");
    load
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_loses_nothing_and_recovers_by_itself() {
    let disk = SmallDisk::mount(DISK_MEGABYTES);
    let (receiver, arrivals) = counting_receiver().await;
    let server = start(&disk);
    set_up(server.address, &receiver).await;
    let load = fill_under_load(&disk, server.address, &arrivals).await;
    read_while_full(server.address).await;
    assert_eq!(ledger(&disk)["failed"], 0);

    let before = load.acknowledged().len();
    disk.make_room();
    until("events to be taken again", || load.acknowledged().len() > before + 100).await;
    let refused = load.refused();
    let acknowledged = load.end().await;
    until("all events", || missing(&acknowledged, &arrivals) == 0).await;
    let mut api = Api::connect(server.address, KEY).await;
    assert_eq!(api.call("GET", "/api/v1/health", String::new()).await.unwrap().0, 204);
    until("outcomes", || ledger(&disk)["pending"] == 0).await;
    assert_eq!(ledger(&disk)["accepted"], acknowledged.len(), "what was refused was stored");
    assert_eq!(most_often(&arrivals), 1, "nothing was repeated");
    let (status, output) = server.terminate();
    assert!(status.success() && !output.contains("panicked"), "{output}");
    let lines = output.lines().count();
    assert!(lines < 100, "{lines} lines were logged onto a full disk: {output}");
    assert_sound(&disk.outside().join("hookwright.db"));
    eprintln!("{} acknowledged, {refused} refused, none repeated", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_on_a_full_disk_loses_nothing() {
    let disk = SmallDisk::mount(DISK_MEGABYTES);
    let (receiver, arrivals) = counting_receiver().await;
    let server = start(&disk);
    set_up(server.address, &receiver).await;
    let load = fill_under_load(&disk, server.address, &arrivals).await;
    server.kill();
    let acknowledged = load.end().await;

    disk.make_room();
    let server = start(&disk);
    until("all events", || missing(&acknowledged, &arrivals) == 0).await;
    until("outcomes", || ledger(&disk)["pending"] == 0).await;
    assert!(most_often(&arrivals) <= 2, "what was not recorded is repeated once");
    assert!(server.terminate().0.success());
    assert_sound(&disk.outside().join("hookwright.db"));
}

/// What a server says that must not start.
fn refusal(disk: &SmallDisk) -> String {
    let mut guarded = disk.command("timeout");
    guarded.arg("20").args(serve(disk, &[]).get_args().skip_while(|&arg| arg != BINARY));
    let output = guarded.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn starting_on_a_full_disk_is_refused_with_a_sentence() {
    let disk = SmallDisk::mount(4);
    disk.fill(0);
    let said = refusal(&disk);
    assert!(said.contains("No space left on device"), "{said}");
    disk.make_room();
    // With a store that is there already.
    assert!(start(&disk).terminate().0.success());
    disk.fill(0);
    let said = refusal(&disk);
    assert!(said.contains("disk is full"), "{said}");
    disk.make_room();
    assert!(start(&disk).terminate().0.success());
}
