//! The program in Go 1.18 or later, with nothing but its standard library. It is laid out as
//! gofmt does.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::header::Form;
use super::{ARGUMENTS, Alphabet, Key, Language, Part, Plan, Program, Proof, TIMED};
use crate::contract::Encoding;

const SORTED_QUERY: &str = r#"
var escape = regexp.MustCompile("%[0-9A-Fa-f]{2}")

// decoded leaves a "%" alone that starts no escape; net/url would return an error.
func decoded(text string) string {
	text = strings.ReplaceAll(text, "+", " ")
	text = escape.ReplaceAllStringFunc(text, func(found string) string {
		one, _ := hex.DecodeString(found[1:])
		return string(one)
	})
	return strings.ToValidUTF8(text, "\ufffd")
}

// normalizedQuery sorts by bytes, as Go does with all strings.
func normalizedQuery(query string) string {
	values := map[string][]string{}
	for _, pair := range strings.Split(query, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			values[decoded(name)] = append(values[decoded(name)], decoded(value))
		}
	}
	names := []string{}
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	pairs := []string{}
	for _, name := range names {
		found := values[name]
		sort.Strings(found)
		if len(found) == 1 {
			pairs = append(pairs, name+"="+found[0])
		} else {
			pairs = append(pairs, name+"=["+strings.Join(found, " ")+"]")
		}
	}
	return strings.Join(pairs, "&")
}
"#;

pub(super) fn write(program: &Program<'_>) -> String {
    let mut writer = Writer { packages: BTreeSet::from(["fmt", "os"]) };
    let verify = writer.verify(program);
    if program.uses(&Part::SortedQuery) {
        writer.packages.extend(["encoding/hex", "regexp", "sort", "strings"]);
    }
    let mut out = String::from("package main\n\nimport (\n");
    for package in &writer.packages {
        let _ = writeln!(out, "\t\"{package}\"");
    }
    out.push_str(")\n");
    if program.uses(&Part::SortedQuery) {
        out.push_str(SORTED_QUERY);
    }
    out.push_str(&verify);
    out.push_str(&example(program));
    out
}

/// Knows what the code that it wrote has to import: Go refuses what isn't used.
struct Writer {
    packages: BTreeSet<&'static str>,
}

impl Writer {
    fn verify(&mut self, program: &Program<'_>) -> String {
        let mut out = format!(
            "\n// {ARGUMENTS}\nfunc verify(secret, method, address string, \
             headers map[string]string, body []byte) bool {{\n"
        );
        if program.has_key() {
            self.write_key(&mut out, program);
        }
        self.write_address(&mut out, program);
        out.push_str(&program.blocks("\t", "\t", |lines, plan| self.write_plan(lines, plan)));
        if program.is_timed {
            let _ = writeln!(out, "\t// {TIMED}");
        }
        out.push_str("\treturn true\n}\n");
        out
    }

    fn write_key(&mut self, out: &mut String, program: &Program<'_>) {
        let (prefix, alphabet) = match &program.key {
            Key::Text => return out.push_str("\tkey := []byte(secret)\n"),
            Key::Digest(hash) => {
                let new = self.hash(hash);
                let _ = writeln!(out, "\tdigest := {new}()\n\tdigest.Write([]byte(secret))");
                return out.push_str("\tkey := digest.Sum(nil)\n");
            }
            Key::Decoded(prefix, alphabet) => (*prefix, *alphabet),
        };
        let rest = match prefix {
            "" => "secret".to_owned(),
            prefix => {
                self.packages.insert("strings");
                format!("strings.TrimPrefix(secret, {})", literal(prefix))
            }
        };
        let decoded = self.decoded(alphabet, &rest);
        let length = match program.proves(|proof| proof == Proof::Ed25519) {
            true => " || len(key) != ed25519.PublicKeySize",
            false => "",
        };
        let _ = write!(
            out,
            "\tkey, err := {decoded}\n\tif err != nil{length} {{\n\t\treturn false\n\t}}\n"
        );
    }

    /// The address, taken apart as far as it is needed.
    fn write_address(&mut self, out: &mut String, program: &Program<'_>) {
        let name = |used: bool, name: &'static str| if used { name } else { "_" };
        let (host, path) = (program.uses(&Part::Host), program.uses(&Part::Path));
        let base = host || path || program.uses(&Part::Url);
        let query = program.uses(&Part::Query) || program.uses(&Part::SortedQuery);
        if base || query {
            self.packages.insert("strings");
            let (base, query) = (name(base, "baseURL"), name(query, "query"));
            let _ = writeln!(out, "\t{base}, {query}, _ := strings.Cut(address, \"?\")");
        }
        if host || path {
            let (host, path) = (name(host, "host"), name(path, "path"));
            out.push_str("\t_, place, _ := strings.Cut(baseURL, \"://\")\n");
            let _ = writeln!(out, "\t{host}, {path}, _ := strings.Cut(place, \"/\")");
        }
    }

    fn write_plan(&mut self, out: &mut String, plan: &Plan) {
        let header = format!("headers[{}]", literal(&plan.header));
        match &plan.form {
            Form::Entries { .. } => {
                let _ = writeln!(out, "\tgiven := {header}");
            }
            Form::Pattern(pattern) => {
                self.packages.insert("regexp");
                let text = literal(&format!("(?s)\\A{}\\z", pattern.text));
                let _ = write!(
                    out,
                    "\tmatch := regexp.MustCompile({text}).FindStringSubmatch({header})\n\
                     \tif match == nil {{\n\t\treturn false\n\t}}\n\tgiven := match[{}]\n",
                    pattern.group
                );
            }
        }
        self.write_expected(out, plan);
        match plan.between() {
            None => {
                let check = self.check(out, "\t", plan, "given");
                let _ = writeln!(out, "\tvalid := {check}");
            }
            Some(separator) => self.write_loop(out, plan, separator),
        }
        out.push_str("\tif !valid {\n\t\treturn false\n\t}\n");
    }

    fn write_loop(&mut self, out: &mut String, plan: &Plan, separator: &str) {
        self.packages.insert("strings");
        let split = format!("strings.Split(given, {})", literal(separator));
        let _ = writeln!(out, "\tvalid := false\n\tfor _, one := range {split} {{");
        if let Some(separator) = plan.cut() {
            let _ = writeln!(out, "\t\tone, _, _ = strings.Cut(one, {})", literal(separator));
        }
        let check = self.check(out, "\t\t", plan, "one");
        let _ = writeln!(out, "\t\tvalid = valid || {check}\n\t}}");
    }

    /// The content, and what should have come.
    fn write_expected(&mut self, out: &mut String, plan: &Plan) {
        if plan.proof != Proof::Token {
            let _ = writeln!(out, "\tcontent := {}", content(plan));
        }
        let code = match plan.proof {
            Proof::Ed25519 => return,
            Proof::Token => "secret".to_owned(),
            Proof::Digest(hash) => {
                let new = self.hash(hash);
                let _ = writeln!(out, "\thash := {new}()\n\thash.Write(content)");
                self.encoded(plan.encoding, "hash.Sum(nil)")
            }
            Proof::Hmac(hash) => {
                let new = self.hash(hash);
                let _ = writeln!(out, "\tmac := hmac.New({new}, key)\n\tmac.Write(content)");
                self.encoded(plan.encoding, "mac.Sum(nil)")
            }
        };
        let _ = writeln!(out, "\texpected := {}", plan.entry(Language::Go, &code, " + "));
    }

    /// An expression: whether an entry of the header is as it should be.
    fn check(&mut self, out: &mut String, indent: &str, plan: &Plan, one: &str) -> String {
        if plan.proof != Proof::Ed25519 {
            self.packages.insert("crypto/hmac");
            return format!("hmac.Equal([]byte(expected), []byte({one}))");
        }
        self.packages.insert("crypto/ed25519");
        let mut starts = String::new();
        let mut rest = one.to_owned();
        let (before, _) = plan.around();
        if !before.is_empty() {
            self.packages.insert("strings");
            let before = literal(before);
            starts = format!("strings.HasPrefix({one}, {before}) && ");
            rest = format!("strings.TrimPrefix({one}, {before})");
        }
        let decoded = match plan.encoding {
            // The standard encoding refuses what has no padding.
            Encoding::Base64Unpadded => {
                self.packages.insert("encoding/base64");
                format!("base64.RawStdEncoding.DecodeString({rest})")
            }
            encoding => self.decoded(Alphabet::of(encoding), &rest),
        };
        let _ = writeln!(out, "{indent}signature, err := {decoded}");
        format!("{starts}err == nil && ed25519.Verify(key, content, signature)")
    }

    /// An expression for the bytes that a text stands for, and an error.
    fn decoded(&mut self, alphabet: Alphabet, text: &str) -> String {
        match alphabet {
            Alphabet::Hex => {
                self.packages.insert("encoding/hex");
                format!("hex.DecodeString({text})")
            }
            Alphabet::Base64 => {
                self.packages.insert("encoding/base64");
                format!("base64.StdEncoding.DecodeString({text})")
            }
            Alphabet::Base64url => {
                self.packages.extend(["encoding/base64", "strings"]);
                format!("base64.RawURLEncoding.DecodeString(strings.TrimRight({text}, \"=\"))")
            }
        }
    }

    fn encoded(&mut self, encoding: Encoding, bytes: &str) -> String {
        let (package, function) = match encoding {
            Encoding::Hex | Encoding::HexUpper => ("encoding/hex", "hex.EncodeToString"),
            Encoding::Base64 => ("encoding/base64", "base64.StdEncoding.EncodeToString"),
            Encoding::Base64Unpadded => ("encoding/base64", "base64.RawStdEncoding.EncodeToString"),
            Encoding::Base64url => ("encoding/base64", "base64.URLEncoding.EncodeToString"),
            Encoding::Base64urlUnpadded => {
                ("encoding/base64", "base64.RawURLEncoding.EncodeToString")
            }
        };
        self.packages.insert(package);
        if encoding != Encoding::HexUpper {
            return format!("{function}({bytes})");
        }
        self.packages.insert("strings");
        format!("strings.ToUpper({function}({bytes}))")
    }

    /// The function that makes a hash.
    fn hash(&mut self, name: &str) -> &'static str {
        let (package, new) = match name {
            "md5" => ("crypto/md5", "md5.New"),
            "sha1" => ("crypto/sha1", "sha1.New"),
            "sha384" => ("crypto/sha512", "sha512.New384"),
            "sha512" => ("crypto/sha512", "sha512.New"),
            _ => ("crypto/sha256", "sha256.New"),
        };
        self.packages.insert(package);
        new
    }
}

fn literal(text: &str) -> String {
    Language::Go.literal(text)
}

/// Strings hold any bytes, so that the body can be joined as one.
fn content(plan: &Plan) -> String {
    match plan.parts.as_slice() {
        [Part::Body] => "body".to_owned(),
        parts => {
            let parts: Vec<String> = parts.iter().map(part).collect();
            format!("[]byte({})", parts.join(" + "))
        }
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => literal(text),
        Part::Body => "string(body)".to_owned(),
        Part::Method => "method".to_owned(),
        Part::Url => "baseURL".to_owned(),
        Part::FullUrl => "address".to_owned(),
        Part::Host => "host".to_owned(),
        Part::Path => "\"/\" + path".to_owned(),
        Part::Secret => "secret".to_owned(),
        Part::Query => "query".to_owned(),
        Part::SortedQuery => "normalizedQuery(query)".to_owned(),
        Part::Header(name) => format!("headers[{}]", literal(name)),
        Part::Field(group) => format!("match[{group}]"),
    }
}

fn example(program: &Program<'_>) -> String {
    let request = &program.request;
    let mut out = format!(
        "\nfunc main() {{\n\tsecret := {}\n\tmethod := {}\n\taddress := {}\n\
         \theaders := map[string]string{{}}\n",
        literal(program.secret),
        literal(&request.method),
        literal(&request.url)
    );
    for (name, value) in &request.headers {
        let _ = writeln!(out, "\theaders[{}] = {}", literal(name), literal(value));
    }
    let _ = writeln!(out, "\tbody := []byte({})", literal(&request.body));
    out.push_str(
        r#"
	if !verify(secret, method, address, headers, body) {
		fmt.Println("The signature is NOT valid.")
		os.Exit(1)
	}
	fmt.Println("The signature is valid.")
}
"#,
    );
    out
}
