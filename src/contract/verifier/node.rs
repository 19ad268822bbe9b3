//! The program in JavaScript for Node.js, with nothing but its standard library.

use std::fmt::Write as _;

use super::{Part, Plan, Program, header_entries, literal};
use crate::contract::{Encoding, SecretEncoding, SecretKey};

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

pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::from("const crypto = require(\"node:crypto\");\n");
    if program.sorts_queries {
        out.push_str(SORTED_QUERY);
    }
    out.push_str(&verify(program));
    out.push_str(&example(program));
    out
}

fn verify(program: &Program<'_>) -> String {
    let mut out = String::from(
        r#"
const same = (a, b) => a.length === b.length && crypto.timingSafeEqual(a, b);

// headers: names in lower case; body: the bytes, before any parsing.
function verify(secret, method, url, headers, body) {
"#,
    );
    let _ = writeln!(out, "  const key = {};", key(program));
    out.push_str("  const [baseUrl, query = \"\"] = url.split(/\\?(.*)/s);\n");
    out.push_str("  let match, content, expected;\n");
    for plan in &program.plans {
        write_plan(&mut out, plan);
    }
    if program.is_timed {
        out.push_str(
            "  // The time is signed too: refuse it if it is more than five minutes away.\n",
        );
    }
    out.push_str("  return true;\n}\n");
    out
}

fn key(program: &Program<'_>) -> String {
    // JavaScript counts UTF-16 code units.
    let rest = format!("secret.slice({})", program.prefix.encode_utf16().count());
    match (program.key, program.encoding) {
        (SecretKey::Decoded, SecretEncoding::Base64) => format!("Buffer.from({rest}, \"base64\")"),
        (SecretKey::Decoded, SecretEncoding::Hex) => format!("Buffer.from({rest}, \"hex\")"),
        _ => "Buffer.from(secret)".to_owned(),
    }
}

fn write_plan(out: &mut String, plan: &Plan) {
    let hash = plan.algorithm.hash_name();
    let written = match plan.encoding {
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
    };
    let given = format!("match[{}]", plan.group);
    let same = match &plan.separator {
        Some(separator) => {
            let separator = literal(separator);
            format!("{given}.split({separator}).some((one) => same(expected, Buffer.from(one)))")
        }
        None => format!("same(expected, Buffer.from({given}))"),
    };
    let parts: Vec<String> = plan.parts.iter().map(part).collect();
    let _ = write!(
        out,
        r#"  match = /^{pattern}$/s.exec(headers[{header}] ?? "");
  if (match === null) return false;
  content = Buffer.concat([{parts}]);
  expected = Buffer.from(crypto.createHmac("{hash}", key).update(content).digest("{written}"));
  if (!{same}) return false;
"#,
        pattern = plan.pattern,
        header = literal(&plan.header),
        parts = parts.join(", "),
    );
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => format!("Buffer.from({})", literal(text)),
        Part::Body => "body".to_owned(),
        Part::Method => "Buffer.from(method)".to_owned(),
        Part::Url => "Buffer.from(baseUrl)".to_owned(),
        Part::Query => "Buffer.from(query)".to_owned(),
        Part::SortedQuery => "Buffer.from(normalizedQuery(query))".to_owned(),
        Part::Header(name) => format!("Buffer.from(headers[{}] ?? \"\")", literal(name)),
        Part::Field(group) => format!("Buffer.from(match[{group}])"),
    }
}

fn example(program: &Program<'_>) -> String {
    format!(
        r#"
const secret = {secret};
const method = {method};
const url = {url};
const headers = {{
{headers}}};
const body = Buffer.from({body});

const valid = verify(secret, method, url, headers, body);
console.log(valid ? "The signature is valid." : "The signature is NOT valid.");
process.exitCode = valid ? 0 : 1;
"#,
        secret = literal(program.secret),
        method = literal(program.request.method.as_str()),
        url = literal(program.request.url.as_str()),
        headers = header_entries(program),
        body = literal(&String::from_utf8_lossy(&program.request.body)),
    )
}
