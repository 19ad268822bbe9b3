//! How the signature is found in its header.

use super::expression::{self, Piece, pieces};
use crate::contract::signature::{Algorithm, Signature};

/// The characters that signatures are written with, for a regular expression.
const WRITTEN: &str = "([A-Za-z0-9+/=_-]+)";

/// How a header is taken apart. All of its own texts are ASCII.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The header is a list with `between` from entry to entry (without it: one entry), and
    /// one of them is `before`, the signature, and `after`.
    Entries {
        between: Option<String>,
        before: String,
        after: String,
    },
    Pattern(Pattern),
}

/// A header that is more than a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// A regular expression for the whole header, in the syntax that all languages share.
    pub(super) text: String,
    /// The group that the signatures are.
    pub(super) group: usize,
    /// What stands between several signatures; `None` where there is only one.
    pub(super) separator: Option<String>,
    /// What stands between these signatures and others in the same header.
    pub(super) shared: Option<String>,
}

/// Other things in the header, with the numbers of their groups.
pub(super) type Fields = Vec<(String, usize)>;

/// How the header of this signature is taken apart, where `shared` stands between it and other
/// signatures in the same header.
///
/// # Errors
/// Why it can't be.
pub(super) fn form(signature: &Signature, shared: Option<&str>) -> Result<(Form, Fields), String> {
    let pieces = pieces(signature.format.source())?;
    if let Some(form) = entries(&pieces, signature.algorithm, shared) {
        return Ok((form, Fields::new()));
    }
    let (pattern, fields) = pattern(&pieces, signature.algorithm, shared)?;
    let texts = [Some(&pattern.text), pattern.separator.as_ref(), pattern.shared.as_ref()];
    // Servers disagree about the encoding of what isn't ASCII in a header.
    if !texts.into_iter().flatten().all(|text| is_plain(text)) {
        return Err("its header isn't plain ASCII".to_owned());
    }
    Ok((Form::Pattern(pattern), fields))
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The header as a list of entries, where it is nothing else.
fn entries(pieces: &[Piece], algorithm: Algorithm, shared: Option<&str>) -> Option<Form> {
    let (before, expression, after) = match pieces {
        [Piece::Expression(expression)] => ("", expression, ""),
        [Piece::Literal(before), Piece::Expression(expression)] => {
            (before.as_str(), expression, "")
        }
        [Piece::Expression(expression), Piece::Literal(after)] => ("", expression, after.as_str()),
        [Piece::Literal(before), Piece::Expression(expression), Piece::Literal(after)] => {
            (before.as_str(), expression, after.as_str())
        }
        _ => return None,
    };
    let between = match list(expression) {
        // After `between`, each signature starts as the first one does.
        Some(separator) if after.is_empty() => Some(separator?.strip_suffix(before)?.to_owned()),
        None if expression == "signature" => shared.map(str::to_owned),
        _ => return None,
    };
    let splits = |between: &String| {
        let signed = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
        !between.chars().all(signed)
            && ![before, after].iter().any(|text| text.contains(between.as_str()))
            && shared.is_none_or(|shared| shared == between)
    };
    // An empty header must never be the token of somebody whose secret is empty by mistake,
    // and what follows a signature that has to be decoded is cut off best by a pattern.
    let suits = match algorithm {
        Algorithm::Token => false,
        Algorithm::Ed25519 => after.is_empty(),
        _ => true,
    };
    let texts = [before, after, between.as_deref().unwrap_or_default()];
    let suits = suits && between.iter().all(splits) && texts.iter().all(|text| is_plain(text));
    suits.then(|| Form::Entries { between, before: before.to_owned(), after: after.to_owned() })
}

/// What a list of signatures is joined with; `Some(None)` where that isn't a plain literal.
fn list(expression: &str) -> Option<Option<String>> {
    let quoted = expression.strip_prefix("signatures|join(")?.strip_suffix(')')?;
    Some(expression::unquote(quoted).filter(|separator| !separator.is_empty()))
}

fn pattern(
    pieces: &[Piece],
    algorithm: Algorithm,
    shared: Option<&str>,
) -> Result<(Pattern, Fields), String> {
    let shared = shared.map(str::to_owned);
    let mut pattern = Pattern { text: String::new(), group: 0, separator: None, shared };
    let mut fields = Fields::new();
    let around = pattern.shared.as_deref().map(escaped);
    if let Some(separator) = &around {
        pattern.text.push_str(&format!("(?:.*?{separator})??"));
    }
    let one = if algorithm == Algorithm::Token { "(.+)" } else { WRITTEN };
    let mut groups = 0;
    for piece in pieces {
        let expression = match piece {
            Piece::Literal(text) => {
                pattern.text.push_str(&escaped(text));
                continue;
            }
            Piece::Expression(expression) => expression,
        };
        groups += 1;
        match (expression.as_str(), list(expression)) {
            ("signature", _) if pattern.group == 0 => {
                pattern.text.push_str(one);
                pattern.group = groups;
            }
            (_, Some(Some(separator))) if pattern.group == 0 => {
                pattern.text.push_str("(.+)");
                pattern.group = groups;
                pattern.separator = Some(separator);
            }
            (_, None) => {
                pattern.text.push_str("([^,;\\s]+)");
                fields.push((expression.clone(), groups));
            }
            _ => return Err(format!("its header is written in an unusual way: {expression}")),
        }
    }
    if let Some(separator) = &around {
        pattern.text.push_str(&format!("(?:{separator}.*)?"));
    }
    if pattern.group == 0 {
        return Err("its header has no signature in it".to_owned());
    }
    Ok((pattern, fields))
}

/// A text for a regular expression. The slash isn't special in all languages: those that
/// write expressions between slashes see to it.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
