//! The catalog of an environment: its contract's event types and groups, and those that the
//! company added.

use std::collections::HashMap;

use super::ApiState;
use super::names::is_name;
use crate::contract::{EventSpec, Schema};
use crate::domain::{EventType, Result, Timestamp};
use crate::environment::Environment;

/// How much of an unknown name an error repeats, in characters.
const SHOWN_CHARS: usize = 64;

/// What publishing needs to know of an event type.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) group: Option<String>,
    pub(super) schema: Option<Schema>,
}

/// A group of event types, with the names of those that aren't archived.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    /// Whether it comes from the contract.
    pub(super) from_contract: bool,
    pub(super) event_types: Vec<String>,
}

/// What the catalog says of an event type; `None` where it may not be published or subscribed
/// to.
///
/// A contract with a catalog takes what is in it and what the company added; one without (the
/// `standard` contract) leaves the names to the company, which need not declare them.
///
/// # Errors
/// Those of the store.
pub(super) async fn entry(
    state: &ApiState,
    environment: &Environment,
    name: &str,
) -> Result<Option<Entry>> {
    let contract = &environment.contract;
    if let Some(spec) = contract.event(name) {
        let (group, schema) = (spec.group.clone(), spec.schema.clone());
        return Ok(Some(Entry { group, schema }));
    }
    let own = state.own_event_types.of(&environment.name, &*state.store).await?;
    Ok(match own.get(name) {
        Some(own) if own.event_type.archived => None,
        Some(own) => {
            Some(Entry { group: own.event_type.group.clone(), schema: own.schema().cloned() })
        }
        None => (contract.events().is_empty() && is_name(name)).then(Entry::default),
    })
}

/// An event type, also an archived one.
///
/// # Errors
/// Those of the store.
pub(super) async fn find(
    state: &ApiState,
    environment: &Environment,
    name: &str,
) -> Result<Option<EventType>> {
    if let Some(spec) = environment.contract.event(name) {
        return Ok(Some(from_spec(spec)));
    }
    let own = state.own_event_types.of(&environment.name, &*state.store).await?;
    Ok(own.get(name).map(|own| own.event_type.clone()))
}

/// Says whether events of this type may be among those that were published, also when it is
/// archived by now.
///
/// # Errors
/// Those of the store.
pub(super) async fn may_exist(
    state: &ApiState,
    environment: &Environment,
    name: &str,
) -> Result<bool> {
    let open = environment.contract.events().is_empty();
    Ok(open || find(state, environment, name).await?.is_some())
}

/// All event types, also archived ones: the contract's in the order of its file, then the
/// company's own by name.
///
/// # Errors
/// Those of the store.
pub(super) async fn all(state: &ApiState, environment: &Environment) -> Result<Vec<EventType>> {
    let contract = &environment.contract;
    let own = state.own_event_types.of(&environment.name, &*state.store).await?;
    // A type that the contract came to have later is the contract's.
    let own = own.values().filter(|own| contract.event(&own.event_type.name).is_none());
    let own = own.map(|own| own.event_type.clone());
    Ok(contract.events().iter().map(from_spec).chain(own).collect())
}

/// All groups: the contract's in the order of its file, then those that only own event types
/// have, by name.
///
/// # Errors
/// Those of the store.
pub(super) async fn groups(state: &ApiState, environment: &Environment) -> Result<Vec<Group>> {
    let of_contract = environment.contract.groups().iter().map(|group| Group {
        name: group.name.clone(),
        title: group.title.clone(),
        description: group.description.clone(),
        from_contract: true,
        event_types: Vec::new(),
    });
    let mut groups: Vec<Group> = of_contract.collect();
    let first_own = groups.len();
    let mut places: HashMap<String, usize> =
        groups.iter().enumerate().map(|(place, group)| (group.name.clone(), place)).collect();
    for event_type in all(state, environment).await?.into_iter().filter(|one| !one.archived) {
        let Some(name) = event_type.group else { continue };
        let place = *places.entry(name.clone()).or_insert_with(|| {
            groups.push(Group {
                title: name.clone(),
                name,
                description: String::new(),
                from_contract: false,
                event_types: Vec::new(),
            });
            groups.len() - 1
        });
        groups[place].event_types.push(event_type.name);
    }
    groups[first_own..].sort_by(|a, b| a.name.cmp(&b.name));
    Ok(groups)
}

/// Whether there is a group of this name.
///
/// # Errors
/// Those of the store.
pub(super) async fn has_group(
    state: &ApiState,
    environment: &Environment,
    name: &str,
) -> Result<bool> {
    if environment.contract.groups().iter().any(|group| group.name == name) {
        return Ok(true);
    }
    let own = state.own_event_types.of(&environment.name, &*state.store).await?;
    let mut live = own.values().map(|own| &own.event_type).filter(|one| !one.archived);
    Ok(live.any(|one| one.group.as_deref() == Some(name)))
}

pub(super) fn from_spec(spec: &EventSpec) -> EventType {
    EventType {
        name: spec.name.clone(),
        group: spec.group.clone(),
        title: Some(spec.title.clone()),
        description: spec.description.clone(),
        schema: spec.schema.as_ref().map(|schema| schema.text().to_owned()),
        example: spec.example.as_deref().map(str::to_owned),
        archived: false,
        from_contract: true,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

/// The sentence about an event type that can't be published or subscribed to.
pub(super) fn no_event_type(name: &str) -> String {
    format!("`{}` is not in the catalog of event types", shown(name))
}

/// A name out of a request, no longer than an answer has room for.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).collect()
}
