//! Event types: entries of a catalog.

use super::Timestamp;

/// An event type: from the contract's catalog, or added by the company.
#[derive(Clone, Debug, PartialEq)]
pub struct EventType {
    pub name: String,
    pub group: Option<String>,
    pub title: Option<String>,
    pub description: String,
    /// The JSON Schema of the payload, as raw JSON.
    pub schema: Option<String>,
    /// An example payload, as raw JSON.
    pub example: Option<String>,
    /// Archived types can't be subscribed to or published any more.
    pub archived: bool,
    /// Where it came from: the contract's catalog can't be edited, own types can.
    pub from_contract: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
