//! Requests as people paste them: out of logs, terminals, browsers and programs.

use serde_json::{Map, Value};

use crate::contract::json;

/// Lines of pasted headers that are read, and headers of a request altogether.
pub const HEADER_LINES: usize = 200;

/// Characters that are shown of what isn't read.
const UNREAD_CHARS: usize = 60;

/// A request as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestText {
    /// In upper case; empty where it isn't known.
    pub method: String,
    /// Empty where it isn't known.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// A line of pasted headers that says nothing, or the first one that is too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// From 1. In a JSON object, the number of the header instead.
    pub line: usize,
    /// Its beginning.
    pub text: String,
}

impl RequestText {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads headers, one a line as `Name: value`, as `curl -v` prints them or takes them, or as
    /// a JSON object. Lines that are none of it come back; the request line says method and URL.
    pub fn read_headers(&mut self, text: &str) -> Vec<Unread> {
        if let Some(object) = object(text) {
            return self.add_object(&object).into_iter().collect();
        }
        let mut unread = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if index == HEADER_LINES || !self.read_line(line) {
                unread.push(Unread::new(index + 1, line));
            }
            if index == HEADER_LINES {
                break;
            }
        }
        unread
    }

    /// The headers of a JSON object; the first one that is too many comes back.
    fn add_object(&mut self, object: &Map<String, Value>) -> Option<Unread> {
        object.iter().find_map(|(name, value)| self.add_value(name, value))
    }

    /// The value of a JSON object's member: a text, or a list of them.
    fn add_value(&mut self, name: &str, value: &Value) -> Option<Unread> {
        if let Value::Array(values) = value {
            return values.iter().find_map(|value| self.add_value(name, value));
        }
        let other;
        let text = match value {
            Value::String(text) => text,
            value => {
                other = value.to_string();
                &other
            }
        };
        if self.headers.len() >= HEADER_LINES {
            return Some(Unread::new(HEADER_LINES + 1, &format!("{name}: {text}")));
        }
        self.add_header(name, text);
        None
    }

    /// Whether the line says something, or is nothing but decoration.
    fn read_line(&mut self, line: &str) -> bool {
        let line = line.trim();
        if line.is_empty() || line.starts_with("* ") || line == ">" || line == "<" {
            return true;
        }
        let line = line.strip_prefix("> ").or(line.strip_prefix("< ")).unwrap_or(line);
        let line = of_curl(line).unwrap_or(line);
        if let Some(pseudo) = line.strip_prefix(':') {
            return self.read_pseudo(pseudo);
        }
        if self.read_request_line(line) {
            return true;
        }
        let pair = line.split_once(" => ").or_else(|| line.split_once(':'));
        let Some((name, value)) = pair else { return false };
        let name = name.trim().trim_matches(['"', '\'', '[', ']']);
        let is_name = |one: u8| one.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&one);
        if name.is_empty() || !name.bytes().all(is_name) {
            return false;
        }
        self.add_header(name, value.trim());
        true
    }

    /// A header, under the name that HTTP gives it: gateways and PHP turn `X-Name` into
    /// `HTTP_X_NAME`.
    fn add_header(&mut self, name: &str, value: &str) {
        let name = name.trim().to_ascii_lowercase();
        let name = match name.strip_prefix("http_") {
            Some(rest) => rest.replace('_', "-"),
            None => name,
        };
        self.headers.push((name, value.trim().to_owned()));
    }

    /// What HTTP/2 has in the place of a request line.
    fn read_pseudo(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.split_once(':') else { return false };
        match (name.trim(), value.trim()) {
            ("method", method) => set(&mut self.method, method),
            ("path", path) => set(&mut self.url, path),
            ("authority", host) => self.add_header("host", host),
            ("scheme" | "status" | "protocol", _) => {}
            _ => return false,
        }
        true
    }

    fn read_request_line(&mut self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return false };
        let is_method = method.len() <= 10 && method.bytes().all(|one| one.is_ascii_uppercase());
        let is_last = match words.next() {
            Some(version) => version.starts_with("HTTP/"),
            None => target.starts_with(['/', 'h']),
        };
        if !is_method || !is_last || words.next().is_some() {
            return false;
        }
        set(&mut self.method, method);
        set(&mut self.url, target);
        true
    }

    /// Where the body is a frame that came over a websocket, takes out what the frame holds.
    /// A header that is one too many comes back.
    pub fn unframe(&mut self) -> Option<Unread> {
        let member = |name: &str| json::member(&self.body, name).ok().flatten();
        let headers = member("headers").and_then(object);
        let (Some(headers), Some(body), Some(_)) = (headers, member("body"), member("id")) else {
            return None;
        };
        self.body = body.to_owned();
        self.add_object(&headers)
    }
}

impl Unread {
    fn new(line: usize, text: &str) -> Unread {
        Unread { line, text: text.chars().take(UNREAD_CHARS).collect() }
    }
}

/// What the form says goes before what the headers say.
fn set(field: &mut String, value: &str) {
    if field.is_empty() {
        *field = value.to_owned();
    }
}

/// Headers as JSON, or as Python prints a dictionary of them.
fn object(text: &str) -> Option<Map<String, Value>> {
    let text = text.trim();
    if !text.starts_with('{') {
        return None;
    }
    let strict = serde_json::from_str(text).ok();
    strict.or_else(|| serde_json::from_str(&text.replace('\'', "\"")).ok())
}

/// The header of an option `-H 'Name: value' \`.
fn of_curl(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("-H").or(line.strip_prefix("--header"))?;
    let rest = rest.trim_end_matches('\\').trim().trim_start_matches('=');
    let quote = rest.chars().next().filter(|one| matches!(one, '\'' | '"'))?;
    rest[1..].strip_suffix(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (RequestText, Vec<usize>) {
        let mut request = RequestText::default();
        let unread = request.read_headers(text);
        (request, unread.into_iter().map(|unread| unread.line).collect())
    }

    #[test]
    fn headers_are_read_in_the_forms_that_people_have_them_in() {
        for text in [
            "X-Signature: abc\nHost: example.com",
            "* Connected\n> POST /hook?a=1 HTTP/1.1\n> Host: example.com\n> X-Signature:abc\n>",
            ":method: POST\n:authority: example.com\n:scheme: https\nx-signature: abc",
            "{\"X-Signature\": \"abc\", \"Host\": [\"example.com\"]}",
            "{'x-signature': 'abc', 'host': 'example.com'}",
            "  -H 'X-Signature: abc' \\\n  --header \"Host: example.com\"",
            "[HTTP_X_SIGNATURE] => abc\n[HTTP_HOST] => example.com",
        ] {
            let (request, unread) = read(text);
            assert_eq!(request.header("x-signature"), Some("abc"), "{text}");
            assert_eq!(request.header("host"), Some("example.com"), "{text}");
            assert!(unread.is_empty(), "{text}: {unread:?}");
        }
    }

    #[test]
    fn a_request_line_says_method_and_url_where_nobody_else_did() {
        let (request, _) = read("PUT /hook HTTP/1.1\nA: b");
        assert_eq!((request.method.as_str(), request.url.as_str()), ("PUT", "/hook"));
        let mut request = RequestText { method: "POST".to_owned(), ..RequestText::default() };
        request.read_headers("PUT https://example.com/ HTTP/2");
        assert_eq!(request.method, "POST");
        assert_eq!(request.url, "https://example.com/");
    }

    #[test]
    fn what_is_no_header_comes_back_with_its_line() {
        let (request, unread) = read("A: b\n\nno header here\nx y: z\nC: d");
        assert_eq!(request.headers.len(), 2);
        assert_eq!(unread, [3, 4]);
        let many = "A: b\n".repeat(HEADER_LINES + 50);
        let (request, unread) = read(&many);
        assert_eq!((request.headers.len(), unread), (HEADER_LINES, vec![HEADER_LINES + 1]));
        let members: Vec<String> = (0..20_000).map(|n| format!(r#""a{n}":["b","c"]"#)).collect();
        let object = format!("{{{}}}", members.join(","));
        let (request, unread) = read(&object);
        assert_eq!((request.headers.len(), unread), (HEADER_LINES, vec![HEADER_LINES + 1]));
        let body = format!(r#"{{"id":"e1","headers":{object},"body":1}}"#);
        let mut frame = RequestText { body, ..request };
        assert_eq!(frame.unframe().map(|unread| unread.line), Some(HEADER_LINES + 1));
        assert_eq!(frame.headers.len(), HEADER_LINES);
    }

    #[test]
    fn a_frame_is_opened_and_its_body_stays_as_it_was() {
        let body = r#"{"id":"e1","headers":{"X-Signature":"abc"},"body":{"b":1.10, "a":2}}"#;
        let mut request = RequestText { body: body.to_owned(), ..RequestText::default() };
        assert_eq!(request.unframe(), None);
        assert_eq!(request.body, r#"{"b":1.10, "a":2}"#);
        assert_eq!(request.header("x-signature"), Some("abc"));
        let plain = RequestText { body: r#"{"id":1,"body":2}"#.to_owned(), ..Default::default() };
        let mut same = plain.clone();
        assert_eq!(same.unframe(), None);
        assert_eq!(same, plain);
    }
}
