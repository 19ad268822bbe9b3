//! The program in PHP 8, with nothing but the extensions that come with it.

use std::fmt::Write as _;

use super::header::Form;
use super::{ARGUMENTS, Alphabet, Key, Language, Part, Plan, Program, Proof, TIMED};
use crate::contract::Encoding;

const SORTED_QUERY: &str = r"
function normalizedQuery(string $query): string
{
    $values = [];
    foreach (array_filter(explode('&', $query), 'strlen') as $pair) {
        [$name, $value] = explode('=', $pair, 2) + [1 => ''];
        $values[urldecode($name)][] = urldecode($value);
    }
    // As strings PHP sorts by bytes, which is the order that is signed.
    ksort($values, SORT_STRING);
    $pairs = [];
    foreach ($values as $name => $found) {
        sort($found, SORT_STRING);
        $pairs[] = $name . '=' . (count($found) === 1 ? $found[0] : '[' . implode(' ', $found) . ']');
    }
    return implode('&', $pairs);
}
";

pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::from("<?php\n");
    if program.uses(&Part::SortedQuery) {
        out.push_str(SORTED_QUERY);
    }
    out.push_str(&verify(program));
    out.push_str(&example(program));
    out
}

fn literal(text: &str) -> String {
    Language::Php.literal(text)
}

fn verify(program: &Program<'_>) -> String {
    let mut out = format!(
        "\n// {ARGUMENTS}\nfunction verify(string $secret, string $method, string $url, \
         array $headers, string $body): bool\n{{\n"
    );
    if program.has_key() {
        let _ = writeln!(out, "    $key = {};", key(&program.key));
    }
    if [Part::Url, Part::Query, Part::SortedQuery].iter().any(|part| program.uses(part)) {
        out.push_str("    [$baseUrl, $query] = explode('?', $url, 2) + [1 => ''];\n");
    }
    for plan in &program.plans {
        write_plan(&mut out, plan);
    }
    if program.is_timed {
        let _ = writeln!(out, "    // {TIMED}");
    }
    out.push_str("    return true;\n}\n");
    out
}

fn key(key: &Key<'_>) -> String {
    match key {
        Key::Text => "$secret".to_owned(),
        Key::Digest(hash) => format!("hash('{hash}', $secret, true)"),
        Key::Decoded(prefix, alphabet) => {
            let rest = match *prefix {
                "" => "$secret".to_owned(),
                prefix => format!("substr($secret, strlen({}))", literal(prefix)),
            };
            decoded(*alphabet, &rest)
        }
    }
}

fn decoded(alphabet: Alphabet, text: &str) -> String {
    match alphabet {
        Alphabet::Hex => format!("hex2bin({text})"),
        Alphabet::Base64 => format!("base64_decode({text})"),
        Alphabet::Base64url => format!("base64_decode(strtr({text}, '-_', '+/'))"),
    }
}

fn write_plan(out: &mut String, plan: &Plan) {
    let header = format!("$headers[{}] ?? ''", literal(&plan.header));
    match &plan.form {
        Form::Entries { .. } => {
            let _ = writeln!(out, "    $given = {header};");
        }
        Form::Pattern(pattern) => {
            let text = literal(&format!("/\\A{}\\z/s", pattern.text.replace('/', "\\/")));
            let _ = writeln!(out, "    if (preg_match({text}, {header}, $match) !== 1) {{");
            let _ = writeln!(out, "        return false;\n    }}");
            let _ = writeln!(out, "    $given = $match[{}];", pattern.group);
        }
    }
    if plan.proof != Proof::Token {
        let content: Vec<String> = plan.parts.iter().map(part).collect();
        let _ = writeln!(out, "    $content = {};", content.join(" . "));
    }
    if plan.proof != Proof::Ed25519 {
        let expected = plan.entry(Language::Php, &expected(plan), " . ");
        let _ = writeln!(out, "    $expected = {expected};");
    }
    let (start, end) = match plan.between() {
        None => (format!("    $valid = {};", valid(plan, "$given")), ""),
        Some(separator) => {
            let cut = plan.cut();
            let one = cut.map(|separator| format!("explode({}, $one)[0]", literal(separator)));
            let valid = valid(plan, one.as_deref().unwrap_or("$one"));
            let separator = literal(separator);
            let each = format!("    foreach (explode({separator}, $given) as $one) {{");
            let check = format!("        $valid = $valid || {valid};");
            (format!("    $valid = false;\n{each}\n{check}"), "\n    }")
        }
    };
    let _ = writeln!(out, "{start}{end}\n    if (!$valid) {{\n        return false;\n    }}");
}

/// Whether an entry of the header is as it should be.
fn valid(plan: &Plan, one: &str) -> String {
    if plan.proof != Proof::Ed25519 {
        return format!("hash_equals($expected, {one})");
    }
    let before = plan.around().0;
    let (starts, rest) = match before {
        "" => (String::new(), one.to_owned()),
        before => {
            let before = literal(before);
            let starts = format!("str_starts_with({one}, {before}) && ");
            (starts, format!("substr({one}, strlen({before}))"))
        }
    };
    // The function throws where the signature has another length, and one that isn't
    // hexadecimal is no reason for a warning.
    let quiet = if Alphabet::of(plan.encoding) == Alphabet::Hex { "@" } else { "" };
    let signature = format!("{quiet}{}", decoded(Alphabet::of(plan.encoding), &rest));
    format!(
        "{starts}strlen($signature = {signature}) === SODIUM_CRYPTO_SIGN_BYTES\n            \
         && sodium_crypto_sign_verify_detached($signature, $content, $key)"
    )
}

/// The signature that should have come, as text.
fn expected(plan: &Plan) -> String {
    let code = |raw: &str| match plan.proof {
        Proof::Token | Proof::Ed25519 => "$secret".to_owned(),
        Proof::Digest(hash) => format!("hash('{hash}', $content{raw})"),
        Proof::Hmac(hash) => format!("hash_hmac('{hash}', $content, $key{raw})"),
    };
    if plan.proof == Proof::Token {
        return code("");
    }
    let base64 = || format!("base64_encode({})", code(", true"));
    match plan.encoding {
        Encoding::Hex => code(""),
        Encoding::HexUpper => format!("strtoupper({})", code("")),
        Encoding::Base64 => base64(),
        Encoding::Base64Unpadded => format!("rtrim({}, '=')", base64()),
        Encoding::Base64url => format!("strtr({}, '+/', '-_')", base64()),
        Encoding::Base64urlUnpadded => format!("rtrim(strtr({}, '+/', '-_'), '=')", base64()),
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => literal(text),
        Part::Body => "$body".to_owned(),
        Part::Method => "$method".to_owned(),
        Part::Url => "$baseUrl".to_owned(),
        Part::FullUrl => "$url".to_owned(),
        Part::Host => "preg_replace('~^[^:]*://([^/?]*).*$~s', '$1', $url)".to_owned(),
        Part::Path => "preg_replace('~^[^:]*://[^/?]*([^?]*).*$~s', '$1', $url)".to_owned(),
        Part::Secret => "$secret".to_owned(),
        Part::Query => "$query".to_owned(),
        Part::SortedQuery => "normalizedQuery($query)".to_owned(),
        Part::Header(name) => format!("($headers[{}] ?? '')", literal(name)),
        Part::Field(group) => format!("$match[{group}]"),
    }
}

fn example(program: &Program<'_>) -> String {
    let request = &program.request;
    let mut out = format!(
        "\n$secret = {};\n$method = {};\n$url = {};\n$headers = [\n",
        literal(program.secret),
        literal(&request.method),
        literal(&request.url)
    );
    for (name, value) in &request.headers {
        let _ = writeln!(out, "    {} => {},", literal(name), literal(value));
    }
    let _ = write!(
        out,
        r"];
$body = {};

$valid = verify($secret, $method, $url, $headers, $body);
echo $valid ? 'The signature is valid.' : 'The signature is NOT valid.', PHP_EOL;
exit($valid ? 0 : 1);
",
        literal(&request.body)
    );
    out
}
