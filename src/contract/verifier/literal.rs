//! Texts as literals of each language: the place where a header, a body or a secret could turn
//! into code.

use std::fmt::Write as _;

use super::Language;

/// UTF-16 units of one literal in Java, whose class files hold at most 65,535 bytes of each:
/// three for a unit.
const JAVA_LITERAL_UNITS: usize = 20_000;

impl Language {
    /// The text as an expression of this language that stands on one line.
    pub(super) fn literal(self, text: &str) -> String {
        let visible = !text.chars().any(is_hidden);
        match self {
            Language::Node | Language::Python => {
                let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
                escaped(text, quote, None, unicode)
            }
            Language::Php if visible => single_quoted(text),
            Language::Ruby if visible && text.contains(['"', '\\', '#']) => single_quoted(text),
            Language::Php => escaped(text, '"', Some('$'), unicode_in_braces),
            Language::Ruby => escaped(text, '"', Some('#'), unicode_in_braces),
            Language::Go if visible && text.contains(['"', '\\']) && !text.contains('`') => {
                format!("`{text}`")
            }
            Language::Go => escaped(text, '"', None, unicode),
            Language::Java => java(text),
        }
    }
}

/// Whether a character is hard to see or to copy: control characters, breaks of lines,
/// changes of the direction of writing, and what has no width.
fn is_hidden(c: char) -> bool {
    let unseen = '\u{200b}'..='\u{200f}';
    let breaks = '\u{2028}'..='\u{202e}';
    let joins = '\u{2060}'..='\u{206f}';
    let mark = '\u{feff}';
    c.is_control() || [unseen, breaks, joins].iter().any(|range| range.contains(&c)) || c == mark
}

fn escaped(text: &str, quote: char, special: Option<char>, write: fn(&mut String, char)) -> String {
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => write(&mut out, c),
            c => {
                if c == quote || c == '\\' || Some(c) == special {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out.push(quote);
    out
}

fn unicode(out: &mut String, c: char) {
    // Writing to a string can't fail, here and everywhere in these programs.
    let _ = write!(out, "\\u{:04x}", u32::from(c));
}

fn unicode_in_braces(out: &mut String, c: char) {
    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
}

/// A literal of PHP or Ruby in which nothing is special but its quote, and a backslash before
/// a quote or before another one.
fn single_quoted(text: &str) -> String {
    let mut out = String::from("'");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let doubled = c == '\\' && matches!(rest.peek(), None | Some('\\' | '\''));
        if c == '\'' || doubled {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// ASCII alone, because compilers before Java 18 read sources in the machine's encoding. They
/// also read `\u` before they look for literals, so what ends one has an escape of its own.
fn java(text: &str) -> String {
    let mut literals = vec![String::new()];
    let mut units = 0;
    for c in text.chars() {
        if units >= JAVA_LITERAL_UNITS {
            literals.push(String::new());
            units = 0;
        }
        units += c.len_utf16();
        let Some(out) = literals.last_mut() else { break };
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    match literals.as_slice() {
        [one] => format!("\"{one}\""),
        // Joined at run time: the compiler would make one constant of a sum.
        several => format!("String.join(\"\", \"{}\")", several.join("\", \"")),
    }
}
