//! Requests that differ from what was signed.

use super::*;

#[test]
fn a_changed_body_is_shown_where_the_event_is_known() {
    for name in SIGNING {
        let world = World::new(name);
        let mut case = world.case();
        case.sent = vec![world.request()];
        case.pasted.body = case.pasted.body.replace("[1,2.5", "[1,3.5");
        let Deviation::Body { fault, difference } = world.explained_by_one(&case) else { panic!() };
        assert_eq!(fault, BodyFault::Other, "{name}");
        let difference = difference.unwrap();
        assert!(difference.common.ends_with("[1,"), "{name}: {difference:?}");
        assert!(difference.signed.starts_with("2.5") && difference.given.starts_with("3.5"));
        // Without the event there is nothing to compare it with.
        case.sent.clear();
        assert_eq!(world.findings(&case), []);
    }
}

#[test]
fn a_body_that_was_parsed_and_printed_again_names_the_printer() {
    for name in SIGNING {
        let world = World::new(name);
        for print in prints::PRINTS {
            let mut case = world.case();
            case.sent = vec![world.request()];
            case.pasted.body = print.print(&world.request().body, usize::MAX).unwrap();
            let sent = &case.sent[0].body;
            if case.pasted.body.trim_end() == sent.trim_end() {
                continue;
            }
            let found = world.explained_by_one(&case);
            let Deviation::Body { fault, difference } = &found else { panic!("{found:?}") };
            let ways = match fault {
                BodyFault::Reprinted(ways) if name != "klink" => ways,
                BodyFault::NotCanonical(ways) if name == "klink" => ways,
                other => panic!("{name}, {}: {other:?}", print.title),
            };
            assert!(ways.contains(&print), "{name}, {}: {ways:?}", print.title);
            assert!(difference.is_some());
        }
    }
}

#[test]
fn an_event_is_recognised_among_those_that_the_webhook_got() {
    for name in SIGNING {
        let world = World::new(name);
        let mut case = world.case();
        case.pasted.body = case.pasted.body.replace("[1,2.5", "[1,3.5");
        let mut other = world.request();
        other.body = other.body.replace("[1,2.5", "[0,2.5");
        case.recent = vec![other.clone()];
        // Another event says nothing about this one.
        assert_eq!(world.findings(&case), [], "{name}");
        case.recent = vec![other, world.request()];
        let found = world.explained_by_one(&case);
        assert!(matches!(found, Deviation::Body { fault: BodyFault::Other, .. }), "{found:?}");
    }
}

#[test]
fn printing_is_found_out_without_the_event_too() {
    for name in SIGNING {
        let world = World::new(name);
        for print in prints::PRINTS {
            let mut case = world.case();
            case.pasted.body = print.print(&world.request().body, usize::MAX).unwrap();
            // The order of keys that were sorted is lost, and so are zeros behind numbers.
            let sorts = print.print(r#"{"b":1,"a":2}"#, usize::MAX).unwrap().starts_with(r#"{"a"#);
            let ends = case.pasted.body.trim_end() == world.request().body;
            let shortens = print.print("1.50", usize::MAX).unwrap().trim_end() != "1.50";
            if (sorts && name != "klink") || (shortens && name == "rechat") || ends {
                continue;
            }
            let found = world.explained_by_one(&case);
            assert!(matches!(found, Deviation::Body { .. }), "{name}, {}: {found:?}", print.title);
        }
    }
}

#[test]
fn numbers_that_a_printer_has_shortened_are_seen() {
    for name in ["standard", "kynectlocal", "klink", "rechat"] {
        let mut world = World::new(name);
        world.sample.payload = Arc::from(r#"{"price":1.0,"other":2.50}"#);
        let mut case = world.case();
        case.sent = vec![world.request()];
        case.pasted.body = prints::PRINTS[0].print(&case.pasted.body, usize::MAX).unwrap();
        let Deviation::Body { fault, .. } = world.explained_by_one(&case) else { panic!() };
        let BodyFault::Reprinted(ways) = fault else { panic!("{name}: {fault:?}") };
        assert!(ways.iter().any(|way| way.family == Family::JavaScript), "{name}: {ways:?}");
    }
}

#[test]
fn other_things_that_happen_to_bodies_have_names() {
    let world = World::new("standard");
    let body = world.request().body;
    let latin1: String = body.bytes().map(char::from).collect();
    let quoted = serde_json::to_string(&body).unwrap();
    for (changed, expected) in [
        (format!("{body}\n"), BodyFault::Ends),
        (format!("  {body}"), BodyFault::Ends),
        (latin1, BodyFault::Charset),
        (quoted, BodyFault::Wrapped),
        (format!("\u{feff}{body}"), BodyFault::Wrapped),
        (Encoding::Base64.write(body.as_bytes()), BodyFault::Wrapped),
    ] {
        let mut case = world.case();
        case.pasted.body.clone_from(&changed);
        let Deviation::Body { fault, .. } = world.explained_by_one(&case) else { panic!() };
        assert_eq!(fault, expected, "{changed}");
    }
    let mut case = world.case();
    case.sent = vec![world.request()];
    case.pasted.body.clear();
    let Deviation::Body { fault, .. } = world.explained_by_one(&case) else { panic!() };
    assert_eq!(fault, BodyFault::Empty);
}

#[test]
fn signed_headers_that_were_changed_are_shown_with_what_was_sent() {
    let world = World::new("standard");
    let sent = world.request();
    for (name, value) in [("webhook-timestamp", "1736951521"), ("webhook-id", "msg_other")] {
        let mut case = world.case();
        case.sent = vec![sent.clone()];
        set_header(&mut case.pasted, name, value);
        let expected = Deviation::Value {
            place: Place::Header(name.to_owned()),
            signed: sent.header(name).map(str::to_owned),
            given: Some(value.to_owned()),
        };
        assert_eq!(world.explained_by_one(&case), expected);
        case.pasted.headers.retain(|(known, _)| known != name);
        let found = world.explained_by_one(&case);
        assert!(matches!(found, Deviation::Value { given: None, .. }), "{found:?}");
        case.sent.clear();
        assert_eq!(world.findings(&case), [Finding::MissingValue(Place::Header(name.to_owned()))]);
    }
}

#[test]
fn old_requests_are_valid_and_called_old() {
    let world = World::new("standard");
    let mut case = world.case();
    let seconds = |seconds| Timestamp::from_seconds(world.sample.time.as_seconds() + seconds);
    for (now, notes) in [
        (seconds(300), vec![]),
        (seconds(301), vec![Note::Old(seconds(0))]),
        (seconds(-301), vec![Note::Ahead(seconds(0))]),
    ] {
        case.now = now;
        assert_eq!(world.diagnose(&case).notes, notes);
        assert_eq!(world.remarks(&case), []);
    }
    // Where no time is signed, nobody can call a request old.
    let world = World::new("kakiyo");
    let case = Case { now: world.sample.time + Duration::from_secs(86_400), ..world.case() };
    assert_eq!(world.diagnose(&case).notes, []);
}

#[test]
fn the_url_as_a_proxy_changed_it_is_compared_with_the_signed_one() {
    let world = World::new("klink");
    for (url, differs) in [
        ("http://example.com/hooks?b=2&a=1", vec![UrlPart::Scheme]),
        ("https://example.com/hooks/?b=2&a=1", vec![UrlPart::TrailingSlash]),
        ("https://example.com/hooks", vec![UrlPart::Query]),
        ("http://10.0.0.7:3000/hooks?b=2&a=1", vec![UrlPart::Scheme, UrlPart::Host, UrlPart::Port]),
        ("https://example.com/v2/hooks?b=2&a=1", vec![UrlPart::Path]),
    ] {
        let mut case = world.case();
        case.pasted.url = url.to_owned();
        let Deviation::Url { differs: found, signed, .. } = world.explained_by_one(&case) else {
            panic!()
        };
        assert_eq!((found, signed.as_str()), (differs, world.sample.url.as_str()), "{url}");
    }
    // The order of parameters doesn't count, as they are sorted.
    let mut case = world.case();
    case.pasted.url = "https://example.com/hooks?a=1&b=2".to_owned();
    assert_eq!(world.remarks(&case), []);
}

#[test]
fn some_of_a_url_is_found_out_without_the_webhook() {
    let world = World::new("klink");
    let mut case = world.case();
    case.registered = RequestText::default();
    case.pasted.url = "http://example.com:443/hooks?b=2&a=1".to_owned();
    assert!(matches!(world.explained_by_one(&case), Deviation::Url { .. }));
    case.pasted.url = "/hooks?b=2&a=1".to_owned();
    set_header(&mut case.pasted, "host", "example.com");
    assert_eq!(world.remarks(&case), []);
    case.pasted.headers.retain(|(name, _)| name != "host");
    assert_eq!(world.findings(&case), [Finding::NoUrl]);
}

#[test]
fn what_was_not_given_is_the_webhook_s_and_said() {
    let world = World::new("klink");
    let mut case = world.case();
    case.pasted.url.clear();
    case.pasted.method.clear();
    let found = world.diagnose(&case);
    assert!(matches!(found.verdict, Verdict::Valid { .. }));
    let url = Note::UrlTaken(world.sample.url.clone());
    assert_eq!(found.notes, [Note::MethodTaken("POST".to_owned()), url]);
    case.pasted.method = "PUT".to_owned();
    let expected = Deviation::Method { signed: "POST".to_owned(), given: "PUT".to_owned() };
    assert_eq!(world.explained_by_one(&case), expected);
}

#[test]
fn two_things_at_once_are_found() {
    let world = World::new("standard");
    let mut case = world.case();
    case.sent = vec![world.request()];
    case.pasted.body.push(' ');
    set_header(&mut case.pasted, "webhook-timestamp", "1");
    assert_eq!(world.explained(&case).len(), 2);
}

#[test]
fn a_frame_of_a_websocket_is_verified_like_a_request() {
    let mut world = World::new("klink");
    world.sample.transport = Transport::Websocket;
    world.sample.url = "wss://example.com/socket".to_owned();
    let sent = world.sample.with_input(|input| world.contract.sent(input)).unwrap().0;
    let framed = world.sample.with_input(|input| world.contract.render_message(input)).unwrap();
    let mut pasted = RequestText { body: framed.frame, ..RequestText::default() };
    assert_eq!(pasted.unframe(), None);
    let registered =
        RequestText { method: sent.method.clone(), url: sent.url.clone(), ..Default::default() };
    let case = Case {
        pasted,
        registered,
        candidates: vec![chosen(&world.secret)],
        now: world.sample.time,
        ..Case::default()
    };
    assert!(matches!(world.contract.diagnose(&case).verdict, Verdict::Valid { .. }));
}

#[test]
fn a_token_in_a_frame_is_a_credential() {
    let text = r#"
        name = "tokens"
        [delivery]
        [[signature]]
        header = "X-Token"
        algorithm = "token"
        format = "Bearer {{ signature }}"
        [secret]
        [endpoint]
        transports = ["webhook", "websocket"]
    "#;
    let mut world = World::of(Arc::new(Contract::load("tokens.toml", text).unwrap()));
    for transport in [Transport::Webhook, Transport::Websocket] {
        world.sample.transport = transport;
        let sent = world.sample.with_input(|input| world.contract.sent(input));
        let (request, credentials) = sent.unwrap();
        assert!(request.header("x-token").unwrap().contains(world.secret.expose()));
        assert_eq!(credentials, ["x-token"], "{transport:?}");
    }
}
