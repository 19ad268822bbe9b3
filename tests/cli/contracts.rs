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

#[test]
fn a_new_contract_is_sound_from_the_start_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mine = path("mine.toml");
    let made = run(&["contract", "new", "acme-corp", "--title", "Acme & Sons", "-o", &mine]);
    assert!(made.status.success(), "{}", said(&made.stderr));
    assert!(said(&made.stdout).contains(&format!("contract check {mine}")));
    let checked = run(&["contract", "check", &mine]);
    assert!(said(&checked.stdout).ends_with(": ok (1 event, acme-corp-signature, 6 routes)\n"));
    let text = std::fs::read_to_string(&mine).unwrap();
    assert!(text.contains("name = \"acme-corp\"\ntitle = \"Acme & Sons\"\n"), "{text}");
    let again = run(&["contract", "new", "acme-corp", "-o", &mine]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again.stderr).contains("--output"), "{}", said(&again.stderr));
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), text);
    for from in ["standard", "kynectlocal", "klink", "kakiyo", "tomba", "rechat"] {
        let file = path(&format!("{from}.toml"));
        let made = run(&["contract", "new", "mine", "--from", from, "-o", &file]);
        assert!(made.status.success(), "{}", said(&made.stderr));
        assert!(run(&["contract", "check", &file]).status.success());
        assert!(
            std::fs::read_to_string(&file).unwrap().contains("name = \"mine\"\ntitle = \"Mine\"")
        );
    }
}

#[test]
fn a_contract_that_cannot_be_new_is_refused_with_a_reason() {
    for (arguments, reason) in [
        (vec!["Acme"], "lower-case letters"),
        (vec![""], "lower-case letters"),
        (vec!["acme", "--title", "a\"b"], "quotes"),
        (vec!["acme", "--from", "nobody"], "shipped are standard"),
        (vec!["acme", "-o", "/nowhere/acme.toml"], "/nowhere/acme.toml"),
    ] {
        let refused = run(&[&["contract", "new"], arguments.as_slice()].concat());
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(said(&refused.stderr).contains(reason), "{}", said(&refused.stderr));
    }
    let printed = run(&["contract", "new", "acme", "-o", "-"]);
    assert!(said(&printed.stdout).starts_with("# Acme's webhooks."));
}
