//! Passes: what lets people into the pages.

use std::sync::Arc;

use super::{ApplicationId, Timestamp};

/// What a pass is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassKind {
    /// Enters a portal, once.
    Link,
    /// Travels in a browser's cookie.
    Session,
    /// Opens the API of one application for as long as its portal.
    Token,
}

/// Who has a pass.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Holder {
    /// Whoever signed in with an API key. It opens what the key opens, for as long as that.
    Operator {
        /// The SHA-256 of the key's text.
        #[serde(with = "hex::serde")]
        key_hash: [u8; 32],
    },
    /// An application's own people.
    Tenant {
        /// The application in each environment that they may look into, by its id: whoever gets
        /// its uid later is somebody else.
        applications: Vec<(Arc<str>, ApplicationId)>,
        /// Whether they may look only.
        read_only: bool,
    },
}

/// A pass as it is stored: the SHA-256 of its text, never the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub hash: [u8; 32],
    pub kind: PassKind,
    pub holder: Holder,
    pub expires_at: Timestamp,
}

impl Pass {
    /// The applications whose portal it opens.
    pub fn applications(&self) -> &[(Arc<str>, ApplicationId)] {
        match &self.holder {
            Holder::Operator { .. } => &[],
            Holder::Tenant { applications, .. } => applications,
        }
    }
}
