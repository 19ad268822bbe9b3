//! `hookwright key` beside a server that runs.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::process::{Api, ServerProcess, run};

const ADMIN: &str = "an-admin-key-for-tests";

/// Runs `key` with these arguments on a data directory; what it printed.
fn key(dir: &str, args: &[&str]) -> String {
    let mut all = vec!["key"];
    all.extend(args);
    all.extend(["--data-dir", dir, "--environments", "one=standard,two=klink"]);
    let output = run(&all);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn start(dir: &std::path::Path) -> ServerProcess {
    let args = ["--admin-key", ADMIN, "--environments", "one=standard,two=klink"];
    ServerProcess::start(dir, &args)
}

async fn call(server: &ServerProcess, token: &str, method: &str, path: &str) -> (u16, Value) {
    let mut api = Api::connect(server.address, token).await;
    let body = if method == "POST" { r#"{"name":"A","uid":"a"}"# } else { "" };
    api.call(method, path, body.to_owned()).await.unwrap()
}

#[tokio::test]
async fn keys_of_every_width_are_made_listed_and_revoked_beside_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let server = start(dir.path());
    let environment = key(path, &["create", "--environment", "one", "--name", "the backend"]);
    let environment = environment.trim();
    assert!(environment.starts_with("hw_") && environment.len() == 67, "{environment}");
    let (status, made) = call(&server, environment, "POST", "/api/v1/app").await;
    assert_eq!(status, 201, "{made}");

    let admin = key(path, &["create", "--admin"]);
    let (status, answer) = call(&server, admin.trim(), "GET", "/api/v1/app/a").await;
    assert_eq!((status, &answer["code"]), (400, &json!("environment_required")));

    let id = made["id"].as_str().unwrap();
    let mut scoped = Vec::new();
    for application in ["a", id] {
        let args = ["create", "--environment", "one", "--application", application];
        let text = key(path, &args).trim().to_owned();
        assert_eq!(call(&server, &text, "GET", "/api/v1/app/a").await.0, 200);
        assert_eq!(call(&server, &text, "POST", "/api/v1/app").await.0, 403);
        scoped.push(text);
    }

    let list = key(path, &["list"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 5, "a heading and four keys: {list}");
    for text in [environment, admin.trim(), &scoped[0], &scoped[1]] {
        assert!(!list.contains(text) && !list.contains(&text[3..]), "the list shows a key");
    }
    let backend = lines.iter().find(|line| line.contains("the backend")).unwrap();
    assert!(backend.contains(" one ") && backend.contains(" valid "), "{backend}");
    assert!(list.contains("everything"), "{list}");
    assert_eq!(list.matches(&format!("one/{id}")).count(), 2, "{list}");

    let backend = backend.split_whitespace().next().unwrap();
    assert!(backend.starts_with("key_"), "{backend}");
    assert_eq!(call(&server, environment, "GET", "/api/v1/app").await.0, 200);
    let said = key(path, &["revoke", backend]);
    assert!(said.contains(backend), "{said}");
    let revoked = Instant::now();
    while call(&server, environment, "GET", "/api/v1/app").await.0 != 401 {
        assert!(revoked.elapsed() < Duration::from_millis(2_500), "it still opens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let list = key(path, &["list"]);
    assert_eq!(list.matches(" revoked ").count(), 1, "{list}");
    assert_eq!(call(&server, &scoped[0], "GET", "/api/v1/app/a").await.0, 200, "others go on");
    assert!(server.terminate().0.success());
}

#[test]
fn impossible_keys_are_not_made() {
    let dir = tempfile::tempdir().unwrap();
    assert!(start(dir.path()).terminate().0.success());
    let path = dir.path().to_str().unwrap();
    for (args, hint) in [
        (vec!["create"], "--environment"),
        (vec!["create", "--application", "a"], "--environment"),
        (vec!["create", "--admin", "--environment", "production"], "--admin"),
        (vec!["create", "--environment", "staging"], "the configuration has production"),
        (
            vec!["create", "--environment", "production", "--application", "a"],
            "no application a in production",
        ),
        (vec!["revoke", "hw_0000"], "key_"),
        (vec!["revoke", "key_02yok03PwzkbeP8i4wlHFN"], "no key key_02yok03PwzkbeP8i4wlHFN"),
        (vec!["revoke"], "<ID>"),
    ] {
        let mut all = vec!["key"];
        all.extend(&args);
        all.extend(["--data-dir", path]);
        let output = run(&all);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
        assert!(said.contains(hint), "{args:?}: {said}");
    }
    let output = run(&["key", "list", "--data-dir", path]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

#[test]
fn a_directory_without_a_store_is_said_so_and_stays_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    for args in [
        &["key", "create", "--admin"][..],
        &["key", "list"],
        &["key", "revoke", "key_02yok03PwzkbeP8i4wlHFN"],
        &["ledger"],
    ] {
        let output = run(&[args, &["--data-dir", path]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("no store"), "{args:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
