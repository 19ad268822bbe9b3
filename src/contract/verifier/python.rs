//! The program in Python 3, with nothing but its standard library.

use std::fmt::Write as _;

use super::{Part, Plan, Program, header_entries, literal};
use crate::contract::{Encoding, SecretEncoding, SecretKey};

const SORTED_QUERY: &str = r#"

def normalized_query(query):
    values = {}
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    # Python sorts texts by code point, which is the order that is signed.
    return "&".join(
        f"{name}={found[0]}" if len(found) == 1 else f"{name}=[{' '.join(sorted(found))}]"
        for name, found in sorted(values.items())
    )
"#;

pub(super) fn write(program: &Program<'_>) -> String {
    let mut body = String::new();
    if program.sorts_queries {
        body.push_str(SORTED_QUERY);
    }
    body.push_str(&verify(program));
    let mut out = String::new();
    for module in ["base64", "hashlib", "hmac", "re", "sys", "urllib.parse"] {
        if module == "sys" || body.contains(&format!("{module}.")) {
            let _ = writeln!(out, "import {module}");
        }
    }
    out.push_str(&body);
    out.push_str(&example(program));
    out
}

fn verify(program: &Program<'_>) -> String {
    let mut out = String::from("\n\ndef verify(secret, method, url, headers, body):\n");
    out.push_str(
        "    \"\"\"headers: names in lower case; body: the bytes, before any parsing.\"\"\"\n",
    );
    let _ = writeln!(out, "    key = {}", key(program));
    out.push_str("    base_url, _, query = url.partition(\"?\")\n");
    for plan in &program.plans {
        write_plan(&mut out, plan);
    }
    if program.is_timed {
        out.push_str(
            "    # The time is signed too: refuse it if it is more than five minutes away.\n",
        );
    }
    out.push_str("    return True\n");
    out
}

fn key(program: &Program<'_>) -> String {
    let rest = format!("secret[{}:]", program.prefix.chars().count());
    match (program.key, program.encoding) {
        (SecretKey::Decoded, SecretEncoding::Base64) => format!("base64.b64decode({rest})"),
        (SecretKey::Decoded, SecretEncoding::Base64url) => {
            format!("base64.urlsafe_b64decode({rest} + \"==\")")
        }
        (SecretKey::Decoded, SecretEncoding::Hex) => format!("bytes.fromhex({rest})"),
        (SecretKey::Sha1, _) => "hashlib.sha1(secret.encode()).digest()".to_owned(),
        (SecretKey::Sha256, _) => "hashlib.sha256(secret.encode()).digest()".to_owned(),
        _ => "secret.encode()".to_owned(),
    }
}

fn write_plan(out: &mut String, plan: &Plan) {
    let given = format!("match[{}]", plan.group);
    let one = match &plan.shared {
        Some(separator) => format!("one.split({})[0].encode()", literal(separator)),
        None => "one.encode()".to_owned(),
    };
    let same = match &plan.separator {
        Some(separator) => {
            let separator = literal(separator);
            format!(
                "any(hmac.compare_digest(expected, {one}) for one in {given}.split({separator}))"
            )
        }
        None => format!("hmac.compare_digest(expected, {given}.encode())"),
    };
    let parts: Vec<String> = plan.parts.iter().map(part).collect();
    let _ = write!(
        out,
        r#"    match = re.fullmatch(r"{pattern}", headers.get({header}, ""))
    if match is None:
        return False
    content = {parts}
    expected = {expected}.encode()
    if not {same}:
        return False
"#,
        pattern = plan.pattern,
        header = literal(&plan.header),
        parts = parts.join(" + "),
        expected = expected(plan),
    );
}

/// The signature that should have come, from `key` and `content`.
fn expected(plan: &Plan) -> String {
    let code = match plan.algorithm.hash_name() {
        None => return "secret".to_owned(),
        Some(hash) if plan.algorithm.is_plain_digest() => {
            format!("hashlib.{hash}(content).digest()")
        }
        Some(hash) => format!("hmac.new(key, content, hashlib.{hash}).digest()"),
    };
    match plan.encoding {
        Encoding::Hex => format!("{code}.hex()"),
        Encoding::HexUpper => format!("{code}.hex().upper()"),
        Encoding::Base64 => format!("base64.b64encode({code}).decode()"),
        Encoding::Base64Unpadded => format!("base64.b64encode({code}).decode().rstrip(\"=\")"),
        Encoding::Base64url => format!("base64.urlsafe_b64encode({code}).decode()"),
        Encoding::Base64urlUnpadded => {
            format!("base64.urlsafe_b64encode({code}).decode().rstrip(\"=\")")
        }
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => format!("{}.encode()", literal(text)),
        Part::Body => "body".to_owned(),
        Part::Method => "method.encode()".to_owned(),
        Part::Url => "base_url.encode()".to_owned(),
        Part::FullUrl => "url.encode()".to_owned(),
        Part::Host => "urllib.parse.urlsplit(url).netloc.encode()".to_owned(),
        Part::Path => "urllib.parse.urlsplit(url).path.encode()".to_owned(),
        Part::Secret => "secret.encode()".to_owned(),
        Part::Query => "query.encode()".to_owned(),
        Part::SortedQuery => "normalized_query(query).encode()".to_owned(),
        Part::Header(name) => format!("headers.get({}, \"\").encode()", literal(name)),
        Part::Field(group) => format!("match[{group}].encode()"),
    }
}

fn example(program: &Program<'_>) -> String {
    format!(
        r#"

secret = {secret}
method = {method}
url = {url}
headers = {{
{headers}}}
body = {body}.encode()

valid = verify(secret, method, url, headers, body)
print("The signature is valid." if valid else "The signature is NOT valid.")
sys.exit(0 if valid else 1)
"#,
        secret = literal(program.secret),
        method = literal(program.request.method.as_str()),
        url = literal(program.request.url.as_str()),
        headers = header_entries(program),
        body = literal(&String::from_utf8_lossy(&program.request.body)),
    )
}
