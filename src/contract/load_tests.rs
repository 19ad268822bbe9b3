use super::*;

const HEAD: &str = "name = \"acme\"\n";

/// The problems of a file, as they are printed.
fn problems(text: &str) -> Vec<String> {
    match Contract::load("acme.toml", text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn only(text: &str) -> String {
    let mut found = problems(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn a_name_is_all_that_a_contract_needs() {
    let contract = Contract::load("acme.toml", HEAD).unwrap();
    assert_eq!((contract.name(), contract.title()), ("acme", "acme"));
    assert_eq!(contract.retry().timeout.as_secs(), 15);
    assert_eq!(contract.retry().retries.len(), 7);
    assert_eq!(contract.pause(), PausePolicy::Never);
    assert_eq!(contract.secret().origin, SecretOrigin::None);
    assert_eq!(contract.endpoint().http_methods, [Method::Post]);
    let request = contract.example(&contract.sample(None).unwrap()).unwrap();
    assert_eq!(&request.body[..], br#"{"example":true}"#);
}

#[test]
fn broken_toml_is_one_problem_with_its_line() {
    let found = only("name = \"acme\"\n\n[delivery\n");
    assert!(found.starts_with("acme.toml:3: this isn't TOML: "), "{found}");
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = r#"nmae = "acme"
name = "acme"
title = 5

[delivery]
timeout = "soon"
retries = ["5s", 3, "x"]
methd = "POST"
success = "everything"
jitter = 2.0

[[signature]]
header = "X-Sig"
algorithm = "hmac-sha265"

[pause]
consecutive = 4
failures = 3

[endpoint]
http_methods = ["post"]
auth = ["none", "oauth"]

[[groups]]
name = "orders"

[[events]]
name = "order.created"
group = "order"

[[events]]
name = "order.created"
example = '''
{
  "a": }
'''
"#;
    let expected = [
        "acme.toml:1: unknown key `nmae` (did you mean `name`?)",
        "acme.toml:3: invalid type: integer `5`, expected a string",
        "acme.toml:6: `soon` isn't a duration (a whole number and ms, s, m, h or d, such as \"30s\")",
        "acme.toml:7: invalid type: integer `3`, expected a string",
        "acme.toml:8: unknown key `methd` (did you mean `method`?)",
        "acme.toml:9: `everything` isn't a range of statuses (such as \"2xx\", \"204\" or \"200-204\")",
        "acme.toml:10: `jitter` must be between 0 and 1",
        "acme.toml:14: unknown value `hmac-sha265` (did you mean `hmac-sha256`?)",
        "acme.toml:16: [pause] must have exactly one rule (`consecutive`, `failures` with `within`, or `failing_for`)",
        "acme.toml:21: `post` isn't a method (it is one of GET, POST, PUT, PATCH, DELETE)",
        "acme.toml:22: unknown value `oauth` (known: none, basic, header)",
        "acme.toml:29: there is no group `order` (did you mean `orders`?)",
        "acme.toml:32: the event `order.created` is listed twice",
        "acme.toml:35: the example isn't JSON: a value was expected at byte 9",
    ];
    let found = problems(text);
    for line in expected {
        assert!(found.iter().any(|problem| problem == line), "missing {line}\nin {found:#?}");
    }
    // Only one follows from another: without its wrong value, the signature lacks the key.
    let others: Vec<_> = found.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    assert_eq!(
        others,
        ["acme.toml:12: the signature has no `algorithm` (such as hmac-sha256, ed25519 or token)"]
    );
}

#[test]
fn errors_in_templates_point_to_their_own_line() {
    let text = format!(
        "{HEAD}[delivery]\nbody = '''\n{{\n  \"a\": {{{{ event.typ }}}},\n  \"b\": {{{{ payload|canonicl }}}}\n}}\n'''\n"
    );
    assert_eq!(
        only(&text),
        "acme.toml:5: delivery.body: `event.typ` isn't defined here (did you mean `event.type`?)"
    );
    let filter = text.replace("event.typ ", "event.type ");
    assert_eq!(
        only(&filter),
        "acme.toml:6: delivery.body: there is no filter `canonicl` (did you mean `canonical`?)"
    );
    let syntax = format!("{HEAD}[delivery.headers]\nX-A = \"1\"\nX-B = \"{{{{ event.type \"\n");
    assert!(only(&syntax).starts_with("acme.toml:4: delivery.headers.X-B: "), "{}", only(&syntax));
}

#[test]
fn bodies_have_to_be_json_for_every_event() {
    let quoted = format!("{HEAD}[delivery]\nbody = '{{\"id\":\"{{{{ event.id }}}}\"}}'\n");
    let problem = only(&quoted);
    assert!(problem.starts_with("acme.toml:3: delivery.body: the body isn't JSON: "), "{problem}");
    assert!(
        problem.ends_with("(values are quoted for you: {{ event.type }} without quotes around it)")
    );
    // The same text is fine where the content type isn't JSON.
    let text = quoted.replace("[delivery]", "[delivery]\ncontent_type = \"text/plain\"");
    assert_eq!(problems(&text), Vec::<String>::new());
    // An event that no group matches has none, which a template has to cope with.
    let group = format!("{HEAD}[delivery]\nbody = '[{{{{ event.group }}}}]'\n");
    assert_eq!(problems(&group), Vec::<String>::new());
    // Even where every event of the catalog has one: those that the company adds need not.
    let catalog = "[[groups]]\nname = \"g\"\n[[events]]\nname = \"e\"\ngroup = \"g\"\n";
    let group = format!("{HEAD}[delivery]\nbody = '[{{{{ event.group|length }}}}]'\n{catalog}");
    let problem = only(&group);
    assert!(problem.starts_with("acme.toml:3: delivery.body: "), "{problem}");
}

#[test]
fn headers_are_checked_and_set_once() {
    let signature = "[[signature]]\nheader = \"x-a\"\nalgorithm = \"hmac-sha256\"\n";
    let headers =
        |headers: &str| format!("{HEAD}[delivery]\nheaders = {{ {headers} }}\n{signature}");
    assert_eq!(only(&headers("X-A = '1'")), "acme.toml:4: the header `x-a` is set twice",);
    assert_eq!(only(&headers("'a b' = '1'")), "acme.toml:3: `a b` isn't a valid header name");
    assert_eq!(
        only(&headers("Content-Type = 'text/xml'")),
        "acme.toml:3: the header `Content-Type` is the server's (the content type is `content_type` of [delivery])"
    );
    let line_break = headers("X-B = \"{{ event.type }}\\u000aX-C: 1\"");
    assert_eq!(
        only(&line_break),
        "acme.toml:3: delivery.headers.X-B: the value can't be sent in a header (a header can't contain line breaks or control characters)"
    );
}

#[test]
fn methods_without_a_body_need_a_parameter_for_it() {
    let text = format!("{HEAD}[endpoint]\nhttp_methods = [\"POST\", \"GET\"]\n");
    assert!(
        problems(&text)[0].starts_with("acme.toml:3: GET requests have no body to carry the event")
    );
    let with = text.replace("[endpoint]", "[delivery]\nbody_in_query = \"payload\"\n[endpoint]");
    assert_eq!(problems(&with), Vec::<String>::new());
    let other = format!("{HEAD}[endpoint]\nhttp_methods = [\"PUT\"]\n");
    assert_eq!(only(&other), "acme.toml:3: the default method POST isn't among the methods");
}

#[test]
fn rules_for_secrets_have_to_be_consistent() {
    let with = |secret: &str| {
        only(&format!(
            "{HEAD}[[signature]]\nheader = \"x\"\nalgorithm = \"hmac-sha1\"\n[secret]\n{secret}"
        ))
    };
    assert!(
        with("origin = \"none\"").starts_with("acme.toml:2: there are no secrets to sign with")
    );
    assert!(with("bytes = 8").starts_with("acme.toml:6: `bytes` must be"));
    assert!(with("min_bytes = 0").starts_with("acme.toml:6: `min_bytes` must be"));
    assert!(with("max_bytes = 4096").starts_with("acme.toml:6: a secret can have at most 1024"));
    assert!(with("encoding = \"text\"").contains("a generated secret can't be plain text"));
    assert!(
        with("origin = \"required\"\nencoding = \"text\"\nkey = \"decoded\"")
            .contains("no decoded bytes")
    );
    assert!(with("overlap = \"1 day\"").starts_with("acme.toml:6: `1 day` isn't a duration"));
}

#[test]
fn the_sections_take_what_they_say() {
    let text = format!(
        "{HEAD}[delivery]\nsuccess = \"200-204\"\ngone = 404\nretries = []\n[pause]\nfailures = 50\nwithin = \"1h\"\n"
    );
    let long = format!("{HEAD}[delivery]\nsuccess_body = \"{}\"\n", "x".repeat(65));
    assert!(only(&long).starts_with("acme.toml:3: `success_body` must have 1 to 64 bytes"));
    let socket = format!(
        "{HEAD}[delivery]\nsuccess_body = \"ok\"\n[endpoint]\ntransports = [\"websocket\"]\n"
    );
    assert!(only(&socket).starts_with("acme.toml:3: a websocket's acknowledgement has no body"));
    let contract = Contract::load("acme.toml", &text).unwrap();
    assert_eq!(contract.retry().success, (200, 204));
    assert_eq!(contract.retry().gone, Some(404));
    assert!(contract.retry().retries.is_empty());
    let within = std::time::Duration::from_secs(3_600);
    assert_eq!(contract.pause(), PausePolicy::TooMany { failures: 50, within });
    for pause in ["failures = 3", "within = \"1h\"", "consecutive = 0", "failing_for = \"x\"", ""] {
        assert_eq!(problems(&format!("{HEAD}[pause]\n{pause}\n")).len(), 1, "{pause}");
    }
}

#[test]
fn names_of_contracts_and_events_are_checked() {
    assert_eq!(only("title = \"x\""), "acme.toml:1: the contract has no `name`");
    assert!(only("name = \"A b\"").starts_with("acme.toml:1: `A b` can't be a contract's name"));
    for event in ["", "*", "a b", "a\\nb"] {
        let text = format!("{HEAD}[[events]]\nname = \"{event}\"\n");
        assert_eq!(problems(&text).len(), 1, "{event}");
    }
    assert!(only(&" ".repeat(CONTRACT_BYTES + 1)).contains("larger than 1048576 bytes"));
}

#[test]
fn no_text_makes_the_loader_panic() {
    let examples = [
        ("slack", include_str!("../../examples/contracts/slack.toml")),
        ("mailgun", include_str!("../../examples/contracts/mailgun.toml")),
    ];
    for (name, text) in SHIPPED.into_iter().chain(examples) {
        // Every prefix of a real file, and the file with each line left out.
        for end in (0..text.len()).filter(|&end| end % 97 == 0 && text.is_char_boundary(end)) {
            let _ = Contract::load(name, &text[..end]);
        }
        let lines: Vec<&str> = text.lines().collect();
        for skipped in (0..lines.len()).step_by(7) {
            let mut rest = lines.clone();
            rest.remove(skipped);
            let _ = Contract::load(name, &rest.join("\n"));
        }
    }
}

#[test]
fn mistakes_in_signatures_are_explained() {
    let with = |signature: &str| only(&format!("{HEAD}[[signature]]\n{signature}"));
    let sha = "algorithm = \"hmac-sha256\"\n";
    for (signature, expected) in [
        (sha.to_owned(), "acme.toml:2: the signature has no `header` (a `name` is for"),
        (format!("{sha}name = \"A-b\""), "acme.toml:4: `A-b` can't be a signature's name"),
        (format!("{sha}name = \"a\"\nformat = \"x\""), "acme.toml:5: only a header has a `format`"),
        (
            "header = \"x\"\nalgorithm = \"md5\"".to_owned(),
            "acme.toml:2: whoever knows the content can make this signature (name {{ secret }}",
        ),
        (
            format!("{sha}header = \"x\"\ncontent = \"{{{{ secret }}}}\""),
            "acme.toml:5: signature.content: `secret` isn't defined here",
        ),
        (
            "header = \"x\"\nalgorithm = \"token\"\nencoding = \"hex\"".to_owned(),
            "acme.toml:5: a token is the secret as it stands",
        ),
        (
            format!("{sha}header = \"x\"\n[[signature]]\nheader = \"X\"\n{sha}"),
            "acme.toml:5: the header `x` is set twice (signatures that share a header need a `separator`)",
        ),
        (
            format!("{sha}name = \"a\"\n[[signature]]\nname = \"a\"\n{sha}"),
            "acme.toml:6: two signatures are called `a`",
        ),
        (
            format!("{sha}name = \"a\"\n[delivery]\nbody = '[{{{{ signature.a }}}}]'"),
            "acme.toml:6: delivery.body: `signature.a` isn't defined here (a signature can be named where",
        ),
        (
            format!(
                "{sha}name = \"a\"\ncontent = '{{{{ url }}}}'\n[delivery.query]\ns = '{{{{ signature.a }}}}'"
            ),
            "acme.toml:7: delivery.query.s: `signature.a` isn't defined here",
        ),
    ] {
        let problem = with(&signature);
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn signatures_share_a_header_only_with_a_separator_and_with_no_plain_header() {
    let signature =
        "[[signature]]\nheader = \"x\"\nalgorithm = \"hmac-sha256\"\nseparator = \",\"\n";
    assert_eq!(problems(&format!("{HEAD}{signature}{signature}")), Vec::<String>::new());
    let header = format!("{HEAD}[delivery.headers]\nx = \"1\"\n{signature}");
    assert!(only(&header).starts_with("acme.toml:4: the header `x` is set twice"));
}

#[test]
fn key_pairs_have_to_be_told_from_shared_secrets() {
    let pair = "[[signature]]\nheader = \"x\"\nalgorithm = \"ed25519\"\n";
    let both = format!("{HEAD}{pair}[[signature]]\nheader = \"y\"\nalgorithm = \"hmac-sha256\"\n");
    assert!(
        only(&both)
            .starts_with("acme.toml:2: symmetric secrets and private keys can't be told apart")
    );
    assert_eq!(problems(&format!("{both}[secret]\nprefix = \"sh_\"\n")), Vec::<String>::new());
    assert!(only(&format!("{both}[secret]\nprefix = \"whs\"\n")).contains("can't be told apart"));
    assert_eq!(problems(&format!("{HEAD}{pair}")), Vec::<String>::new());
    let text = format!("{HEAD}{pair}[secret.ed25519]\nencoding = \"text\"\n");
    assert!(only(&text).starts_with("acme.toml:6: keys are bytes"));
    let without = format!("{HEAD}[secret.ed25519]\nencoding = \"hex\"\n");
    assert!(only(&without).contains("there is no signature with the algorithm ed25519"));
}

#[test]
fn the_examples_load() {
    for entry in std::fs::read_dir("examples/contracts").unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Contract::load(name, &text).map(|_| ()), Ok(()), "{name}");
    }
}
