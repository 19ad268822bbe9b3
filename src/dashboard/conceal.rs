//! What pages show of requests without the signing secrets, which some contracts send as they
//! are.

use zeroize::Zeroizing;

use crate::contract::diagnosis::{RequestText, spellings};
use crate::domain::Endpoint;

/// What stands in the place of a credential.
pub(super) const HIDDEN: &str = "••••••••";

/// A shorter text is found in anything, and is no secret.
const CONCEALED_BYTES_MIN: usize = 4;

/// The secrets of a webhook, in every way in which a request may hold them.
pub(super) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    pub(super) fn of(endpoint: &Endpoint) -> Secrets {
        let texts = endpoint.secrets.iter().map(|secret| secret.text.expose());
        let mut all: Vec<_> = texts.flat_map(spellings).collect();
        all.retain(|one| one.len() >= CONCEALED_BYTES_MIN);
        // A longer one may hold a shorter one, and would be found no more.
        all.sort_by_key(|one| std::cmp::Reverse(one.len()));
        Secrets(all)
    }

    /// The text without them.
    pub(super) fn concealed(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| match text.contains(secret.as_str()) {
            true => text.replace(secret.as_str(), HIDDEN),
            false => text,
        })
    }

    fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// Whether a request holds one elsewhere than in these headers.
    pub(super) fn are_sent(&self, request: &RequestText, credentials: &[String]) -> bool {
        let mut others = request.headers.iter().filter(|(name, _)| !credentials.contains(name));
        self.are_in(&request.url)
            || self.are_in(&request.body)
            || others.any(|(_, value)| self.are_in(value))
    }
}
