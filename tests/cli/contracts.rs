//! `hookwright contract`.

use crate::support::process::run;

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_shipped_contracts_are_listed_and_sound() {
    let list = run(&["contract", "list"]);
    assert!(list.status.success());
    let list = said(&list.stdout);
    for name in ["standard", "kynectlocal", "klink", "kakiyo", "tomba", "rechat"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
        let checked = run(&["contract", "check", &format!("contracts/{name}.toml")]);
        let printed = said(&checked.stdout);
        assert!(checked.status.success(), "{printed}{}", said(&checked.stderr));
        assert!(printed.starts_with(&format!("contracts/{name}.toml: ok (")), "{printed}");
        let shown = run(&["contract", "show", name]);
        assert!(shown.status.success(), "{name}: {}", said(&shown.stderr));
        assert!(said(&shown.stdout).contains(" HTTP/1.1\nhost: "), "{name}");
    }
}

#[test]
fn problems_are_shown_with_file_and_line_and_the_status_tells_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    let path = file.to_str().unwrap();
    let contract = "name = \"mine\"\ntitle = \"Mine\"\n\n[delivery]\nbody = '{{ payloat }}'\ntimeot = \"15s\"\n";
    std::fs::write(&file, contract).unwrap();
    let checked = run(&["contract", "check", "contracts/klink.toml", path]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said(&checked.stdout).contains("klink.toml: ok"), "the good one is still good");
    let problems = said(&checked.stderr);
    for part in [format!("{path}:6:"), "timeot".to_owned(), "timeout".to_owned()] {
        assert!(problems.contains(&part), "{part:?} is not in: {problems}");
    }
    std::fs::write(&file, contract.replace("timeot", "timeout")).unwrap();
    let problems = said(&run(&["contract", "check", path]).stderr);
    for part in [format!("{path}:5:"), "payloat".to_owned()] {
        assert!(problems.contains(&part), "{part:?} is not in: {problems}");
    }
    std::fs::write(&file, contract.replace("timeot", "timeout").replace("payloat", "payload"))
        .unwrap();
    let checked = run(&["contract", "check", path]);
    assert!(checked.status.success(), "{}", said(&checked.stderr));
}

#[test]
fn what_is_no_contract_is_said_without_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    let empty = dir.path().join("empty.toml");
    std::fs::write(&empty, "").unwrap();
    for args in [
        vec!["contract", "check", "missing.toml"],
        vec!["contract", "check", binary.to_str().unwrap()],
        vec!["contract", "check", empty.to_str().unwrap()],
        vec!["contract", "check", "."],
        vec!["contract", "check"],
        vec!["contract", "show", "klnk"],
        vec!["contract", "show", "klink", "--event", "room.exploded"],
        vec!["contract", "show", "klink", "--secret", "short"],
        vec!["contract", "show", "klink", "--url", "nowhere"],
    ] {
        let output = run(&args);
        let error = said(&output.stderr);
        assert!(!output.status.success(), "{args:?}");
        assert!(!error.is_empty() && !error.contains("panicked"), "{args:?}: {error}");
    }
}

#[test]
fn an_example_is_shown_for_the_url_event_and_secret_that_are_asked_for() {
    let secret = &"0123456789abcdef".repeat(4);
    let args = ["contract", "show", "klink", "--event", "room.solved", "--secret", secret];
    let output = run(&[&args[..], &["--url", "https://example.com:8443/hook?b=2&a=1"]].concat());
    let shown = said(&output.stdout);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert!(shown.starts_with("POST /hook?b=2&a=1 HTTP/1.1\nhost: example.com:8443\n"), "{shown}");
    assert!(shown.contains("room.solved") && shown.contains(secret), "{shown}");
}
