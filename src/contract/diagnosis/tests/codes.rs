//! Signatures that receivers' own code came to.

use super::*;
use crate::contract::Encoding;

/// What code with a mistake computes: over `content`, with the right key.
fn computed(world: &World, content: &str) -> String {
    let key = world.contract.secret().key_bytes(&world.secret).unwrap();
    let encoding =
        if world.contract.name() == "standard" { Encoding::Base64 } else { Encoding::Hex };
    encoding.write(&Algorithm::HmacSha256.compute(&key, content.as_bytes()))
}

#[track_caller]
fn mistake(world: &World, content: &str) -> Vec<Deviation> {
    let case = Case { computed: computed(world, content), ..world.case() };
    match world.contract.diagnose(&case).computed {
        Computed::Explained(found, _) => found,
        other => panic!("{}: {other:?}", world.contract.name()),
    }
}

#[test]
fn code_that_is_right_hears_it() {
    for name in SIGNING {
        let world = World::new(name);
        let right = signature(&world.request(), &world.header());
        let case = Case { computed: right, ..world.case() };
        assert_eq!(world.diagnose(&case).computed, Computed::Right, "{name}");
        let case = Case { computed: "00".repeat(32), ..world.case() };
        assert_eq!(world.diagnose(&case).computed, Computed::Unexplained, "{name}");
    }
}

#[test]
fn code_that_prints_the_body_again_hears_how() {
    for name in SIGNING {
        let world = World::new(name);
        let request = world.request();
        for print in prints::PRINTS {
            let printed = print.print(&request.body, usize::MAX).unwrap();
            if printed.trim_end() == request.body.trim_end() {
                continue;
            }
            let signed = world.diagnose(&world.case()).signed;
            let whole: String = signed.into_iter().map(|part| part.value.unwrap()).collect();
            let found = mistake(&world, &whole.replace(&request.body, &printed));
            let [Deviation::Body { fault, .. }] = &found[..] else { panic!("{found:?}") };
            let (BodyFault::Reprinted(ways) | BodyFault::NotCanonical(ways)) = fault else {
                panic!("{name}: {fault:?}")
            };
            assert!(ways.contains(&print), "{name}, {}: {ways:?}", print.title);
        }
    }
}

#[test]
fn code_that_signs_other_parts_hears_which() {
    let world = World::new("standard");
    let request = world.request();
    let (id, body) = (request.header("webhook-id").unwrap(), &request.body);
    let time = request.header("webhook-timestamp").unwrap();
    let without =
        |name: &str| ContentFault::Without(PartKind::Value(Place::Header(name.to_owned())));
    for (content, fault) in [
        (body.clone(), ContentFault::BodyOnly),
        (format!("{id}{time}{body}"), ContentFault::NoLiterals),
        (format!("{time}.{body}"), without("webhook-id")),
        (format!("{id}.{body}"), without("webhook-timestamp")),
    ] {
        assert_eq!(mistake(&world, &content), [Deviation::Content(fault)]);
    }
    let world = World::new("klink");
    let body = world.request().body;
    let url = "https://example.com/hooks";
    for (content, fault) in [
        (body.clone(), ContentFault::BodyOnly),
        (format!("POST{url}b=2&a=1{body}"), ContentFault::QueryAsSent),
        (format!("{url}a=1&b=2{body}"), ContentFault::Without(PartKind::Method)),
        (format!("POST{url}?b=2&a=1a=1&b=2{body}"), ContentFault::QueryInUrl),
    ] {
        assert_eq!(mistake(&world, &content), [Deviation::Content(fault)]);
    }
    let found = mistake(&world, &format!("POST{url}{body}"));
    let [Deviation::Url { differs, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!(differs, &[UrlPart::Query]);
    let found = mistake(&world, &format!("posthttps://example.com/hooksa=1&b=2{body}"));
    let expected = Deviation::Method { signed: "POST".to_owned(), given: "post".to_owned() };
    assert_eq!(found, [expected]);
}

#[test]
fn code_is_compared_with_what_was_sent_and_not_with_what_was_pasted() {
    let world = World::new("rechat");
    let mut case = world.case();
    case.sent = vec![world.request()];
    case.pasted.body = prints::PRINTS[1].print(&case.pasted.body, usize::MAX).unwrap();
    case.computed = computed(&world, &case.pasted.body);
    let found = world.contract.diagnose(&case);
    assert!(matches!(found.verdict, Verdict::Explained(_)));
    let Computed::Explained(mistakes, Some(difference)) = found.computed else { panic!() };
    assert!(matches!(&mistakes[..], [Deviation::Body { fault: BodyFault::Reprinted(_), .. }]));
    assert!(difference.signed.starts_with('"') && difference.given.starts_with(' '));
}
