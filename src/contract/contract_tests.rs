//! Each shipped contract, to the byte, with signatures recomputed by another library.

use std::time::Duration;

use ring::hmac;

use super::*;
use crate::domain::{AuthKind, SecretText};
use crate::entropy::Entropy;

fn shipped(name: &str) -> Arc<Contract> {
    Contract::shipped(name).unwrap()
}

fn seconds(policy: &RetryPolicy) -> Vec<u64> {
    policy.retries.iter().map(Duration::as_secs).collect()
}

const STANDARD_RETRIES: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
const FIVE_DAYS: PausePolicy = PausePolicy::FailingFor { duration: Duration::from_secs(432_000) };

/// A sample with a payload that only verbatim bytes survive.
fn sample(contract: &Contract, event: &str) -> Sample {
    let mut sample = contract.sample(Some(event)).unwrap();
    sample.event_id = Some("evt_1".to_owned());
    sample.payload = r#"{"z": 1.10, "a":12345678901234567890,"é":"\u00e9"}"#.into();
    sample.time = Timestamp::from_micros(1_736_951_520_123_456);
    sample
}

fn body(request: &WireRequest) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

fn header<'a>(request: &'a WireRequest, name: &str) -> &'a str {
    request.headers.get(name).unwrap().to_str().unwrap()
}

fn names(request: &WireRequest) -> Vec<&str> {
    request.headers.keys().map(HeaderName::as_str).collect()
}

fn hex_hmac(key: &[u8], content: &[u8]) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), content))
}

#[test]
fn every_shipped_contract_loads_without_a_problem() {
    for (name, text) in SHIPPED {
        match Contract::load(name, text) {
            Ok(contract) => assert_eq!(contract.name(), name),
            Err(problems) => panic!("{problems:#?}"),
        }
    }
    assert!(Contract::shipped("acme").is_none());
}

#[test]
fn the_contract_of_operational_events_loads_and_is_no_environments_own() {
    let text = include_str!("../../contracts/operational.toml");
    if let Err(problems) = Contract::load("operational.toml", text) {
        panic!("{problems:#?}");
    }
    let contract = Contract::operational();
    assert!(Contract::shipped(contract.name()).is_none());
    for event in contract.events() {
        let (schema, example) = (event.schema.as_ref().unwrap(), event.example.as_ref().unwrap());
        assert_eq!(schema.check(example), Ok(()), "{}", event.name);
    }
}

#[test]
fn every_event_of_a_catalog_explains_itself() {
    for (name, _) in SHIPPED {
        let contract = shipped(name);
        for event in contract.events() {
            assert!(event.example.is_some() && !event.description.is_empty(), "{}", event.name);
            let group = event.group.as_deref();
            assert!(contract.groups().iter().any(|known| Some(known.name.as_str()) == group));
        }
    }
}

#[test]
fn standard() {
    let contract = shipped("standard");
    let mut sample = sample(&contract, "invoice.paid");
    sample.secret = Some(SecretText::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let request = contract.example(&sample).unwrap();
    assert_eq!(body(&request), &*sample.payload);
    assert_eq!(
        names(&request),
        ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"]
    );
    assert_eq!(header(&request, "webhook-timestamp"), "1736951520");
    let id = header(&request, "webhook-id");
    assert!(id.starts_with("msg_") && !id.contains('.'));
    // The project's own library verifies it, but for the age of the example.
    let webhook = standardwebhooks::Webhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let expected = webhook.sign(id, 1_736_951_520, &request.body).unwrap();
    assert_eq!(header(&request, "webhook-signature"), expected);

    let policy = contract.retry();
    assert_eq!(seconds(policy), STANDARD_RETRIES);
    assert!(policy.jitter > 0.0 && policy.honours_retry_after);
    assert_eq!((policy.timeout, policy.gone), (Duration::from_secs(15), Some(410)));
    assert_eq!(contract.pause(), FIVE_DAYS);
    let secret = contract.secret();
    assert_eq!(secret.overlap, Duration::from_secs(86_400));
    assert_eq!((secret.min_bytes, secret.max_bytes), (24, 64));
    let made = secret.generate(SecretKind::Symmetric, &Entropy::seeded(1)).unwrap();
    assert!(made.expose().starts_with("whsec_"));
    assert!(contract.events().is_empty());
}

#[test]
fn the_vectors_of_standard_webhooks() {
    let contract = shipped("standard");
    let signature = &contract.signatures[0];
    for (secret, id, time, body, expected) in [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ] {
        let key = contract.secret().key_bytes(&SecretText::new(secret)).unwrap();
        let content = format!("{id}.{time}.{body}");
        let code = signature.algorithm.compute(&key, content.as_bytes());
        assert_eq!(signature.encoding.write(&code), expected);
    }
}

#[test]
fn kynectlocal() {
    let contract = shipped("kynectlocal");
    // The documentation's own example, without the spaces of its print.
    let mut documented = contract.sample(Some("lead.created")).unwrap();
    documented.secret = Some(SecretText::new("s3cr3t"));
    let request = contract.example(&documented).unwrap();
    assert_eq!(
        body(&request),
        r#"{"event":"lead.created","timestamp":"2025-01-15T14:32:00Z","brand_id":"brand_abc123","data":{"lead_id":"lead_xyz789","location_id":"loc_def456","form":"Contact Us","source":"organic"}}"#
    );
    assert_eq!(header(&request, "x-kynectlocal-signature"), hex_hmac(b"s3cr3t", &request.body));
    assert_eq!(names(&request), ["content-type", "x-kynectlocal-signature"]);
    assert_eq!(request.method, Method::Post);

    let request = contract.example(&sample(&contract, "lead.created")).unwrap();
    assert_eq!(
        body(&request),
        r#"{"event":"lead.created","timestamp":"2025-01-15T14:32:00Z","brand_id":"brand_abc123","data":{"z": 1.10, "a":12345678901234567890,"é":"\u00e9"}}"#
    );
    assert_eq!(seconds(contract.retry()), STANDARD_RETRIES);
    assert_eq!(contract.pause(), FIVE_DAYS);
    assert_eq!(contract.secret().origin, SecretOrigin::Required);
    let events: Vec<&str> = contract.events().iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        events,
        [
            "lead.created",
            "location.updated",
            "governance.blocked",
            "content.updated",
            "user.invited",
            "user.role_changed"
        ]
    );
    assert_eq!(contract.groups().len(), 5);
}

#[test]
fn klink() {
    let contract = shipped("klink");
    let mut sample = sample(&contract, "contact.created");
    sample.url = "https://example.com:8443/hooks/a?b=2&a=z&a=y%20x".to_owned();
    let request = contract.example(&sample).unwrap();
    assert_eq!(
        body(&request),
        "{\"data\":{\"a\":12345678901234567890,\"z\":1.10,\"é\":\"é\"},\"environment\":\"production\",\"event\":\"contact.created\",\"id\":\"evt_1\",\"timestamp\":\"2025-01-15T14:32:00Z\"}"
    );
    let content = format!("POSThttps://example.com:8443/hooks/aa=[y x z]&b=2{}", body(&request));
    let key = sample.secret.as_ref().unwrap().expose().to_owned();
    assert_eq!(header(&request, "x-signature"), hex_hmac(key.as_bytes(), content.as_bytes()));
    assert_eq!(names(&request), ["content-type", "x-signature"]);

    sample.url = "https://example.com:443/hooks".to_owned();
    let request = contract.example(&sample).unwrap();
    let content = format!("POSThttps://example.com/hooks{}", body(&request));
    assert_eq!(header(&request, "x-signature"), hex_hmac(key.as_bytes(), content.as_bytes()));

    let policy = contract.retry();
    assert_eq!(seconds(policy), [30, 60, 90]);
    assert_eq!((policy.timeout.as_secs(), policy.jitter, policy.gone), (10, 0.0, None));
    assert!(!policy.honours_retry_after);
    let within = Duration::from_secs(3_600);
    assert_eq!(contract.pause(), PausePolicy::TooMany { failures: 50, within });
    let rules = contract.endpoint();
    assert_eq!(rules.auth, [AuthKind::None, AuthKind::Basic, AuthKind::Header]);
    assert!(rules.https_only && !rules.headers && !rules.wildcard);
    assert_eq!((rules.name, rules.events), (Presence::Required, Presence::Required));
    assert!(contract.secret().reveal && contract.secret().overlap.is_zero());
    let titles: Vec<&str> = contract.events().iter().map(|event| event.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "New Contact Created",
            "Contact Updated",
            "Inbound Message Received",
            "Outbound Message Sent",
            "New Message Comment",
            "Room Solved/Closed"
        ]
    );
}

#[test]
fn kakiyo() {
    let contract = shipped("kakiyo");
    let mut sample = sample(&contract, "prospect.qualified");
    sample.secret = Some(SecretText::new("your_webhook_secret_key"));
    let request = contract.example(&sample).unwrap();
    assert_eq!(
        body(&request),
        "{\"event\":\"prospect.qualified\",\"teamId\":\"brand_abc123\",\"timestamp\":\"2025-01-15T14:32:00.123Z\",\"data\":{\"z\":1.1,\"a\":12345678901234567890,\"é\":\"é\"}}"
    );
    assert_eq!(
        header(&request, "x-kakiyo-signature"),
        format!("sha256={}", hex_hmac(b"your_webhook_secret_key", &request.body))
    );
    sample.secret = None;
    assert_eq!(names(&contract.example(&sample).unwrap()), ["content-type"]);

    assert_eq!(seconds(contract.retry()), [1, 2, 4]);
    assert_eq!((contract.retry().timeout.as_secs(), contract.retry().jitter), (30, 0.0));
    assert_eq!(contract.pause(), PausePolicy::Consecutive { failures: 4 });
    assert_eq!(contract.secret().origin, SecretOrigin::Optional);
    assert!(!contract.secret().reveal);
    let rules = contract.endpoint();
    assert!(rules.https_only && rules.wildcard);
    for event in [
        "prospect.qualified",
        "prospect.responded",
        "campaign.completed",
        "message.sent",
        "connection.accepted",
        "agent.status_changed",
        "linkedin.message.received",
        "prospect.qualification.manual",
        "linkedin.message.sent",
        "linkedin.invitation.sent",
        "linkedin.invitation.accepted",
    ] {
        assert!(contract.event(event).is_some(), "{event}");
    }
    assert_eq!(contract.events().len(), 11);
}

#[test]
fn tomba() {
    let contract = shipped("tomba");
    let mut sample = contract.sample(Some("save_lead")).unwrap();
    sample.payload = r#"{ "score":1e1 , "email":"j\u00e9@x.y", "other":1 }"#.into();
    let request = contract.example(&sample).unwrap();
    assert_eq!(
        body(&request),
        r#"{"data":{"email":"j\u00e9@x.y","company":null,"first_name":null,"last_name":null,"phone":null,"website":null,"position":null,"twitter":null,"linkedin":null,"notes":null,"score":1e1}}"#
    );
    assert_eq!(names(&request), ["content-type", "x-tomba-event", "x-tomba-delivery"]);
    assert_eq!(header(&request, "x-tomba-event"), "save_lead");
    assert!(header(&request, "x-tomba-delivery").starts_with("msg_"));
    let rules = contract.endpoint();
    assert_eq!(rules.default_method, Method::Post);
    assert_eq!(rules.http_methods.len(), 5);
    assert!(rules.unique_name && rules.headers);
    assert_eq!(contract.secret().generate(SecretKind::Symmetric, &Entropy::seeded(1)), None);
    assert_eq!(seconds(contract.retry()), STANDARD_RETRIES);

    let schema = contract.event("save_lead").unwrap().schema.clone().unwrap();
    let schema: serde_json::Value = serde_json::from_str(schema.text()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 11);
    for (name, property) in properties {
        let expected = match name.as_str() {
            "email" | "website" => serde_json::json!("string"),
            "score" => serde_json::json!("integer"),
            _ => serde_json::json!(["string", "null"]),
        };
        assert_eq!(property["type"], expected, "{name}");
    }
}

#[test]
fn rechat() {
    let contract = shipped("rechat");
    let mut sample = sample(&contract, "Showings");
    let key = contract.secret().generate(SecretKind::Symmetric, &Entropy::seeded(3)).unwrap();
    assert_eq!(key.expose().len(), 64);
    assert!(key.expose().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    sample.secret = Some(key.clone());
    let request = contract.example(&sample).unwrap();
    assert_eq!(
        body(&request),
        r#"{"topic":"Showings","event":"Showings","id":"evt_1","timestamp":1736951520.123456,"brand":"brand_abc123","data":{"z": 1.10, "a":12345678901234567890,"é":"\u00e9"}}"#
    );
    assert_eq!(
        header(&request, "x-rechat-signature"),
        hex_hmac(key.expose().as_bytes(), &request.body)
    );
    assert!(contract.endpoint().single_event);
    assert_eq!(contract.pause(), FIVE_DAYS);
    let topics: Vec<&str> = contract.events().iter().map(|event| event.name.as_str()).collect();
    assert_eq!(topics, ["Deals", "Showings", "Contacts"]);
}
