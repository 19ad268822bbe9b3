use std::time::Duration;

use super::*;
use crate::domain::{Auth, FailureKind, SecretText, SigningSecret};

fn shipped(name: &str) -> Arc<Contract> {
    Contract::shipped(name).unwrap()
}

/// Renders the contract's sample after `change` has had its way with the endpoint.
fn rendered(
    contract: &Contract,
    sample: &Sample,
    change: impl FnOnce(&mut Endpoint),
) -> Result<WireRequest, crate::domain::Failure> {
    sample.with_input(|input| {
        let mut endpoint = input.endpoint.clone();
        change(&mut endpoint);
        contract.render(&RenderInput { endpoint: &endpoint, ..*input })
    })
}

fn header<'a>(request: &'a WireRequest, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

fn custom(name: &str, value: &str) -> (String, SecretText) {
    (name.to_owned(), SecretText::new(value))
}

#[test]
fn urls_are_sent_as_they_were_given() {
    let contract = shipped("tomba");
    let mut sample = contract.sample(None).unwrap();
    sample.payload = r#"{"email":"a+b@é.example"}"#.into();
    sample.url = "https://example.com:443/h%6Fok?b=2&a=1&b=%20+x&a=&flag".to_owned();
    let post = contract.example(&sample).unwrap();
    assert_eq!(post.url.as_str(), "https://example.com/h%6Fok?b=2&a=1&b=%20+x&a=&flag");
    sample.method = Method::Get;
    let get = contract.example(&sample).unwrap();
    let (before, payload) = get.url.query().unwrap().rsplit_once("&payload=").unwrap();
    assert_eq!(before, "b=2&a=1&b=%20+x&a=&flag");
    assert!(payload.starts_with("%7B%22data%22%3A%7B%22email%22%3A%22a%2Bb%40%C3%A9.example%22"));
    assert!(get.body.is_empty());
    assert_eq!(header(&get, "content-type"), None);
    let decoded = url::form_urlencoded::parse(get.url.query().unwrap().as_bytes()).last().unwrap();
    assert_eq!(decoded.1.as_bytes(), &post.body[..]);
    sample.url = "https://example.com/hook?".to_owned();
    let empty = contract.example(&sample).unwrap();
    assert!(empty.url.query().unwrap().starts_with("payload=%7B"));
}

#[test]
fn urls_that_cannot_be_used_fail_as_such() {
    let contract = shipped("tomba");
    let mut sample = contract.sample(None).unwrap();
    sample.method = Method::Delete;
    sample.payload = format!("{{\"notes\":\"{}\"}}", "é".repeat(20_000)).into();
    let failure = contract.example(&sample).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Url);
    assert!(failure.causes[0].contains("longer than 60000 bytes"));
    sample.url = "no url".to_owned();
    assert_eq!(contract.example(&sample).unwrap_err().kind, FailureKind::Url);
}

#[test]
fn custom_headers_never_take_the_place_of_the_contracts_own() {
    let contract = shipped("standard");
    let sample = contract.sample(None).unwrap();
    let plain = contract.example(&sample).unwrap();
    let request = rendered(&contract, &sample, |endpoint| {
        for name in ["webhook-id", "Webhook-Signature", "Content-Type", "Host", "Content-Length"] {
            endpoint.headers.push(custom(name, "forged"));
        }
        endpoint.headers.push(custom("X-Token", "t1"));
        endpoint.auth =
            Auth::Header { name: "webhook-timestamp".into(), value: SecretText::new("0") };
    })
    .unwrap();
    for (name, value) in &plain.headers {
        assert_eq!(request.headers.get(name), Some(value));
    }
    assert_eq!(header(&request, "x-token"), Some("t1"));
    assert_eq!(request.headers.len(), plain.headers.len() + 1);
}

#[test]
fn authentication_is_sent_exactly_as_typed_and_hidden_from_logs() {
    let contract = shipped("klink");
    let sample = contract.sample(None).unwrap();
    let basic = rendered(&contract, &sample, |endpoint| {
        endpoint.auth = Auth::Basic { token: SecretText::new("Basic dXNlcjpwYXNz ") };
    })
    .unwrap();
    assert_eq!(header(&basic, "authorization"), Some("Basic dXNlcjpwYXNz "));
    assert!(!format!("{basic:?}").contains("dXNlcjpwYXNz"));
    let custom = rendered(&contract, &sample, |endpoint| {
        endpoint.auth =
            Auth::Header { name: "X-API-Key".into(), value: SecretText::new("secret-value") };
    })
    .unwrap();
    assert_eq!(header(&custom, "x-api-key"), Some("secret-value"));
}

#[test]
fn no_event_can_smuggle_a_header_in() {
    let contract = shipped("tomba");
    for text in ["save_lead\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"] {
        let sample = Sample { event_type: text.to_owned(), ..contract.sample(None).unwrap() };
        let failure = contract.example(&sample).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Render);
        assert!(failure.causes[1].contains("delivery.headers.X-Tomba-Event"), "{failure:?}");
    }
    let text = "[delivery.headers]\nX-Id = '{{ event.id }}'\nX-App = '{{ application.name }}'\n";
    let contract = Contract::load("x", &format!("name = \"x\"\n{text}")).unwrap();
    for change in [
        |sample: &mut Sample| sample.event_id = Some("a\r\nX-Evil: 1".to_owned()),
        |sample: &mut Sample| sample.application_name = "a\r\nX-Evil: 1".to_owned(),
    ] {
        let mut sample = contract.sample(None).unwrap();
        change(&mut sample);
        assert_eq!(contract.example(&sample).unwrap_err().kind, FailureKind::Render);
    }
    let endpoint = rendered(&contract, &contract.sample(None).unwrap(), |endpoint| {
        endpoint.headers.push(custom("X-A", "se\r\ncret"));
    });
    let failure = endpoint.unwrap_err();
    assert_eq!(failure.causes, ["The header \"X-A\" can't be sent."]);
}

#[test]
fn old_secrets_sign_beside_the_new_one_until_they_expire() {
    let contract = shipped("standard");
    let sample = contract.sample(None).unwrap();
    let old = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let during = |expires_at| {
        let request = rendered(&contract, &sample, |endpoint| {
            let text = SecretText::new(old);
            endpoint.secrets.push(SigningSecret { text, expires_at: Some(expires_at) });
        });
        header(&request.unwrap(), "webhook-signature").unwrap().to_owned()
    };
    let alone = Sample { secret: Some(SecretText::new(old)), ..sample.clone() };
    let current = contract.example(&sample).unwrap();
    let current = header(&current, "webhook-signature").unwrap();
    let by_old = contract.example(&alone).unwrap();
    let by_old = header(&by_old, "webhook-signature").unwrap();
    assert_eq!(during(sample.time + Duration::from_secs(1)), format!("{current} {by_old}"));
    assert_eq!(during(sample.time), current);
}

#[test]
fn a_secret_in_the_wrong_form_fails_without_being_shown() {
    let contract = shipped("standard");
    let secret = Some(SecretText::new("whsec_not base64"));
    let sample = Sample { secret, ..contract.sample(None).unwrap() };
    let failure = contract.example(&sample).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Render);
    assert!(!failure.causes.concat().contains("not base64"));
}

#[test]
fn failures_name_the_template_and_its_line() {
    let contract = shipped("klink");
    let sample = Sample { payload: "{broken".into(), ..contract.sample(None).unwrap() };
    let failure = contract.example(&sample).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Render);
    assert!(failure.causes[1].contains("delivery.body: this isn't JSON"), "{failure:?}");
}

#[test]
fn samples_know_the_catalog() {
    let contract = shipped("klink");
    let unknown = contract.sample(Some("contact.creatd")).unwrap_err();
    assert_eq!(
        unknown,
        "K-LINK has no event \"contact.creatd\" (did you mean `contact.created`?)."
    );
    assert_eq!(shipped("standard").sample(Some("any.thing")).unwrap().event_type, "any.thing");
}

#[test]
fn contracts_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + std::fmt::Debug>(_: &T) {}
    shared(&*shipped("standard"));
}
