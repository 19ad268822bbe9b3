//! The program in Python 3, with nothing but its standard library.

use std::fmt::Write as _;

use super::header::Form;
use super::{ARGUMENTS, Alphabet, Key, Language, Part, Plan, Program, Proof, TIMED};
use crate::contract::Encoding;

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
    if program.uses(&Part::SortedQuery) {
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

fn literal(text: &str) -> String {
    Language::Python.literal(text)
}

fn verify(program: &Program<'_>) -> String {
    let mut out = String::from("\n\ndef verify(secret, method, url, headers, body):\n");
    let _ = writeln!(out, "    \"\"\"{ARGUMENTS}\"\"\"");
    if program.has_key() {
        let _ = writeln!(out, "    key = {}", key(&program.key));
    }
    if [Part::Url, Part::Query, Part::SortedQuery].iter().any(|part| program.uses(part)) {
        out.push_str("    base_url, _, query = url.partition(\"?\")\n");
    }
    for plan in &program.plans {
        write_plan(&mut out, plan);
    }
    if program.is_timed {
        let _ = writeln!(out, "    # {TIMED}");
    }
    out.push_str("    return True\n");
    out
}

fn key(key: &Key<'_>) -> String {
    let (prefix, alphabet) = match key {
        Key::Text => return "secret.encode()".to_owned(),
        Key::Digest(hash) => return format!("hashlib.{hash}(secret.encode()).digest()"),
        Key::Decoded(prefix, alphabet) => (*prefix, alphabet),
    };
    let rest = match prefix {
        "" => "secret".to_owned(),
        prefix => format!("secret[len({}):]", literal(prefix)),
    };
    match alphabet {
        Alphabet::Base64 => format!("base64.b64decode({rest})"),
        Alphabet::Base64url => format!("base64.urlsafe_b64decode({rest} + \"==\")"),
        Alphabet::Hex => format!("bytes.fromhex({rest})"),
    }
}

fn write_plan(out: &mut String, plan: &Plan) {
    let header = format!("headers.get({}, \"\")", literal(&plan.header));
    match &plan.form {
        Form::Entries { .. } => {
            let _ = writeln!(out, "    given = {header}");
        }
        Form::Pattern(pattern) => {
            let _ = writeln!(out, "    match = re.fullmatch({}, {header})", raw(&pattern.text));
            out.push_str("    if match is None:\n        return False\n");
            let _ = writeln!(out, "    given = match[{}]", pattern.group);
        }
    }
    if plan.proof != Proof::Token {
        let content = plan.runs(part, " + ", |texts, count| match count {
            1 => format!("{texts}.encode()"),
            _ => format!("({texts}).encode()"),
        });
        let _ = writeln!(out, "    content = {}", content.join(" + "));
    }
    let expected = plan.entry(Language::Python, &expected(plan), " + ");
    let _ = writeln!(out, "    expected = {expected}");
    let cut = plan.cut().map(|separator| format!(".split({})[0]", literal(separator)));
    let same = |one: &str| format!("hmac.compare_digest(expected.encode(), {one}.encode())");
    let valid = match plan.between() {
        Some(separator) => {
            let one = same(&format!("one{}", cut.unwrap_or_default()));
            format!("any({one} for one in given.split({}))", literal(separator))
        }
        None => same("given"),
    };
    let _ = writeln!(out, "    if not {valid}:\n        return False");
}

/// A regular expression as a raw literal, where it can be one.
fn raw(pattern: &str) -> String {
    if pattern.contains('"') { literal(pattern) } else { format!("r\"{pattern}\"") }
}

/// The signature that should have come, as text.
fn expected(plan: &Plan) -> String {
    let code = match plan.proof {
        Proof::Token | Proof::Ed25519 => return "secret".to_owned(),
        Proof::Digest(hash) => format!("hashlib.{hash}(content)"),
        Proof::Hmac(hash) => format!("hmac.new(key, content, hashlib.{hash})"),
    };
    match plan.encoding {
        Encoding::Hex => format!("{code}.hexdigest()"),
        Encoding::HexUpper => format!("{code}.hexdigest().upper()"),
        Encoding::Base64 => format!("base64.b64encode({code}.digest()).decode()"),
        Encoding::Base64Unpadded => {
            format!("base64.b64encode({code}.digest()).decode().rstrip(\"=\")")
        }
        Encoding::Base64url => format!("base64.urlsafe_b64encode({code}.digest()).decode()"),
        Encoding::Base64urlUnpadded => {
            format!("base64.urlsafe_b64encode({code}.digest()).decode().rstrip(\"=\")")
        }
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => literal(text),
        Part::Body => "body".to_owned(),
        Part::Method => "method".to_owned(),
        Part::Url => "base_url".to_owned(),
        Part::FullUrl => "url".to_owned(),
        Part::Host => "urllib.parse.urlsplit(url).netloc".to_owned(),
        Part::Path => "urllib.parse.urlsplit(url).path".to_owned(),
        Part::Secret => "secret".to_owned(),
        Part::Query => "query".to_owned(),
        Part::SortedQuery => "normalized_query(query)".to_owned(),
        Part::Header(name) => format!("headers.get({}, \"\")", literal(name)),
        Part::Field(group) => format!("match[{group}]"),
    }
}

fn example(program: &Program<'_>) -> String {
    let request = &program.request;
    let mut out = format!(
        "\n\nsecret = {}\nmethod = {}\nurl = {}\nheaders = {{\n",
        literal(program.secret),
        literal(&request.method),
        literal(&request.url)
    );
    for (name, value) in &request.headers {
        let _ = writeln!(out, "    {}: {},", literal(name), literal(value));
    }
    let _ = write!(
        out,
        r#"}}
body = {}.encode()

valid = verify(secret, method, url, headers, body)
print("The signature is valid." if valid else "The signature is NOT valid.")
sys.exit(0 if valid else 1)
"#,
        literal(&request.body)
    );
    out
}
