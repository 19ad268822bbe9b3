//! The program in JavaScript for Node.js, with nothing but its standard library.

use std::fmt::Write as _;

use super::header::Form;
use super::{ARGUMENTS, Alphabet, Key, Language, Part, Plan, Program, Proof, TIMED};
use crate::contract::Encoding;

const SORTED_QUERY: &str = r#"
// JavaScript sorts texts by UTF-16 code units; what is signed is sorted by UTF-8 bytes.
const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

function normalizedQuery(query) {
  const values = new Map();
  for (const [name, value] of new URLSearchParams(query)) {
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return [...values.keys()].sort(byBytes).map((name) => {
    const found = values.get(name).sort(byBytes);
    return found.length === 1 ? `${name}=${found[0]}` : `${name}=[${found.join(" ")}]`;
  }).join("&");
}
"#;

const SAME: &str = r#"
function same(expected, given) {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && crypto.timingSafeEqual(a, b);
}
"#;

pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::from("const crypto = require(\"node:crypto\");\n");
    if program.uses(&Part::SortedQuery) {
        out.push_str(SORTED_QUERY);
    }
    if program.proves(|proof| proof != Proof::Ed25519) {
        out.push_str(SAME);
    }
    out.push_str(&verify(program));
    out.push_str(&example(program));
    out
}

fn literal(text: &str) -> String {
    Language::Node.literal(text)
}

fn verify(program: &Program<'_>) -> String {
    let mut out =
        format!("\n// {ARGUMENTS}\nfunction verify(secret, method, url, headers, body) {{\n");
    if program.has_key() {
        let _ = writeln!(out, "  const key = {};", key(program));
    }
    if [Part::Url, Part::Query, Part::SortedQuery].iter().any(|part| program.uses(part)) {
        out.push_str("  const [baseUrl, query = \"\"] = url.split(/\\?(.*)/s);\n");
    }
    out.push_str(&program.blocks("  ", "  ", write_plan));
    if program.is_timed {
        let _ = writeln!(out, "  // {TIMED}");
    }
    out.push_str("  return true;\n}\n");
    out
}

fn key(program: &Program<'_>) -> String {
    let (prefix, alphabet) = match &program.key {
        Key::Text => return "secret".to_owned(),
        Key::Digest(hash) => {
            return format!("crypto.createHash(\"{hash}\").update(secret).digest()");
        }
        Key::Decoded(prefix, alphabet) => (*prefix, alphabet),
    };
    let rest = match prefix {
        "" => "secret".to_owned(),
        prefix => format!("secret.slice({}.length)", literal(prefix)),
    };
    let encoding = buffer_encoding(*alphabet);
    let bytes = format!("Buffer.from({rest}, \"{encoding}\")");
    if program.proves(|proof| proof == Proof::Ed25519) {
        return format!(
            "crypto.createPublicKey({{\n    format: \"jwk\",\n    \
             key: {{ kty: \"OKP\", crv: \"Ed25519\", x: {bytes}.toString(\"base64url\") }},\n  }})"
        );
    }
    bytes
}

fn write_plan(out: &mut String, plan: &Plan) {
    let header = format!("headers[{}] ?? \"\"", literal(&plan.header));
    match &plan.form {
        Form::Entries { .. } => {
            let _ = writeln!(out, "  const given = {header};");
        }
        Form::Pattern(pattern) => {
            let (text, group) = (pattern.text.replace('/', "\\/"), pattern.group);
            let _ = writeln!(out, "  const match = /^{text}$/s.exec({header});");
            let _ = writeln!(
                out,
                "  if (match === null) return false;\n  const given = match[{group}];"
            );
        }
    }
    if plan.proof != Proof::Token {
        let runs = plan.runs(part, " + ", |texts, _| format!("Buffer.from({texts})"));
        let content = match runs.as_slice() {
            [one] => one.clone(),
            several => format!("Buffer.concat([{}])", several.join(", ")),
        };
        let _ = writeln!(out, "  const content = {content};");
    }
    if plan.proof != Proof::Ed25519 {
        let expected = plan.entry(Language::Node, &expected(plan), " + ");
        let _ = writeln!(out, "  const expected = {expected};");
    }
    let cut = match plan.cut() {
        Some(separator) => format!("one.split({})[0]", literal(separator)),
        None => "one".to_owned(),
    };
    let valid = match plan.between() {
        Some(separator) => {
            format!("given.split({}).some((one) => {})", literal(separator), valid(plan, &cut))
        }
        None => valid(plan, "given"),
    };
    let _ = writeln!(out, "  const valid = {valid};\n  if (!valid) return false;");
}

/// Whether an entry of the header is as it should be.
fn valid(plan: &Plan, one: &str) -> String {
    if plan.proof != Proof::Ed25519 {
        return format!("same(expected, {one})");
    }
    let encoding = buffer_encoding(Alphabet::of(plan.encoding));
    let check = |signature: &str| {
        format!("crypto.verify(null, content, key, Buffer.from({signature}, \"{encoding}\"))")
    };
    match plan.around().0 {
        "" => check(one),
        before => {
            let before = literal(before);
            let rest = format!("{one}.slice({before}.length)");
            format!("{one}.startsWith({before}) && {}", check(&rest))
        }
    }
}

const fn buffer_encoding(alphabet: Alphabet) -> &'static str {
    match alphabet {
        Alphabet::Hex => "hex",
        Alphabet::Base64 => "base64",
        Alphabet::Base64url => "base64url",
    }
}

/// The signature that should have come, as text.
fn expected(plan: &Plan) -> String {
    let code = match plan.proof {
        Proof::Token | Proof::Ed25519 => return "secret".to_owned(),
        Proof::Digest(hash) => format!("createHash(\"{hash}\")"),
        Proof::Hmac(hash) => format!("createHmac(\"{hash}\", key)"),
    };
    let encoding = buffer_encoding(Alphabet::of(plan.encoding));
    let adjusted = match plan.encoding {
        Encoding::HexUpper => ".toUpperCase()",
        Encoding::Base64Unpadded => ".replace(/=+$/, \"\")",
        // Node leaves the padding out.
        Encoding::Base64url => ".replace(/$/, (_, at) => \"=\".repeat((4 - at % 4) % 4))",
        Encoding::Hex | Encoding::Base64 | Encoding::Base64urlUnpadded => "",
    };
    format!("crypto.{code}.update(content).digest(\"{encoding}\"){adjusted}")
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => literal(text),
        Part::Body => "body".to_owned(),
        Part::Method => "method".to_owned(),
        Part::Url => "baseUrl".to_owned(),
        Part::FullUrl => "url".to_owned(),
        Part::Host => "new URL(url).host".to_owned(),
        Part::Path => "new URL(url).pathname".to_owned(),
        Part::Secret => "secret".to_owned(),
        Part::Query => "query".to_owned(),
        Part::SortedQuery => "normalizedQuery(query)".to_owned(),
        Part::Header(name) => format!("(headers[{}] ?? \"\")", literal(name)),
        Part::Field(group) => format!("match[{group}]"),
    }
}

fn example(program: &Program<'_>) -> String {
    let request = &program.request;
    let mut out = format!(
        "\nconst secret = {};\nconst method = {};\nconst url = {};\nconst headers = {{\n",
        literal(program.secret),
        literal(&request.method),
        literal(&request.url)
    );
    for (name, value) in &request.headers {
        let _ = writeln!(out, "  {}: {},", literal(name), literal(value));
    }
    let _ = write!(
        out,
        r#"}};
const body = Buffer.from({});

const valid = verify(secret, method, url, headers, body);
console.log(valid ? "The signature is valid." : "The signature is NOT valid.");
process.exitCode = valid ? 0 : 1;
"#,
        literal(&request.body)
    );
    out
}
