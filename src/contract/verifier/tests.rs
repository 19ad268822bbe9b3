//! The programs are run, against requests that the contracts make.

use std::process::Command;

use bytes::Bytes;
use http::HeaderValue;

use super::*;
use crate::contract::Sample;

const PAYLOAD: &str = r#"{"z":1.10,"big":12345678901234567890,"é":"\u2028 \"q\" 😀","～":1,"😀":{"b":[1e3],"a":null}}"#;

/// Whether the program finds the request good. It has to end as it says.
fn accepts(
    contract: &Contract,
    language: Language,
    request: &WireRequest,
    secret: &SecretText,
) -> bool {
    let program = contract.verifier(language, request, secret).unwrap();
    let output = match language {
        Language::Python => Command::new("python3").args(["-c", &program]).output(),
        Language::Node => Command::new("node").args(["-e", &program]).output(),
    }
    .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    match (output.status.code(), said.trim()) {
        (Some(0), "The signature is valid.") => true,
        (Some(1), "The signature is NOT valid.") => false,
        other => panic!("{other:?}\n{}\n{program}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn changed(request: &WireRequest) -> WireRequest {
    let mut bytes = request.body.to_vec();
    let place = bytes.iter().rposition(|byte| byte.is_ascii_digit()).unwrap();
    bytes[place] = if bytes[place] == b'7' { b'8' } else { b'7' };
    WireRequest { body: Bytes::from(bytes), ..request.clone() }
}

fn check(contract: &Contract, sample: &Sample) {
    let secret = sample.secret.clone().unwrap();
    let request = contract.example(sample).unwrap();
    let other = SecretText::new(secret.expose().replace(['e', '1', 'B'], "0"));
    assert_ne!(other, secret);
    for language in Language::ALL {
        assert!(accepts(contract, language, &request, &secret), "{}", contract.name());
        assert!(!accepts(contract, language, &changed(&request), &secret));
        assert!(!accepts(contract, language, &request, &other));
        let mut unsigned = request.clone();
        let signature = contract.signature_headers().next().unwrap();
        unsigned.headers.insert(signature, HeaderValue::from_static("v1,AAAA"));
        assert!(!accepts(contract, language, &unsigned, &secret));
        unsigned.headers.remove(signature);
        assert!(!accepts(contract, language, &unsigned, &secret));
    }
}

fn sample(contract: &Contract) -> Sample {
    let mut sample = contract.sample(None).unwrap();
    sample.payload = PAYLOAD.into();
    sample.url =
        "https://example.com/a%20b?z=1&a=3&a=10&q=x+y%26&%F0%9F%98%80=1&%EF%BD%9E=2&e".to_owned();
    sample
}

fn check_shipped(name: &str) {
    let contract = Contract::shipped(name).unwrap();
    check(&contract, &sample(&contract));
}

#[test]
fn standard() {
    check_shipped("standard");
}

#[test]
fn kynectlocal() {
    check_shipped("kynectlocal");
}

#[test]
fn kakiyo() {
    check_shipped("kakiyo");
}

#[test]
fn rechat() {
    check_shipped("rechat");
}

#[test]
fn klink() {
    let contract = Contract::shipped("klink").unwrap();
    let sample = sample(&contract);
    check(&contract, &sample);
    // Here the URL is signed too.
    let secret = sample.secret.clone().unwrap();
    let mut request = contract.example(&sample).unwrap();
    request.url.set_query(Some("z=1&a=3&a=11"));
    for language in Language::ALL {
        assert!(!accepts(&contract, language, &request, &secret));
    }
}

#[test]
fn what_is_not_signed_has_no_verifier() {
    let contract = Contract::shipped("tomba").unwrap();
    let request = contract.example(&contract.sample(None).unwrap()).unwrap();
    assert_eq!(contract.verifier(Language::Python, &request, &SecretText::new("x")), None);
}

fn contract(signature: &str) -> Contract {
    let text = format!("name = \"acme\"\n[[signature]]\nheader = \"X-Sig\"\n{signature}\n");
    Contract::load("acme.toml", &text).unwrap()
}

#[test]
fn a_time_within_the_signature_header_is_read_from_there() {
    let contract = contract(
        "algorithm = \"hmac-sha512\"\nencoding = \"base64\"\n\
         content = '{{ timestamp|unix }}.{{ body }}'\nformat = 't={{ timestamp|unix }},v1={{ signature }}'\n\
         [secret]\nencoding = \"hex\"\n",
    );
    check(&contract, &sample(&contract));
}

#[test]
fn several_old_signatures_are_taken_apart() {
    let contract = contract(
        "algorithm = \"hmac-sha1\"\nformat = '(v0/{{ signatures|join(\"; v0/\") }})'\n\
         [secret]\nencoding = \"text\"\norigin = \"required\"\n",
    );
    let sample = sample(&contract);
    let secret = sample.secret.clone().unwrap();
    let mut request = contract.example(&sample).unwrap();
    let name = contract.signature_headers().next().unwrap().clone();
    let current = request.headers[&name].to_str().unwrap().to_owned();
    let digits = current.trim_start_matches("(v0/").trim_end_matches(')');
    let list = format!("(v0/{}; v0/{digits})", "0".repeat(40));
    request.headers.insert(&name, HeaderValue::from_str(&list).unwrap());
    for language in Language::ALL {
        assert!(accepts(&contract, language, &request, &secret));
    }
}

#[test]
fn what_cannot_be_verified_is_said_to_be_so() {
    for content in [
        "{{ application.name }}{{ body }}",
        // The body isn't sent in the form that is signed.
        "{{ body|canonical }}",
        "{% if query %}{{ query }}{% endif %}{{ body }}",
    ] {
        let contract = contract(&format!("algorithm = \"hmac-sha256\"\ncontent = '{content}'"));
        let sample = sample(&contract);
        let request = contract.example(&sample).unwrap();
        for language in Language::ALL {
            let program =
                contract.verifier(language, &request, &sample.secret.clone().unwrap()).unwrap();
            assert!(program.lines().all(|line| line.starts_with(language.comment())), "{program}");
            assert!(program.contains("No program can be written"));
        }
    }
}

#[test]
fn every_encoding_of_a_signature_is_compared_as_it_is_written() {
    let (bytes, text) = ("encoding = \"base64url\"", "encoding = \"alphanumeric\"\nkey = \"sha1\"");
    for (algorithm, encoding, secret) in [
        ("hmac-sha384", "hex-upper", bytes),
        ("hmac-sha256", "base64-unpadded", text),
        ("hmac-sha256", "base64url", bytes),
        ("hmac-md5", "base64url", text),
        ("hmac-sha512", "base64url-unpadded", text),
    ] {
        let contract = contract(&format!(
            "algorithm = \"{algorithm}\"\nencoding = \"{encoding}\"\n[secret]\n{secret}\n"
        ));
        check(&contract, &sample(&contract));
    }
}

#[test]
fn digests_over_the_whole_address_are_verified() {
    let contract = contract(
        "algorithm = \"sha1\"\ncontent = '{{ secret }}{{ full_url }}{{ host }}{{ path }}{{ body }}'\n\
         [secret]\nencoding = \"alphanumeric\"\n",
    );
    check(&contract, &sample(&contract));
}

#[test]
fn a_token_is_compared() {
    let contract = contract(
        "algorithm = \"token\"\nformat = 'Bearer {{ signature }}'\n[secret]\nencoding = \"alphanumeric\"\n",
    );
    let sample = sample(&contract);
    let request = contract.example(&sample).unwrap();
    for language in Language::ALL {
        assert!(accepts(&contract, language, &request, sample.secret.as_ref().unwrap()));
        assert!(!accepts(&contract, language, &request, &SecretText::new("x".repeat(32))));
    }
}

#[test]
fn key_pairs_are_verified_with_the_public_key_and_never_show_the_private_one() {
    let contract = Contract::shipped("standard").unwrap();
    let mut sample = sample(&contract);
    sample.secret = contract.secret.example_of(SecretKind::Ed25519);
    // A shared secret that was replaced stands before it in the header.
    sample.replaced = contract.secret.example_of(SecretKind::Symmetric);
    let request = contract.example(&sample).unwrap();
    let secret = sample.secret.clone().unwrap();
    assert!(accepts(&contract, Language::Node, &request, &secret));
    assert!(!accepts(&contract, Language::Node, &changed(&request), &secret));
    let other = contract.secret.generate(SecretKind::Ed25519, &crate::entropy::Entropy::seeded(1));
    assert!(!accepts(&contract, Language::Node, &request, &other.unwrap()));
    // The receiver who still has the shared secret finds its signature too.
    for language in Language::ALL {
        assert!(accepts(&contract, language, &request, sample.replaced.as_ref().unwrap()));
        let program = contract.verifier(language, &request, &secret).unwrap();
        assert!(!program.contains("whsk_") && !program.contains(secret.expose()));
    }
    let python = contract.verifier(Language::Python, &request, &secret).unwrap();
    assert!(python.contains("Python's standard library has no Ed25519"), "{python}");
}

#[test]
fn a_signature_in_the_body_is_said_to_be_there() {
    let text = include_str!("../../../examples/contracts/mailgun.toml");
    let contract = Contract::load("mailgun.toml", text).unwrap();
    let sample = contract.sample(None).unwrap();
    let request = contract.example(&sample).unwrap();
    let program = contract.verifier(Language::Node, &request, &sample.secret.unwrap()).unwrap();
    assert!(program.contains("doesn't stand in a header"), "{program}");
}
