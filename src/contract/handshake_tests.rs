use super::*;
use crate::contract::Sample;

const HEAD: &str = "name = \"acme\"\n[[signature]]\nheader = \"X-Sig\"\nalgorithm = \"hmac-sha256\"\n\
    [secret]\nencoding = \"text\"\norigin = \"optional\"\n[[handshake]]\n";

fn contract(handshake: &str) -> Contract {
    Contract::load("acme.toml", &format!("{HEAD}{handshake}")).unwrap()
}

fn ready(contract: &Contract, sample: &Sample) -> HandshakeRequest {
    sample.with_input(|input| {
        let input = HandshakeInput {
            application: Arc::clone(&input.message.application),
            endpoint: input.endpoint,
            id: input.message.id,
            challenge: "c1".into(),
            now: input.now,
        };
        contract.render_handshake(&contract.handshakes()[0], &input).unwrap()
    })
}

fn answer(status: u16, body: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Answer { status, headers, body: body.into(), ..Answer::default() }
}

#[test]
fn a_challenge_goes_out_in_the_query_and_comes_back_in_the_body() {
    let contract = contract(
        "method = \"GET\"\nquery = { \"hub.mode\" = \"subscribe\", \"hub.challenge\" = \"{{ challenge }}\" }\n\
         expect = { body = \"{{ challenge }}\" }",
    );
    let mut sample = contract.sample(None).unwrap();
    sample.url = "https://example.com/hook?a=1".to_owned();
    let ready = ready(&contract, &sample);
    let url = ready.request.url.as_str();
    assert_eq!(url, "https://example.com/hook?a=1&hub.mode=subscribe&hub.challenge=c1");
    assert!(ready.request.body.is_empty() && ready.request.headers.is_empty());
    assert_eq!(ready.check(&answer(200, " c1\n", &[])), Ok(()));
    assert_eq!(ready.check(&answer(404, "c1", &[])).unwrap_err(), "it answered 404");
    let wrong = ready.check(&answer(200, "c2\u{1b}", &[])).unwrap_err();
    assert!(wrong.starts_with("it answered 200 with \"c2\\u{1b}\" in the body"), "{wrong}");
    let cut = Answer { truncated: true, ..answer(200, "c1", &[]) };
    assert!(ready.check(&cut).is_err());
}

#[test]
fn several_parts_of_an_answer_are_expected_at_once() {
    let contract = contract(
        "body = '{\"plainToken\":{{ challenge }}}'\n[handshake.expect]\n\
         \"body.data.plain\" = \"{{ challenge }}\"\n\
         \"body.data.code\" = \"{{ challenge|hmac_sha256(secret)|hex }}\"\n\
         \"header.X-Hook-Secret\" = \"{{ secret }}\"\n",
    );
    let sample = contract.sample(None).unwrap();
    let ready = ready(&contract, &sample);
    assert_eq!(&ready.request.body[..], br#"{"plainToken":"c1"}"#);
    assert_eq!(ready.wanted_headers(), ["x-hook-secret"]);
    let secret = sample.secret.unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.expose().as_bytes());
    let code = hex::encode(ring::hmac::sign(&key, b"c1"));
    let body = format!(r#"{{"data":{{"plain":"c1","code":"{code}"}}}}"#);
    let header = [("x-hook-secret", secret.expose())];
    assert_eq!(ready.check(&answer(200, &body, &header)), Ok(()));
    assert!(ready.check(&answer(200, &body, &[])).unwrap_err().ends_with("`x-hook-secret`"));
    for wrong in ["{}", "c1", &body.replace(&code, &"0".repeat(64))] {
        let refused = ready.check(&answer(200, wrong, &header)).unwrap_err();
        assert!(!refused.contains(&code), "{refused}");
    }
}

#[test]
fn a_signed_handshake_looks_like_a_delivery_and_a_wrong_one_almost() {
    let signed = |how: &str| {
        let contract = contract(&format!("body = \"[]\"\nsignature = \"{how}\"\nstatus = \"401\""));
        let sample = contract.sample(None).unwrap();
        let ready = ready(&contract, &sample);
        assert_eq!(ready.check(&answer(401, "", &[])), Ok(()));
        assert!(ready.check(&answer(200, "", &[])).is_err());
        let key = sample.secret.unwrap();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.expose().as_bytes());
        let good = hex::encode(ring::hmac::sign(&key, b"[]"));
        ready.request.headers.get("x-sig").map(|value| *value == good)
    };
    assert_eq!(signed("valid"), Some(true));
    assert_eq!(signed("wrong"), Some(false));
    assert_eq!(signed("none"), None);
}

#[test]
fn mistakes_are_found_before_anybody_shakes_hands() {
    for (handshake, expected) in [
        ("method = \"GET\"\nbody = \"x\"", "acme.toml:10: GET requests have no body"),
        (
            "expect = { bdy = \"x\" }",
            "acme.toml:9: `bdy` is no part of an answer (`body`, `body.member` or `header.Name`)",
        ),
        (
            "body = \"{{ event.type }}\"",
            "acme.toml:9: handshake.body: `event.type` isn't defined here",
        ),
        (
            "body = '{\"a\":\"{{ challenge }}\"}'",
            "acme.toml:9: handshake.body: the body isn't JSON",
        ),
        ("timeout = \"31s\"", "acme.toml:9: a handshake's timeout must be at most 30s, and not 0"),
        ("signature = \"yes\"", "acme.toml:9: unknown value `yes` (known: none, valid, wrong)"),
        (
            "expect = { body = \"{{ chalenge }}\" }",
            "acme.toml:9: handshake.expect.body: `chalenge` isn't defined here (did you mean `challenge`?)",
        ),
    ] {
        let problems = Contract::load("acme.toml", &format!("{HEAD}{handshake}")).unwrap_err();
        assert!(problems[0].to_string().starts_with(expected), "{problems:?}");
    }
}
