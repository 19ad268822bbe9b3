//! The programs are run, against requests that the contracts make.

mod cases;
mod run;

use super::*;
use crate::contract::Sample;
use cases::{Case, contract, sample};

/// Runs the programs of one language for every case, and names those that were wrong.
fn check(language: Language) {
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.is_for(language)).collect();
    let programs: Vec<String> = cases.iter().map(|case| case.program(language)).collect();
    let Some(verdicts) = run::verdicts(language, &programs) else { return };
    let wrong = cases.iter().zip(&programs).zip(verdicts);
    let wrong = wrong.filter(|((case, _), accepted)| case.good != *accepted);
    let wrong: Vec<String> = wrong
        .map(|((case, program), _)| format!("{} ({})\n{program}", case.name, case.good))
        .collect();
    assert!(wrong.is_empty(), "{} of {}: {}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn javascript_programs_accept_what_is_signed_and_nothing_else() {
    check(Language::Node);
}

#[test]
fn python_programs_accept_what_is_signed_and_nothing_else() {
    check(Language::Python);
}

#[test]
fn php_programs_accept_what_is_signed_and_nothing_else() {
    check(Language::Php);
}

#[test]
fn ruby_programs_accept_what_is_signed_and_nothing_else() {
    check(Language::Ruby);
}

#[test]
fn go_programs_accept_what_is_signed_and_nothing_else() {
    check(Language::Go);
}

#[test]
fn java_programs_accept_what_is_signed_and_nothing_else() {
    check(Language::Java);
}

fn program(contract: &Contract, sample: &Sample, language: Language) -> Option<String> {
    let request = contract.example(sample).unwrap();
    contract.verifier(language, &request, sample.secret.as_ref().unwrap())
}

#[test]
fn what_is_not_signed_has_no_verifier() {
    let contract = Contract::shipped("tomba").unwrap();
    let request = contract.example(&contract.sample(None).unwrap()).unwrap();
    assert_eq!(contract.verifier(Language::Python, &request, &SecretText::new("x")), None);
}

fn assert_regrets(contract: &Contract, reason: &str) {
    for language in Language::ALL {
        let program = program(contract, &sample(contract), language).unwrap();
        assert!(program.lines().all(|line| line.starts_with(language.comment())), "{program}");
        assert!(program.contains("No program can be written"), "{program}");
        assert!(program.contains(reason), "{program}");
    }
}

#[test]
fn what_cannot_be_verified_is_said_to_be_so() {
    let signed = |content: &str| {
        contract(&format!("algorithm = \"hmac-sha256\"\ncontent = '''{content}'''"))
    };
    let unsent = "is signed, but not sent in a header of its own";
    assert_regrets(&signed("{{ application.name }}{{ body }}"), unsent);
    // The body isn't sent in the form that is signed.
    assert_regrets(&signed("{{ body|canonical }}"), unsent);
    let statements = "{% if query %}{{ query }}{% endif %}{{ body }}";
    assert_regrets(&signed(statements), "statements of the template");
    // What is quoted never ends the comment: here by a line's end, and by an escape that Java
    // reads even there.
    assert_regrets(&signed("{{ application.name or\n\"\\u000a?>\u{2028}\" }}{{ body }}"), unsent);
    let header = "algorithm = \"hmac-sha256\"\nformat = 'é={{ signature }}'";
    assert_regrets(&contract(header), "its header isn't plain ASCII");
}

#[test]
fn programs_never_show_a_private_key() {
    let contract = Contract::shipped("standard").unwrap();
    let mut sample = sample(&contract);
    sample.secret = contract.secret.example_of(SecretKind::Ed25519);
    let secret = sample.secret.clone().unwrap();
    for language in Language::ALL {
        let program = program(&contract, &sample, language).unwrap();
        assert!(!program.contains("whsk_") && !program.contains(secret.expose()));
        let regrets = program.contains("Python's standard library has no Ed25519");
        assert_eq!(regrets, language == Language::Python, "{program}");
    }
}

#[test]
fn a_signature_in_the_body_is_said_to_be_there() {
    let text = include_str!("../../../examples/contracts/mailgun.toml");
    let contract = Contract::load("mailgun.toml", text).unwrap();
    let sample = contract.sample(None).unwrap();
    let program = program(&contract, &sample, Language::Node).unwrap();
    assert!(program.contains("doesn't stand in a header"), "{program}");
}

#[test]
fn the_usual_headers_are_compared_without_a_pattern() {
    for (name, text) in [("standard", None), ("klink", None), ("github", Some(cases::GITHUB))] {
        let contract = match text {
            Some(text) => Contract::load(name, text).unwrap().into(),
            None => Contract::shipped(name).unwrap(),
        };
        let program = program(&contract, &contract.sample(None).unwrap(), Language::Python);
        assert!(!program.as_ref().unwrap().contains("import re\n"), "{program:?}");
    }
}

#[test]
fn literals_stay_on_their_line() {
    for language in Language::ALL {
        let literal = language.literal(cases::NASTY);
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}' | '\u{feff}');
        assert!(!literal.contains(breaks), "{literal:?}");
    }
}
