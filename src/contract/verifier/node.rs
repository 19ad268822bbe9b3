//! The program in JavaScript for Node.js, with nothing but its standard library.

use std::fmt::Write as _;

use super::{Part, Plan, Program, header_entries, literal};
use crate::contract::{Algorithm, Encoding, SecretEncoding, SecretKey};

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
    if program.plans.iter().any(|plan| plan.algorithm == Algorithm::Ed25519) {
        let encoding = match program.encoding {
            SecretEncoding::Hex => "hex",
            SecretEncoding::Base64url => "base64url",
            _ => "base64",
        };
        return format!(
            "crypto.createPublicKey({{ format: \"jwk\", key: {{ kty: \"OKP\", crv: \"Ed25519\",\n    \
             x: Buffer.from({rest}, \"{encoding}\").toString(\"base64url\") }} }})"
        );
    }
    match (program.key, program.encoding) {
        (SecretKey::Decoded, SecretEncoding::Base64) => format!("Buffer.from({rest}, \"base64\")"),
        (SecretKey::Decoded, SecretEncoding::Base64url) => {
            format!("Buffer.from({rest}, \"base64url\")")
        }
        (SecretKey::Decoded, SecretEncoding::Hex) => format!("Buffer.from({rest}, \"hex\")"),
        (SecretKey::Sha1, _) => "crypto.createHash(\"sha1\").update(secret).digest()".to_owned(),
        (SecretKey::Sha256, _) => {
            "crypto.createHash(\"sha256\").update(secret).digest()".to_owned()
        }
        _ => "Buffer.from(secret)".to_owned(),
    }
}

fn write_plan(out: &mut String, plan: &Plan) {
    let given = format!("match[{}]", plan.group);
    let cut = match &plan.shared {
        Some(separator) => format!("one.split({})[0]", literal(separator)),
        None => "one".to_owned(),
    };
    let fits = |one: &str| match plan.algorithm {
        Algorithm::Ed25519 => format!(
            "crypto.verify(null, content, key, Buffer.from({one}, \"{}\"))",
            node_encoding(plan.encoding)
        ),
        _ => format!("same(expected, Buffer.from({one}))"),
    };
    let same = match &plan.separator {
        Some(separator) => {
            let separator = literal(separator);
            format!("{given}.split({separator}).some((one) => {})", fits(&cut))
        }
        None => fits(&given),
    };
    let parts: Vec<String> = plan.parts.iter().map(part).collect();
    let _ = write!(
        out,
        r#"  match = /^{pattern}$/s.exec(headers[{header}] ?? "");
  if (match === null) return false;
  content = Buffer.concat([{parts}]);
  expected = Buffer.from({expected});
  if (!{same}) return false;
"#,
        pattern = plan.pattern,
        header = literal(&plan.header),
        parts = parts.join(", "),
        expected = expected(plan),
    );
}

const fn node_encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Hex | Encoding::HexUpper => "hex",
        Encoding::Base64 | Encoding::Base64Unpadded => "base64",
        Encoding::Base64url | Encoding::Base64urlUnpadded => "base64url",
    }
}

/// The signature that should have come, from `key` and `content`.
fn expected(plan: &Plan) -> String {
    let code = match plan.algorithm.hash_name() {
        None if plan.algorithm == Algorithm::Ed25519 => return "\"\"".to_owned(),
        None => return "secret".to_owned(),
        Some(hash) if plan.algorithm.is_plain_digest() => format!("createHash(\"{hash}\")"),
        Some(hash) => format!("createHmac(\"{hash}\", key)"),
    };
    let encoding = node_encoding(plan.encoding);
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
        Part::Literal(text) => format!("Buffer.from({})", literal(text)),
        Part::Body => "body".to_owned(),
        Part::Method => "Buffer.from(method)".to_owned(),
        Part::Url => "Buffer.from(baseUrl)".to_owned(),
        Part::FullUrl => "Buffer.from(url)".to_owned(),
        Part::Host => "Buffer.from(new URL(url).host)".to_owned(),
        Part::Path => "Buffer.from(new URL(url).pathname)".to_owned(),
        Part::Secret => "Buffer.from(secret)".to_owned(),
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
