use serde_json::{Value, json};

use super::*;
use crate::domain::{Auth, Failure, FailureKind, SecretText, Transport};

const URL: &str = "wss://example.com/hook?b=2&a=1";

/// A contract with `delivery` in its `[delivery]` section.
fn contract(delivery: &str) -> Contract {
    let text = format!(
        "name = \"acme\"\n[delivery]\n{delivery}\n[endpoint]\ntransports = [\"websocket\"]\n"
    );
    Contract::load("acme.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn sample(contract: &Contract) -> Sample {
    let transport = Transport::Websocket;
    Sample { url: URL.to_owned(), transport, ..contract.sample(None).unwrap() }
}

fn message(
    contract: &Contract,
    sample: &Sample,
    change: impl FnOnce(&mut Endpoint),
) -> Result<WireMessage, Failure> {
    sample.with_input(|input| {
        let mut endpoint = input.endpoint.clone();
        change(&mut endpoint);
        contract.render_message(&RenderInput { endpoint: &endpoint, ..*input })
    })
}

fn frame(contract: &Contract, sample: &Sample) -> Value {
    let message = message(contract, sample, |_| {}).unwrap();
    serde_json::from_str(&message.frame).unwrap()
}

#[test]
fn the_endpoints_own_headers_go_with_the_handshake_and_the_contracts_with_the_frame() {
    let contract = Contract::shipped("klink").unwrap();
    let sample = Sample { event_id: Some("crm-17".to_owned()), ..sample(&contract) };
    let message = message(&contract, &sample, |endpoint| {
        endpoint.auth = Auth::Basic { token: SecretText::new("Basic dXNlcg==") };
    })
    .unwrap();
    assert_eq!(message.url.as_str(), URL);
    assert_eq!(message.handshake.len(), 1);
    assert!(message.handshake["authorization"].is_sensitive());
    assert!(!message.frame.contains("dXNlcg"));
    let frame: Value = serde_json::from_str(&message.frame).unwrap();
    assert_eq!(frame["id"], "crm-17");
    assert_eq!(message.id, "crm-17");
    let names: Vec<&String> = frame["headers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Content-Type", "X-Signature"]);
}

#[test]
fn headers_are_spelt_as_the_contract_writes_them() {
    let contract = contract("headers = { \"X-AcmeEvent\" = \"{{ event.type }}\" }");
    let frame = frame(&contract, &sample(&contract));
    assert_eq!(frame["headers"]["X-AcmeEvent"], "example.created");
}

#[test]
fn templates_know_the_method_as_websocket() {
    let contract = contract("headers = { \"X-To\" = \"{{ method }} {{ url }} {{ query }}\" }");
    let frame = frame(&contract, &sample(&contract));
    assert_eq!(frame["headers"]["X-To"], "WEBSOCKET wss://example.com/hook b=2&a=1");
}

#[test]
fn a_json_body_stands_in_the_frame_byte_for_byte() {
    let contract = contract(r#"body = " {\"n\": {{ payload }} }  ""#);
    let payload = r#"{ "b" : 1.10, "a" : 12345678901234567890123 }"#;
    let sample = Sample { payload: payload.into(), ..sample(&contract) };
    let message = message(&contract, &sample, |_| {}).unwrap();
    let body = format!(" {{\"n\": {payload} }}  ");
    assert!(message.frame.ends_with(&format!(r#","body":{body}}}"#)), "{}", message.frame);
}

#[test]
fn another_body_is_a_string() {
    let contract = contract("content_type = \"text/plain\"\nbody = 'a \"{{ event.type }}\"'");
    let frame = frame(&contract, &sample(&contract));
    assert_eq!(frame["body"], json!("a \"example.created\""));
    assert_eq!(frame["headers"]["Content-Type"], "text/plain");
}

#[test]
fn a_body_that_is_no_json_never_breaks_the_frame() {
    let contract = contract("");
    let sample = Sample { payload: r#"1},"id":{"#.into(), ..sample(&contract) };
    let failure = message(&contract, &sample, |_| {}).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Render);
}

#[test]
fn a_contract_says_which_transports_there_are() {
    let transports = |section: &str| {
        let text = format!("name = \"acme\"\n[endpoint]\n{section}\n");
        let loaded = Contract::load("acme.toml", &text);
        loaded.map(|contract| contract.endpoint().transports.clone())
    };
    assert_eq!(transports("").unwrap(), [Transport::Webhook]);
    let both = transports("transports = [\"websocket\", \"webhook\"]").unwrap();
    assert_eq!(both, [Transport::Websocket, Transport::Webhook]);
    for (section, problem) in [
        (
            "transports = [\"webhok\"]",
            "acme.toml:3: unknown value `webhok` (did you mean `webhook`?)",
        ),
        (
            "transports = []",
            "acme.toml:3: `transports` must have at least one (\"webhook\", \"websocket\" or both)",
        ),
    ] {
        let problems = transports(section).unwrap_err();
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(found, [problem]);
    }
}

#[test]
fn what_breaks_only_a_frame_is_found_when_the_contract_is_loaded() {
    let load = |transports: &str| {
        let text = format!(
            r#"name = "acme"
[delivery.headers]
X-Kind = "{{% if method == 'WEBSOCKET' %}}{{{{ '\\n' }}}}{{% endif %}}kind"
[endpoint]
transports = [{transports}]
"#
        );
        Contract::load("acme.toml", &text)
    };
    assert!(load("\"webhook\"").is_ok());
    let problems = load("\"webhook\", \"websocket\"").unwrap_err();
    assert_eq!(problems.len(), 1);
    let problem = problems[0].to_string();
    assert!(problem.starts_with("acme.toml:3: delivery.headers.X-Kind:"), "{problem}");
}
