//! Contracts that sign in other ways than the shipped ones.

use super::*;

fn example(name: &str) -> Arc<Contract> {
    let text = match name {
        "github" => include_str!("../../../../examples/contracts/github.toml"),
        "slack" => include_str!("../../../../examples/contracts/slack.toml"),
        "stripe" => include_str!("../../../../examples/contracts/stripe.toml"),
        "twilio" => include_str!("../../../../examples/contracts/twilio.toml"),
        _ => include_str!("../../../../examples/contracts/mailgun.toml"),
    };
    Arc::new(Contract::load(&format!("{name}.toml"), text).unwrap())
}

#[test]
fn what_they_send_is_valid_or_can_t_be_checked() {
    for name in ["github", "slack", "stripe"] {
        let world = World::of(example(name));
        let found = world.contract.diagnose(&world.case());
        assert!(matches!(found.verdict, Verdict::Valid { .. }), "{name}: {:?}", found.verdict);
    }
    for (name, why) in [("twilio", "pairs"), ("mailgun", "doesn't stand in a header")] {
        let found = example(name).diagnose(&Case::default()).verdict;
        let Verdict::NotRebuildable(reason) = found else { panic!("{name}: {found:?}") };
        assert!(reason.contains(why), "{name}: {reason}");
    }
}

#[test]
fn a_time_within_the_signature_header_is_read_and_compared() {
    let world = World::of(example("stripe"));
    let mut case = world.case();
    let header = world.header();
    let value = case.pasted.header(&header).unwrap().to_owned();
    let time = world.sample.time.as_seconds();
    let changed = value.replace(&format!("t={time}"), &format!("t={}", time + 1));
    case.sent = vec![world.request()];
    set_header(&mut case.pasted, &header, changed);
    let Verdict::Explained(found) = world.contract.diagnose(&case).verdict else { panic!() };
    let expected = Deviation::Value {
        place: Place::Field("timestamp|unix".to_owned()),
        signed: Some(time.to_string()),
        given: Some((time + 1).to_string()),
    };
    assert_eq!(found, [expected]);
    set_header(&mut case.pasted, &header, value);
    case.now = world.sample.time + Duration::from_secs(3_600);
    let found = world.contract.diagnose(&case);
    assert_eq!(found.notes, [Note::Old(Timestamp::from_seconds(time))]);
}

#[test]
fn either_of_two_headers_is_enough() {
    let world = World::of(example("github"));
    for header in ["x-hub-signature", "x-hub-signature-256"] {
        let mut case = world.case();
        case.pasted.headers.retain(|(name, _)| name != header);
        let found = world.contract.diagnose(&case);
        assert!(matches!(found.verdict, Verdict::Valid { .. }), "{:?}", found.verdict);
    }
}

#[test]
fn a_secret_that_is_sent_itself_is_compared_and_never_shown() {
    let text = r#"
        name = "token"
        title = "Token"
        [delivery]
        body = '{{ payload }}'
        [[signature]]
        header = "X-Token"
        algorithm = "token"
        [secret]
    "#;
    let contract = Arc::new(Contract::load("token.toml", text).unwrap());
    assert!(contract.sends_secret());
    let world = World::of(contract);
    let (_, credentials) = text_of(&world.contract.example(&world.sample).unwrap());
    assert_eq!(credentials, ["x-token"]);
    let found = world.diagnose(&world.case());
    assert!(matches!(found.verdict, Verdict::Valid { .. }), "{:?}", found.verdict);
    assert_eq!(found.signed[0].value.as_deref(), Some(MASK));
    let mut case = world.case();
    set_header(&mut case.pasted, "x-token", format!("{}\"", world.secret.expose()));
    assert!(!matches!(world.contract.diagnose(&case).verdict, Verdict::Valid { .. }));
}
