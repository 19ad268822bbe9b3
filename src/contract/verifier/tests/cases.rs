//! Requests that every language has to judge alike.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::{Contract, Language, SecretKind, SecretText, WireRequest};
use crate::contract::Sample;
use crate::contract::signature::Algorithm;
use crate::entropy::Entropy;

pub(super) const GITHUB: &str = include_str!("../../../../examples/contracts/github.toml");

const PAYLOAD: &str = r#"{"z":1.10,"big":12345678901234567890,"é":"\u2028 \"q\" 😀","～":1,"😀":{"b":[1e3],"a":null}}"#;

/// Whatever could end a literal, start code within one, or be read as something else.
pub(super) const NASTY: &str = "\"\"\" ''' ` \\ \\\\ \\' \\\" \\u0041 \\u{41} \\u000a \\x41 \\n $x ${x} {$x} $1 \
    #{x} #$x #@x %s %(x) /* */ // # -- ?> <?php </pre> \u{1}\u{7f}\u{85} \n \r\n \t \u{2028} \
    \u{202e} \u{200b} \u{feff} \0 é 😀 ～ \\";

/// Names that sort differently by UTF-8 and UTF-16, values that do as texts and numbers, what
/// is no escape, and what separates nothing.
const URL: &str = "https://example.com/a%20b?z=1&a=3&a=10&&q=x+y%26&%F0%9F%98%80=1&%EF%BD%9E=2\
    &e&t=a=b%&1=%zz&%EF%BD%9E=%F0%9F%98%80&%EF%BD%9E=%EF%BD%9E";

/// A request, what its receiver knows, and what the answer is.
pub(super) struct Case {
    pub(super) name: String,
    contract: Arc<Contract>,
    request: WireRequest,
    secret: SecretText,
    pub(super) good: bool,
}

impl Case {
    /// Python has no Ed25519.
    pub(super) fn is_for(&self, language: Language) -> bool {
        let kind = self.contract.secret.kind_of(self.secret.expose());
        language != Language::Python || kind != SecretKind::Ed25519
    }

    pub(super) fn program(&self, language: Language) -> String {
        self.contract.verifier(language, &self.request, &self.secret).unwrap()
    }
}

pub(super) fn contract(signature: &str) -> Contract {
    let text = format!("name = \"acme\"\n[[signature]]\nheader = \"X-Sig\"\n{signature}\n");
    Contract::load("acme.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

pub(super) fn sample(contract: &Contract) -> Sample {
    let mut sample = contract.sample(None).unwrap();
    sample.payload = PAYLOAD.into();
    sample.url = URL.to_owned();
    sample
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    for name in ["standard", "kynectlocal", "kakiyo", "rechat", "klink"] {
        let contract = Contract::shipped(name).unwrap();
        cases.add_thoroughly(name, contract, |_| ());
    }
    cases.add_query();
    cases.add_written();
    cases.add_headers();
    cases.add_key_pairs();
    cases.add_nasty();
    cases.0
}

struct Cases(Vec<Case>);

impl Cases {
    fn push(&mut self, name: &str, from: &Signed, request: WireRequest, good: bool) {
        let (contract, secret) = (Arc::clone(&from.contract), from.secret.clone());
        self.0.push(Case { name: name.to_owned(), contract, request, secret, good });
    }

    /// What was signed, a changed body, and another secret.
    fn add(
        &mut self,
        name: &str,
        contract: impl Into<Arc<Contract>>,
        change: impl Fn(&mut Sample),
    ) -> Signed {
        let signed = Signed::new(contract, change);
        let request = || signed.request.clone();
        self.push(&format!("{name}: as it was sent"), &signed, request(), true);
        let other = Signed { secret: signed.other_secret(), ..signed.clone() };
        self.push(&format!("{name}: another secret"), &other, request(), false);
        if signed.contract.signatures[0].algorithm != Algorithm::Token {
            let body = changed(&signed.request.body);
            let request = WireRequest { body, ..request() };
            self.push(&format!("{name}: a changed body"), &signed, request, false);
        }
        signed
    }

    /// The same, and headers that nobody signed.
    fn add_thoroughly(
        &mut self,
        name: &str,
        contract: impl Into<Arc<Contract>>,
        change: impl Fn(&mut Sample),
    ) -> Signed {
        let signed = self.add(name, contract, change);
        let header = signed.header();
        let value = signed.request.headers[&header].to_str().unwrap();
        let shorter = &value[..value.len() - 3];
        for (what, value) in [("short", shorter), ("foreign", "v1,AAAA"), ("empty", "")] {
            let request = signed.with_header(&header, value);
            self.push(&format!("{name}: a signature that is {what}"), &signed, request, false);
        }
        let mut request = signed.request.clone();
        request.headers.remove(&header);
        self.push(&format!("{name}: no signature"), &signed, request, false);
        signed
    }

    /// Signed URLs.
    fn add_query(&mut self) {
        let signed = Signed::new(Contract::shipped("klink").unwrap(), |_| ());
        let mut request = signed.request.clone();
        request.url.set_query(Some("z=1&a=3&a=11"));
        self.push("klink: a changed query", &signed, request, false);
        let none = Signed::new(Contract::shipped("klink").unwrap(), |sample| {
            sample.url = "https://example.com/".to_owned();
        });
        self.push("klink: no query", &none, none.request.clone(), true);
        let whole = contract(
            "algorithm = \"sha1\"\n\
             content = '{{ secret }}{{ full_url }}{{ host }}{{ path }}{{ query }}{{ url }}{{ body }}'\n\
             [secret]\nencoding = \"alphanumeric\"\n",
        );
        self.add("the whole address", whole, |sample| {
            sample.url = "https://example.com:8443/a|b/'c'?d=/e?f://g#h?i".to_owned();
        });
        let parts = "algorithm = \"hmac-sha256\"\ncontent = '{{ path }}:{{ method }}'";
        let signed = Signed::new(contract(parts), |_| ());
        self.push("a path and a method", &signed, signed.request.clone(), true);
        let mut request = signed.request.clone();
        request.url.set_path("/other");
        self.push("another path", &signed, request, false);
    }

    /// Every way to write a secret, a digest and a signature.
    fn add_written(&mut self) {
        let (bytes, text) =
            ("encoding = \"base64url\"", "encoding = \"alphanumeric\"\nkey = \"sha1\"");
        let digested = "encoding = \"hex\"\nprefix = \"$k_\"\nkey = \"sha256\"";
        for (algorithm, encoding, secret) in [
            ("hmac-sha384", "hex-upper", bytes),
            ("hmac-sha256", "base64-unpadded", text),
            ("hmac-sha256", "base64url", bytes),
            ("hmac-md5", "base64url", digested),
            ("hmac-sha512", "base64url-unpadded", "encoding = \"hex\"\nprefix = \"é😀\""),
            ("hmac-sha1", "base64", text),
            ("md5", "hex", text),
            ("sha256", "base64", digested),
            ("sha384", "hex-upper", text),
            ("sha512", "base64url-unpadded", bytes),
        ] {
            let digests = !algorithm.starts_with("hmac");
            let content = if digests { "{{ secret }}.{{ body }}" } else { "{{ body }}" };
            let contract = contract(&format!(
                "algorithm = \"{algorithm}\"\nencoding = \"{encoding}\"\ncontent = '{content}'\n\
                 [secret]\n{secret}\n"
            ));
            self.add(&format!("{algorithm} in {encoding}"), contract, |_| ());
        }
        let token = contract(
            "algorithm = \"token\"\nformat = 'Bearer {{ signature }}'\n\
             [secret]\nencoding = \"alphanumeric\"\n",
        );
        self.add_thoroughly("a token", token, |_| ());
    }

    /// Headers that are more than a signature.
    fn add_headers(&mut self) {
        let timed = contract(
            "algorithm = \"hmac-sha512\"\nencoding = \"base64\"\n\
             content = '{{ timestamp|unix }}.{{ body }}'\n\
             format = 't={{ timestamp|unix }},v1={{ signature }}'\n[secret]\nencoding = \"hex\"\n",
        );
        self.add_thoroughly("a time in the header", timed, |_| ());
        let list = contract(
            "algorithm = \"hmac-sha1\"\nformat = '(v0/{{ signatures|join(\"; v0/\") }})'\n\
             [secret]\nencoding = \"text\"\norigin = \"required\"\n",
        );
        let signed = self.add("a list in brackets", list, |_| ());
        let current = signed.signature();
        let digits = current.trim_start_matches("(v0/").trim_end_matches(')');
        let list = format!("(v0/{}; v0/{digits})", "0".repeat(40));
        let request = signed.with_header(&signed.header(), &list);
        self.push("the second of a list", &signed, request, true);
        let standard = Contract::shipped("standard").unwrap();
        let signed = Signed::new(standard, |_| ());
        let list = format!("v1a,AAAA v1,AAAA {} v2,x", signed.signature());
        let request = signed.with_header(&signed.header(), &list);
        self.push("standard: the third of a list", &signed, request, true);
        self.add_two_headers();
    }

    fn add_two_headers(&mut self) {
        let two = contract(
            "algorithm = \"hmac-sha256\"\n[[signature]]\nheader = \"X-Other\"\n\
             algorithm = \"hmac-sha1\"\nencoding = \"base64\"\n\
             format = '{{ timestamp|unix }}|{{ signatures|join(\"|\") }}'\n\
             content = '{{ timestamp|unix }}{{ body }}'\n",
        );
        let signed = self.add("two headers", two, |_| ());
        for header in ["x-sig", "x-other"] {
            let header = HeaderName::from_static(header);
            let value = signed.request.headers[&header].to_str().unwrap();
            let value = value.replace(char::is_alphanumeric, "0");
            let request = signed.with_header(&header, &value);
            self.push(&format!("two headers: {header} is wrong"), &signed, request, false);
        }
    }

    fn add_key_pairs(&mut self) {
        let standard = || Contract::shipped("standard").unwrap();
        let pair = |sample: &mut Sample| {
            sample.secret = standard().secret.example_of(SecretKind::Ed25519);
            // A shared secret that was replaced stands behind it in the header.
            sample.replaced = standard().secret.example_of(SecretKind::Symmetric);
        };
        let signed = self.add_thoroughly("a key pair", standard(), pair);
        let secret = standard().secret.example_of(SecretKind::Symmetric).unwrap();
        let old = Signed { secret, ..signed.clone() };
        self.push("the shared secret before it", &old, signed.request.clone(), true);
        let list = format!("v1a,AAAA v1a,!!! v1a, {}", signed.signature());
        let request = signed.with_header(&signed.header(), &list);
        self.push("a key pair: the last of a list", &signed, request, true);
        for (encoding, secret, format) in [
            ("hex", "hex", "t={{ timestamp|unix }};s={{ signature }}"),
            ("base64url-unpadded", "base64url", "ed25519={{ signature }}"),
            ("base64", "base64", "{{ signature }}"),
            ("base64-unpadded", "base64", "s=[{{ signatures|join(\"][\") }}]"),
        ] {
            let contract = contract(&format!(
                "algorithm = \"ed25519\"\nencoding = \"{encoding}\"\nformat = '{format}'\n\
                 [secret.ed25519]\nencoding = \"{secret}\"\n"
            ));
            self.add_thoroughly(&format!("a key pair in {encoding}"), contract, |_| ());
        }
    }

    /// Texts that aren't code, wherever they stand.
    fn add_nasty(&mut self) {
        let literal = toml::Value::from(format!("{{{{ id }}}}{NASTY}{{{{ body }}}}"));
        let format = "a\"\"\"b'''c`$x${x}#{x}#$x\\z\\n\\u0041/*[(^.{{ signature }}*/?>//";
        let text = "[secret]\norigin = \"required\"\nencoding = \"text\"\nmax_bytes = 1000\n";
        for (name, format) in [
            ("an entry", format.to_owned()),
            ("a pattern", format!("{{{{ timestamp|unix }}}}{format}")),
        ] {
            let format = toml::Value::from(format);
            let contract = contract(&format!(
                "algorithm = \"hmac-sha256\"\ncontent = {literal}\nformat = {format}\n{text}\
                 [delivery.headers]\nX-Id = \"{{{{ id }}}}\"\n"
            ));
            self.add(&format!("nasty texts in {name}"), contract, |sample| {
                let visible = NASTY.replace(char::is_control, "");
                sample.secret = Some(SecretText::new(format!("{visible}eB1")));
            });
        }
        let plain = || contract(&format!("algorithm = \"hmac-sha256\"\n{text}"));
        self.add_body("a nasty body", plain(), NASTY);
        // Java can't hold as much in one literal.
        self.add_body("a long body", plain(), &"é😀\\\"x1".repeat(20_000));
    }

    fn add_body(&mut self, name: &str, contract: impl Into<Arc<Contract>>, body: &str) {
        let mut signed = Signed::new(contract, |_| ());
        let key = signed.contract.secret.key_bytes(&signed.secret).unwrap();
        let code = Algorithm::HmacSha256.compute(&key, body.as_bytes());
        let mut request = signed.with_header(&signed.header(), &hex::encode(code));
        let value = NASTY.replace(char::is_control, "");
        request.headers.insert("x-nasty", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        request.body = Bytes::from(body.to_owned());
        signed.request = request.clone();
        self.push(name, &signed, request.clone(), true);
        request.body = changed(&request.body);
        self.push(&format!("{name}, changed"), &signed, request, false);
    }
}

/// A request that its contract signed.
#[derive(Clone)]
struct Signed {
    contract: Arc<Contract>,
    request: WireRequest,
    secret: SecretText,
}

impl Signed {
    fn new(contract: impl Into<Arc<Contract>>, change: impl Fn(&mut Sample)) -> Signed {
        let contract = contract.into();
        let mut sample = sample(&contract);
        change(&mut sample);
        let request = contract.example(&sample).unwrap();
        Signed { request, secret: sample.secret.unwrap(), contract }
    }

    fn header(&self) -> HeaderName {
        self.contract.signature_headers().next().unwrap().clone()
    }

    fn signature(&self) -> String {
        self.request.headers[&self.header()].to_str().unwrap().to_owned()
    }

    fn with_header(&self, header: &HeaderName, value: &str) -> WireRequest {
        let mut request = self.request.clone();
        request.headers.insert(header, HeaderValue::from_str(value).unwrap());
        request
    }

    /// Another one in the same form.
    fn other_secret(&self) -> SecretText {
        let rules = &self.contract.secret;
        let other = match rules.kind_of(self.secret.expose()) {
            SecretKind::Ed25519 => {
                rules.generate(SecretKind::Ed25519, &Entropy::seeded(1)).unwrap()
            }
            SecretKind::Symmetric => {
                SecretText::new(self.secret.expose().replace(['e', '1', 'B'], "0"))
            }
        };
        assert_ne!(other, self.secret);
        other
    }
}

fn changed(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let place = bytes.iter().rposition(|byte| byte.is_ascii_digit()).unwrap();
    bytes[place] = if bytes[place] == b'7' { b'8' } else { b'7' };
    Bytes::from(bytes)
}
