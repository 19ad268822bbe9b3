//! The catalog: the event types that a contract documents, in their groups.

use std::collections::HashMap;
use std::sync::Arc;

use super::schema::Schema;

/// A group of event types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    pub name: String,
    /// For people; the name where the contract gives none.
    pub title: String,
    pub description: String,
}

/// An event type of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    pub name: String,
    /// The name of its group.
    pub group: Option<String>,
    /// For people; the name where the contract gives none.
    pub title: String,
    pub description: String,
    /// What a payload has to look like.
    pub schema: Option<Schema>,
    /// An example payload, as raw JSON.
    pub example: Option<Arc<str>>,
}

/// Event types and groups, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) groups: Vec<GroupSpec>,
    pub(super) events: Vec<EventSpec>,
    by_name: HashMap<String, usize>,
}

impl Catalog {
    pub(super) fn new(groups: Vec<GroupSpec>, events: Vec<EventSpec>) -> Catalog {
        let by_name = events.iter().enumerate().map(|(at, event)| (event.name.clone(), at));
        Catalog { by_name: by_name.collect(), groups, events }
    }

    pub(super) fn event(&self, name: &str) -> Option<&EventSpec> {
        self.by_name.get(name).map(|&at| &self.events[at])
    }
}
