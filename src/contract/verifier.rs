//! Programs that verify a contract's signatures, written out for the people who receive
//! them: from the contract itself, so that they can't say anything else than the server does.

pub(super) mod expression;
mod node;
mod python;

use std::fmt::Write as _;

use self::expression::{Piece, pieces};
use super::encoding::Encoding;
use super::secret::{SecretEncoding, SecretKey, SecretKind};
use super::signature::{Algorithm, Signature, SignedBy};
use super::{Contract, WireRequest};
use crate::domain::SecretText;

/// A language that a verifying program can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    Node,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::Python, Language::Node];

    pub const fn title(self) -> &'static str {
        match self {
            Language::Python => "Python",
            Language::Node => "Node.js",
        }
    }

    const fn comment(self) -> &'static str {
        match self {
            Language::Python => "#",
            Language::Node => "//",
        }
    }
}

/// One thing that signed content is joined from, as a receiver gets hold of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
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

/// What a verifying program has to do for one signature header.
struct Plan {
    /// The header, in lower case.
    header: String,
    algorithm: Algorithm,
    encoding: Encoding,
    parts: Vec<Part>,
    /// A regular expression for the whole header, in the syntax that Python and JavaScript
    /// share. The signatures are its group number `group`.
    pattern: String,
    group: usize,
    /// What stands between several signatures; `None` where there is only one.
    separator: Option<String>,
    /// What stands between these signatures and others in the same header.
    shared: Option<String>,
}

/// What the programs of both languages need to know beside the plans.
struct Program<'a> {
    plans: Vec<Plan>,
    prefix: &'a str,
    encoding: SecretEncoding,
    key: SecretKey,
    sorts_queries: bool,
    /// Whether the content has a time in it that a receiver should look at.
    is_timed: bool,
    request: &'a WireRequest,
    secret: &'a str,
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
        let pair = self.secret.key_pair.as_ref();
        let pair = pair.filter(|_| self.secret.kind_of(secret.expose()) == SecretKind::Ed25519);
        let known = self.secret.known(secret).unwrap_or_else(|| SecretText::new(""));
        let parts = || plans.iter().flat_map(|plan| &plan.parts);
        let program = Program {
            sorts_queries: parts().any(|part| *part == Part::SortedQuery),
            is_timed: self.signatures.iter().any(|s| s.content.source().contains("timestamp")),
            plans,
            prefix: pair.map_or(&self.secret.prefix, |pair| &pair.public_prefix),
            encoding: pair.map_or(self.secret.encoding, |pair| pair.encoding),
            key: self.secret.key,
            request,
            secret: known.expose(),
        };
        Some(match language {
            Language::Python => python::write(&program),
            Language::Node => node::write(&program),
        })
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
    pub(super) fn shared(&self, signature: &Signature) -> Option<String> {
        let same = self.signatures.iter().filter(|other| other.header == signature.header);
        same.filter_map(|other| other.separator.clone()).next()
    }

    fn plan(&self, signature: &Signature) -> Result<Plan, String> {
        let shared = self.shared(signature);
        let pattern = pattern(signature, shared.as_deref())?;
        let content = pieces(signature.content.source())?;
        let parts: Result<Vec<Part>, String> =
            content.into_iter().map(|piece| self.part(piece, &pattern.fields)).collect();
        Ok(Plan {
            header: signature.header.as_ref().map(ToString::to_string).unwrap_or_default(),
            algorithm: signature.algorithm,
            encoding: signature.encoding,
            parts: parts?,
            pattern: pattern.text,
            group: pattern.group,
            separator: pattern.separator,
            shared,
        })
    }

    /// Where a receiver finds a piece of the content.
    pub(super) fn part(&self, piece: Piece, fields: &[(String, usize)]) -> Result<Part, String> {
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

/// How a signature header is taken apart.
struct Pattern {
    text: String,
    group: usize,
    separator: Option<String>,
    /// Other things in the header, with the numbers of their groups.
    fields: Vec<(String, usize)>,
}

fn pattern(signature: &Signature, shared: Option<&str>) -> Result<Pattern, String> {
    let mut pattern =
        Pattern { text: String::new(), group: 0, separator: None, fields: Vec::new() };
    if let Some(separator) = shared {
        pattern.text.push_str("(?:.*?");
        escape_into(&mut pattern.text, separator);
        pattern.text.push_str(")??");
    }
    let one = match signature.algorithm {
        Algorithm::Token => "(.+)",
        _ => "([A-Za-z0-9+/=_-]+)",
    };
    let mut groups = 0;
    for piece in pieces(signature.format.source())? {
        let expression = match piece {
            Piece::Literal(text) => {
                escape_into(&mut pattern.text, &text);
                continue;
            }
            Piece::Expression(expression) => expression,
        };
        groups += 1;
        let list = expression.strip_prefix("signatures|join(").and_then(|r| r.strip_suffix(')'));
        let separator = list.map(|quoted| expression::unquote(quoted).ok_or("the separator"));
        match (expression.as_str(), separator) {
            ("signature", _) if pattern.group == 0 => {
                pattern.text.push_str(one);
                pattern.group = groups;
            }
            (_, Some(Ok(separator))) if pattern.group == 0 && !separator.is_empty() => {
                pattern.text.push_str("(.+)");
                pattern.group = groups;
                pattern.separator = Some(separator);
            }
            (_, None) => {
                pattern.text.push_str("([^,;\\s]+)");
                pattern.fields.push((expression, groups));
            }
            _ => return Err(format!("its header is written in an unusual way: {expression}")),
        }
    }
    if let Some(separator) = shared {
        pattern.text.push_str("(?:");
        escape_into(&mut pattern.text, separator);
        pattern.text.push_str(".*)?");
    }
    if pattern.group == 0 {
        return Err("its header has no signature in it".to_owned());
    }
    Ok(pattern)
}

/// Escapes a text for a regular expression of either language.
fn escape_into(pattern: &mut String, text: &str) {
    for character in text.chars() {
        let plain = character.is_alphanumeric() || matches!(character, ' ' | '_' | '=' | ',' | ':');
        if !plain {
            pattern.push('\\');
        }
        pattern.push(character);
    }
}

/// A text as a literal of either language. What JSON escapes, both read back.
fn literal(text: &str) -> String {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    super::json::write_string(text.as_bytes(), &mut quoted);
    String::from_utf8_lossy(&quoted).into_owned()
}

/// The headers of the example that a receiver would look at, one entry a line.
fn header_entries(program: &Program<'_>) -> String {
    let mut lines = String::new();
    for (name, value) in &program.request.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        // Writing to a string can't fail.
        let _ = writeln!(lines, "    {}: {},", literal(name.as_str()), literal(&value));
    }
    lines
}

fn regret(language: Language, why: &str) -> String {
    let comment = language.comment();
    format!(
        "{comment} No program can be written for this contract's signature:\n{comment} {why}.\n"
    )
}

#[cfg(test)]
mod tests;
