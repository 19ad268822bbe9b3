//! The ways in which programs print JSON that they have parsed: what a receiver hashes that
//! doesn't keep the bytes that came.

use std::fmt::Write as _;

use crate::contract::json::{self, Json, MAX_DEPTH, Text};
use crate::contract::number;

type Member<'a> = (Text<'a>, Json<'a>);

/// Levels of nesting in what is printed again: a payload's, and what a contract wraps it in.
const DEPTH: usize = MAX_DEPTH + 16;

/// Whose way it is, which also decides how its raw body is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    JavaScript,
    Python,
    Php,
    Go,
    Ruby,
    DotNet,
    /// Any program's.
    Any,
}

/// A way of printing JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// What people know it as.
    pub title: &'static str,
    pub family: Family,
    gap: Gap,
    sort: Sort,
    escape: Escape,
    numbers: Numbers,
    /// Whether a line break stands behind the value.
    newline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// No white space.
    None,
    /// A space behind each comma and colon.
    Spaces,
    /// Each item on a line of its own, indented by this many spaces a level.
    Lines(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    No,
    /// Only the keys of the outermost object.
    Top,
    Deep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// What JSON requires.
    Least,
    /// And everything beyond ASCII.
    Ascii,
    /// Slashes.
    Slash,
    AsciiSlash,
    /// What could end a script in HTML.
    Html,
    DotNet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    AsWritten,
    JavaScript,
    Python,
}

const PLAIN: Print = Print {
    title: "",
    family: Family::Any,
    gap: Gap::None,
    sort: Sort::No,
    escape: Escape::Least,
    numbers: Numbers::AsWritten,
    newline: false,
};
const JAVASCRIPT: Print =
    Print { family: Family::JavaScript, numbers: Numbers::JavaScript, ..PLAIN };
const PYTHON: Print = Print {
    family: Family::Python,
    numbers: Numbers::Python,
    gap: Gap::Spaces,
    escape: Escape::Ascii,
    ..PLAIN
};
const PHP: Print = Print {
    family: Family::Php,
    numbers: Numbers::JavaScript,
    escape: Escape::AsciiSlash,
    ..PLAIN
};
const GO: Print = Print {
    family: Family::Go,
    numbers: Numbers::JavaScript,
    sort: Sort::Deep,
    escape: Escape::Html,
    ..PLAIN
};
const RUBY: Print = Print { family: Family::Ruby, ..PLAIN };

/// The ways that are known, the usual ones first.
pub(super) const PRINTS: [Print; 24] = [
    Print { title: "JSON.stringify in JavaScript", ..JAVASCRIPT },
    Print { title: "json.dumps in Python", ..PYTHON },
    Print { title: "json_encode in PHP", ..PHP },
    Print { title: "json.Marshal of a map in Go", ..GO },
    Print { title: "JSON.generate in Ruby", ..RUBY },
    Print { title: "to_json in Rails", escape: Escape::Html, ..RUBY },
    Print {
        title: "JsonSerializer in .NET",
        family: Family::DotNet,
        escape: Escape::DotNet,
        ..PLAIN
    },
    Print { title: "JSON.stringify with an indent of 2", gap: Gap::Lines(2), ..JAVASCRIPT },
    Print { title: "JSON.stringify with an indent of 4", gap: Gap::Lines(4), ..JAVASCRIPT },
    Print {
        title: "json.dumps in Python with separators=(\",\", \":\")",
        gap: Gap::None,
        ..PYTHON
    },
    Print {
        title: "json.dumps in Python with ensure_ascii=False",
        escape: Escape::Least,
        ..PYTHON
    },
    Print {
        title: "json.dumps in Python with separators=(\",\", \":\") and ensure_ascii=False",
        gap: Gap::None,
        escape: Escape::Least,
        ..PYTHON
    },
    Print { title: "json.dumps in Python with sort_keys=True", sort: Sort::Deep, ..PYTHON },
    Print {
        title: "json.dumps in Python with sort_keys=True and ensure_ascii=False",
        sort: Sort::Deep,
        escape: Escape::Least,
        ..PYTHON
    },
    Print {
        title: "json.dumps in Python with sort_keys=True and separators=(\",\", \":\")",
        sort: Sort::Deep,
        gap: Gap::None,
        ..PYTHON
    },
    Print { title: "json.dumps in Python with indent=2", gap: Gap::Lines(2), ..PYTHON },
    Print { title: "json.dumps in Python with indent=4", gap: Gap::Lines(4), ..PYTHON },
    Print { title: "json_encode in PHP with JSON_PRETTY_PRINT", gap: Gap::Lines(4), ..PHP },
    Print { title: "json_encode in PHP with JSON_UNESCAPED_SLASHES", escape: Escape::Ascii, ..PHP },
    Print { title: "json_encode in PHP with JSON_UNESCAPED_UNICODE", escape: Escape::Slash, ..PHP },
    Print { title: "json.Encoder in Go", newline: true, ..GO },
    Print { title: "JSON.pretty_generate in Ruby", gap: Gap::Lines(2), ..RUBY },
    Print { title: "a compact printer that sorts keys", sort: Sort::Deep, ..PLAIN },
    Print { title: "a printer that sorts only the outermost keys", sort: Sort::Top, ..PLAIN },
];

/// Why a text isn't printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unprinted {
    NotJson,
    /// Indents can make it hundreds of times as long.
    TooLong,
}

impl Print {
    /// The JSON text as this way prints it.
    ///
    /// # Errors
    /// Where it is no JSON, or would come to more than this many bytes.
    pub(super) fn print(&self, text: &str, most_bytes: usize) -> Result<String, Unprinted> {
        let ordered;
        let text = match self.family {
            // Its objects order keys that look like numbers.
            Family::JavaScript => {
                ordered = json::stringified(text).map_err(|_| Unprinted::NotJson)?;
                &ordered
            }
            _ => text,
        };
        let value = json::parse(text, DEPTH).map_err(|_| Unprinted::NotJson)?;
        let mut out = String::with_capacity(most_bytes.min(text.len() + text.len() / 4));
        self.write(&value, (0, most_bytes), &mut out);
        if self.newline {
            out.push('\n');
        }
        if out.len() <= most_bytes { Ok(out) } else { Err(Unprinted::TooLong) }
    }

    /// Ends early once there is more than `most`, in bytes.
    fn write(&self, value: &Json<'_>, (depth, most): (usize, usize), out: &mut String) {
        match value {
            Json::Literal(raw) => out.push_str(raw),
            Json::Number(raw) => self.write_number(raw, out),
            Json::String(content) => self.write_string(content, out),
            Json::Array(items) => {
                let write = |print: &Print, item: &Json<'_>, out: &mut String| {
                    print.write(item, (depth + 1, most), out);
                };
                self.write_items(('[', ']'), items.iter(), (depth, most), out, write);
            }
            Json::Object(members) => {
                let mut members: Vec<&Member<'_>> = members.iter().collect();
                if self.sort == Sort::Deep || (self.sort == Sort::Top && depth == 0) {
                    members.sort_by(|(one, _), (other, _)| one.cmp(other));
                }
                let write = |print: &Print, (key, value): &Member<'_>, out: &mut String| {
                    print.write_string(key, out);
                    out.push_str(if print.gap == Gap::None { ":" } else { ": " });
                    print.write(value, (depth + 1, most), out);
                };
                self.write_items(('{', '}'), members.into_iter(), (depth, most), out, write);
            }
        }
    }

    fn write_items<T>(
        &self,
        (open, close): (char, char),
        items: impl ExactSizeIterator<Item = T>,
        (depth, most): (usize, usize),
        out: &mut String,
        write: impl Fn(&Print, T, &mut String),
    ) {
        out.push(open);
        let is_empty = items.len() == 0;
        for (index, item) in items.enumerate() {
            if out.len() > most {
                return;
            }
            if index > 0 {
                out.push_str(if self.gap == Gap::Spaces { ", " } else { "," });
            }
            self.break_line(depth + 1, out);
            write(self, item, out);
        }
        if !is_empty {
            self.break_line(depth, out);
        }
        out.push(close);
    }

    fn break_line(&self, depth: usize, out: &mut String) {
        if let Gap::Lines(width) = self.gap {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', depth * width));
        }
    }

    fn write_number(&self, raw: &str, out: &mut String) {
        match self.numbers {
            Numbers::AsWritten => out.push_str(raw),
            Numbers::JavaScript => out.push_str(&number::ecmascript(raw)),
            Numbers::Python => out.push_str(&python_number(raw)),
        }
    }

    fn write_string(&self, content: &[u8], out: &mut String) {
        let mut quoted = Vec::with_capacity(content.len() + 2);
        json::write_string(content, &mut quoted);
        let quoted = String::from_utf8_lossy(&quoted);
        let inner = &quoted[1..quoted.len() - 1];
        out.push('"');
        let mut rest = inner.chars();
        while let Some(one) = rest.next() {
            match (self.escape, one) {
                (Escape::DotNet, '\\') if rest.as_str().starts_with('"') => {
                    rest.next();
                    out.push_str("\\u0022");
                }
                (_, '\\') => {
                    // What follows belongs to it, and may be another backslash.
                    out.push('\\');
                    out.extend(rest.next());
                }
                (escape, one) if escape.takes(one) => escape.write(one, out),
                (_, one) => out.push(one),
            }
        }
        out.push('"');
    }
}

impl Escape {
    fn takes(self, one: char) -> bool {
        match self {
            Escape::Least => false,
            Escape::Ascii => !one.is_ascii(),
            Escape::Slash => one == '/',
            Escape::AsciiSlash => one == '/' || !one.is_ascii(),
            Escape::Html => matches!(one, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'),
            Escape::DotNet => matches!(one, '<' | '>' | '&' | '\'' | '+' | '`') || !one.is_ascii(),
        }
    }

    fn write(self, one: char, out: &mut String) {
        if one == '/' {
            out.push_str("\\/");
            return;
        }
        for unit in one.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            let _ = match self {
                Escape::DotNet => write!(out, "\\u{unit:04X}"),
                _ => write!(out, "\\u{unit:04x}"),
            };
        }
    }
}

/// A number as Python's `repr` writes what its JSON parser made of it.
fn python_number(raw: &str) -> String {
    if !raw.contains(['.', 'e', 'E']) {
        return raw.to_owned();
    }
    let Ok(double) = raw.parse::<f64>() else { return raw.to_owned() };
    let size = double.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{double:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    let text = double.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(title: &str, text: &str) -> String {
        let print = PRINTS.iter().find(|print| print.title == title).unwrap();
        print.print(text, usize::MAX).unwrap()
    }

    #[test]
    fn each_way_has_a_title_of_its_own() {
        let mut titles: Vec<&str> = PRINTS.iter().map(|print| print.title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), PRINTS.len());
    }

    #[test]
    fn what_grows_too_long_isn_t_printed_to_its_end() {
        let depth = MAX_DEPTH - 1;
        let items = "[1,2],".repeat(100_000);
        let text = format!("{}{items}3{}", "[".repeat(depth), "]".repeat(depth));
        for print in &PRINTS {
            let whole = print.print("[[1,2],3]", usize::MAX).unwrap();
            assert_eq!(print.print("[[1,2],3]", whole.len()), Ok(whole.clone()));
            let short = print.print("[[1,2],3]", whole.len() - 1);
            assert_eq!(short, Err(Unprinted::TooLong), "{}", print.title);
            let mut out = String::new();
            let value = json::parse(&text, DEPTH).unwrap();
            print.write(&value, (0, 1_000), &mut out);
            assert!(out.len() < 4_000, "{}: {} bytes", print.title, out.len());
            assert_eq!(print.print("[1", usize::MAX), Err(Unprinted::NotJson));
        }
    }

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (raw, python) in [
            ("1", "1"),
            ("12345678901234567890", "12345678901234567890"),
            ("1.10", "1.1"),
            ("1.0", "1.0"),
            ("1e5", "100000.0"),
            ("1E-5", "1e-05"),
            ("0.0001", "0.0001"),
            ("1.5e16", "1.5e+16"),
            ("1e100", "1e+100"),
            ("-0.0", "-0.0"),
        ] {
            assert_eq!(python_number(raw), python, "{raw}");
        }
    }

    #[test]
    fn escapes_don_t_swallow_what_is_escaped_already() {
        let text = r#"{"b":"\\/\"<é\\u003c+😀","a":[]}"#;
        assert_eq!(
            printed("json_encode in PHP", text),
            r#"{"b":"\\\/\"<\u00e9\\u003c+\ud83d\ude00","a":[]}"#
        );
        assert_eq!(
            printed("json.Marshal of a map in Go", text),
            r#"{"a":[],"b":"\\/\"\u003cé\\u003c+😀"}"#
        );
        assert_eq!(
            printed("JsonSerializer in .NET", text),
            r#"{"b":"\\/\u0022\u003C\u00E9\\u003c\u002B\uD83D\uDE00","a":[]}"#
        );
    }
}
