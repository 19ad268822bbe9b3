//! Each cause, with each of the shipped contracts that it can happen to.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::contract::signature::Algorithm;
use crate::contract::{Encoding, SHIPPED, Sample};
use crate::domain::SecretText;

mod causes;
mod codes;
mod examples;
mod requests;

/// The shipped contracts that sign.
const SIGNING: [&str; 5] = ["standard", "kynectlocal", "klink", "kakiyo", "rechat"];

/// Everything that printers disagree about, but nothing that one of them loses.
const PAYLOAD: &str = r#"{"b":"é/<x>","a":[1,2.5,{"c":null}],"empty":{}}"#;

/// A request of a contract, and who signed it.
struct World {
    contract: Arc<Contract>,
    secret: SecretText,
    sample: Sample,
}

impl World {
    fn new(name: &str) -> World {
        World::of(Contract::shipped(name).unwrap())
    }

    fn of(contract: Arc<Contract>) -> World {
        let mut sample = contract.sample(None).unwrap();
        sample.payload = Arc::from(PAYLOAD);
        sample.url = "https://example.com/hooks?b=2&a=1".to_owned();
        let secret = sample.secret.clone().unwrap();
        World { contract, secret, sample }
    }

    /// The request as its receiver gets it.
    fn request(&self) -> RequestText {
        text_of(&self.contract.example(&self.sample).unwrap()).0
    }

    /// What its receiver can say of it.
    fn case(&self) -> Case {
        let request = self.request();
        let registered = RequestText {
            method: request.method.clone(),
            url: request.url.clone(),
            ..RequestText::default()
        };
        Case {
            candidates: vec![chosen(&self.secret)],
            pasted: request,
            registered,
            now: self.sample.time,
            ..Case::default()
        }
    }

    /// The name of the header with the signature.
    fn header(&self) -> String {
        self.contract.signature_headers().next().unwrap().to_string()
    }

    fn diagnose(&self, case: &Case) -> Diagnosis {
        let found = self.contract.diagnose(case);
        self.assert_discreet(case, &found);
        found
    }

    /// Nothing that is found says a secret, or a signature that nobody gave.
    fn assert_discreet(&self, case: &Case, found: &Diagnosis) {
        let text = format!("{found:?}");
        for candidate in &case.candidates {
            assert!(!text.contains(candidate.text.expose()), "{text}");
        }
        let right = signature(&self.request(), &self.header());
        let given = format!("{:?} {}", case.pasted.headers, case.computed);
        assert!(given.contains(&right) || !text.contains(&right), "{text}");
    }

    #[track_caller]
    fn explained(&self, case: &Case) -> Vec<Deviation> {
        match self.diagnose(case).verdict {
            Verdict::Explained(deviations) => deviations,
            other => panic!("{}: {other:?}", self.contract.name()),
        }
    }

    #[track_caller]
    fn explained_by_one(&self, case: &Case) -> Deviation {
        let mut deviations = self.explained(case);
        assert_eq!(deviations.len(), 1, "{}: {deviations:?}", self.contract.name());
        deviations.remove(0)
    }

    #[track_caller]
    fn findings(&self, case: &Case) -> Vec<Finding> {
        match self.diagnose(case).verdict {
            Verdict::Unexplained(findings) => findings,
            other => panic!("{}: {other:?}", self.contract.name()),
        }
    }

    #[track_caller]
    fn remarks(&self, case: &Case) -> Vec<Deviation> {
        match self.diagnose(case).verdict {
            Verdict::Valid { remarks, .. } => remarks,
            other => panic!("{}: {other:?}", self.contract.name()),
        }
    }
}

fn chosen(secret: &SecretText) -> Candidate {
    let owner = Owner { webhook: Some("Orders".to_owned()), chosen: true, until: None };
    Candidate { owner, text: secret.clone() }
}

fn set_header(request: &mut RequestText, name: &str, value: impl Into<String>) {
    request.headers.retain(|(known, _)| known != name);
    request.headers.push((name.to_owned(), value.into()));
}

/// The signature in a header, without what stands before it.
fn signature(request: &RequestText, header: &str) -> String {
    let value = request.header(header).unwrap();
    let bare = value.rsplit_once("v1,").or(value.rsplit_once("sha256=")).map(|(_, bare)| bare);
    bare.unwrap_or(value).to_owned()
}

#[test]
fn what_we_send_is_valid_whoever_s_contract_it_is() {
    for name in SIGNING {
        let world = World::new(name);
        let found = world.diagnose(&world.case());
        let Verdict::Valid { owner, remarks } = found.verdict else { panic!("{name}: {found:?}") };
        assert_eq!((owner.webhook.as_deref(), remarks), (Some("Orders"), vec![]), "{name}");
        assert_eq!(found.difference, None);
        assert!(
            found.signed.iter().any(|part| part.value.as_deref() == Some(&world.request().body))
        );
        assert_eq!(found.computed, Computed::None);
        assert!(found.notes.is_empty());
    }
    assert_eq!(SIGNING.len() + 1, SHIPPED.len(), "tomba alone signs nothing");
    let tomba = Contract::shipped("tomba").unwrap();
    assert_eq!(tomba.diagnose(&Case::default()).verdict, Verdict::NotSigned);
    assert_eq!(tomba.signs(), None);
}

#[test]
fn a_contract_that_no_receiver_can_check_says_why() {
    let text = r#"
        name = "odd"
        title = "Odd"
        [delivery]
        body = '{{ payload }}'
        [[signature]]
        header = "X-Odd"
        algorithm = "hmac-sha256"
        content = '{{ event.type }}{{ body }}'
        [secret]
    "#;
    let contract = Contract::load("odd.toml", text).unwrap();
    let Verdict::NotRebuildable(why) = contract.diagnose(&Case::default()).verdict else {
        panic!()
    };
    assert!(why.contains("event.type"), "{why}");
    assert_eq!(contract.signs(), Some(Err(why)));
}

#[test]
fn line_ends_that_a_form_has_changed_don_t_matter() {
    for name in ["standard", "rechat"] {
        let mut world = World::new(name);
        for payload in ["{\n \"a\": 1\n}", "{\r\n \"a\": 1\r\n}"] {
            world.sample.payload = Arc::from(payload);
            let mut case = world.case();
            case.pasted.body = case.pasted.body.replace("\r\n", "\n").replace('\n', "\r\n");
            let remarks = world.remarks(&case);
            let ends =
                |one: &Deviation| matches!(one, Deviation::Body { fault: BodyFault::LineEnds, .. });
            assert_eq!(remarks.iter().any(ends), payload.contains('\r'), "{remarks:?}");
        }
    }
}

#[test]
fn a_large_body_ends_the_work_and_says_so() {
    let mut world = World::new("standard");
    world.sample.payload = Arc::from(format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000_000)));
    let mut case = world.case();
    assert!(matches!(world.diagnose(&case).verdict, Verdict::Valid { .. }));
    case.pasted.body.push('x');
    let found = world.diagnose(&case);
    assert!(matches!(found.verdict, Verdict::Unexplained(_)), "{:?}", found.verdict);
    assert!(found.tried.cut);
    assert!(found.tried.signatures < 100, "{:?}", found.tried);
}

#[test]
fn many_secrets_are_tried_up_to_a_limit() {
    let world = World::new("standard");
    let mut case = world.case();
    let another = |number: u8| {
        let rules = world.contract.secret();
        let entropy = crate::entropy::Entropy::seeded(u64::from(number));
        rules.generate(crate::contract::SecretKind::Symmetric, &entropy).unwrap()
    };
    let of = |name: String, text| Candidate {
        owner: Owner { webhook: Some(name), ..Owner::default() },
        text,
    };
    let others: Vec<Candidate> = (0..250).map(|n| of(format!("{n}"), another(n))).collect();
    case.candidates = vec![chosen(&another(251))];
    case.candidates.extend(others);
    case.candidates[MAX_CANDIDATES - 1] = of("last".to_owned(), world.secret.clone());
    let Deviation::Secret { owner, .. } = world.explained_by_one(&case) else { panic!() };
    assert_eq!(owner.webhook.as_deref(), Some("last"));
    case.candidates.swap(MAX_CANDIDATES - 1, MAX_CANDIDATES);
    assert_eq!(world.diagnose(&case).tried.secrets, MAX_CANDIDATES);
    world.findings(&case);
}
