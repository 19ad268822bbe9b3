//! Filters that hash, and that write what comes of it.

use std::borrow::Cow;

use minijinja::{Environment, Error, Value};

use super::text_of;
use crate::contract::encoding::Encoding;
use crate::contract::signature::Algorithm;

pub(super) fn register(engine: &mut Environment<'static>) {
    for (name, algorithm) in [
        ("md5", Algorithm::Md5),
        ("sha1", Algorithm::Sha1),
        ("sha256", Algorithm::Sha256),
        ("sha384", Algorithm::Sha384),
        ("sha512", Algorithm::Sha512),
    ] {
        engine.add_filter(name, move |value: &Value| {
            bytes_of(value).map(|bytes| Value::from_bytes(algorithm.compute(&[], &bytes)))
        });
    }
    for (name, algorithm) in [
        ("hmac_sha1", Algorithm::HmacSha1),
        ("hmac_sha256", Algorithm::HmacSha256),
        ("hmac_sha512", Algorithm::HmacSha512),
    ] {
        engine.add_filter(name, move |value: &Value, key: &Value| {
            let (content, key) = (bytes_of(value)?, bytes_of(key)?);
            Ok::<_, Error>(Value::from_bytes(algorithm.compute(&key, &content)))
        });
    }
    for (name, encoding) in [
        ("hex", Encoding::Hex),
        ("base64", Encoding::Base64),
        ("base64url", Encoding::Base64urlUnpadded),
    ] {
        engine.add_filter(name, move |value: &Value| {
            bytes_of(value).map(|bytes| encoding.write(&bytes))
        });
    }
}

/// The bytes of a digest, or of a text in UTF-8.
fn bytes_of(value: &Value) -> Result<Cow<'_, [u8]>, Error> {
    if let Some(bytes) = value.as_bytes() {
        return Ok(Cow::Borrowed(bytes));
    }
    Ok(match text_of(value)? {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}
