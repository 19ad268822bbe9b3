//! Headers and secrets that are other than they should be.

use super::*;
use crate::contract::SecretKind;
use crate::entropy::Entropy;

#[test]
fn a_missing_header_is_said_and_one_of_another_name_found() {
    for name in SIGNING {
        let world = World::new(name);
        let mut case = world.case();
        let header = world.header();
        let value = case.pasted.header(&header).unwrap().to_owned();
        case.pasted.headers.retain(|(known, _)| *known != header);
        assert_eq!(world.findings(&case), [Finding::MissingHeader { alike: vec![] }], "{name}");
        set_header(&mut case.pasted, "x-hub-signature-256", value);
        let Deviation::HeaderName { expected, found } = world.explained_by_one(&case) else {
            panic!()
        };
        assert_eq!((expected.to_lowercase(), found.as_str()), (header, "x-hub-signature-256"));
        set_header(&mut case.pasted, "x-hub-signature-256", "a".repeat(64));
        let alike = vec!["x-hub-signature-256".to_owned()];
        assert_eq!(world.findings(&case), [Finding::MissingHeader { alike }], "{name}");
    }
}

#[test]
fn a_prefix_that_is_missing_or_too_many_is_seen() {
    for name in SIGNING {
        let world = World::new(name);
        let header = world.header();
        let bare = signature(&world.request(), &header);
        for value in
            [bare.clone(), format!("sha256={bare}"), format!("v1={bare}"), format!("\"{bare}\"")]
        {
            let mut case = world.case();
            if case.pasted.header(&header) == Some(&value) {
                continue;
            }
            set_header(&mut case.pasted, &header, &value);
            let found = world.explained_by_one(&case);
            assert!(
                matches!(found, Deviation::Form(FormFault::Frame { .. })),
                "{value}: {found:?}"
            );
        }
    }
    let check = World::new("kakiyo");
    let case = Case { pasted: RequestText::default(), ..check.case() };
    assert_eq!(check.diagnose(&case).form, "sha256=<64 hexadecimal digits>");
}

#[test]
fn another_encoding_is_named() {
    for name in SIGNING {
        let world = World::new(name);
        let header = world.header();
        let value = world.request().header(&header).unwrap().to_owned();
        let bare = signature(&world.request(), &header);
        let right = if name == "standard" { Encoding::Base64 } else { Encoding::Hex };
        let bytes = right.read(&bare).unwrap();
        for other in
            [Encoding::Hex, Encoding::HexUpper, Encoding::Base64, Encoding::Base64urlUnpadded]
        {
            if other == right {
                continue;
            }
            let mut case = world.case();
            set_header(&mut case.pasted, &header, value.replace(&bare, &other.write(&bytes)));
            let Deviation::Form(fault) = world.explained_by_one(&case) else { panic!() };
            let FormFault::Encoding { found, expected } = fault else { panic!("{fault:?}") };
            // Digests without the letters that two encodings disagree about are in both.
            assert_eq!((found.write(&bytes), expected), (other.write(&bytes), right), "{name}");
        }
    }
}

#[test]
fn another_algorithm_is_named_and_a_wrong_length_said() {
    for name in SIGNING {
        let world = World::new(name);
        let header = world.header();
        let request = world.request();
        let value = request.header(&header).unwrap().to_owned();
        let bare = signature(&request, &header);
        let content: String = world
            .diagnose(&world.case())
            .signed
            .into_iter()
            .map(|part| part.value.unwrap())
            .collect();
        let key = world.contract.secret().key_bytes(&world.secret).unwrap();
        let right = if name == "standard" { Encoding::Base64 } else { Encoding::Hex };
        for (algorithm, hash, is_keyed) in [
            (Algorithm::HmacSha1, "sha1", true),
            (Algorithm::HmacSha512, "sha512", true),
            (Algorithm::HmacMd5, "md5", true),
            (Algorithm::Sha256, "sha256", false),
        ] {
            let digest = right.write(&algorithm.compute(&key, content.as_bytes()));
            let mut case = world.case();
            set_header(&mut case.pasted, &header, value.replace(&bare, &digest));
            let expected =
                Deviation::Algorithm { expected: "sha256", found: hash, keyed: is_keyed };
            assert_eq!(world.explained_by_one(&case), expected, "{name}");
            case.pasted.body.push('x');
            let found = world.findings(&case);
            let length = Finding::Length { found: digest_bytes(algorithm), expected: 32 };
            assert_eq!(found.contains(&length), algorithm != Algorithm::Sha256, "{found:?}");
        }
        let mut case = world.case();
        set_header(&mut case.pasted, &header, "nothing like it!");
        assert_eq!(world.findings(&case), [Finding::Malformed], "{name}");
        // The beginning of a signature is none: who could try beginnings could guess.
        set_header(&mut case.pasted, &header, &value[..value.len() - 4]);
        world.findings(&case);
    }
}

fn digest_bytes(algorithm: Algorithm) -> usize {
    algorithm.compute(&[], &[]).len()
}

/// Another secret that the contract accepts.
fn another(world: &World) -> SecretText {
    let rules = world.contract.secret();
    let made = rules.generate(SecretKind::Symmetric, &Entropy::seeded(1));
    made.unwrap_or_else(|| SecretText::new("another-secret"))
}

#[test]
fn whose_secret_it_was_is_said() {
    for name in SIGNING {
        let world = World::new(name);
        let mut case = world.case();
        case.candidates = vec![chosen(&another(&world))];
        assert_eq!(world.findings(&case), [], "{name}");
        let owner = Owner { webhook: Some("Invoices".to_owned()), ..Owner::default() };
        case.candidates.push(Candidate { owner: owner.clone(), text: world.secret.clone() });
        let found = world.explained_by_one(&case);
        assert_eq!(found, Deviation::Secret { owner, fault: None }, "{name}");
        // The event as it was sent tells that nothing but the secret is wrong.
        case.candidates.pop();
        case.sent = vec![world.request()];
        assert_eq!(world.findings(&case), [Finding::AsSent]);
    }
}

#[test]
fn the_secret_before_a_rotation_is_good_until_it_ends() {
    for name in SIGNING {
        let world = World::new(name);
        let mut case = world.case();
        let end = case.now + Duration::from_secs(3_600);
        let mut old = chosen(&world.secret);
        old.owner.until = Some(end);
        let owner = old.owner.clone();
        case.candidates = vec![chosen(&another(&world)), old];
        let said = Deviation::Secret { owner, fault: None };
        assert_eq!(world.remarks(&case), std::slice::from_ref(&said), "{name}");
        case.now = end;
        assert_eq!(world.explained_by_one(&case), said, "{name}");
    }
    // While both sign, both signatures are there, and either secret will do.
    let mut world = World::new("standard");
    world.sample.replaced = Some(another(&world));
    for secret in [world.secret.clone(), another(&world)] {
        let mut case = world.case();
        case.candidates = vec![chosen(&secret)];
        assert_eq!(world.remarks(&case), []);
    }
}

/// The request, signed with these very bytes.
fn signed_with(world: &World, key: &[u8]) -> Case {
    let mut case = world.case();
    let header = world.header();
    let value = case.pasted.header(&header).unwrap().to_owned();
    let bare = signature(&case.pasted, &header);
    let signed = world.diagnose(&case).signed;
    let content: String = signed.into_iter().map(|part| part.value.unwrap()).collect();
    let digest = Algorithm::HmacSha256.compute(key, content.as_bytes());
    let encoding = if value.starts_with("v1") { Encoding::Base64 } else { Encoding::Hex };
    set_header(&mut case.pasted, &header, value.replace(&bare, &encoding.write(&digest)));
    case
}

#[test]
fn mistakes_with_a_secret_are_told_apart() {
    for name in SIGNING {
        let world = World::new(name);
        let rules = world.contract.secret();
        let text = world.secret.expose();
        let mut mistakes: Vec<(Vec<u8>, SecretFault)> = vec![
            (Vec::new(), SecretFault::Empty),
            (b"undefined".to_vec(), SecretFault::Word("undefined")),
            (format!("\"{text}\"").into_bytes(), SecretFault::Quoted),
            (format!("{text}\n").into_bytes(), SecretFault::Ending("\n")),
        ];
        match name {
            "standard" => {
                let rest = text.strip_prefix("whsec_").unwrap();
                mistakes.push((text.as_bytes().to_vec(), SecretFault::Text));
                mistakes.push((rest.as_bytes().to_vec(), SecretFault::TextWithoutPrefix));
                // What Node makes of Buffer.from("whsec_AQID…", "base64").
                let url_safe = format!("{text}AA").replace('+', "-").replace('/', "_");
                let mut all = Encoding::Base64url.read(&url_safe).unwrap();
                all.truncate(text.len() * 6 / 8);
                mistakes.push((all, SecretFault::DecodedWithPrefix));
            }
            "klink" | "rechat" => {
                mistakes.push((hex::decode(text).unwrap(), SecretFault::Decoded));
            }
            _ => {}
        }
        for (key, fault) in mistakes {
            let case = signed_with(&world, &key);
            let Deviation::Secret { fault: found, owner } = world.explained_by_one(&case) else {
                panic!()
            };
            assert_eq!((found, owner.chosen), (Some(fault), true), "{name}");
        }
        assert!(rules.check(text).is_ok());
    }
}

#[test]
fn a_pasted_secret_may_be_incomplete_or_surrounded() {
    let pasted = |text: String| Candidate {
        owner: Owner { webhook: None, chosen: true, until: None },
        text: SecretText::new(text),
    };
    for name in SIGNING {
        let world = World::new(name);
        let text = world.secret.expose();
        let mut case = world.case();
        case.candidates = vec![pasted(format!(" '{text}' "))];
        let Deviation::Secret { fault, .. } = world.explained_by_one(&case) else { panic!() };
        assert_eq!(fault, Some(SecretFault::Surrounded), "{name}");
    }
    let world = World::new("standard");
    let mut case = world.case();
    let rest = world.secret.expose().strip_prefix("whsec_").unwrap().to_owned();
    case.candidates = vec![pasted(rest)];
    let Deviation::Secret { fault, .. } = world.explained_by_one(&case) else { panic!() };
    assert_eq!(fault, Some(SecretFault::NoPrefix));
    case.candidates = vec![pasted("whsec_!".to_owned())];
    let sentence = "The secret must be written in base64.".to_owned();
    assert_eq!(world.findings(&case), [Finding::SecretForm(sentence)]);
    case.candidates.clear();
    assert_eq!(world.findings(&case), [Finding::NoSecret]);
}

#[test]
fn key_pairs_verify_by_either_half() {
    let contract = Contract::shipped("standard").unwrap();
    let mut world = World::of(Arc::clone(&contract));
    let secret = contract.secret().example_of(SecretKind::Ed25519).unwrap();
    world.sample.secret = Some(secret.clone());
    let public = contract.secret().known(&secret).unwrap();
    for text in [secret, public] {
        let mut case = world.case();
        case.candidates = vec![chosen(&text)];
        assert!(matches!(contract.diagnose(&case).verdict, Verdict::Valid { .. }));
        case.pasted.body.push('\n');
        let Verdict::Explained(found) = contract.diagnose(&case).verdict else { panic!() };
        assert!(matches!(&found[..], [Deviation::Body { fault: BodyFault::Ends, .. }]));
        // A shared secret can't have made what only a key pair makes.
        case.candidates = vec![chosen(&contract.secret().example().unwrap())];
        let Verdict::Unexplained(found) = contract.diagnose(&case).verdict else { panic!() };
        assert!(found.contains(&Finding::NoSecret) || found.contains(&Finding::OtherKind));
    }
}

#[test]
fn many_signatures_cost_no_more_than_a_few() {
    let contract = Contract::shipped("standard").unwrap();
    let mut world = World::of(Arc::clone(&contract));
    world.sample.secret = contract.secret().example_of(SecretKind::Ed25519);
    let mut case = world.case();
    case.candidates = vec![chosen(world.sample.secret.as_ref().unwrap())];
    let header = world.header();
    let checks = contract.checks().unwrap();
    let of_pairs = |check: &&parts::Check<'_>| check.signature.algorithm == Algorithm::Ed25519;
    let check = checks.iter().find(of_pairs).unwrap();
    // Each could be one by a key pair: 86 digits, the last of which has only two bits, and padding.
    let wrong = |number: usize| format!("{number:A>85}A==");
    for name in [header.as_str(), "x-signature"] {
        for start in ["v1a,", "v9,"] {
            case.pasted.headers.retain(|(known, _)| known != name && *known != header);
            let value = |number| (name.to_owned(), format!("{start}{}", wrong(number)));
            case.pasted.headers.extend((0..HEADER_LINES).map(value));
            let targets = look::targets(check, &case.pasted);
            assert_eq!(targets.len(), given::SIGNATURES, "{name}: {start}");
            let found = contract.diagnose(&case).tried;
            let verified = found.signatures * targets.len();
            assert!(verified > 0 && verified <= 1_024, "{name}: {start}: {found:?}");
        }
    }
}
