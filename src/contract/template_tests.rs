use super::*;
use crate::contract::{Contract, Sample};

fn sample() -> Sample {
    Contract::shipped("standard").unwrap().sample(None).unwrap()
}

fn scope_of(sample: &Sample) -> Scope {
    sample.with_input(|input| Scope::new(input, &Arc::default()))
}

fn compile(source: &str, escape: Escape, place: Place) -> Result<Template, Vec<TemplateError>> {
    Template::compile(source, escape, place, Origin { label: "t".into(), first_line: 10 }, &[])
}

fn render(source: &str, escape: Escape) -> Result<String, TemplateError> {
    let template = compile(source, escape, Place::Body).map_err(|mut errors| errors.remove(0))?;
    let bytes = template.render(&scope_of(&sample()))?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

fn message(source: &str) -> String {
    render(source, Escape::Json).unwrap_err().message
}

#[test]
fn json_templates_quote_texts_and_leave_json_alone() {
    let awkward = Sample {
        event_type: "a\"b\\\n\u{1}é".to_owned(),
        payload: r#"{"n": 1.10, "s":"\u00e9"}"#.into(),
        ..sample()
    };
    let source = r#"[{{ event.type }},{{ payload }},{{ attempt.number }},{{ timestamp|unix }},{{ timestamp|rfc3339_us }}]"#;
    let template = compile(source, Escape::Json, Place::Body).unwrap();
    let body = template.render(&scope_of(&awkward)).unwrap();
    let expected = r#"["a\"b\\\n\u0001é",{"n": 1.10, "s":"\u00e9"},1,1736951520,"2025-01-15T14:32:00.000000Z"]"#;
    assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
}

#[test]
fn user_data_is_never_read_as_a_template() {
    let sly = Sample {
        event_type: "{{ endpoint.url }}{% for x in y %}".to_owned(),
        payload: r#"{"x":"{{ 7 * 7 }}"}"#.into(),
        ..sample()
    };
    let template = compile("{{ event.type }}{{ payload }}", Escape::Plain, Place::Body).unwrap();
    let text = template.render(&scope_of(&sly)).unwrap();
    assert_eq!(&text[..], b"{{ endpoint.url }}{% for x in y %}{\"x\":\"{{ 7 * 7 }}\"}");
}

#[test]
fn a_filter_around_a_body_sees_escaped_json_and_is_not_escaped_again() {
    let source =
        r#"{% filter canonical %}{ "z": {{ event.type }}, "a": {{ payload }} }{% endfilter %}"#;
    let expected = r#"{"a":{"example":true},"z":"example.created"}"#;
    assert_eq!(render(source, Escape::Json).unwrap(), expected);
    assert_eq!(render("{{ payload|canonical }}", Escape::Json).unwrap(), r#"{"example":true}"#);
    assert_eq!(render("{{ payload|member(\"example\") }}", Escape::Json).unwrap(), "true");
}

#[test]
fn unknown_names_are_found_even_where_no_sample_goes() {
    let source = "{% if attempt.number > 99 %}\n{{ event.tpye }}{% endif %}";
    let errors = compile(source, Escape::Json, Place::Body).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].line, 11);
    assert_eq!(errors[0].message, "`event.tpye` isn't defined here");
    assert_eq!(errors[0].hint.as_deref(), Some("did you mean `event.type`?"));
    // The body isn't known while it is made, and secrets never are.
    for name in ["body", "signature", "endpoint.secrets", "endpoint.headers", "payload.email"] {
        let source = format!("{{{{ {name}|default(1) }}}}");
        assert!(compile(&source, Escape::Json, Place::Body).is_err(), "{name}");
    }
}

#[test]
fn mistakes_are_told_in_the_words_of_the_contract() {
    assert_eq!(
        message("{{ timestamp }}"),
        "a time has no form of its own: add a filter such as rfc3339, rfc3339_ms or unix"
    );
    assert_eq!(
        message("{{ event }}"),
        "only texts and numbers can be written: name a member, or join a list"
    );
    assert_eq!(
        message("{{ event.type|unix }}"),
        "this filter takes a time, such as timestamp or event.timestamp"
    );
    assert_eq!(
        message("{{ event.type|canonical }}"),
        "this isn't JSON: a value was expected at byte 0"
    );
    let error = render("\n\n{{ timestamp|rfc339 }}", Escape::Json).unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (12, "there is no filter `rfc339`"));
    assert_eq!(error.hint.as_deref(), Some("did you mean `rfc3339`?"));
    let broken = compile("a\n{{ event.type", Escape::Json, Place::Body).unwrap_err();
    assert_eq!(broken[0].line, 11);
    assert!(compile(&"x".repeat(TEMPLATE_BYTES + 1), Escape::Plain, Place::Body).is_err());
}

#[test]
fn fuel_stops_a_template_that_runs_on() {
    let bomb = "{% for a in [1]*1000 %}{% for b in [1]*1000 %}{% for c in [1]*1000 %}{{ c }}{% endfor %}{% endfor %}{% endfor %}";
    assert_eq!(message(bomb), "takes more than 10000 steps");
    let recursive = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    assert!(render(recursive, Escape::Json).is_err());
}

#[test]
fn a_loop_over_a_large_payload_comes_to_its_end() {
    let source = "[{% for one in payload|elements %}{{ one|member(\"a\") }}{% if not loop.last %},{% endif %}{% endfor %}]";
    let template = compile(source, Escape::Json, Place::Body).unwrap();
    let elements: Vec<String> = (0..20_000).map(|number| format!("{{\"a\":{number}}}")).collect();
    let large = Sample { payload: format!("[{}]", elements.join(",")).into(), ..sample() };
    let rendered = template.render(&scope_of(&large)).unwrap();
    let numbers: Vec<u32> = serde_json::from_slice(&rendered).unwrap();
    assert_eq!(numbers, (0..20_000).collect::<Vec<_>>());
}

#[test]
fn the_short_way_and_the_engine_write_the_same() {
    let mut sample = sample();
    sample.payload = r#"{"a":"<é\u0000&\"", "b":[1]}"#.into();
    let scope = scope_of(&sample).with_body("POST", bytes::Bytes::from_static(b"<b>&\"\n"));
    let scopes = [scope.clone(), scope.with_signatures(vec!["one&".to_owned(), "two".to_owned()])];
    let names =
        Place::Format.names().chain(["body", "method"]).filter(|name| name.split('.').count() < 3);
    let mut short = 0;
    for name in names {
        for filter in ["", "|unix", " | unix_ms ", "|rfc3339", "|rfc3339_ms", "|join(\" ,\")"] {
            let source = format!(" {{x}}}} {{{{ {name}{filter} }}}}{{{{{name}{filter}}}}}\n\n");
            // A block that does nothing is for the engine alone.
            let long = format!("{{% if true %}}{{% endif %}}{source}");
            for (scope, escape) in scopes.iter().flat_map(|scope| {
                [Escape::Plain, Escape::Json, Escape::Form, Escape::Xml].map(|one| (scope, one))
            }) {
                let (Ok(template), Ok(engine)) = (
                    compile(&source, escape, Place::Format),
                    compile(&long, escape, Place::Format),
                ) else {
                    continue;
                };
                let (rendered, expected) = (template.render(scope), engine.render(scope));
                short += u32::from(template.is_direct() && rendered.is_ok());
                assert_eq!(rendered, expected, "{source} {escape:?}");
            }
        }
    }
    assert!(short > 150, "{short}");
}

#[test]
fn members_are_the_last_of_their_name_wherever_they_are_asked_for() {
    let payload = r#"{"a":1, "b" : {"c":[2,3]},"\u0064":4,"a":5}"#;
    let sample = Sample { payload: payload.into(), ..sample() };
    for (filter, expected) in [
        (r#"member("a")"#, "5"),
        (r#"member("b")"#, r#"{"c":[2,3]}"#),
        (r#"member("b", "c", 1)"#, "3"),
        (r#"member("b")|member("c")|member(0)"#, "2"),
        (r#"member("d")"#, "4"),
        (r#"member("e")"#, "null"),
        (r#"member(0, "a")"#, "null"),
    ] {
        let source = format!("{{{{ payload|{filter} }}}} {{{{ payload|{filter} }}}}");
        let template = compile(&source, Escape::Json, Place::Body).unwrap();
        let rendered = template.render(&scope_of(&sample)).unwrap();
        assert_eq!(rendered, format!("{expected} {expected}"), "{filter}");
    }
}

#[test]
fn output_is_cut_off_while_it_grows() {
    let large = Sample { payload: format!("\"{}\"", "x".repeat(1_000_000)).into(), ..sample() };
    let scope = scope_of(&large);
    for source in [
        "{% for i in [1]*2000 %}{{ payload }}{% endfor %}",
        // Nor does it help to hide the growth in a block that is captured.
        "{% filter upper %}{% for i in [1]*2000 %}{{ payload }}{% endfor %}{% endfilter %}",
        "{% set x %}{% for i in [1]*2000 %}{{ payload }}{% endfor %}{% endset %}",
    ] {
        let template = compile(source, Escape::Json, Place::Body).unwrap();
        let error = template.render(&scope).unwrap_err();
        assert_eq!(error.message, "makes more than 4194304 bytes", "{source}");
    }
    let raw = format!("{{% for i in [1]*3000 %}}{}{{% endfor %}}", "y".repeat(10_000));
    assert_eq!(message(&raw), "makes more than 4194304 bytes");
    let four =
        compile("{{ payload }}{{ payload }}{{ payload }}{{ payload }}", Escape::Json, Place::Body);
    assert_eq!(four.unwrap().render(&scope).unwrap().len(), 4_000_008);
    let header = compile("{{ payload }}", Escape::Plain, Place::Header).unwrap();
    assert_eq!(header.render(&scope).unwrap_err().message, "makes more than 8192 bytes");
}

#[test]
fn the_published_payload_goes_out_without_being_copied() {
    let sample = sample();
    let template = compile("{{ payload }}", Escape::Json, Place::Body).unwrap();
    let body = template.render(&scope_of(&sample)).unwrap();
    assert_eq!(body.as_ptr(), sample.payload.as_ptr());
}

#[test]
fn a_line_break_at_the_end_of_a_source_is_not_sent() {
    for (source, expected) in [
        ("fixed\n", "fixed"),
        ("fixed\r\n", "fixed"),
        ("{{ payload }}\n", r#"{"example":true}"#),
        ("[{{ payload }}]\n", r#"[{"example":true}]"#),
        ("fixed\n\n", "fixed\n"),
    ] {
        assert_eq!(render(source, Escape::Json).as_deref(), Ok(expected), "{source:?}");
    }
}

#[test]
fn forms_and_xml_escape_what_json_would_quote() {
    let awkward = Sample { payload: r#"{"a":"<é & +>","n":1.10}"#.into(), ..sample() };
    let render = |source: &str, escape| {
        let template = compile(source, escape, Place::Body).unwrap();
        String::from_utf8(template.render(&scope_of(&awkward)).unwrap().to_vec()).unwrap()
    };
    let text = "{{ payload|member(\"a\")|text }}|{{ payload|member(\"n\") }}|{{ payload|member(\"x\", 0) }}";
    assert_eq!(render(text, Escape::Form), "%3C%C3%A9+%26+%2B%3E|1.10|null");
    assert_eq!(render(text, Escape::Xml), "&lt;é &amp; +&gt;|1.10|null");
    assert_eq!(
        render("a={{ payload|urlencode }}", Escape::Form),
        "a=%7B%22a%22%3A%22%3C%C3%A9%20%26%20%2B%3E%22%2C%22n%22%3A1.10%7D"
    );
    assert_eq!(render("{{ payload|form }}", Escape::Form), "a=%3C%C3%A9+%26+%2B%3E&n=1.10");
    assert_eq!(render("[{{ payload|form }}]", Escape::Json), "[\"a=%3C%C3%A9+%26+%2B%3E&n=1.10\"]");
    assert_eq!(render("{{ payload|ascii }}", Escape::Json), r#"{"a":"<\u00e9 & +>","n":1.10}"#);
    let captured = "{% set name %}<b>{{ event.type }}&</b>{% endset %}{{ name }}";
    assert_eq!(render(captured, Escape::Xml), "<b>example.created&</b>");
}

#[test]
fn digests_and_times_are_written_in_every_usual_form() {
    for (expression, expected) in [
        ("\"abc\"|md5|hex", "900150983cd24fb0d6963f7d28e17f72"),
        ("\"abc\"|sha1|base64", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
        ("\"a?>\"|base64url", "YT8-"),
        (
            "\"what do ya want for nothing?\"|hmac_sha1(\"Jefe\")|hex",
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        ("timestamp|http_date", "Wed, 15 Jan 2025 14:32:00 GMT"),
        ("timestamp|rfc2822", "Wed, 15 Jan 2025 14:32:00 +0000"),
        ("timestamp|date(\"%d.%m.%Y %H:%M %Z\")", "15.01.2025 14:32 UTC"),
        ("timestamp|unix_us", "1736951520000000"),
        ("\"a:b\"|replace(\":\", \"::\")|truncate(3)", "a::"),
        ("event.type|json", "\"example.created\""),
    ] {
        let written = render(&format!("{{{{ {expression} }}}}"), Escape::Plain).unwrap();
        assert!(written.starts_with(expected), "{expression}: {written}");
    }
    assert!(message("{{ payload|sha256 }}").contains("add hex or base64"));
    assert!(message("{{ timestamp|date(\"%!\") }}").contains("isn't a format"));
    assert!(
        message("{{ payload|member(\"example\")|with(\"a\", 1) }}")
            .contains("only be added to an object")
    );
}
