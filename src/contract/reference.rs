//! What the reference page says of names and filters. A test holds it against the tables
//! that templates are checked with.

use super::routes::ROUTE_FILTERS;
use super::scope::Place;

/// A name that templates can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub name: &'static str,
    pub about: &'static str,
    /// The templates that know it.
    pub places: Vec<&'static str>,
}

const NAMES: [(&str, &str); 33] = [
    ("id", "The message's id, `msg_…`: the same over all attempts."),
    ("timestamp", "When this attempt starts. A time needs a filter that says how it is written."),
    ("nonce", "64 hexadecimal digits that no other attempt has."),
    ("payload", "What was published, byte for byte."),
    ("environment", "The environment's name."),
    ("event.id", "The publisher's own event id, or the message's where there is none."),
    ("event.type", "The event type's name."),
    ("event.timestamp", "When the message was published."),
    ("event.group", "The event type's group; nothing where it has none."),
    ("event.test", "Whether it is a test event."),
    ("message.id", "The message's id, `msg_…`."),
    ("message.uuid", "The same as a UUID."),
    ("application.id", "The application's id, `app_…`."),
    ("application.uid", "The company's own id for it, or ours where there is none."),
    ("application.name", "The application's name."),
    ("application.metadata.…", "What the company keeps with the application under this key."),
    ("endpoint.id", "The endpoint's id, `ep_…`."),
    ("endpoint.uid", "The company's own id for it, or ours where there is none."),
    ("endpoint.url", "The endpoint's URL as the customer gave it."),
    ("endpoint.name", "The endpoint's name."),
    ("attempt.number", "1 for the first attempt."),
    ("body", "The body as it is sent."),
    ("method", "The HTTP method; `WEBSOCKET` for deliveries over a websocket."),
    ("url", "Scheme, host, port where it isn't the scheme's own, and path."),
    ("query", "The query of the URL, without the question mark."),
    ("full_url", "The whole URL that is called."),
    ("host", "The URL's host, with the port where it isn't the scheme's own."),
    ("path", "The URL's path."),
    ("signature", "The signature by the current secret, written out."),
    ("signatures", "The signatures by all secrets that sign at present, the current one's first."),
    ("signature.…", "A signature that has this name, in bodies, queries and headers."),
    ("challenge", "A random text that the receiver has to give back."),
    ("secret", "The secret: in the content of plain digests, and in handshakes."),
];

const FILTERS: [(&str, &str); 40] = [
    ("ascii", "JSON with everything beyond ASCII as `\\uXXXX`."),
    ("base64", "The text, or the bytes of a digest, in base64."),
    ("base64url", "The same in base64 for URLs, without padding."),
    ("canonical", "JSON with keys sorted at every depth, no white space, numbers as written."),
    ("date", "A time in a format of `strftime`: `timestamp|date(\"%Y%m%dT%H%M%SZ\")`."),
    ("default", "Another value where this one isn't defined: `event.group|default(\"none\")`."),
    ("elements", "The elements of a JSON list, to loop over."),
    (
        "form",
        "A JSON object as a form: `a[b]=c`; `form(\"[]\")` says how lists are named: `[0]` where left out, `[]`, or nothing.",
    ),
    ("hex", "The text, or the bytes of a digest, in hexadecimal."),
    ("hmac_sha1", "The HMAC-SHA1 of a text under a key: `body|hmac_sha1(secret)|hex`."),
    ("hmac_sha256", "The same with SHA-256."),
    ("hmac_sha512", "The same with SHA-512."),
    ("http_date", "A time as HTTP headers have it: `Wed, 15 Jan 2025 14:32:00 GMT`."),
    ("join", "The items of a list with a text between them: `signatures|join(\",\")`."),
    ("json", "A value as JSON, for where values are not escaped."),
    ("lower", "The text in lower case."),
    ("md5", "The MD5 digest, to be written by `hex` or `base64`."),
    (
        "member",
        "A member of JSON by its path: `payload|member(\"user\", \"id\")`; `null` where there is none.",
    ),
    ("pairs", "The names and values of a form, sorted and run together, as Twilio signs them."),
    ("replace", "The text with one part replaced by another: `url|replace(\"https\", \"http\")`."),
    ("rfc2822", "A time as e-mail has it: `Wed, 15 Jan 2025 14:32:00 +0000`."),
    ("rfc3339", "`2025-01-15T14:32:00Z`"),
    ("rfc3339_ms", "`2025-01-15T14:32:00.258Z`"),
    ("rfc3339_us", "`2025-01-15T14:32:00.258162Z`"),
    ("sha1", "The SHA-1 digest, to be written by `hex` or `base64`."),
    ("sha256", "The SHA-256 digest."),
    ("sha384", "The SHA-384 digest."),
    ("sha512", "The SHA-512 digest."),
    ("sorted", "A query decoded and sorted, several values of a name as `name=[a b]`."),
    ("stringified", "JSON as JavaScript's `JSON.stringify` prints it."),
    ("text", "The content of a JSON string, without quotes and escapes."),
    ("truncate", "The first characters of a text: `endpoint.name|truncate(20)`."),
    ("unix", "Whole seconds since the epoch."),
    ("unix_decimal", "Seconds since the epoch with six decimals."),
    ("unix_ms", "Milliseconds since the epoch."),
    ("unix_us", "Microseconds since the epoch."),
    ("upper", "The text in upper case."),
    ("urlencode", "The text percent-encoded (RFC 3986)."),
    ("with", "A JSON object with one more member: `payload|with(\"id\", event.id)`."),
    ("xml", "The text escaped for XML."),
];

/// The names of deliveries' templates.
pub fn names() -> Vec<Name> {
    const PLACES: [(Place, &str); 6] = [
        (Place::Body, "body"),
        (Place::Query, "query"),
        (Place::Header, "headers"),
        (Place::Content, "signed content"),
        (Place::Format, "signature formats"),
        (Place::Handshake, "handshakes"),
    ];
    let known = |name: &str, place: Place| {
        let sample = name.replace('…', "x");
        match name {
            "signature.…" => matches!(place, Place::Body | Place::Query | Place::Header),
            "secret" => place == Place::Content || place.knows(name),
            _ => {
                place.names().any(|known| known == sample)
                    || (name.ends_with('…') && place.knows(&sample))
            }
        }
    };
    let named = NAMES.iter().map(|&(name, about)| {
        let places = PLACES.iter().filter(|(place, _)| known(name, *place)).map(|&(_, word)| word);
        Name { name, about, places: places.collect() }
    });
    named.collect()
}

/// The filters of all templates.
pub fn filters() -> &'static [(&'static str, &'static str)] {
    &FILTERS
}

/// The filters that only routes have.
pub fn route_filters() -> &'static [(&'static str, &'static str)] {
    &ROUTE_FILTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_is_explained() {
        let explained: Vec<&str> = FILTERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(explained, crate::contract::filters::NAMES);
    }

    #[test]
    fn every_name_is_explained_and_known_somewhere() {
        let explained = names();
        for name in &explained {
            assert!(!name.places.is_empty(), "{}", name.name);
        }
        for place in [
            Place::Body,
            Place::Query,
            Place::Header,
            Place::Content,
            Place::Format,
            Place::Handshake,
        ] {
            for known in place.names() {
                assert!(explained.iter().any(|name| name.name == known), "{known}");
            }
        }
    }
}
