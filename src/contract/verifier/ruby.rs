//! The program in Ruby 3, with nothing but its standard library.

use std::fmt::Write as _;

use super::header::Form;
use super::{ARGUMENTS, Alphabet, Key, Language, Part, Plan, Program, Proof, TIMED};
use crate::contract::Encoding;

const SORTED_QUERY: &str = r##"
def decoded(text)
  # A "%" that starts no escape stands for itself; the library would raise an error.
  URI.decode_www_form_component(text.gsub(/%(?!\h\h)/, "%25")).scrub
end

def normalized_query(query)
  values = Hash.new { |all, name| all[name] = [] }
  query.split("&").reject(&:empty?).each do |pair|
    name, _, value = pair.partition("=")
    values[decoded(name)] << decoded(value)
  end
  # Ruby sorts texts by their bytes, which is the order that is signed.
  values.sort.map do |name, found|
    found.one? ? "#{name}=#{found[0]}" : "#{name}=[#{found.sort.join(" ")}]"
  end.join("&")
end
"##;

const PUBLIC_KEY: &str = r#"
def public_key(bytes)
  # What stands before the key in the form that OpenSSL reads (RFC 8410).
  OpenSSL::PKey.read(["302a300506032b6570032100"].pack("H*") + bytes)
end

def signed?(key, content, signature)
  key.verify(nil, signature, content)
rescue OpenSSL::PKey::PKeyError
  false
end
"#;

pub(super) fn write(program: &Program<'_>) -> String {
    let mut out = String::new();
    let digests = matches!(program.key, Key::Digest(_)) && program.has_key();
    if digests || program.proves(|proof| matches!(proof, Proof::Digest(_))) {
        out.push_str("require \"digest\"\n");
    }
    out.push_str("require \"openssl\"\n");
    if program.uses(&Part::SortedQuery) {
        out.push_str("require \"uri\"\n");
        out.push_str(SORTED_QUERY);
    }
    if program.proves(|proof| proof == Proof::Ed25519) {
        out.push_str(PUBLIC_KEY);
    }
    out.push_str(&verify(program));
    out.push_str(&example(program));
    out
}

fn literal(text: &str) -> String {
    Language::Ruby.literal(text)
}

fn verify(program: &Program<'_>) -> String {
    let mut out = format!("\n# {ARGUMENTS}\ndef verify(secret, method, url, headers, body)\n");
    if program.has_key() {
        let _ = writeln!(out, "  key = {}", key(program));
    }
    if [Part::Url, Part::Query, Part::SortedQuery].iter().any(|part| program.uses(part)) {
        out.push_str("  base_url, _, query = url.partition(\"?\")\n");
    }
    for plan in &program.plans {
        write_plan(&mut out, plan);
    }
    if program.is_timed {
        let _ = writeln!(out, "  # {TIMED}");
    }
    out.push_str("  true\nend\n");
    out
}

fn key(program: &Program<'_>) -> String {
    let (prefix, alphabet) = match &program.key {
        Key::Text => return "secret".to_owned(),
        Key::Digest(hash) => return format!("Digest::{}.digest(secret)", hash.to_uppercase()),
        Key::Decoded(prefix, alphabet) => (*prefix, *alphabet),
    };
    let rest = match prefix {
        "" => "secret".to_owned(),
        prefix => format!("secret.delete_prefix({})", literal(prefix)),
    };
    let bytes = decoded(alphabet, &rest);
    match program.proves(|proof| proof == Proof::Ed25519) {
        true => format!("public_key({bytes})"),
        false => bytes,
    }
}

fn decoded(alphabet: Alphabet, text: &str) -> String {
    match alphabet {
        Alphabet::Hex => format!("[{text}].pack(\"H*\")"),
        Alphabet::Base64 => format!("{text}.unpack1(\"m\")"),
        Alphabet::Base64url => format!("{text}.tr(\"-_\", \"+/\").unpack1(\"m\")"),
    }
}

fn write_plan(out: &mut String, plan: &Plan) {
    let header = format!("headers.fetch({}, \"\")", literal(&plan.header));
    match &plan.form {
        Form::Entries { .. } => {
            let _ = writeln!(out, "  given = {header}");
        }
        Form::Pattern(pattern) => {
            let text = pattern.text.replace('/', "\\/");
            let _ = writeln!(out, "  match = /\\A{text}\\z/m.match({header})");
            let _ = writeln!(out, "  return false unless match\n");
            let _ = writeln!(out, "  given = match[{}]", pattern.group);
        }
    }
    if plan.proof != Proof::Token {
        let _ = writeln!(out, "  content = {}", content(plan));
    }
    if plan.proof != Proof::Ed25519 {
        let expected = plan.entry(Language::Ruby, &expected(plan), " + ");
        let _ = writeln!(out, "  expected = {expected}");
    }
    let cut = plan.cut().map(|separator| format!(".split({}).first.to_s", literal(separator)));
    let valid = match plan.between() {
        Some(separator) => {
            let one = valid(plan, &format!("one{}", cut.unwrap_or_default()));
            format!("given.split({}).any? {{ |one| {one} }}", literal(separator))
        }
        None => valid(plan, "given"),
    };
    let _ = writeln!(out, "  return false unless {valid}\n");
}

/// As bytes: Ruby refuses to join a text and bytes that aren't ASCII.
fn content(plan: &Plan) -> String {
    if let [Part::Body] = plan.parts.as_slice() {
        return "body".to_owned();
    }
    let parts: Vec<String> = plan.parts.iter().map(part).collect();
    format!("[{}].map(&:b).join", parts.join(", "))
}

/// Whether an entry of the header is as it should be.
fn valid(plan: &Plan, one: &str) -> String {
    let check = |signature: &str| {
        format!("signed?(key, content, {})", decoded(Alphabet::of(plan.encoding), signature))
    };
    match (plan.proof, plan.around().0) {
        (Proof::Token, _) => format!("OpenSSL.secure_compare(expected.b, {one}.b)"),
        (Proof::Hmac(_) | Proof::Digest(_), _) => {
            format!("OpenSSL.secure_compare(expected, {one})")
        }
        (Proof::Ed25519, "") => check(one),
        (Proof::Ed25519, before) => {
            let before = literal(before);
            let rest = check(&format!("{one}.delete_prefix({before})"));
            format!("{one}.start_with?({before}) && {rest}")
        }
    }
}

/// The signature that should have come, as text.
fn expected(plan: &Plan) -> String {
    let code = |method: &str| match plan.proof {
        Proof::Token | Proof::Ed25519 => "secret".to_owned(),
        Proof::Digest(hash) => format!("Digest::{}.{method}(content)", hash.to_uppercase()),
        Proof::Hmac(hash) => {
            format!("OpenSSL::HMAC.{method}(\"{}\", key, content)", hash.to_uppercase())
        }
    };
    if plan.proof == Proof::Token {
        return code("");
    }
    let base64 = || format!("[{}].pack(\"m0\")", code("digest"));
    match plan.encoding {
        Encoding::Hex => code("hexdigest"),
        Encoding::HexUpper => format!("{}.upcase", code("hexdigest")),
        Encoding::Base64 => base64(),
        Encoding::Base64Unpadded => format!("{}.delete(\"=\")", base64()),
        Encoding::Base64url => format!("{}.tr(\"+/\", \"-_\")", base64()),
        Encoding::Base64urlUnpadded => format!("{}.tr(\"+/\", \"-_\").delete(\"=\")", base64()),
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => literal(text),
        Part::Body => "body".to_owned(),
        Part::Method => "method".to_owned(),
        Part::Url => "base_url".to_owned(),
        Part::FullUrl => "url".to_owned(),
        Part::Host => "url[%r{\\A[^:]*://([^/?]*)}, 1]".to_owned(),
        Part::Path => "url[%r{\\A[^:]*://[^/?]*([^?]*)}, 1]".to_owned(),
        Part::Secret => "secret".to_owned(),
        Part::Query => "query".to_owned(),
        Part::SortedQuery => "normalized_query(query)".to_owned(),
        Part::Header(name) => format!("headers.fetch({}, \"\")", literal(name)),
        Part::Field(group) => format!("match[{group}]"),
    }
}

fn example(program: &Program<'_>) -> String {
    let request = &program.request;
    let mut out = format!(
        "\nsecret = {}\nmethod = {}\nurl = {}\nheaders = {{\n",
        literal(program.secret),
        literal(&request.method),
        literal(&request.url)
    );
    for (name, value) in &request.headers {
        let _ = writeln!(out, "  {} => {},", literal(name), literal(value));
    }
    let _ = write!(
        out,
        r#"}}
body = {}

valid = verify(secret, method, url, headers, body)
puts valid ? "The signature is valid." : "The signature is NOT valid."
exit(valid ? 0 : 1)
"#,
        literal(&request.body)
    );
    out
}
