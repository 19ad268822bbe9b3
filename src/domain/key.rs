//! API keys and what they open.

use std::sync::Arc;

use super::{ApplicationId, KeyId, Timestamp};

/// What a credential may reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything, in every environment.
    Admin,
    /// Everything in one environment.
    Environment(Arc<str>),
    /// One application of one environment.
    Application { environment: Arc<str>, application: ApplicationId },
}

/// An API key as it is stored: what it opens, and the SHA-256 of its text, never the text.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    pub scope: Scope,
    pub hash: [u8; 32],
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}
