//! The words for what is wrong with a signature, and what to do about it.

use super::shown::visible;
use crate::contract::diagnosis::{
    BodyFault, ContentFault, Deviation, Difference, Family, FormFault, MASK, Owner, PartKind,
    Place, Print, SecretFault, UrlPart,
};
use crate::dashboard::words::{distance, exact, number};
use crate::domain::Timestamp;

/// Characters of a value that are shown beside another.
const VALUE_CHARS: usize = 300;

/// Something that is wrong.
pub(super) struct Cause {
    pub(super) title: String,
    /// What shows it: labels with values.
    pub(super) evidence: Vec<(&'static str, String)>,
    pub(super) difference: Option<Compared>,
    /// What to do.
    pub(super) advice: String,
}

/// Where two texts part.
pub(super) struct Compared {
    pub(super) place: String,
    pub(super) labels: [&'static str; 2],
    pub(super) common: String,
    pub(super) signed: String,
    pub(super) given: String,
}

/// Who made the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The request, as it was pasted.
    Request,
    /// The code that computed another signature.
    Code,
}

/// What words depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) side: Side,
    pub(super) now: Timestamp,
    /// Whether a secret was pasted.
    pub(super) pasted: bool,
}

impl Side {
    const fn labels(self) -> [&'static str; 2] {
        match self {
            Side::Request => ["What was signed", "What you have"],
            Side::Code => ["What we sign", "What your code signs"],
        }
    }
}

impl Cause {
    pub(super) fn new(title: impl Into<String>, advice: impl Into<String>) -> Cause {
        Cause { title: title.into(), evidence: Vec::new(), difference: None, advice: advice.into() }
    }

    pub(super) fn with(mut self, evidence: Vec<(&'static str, String)>) -> Cause {
        self.evidence = evidence;
        self
    }
}

pub(super) fn compared(difference: &Difference, side: Side) -> Compared {
    let show = |text: &str| match text {
        "" => "(the end)".to_owned(),
        text => visible(text, VALUE_CHARS),
    };
    let dots = if difference.cut { "…" } else { "" };
    Compared {
        place: match difference.offset {
            0 => "They differ from the first character on:".to_owned(),
            1 => "The first byte is the same, then they differ:".to_owned(),
            offset => format!(
                "The first {} bytes are the same, then they differ:",
                number(u64::try_from(offset).unwrap_or(u64::MAX))
            ),
        },
        labels: side.labels(),
        common: format!("{dots}{}", visible(&difference.common, VALUE_CHARS)),
        signed: show(&difference.signed),
        given: show(&difference.given),
    }
}

pub(super) fn deviation(found: &Deviation, context: Context) -> Cause {
    let side = context.side;
    match found {
        Deviation::HeaderName { expected, found } => Cause::new(
            format!("The signature stands in {found}, not in {expected}."),
            format!(
                "Something between us and your code renamed the header, or it was made by somebody else. Read {expected}."
            ),
        ),
        Deviation::Form(fault) => form(fault),
        Deviation::Secret { owner, fault: None } => whose(owner, context),
        Deviation::Secret { fault: Some(fault), .. } => secret(*fault),
        Deviation::Body { fault, difference } => {
            let difference = difference.as_ref().map(|one| compared(one, side));
            Cause { difference, ..body(fault) }
        }
        Deviation::Value { place, signed, given } => value(place, (signed, given), side),
        Deviation::Url { signed, given, differs } => url(differs, (signed, given), side),
        Deviation::Method { signed, given } => Cause::new(
            "The method is another one than the one that was signed.",
            "Use the method of the request as it came, in upper case.",
        )
        .with(pair(side, signed, given)),
        Deviation::Content(fault) => content(fault),
        Deviation::Algorithm { expected, found, keyed: true } => Cause::new(
            format!("The hash function is {found}, not {expected}."),
            format!("Make an HMAC with {expected}."),
        ),
        Deviation::Algorithm { expected, found, keyed: false } => Cause::new(
            format!("It is a plain {found} digest, without the secret."),
            format!("Make an HMAC with {expected}, keyed with the signing secret."),
        ),
    }
}

fn pair(side: Side, signed: &str, given: &str) -> Vec<(&'static str, String)> {
    let [one, other] = side.labels();
    vec![(one, visible(signed, VALUE_CHARS)), (other, visible(given, VALUE_CHARS))]
}

fn form(fault: &FormFault) -> Cause {
    match fault {
        FormFault::Frame { expected } => Cause::new(
            "The header isn’t written as we write it.",
            "Compare the whole value: what stands before the signature, quotes and spaces count.",
        )
        .with(vec![("Expected", expected.clone())]),
        FormFault::Encoding { found, expected } => Cause::new(
            format!("The signature is written in {}, not in {}.", found.words(), expected.words()),
            format!("Write the digest’s bytes in {}.", expected.words()),
        ),
    }
}

fn whose(owner: &Owner, Context { now, pasted, .. }: Context) -> Cause {
    match (&owner.webhook, owner.until) {
        (Some(name), Some(end)) if owner.chosen && now < end => Cause::new(
            format!("It was made with the previous secret of {name}."),
            format!(
                "That one works until {}, for another {}. Change to the new one before.",
                exact(end),
                distance(end, now)
            ),
        ),
        (Some(name), Some(end)) if owner.chosen => Cause::new(
            format!("It was made with a secret of {name} that was replaced."),
            format!("It stopped working at {}. Use the new one.", exact(end)),
        ),
        (Some(name), _) if pasted => Cause::new(
            format!("It was made with the secret of {name}, and not with the one that you pasted."),
            "Put the secret of the webhook that the request came from into your code.",
        ),
        (Some(name), until) => Cause::new(
            match until {
                None => format!("It was made with the secret of another webhook: {name}."),
                Some(_) => {
                    format!("It was made with a previous secret of another webhook: {name}.")
                }
            },
            "Each webhook has a secret of its own. Verify with the one of the webhook that the request came from, or check which address each of them has.",
        ),
        (None, _) => Cause::new("It was made with the secret that you pasted.", ""),
    }
}

fn secret(fault: SecretFault) -> Cause {
    let (title, advice) = match fault {
        SecretFault::NoPrefix => (
            "The secret was given without what it starts with.".to_owned(),
            "Copy the whole secret.",
        ),
        SecretFault::Surrounded => (
            "Spaces or quotes stand around the secret.".to_owned(),
            "Take them away where the secret is configured, or trim it when it is read.",
        ),
        SecretFault::Text => (
            "The secret’s text was used as the key.".to_owned(),
            "The key is the bytes behind it: take off what it starts with, and decode the rest.",
        ),
        SecretFault::TextWithoutPrefix => (
            "The secret’s text without its prefix was used as the key.".to_owned(),
            "The key is the bytes behind that text: decode it.",
        ),
        SecretFault::Decoded => (
            "The secret was decoded before it was used as the key.".to_owned(),
            "The key is the text itself, as it stands.",
        ),
        SecretFault::DecodedWithPrefix => (
            "The secret was decoded together with what it starts with.".to_owned(),
            "Take the prefix off first. Some decoders take it for data without a word.",
        ),
        SecretFault::Ending(ending) => (
            match ending {
                " " => "A space stands behind the secret.".to_owned(),
                _ => "A line break stands behind the secret.".to_owned(),
            },
            "Trim it when it is read: files and `echo` end with a line break.",
        ),
        SecretFault::Quoted => (
            "Quotes around the secret were taken for a part of it.".to_owned(),
            "Take them away where the secret is configured.",
        ),
        SecretFault::Empty => (
            "The key was empty.".to_owned(),
            "The secret didn’t get to your code. Check the name of the setting or variable.",
        ),
        SecretFault::Word(word) => (
            format!("The key was the word “{word}”."),
            "The secret didn’t get to your code. Check the name of the setting or variable.",
        ),
    };
    Cause::new(title, advice)
}

fn body(fault: &BodyFault) -> Cause {
    match fault {
        BodyFault::LineEnds => Cause::new(
            "Line ends in the body are LF on one side and CRLF on the other.",
            "Forms in browsers change them, so this was overlooked here. In your code each byte counts.",
        ),
        BodyFault::Ends => Cause::new(
            "White space at the beginning or the end of the body differs.",
            "Verify over the bytes as they came: don’t trim them, and don’t add a line break.",
        ),
        BodyFault::Reprinted(ways) => Cause::new(
            format!("The body was parsed and printed again, as {} does.", ways_of(ways)),
            format!("Verify over the raw bytes, before parsing. {}", raw_body(ways)),
        ),
        BodyFault::SameJson => Cause::new(
            "The body was parsed and printed again: it is the same JSON, written differently.",
            format!("Verify over the raw bytes, before parsing. {}", raw_body(&[])),
        ),
        BodyFault::NotCanonical(ways) if ways.is_empty() => Cause::new(
            "The body isn’t in canonical form.",
            "What is signed has its keys sorted at every depth, no white space, nothing escaped that needn’t be, and numbers as they were sent. The body comes in that form: verify over the bytes as they came.",
        ),
        BodyFault::NotCanonical(ways) => Cause::new(
            format!("The body isn’t in canonical form, but printed as {} does.", ways_of(ways)),
            format!(
                "What is signed has its keys sorted at every depth, no white space, nothing escaped that needn’t be, and numbers as they were sent. The body comes in that form: verify over the bytes as they came. {}",
                raw_body(ways)
            ),
        ),
        BodyFault::Charset => Cause::new(
            "The body is UTF-8, but was read in another character set.",
            "Take the bytes as they came, or read them as UTF-8.",
        ),
        BodyFault::Wrapped => Cause::new(
            "The body stands within something else: a JSON string, base64, or behind a byte order mark.",
            "Unwrap it first. Some gateways hand bodies on in base64 and say so in a field beside it.",
        ),
        BodyFault::Empty => Cause::new(
            "The body is empty.",
            "Something read it before your code did: a body can be read once. Keep its bytes before parsing.",
        ),
        BodyFault::Other => Cause::new(
            "The body was changed.",
            "Something between us and your code changed it, or it belongs to another event.",
        ),
    }
}

/// At most three names.
fn ways_of(ways: &[Print]) -> String {
    let names: Vec<&str> = ways.iter().take(3).map(|way| way.title).collect();
    names.join(", or ")
}

/// How the bytes are had that came.
fn raw_body(ways: &[Print]) -> String {
    let of = |family: Family| match family {
        Family::JavaScript => Some(
            "In Express: express.raw({ type: \"*/*\" }) for this route, and req.body is the bytes. In Next.js: await request.text().",
        ),
        Family::Python => Some(
            "In Flask: request.get_data(). In Django: request.body. In FastAPI: await request.body().",
        ),
        Family::Php => {
            Some("In PHP: file_get_contents(\"php://input\"). In Laravel: $request->getContent().")
        }
        Family::Go => Some("In Go: io.ReadAll(r.Body), and json.Unmarshal afterwards."),
        Family::Ruby => Some("In Rails: request.raw_post. In Rack: request.body.read."),
        Family::DotNet => {
            Some("In ASP.NET Core: read Request.Body with a StreamReader before anything binds it.")
        }
        Family::Any => None,
    };
    let mut advice: Vec<&str> = ways.iter().filter_map(|way| of(way.family)).collect();
    advice.dedup();
    match advice.first() {
        Some(first) => (*first).to_owned(),
        None => "Most frameworks give them under a name such as raw body.".to_owned(),
    }
}

pub(super) fn place_words(place: &Place) -> String {
    match place {
        Place::Header(name) => format!("The header {name}"),
        Place::Field(expression) => {
            let name = expression.split('|').next().unwrap_or(expression);
            format!("The {name} in the signature header")
        }
    }
}

fn value(place: &Place, (signed, given): (&Option<String>, &Option<String>), side: Side) -> Cause {
    let what = place_words(place);
    let [one, other] = side.labels();
    let missing = || "missing".to_owned();
    let title = match given {
        Some(_) => format!("{what} is another one than the one that was signed."),
        None => format!("{what} is missing, and it is signed."),
    };
    Cause::new(title, "Take it from the request as it came, and change nothing in it.").with(vec![
        (one, signed.clone().unwrap_or_else(missing)),
        (other, given.clone().unwrap_or_else(missing)),
    ])
}

fn url(differs: &[UrlPart], (signed, given): (&str, &Option<String>), side: Side) -> Cause {
    let words = |part: &UrlPart| match part {
        UrlPart::Scheme => "http or https",
        UrlPart::Host => "host",
        UrlPart::Port => "port",
        UrlPart::TrailingSlash => "slash at the end of the path",
        UrlPart::Path => "path",
        UrlPart::Query => "query",
    };
    let parts: Vec<&str> = differs.iter().map(words).collect();
    let title = match parts.is_empty() {
        true => "The URL is another one than the one that was signed.".to_owned(),
        false => format!("The URL differs from the signed one: {}.", parts.join(", ")),
    };
    let behind_proxy = [UrlPart::Scheme, UrlPart::Host, UrlPart::Port];
    let advice = match differs.iter().any(|part| behind_proxy.contains(part)) {
        true => {
            "Behind a proxy your code sees the proxy’s address for it, not the one that was called. Sign the URL that is registered for the webhook."
        }
        false => "Sign the URL exactly as it is registered for the webhook.",
    };
    let given = given.as_deref().unwrap_or("missing");
    Cause::new(title, advice).with(pair(side, signed, given))
}

fn content(fault: &ContentFault) -> Cause {
    let title = match fault {
        ContentFault::BodyOnly => {
            "Only the body is signed, without what stands before it.".to_owned()
        }
        ContentFault::NoLiterals => "What stands between the parts is missing.".to_owned(),
        ContentFault::Without(part) => {
            format!("A part is missing in what is signed: {}.", part_name(part))
        }
        ContentFault::QueryAsSent => "The query is signed as it was sent, not sorted.".to_owned(),
        ContentFault::QueryInUrl => "The URL is signed with its query.".to_owned(),
    };
    Cause::new(title, "Put together exactly the parts below, in their order.")
}

/// A part of signed content, for a table.
pub(super) fn part(kind: &PartKind) -> String {
    let name = part_name(kind);
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn part_name(kind: &PartKind) -> String {
    match kind {
        PartKind::Literal => "literally".to_owned(),
        PartKind::Body => "body, byte for byte".to_owned(),
        PartKind::CanonicalBody => "body, in canonical form as it is sent".to_owned(),
        PartKind::Method => "method".to_owned(),
        PartKind::Url => "URL without its query".to_owned(),
        PartKind::FullUrl => "URL with its query".to_owned(),
        PartKind::Host => "host".to_owned(),
        PartKind::Path => "path".to_owned(),
        PartKind::Secret => format!("{MASK} itself"),
        PartKind::Query => "query, as it is sent".to_owned(),
        PartKind::SortedQuery => "query: decoded, sorted by name".to_owned(),
        PartKind::Value(Place::Header(name)) => format!("header {name}"),
        PartKind::Value(Place::Field(expression)) => {
            let name = expression.split('|').next().unwrap_or(expression);
            format!("{name} from the signature header")
        }
    }
}
