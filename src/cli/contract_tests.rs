use std::process::Command;

use super::*;

fn show(contract: &str) -> Show {
    Show { contract: contract.to_owned(), event: None, url: None, secret: None }
}

#[test]
fn the_list_names_every_contract_in_columns() {
    let table = list();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 1 + SHIPPED.len());
    let column = rows[0].find("SIGNATURE").unwrap();
    assert!(rows[3].starts_with("klink "));
    assert_eq!(&rows[3][column..], "x-signature");
    assert_eq!(&rows[5][column..], "not signed");
}

#[test]
fn what_is_shown_is_the_request_and_programs_that_run() {
    let asked = Show {
        event: Some("room.solved".to_owned()),
        url: Some("https://shop.example:8443/hook?x=1".to_owned()),
        ..show("klink")
    };
    let text = example(&asked).unwrap();
    assert!(text.starts_with("POST /hook?x=1 HTTP/1.1\nhost: shop.example:8443\ncontent-type: application/json\nx-signature: "), "{text}");
    assert!(text.contains("\n\n{\"data\":{\"agent\":"));
    let (_, programs) = text.split_once("-- Node.js ").unwrap();
    let (node, programs) = programs.split_once("\n-- Python ").unwrap();
    let (python, programs) = programs.split_once("\n-- PHP ").unwrap();
    for start in ["\n-- Ruby ", "\n-- Go ", "\n-- Java "] {
        assert_eq!(programs.matches(start).count(), 1, "{programs}");
    }
    for (interpreter, flag, program) in [("python3", "-c", python), ("node", "-e", node)] {
        let (_, program) = program.split_once('\n').unwrap();
        let output = Command::new(interpreter).args([flag, program]).output().unwrap();
        assert_eq!(output.stdout, b"The signature is valid.\n");
    }
}

#[test]
fn handshakes_are_shown_before_the_delivery() {
    let text = example(&show("examples/contracts/slack.toml")).unwrap();
    let (handshake, delivery) = text.split_once("-- A delivery ").unwrap();
    assert!(handshake.starts_with("-- Before an endpoint goes live -"), "{handshake}");
    assert!(handshake.contains(r#"{"type":"url_verification","challenge":"3eb1a4c5f06d"}"#));
    assert!(delivery.contains("\"event_callback\"") && delivery.contains("def verify("));
}

#[test]
fn wrong_arguments_are_explained() {
    let fails = |asked: Show| example(&asked).unwrap_err().to_string();
    assert!(fails(show("acme")).contains("shipped are standard, kynectlocal"));
    let event = Show { event: Some("room.sloved".to_owned()), ..show("klink") };
    assert!(fails(event).contains("did you mean `room.solved`?"));
    let secret = Show { secret: Some("abc".to_owned()), ..show("standard") };
    assert_eq!(fails(secret), "The secret must start with \"whsec_\".");
    assert!(example(&show("tomba")).unwrap().ends_with("This contract signs nothing.\n"));
}

#[test]
fn files_are_checked_and_the_exit_status_tells() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good.toml"), folder.path().join("bad.toml"));
    std::fs::write(&good, SHIPPED[0].1).unwrap();
    std::fs::write(&bad, "name = \"x\"\nbody = 1\n").unwrap();
    assert_eq!(check(std::slice::from_ref(&good)).unwrap(), ExitCode::SUCCESS);
    assert_eq!(check(&[good, bad]).unwrap(), ExitCode::FAILURE);
    assert!(check(&[folder.path().join("none.toml")]).is_err());
}
