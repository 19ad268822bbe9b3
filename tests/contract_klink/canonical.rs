//! The form that is signed, and its traps.

use serde_json::{Value, json};

use super::support::payloads;
use super::support::programs::python;
use super::support::receiver::Received;
use super::{
    Delivered, VERIFIER, as_received, assert_signed, computed, form, receiver, server, workspace,
};

/// The member `data` of a body, as text: it comes first.
fn data(one: &Delivered) -> &str {
    let rest = one.body().strip_prefix(r#"{"data":"#).unwrap();
    rest.rsplit_once(r#","environment":"#).unwrap().0
}

#[tokio::test]
async fn bodies_are_sent_in_the_form_that_is_signed() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let id = workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    let mut delivered = Vec::new();
    for payload in payloads::all() {
        delivered.push(workspace.deliver(&receiver, "contact.created", &payload).await);
    }
    let secret = workspace.secret(&id).await;
    assert_signed(&secret, &delivered);
    let normalized = python(
        &format!("{VERIFIER}\nanswer([normalized_body(one) for one in given])"),
        &delivered.iter().map(Delivered::body).collect(),
    );
    let bodies: Vec<&str> = delivered.iter().map(Delivered::body).collect();
    assert_eq!(normalized, json!(bodies));
}

#[tokio::test]
async fn keys_are_sorted_and_nothing_but_keys_and_white_space_changes() {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let id = workspace.endpoint(form(receiver.url("/hook").as_str())).await;
    let mut delivered = Vec::new();
    for (payload, canonical) in [
        (r#" { "b" : 1.10 , "a" : 1e3 } "#, r#"{"a":1e3,"b":1.10}"#),
        (
            r#"[{"z":[{"y":-0,"x":12345678901234567890}]},2,1]"#,
            r#"[{"z":[{"x":12345678901234567890,"y":-0}]},2,1]"#,
        ),
        (
            r#"{"a":{},"A":[],"_":null,"0":0,"10":1,"9":2,"":3}"#,
            r#"{"":3,"0":0,"10":1,"9":2,"A":[],"_":null,"a":{}}"#,
        ),
        // By code point: UTF-16 would put the emoji before the full-width tilde.
        ("{\"😀\":1,\"～\":2,\"é\":3,\"z\":4}", "{\"z\":4,\"é\":3,\"～\":2,\"😀\":1}"),
        // Keys sort by what they mean, not by how they were escaped.
        (
            r#"{"\u007a":1,"y":2,"\ud83d\ude00":3,"\uff5e":4}"#,
            "{\"y\":2,\"z\":1,\"～\":4,\"😀\":3}",
        ),
        (r#"{"a\"b":1,"a\\b":2,"a\nb":3,"a\/b":4}"#, r#"{"a\nb":3,"a\"b":1,"a/b":4,"a\\b":2}"#),
        // Of a repeated key the last counts, as for every parser.
        (r#"{"a":1,"b":2,"\u0061":{"d":1,"c":2}}"#, r#"{"a":{"c":2,"d":1},"b":2}"#),
        (r#"{"x":"\u003c<>&'\u00e9\u2028\/\u001F"}"#, "{\"x\":\"<<>&'é\u{2028}/\\u001f\"}"),
        ("\"text\"", "\"text\""),
        ("null", "null"),
        ("-0.0", "-0.0"),
    ] {
        let one = workspace.deliver(&receiver, "contact.created", payload).await;
        assert_eq!(data(&one), canonical, "{payload}");
        delivered.push(one);
    }
    assert_signed(&workspace.secret(&id).await, &delivered);
}

/// Registers `http://127.0.0.1:<port><path and query>`, and delivers an event there.
async fn delivered_to(paths: &[&str]) -> (String, Vec<Delivered>) {
    let (server, receiver) = (server().await, receiver().await);
    let workspace = workspace(&server).await;
    let mut delivered = Vec::new();
    let mut id = String::new();
    let mut secret = String::new();
    for path in paths {
        let url = format!("http://127.0.0.1:{}{path}", receiver.port());
        if id.is_empty() {
            id = workspace.endpoint(form(&url)).await;
            secret = workspace.secret(&id).await;
        } else {
            workspace.change(&id, json!({ "url": url })).await.expect(200);
        }
        delivered.push(workspace.deliver(&receiver, "contact.created", r#"{"b":1,"a":2}"#).await);
    }
    (secret, delivered)
}

#[tokio::test]
async fn queries_are_normalised_for_the_signature_and_sent_as_they_were_given() {
    let cases = [
        ("", ""),
        ("?", ""),
        ("?b=2&a=1", "a=1&b=2"),
        ("?b=z&a=1&b=y", "a=1&b=[y z]"),
        ("?k=10&k=9&k=10", "k=[10 10 9]"),
        ("?q=a+b%20c&%C3%A9=%26%3D", "q=a b c&é=&="),
        ("?flag&empty=&=nameless", "=nameless&empty=&flag="),
        ("?Z=1&a=2&z=3", "Z=1&a=2&z=3"),
        ("?x=%5B1%5D&x=a+b&x=a", "x=[[1] a a b]"),
        ("?%F0%9F%98%80=1&%EF%BD%9E=2&~=3", "~=3&～=2&😀=1"),
        ("?a=1&&b=2&", "a=1&b=2"),
        ("?a[]=2&a[]=1&a=0", "a=0&a[]=[1 2]"),
    ];
    let paths: Vec<String> = cases.iter().map(|(query, _)| format!("/hook{query}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let (secret, delivered) = delivered_to(&paths).await;
    let queries: Vec<&str> =
        cases.iter().map(|(query, _)| query.strip_prefix('?').unwrap_or_default()).collect();
    let normalized =
        python(&format!("{VERIFIER}\nanswer(list(map(normalized_query, given)))"), &json!(queries));
    for ((one, (query, expected)), normalized) in
        delivered.iter().zip(cases).zip(normalized.as_array().unwrap())
    {
        assert_eq!(*normalized, expected, "the verifier reads the page as this test does");
        assert_eq!(one.request.target, format!("/hook{query}"));
        let host = one.header("host");
        let content = format!("POSThttp://{host}/hook{expected}{}", one.body());
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hex::encode(ring::hmac::sign(&key, content.as_bytes()));
        assert_eq!(one.header("x-signature"), signature, "{query}");
    }
    assert_signed(&secret, &delivered);
}

#[tokio::test]
async fn paths_are_signed_as_they_are_called() {
    let cases = [
        ("", "/"),
        ("/", "/"),
        ("/hook/", "/hook/"),
        ("/a%2Fb/%7e~/%C3%A9", "/a%2Fb/%7e~/%C3%A9"),
        ("/é/日本", "/%C3%A9/%E6%97%A5%E6%9C%AC"),
        ("/with space", "/with%20space"),
        ("/a/../b/./c//d", "/b/c//d"),
        ("/semi;colon=1,2/(x)/a+b/@:!$'*", "/semi;colon=1,2/(x)/a+b/@:!$'*"),
        ("/%3Fnot=a&query?yes=1", "/%3Fnot=a&query?yes=1"),
    ];
    let (secret, delivered) = delivered_to(&cases.map(|(path, _)| path)).await;
    for (one, (_, target)) in delivered.iter().zip(cases) {
        assert_eq!(one.request.target, target);
    }
    assert_signed(&secret, &delivered);
}

#[tokio::test]
async fn every_part_of_the_request_is_under_the_signature() {
    let (secret, mut delivered) = delivered_to(&["/hook?a=1&b=2"]).await;
    let one = delivered.remove(0);
    let genuine = as_received(&secret, "http", &one);
    let mut forged = Vec::new();
    for (field, value) in [
        ("method", json!("PUT")),
        ("scheme", json!("https")),
        ("host", json!("example.com")),
        ("target", json!("/hooks?a=1&b=2")),
        ("target", json!("/hook?a=1&b=3")),
        ("target", json!("/hook?a=1")),
        ("body", json!(one.body().replace(r#""a":2"#, r#""a":3"#))),
        ("secret", json!("another")),
    ] {
        let mut changed = genuine.clone();
        assert_ne!(changed[field], value, "{field}");
        changed[field] = value;
        forged.push(changed);
    }
    // The order of the query's keys isn't, nor that of the body's.
    let mut reordered = genuine.clone();
    reordered["target"] = json!("/hook?b=2&a=1");
    reordered["body"] = json!(one.body().replace(r#"{"a":2,"b":1}"#, r#"{ "b":1, "a":2 }"#));
    assert_ne!(reordered["body"], genuine["body"]);
    let verdicts = python(
        &format!("{VERIFIER}\nanswer([signature(one) == one['signature'] for one in given])"),
        &[vec![genuine, reordered], forged].concat().into(),
    );
    let mut expected = vec![Value::Bool(false); 10];
    expected[..2].fill(Value::Bool(true));
    assert_eq!(verdicts, json!(expected));
}

#[tokio::test]
async fn the_port_is_signed_where_it_is_not_the_schemes_own() {
    let (secret, mut delivered) = delivered_to(&["/hook"]).await;
    let one = delivered.remove(0);
    let host = one.header("host").to_owned();
    assert!(host.starts_with("127.0.0.1:"));
    let headers = one.request.headers.iter().map(|(name, value)| {
        let value =
            if name.eq_ignore_ascii_case("host") { "127.0.0.1".to_owned() } else { value.clone() };
        (name.clone(), value)
    });
    let request = Received { headers: headers.collect(), ..one.request.clone() };
    let without_port = Delivered { request, message: one.message.clone() };
    let signature = one.header("x-signature").to_owned();
    assert_ne!(computed(&secret, &[without_port])[0], signature);
    assert_eq!(computed(&secret, &[one])[0], signature);
}
