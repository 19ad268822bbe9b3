//! Programs that verify a contract's signatures, written out for the people who receive
//! them: from the contract itself, so that they can't say anything else than the server does.

mod expression;
mod go;
mod header;
mod java;
mod literal;
mod node;
mod php;
mod python;
mod ruby;

use url::Position;

use self::expression::{Piece, pieces};
use self::header::{Fields, Form};
use super::encoding::Encoding;
use super::secret::{SecretEncoding, SecretKey, SecretKind};
use super::signature::{Algorithm, Signature, SignedBy};
use super::{Contract, WireRequest};
use crate::domain::SecretText;

/// A language that a verifying program can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Node,
    Python,
    Php,
    Ruby,
    Go,
    Java,
}

impl Language {
    /// In the order in which they are shown.
    pub const ALL: [Language; 6] = [
        Language::Node,
        Language::Python,
        Language::Php,
        Language::Ruby,
        Language::Go,
        Language::Java,
    ];

    pub const fn title(self) -> &'static str {
        match self {
            Language::Node => "Node.js",
            Language::Python => "Python",
            Language::Php => "PHP",
            Language::Ruby => "Ruby",
            Language::Go => "Go",
            Language::Java => "Java",
        }
    }

    const fn comment(self) -> &'static str {
        match self {
            Language::Python | Language::Ruby => "#",
            Language::Node | Language::Php | Language::Go | Language::Java => "//",
        }
    }
}

/// One thing that signed content is joined from, as a receiver gets hold of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Body,
    Method,
    /// The URL without its query.
    Url,
    FullUrl,
    Host,
    Path,
    Secret,
    Query,
    SortedQuery,
    /// The value of a header: its lower-case name.
    Header(String),
    /// A field of the signature header itself: the number of its group in the pattern.
    Field(usize),
}

/// What a signature is, with the hash function's name as PHP, Python and Node write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Hmac(&'static str),
    Digest(&'static str),
    Ed25519,
    Token,
}

/// What a verifying program has to do for one signature header.
struct Plan {
    /// The header, in lower case.
    header: String,
    proof: Proof,
    encoding: Encoding,
    parts: Vec<Part>,
    form: Form,
}

/// How bytes are written behind a prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Hex,
    Base64,
    /// With padding or without.
    Base64url,
}

impl Alphabet {
    /// The one in which a signature is read.
    const fn of(encoding: Encoding) -> Alphabet {
        match encoding {
            Encoding::Hex | Encoding::HexUpper => Alphabet::Hex,
            Encoding::Base64 | Encoding::Base64Unpadded => Alphabet::Base64,
            Encoding::Base64url | Encoding::Base64urlUnpadded => Alphabet::Base64url,
        }
    }
}

/// What the key is made from.
enum Key<'a> {
    /// The secret's text.
    Text,
    /// The secret's digest by this hash function.
    Digest(&'static str),
    /// The bytes that are written behind the prefix: of a public key, where a plan's proof
    /// needs one.
    Decoded(&'a str, Alphabet),
}

/// What the programs of all languages say.
struct Program<'a> {
    plans: Vec<Plan>,
    key: Key<'a>,
    /// Whether the content has a time in it that a receiver should look at.
    is_timed: bool,
    request: Example,
    secret: &'a str,
}

/// The request that a program verifies at its end.
struct Example {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Contract {
    /// A whole program that verifies `request`: it says so, and ends with 0 or 1. Where this
    /// contract signs something that a receiver can't put together from the request, it is
    /// only comments that say why. `None` where the contract doesn't sign.
    pub fn verifier(
        &self,
        language: Language,
        request: &WireRequest,
        secret: &SecretText,
    ) -> Option<String> {
        if self.signatures.is_empty() {
            return None;
        }
        let plans = match self.plans(language, self.secret.kind_of(secret.expose())) {
            Ok(plans) => plans,
            Err(why) => return Some(regret(language, &why)),
        };
        let known = self.secret.known(secret).unwrap_or_else(|| SecretText::new(""));
        let program = Program {
            plans,
            key: self.verifying_key(secret),
            is_timed: self.signatures.iter().any(|s| s.content.source().contains("timestamp")),
            request: Example::of(request),
            secret: known.expose(),
        };
        Some(match language {
            Language::Node => node::write(&program),
            Language::Python => python::write(&program),
            Language::Php => php::write(&program),
            Language::Ruby => ruby::write(&program),
            Language::Go => go::write(&program),
            Language::Java => java::write(&program),
        })
    }

    /// What the receiver who knows this secret checks with.
    fn verifying_key(&self, secret: &SecretText) -> Key<'_> {
        let rules = &self.secret;
        let decoded = |prefix, encoding| match encoding {
            SecretEncoding::Hex => Key::Decoded(prefix, Alphabet::Hex),
            SecretEncoding::Base64 => Key::Decoded(prefix, Alphabet::Base64),
            SecretEncoding::Base64url => Key::Decoded(prefix, Alphabet::Base64url),
            // A text has no bytes behind it: no contract with such a key is loaded.
            SecretEncoding::Alphanumeric | SecretEncoding::Text => Key::Text,
        };
        match (rules.kind_of(secret.expose()), &rules.key_pair) {
            (SecretKind::Ed25519, Some(pair)) => decoded(&pair.public_prefix, pair.encoding),
            _ => match rules.key {
                SecretKey::Text => Key::Text,
                SecretKey::Sha1 => Key::Digest("sha1"),
                SecretKey::Sha256 => Key::Digest("sha256"),
                SecretKey::Decoded => decoded(&rules.prefix, rules.encoding),
            },
        }
    }

    /// What there is to check for a receiver who knows a secret of this kind.
    fn plans(&self, language: Language, kind: SecretKind) -> Result<Vec<Plan>, String> {
        let is_pair = |signature: &Signature| signature.algorithm == Algorithm::Ed25519;
        if kind == SecretKind::Ed25519 && language == Language::Python {
            return Err("Python's standard library has no Ed25519".to_owned());
        }
        let checkable = self.signatures.iter().filter(|signature| {
            signature.header.is_some()
                && signature.signed_by != SignedBy::Previous
                && is_pair(signature) == (kind == SecretKind::Ed25519)
        });
        let plans = checkable.map(|signature| self.plan(signature));
        let plans = plans.collect::<Result<Vec<Plan>, String>>()?;
        if plans.is_empty() {
            return Err("The signature doesn't stand in a header".to_owned());
        }
        Ok(plans)
    }

    /// The separator of a header that other signatures are in too.
    fn shared(&self, signature: &Signature) -> Option<String> {
        let same = self.signatures.iter().filter(|other| other.header == signature.header);
        same.filter_map(|other| other.separator.clone()).next()
    }

    fn plan(&self, signature: &Signature) -> Result<Plan, String> {
        let (form, fields) = header::form(signature, self.shared(signature).as_deref())?;
        let content = pieces(signature.content.source())?;
        let parts: Result<Vec<Part>, String> =
            content.into_iter().map(|piece| self.part(piece, &fields)).collect();
        Ok(Plan {
            header: signature.header.as_ref().map(ToString::to_string).unwrap_or_default(),
            proof: Proof::of(signature.algorithm),
            encoding: signature.encoding,
            parts: parts?,
            form,
        })
    }

    /// Where a receiver finds a piece of the content.
    fn part(&self, piece: Piece, fields: &Fields) -> Result<Part, String> {
        let expression = match piece {
            Piece::Literal(text) => return Ok(Part::Literal(text)),
            Piece::Expression(expression) => expression,
        };
        match expression.as_str() {
            "body" => return Ok(Part::Body),
            // The bytes that come are in that form already.
            "body|canonical" if self.sends_canonical_body() => return Ok(Part::Body),
            "method" => return Ok(Part::Method),
            "url" => return Ok(Part::Url),
            "full_url" => return Ok(Part::FullUrl),
            "host" => return Ok(Part::Host),
            "path" => return Ok(Part::Path),
            "secret" => return Ok(Part::Secret),
            "query" => return Ok(Part::Query),
            "query|sorted" => return Ok(Part::SortedQuery),
            _ => {}
        }
        if let Some((_, group)) = fields.iter().find(|(field, _)| *field == expression) {
            return Ok(Part::Field(*group));
        }
        self.delivery
            .headers
            .iter()
            .find(|(_, template)| {
                pieces(template.source())
                    .is_ok_and(|pieces| pieces == [Piece::Expression(expression.clone())])
            })
            .map(|(name, _)| Part::Header(name.as_str().to_owned()))
            .ok_or_else(|| {
                format!("\"{expression}\" is signed, but not sent in a header of its own")
            })
    }

    /// Whether the whole body goes through the filter `canonical` before it is sent.
    fn sends_canonical_body(&self) -> bool {
        let source = self.delivery.body.source();
        let is_tag = |tag: &str, words: &str| tag.trim_matches('-').trim() == words;
        let whole = || {
            let inner = source.trim().strip_prefix("{%")?.strip_suffix("%}")?;
            let (opening, rest) = inner.split_once("%}")?;
            let (between, closing) = rest.rsplit_once("{%")?;
            let once = !between.contains("endfilter");
            Some(once && is_tag(opening, "filter canonical") && is_tag(closing, "endfilter"))
        };
        whole().unwrap_or(false)
    }
}

impl Proof {
    fn of(algorithm: Algorithm) -> Proof {
        match algorithm.hash_name() {
            Some(hash) if algorithm.is_plain_digest() => Proof::Digest(hash),
            Some(hash) => Proof::Hmac(hash),
            None if algorithm == Algorithm::Ed25519 => Proof::Ed25519,
            None => Proof::Token,
        }
    }
}

impl Plan {
    /// What stands before and behind the signature in an entry of the header.
    fn around(&self) -> (&str, &str) {
        match &self.form {
            Form::Entries { before, after, .. } => (before, after),
            Form::Pattern(_) => ("", ""),
        }
    }

    /// What stands from signature to signature; `None` where there is only one.
    fn between(&self) -> Option<&str> {
        match &self.form {
            Form::Entries { between, .. } => between.as_deref(),
            Form::Pattern(pattern) => pattern.separator.as_deref(),
        }
    }

    /// Where what a pattern finds between two separators has to be cut off.
    fn cut(&self) -> Option<&str> {
        match &self.form {
            Form::Pattern(pattern) if pattern.separator.is_some() => pattern.shared.as_deref(),
            _ => None,
        }
    }

    /// The whole entry, where `signature` is an expression for the signature.
    fn entry(&self, language: Language, signature: &str, plus: &str) -> String {
        let (before, after) = self.around();
        let literal = |text: &str| (!text.is_empty()).then(|| language.literal(text));
        let all = [literal(before), Some(signature.to_owned()), literal(after)];
        all.into_iter().flatten().collect::<Vec<_>>().join(plus)
    }

    /// The content: texts that stand side by side, joined with `plus` and handed to `encoded`,
    /// and the body's bytes.
    fn runs(
        &self,
        text: impl Fn(&Part) -> String,
        plus: &str,
        encoded: impl Fn(&str, usize) -> String,
    ) -> Vec<String> {
        let runs = self.parts.chunk_by(|one, next| *one != Part::Body && *next != Part::Body);
        let run = |run: &[Part]| match run {
            [Part::Body] => "body".to_owned(),
            texts => encoded(&texts.iter().map(&text).collect::<Vec<_>>().join(plus), texts.len()),
        };
        runs.map(run).collect()
    }
}

impl Program<'_> {
    /// The lines of all plans, for languages whose blocks have names of their own. Where there
    /// are several, each is in a block that begins `at` this place, `step` further in.
    fn blocks(&self, at: &str, step: &str, mut write: impl FnMut(&mut String, &Plan)) -> String {
        let mut out = String::new();
        if let [plan] = self.plans.as_slice() {
            write(&mut out, plan);
            return out;
        }
        for plan in &self.plans {
            let mut lines = String::new();
            write(&mut lines, plan);
            let inner: String = lines.lines().flat_map(|line| [step, line, "\n"]).collect();
            out.extend([at, "{\n", &inner, at, "}\n"]);
        }
        out
    }

    fn uses(&self, part: &Part) -> bool {
        self.plans.iter().any(|plan| plan.parts.contains(part))
    }

    fn proves(&self, matches: impl Fn(Proof) -> bool) -> bool {
        self.plans.iter().any(|plan| matches(plan.proof))
    }

    /// Whether a proof has a key beside the content.
    fn has_key(&self) -> bool {
        self.proves(|proof| matches!(proof, Proof::Hmac(_) | Proof::Ed25519))
    }
}

impl Example {
    fn of(request: &WireRequest) -> Example {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = request.headers.iter();
        Example {
            method: request.method.to_string(),
            url: request.url[..Position::AfterQuery].to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
            body: text(&request.body),
        }
    }
}

/// What every program says of a signed time.
const TIMED: &str = "The time is signed too: refuse it if it is more than five minutes away.";

/// What every program says of its arguments.
const ARGUMENTS: &str = "headers: names in lower case; body: the bytes, before any parsing.";

/// Comments alone. The reason may quote the contract, so that nothing may stay in it that ends
/// a comment in any of the languages.
fn regret(language: Language, why: &str) -> String {
    let comment = language.comment();
    let why: String = why
        .chars()
        .map(|c| if c == '\\' || c.is_whitespace() || c.is_control() { ' ' } else { c })
        .collect();
    let why = why.replace("?>", "? >");
    format!(
        "{comment} No program can be written for this contract's signature:\n{comment} {why}.\n"
    )
}

#[cfg(test)]
mod tests;
