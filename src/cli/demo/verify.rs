//! What a customer's developer writes after reading each contract's documentation: given a
//! request and the secret, is it genuine? Uses `ring` and nothing of the signing side.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use ring::hmac;
use serde_json::Value;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) method: String,
    /// The path and query, as in the request line.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Arrived {
    fn header(&self, name: &str) -> Result<&str, String> {
        let value =
            self.headers.get(name).ok_or_else(|| format!("the header {name} is missing"))?;
        value.to_str().map_err(|_| format!("the header {name} is not text"))
    }

    fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("the body is not JSON: {error}"))
    }
}

/// The check of one contract: what was verified, or what is wrong.
pub(super) type Verify = fn(&Arrived, secret: &str, origin: &str) -> Result<&'static str, String>;

fn check_hmac(key: &[u8], content: &[u8], signature: &[u8]) -> Result<&'static str, String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, content, signature)
        .map(|()| "signature verified")
        .map_err(|_| "the signature does not match".to_owned())
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("the signature is not lower-case hex".to_owned());
    }
    hex::decode(text).map_err(|_| "the signature is not hex".to_owned())
}

/// Standard Webhooks 1.0.0: base64 of HMAC-SHA256 over `id.timestamp.body`.
pub(super) fn standard(arrived: &Arrived, secret: &str, _: &str) -> Result<&'static str, String> {
    let key = secret.strip_prefix("whsec_").ok_or("the secret has no whsec_")?;
    let key = BASE64_STANDARD.decode(key).map_err(|_| "the secret is not base64")?;
    let id = arrived.header("webhook-id")?;
    let timestamp = arrived.header("webhook-timestamp")?;
    let mut content = format!("{id}.{timestamp}.").into_bytes();
    content.extend_from_slice(&arrived.body);
    for candidate in arrived.header("webhook-signature")?.split(' ') {
        let Some(text) = candidate.strip_prefix("v1,") else { continue };
        let signature = BASE64_STANDARD.decode(text).map_err(|_| "the signature is not base64")?;
        if let Ok(verdict) = check_hmac(&key, &content, &signature) {
            return Ok(verdict);
        }
    }
    Err("no signature matches".to_owned())
}

/// Lower-case hex over the raw body, no prefix.
pub(super) fn kynectlocal(
    arrived: &Arrived,
    secret: &str,
    _: &str,
) -> Result<&'static str, String> {
    let signature = unhex(arrived.header("X-KynectLocal-Signature")?)?;
    check_hmac(secret.as_bytes(), &arrived.body, &signature)
}

/// As KynectLocal, keyed with the text of `key`.
pub(super) fn rechat(arrived: &Arrived, secret: &str, _: &str) -> Result<&'static str, String> {
    let signature = unhex(arrived.header("X-Rechat-Signature")?)?;
    check_hmac(secret.as_bytes(), &arrived.body, &signature)
}

/// `sha256=<hex>`, over the body as `JSON.stringify` prints it once it was parsed: that is
/// what the documented handler hashes.
pub(super) fn kakiyo(arrived: &Arrived, secret: &str, _: &str) -> Result<&'static str, String> {
    let header = arrived.header("X-Kakiyo-Signature")?;
    let signature = unhex(header.strip_prefix("sha256=").ok_or("no sha256= in the header")?)?;
    check_hmac(secret.as_bytes(), &arrived.body, &signature)
}

/// No signature; the body is one object with exactly the eleven documented members.
pub(super) fn tomba(arrived: &Arrived, _: &str, _: &str) -> Result<&'static str, String> {
    let body = arrived.json()?;
    let mut members: Vec<&str> =
        body["data"].as_object().ok_or("there is no data")?.keys().map(String::as_str).collect();
    members.sort_unstable();
    let documented = [
        "company",
        "email",
        "first_name",
        "last_name",
        "linkedin",
        "notes",
        "phone",
        "position",
        "score",
        "twitter",
        "website",
    ];
    if members != documented {
        return Err(format!("the members are {members:?}"));
    }
    arrived.header("X-Tomba-Event")?;
    arrived.header("X-Tomba-Delivery")?;
    Ok("body verified (this contract has no signature)")
}

/// HMAC over `METHOD + URL + NormalizedQuery + NormalizedBody`, each rebuilt from what arrived.
pub(super) fn klink(arrived: &Arrived, secret: &str, origin: &str) -> Result<&'static str, String> {
    let (path, query) = arrived.target.split_once('?').unwrap_or((&arrived.target, ""));
    let content = format!(
        "{}{origin}{path}{}{}",
        arrived.method,
        normalized_query(query),
        normalized_body(&arrived.json()?)
    );
    let signature = unhex(arrived.header("X-Signature")?)?;
    check_hmac(secret.as_bytes(), content.as_bytes(), &signature)
}

fn normalized_query(query: &str) -> String {
    let mut pairs: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match pairs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value.into_owned()),
            None => pairs.push((key.into_owned(), vec![value.into_owned()])),
        }
    }
    pairs.sort();
    let shown = pairs.into_iter().map(|(key, mut values)| {
        values.sort();
        match values.as_slice() {
            [one] => format!("{key}={one}"),
            several => format!("{key}=[{}]", several.join(" ")),
        }
    });
    shown.collect::<Vec<_>>().join("&")
}

fn normalized_body(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            let shown = keys.iter().map(|key| {
                format!("{}:{}", Value::String((*key).clone()), normalized_body(&members[*key]))
            });
            format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(normalized_body).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}
