//! JSON as tokens: what has to be rewritten is, and nothing else, so that no number passes
//! through a double and no string through a lossy conversion.

mod lookup;

use std::borrow::Cow;
use std::fmt;

pub(super) use self::lookup::{MemberPlaces, content, items, member, scalar_text, with_member};
use super::number;

/// How deep arrays and objects may be nested. Payloads are held to it when they come in.
pub const MAX_DEPTH: usize = 64;

/// How many levels deeper a body may be than the payload that a contract wraps in it.
const ENVELOPE_DEPTH: usize = 16;

/// Why a text isn't JSON (RFC 8259).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    /// The byte at which it stops being JSON.
    pub(super) offset: usize,
    message: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

/// A string's content, unescaped. Bytes, because JSON can hold half a surrogate pair, which
/// UTF-8 can't: those halves are kept in the three-byte form that UTF-8 would give them.
pub(super) type Text<'a> = Cow<'a, [u8]>;

pub(super) enum Json<'a> {
    /// `null`, `true` or `false`.
    Literal(&'a str),
    Number(&'a str),
    String(Text<'a>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Text<'a>, Json<'a>)>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Canonical,
    Stringified,
}

/// Keys sorted at every depth by their UTF-8 bytes, no white space, only what JSON requires
/// escaped, numbers as they were written. Of a repeated key the last value counts, as for
/// every parser, so that a receiver who parses and sorts gets the same text.
pub(super) fn canonical(text: &str) -> Result<String, JsonError> {
    rewrite(text, Form::Canonical)
}

/// The text that JavaScript's `JSON.stringify(JSON.parse(text))` gives, but for numbers that
/// a double can't hold: those stay as they were written.
pub(super) fn stringified(text: &str) -> Result<String, JsonError> {
    rewrite(text, Form::Stringified)
}

/// The same JSON without white space between its tokens.
///
/// # Errors
/// Where `text` is not one JSON value.
pub(super) fn compact(text: &str) -> Result<String, JsonError> {
    validate_body(text)?;
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string || !matches!(c, ' ' | '\t' | '\n' | '\r') {
            out.push(c);
        }
        in_string ^= c == '"' && !escaped;
        escaped = in_string && c == '\\' && !escaped;
    }
    Ok(out)
}

/// Whether `text` is one JSON value, not nested too deep to be published.
pub(super) fn validate(text: &str) -> Result<(), JsonError> {
    parse(text, MAX_DEPTH).map(|_| ())
}

/// Whether `text` is one JSON value, not nested deeper than a body can be.
pub(super) fn validate_body(text: &str) -> Result<(), JsonError> {
    parse(text, MAX_DEPTH + ENVELOPE_DEPTH).map(|_| ())
}

/// Writes `content` as a JSON string, escaping only what JSON requires.
pub(super) fn write_string(content: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = content;
    while let Some(place) = rest.iter().position(|&byte| needs_attention(byte)) {
        out.extend_from_slice(&rest[..place]);
        let mut used = 1;
        match rest[place] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte if byte < 0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            first => match rest.get(place + 1..place + 3) {
                // Half a surrogate pair can only be written as an escape.
                Some(&[second, third]) if second >= 0xa0 => {
                    let unit = 0xd000 | (u16::from(second & 0x3f) << 6) | u16::from(third & 0x3f);
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    used = 3;
                }
                _ => out.push(first),
            },
        }
        rest = &rest[place + used..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

const fn needs_attention(byte: u8) -> bool {
    // 0xed begins the three-byte form of a surrogate, and of U+D000 to U+D7FF.
    byte < 0x20 || matches!(byte, b'"' | b'\\' | 0xed)
}

fn rewrite(text: &str, form: Form) -> Result<String, JsonError> {
    // A contract may rewrite the payload together with what it is wrapped in.
    let value = parse(text, MAX_DEPTH + ENVELOPE_DEPTH)?;
    let mut out = Vec::with_capacity(text.len());
    write(value, form, &mut out);
    String::from_utf8(out).map_err(|_| JsonError { offset: 0, message: "not UTF-8" })
}

fn write(value: Json<'_>, form: Form, out: &mut Vec<u8>) {
    match value {
        Json::Literal(raw) => out.extend_from_slice(raw.as_bytes()),
        Json::Number(raw) => match form {
            Form::Canonical => out.extend_from_slice(raw.as_bytes()),
            Form::Stringified => out.extend_from_slice(number::ecmascript(raw).as_bytes()),
        },
        Json::String(content) => write_string(&content, out),
        Json::Array(items) => {
            out.push(b'[');
            for (index, item) in items.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, form, out);
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            for (index, (key, value)) in ordered(members, form).into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(&key, out);
                out.push(b':');
                write(value, form, out);
            }
            out.push(b'}');
        }
    }
}

type Members<'a> = Vec<(Text<'a>, Json<'a>)>;

/// The members in the order of `form`, each key once: with its last value, at its first place.
fn ordered(members: Members<'_>, form: Form) -> Members<'_> {
    let mut places: Vec<(usize, (Text<'_>, Json<'_>))> = members.into_iter().enumerate().collect();
    // Stable, so that equal keys keep their order.
    places.sort_by(|(_, (a, _)), (_, (b, _))| a.cmp(b));
    places.dedup_by(|(_, (later_key, later)), (_, (key, value))| {
        let repeated = later_key == key;
        if repeated {
            std::mem::swap(value, later);
        }
        repeated
    });
    if form == Form::Stringified {
        places.sort_by_key(|(place, (key, _))| (array_index(key).unwrap_or(u64::MAX), *place));
    }
    places.into_iter().map(|(_, member)| member).collect()
}

/// The number of a key that ECMAScript counts as an array index: those come first, ascending.
fn array_index(key: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(key).ok()?;
    let canonical = text == "0" || (!text.starts_with(['0', '+']) && text.len() <= 10);
    let index: u64 = text.parse().ok()?;
    (canonical && index < u64::from(u32::MAX)).then_some(index)
}

/// Reads one value, nested no deeper than `max_depth`.
pub(super) fn parse(text: &str, max_depth: usize) -> Result<Json<'_>, JsonError> {
    let mut scan = Scanner { text, at: 0, max_depth };
    scan.skip_space();
    let value = scan.value(0)?;
    scan.skip_space();
    if scan.at < text.len() {
        return scan.fail("more text behind the value");
    }
    Ok(value)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Levels of nesting that [`Scanner::value`] goes into.
    max_depth: usize,
}

impl<'a> Scanner<'a> {
    fn fail<T>(&self, message: &'static str) -> Result<T, JsonError> {
        Err(JsonError { offset: self.at, message })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        match self.peek() {
            Some(b'{' | b'[') if depth == self.max_depth => self.fail("nested too deep"),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            _ => self.literal().map(Json::Literal),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        self.skip_space();
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth)?);
            if !self.another(b']')? {
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        self.skip_space();
        let mut members = Vec::new();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            let key = self.key()?;
            members.push((key, self.value(depth)?));
            if !self.another(b'}')? {
                return Ok(Json::Object(members));
            }
        }
    }

    /// A key and its colon, up to the value.
    fn key(&mut self) -> Result<Text<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return self.fail("a key was expected");
        }
        let key = self.string()?;
        self.skip_space();
        if !self.eat(b':') {
            return self.fail("a colon was expected");
        }
        self.skip_space();
        Ok(key)
    }

    /// Whether a comma follows, rather than the `end` of the list.
    fn another(&mut self, end: u8) -> Result<bool, JsonError> {
        self.skip_space();
        if self.eat(b',') {
            return Ok(true);
        }
        if self.eat(end) { Ok(false) } else { self.fail("a comma or the end was expected") }
    }

    fn literal(&mut self) -> Result<&'a str, JsonError> {
        for word in ["null", "true", "false"] {
            if self.text[self.at..].starts_with(word) {
                let start = self.at;
                self.at += word.len();
                return Ok(&self.text[start..self.at]);
            }
        }
        self.fail("a value was expected")
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit was expected") } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Borrowed(&bytes[start..self.at - 1]));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(byte) if byte >= 0x20 => self.at += 1,
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail("a string without an end"),
            }
        }
    }

    /// Reads on a string that began at `start` and has an escape here.
    fn escaped(&mut self, start: usize) -> Result<Vec<u8>, JsonError> {
        let mut content = self.text.as_bytes()[start..self.at].to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(content);
                }
                Some(b'\\') => self.escape(&mut content)?,
                Some(byte) if byte >= 0x20 => {
                    content.push(byte);
                    self.at += 1;
                }
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail("a string without an end"),
            }
        }
    }

    fn escape(&mut self, content: &mut Vec<u8>) -> Result<(), JsonError> {
        self.at += 1;
        let byte = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(content);
            }
            _ => return self.fail("an unknown escape"),
        };
        content.push(byte);
        self.at += 1;
        Ok(())
    }

    fn unicode_escape(&mut self, content: &mut Vec<u8>) -> Result<(), JsonError> {
        let unit = self.code_unit()?;
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u") {
            let behind_first = self.at;
            self.at += 2;
            let low = self.code_unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                push_code_point(code, content);
                return Ok(());
            }
            self.at = behind_first;
        }
        push_code_point(unit, content);
        Ok(())
    }

    fn code_unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let Some(digits) = digits.filter(|four| four.iter().all(u8::is_ascii_hexdigit)) else {
            return self.fail("four hex digits were expected");
        };
        let unit = digits.iter().fold(0, |unit, &digit| {
            (unit << 4) | char::from(digit).to_digit(16).unwrap_or_default()
        });
        self.at += 4;
        Ok(unit)
    }

    /// Steps over a value without looking into it: what comes here was checked before.
    fn skip_value(&mut self) -> Result<(), JsonError> {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if open > 0 => {
                    open -= 1;
                    self.at += 1;
                }
                Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') if open > 0 => self.at += 1,
                Some(b'-' | b'0'..=b'9') => drop(self.number()?),
                _ => drop(self.literal()?),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }
}

/// Appends the UTF-8 form of a code point, surrogates included.
fn push_code_point(code: u32, content: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => {
            content.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        None => content.extend_from_slice(&[
            0xe0 | (code >> 12) as u8,
            0x80 | ((code >> 6) & 0x3f) as u8,
            0x80 | (code & 0x3f) as u8,
        ]),
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
