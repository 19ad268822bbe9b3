//! The contract file as it is written: TOML, key by key, before anything is checked.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::encoding::Encoding;
use super::handshake::HandshakeSignature;
use super::problem::{Problems, did_you_mean};
use super::routes::{RawErrors, RawIds, RawKeys, RawRoute, RawTemplates};
use super::rules::Presence;
use super::secret::{SecretEncoding, SecretKey, SecretOrigin, SecretScope};
use super::signature::{Algorithm, SignedBy};
use crate::domain::{AuthKind, Transport};

/// A value with its place in the file; every key of the format may be left out here, so
/// that all mistakes of a file are found, and not only the first.
pub(super) type Key<T> = Option<Spanned<T>>;

/// A whole contract.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawContract {
    /// What configuration calls it: lower-case letters, digits, hyphens.
    pub(super) name: Key<String>,
    /// What people call it.
    pub(super) title: Key<String>,
    /// One paragraph about it.
    pub(super) description: Key<String>,
    pub(super) delivery: RawDelivery,
    /// One entry for each signature; none for a contract that doesn't sign.
    pub(super) signature: Vec<Spanned<RawSignature>>,
    pub(super) secret: Key<RawSecret>,
    /// The requests that an endpoint has to answer before it goes live, in this order; none
    /// where left out.
    pub(super) handshake: Vec<Spanned<RawHandshake>>,
    pub(super) pause: Key<RawPause>,
    pub(super) endpoint: RawEndpoint,
    pub(super) keys: Key<RawKeys>,
    pub(super) errors: RawErrors,
    pub(super) ids: RawIds,
    pub(super) templates: RawTemplates,
    pub(super) routes: Vec<Spanned<RawRoute>>,
    pub(super) groups: Vec<Spanned<RawGroup>>,
    pub(super) events: Vec<Spanned<RawEvent>>,
}

/// `[delivery]`: the request, and what becomes of its answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDelivery {
    /// The template of the body; the payload itself where left out. Values are escaped as the
    /// content type wants it: JSON, form, XML, or not at all.
    pub(super) body: Key<String>,
    /// `application/json` where left out; `application/x-www-form-urlencoded`, XML or anything
    /// else are as good.
    pub(super) content_type: Key<String>,
    /// The method where the customer chooses none: `POST` where left out.
    pub(super) method: Key<String>,
    /// The query parameter in which the body travels with GET and DELETE, percent-encoded.
    pub(super) body_in_query: Key<String>,
    /// Parameters that are added to the URL's query; the values are plain-text templates. One
    /// that comes out empty is left out.
    pub(super) query: RawHeaders,
    /// Headers of every request; the values are plain-text templates. One that comes out empty
    /// is left out.
    pub(super) headers: RawHeaders,
    /// For a whole attempt: `15s` where left out.
    pub(super) timeout: Key<String>,
    /// The waits before each retry. Where left out: 5s, 5m, 30m, 2h, 5h, 10h, 10h.
    pub(super) retries: Key<Vec<Spanned<String>>>,
    /// How far waits are stretched at random, as a fraction of them: 0.1 where left out.
    pub(super) jitter: Key<f64>,
    /// Whether the receiver's `Retry-After` is honoured: true where left out.
    pub(super) retry_after: Key<bool>,
    /// The longest that it is honoured for: `24h` where left out.
    pub(super) retry_after_max: Key<String>,
    /// The statuses that acknowledge: `2xx` (where left out), `200` or `200-204`.
    pub(super) success: Key<String>,
    /// What the body of an acknowledging answer has to start with, such as `[accepted]`;
    /// nothing where left out.
    pub(super) success_body: Key<String>,
    /// The status by which a receiver says that it is gone for good; none where left out.
    pub(super) gone: Key<u16>,
}

/// `[[signature]]`: one signature, in a header or under a name for templates.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSignature {
    /// The header that it is sent in; none for one that only templates name.
    pub(super) header: Key<String>,
    /// What templates call it: `{{ signature.name }}`, or the list `{{ signatures.name }}`. The
    /// body can hold it where its content doesn't name the body; queries and headers where it
    /// doesn't name the URL.
    pub(super) name: Key<String>,
    /// `hmac-sha256`, `hmac-sha384`, `hmac-sha512`, `hmac-sha1` or `hmac-md5`; `sha256`,
    /// `sha384`, `sha512`, `sha1` or `md5` of content that names `{{ secret }}`; `ed25519`; or
    /// `token`, which is the secret itself.
    pub(super) algorithm: Key<Algorithm>,
    /// Which secrets make it while an old one overlaps: `all` (where left out), `current` or
    /// `previous`. Without such a secret its header is left out.
    pub(super) secret: Key<SignedBy>,
    /// The template of what is signed: `{{ body }}` where left out.
    pub(super) content: Key<String>,
    /// `hex` (where left out), `hex-upper`, `base64`, `base64-unpadded`, `base64url` or
    /// `base64url-unpadded`.
    pub(super) encoding: Key<Encoding>,
    /// The template of the header: `{{ signature }}` where left out. `signatures` is the
    /// list while an old secret overlaps, the current one's first.
    pub(super) format: Key<String>,
    /// Where several signatures share a header: what stands between this one and those before
    /// it.
    pub(super) separator: Key<String>,
}

/// `[secret]`: the signing secrets.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSecret {
    /// `generated` (where left out), `required`, `optional` or `none`.
    pub(super) origin: Key<SecretOrigin>,
    /// Whose it is: `endpoint` (where left out), or `application`, whose endpoints share it.
    pub(super) scope: Key<SecretScope>,
    /// What every secret starts with: nothing where left out.
    pub(super) prefix: Key<String>,
    /// `base64` (where left out), `base64url`, `hex`, `alphanumeric` or `text`.
    pub(super) encoding: Key<SecretEncoding>,
    /// What keys the HMAC: `decoded`; `text`, which is the default for texts and alphanumeric
    /// secrets; or a digest of the text, `sha1` or `sha256`.
    pub(super) key: Key<SecretKey>,
    /// The bytes (of letters and digits: characters) of a generated secret: 32 where left out.
    pub(super) bytes: Key<usize>,
    /// The fewest bytes (of a text: characters) that a customer may set: 16 where left out.
    pub(super) min_bytes: Key<usize>,
    /// The most bytes (of a text: characters) that a customer may set: 256 where left out.
    pub(super) max_bytes: Key<usize>,
    /// How long a replaced secret goes on signing: `0s` where left out.
    pub(super) overlap: Key<String>,
    /// Whether customers may see a secret again: false where left out. The public key of a key
    /// pair is always shown.
    pub(super) reveal: Key<bool>,
    /// How key pairs are written: see below.
    pub(super) ed25519: Key<RawKeyPair>,
}

/// `[secret.ed25519]`: how the keys of Ed25519 signatures are written. A contract with nothing
/// but such signatures gives every endpoint a key pair; where there are others too, an endpoint
/// has a key pair if it was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawKeyPair {
    /// What private keys start with: `whsk_` where left out.
    pub(super) private_prefix: Key<String>,
    /// What public keys start with: `whpk_` where left out.
    pub(super) public_prefix: Key<String>,
    /// `base64` (where left out), `base64url` or `hex`.
    pub(super) encoding: Key<SecretEncoding>,
}

/// `[[handshake]]`: a request that is sent when an endpoint is made, and when its URL changes.
/// An endpoint that doesn't answer it as expected is refused. Its templates can name
/// `challenge`, a random text, and `secret` (the public key of a key pair).
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHandshake {
    /// `POST` where left out.
    pub(super) method: Key<String>,
    /// The template of the body: nothing where left out.
    pub(super) body: Key<String>,
    /// `application/json` where left out.
    pub(super) content_type: Key<String>,
    /// Parameters that are added to the URL's query.
    pub(super) query: RawHeaders,
    /// Headers of the request.
    pub(super) headers: RawHeaders,
    /// `none` (where left out), `valid` or `wrong`: whether the headers and signatures of a
    /// delivery are sent too, and whether those signatures are good.
    pub(super) signature: Key<HandshakeSignature>,
    /// What headers of a delivery call the event: `handshake` where left out.
    pub(super) event: Key<String>,
    /// What the answer has to hold, and where: `body`, `body.path.to.member` of JSON, or
    /// `header.Name`. Only the status counts where left out.
    pub(super) expect: RawHeaders,
    /// The statuses that pass: `2xx` (where left out), `200` or `200-204`.
    pub(super) status: Key<String>,
    /// `10s` where left out.
    pub(super) timeout: Key<String>,
}

/// `[pause]`: when an endpoint that keeps failing is paused. Exactly one rule; never where
/// the section is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPause {
    /// So many failed attempts in a row.
    pub(super) consecutive: Key<u32>,
    /// More than so many failed attempts …
    pub(super) failures: Key<u32>,
    /// … within this time.
    pub(super) within: Key<String>,
    /// Nothing but failures for so long.
    pub(super) failing_for: Key<String>,
}

/// `[endpoint]`: what a customer may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEndpoint {
    /// The transports to choose from, the default one first: `webhook`, `websocket`; only
    /// `webhook` where left out.
    pub(super) transports: Key<Vec<Spanned<Transport>>>,
    /// The methods to choose from: only the default one where left out.
    pub(super) http_methods: Key<Vec<Spanned<String>>>,
    /// The kinds of authentication to choose from: `none`, `basic`, `header`; only `none`
    /// where left out.
    pub(super) auth: Key<Vec<Spanned<AuthKind>>>,
    /// Whether custom headers may be set: false where left out.
    pub(super) headers: Key<bool>,
    /// How many: 20 where left out.
    pub(super) max_headers: Key<usize>,
    /// `optional` (where left out) or `required`.
    pub(super) name: Key<Presence>,
    /// Whether names are unique within an application: false where left out.
    pub(super) unique_name: Key<bool>,
    /// Whether the URL must be HTTPS: false where left out.
    pub(super) https_only: Key<bool>,
    /// Whether `*` stands for all events: false where left out.
    pub(super) wildcard: Key<bool>,
    /// Whether whole groups may be chosen, with what is added to them later: false where left
    /// out.
    pub(super) groups: Key<bool>,
    /// Whether at least one event must be chosen: `optional` (where left out) or `required`.
    pub(super) events: Key<Presence>,
    /// Whether an endpoint takes exactly one event: false where left out.
    pub(super) single_event: Key<bool>,
}

/// `[[groups]]`: a group of the catalog.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawGroup {
    /// What events, and subscriptions to the whole group, call it.
    pub(super) name: Key<String>,
    /// For people: the name where left out.
    pub(super) title: Key<String>,
    /// What its events are about, for people.
    pub(super) description: Key<String>,
}

/// `[[events]]`: an event type of the catalog.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEvent {
    /// What is published and subscribed to.
    pub(super) name: Key<String>,
    /// The name of one of the groups.
    pub(super) group: Key<String>,
    /// For people: the name where left out.
    pub(super) title: Key<String>,
    /// What has happened, for people.
    pub(super) description: Key<String>,
    /// The JSON Schema of the payload, as JSON text.
    pub(super) schema: Key<String>,
    /// An example payload, as JSON text; its bytes are kept.
    pub(super) example: Key<String>,
}

/// A table of headers in the order of the file.
#[derive(Debug, Default)]
pub(super) struct RawHeaders(pub(super) Vec<(Spanned<String>, Spanned<String>)>);

impl<'de> Deserialize<'de> for RawHeaders {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<RawHeaders, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = RawHeaders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of headers")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawHeaders, M::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(RawHeaders(headers))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Reads the file. Entries that can't be read are reported and left out, so that the rest
/// can still be looked at. `None` where it isn't TOML.
pub(super) fn read(text: &str, problems: &mut Problems<'_>) -> Option<RawContract> {
    let mut document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let place = error.span().map_or(0, |span| span.start);
            problems.at(place, format!("this isn't TOML: {}", error.message()), None);
            return None;
        }
    };
    loop {
        let error = match RawContract::deserialize(toml::de::Deserializer::from(document.clone())) {
            Ok(raw) => return Some(raw),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        let (message, hint) = explain(error.message());
        problems.at(span.start, message, hint);
        if problems.is_full() || !remove_entry(document.get_mut(), span.start) {
            return None;
        }
    }
}

/// Puts serde's words into the format's.
fn explain(message: &str) -> (String, Option<String>) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.split_once(' '), quoted.as_slice()) {
        (Some(("unknown", rest)), [word, known @ ..]) => {
            let hint = did_you_mean(word, known.iter().copied())
                .or_else(|| (!known.is_empty()).then(|| format!("known: {}", known.join(", "))));
            let what = if rest.starts_with("field") { "unknown key" } else { "unknown value" };
            (format!("{what} `{word}`"), hint)
        }
        _ if message == "invalid type: map, expected a sequence" => {
            let hint = "there can be several, so it has two brackets, as [[signature]]".to_owned();
            ("this is a section, and a list of them was expected".to_owned(), Some(hint))
        }
        _ => (message.to_owned(), None),
    }
}

/// Removes the innermost entry whose key or value is found at `place`.
fn remove_entry(table: &mut DeTable<'_>, place: usize) -> bool {
    for (_, value) in table.iter_mut() {
        if remove_within(value.get_mut(), place) {
            return true;
        }
    }
    let covers = |span: std::ops::Range<usize>| span.contains(&place);
    let found = table
        .iter()
        .find(|(key, value)| covers(key.span()) || covers(value.span()))
        .map(|(key, _)| key.get_ref().to_string());
    found.is_some_and(|key| table.remove(key.as_str()).is_some())
}

fn remove_within(value: &mut DeValue<'_>, place: usize) -> bool {
    match value {
        DeValue::Table(table) => remove_entry(table, place),
        DeValue::Array(array) => array.iter_mut().any(|item| remove_within(item.get_mut(), place)),
        _ => false,
    }
}
