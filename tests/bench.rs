//! `hookwright bench`: its figures add up, it tells what is missing, and it leaves nothing behind.

mod support;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use support::process::{Api, ServerProcess, hookwright, run};
use support::receiver::{Receiver, Reply, Script};

const KEY: &str = "an-admin-key-for-tests";

/// Runs a bench of one second and returns its output as JSON.
fn report(args: &[&str]) -> Value {
    let output = run(&[&["bench", "--seconds", "1", "--json"], args].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// All acknowledged messages arrived at this many endpoints each, and only once.
fn assert_complete(outcome: &Value, endpoints: u64) {
    let accepted = outcome["accepted"].as_u64().unwrap();
    assert!(accepted > 0, "{outcome}");
    assert_eq!(outcome["expected"], accepted * endpoints, "{outcome}");
    assert_eq!(outcome["delivered"], accepted * endpoints, "{outcome}");
    for nothing in ["missing", "repeated", "misdirected", "unacknowledged", "refused"] {
        assert_eq!(outcome[nothing], 0, "{nothing}: {outcome}");
    }
}

fn assert_ordered(times: &Value) {
    let percentiles = ["p50_ms", "p90_ms", "p99_ms", "max_ms"].map(|name| number(&times[name]));
    assert!(percentiles[0] > 0.0 && percentiles.is_sorted(), "{times}");
}

#[test]
fn flat_out_everything_acknowledged_arrives_and_the_figures_agree_with_each_other() {
    let report = report(&["--scenario", "flat-out", "--publishers", "8"]);
    let [outcome] = report["scenarios"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert_complete(outcome, 1);
    assert_eq!(outcome["scenario"], "flat-out");
    assert_ordered(&outcome["publish"]);
    assert_ordered(&outcome["arrival"]);
    let (accepted, seconds) = (number(&outcome["accepted"]), number(&outcome["seconds"]));
    assert!(seconds >= 1.0, "{outcome}");
    assert!((number(&outcome["accepted_per_second"]) - accepted / seconds).abs() < 0.01);
    let (delivered, raw) = (&outcome["delivered_per_second"], &outcome["raw_per_second"]);
    let ratio = 100.0 * number(delivered) / number(raw);
    assert!((number(&outcome["ratio_percent"]) - ratio).abs() < 0.01, "{outcome}");
    if cfg!(target_os = "linux") {
        let server = &outcome["server"];
        let [all, user, system] = ["cpu_us", "cpu_user_us", "cpu_system_us"]
            .map(|name| number(&server[format!("{name}_per_delivery")]));
        assert!(all > 0.0 && (all - user - system).abs() < 0.01, "{server}");
        assert!(number(&server["peak_rss_bytes"]) >= number(&server["rss_bytes"]), "{server}");
    }
}

#[test]
fn a_message_counts_once_for_each_endpoint_and_a_pace_is_kept() {
    let report = report(&["--scenario", "fan-out,paced", "--publishers", "4", "--rate", "50"]);
    let [fan_out, paced] = report["scenarios"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert_complete(fan_out, 20);
    assert_complete(paced, 1);
    assert_eq!(paced["accepted"], 50, "50 a second for one second");
    assert_eq!(paced["ratio_percent"], Value::Null, "a paced load has no ratio");
}

#[test]
fn receivers_with_a_made_certificate_are_delivered_to() {
    let report = report(&["--scenario", "tls", "--publishers", "4"]);
    assert_complete(&report["scenarios"][0], 1);
}

#[test]
fn an_endpoint_that_hangs_is_not_waited_for() {
    let report = report(&["--scenario", "hanging"]);
    let outcome = &report["scenarios"][0];
    assert_complete(outcome, 4);
    assert_eq!(outcome["hanging_endpoints"], 1);
}

#[test]
fn what_piles_up_in_an_outage_arrives_and_what_is_pending_is_accounted_for() {
    let messages = ["--messages", "300", "--publishers", "8"];
    let report = report(&[&["--scenario", "outage,pending,history"], &messages[..]].concat());
    let [outage, pending, empty, full] = report["scenarios"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert_complete(outage, 1);
    assert_eq!(outage["accepted"], 300);
    assert_eq!(pending["pending"], 300, "{pending}");
    assert_eq!((&pending["delivered"], &pending["missing"]), (&0.into(), &0.into()));
    assert_complete(empty, 1);
    assert_complete(full, 1);
    assert_eq!(empty["stored_messages"], 0);
    assert_eq!(full["stored_messages"], empty["accepted"].as_u64().unwrap() + 300);
}

#[tokio::test]
async fn another_server_is_measured_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--admin-key", KEY, "--allow-private", "127.0.0.0/8", "--log", "warn"];
    let server = ServerProcess::start(dir.path(), &args);
    let url = format!("http://{}/", server.address);
    let report = report(&["--server", &url, "--token", KEY, "--publishers", "4"]);
    assert_complete(&report["scenarios"][0], 1);
    assert_eq!(report["target"], url);
    assert_eq!(report["scenarios"][0]["server"], Value::Null, "its process is not ours");
    let mut api = Api::connect(server.address, KEY).await;
    let (status, left) = api.call("GET", "/api/v1/app", String::new()).await.unwrap();
    assert_eq!((status, &left["data"]), (200, &Value::Array(Vec::new())));
    server.kill();
}

/// Speaks as much of the API as a bench needs, and delivers nothing.
async fn server_that_loses_everything(msg_status: u16) -> Receiver {
    Receiver::start(Script::by(move |request| match request.target.as_str() {
        "/api/v1/app" => Reply::status(201).body(r#"{"id":"app_1"}"#),
        "/api/v1/app/app_1/endpoint" => Reply::status(201).body(r#"{"id":"ep_1"}"#),
        "/api/v1/app/app_1/msg" => Reply::status(msg_status).body(r#"{"id":"msg_1"}"#),
        _ => Reply::status(204),
    }))
    .await
}

/// Runs a bench against that server, beside which the test has to go on serving.
async fn bench_against(server: &Receiver, args: &[&str]) -> Output {
    let url = server.url("").to_string();
    let mut command = hookwright(&["bench", "--json", "--server", &url, "--token", KEY]);
    command.args(args).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_and_never_arrives_is_reported_and_fails() {
    let server = server_that_loses_everything(202).await;
    let args = ["--seconds", "1", "--publishers", "1", "--patience", "100ms"];
    let output = bench_against(&server, &args).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did not arrive"), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcome = &report["scenarios"][0];
    assert!(outcome["accepted"].as_u64().unwrap() > 0, "{outcome}");
    assert_eq!((&outcome["missing"], &outcome["delivered"]), (&outcome["accepted"], &0.into()));
    assert_eq!(outcome["arrival"], Value::Null, "nothing arrived that had a time");
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_quoted() {
    let server = server_that_loses_everything(429).await;
    // A short run ends by itself, a long one is given up.
    for seconds in ["1", "30"] {
        let output = bench_against(&server, &["--seconds", seconds, "--publishers", "1"]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("the server answered 429"), "{}", stderr(&output));
    }
    let deleted = server.requests().iter().any(|request| request.method == "DELETE");
    assert!(deleted, "what was made there is removed all the same");
}

#[test]
fn what_can_not_be_measured_is_refused_with_a_reason() {
    let foreign = ["--server", "http://127.0.0.1:1", "--token", KEY];
    for (args, code, reason) in [
        (&["--scenario", "fast"][..], 2, "possible values: flat-out"),
        (&["--seconds", "0"], 2, "0 is not in 1..=600"),
        (&["--publishers", "0"], 2, "0 is not in 1..=4096"),
        (&["--payload-bytes", "10"], 2, "10 is not in 76..=1000000"),
        (&["--server", "http://127.0.0.1:1"], 2, "--token"),
        (&["--patience", "soon"], 1, "--patience: write a number"),
        (&["--receive-on", "192.0.2.1"], 1, "can't receive on 192.0.2.1"),
        (&["--server", "localhost", "--token", KEY], 1, "localhost is no URL"),
        (&["--server", "ftp://127.0.0.1", "--token", KEY], 1, "only http:// and https://"),
        (&foreign, 1, "can't connect to 127.0.0.1:1"),
        (&[&foreign[..], &["--scenario", "pending"]].concat(), 1, "--server: nothing is known"),
    ] {
        let output = run(&[&["bench"], args].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
        assert!(!said.contains(KEY), "{args:?}: {said}");
    }
}

/// Whether a process runs that was told to use something in `dir`.
fn is_used(dir: &Path) -> bool {
    let dir = dir.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut commands = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    commands.any(|command| String::from_utf8_lossy(&command).contains(dir))
}

/// Waits until a bench's server has opened its store somewhere in `dir`.
fn wait_for_server(dir: &Path, bench: &mut Child) {
    let store = |made: std::fs::DirEntry| made.path().join("data/hookwright.db").exists();
    for _ in 0..3_000 {
        assert!(bench.try_wait().unwrap().is_none(), "the bench ended too early");
        if std::fs::read_dir(dir).unwrap().flatten().any(store) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no server came up");
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_bench_leaves_no_server_and_no_files() {
    for signal in ["-INT", "-TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = hookwright(&["bench", "--seconds", "60"]);
        command.env("TMPDIR", dir.path()).stdin(Stdio::null());
        let mut bench = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_server(dir.path(), &mut bench);
        assert!(is_used(dir.path()), "the server runs");
        let pid = bench.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let output = bench.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{signal}: {}", stderr(&output));
        assert!(stderr(&output).contains("interrupted"), "{}", stderr(&output));
        assert!(!is_used(dir.path()), "{signal}: the server still runs");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert!(left.is_empty(), "{signal}: {left:?}");
    }
}
