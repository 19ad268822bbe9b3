//! The program in Java 17 or later, with nothing but its standard library.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::header::Form;
use super::{ARGUMENTS, Alphabet, Key, Language, Part, Plan, Program, Proof, TIMED};
use crate::contract::Encoding;

const SORTED_QUERY: &str = r#"
    // Java sorts texts by UTF-16 code units; what is signed is sorted by UTF-8 bytes.
    static final Comparator<String> BY_BYTES =
            (a, b) -> Arrays.compareUnsigned(a.getBytes(UTF_8), b.getBytes(UTF_8));

    static String normalizedQuery(String query) {
        Map<String, List<String>> values = new TreeMap<>(BY_BYTES);
        for (String pair : query.split("&")) {
            if (!pair.isEmpty()) {
                String[] halves = pair.split("=", 2);
                values.computeIfAbsent(decoded(halves[0]), name -> new ArrayList<>())
                        .add(halves.length == 1 ? "" : decoded(halves[1]));
            }
        }
        List<String> pairs = new ArrayList<>();
        values.forEach((name, found) -> {
            found.sort(BY_BYTES);
            String all = "[" + String.join(" ", found) + "]";
            pairs.add(name + "=" + (found.size() == 1 ? found.get(0) : all));
        });
        return String.join("&", pairs);
    }

    // A "%" that starts no escape stands for itself; URLDecoder would throw.
    static String decoded(String text) {
        return URLDecoder.decode(text.replaceAll("%(?![0-9A-Fa-f]{2})", "%25"), UTF_8);
    }
"#;

const PUBLIC_KEY: &str = r#"
    static PublicKey publicKey(byte[] bytes) throws GeneralSecurityException {
        // What stands before the key in the form that Java reads (RFC 8410).
        byte[] start = HexFormat.of().parseHex("302a300506032b6570032100");
        byte[] whole = Arrays.copyOf(start, start.length + bytes.length);
        System.arraycopy(bytes, 0, whole, start.length, bytes.length);
        return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(whole));
    }

    static boolean isSigned(
            PublicKey key, byte[] content, String text, Function<String, byte[]> decoder)
            throws GeneralSecurityException {
        try {
            Signature check = Signature.getInstance("Ed25519");
            check.initVerify(key);
            check.update(content);
            return check.verify(decoder.apply(text));
        } catch (SignatureException | IllegalArgumentException malformed) {
            return false;
        }
    }
"#;

pub(super) fn write(program: &Program<'_>) -> String {
    let mut writer = Writer {
        classes: BTreeSet::from([
            "java.security.GeneralSecurityException",
            "java.util.HashMap",
            "java.util.Map",
        ]),
    };
    let mut parts = String::new();
    if program.uses(&Part::SortedQuery) {
        parts.push_str(SORTED_QUERY);
        writer.classes.extend([
            "java.net.URLDecoder",
            "java.util.ArrayList",
            "java.util.Arrays",
            "java.util.Comparator",
            "java.util.List",
            "java.util.TreeMap",
        ]);
    }
    if program.proves(|proof| proof == Proof::Ed25519) {
        parts.push_str(PUBLIC_KEY);
        writer.classes.extend([
            "java.security.KeyFactory",
            "java.security.PublicKey",
            "java.security.Signature",
            "java.security.SignatureException",
            "java.security.spec.X509EncodedKeySpec",
            "java.util.Arrays",
            "java.util.HexFormat",
            "java.util.function.Function",
        ]);
    }
    parts.push_str(&writer.verify(program));
    let mut out = String::from(
        "// Verify.java, for Java 17 or later.\nimport static java.nio.charset.StandardCharsets.UTF_8;\n\n",
    );
    for class in &writer.classes {
        let _ = writeln!(out, "import {class};");
    }
    let _ = write!(out, "\npublic class Verify {{{parts}{}}}\n", example(program));
    out
}

fn literal(text: &str) -> String {
    Language::Java.literal(text)
}

/// Knows what the code that it wrote has to import.
struct Writer {
    classes: BTreeSet<&'static str>,
}

impl Writer {
    fn verify(&mut self, program: &Program<'_>) -> String {
        let mut out = format!(
            "\n    // {ARGUMENTS}\n    static boolean verify(\n            String secret, String method, \
             String url, Map<String, String> headers, byte[] body)\n            \
             throws GeneralSecurityException {{\n"
        );
        if program.has_key() {
            let key = self.key(program);
            let _ = writeln!(out, "        {key};");
        }
        if [Part::Url, Part::Query, Part::SortedQuery].iter().any(|part| program.uses(part)) {
            out.push_str("        String[] address = url.split(\"\\\\?\", 2);\n");
        }
        out.push_str(
            &program.blocks("        ", "    ", |lines, plan| self.write_plan(lines, plan)),
        );
        if program.is_timed {
            let _ = writeln!(out, "        // {TIMED}");
        }
        out.push_str("        return true;\n    }\n");
        out
    }

    fn key(&mut self, program: &Program<'_>) -> String {
        let (prefix, alphabet) = match &program.key {
            Key::Text => return "byte[] key = secret.getBytes(UTF_8)".to_owned(),
            Key::Digest(hash) => {
                self.classes.insert("java.security.MessageDigest");
                let name = digest_name(hash);
                return format!(
                    "byte[] key = MessageDigest.getInstance(\"{name}\").digest(secret.getBytes(UTF_8))"
                );
            }
            Key::Decoded(prefix, alphabet) => (*prefix, *alphabet),
        };
        let rest = match prefix {
            "" => "secret".to_owned(),
            prefix => format!("secret.substring({}.length())", literal(prefix)),
        };
        let (object, method) = self.decoder(alphabet);
        let bytes = format!("{object}.{method}({rest})");
        match program.proves(|proof| proof == Proof::Ed25519) {
            true => format!("PublicKey key = publicKey({bytes})"),
            false => format!("byte[] key = {bytes}"),
        }
    }

    fn write_plan(&mut self, out: &mut String, plan: &Plan) {
        let header = format!("headers.getOrDefault({}, \"\")", literal(&plan.header));
        match &plan.form {
            Form::Entries { .. } => {
                let _ = writeln!(out, "        String given = {header};");
            }
            Form::Pattern(pattern) => {
                self.classes.extend(["java.util.regex.Matcher", "java.util.regex.Pattern"]);
                let text = literal(&pattern.text);
                let _ = writeln!(
                    out,
                    "        Matcher match = Pattern.compile({text}, Pattern.DOTALL).matcher({header});"
                );
                out.push_str(
                    "        if (!match.matches()) {\n            return false;\n        }\n",
                );
                let _ = writeln!(out, "        String given = match.group({});", pattern.group);
            }
        }
        self.write_expected(out, plan);
        match plan.between() {
            None => {
                let check = self.check(plan, "given");
                let _ = writeln!(out, "        boolean valid = {check};");
            }
            Some(separator) => self.write_loop(out, plan, separator),
        }
        out.push_str("        if (!valid) {\n            return false;\n        }\n");
    }

    fn write_loop(&mut self, out: &mut String, plan: &Plan, separator: &str) {
        let split = self.split("given", separator);
        let _ =
            writeln!(out, "        boolean valid = false;\n        for (String one : {split}) {{");
        let one = match plan.cut() {
            Some(separator) => format!("{}[0]", self.split("one", separator)),
            None => "one".to_owned(),
        };
        let check = self.check(plan, &one);
        let _ = writeln!(out, "            valid = valid || {check};\n        }}");
    }

    /// Java splits at a regular expression. A limit below zero keeps what is empty.
    fn split(&mut self, text: &str, separator: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || " ,;:=/".contains(c);
        let quoted = literal(separator);
        if separator.chars().all(plain) {
            return format!("{text}.split({quoted}, -1)");
        }
        self.classes.insert("java.util.regex.Pattern");
        format!("{text}.split(Pattern.quote({quoted}), -1)")
    }

    /// The content, and what should have come.
    fn write_expected(&mut self, out: &mut String, plan: &Plan) {
        let code = match plan.proof {
            Proof::Ed25519 => return self.write_content(out, plan),
            Proof::Token => "secret".to_owned(),
            Proof::Digest(hash) => {
                self.write_content(out, plan);
                let name = digest_name(hash);
                let _ = writeln!(
                    out,
                    "        byte[] digest = MessageDigest.getInstance(\"{name}\").digest(content);"
                );
                self.encoded(plan.encoding, "digest")
            }
            Proof::Hmac(hash) => {
                self.classes.extend(["javax.crypto.Mac", "javax.crypto.spec.SecretKeySpec"]);
                self.write_content(out, plan);
                let name = format!("Hmac{}", hash.to_uppercase());
                let _ = writeln!(out, "        Mac mac = Mac.getInstance(\"{name}\");");
                let _ = writeln!(out, "        mac.init(new SecretKeySpec(key, \"{name}\"));");
                self.encoded(plan.encoding, "mac.doFinal(content)")
            }
        };
        let entry = plan.entry(Language::Java, &code, " + ");
        let _ = writeln!(out, "        String expected = {entry};");
    }

    fn write_content(&mut self, out: &mut String, plan: &Plan) {
        let runs = plan.runs(part, " + ", |texts, count| match count {
            1 => format!("{texts}.getBytes(UTF_8)"),
            _ => format!("({texts}).getBytes(UTF_8)"),
        });
        if let [one] = runs.as_slice() {
            let _ = writeln!(out, "        byte[] content = {one};");
            return;
        }
        self.classes.insert("java.io.ByteArrayOutputStream");
        out.push_str("        var parts = new ByteArrayOutputStream();\n");
        for run in runs {
            let _ = writeln!(out, "        parts.writeBytes({run});");
        }
        out.push_str("        byte[] content = parts.toByteArray();\n");
    }

    /// An expression: whether an entry of the header is as it should be.
    fn check(&mut self, plan: &Plan, one: &str) -> String {
        if plan.proof != Proof::Ed25519 {
            self.classes.insert("java.security.MessageDigest");
            return format!(
                "MessageDigest.isEqual(expected.getBytes(UTF_8), {one}.getBytes(UTF_8))"
            );
        }
        let (object, method) = self.decoder(Alphabet::of(plan.encoding));
        let signed = |text: &str| format!("isSigned(key, content, {text}, {object}::{method})");
        match plan.around().0 {
            "" => signed(one),
            before => {
                let before = literal(before);
                let rest = format!("{one}.substring({before}.length())");
                format!("({one}.startsWith({before}) && {})", signed(&rest))
            }
        }
    }

    fn decoder(&mut self, alphabet: Alphabet) -> (&'static str, &'static str) {
        let (class, object, method) = match alphabet {
            Alphabet::Hex => ("java.util.HexFormat", "HexFormat.of()", "parseHex"),
            Alphabet::Base64 => ("java.util.Base64", "Base64.getDecoder()", "decode"),
            Alphabet::Base64url => ("java.util.Base64", "Base64.getUrlDecoder()", "decode"),
        };
        self.classes.insert(class);
        (object, method)
    }

    fn encoded(&mut self, encoding: Encoding, bytes: &str) -> String {
        let (class, function) = match encoding {
            Encoding::Hex => ("java.util.HexFormat", "HexFormat.of().formatHex"),
            Encoding::HexUpper => {
                ("java.util.HexFormat", "HexFormat.of().withUpperCase().formatHex")
            }
            Encoding::Base64 => ("java.util.Base64", "Base64.getEncoder().encodeToString"),
            Encoding::Base64Unpadded => {
                ("java.util.Base64", "Base64.getEncoder().withoutPadding().encodeToString")
            }
            Encoding::Base64url => ("java.util.Base64", "Base64.getUrlEncoder().encodeToString"),
            Encoding::Base64urlUnpadded => {
                ("java.util.Base64", "Base64.getUrlEncoder().withoutPadding().encodeToString")
            }
        };
        self.classes.insert(class);
        format!("{function}({bytes})")
    }
}

/// `SHA-256` for `sha256`.
fn digest_name(hash: &str) -> String {
    hash.to_uppercase().replace("SHA", "SHA-")
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => literal(text),
        Part::Body => "body".to_owned(),
        Part::Method => "method".to_owned(),
        Part::Url => "address[0]".to_owned(),
        Part::FullUrl => "url".to_owned(),
        Part::Host => "url.replaceFirst(\"^[^:]*://([^/?]*).*$\", \"$1\")".to_owned(),
        Part::Path => "url.replaceFirst(\"^[^:]*://[^/?]*([^?]*).*$\", \"$1\")".to_owned(),
        Part::Secret => "secret".to_owned(),
        Part::Query => "(address.length == 1 ? \"\" : address[1])".to_owned(),
        Part::SortedQuery => "normalizedQuery(address.length == 1 ? \"\" : address[1])".to_owned(),
        Part::Header(name) => format!("headers.getOrDefault({}, \"\")", literal(name)),
        Part::Field(group) => format!("match.group({group})"),
    }
}

fn example(program: &Program<'_>) -> String {
    let request = &program.request;
    let mut out = format!(
        r#"
    public static void main(String[] arguments) throws GeneralSecurityException {{
        String secret = {};
        String method = {};
        String url = {};
        Map<String, String> headers = new HashMap<>();
"#,
        literal(program.secret),
        literal(&request.method),
        literal(&request.url)
    );
    for (name, value) in &request.headers {
        let _ = writeln!(out, "        headers.put({}, {});", literal(name), literal(value));
    }
    let _ = write!(
        out,
        r#"        byte[] body = {}.getBytes(UTF_8);

        boolean valid = verify(secret, method, url, headers, body);
        System.out.println(valid ? "The signature is valid." : "The signature is NOT valid.");
        System.exit(valid ? 0 : 1);
    }}
"#,
        literal(&request.body)
    );
    out
}
