//! `hookwright serve`, and the commands that look at its store.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process::{Api, ServerProcess, hookwright, run};
use crate::support::receiver::{Receiver, Reply};

/// The keys in what a server printed.
fn keys(output: &str) -> Vec<&str> {
    let words = output.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("hw_")).collect()
}

#[tokio::test]
async fn the_first_start_shows_an_admin_key_and_no_later_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let printed = server.output();
    let shown = keys(&printed);
    assert!(shown.len() == 2 && shown[0] == shown[1], "once, and once to try it: {printed}");
    let mut api = Api::connect(server.address, shown[0]).await;
    assert_eq!(api.call("GET", "/api/v1/app", String::new()).await.unwrap().0, 200);
    let (status, output) = server.terminate();
    assert!(status.success());
    assert_eq!(output.matches(shown[0]).count(), 2, "the log shows the key: {output}");

    let server = ServerProcess::start(dir.path(), &[]);
    let mut api = Api::connect(server.address, shown[0]).await;
    assert_eq!(api.call("GET", "/api/v1/app", String::new()).await.unwrap().0, 200);
    let (_, output) = server.terminate();
    assert!(keys(&output).is_empty(), "{output}");
}

#[tokio::test]
async fn where_an_admin_key_is_configured_none_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--admin-key", "an-admin-key-for-tests", "--log", "trace"];
    let server = ServerProcess::start(dir.path(), &args);
    let mut api = Api::connect(server.address, "an-admin-key-for-tests").await;
    assert_eq!(api.call("GET", "/api/v1/app", String::new()).await.unwrap().0, 200);
    let (_, output) = server.terminate();
    assert!(keys(&output).is_empty() && !output.contains("an-admin-key"), "{output}");
    let list = run(&["key", "list", "--data-dir", dir.path().to_str().unwrap()]);
    assert_eq!(String::from_utf8(list.stdout).unwrap().lines().count(), 1);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = ServerProcess::start(dir.path(), &[]);
    let path = dir.path().to_str().unwrap();
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", path]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another server uses the data directory"), "{said}");
    assert!(said.contains(path) && second.stdout.is_empty(), "{said}");
    assert!(first.terminate().0.success());
    assert!(ServerProcess::start(dir.path(), &[]).terminate().0.success(), "the lock is released");
}

#[test]
fn an_address_in_use_is_said_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let output = run(&["serve", "--listen", &address, "--data-dir", path]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&address), "{said}");
}

#[test]
fn the_data_directory_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("new/data");
    let server = ServerProcess::start(&data, &[]);
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("master.key")), 0o600);
    server.kill();
}

#[test]
fn a_store_without_its_master_key_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let master_key = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";
    let server = ServerProcess::start(dir.path(), &["--master-key", master_key]);
    assert!(server.terminate().0.success());
    let path = dir.path().to_str().unwrap();
    for command in [&["key", "list"][..], &["ledger"], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = run(&[command, &["--data-dir", path]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("HOOKWRIGHT_MASTER_KEY"), "{said}");
    }
    assert!(!dir.path().join("master.key").exists());
    let output = run(&["key", "list", "--master-key", master_key, "--data-dir", path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

// The receiver has to answer while the commands run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_of_a_live_store_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let key = "an-admin-key-for-tests";
    let args = ["--admin-key", key, "--allow-private", "127.0.0.0/8"];
    let server = ServerProcess::start(dir.path(), &args);
    let receiver = Receiver::start(Reply::status(200)).await;
    let mut api = Api::connect(server.address, key).await;
    let body = r#"{"name":"A","uid":"tenant"}"#.to_owned();
    assert_eq!(api.call("POST", "/api/v1/app", body).await.unwrap().0, 201);
    let body = format!(r#"{{"url":"{}"}}"#, receiver.url("/"));
    assert_eq!(api.call("POST", "/api/v1/app/tenant/endpoint", body).await.unwrap().0, 201);
    for _ in 0..3 {
        let body = r#"{"eventType":"e","payload":{}}"#.to_owned();
        assert_eq!(api.call("POST", "/api/v1/app/tenant/msg", body).await.unwrap().0, 202);
    }
    let path = dir.path().to_str().unwrap();
    let started = Instant::now();
    let line = loop {
        let output = run(&["ledger", "--json", "--data-dir", path]);
        assert!(output.status.success());
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        if line["succeeded"] == 3 {
            break line;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{line}");
    };
    assert_eq!((&line["environment"], &line["uid"]), (&"production".into(), &"tenant".into()));
    assert_eq!((&line["accepted"], &line["adds_up"]), (&3.into(), &true.into()));
    let table = String::from_utf8(run(&["ledger", "--data-dir", path]).stdout).unwrap();
    let row = table.lines().find(|row| row.contains("tenant")).unwrap();
    assert!(row.starts_with("production") && row.ends_with("adds up"), "{table}");
    assert!(server.terminate().0.success());
}

#[test]
fn the_demo_publishes_all_examples_and_ends_well_when_all_are_verified() {
    let output = run(&["demo", "--once", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for contract in ["standard", "kynectlocal", "klink", "kakiyo", "tomba", "rechat"] {
        let row = said.lines().rfind(|line| line.starts_with(contract)).unwrap();
        let counts: Vec<&str> = row.split_whitespace().skip(1).collect();
        let [published, arrived, verified] = counts[..] else { panic!("{row}") };
        assert!(published != "0" && published == arrived && arrived == verified, "{row}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for args in [vec!["openapi"], vec!["contract", "list"], vec!["contract", "show", "klink"]] {
        let mut child =
            hookwright(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        assert!(output.status.success(), "{args:?}: {said}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for args in
        [&["--help"][..], &["serve", "--help"], &["--version"], &["key", "create", "--help"]]
    {
        let output = run(args);
        assert!(output.status.success() && !output.stdout.is_empty(), "{args:?}");
    }
    let output = run(&[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage:"));
}
