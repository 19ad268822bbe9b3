//! Templates that need no engine: text and names, as in
//! `{{ message.id }}.{{ timestamp|unix }}.{{ body }}`. Most headers and most of what is signed
//! are like that, and the engine would take ten times as long for them.
//!
//! Whatever is unusual, in a template or in a value, is left to the engine, so that there is
//! one place that says what is wrong.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::scope::{Moment, RawText, Scope};
use super::template::Escape;

/// A template of this kind.
pub(super) struct Direct {
    pieces: Vec<Piece>,
    escape: Escape,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Name(Box<str>, Option<Box<str>>),
    /// The time of the attempt or of the event.
    Time(Box<str>, Option<Box<str>>, TimeForm),
    /// All signatures, with this between them.
    Signatures(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeForm {
    Unix,
    UnixMs,
    Rfc3339,
    Rfc3339Ms,
}

impl Direct {
    /// Reads the source of a template (without the line break at its end, which no template
    /// writes). `None` where it is for the engine.
    pub(super) fn parse(source: &str, escape: Escape) -> Option<Direct> {
        if source.contains("{%") || source.contains("{#") {
            return None;
        }
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some((text, behind)) = rest.split_once("{{") {
            let (expression, behind) = behind.split_once("}}")?;
            pieces.extend((!text.is_empty()).then(|| Piece::Text(text.into())));
            pieces.push(piece(expression)?);
            rest = behind;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.into())));
        Some(Direct { pieces, escape })
    }

    /// Renders into at most `limit` bytes. `None` where the engine has to look at it.
    pub(super) fn render(&self, scope: &Scope, limit: usize) -> Option<Vec<u8>> {
        let mut out = String::with_capacity(64 + scope.body_bytes());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name, member) => {
                    self.write(&scope.lookup(name, member.as_deref())?, &mut out)?;
                }
                Piece::Time(name, member, form) => {
                    let value = scope.lookup(name, member.as_deref())?;
                    self.write(&form.write(value.downcast_object_ref()?), &mut out)?;
                }
                Piece::Signatures(separator) => {
                    let joined = scope.signatures()?.join(separator);
                    out.push_str(&self.escape.apply(&joined).ok()?);
                }
            }
            if out.len() > limit {
                return None;
            }
        }
        Some(out.into_bytes())
    }

    /// Writes a value as the engine would.
    fn write(&self, value: &Value, out: &mut String) -> Option<()> {
        if let Some(raw) = value.downcast_object_ref::<RawText>() {
            match self.escape {
                Escape::Json => out.push_str(raw.as_str()),
                other => out.push_str(&other.apply(raw.as_str()).ok()?),
            }
        } else if let Some(text) = value.as_str() {
            out.push_str(&self.escape.apply(text).ok()?);
        } else if value.kind() == ValueKind::Number {
            out.push_str(&value.to_string());
        } else {
            return None;
        }
        Some(())
    }
}

impl TimeForm {
    fn write(self, moment: &Moment) -> Value {
        match self {
            TimeForm::Unix => Value::from(moment.0.as_seconds()),
            TimeForm::UnixMs => Value::from(moment.0.as_millis()),
            TimeForm::Rfc3339 => Value::from(moment.0.rfc3339(0)),
            TimeForm::Rfc3339Ms => Value::from(moment.0.rfc3339(3)),
        }
    }
}

/// What stands between two pairs of braces.
fn piece(expression: &str) -> Option<Piece> {
    let (path, filter) = match expression.trim().split_once('|') {
        Some((path, filter)) => (path.trim(), Some(filter.trim())),
        None => (expression.trim(), None),
    };
    let (name, member) = match path.split_once('.') {
        Some((name, member)) => (name, Some(member)),
        None => (path, None),
    };
    if !is_identifier(name) || !member.is_none_or(is_identifier) {
        return None;
    }
    let form = match filter {
        None => return Some(Piece::Name(name.into(), member.map(Box::from))),
        Some("unix") => TimeForm::Unix,
        Some("unix_ms") => TimeForm::UnixMs,
        Some("rfc3339") => TimeForm::Rfc3339,
        Some("rfc3339_ms") => TimeForm::Rfc3339Ms,
        Some(filter) if path == "signatures" => {
            return separator(filter).map(|text| Piece::Signatures(text.into()));
        }
        Some(_) => return None,
    };
    Some(Piece::Time(name.into(), member.map(Box::from), form))
}

/// The text of `join("text")`, where it is written without escapes.
fn separator(filter: &str) -> Option<&str> {
    let text = filter.strip_prefix("join(\"")?.strip_suffix("\")")?;
    (!text.contains(['"', '\\'])).then_some(text)
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|each| each.is_ascii_lowercase() || each == '_')
}
