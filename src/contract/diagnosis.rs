//! Why a receiver refuses a signature: a request as somebody pasted it is tried with the
//! secrets that may have signed it and with the mistakes that are usually made, until one of
//! them gives the very signature that it carries.
//!
//! What was found is certain, because no other content gives that signature. Nothing that is
//! returned holds a secret, or a signature that wasn't given.

mod difference;
mod given;
mod judge;
mod keys;
mod look;
mod parts;
mod pasted;
mod prints;
mod search;
mod spellings;
mod variants;

#[cfg(test)]
mod tests;

pub use difference::Difference;
pub use given::FormFault;
pub use judge::{BodyFault, Deviation, UrlPart};
pub use keys::{Candidate, MAX_CANDIDATES, Owner, SecretFault};
pub use parts::{MASK, PartKind, Place, SignedPart};
pub use pasted::{HEADER_LINES, RequestText, Unread};
pub use prints::{Family, Print};
pub use search::WORK_BYTES;
pub use spellings::spellings;
pub use variants::ContentFault;

use std::time::Duration;

use self::look::Look;
use self::search::{Budget, MOST_DEVIATIONS};
use self::variants::BODIES_BYTES;
use super::websocket;
use super::{Algorithm, Contract, RenderInput, WireRequest};
use crate::domain::{Failure, Timestamp, Transport};

/// How far from now a signed time may be, before receivers should refuse it.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Names that a body may give an event's id.
const ID_MEMBERS: [&str; 4] = ["id", "event_id", "eventId", "message_id"];

/// What is to be looked into.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub pasted: RequestText,
    /// The signature that the receiver's own code came to; empty where it isn't known.
    pub computed: String,
    /// Secrets that may have signed.
    pub candidates: Vec<Candidate>,
    /// The method and URL of the webhook; both empty where it isn't known.
    pub registered: RequestText,
    /// The event as it was sent, once for each attempt, the last one first.
    pub sent: Vec<RequestText>,
    /// Other events that the webhook got, where it isn't known which one it is.
    pub recent: Vec<RequestText>,
    pub now: Timestamp,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub verdict: Verdict,
    /// The header that the verdict is about, and how it is written.
    pub header: String,
    pub form: String,
    /// What is signed of the request, as it was pasted or as it was found out to have been.
    pub signed: Vec<SignedPart>,
    /// The content that was signed, and the one that the pasted request gives, where they differ.
    pub difference: Option<Difference>,
    pub computed: Computed,
    pub notes: Vec<Note>,
    pub tried: Tried,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The contract signs nothing.
    NotSigned,
    /// Receivers can't put together what is signed; why.
    NotRebuildable(String),
    /// The signature is good; what somebody should know all the same.
    Valid { owner: Owner, remarks: Vec<Deviation> },
    /// The signature is good but for these.
    Explained(Vec<Deviation>),
    /// Nothing gives this signature; what was seen meanwhile.
    Unexplained(Vec<Finding>),
}

/// What may be behind a signature that nothing explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is no such header; others that look like one.
    MissingHeader { alike: Vec<String> },
    /// The header has no signature in the contract's form.
    Malformed,
    /// Signatures have another length, in bytes.
    Length { found: usize, expected: usize },
    /// The header has signatures of the other kind of secret only.
    OtherKind,
    /// Something that is signed isn't there.
    MissingValue(Place),
    /// The URL, which is signed, can't be read.
    NoUrl,
    /// The body should be JSON, and is none from this byte on.
    NotJson { offset: usize },
    /// The pasted secret isn't in the contract's form; the sentence says how.
    SecretForm(String),
    /// There is no secret of the right kind to try.
    NoSecret,
    /// The request differs from what was sent.
    Differs(Vec<Deviation>),
    /// Everything that is signed is as it was sent.
    AsSent,
}

/// What is known of the signature that the receiver's own code came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Computed {
    /// None was given.
    None,
    /// It is what it should be.
    Right,
    /// It comes out where these are done otherwise; where what is signed parts.
    Explained(Vec<Deviation>, Option<Difference>),
    Unexplained,
}

/// What else there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The request says that it was made then, which is longer ago than [`TOLERANCE`], or that
    /// far ahead.
    Old(Timestamp),
    Ahead(Timestamp),
    /// No URL was given, so the webhook's was taken.
    UrlTaken(String),
    MethodTaken(String),
}

/// How much was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Signatures that were made or verified.
    pub signatures: usize,
    pub secrets: usize,
    pub bodies: usize,
    pub attempts: usize,
    /// Whether the limit of work ended it.
    pub cut: bool,
}

/// What receivers of a contract have to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// The headers with signatures, and how they are written.
    pub headers: Vec<(String, String)>,
    pub method: bool,
    pub url: bool,
}

impl Contract {
    /// What a receiver verifies; `None` where nothing is signed.
    ///
    /// # Errors
    /// Why no receiver can.
    pub fn signs(&self) -> Option<Result<Signs, String>> {
        if self.signatures.is_empty() {
            return None;
        }
        Some(self.checks().map(|checks| Signs {
            headers: checks.iter().map(|one| (one.spelling.clone(), one.form())).collect(),
            method: checks.iter().any(|one| one.signs_method()),
            url: checks.iter().any(|one| one.signs_url()),
        }))
    }

    /// Finds out whether a request's signature is good, and what is wrong where it isn't. Takes
    /// about as long as hashing [`WORK_BYTES`].
    pub fn diagnose(&self, case: &Case) -> Diagnosis {
        let nothing = |verdict| Diagnosis {
            verdict,
            header: String::new(),
            form: String::new(),
            signed: Vec::new(),
            difference: None,
            computed: Computed::None,
            notes: Vec::new(),
            tried: Tried::default(),
        };
        if self.signatures.is_empty() {
            return nothing(Verdict::NotSigned);
        }
        let checks = match self.checks() {
            Ok(checks) => checks,
            Err(why) => return nothing(Verdict::NotRebuildable(why)),
        };
        let share = BODIES_BYTES / checks.len().max(1);
        let looks: Vec<Look<'_>> =
            checks.into_iter().map(|check| Look::new(self, check, (case, share))).collect();
        let mut budget = Budget::new();
        for deviations in 0..=MOST_DEVIATIONS {
            for look in &looks {
                if let Some(hit) = look.search(deviations, &mut budget) {
                    return look.explained(case, &hit, budget);
                }
            }
        }
        let best = looks.iter().max_by_key(|look| look.aptness());
        match best {
            Some(look) => look.unexplained(self, case, budget),
            None => nothing(Verdict::NotSigned),
        }
    }

    /// Texts of a request that may be its event's id, as the native API writes them.
    pub fn event_ids(&self, request: &RequestText) -> Vec<String> {
        let names = self.delivery.headers.iter().filter(|(_, template)| {
            ["message.id", "event.id", "{{ id }}"].iter().any(|id| template.source().contains(id))
        });
        let in_headers = names.filter_map(|(name, _)| request.header(name.as_str()));
        let in_body = ID_MEMBERS.iter().filter_map(|name| {
            let member = super::json::member(&request.body, name).ok()??;
            super::json::content(member).ok()
        });
        let texts = in_headers.map(str::to_owned).chain(in_body).filter(|text| !text.is_empty());
        let native = |text: String| self.routes.ids().message(&text).unwrap_or(text);
        texts.map(native).collect()
    }

    /// A delivery as its receiver gets it, over either transport, and the headers in it that
    /// are credentials.
    ///
    /// # Errors
    /// As for [`Contract::render`].
    pub fn sent(&self, input: &RenderInput<'_>) -> Result<(RequestText, Vec<String>), Failure> {
        match input.endpoint.transport {
            Transport::Webhook => Ok(text_of(&self.render(input)?)),
            Transport::Websocket => {
                let message = self.render_message(input)?;
                let mut request = RequestText {
                    method: websocket::METHOD.to_owned(),
                    url: message.url.to_string(),
                    headers: Vec::new(),
                    body: message.frame,
                };
                request.unframe();
                // What is sensitive was lost in the frame; its headers are the contract's own.
                let tokens = self.signatures.iter().filter(|one| one.algorithm == Algorithm::Token);
                let headers = tokens.filter_map(|token| token.header.as_ref());
                Ok((request, headers.map(|name| name.as_str().to_owned()).collect()))
            }
        }
    }

    /// Whether the secret itself is what some signature header carries.
    pub fn sends_secret(&self) -> bool {
        self.signatures.iter().any(|one| one.algorithm == Algorithm::Token)
    }
}

fn text_of(request: &WireRequest) -> (RequestText, Vec<String>) {
    let mut credentials = Vec::new();
    let mut headers = Vec::new();
    for (name, value) in &request.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if value.is_sensitive() {
            credentials.push(name.as_str().to_owned());
        }
        headers.push((name.as_str().to_owned(), text));
    }
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let (method, url) = (request.method.to_string(), request.url.to_string());
    (RequestText { method, url, headers, body }, credentials)
}
