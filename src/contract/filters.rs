//! The filters of contract templates: none whose output can be much larger than its input
//! without a limit.

mod digest;
mod json;
mod text;
mod time;

use std::borrow::Cow;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::scope::{RawText, Ready};

pub(super) use text::{percent_encode, xml_text};

/// The names of all filters, for "did you mean".
pub(super) const NAMES: [&str; 40] = [
    "ascii",
    "base64",
    "base64url",
    "canonical",
    "date",
    "default",
    "elements",
    "form",
    "hex",
    "hmac_sha1",
    "hmac_sha256",
    "hmac_sha512",
    "http_date",
    "join",
    "json",
    "lower",
    "md5",
    "member",
    "pairs",
    "replace",
    "rfc2822",
    "rfc3339",
    "rfc3339_ms",
    "rfc3339_us",
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "sorted",
    "stringified",
    "text",
    "truncate",
    "unix",
    "unix_decimal",
    "unix_ms",
    "unix_us",
    "upper",
    "urlencode",
    "with",
    "xml",
];

/// Adds the filters, and the few tests that conditions need.
pub(super) fn register(engine: &mut Environment<'static>) {
    time::register(engine);
    json::register(engine);
    text::register(engine);
    digest::register(engine);
    engine.add_filter("default", minijinja::filters::default);
    engine.add_filter("join", minijinja::filters::join);
    engine.add_filter("lower", minijinja::filters::lower);
    engine.add_filter("upper", minijinja::filters::upper);
    engine.add_test("defined", minijinja::tests::is_defined);
    engine.add_test("undefined", minijinja::tests::is_undefined);
    engine.add_test("none", minijinja::tests::is_none);
}

/// The text of a value that is one, or that has only one way to be written.
fn text_of(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(raw) = value.downcast_object_ref::<RawText>() {
        return Ok(Cow::Borrowed(raw.as_str()));
    }
    if let Some(ready) = value.downcast_object_ref::<Ready>() {
        return Ok(Cow::Borrowed(&ready.0));
    }
    match value.as_str() {
        Some(text) => Ok(Cow::Borrowed(text)),
        None if value.kind() == ValueKind::Number => Ok(Cow::Owned(value.to_string())),
        None => Err(refused("this filter takes a text")),
    }
}

fn refused(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_filter_and_the_names_are_sorted() {
        let mut engine = Environment::empty();
        register(&mut engine);
        for name in NAMES {
            let found = engine.compile_expression(&format!("1|{name}")).unwrap().eval(());
            let unknown = found.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter);
            assert!(!unknown, "{name}");
        }
        assert!(NAMES.is_sorted());
    }
}
