//! Nothing acknowledged is lost: the real binary, killed in the middle of its work.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

mod support;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Notify;

use hookwright::entropy::Entropy;
use support::process::{Api, ServerProcess, run};
use support::receiver::{Receiver, Reply, Script};

const KEY: &str = "an-admin-key-for-tests";
const ROUNDS: usize = 20;
const MESSAGES: usize = 2_000;
const PUBLISHERS: usize = 16;

/// What arrived, and how often.
type Arrivals = Arc<Mutex<HashMap<String, usize>>>;

fn serve(data_dir: &Path) -> ServerProcess {
    let args = ["--admin-key", KEY, "--allow-private", "127.0.0.0/8", "--log", "warn"];
    ServerProcess::start(data_dir, &args)
}

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

/// Publishes with several connections until `MESSAGES` were sent or the server is gone.
/// Wakes `reached` after so many acknowledgements, and returns the ids of all of them.
async fn publish(address: SocketAddr, wake_after: usize, reached: Arc<Notify>) -> HashSet<String> {
    let sent = Arc::new(AtomicUsize::new(0));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut publishers = tokio::task::JoinSet::new();
    for _ in 0..PUBLISHERS {
        let (sent, acknowledged, reached) = (sent.clone(), acknowledged.clone(), reached.clone());
        publishers.spawn(async move {
            let mut api = Api::connect(address, KEY).await;
            let mut ids = Vec::new();
            while sent.fetch_add(1, SeqCst) < MESSAGES {
                let body = r#"{"eventType":"tick","payload":{"some":"payload"}}"#.to_owned();
                let Ok((status, answer)) = api.call("POST", "/api/v1/app/tenant/msg", body).await
                else {
                    break;
                };
                assert_eq!(status, 202);
                ids.push(answer["id"].as_str().unwrap().to_owned());
                if acknowledged.fetch_add(1, SeqCst) + 1 == wake_after {
                    reached.notify_one();
                }
            }
            ids
        });
    }
    let ids = publishers.join_all().await.into_iter().flatten().collect();
    reached.notify_one();
    ids
}

async fn wait_until_all_arrived(expected: &HashSet<String>, arrivals: &Arrivals, context: &str) {
    let started = Instant::now();
    loop {
        let missing = {
            let arrived = arrivals.lock().unwrap();
            expected.iter().filter(|id| !arrived.contains_key(*id)).count()
        };
        if missing == 0 {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{missing} missing {context}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What `hookwright ledger` says of the live store; it must add up, and fail where it doesn't.
fn ledger(data_dir: &Path) -> Value {
    let output = run(&["ledger", "--json", "--data-dir", data_dir.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line: Value = serde_json::from_str(text.trim()).unwrap_or_default();
    assert_eq!(line["adds_up"], true, "{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, arrivals) = counting_receiver().await;
    let mut server = serve(dir.path());
    set_up(server.address, &receiver).await;
    let entropy = Entropy::system();
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        let kill_after = 1 + (entropy.fraction() * (MESSAGES - 1) as f64) as usize;
        let reached = Arc::new(Notify::new());
        let publishing = tokio::spawn(publish(server.address, kill_after, reached.clone()));
        reached.notified().await;
        server.kill();
        acknowledged.extend(publishing.await.unwrap());
        ledger(dir.path());
        server = serve(dir.path());
        let context = format!("in round {round}, killed after {kill_after} acknowledgements");
        wait_until_all_arrived(&acknowledged, &arrivals, &context).await;
    }
    let (total, repeated) = {
        let arrived = arrivals.lock().unwrap();
        (arrived.len(), arrived.values().filter(|&&times| times > 1).count())
    };
    eprintln!(
        "{ROUNDS} times kill -9: {} acknowledged, {total} arrived, {repeated} of them more than once",
        acknowledged.len(),
    );
    // A message may arrive whose acknowledgement was lost; only what was in flight may repeat.
    assert!(total >= acknowledged.len());
    assert!(repeated <= ROUNDS * 4_096);
    let (status, _) = server.terminate();
    assert!(status.success());
    let line = ledger(dir.path());
    assert_eq!(line["pending"], 0);
    assert_eq!(line["succeeded"], line["accepted"]);
    assert!(line["accepted"].as_u64().unwrap() as usize >= acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, arrivals) = counting_receiver().await;
    let mut server = serve(dir.path());
    set_up(server.address, &receiver).await;
    let mut acknowledged = HashSet::new();
    for stop_after in [1, 500, 1_500] {
        let reached = Arc::new(Notify::new());
        let publishing = tokio::spawn(publish(server.address, stop_after, reached.clone()));
        reached.notified().await;
        let (status, output) = server.terminate();
        assert!(status.success(), "{output}");
        acknowledged.extend(publishing.await.unwrap());
        server = serve(dir.path());
    }
    wait_until_all_arrived(&acknowledged, &arrivals, "after graceful stops").await;
    assert!(server.terminate().0.success());
    let arrived = arrivals.lock().unwrap();
    assert!(arrived.values().all(|&times| times == 1));
    assert_eq!(ledger(dir.path())["pending"], 0);
}
