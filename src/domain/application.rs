//! Applications: the tenants.

use std::sync::Arc;

use super::{ApplicationId, Metadata, Timestamp};

/// One tenant of one environment: a brand, a team, an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    pub id: ApplicationId,
    /// The environment's name: the outermost wall.
    pub environment: Arc<str>,
    /// The company's own id for it, unique within the environment.
    pub uid: Option<String>,
    pub name: String,
    pub metadata: Metadata,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Application {
    /// The id that customers know it by: the company's own where there is one.
    pub fn public_id(&self) -> String {
        self.uid.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// How a request names an object: by our id or by the company's own.
///
/// A text that has the form of an id may still be somebody's uid, so both are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference(pub String);

impl Reference {
    pub fn new(text: impl Into<String>) -> Reference {
        Reference(text.into())
    }
}
