//! `kill -9` in the middle of a resend.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process::{Api, ServerProcess, run};
use crate::support::receiver::{Receiver, Reply};

const KEY: &str = "an-admin-key-for-tests";

const EVENTS: usize = 3_000;

/// How often the server is killed before it may come to the end.
const KILLS: usize = 3;

const PATIENCE: Duration = Duration::from_secs(60);

fn start(dir: &std::path::Path) -> ServerProcess {
    let args = ["--admin-key", KEY, "--allow-private", "127.0.0.0/8", "--allow-http"];
    ServerProcess::start(dir, &[&args[..], &["--log", "warn"]].concat())
}

async fn call(api: &mut Api, method: &str, path: &str, body: &str, status: u16) -> Value {
    let (given, answer) = api.call(method, path, body.to_owned()).await.unwrap();
    assert_eq!(given, status, "{answer}");
    answer
}

async fn task(api: &mut Api, id: &str) -> (String, u64) {
    let path = format!("/api/v1/background-task/{id}");
    let task = call(api, "GET", &path, "", 200).await;
    let sent = task["data"]["messagesSent"].as_u64().unwrap();
    (task["status"].as_str().unwrap().to_owned(), sent)
}

/// Waits until more than `before` were sent, or the end.
async fn more_than(api: &mut Api, id: &str, before: u64) -> (String, u64) {
    let started = Instant::now();
    loop {
        let (status, sent) = task(api, id).await;
        if sent > before || status != "running" {
            return (status, sent);
        }
        assert!(started.elapsed() < PATIENCE, "{status}, {sent} sent");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The only line of the ledger of a server that has stopped.
fn ledger(dir: &std::path::Path) -> Value {
    let output = run(&["ledger", "--json", "--data-dir", dir.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_goes_on_with_a_resend_and_queues_nothing_twice() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    let mut api = Api::connect(server.address, KEY).await;
    call(&mut api, "POST", "/api/v1/app", r#"{"name":"Tenant","uid":"tenant"}"#, 201).await;
    for number in 0..EVENTS {
        let body = format!(r#"{{"eventType":"invoice.paid","payload":{{"n":{number}}}}}"#);
        call(&mut api, "POST", "/api/v1/app/tenant/msg", &body, 202).await;
    }
    let input = format!(r#"{{"url":"{}","uid":"late"}}"#, receiver.url("/late"));
    call(&mut api, "POST", "/api/v1/app/tenant/endpoint", &input, 201).await;
    let path = "/api/v1/app/tenant/endpoint/late/replay-missing";
    let begun = call(&mut api, "POST", path, r#"{"since":"2025-01-01T00:00:00Z"}"#, 202).await;
    assert_eq!(begun["data"]["messagesCounted"], EVENTS);
    let id = begun["id"].as_str().unwrap();

    let mut sent = 0;
    for _ in 0..KILLS {
        sent = more_than(&mut api, id, sent).await.1;
        server.kill();
        let line = ledger(dir.path());
        assert_eq!(line["adds_up"], true, "{line}");
        assert!(line["accepted"].as_u64().unwrap() >= sent, "what was told is on disk: {line}");
        server = start(dir.path());
        api = Api::connect(server.address, KEY).await;
    }
    assert!(sent > 0);
    while task(&mut api, id).await.0 == "running" {
        sent = more_than(&mut api, id, sent).await.1;
    }
    assert_eq!(task(&mut api, id).await, ("finished".to_owned(), EVENTS as u64));
    settle(dir.path()).await;
    assert!(server.terminate().0.success());
    let line = ledger(dir.path());
    assert_eq!((&line["accepted"], &line["succeeded"]), (&EVENTS.into(), &EVENTS.into()), "{line}");
    let mut times: HashMap<Vec<u8>, usize> = HashMap::new();
    for request in receiver.requests() {
        *times.entry(request.body).or_default() += 1;
    }
    assert_eq!(times.len(), EVENTS, "each arrived");
    // Only what was in flight when the server was killed is repeated.
    assert!(times.values().all(|&times| times <= 1 + KILLS), "{times:?}");
}

/// Waits until nothing is pending.
async fn settle(dir: &std::path::Path) {
    let started = Instant::now();
    while ledger(dir)["pending"] != 0 {
        assert!(started.elapsed() < PATIENCE, "{}", ledger(dir));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
