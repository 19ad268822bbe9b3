use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

#[test]
fn canonical_sorts_every_depth_and_touches_no_number() {
    for (text, expected) in [
        (
            r#" { "b" : 1.10 , "a" : [ { "z":1e3, "y":-0 } ] } "#,
            r#"{"a":[{"y":-0,"z":1e3}],"b":1.10}"#,
        ),
        (r#"{"b":12345678901234567890}"#, r#"{"b":12345678901234567890}"#),
        // U+FF5E sorts before U+1F600 by UTF-8, behind it by UTF-16.
        ("{\"😀\":1,\"～\":2,\"é\":3}", "{\"é\":3,\"～\":2,\"😀\":1}"),
        // Escaped keys sort by what they mean.
        (r#"{"\u0062":1,"a":2,"\ud83d\ude00":3}"#, "{\"a\":2,\"b\":1,\"😀\":3}"),
        (r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":3,"b":2}"#),
        (r#""\u001F\/\u00e9\b\f\n\r\t\"\\\u007f""#, "\"\\u001f/é\\b\\f\\n\\r\\t\\\"\\\\\u{7f}\""),
        (r#"["\ud800","\udc00x"]"#, r#"["\ud800","\udc00x"]"#),
        ("[]", "[]"),
        ("{ }", "{}"),
        ("null", "null"),
    ] {
        assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        assert_eq!(canonical(expected).as_deref(), Ok(expected), "a second time changes nothing");
    }
}

#[test]
fn stringified_orders_keys_like_javascript() {
    for (text, expected) in [
        (
            r#"{"b":1,"10":2,"9":3,"a":4,"01":5,"-1":6,"4294967294":7,"4294967295":8,"0":9}"#,
            r#"{"0":9,"9":3,"10":2,"4294967294":7,"b":1,"a":4,"01":5,"-1":6,"4294967295":8}"#,
        ),
        (r#"{"a":1,"b":2,"a":{"x":3}}"#, r#"{"a":{"x":3},"b":2}"#),
        (
            r#"{"n":[1.10,1e3,-0,12345678901234567890]}"#,
            r#"{"n":[1.1,1000,0,12345678901234567890]}"#,
        ),
    ] {
        assert_eq!(stringified(text).as_deref(), Ok(expected));
    }
}

#[test]
fn members_are_handed_on_as_they_were_written() {
    let lead =
        r#" { "email" : "a@b.c" , "score" : 1.0e1 , "x" : { "email" : [1, "}"] } , "q":"{" }"#;
    assert_eq!(member(lead, "email"), Ok(Some(r#""a@b.c""#)));
    assert_eq!(member(lead, "score"), Ok(Some("1.0e1")));
    assert_eq!(member(lead, "x"), Ok(Some(r#"{ "email" : [1, "}"] }"#)));
    assert_eq!(member(lead, "q"), Ok(Some(r#""{""#)));
    assert_eq!(member(lead, "phone"), Ok(None));
    assert_eq!(member(r#"{"a":1,"\u0061":2}"#, "a"), Ok(Some("2")));
    for other in ["{}", "[1]", "null", "\"email\""] {
        assert_eq!(member(other, "email"), Ok(None), "{other}");
    }
    assert!(member(r#"{"a":1"#, "a").is_err());
}

#[test]
fn nesting_stops_at_the_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(validate(&nested(MAX_DEPTH)), Ok(()));
    let error = validate(&nested(MAX_DEPTH + 1)).unwrap_err();
    assert_eq!(error.to_string(), "nested too deep at byte 64");
    assert!(validate(&"[".repeat(1_000_000)).is_err());
    // Around what may be published there is room for what a contract wraps it in.
    let wrapped = format!(r#"{{"data":{}}}"#, nested(MAX_DEPTH));
    assert_eq!(canonical(&wrapped).as_deref(), Ok(wrapped.as_str()));
    assert_eq!(stringified(&wrapped).as_deref(), Ok(wrapped.as_str()));
    assert_eq!(validate_body(&wrapped), Ok(()));
    assert!(canonical(&nested(MAX_DEPTH + ENVELOPE_DEPTH + 1)).is_err());
}

/// Escapes some of the characters, as other programs might have written them.
fn string_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => "[a-c0-9]",
        1 => prop::sample::select(vec!["é", "😀", "～", "\u{7f}", "\u{2028}", "\u{d7ff}", "/"])
            .prop_map(str::to_owned),
        1 => prop::sample::select(vec![r"\n", r"\u0000", r"\/", r#"\""#, r"\\", r"\u00E9"])
            .prop_map(str::to_owned),
        1 => Just(r"\ud83d\ude00".to_owned()),
    ];
    prop::collection::vec(character, 0..5).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// Numbers with few enough digits that a double holds them.
fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|number| number.to_string()),
        (any::<bool>(), 0..999_999_u32, 0..99_999_999_u32, -280..280_i32).prop_map(
            |(negative, whole, fraction, exponent)| {
                let sign = if negative { "-" } else { "" };
                format!("{sign}{whole}.{fraction}e{exponent}")
            }
        ),
        (0..9_999_u32, 0..9_999_u32).prop_map(|(whole, part)| format!("{whole}.{part:04}0")),
    ]
}

fn document(number: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        3 => number,
        3 => string_text(),
        1 => prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        let member =
            (string_text(), inner.clone()).prop_map(|(key, value)| format!("{key} : {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5)
                .prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            prop::collection::vec(member, 0..6)
                .prop_map(|items| format!("{{\n{}}}", items.join(","))),
        ]
    })
}

fn many(strategy: impl Strategy<Value = String>) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    (0..600).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Runs a program of another language over all texts at once.
fn elsewhere(program: &str, arguments: &[&str], texts: &[String]) -> Vec<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(texts).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn stringified_is_what_node_prints() {
    const SCRIPT: &str = "const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));\
        console.log(JSON.stringify(texts.map((text) => JSON.stringify(JSON.parse(text)))));";
    let texts = many(document(number_text()));
    let expected = elsewhere("node", &["-e", SCRIPT], &texts);
    for (text, expected) in texts.iter().zip(expected) {
        assert_eq!(stringified(text), Ok(expected), "{text}");
    }
}

#[test]
fn canonical_is_what_python_prints() {
    const SCRIPT: &str = "import json, sys\n\
        form = lambda text: json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, separators=(',', ':'))\n\
        sys.stdout.buffer.write(json.dumps([form(text) for text in json.load(sys.stdin.buffer)]).encode())";
    // Python rewrites fractions, so only whole numbers, as large as they like.
    let whole = any::<i128>().prop_map(|number| number.to_string());
    let texts = many(document(whole));
    let expected = elsewhere("python3", &["-c", SCRIPT], &texts);
    for (text, expected) in texts.iter().zip(expected) {
        // Python escapes DEL, which JSON doesn't require.
        assert_eq!(canonical(text), Ok(expected.replace("\\u007f", "\u{7f}")), "{text}");
    }
}

proptest! {
    #[test]
    fn exactly_what_serde_json_takes_is_json(
        text in document(number_text()),
        at in any::<prop::sample::Index>(),
        change in prop::sample::select(vec!["", "\"", ",", "}", "[", "0", "-", ".", "e", "\\", "\n", "n"]),
    ) {
        // One character is replaced, so that most texts are just barely not JSON.
        let places: Vec<(usize, char)> = text.char_indices().collect();
        let (start, old) = places[at.index(places.len())];
        let changed = format!("{}{change}{}", &text[..start], &text[start + old.len_utf8()..]);
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&changed);
        prop_assert_eq!(validate(&changed).is_ok(), theirs.is_ok(), "{}", changed);
    }

    #[test]
    fn rewriting_keeps_the_meaning(
        text in document(any::<i32>().prop_map(|number| number.to_string())),
    ) {
        let meaning: serde_json::Value = serde_json::from_str(&text).unwrap();
        for rewritten in [canonical(&text).unwrap(), stringified(&text).unwrap()] {
            let after: serde_json::Value = serde_json::from_str(&rewritten).unwrap();
            prop_assert_eq!(&after, &meaning);
        }
    }
}
