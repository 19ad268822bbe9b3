//! Published JSON with all that is lost where somebody parses and prints it.

/// Objects whose bytes, numbers, keys and white space differ from what printers make of them.
pub const OBJECTS: [&str; 12] = [
    r#"{"z": 1.10, "a":1e3, "E":1E+03, "n":-0, "tiny":0.0000001, "half":-2.50e-1}"#,
    r#"{"big":12345678901234567890,"bigger":-123456789012345678901234567890,"pi":3.14159265358979323846}"#,
    "{ \"name\" : \"Zoë 😀 日本 ～\", \"clé\" : \"\u{e9}\", \"e\u{301}\":\"e\u{301}\" }",
    r#"{"html":"<a href='x?a=1&amp;b=2'>&</a>","lt":"\u003c","slash":"a\/b"}"#,
    r#"{"quote":"\" \\ \b\f\n\r\t \u0000 \u001F \u2028 \u00e9 \ud83d\ude00"}"#,
    "{\"raw\":\"\u{7f}\u{2028}\u{2029}\u{feff}\u{d7ff}\u{e000}\u{10ffff}\"}",
    r#"{"empty":{},"list":[],"deep":{"a":[{"b":[[],{},[[]]]},null,true,false,""]}}"#,
    "{\n\t\"spaces\" : [ 1 ,\r\n   2 ] , \"more\" : { } }",
    r#"{"a":1,"b":2,"a":{"x":1},"\u0061":4}"#,
    r#"{"b":1,"10":2,"9":3,"a":4,"01":5,"B":6,"":7,"__proto__":8,"toString":9}"#,
    r#"{"template":"{{ 7*7 }} {% raw %} ${x} %s","sql":"'; --"}"#,
    "{}",
];

/// Payloads that aren't objects.
pub const OTHERS: [&str; 10] = [
    "[]",
    "[ 1, {\"b\":2, \"a\":1.10} ]",
    "\"text \\u00e9 é\"",
    "\"\"",
    "null",
    "true",
    "false",
    "0",
    "-1.50",
    "1E2",
];

/// The deepest nesting that may be published, in levels.
pub const DEEPEST: usize = 64;

/// All of these, and one as deep as may be.
pub fn all() -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
    OBJECTS.into_iter().chain(OTHERS).map(str::to_owned).chain([deep]).collect()
}
