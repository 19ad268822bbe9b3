//! The events there are, in their groups, as pages show them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Pages;
use super::place::Place;
use crate::api::path_step;
use crate::domain::{Error, ErrorCode, Result};

/// Event types read from the API at a time.
const AT_ONCE: u32 = 250;

/// An event type of the catalog.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventType {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) archived: bool,
    pub(super) group_name: Option<String>,
    pub(super) title: Option<String>,
    pub(super) schemas: Option<std::collections::BTreeMap<String, Box<RawValue>>>,
}

impl EventType {
    /// What people call it.
    pub(super) fn label(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }
}

/// The event types of a group; those without one come last, in a group without a name.
pub(super) struct Group {
    /// What subscriptions name it by; empty for those without one.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) events: Vec<EventType>,
}

/// The catalog of a place's environment, without what is archived.
///
/// # Errors
/// Those of the API.
pub(super) async fn read(pages: &Pages, place: &Place) -> Result<Vec<Group>> {
    let contract = &place.environment.contract;
    let mut groups: Vec<Group> = contract
        .groups()
        .iter()
        .map(|group| Group {
            name: group.name.clone(),
            title: group.title.clone(),
            description: group.description.clone(),
            events: Vec::new(),
        })
        .collect();
    for event_type in types(pages, place).await? {
        let name = event_type.group_name.clone().unwrap_or_default();
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.events.push(event_type),
            None => groups.push(Group {
                title: name.clone(),
                description: String::new(),
                events: vec![event_type],
                name,
            }),
        }
    }
    groups.retain(|group| !group.events.is_empty());
    // False comes first.
    groups.sort_by_key(|group| group.name.is_empty());
    Ok(groups)
}

async fn types(pages: &Pages, place: &Place) -> Result<Vec<EventType>> {
    #[derive(Deserialize)]
    struct Types {
        data: Vec<EventType>,
        iterator: Option<String>,
        done: bool,
    }
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/event-type?limit={AT_ONCE}&with_content=true{after}");
        let method = axum::http::Method::GET;
        let text = pages.local.call(&place.caller(), method, &path, String::new()).await?;
        let page: Types =
            serde_json::from_str(&text).map_err(|error| Error::internal(error.to_string()))?;
        all.extend(page.data.into_iter().filter(|one| !one.archived));
        match page.iterator {
            Some(last) if !page.done => {
                after = format!("&iterator={}", path_step(&last));
            }
            _ => return Ok(all),
        }
    }
}

/// The body that a receiver gets for an event's example, or `None` where the catalog has none.
///
/// # Errors
/// Those of the API.
pub(super) async fn example(pages: &Pages, place: &Place, event: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Example {
        body: Box<RawValue>,
    }
    if event.is_empty() {
        return Ok(None);
    }
    let (event, application) = (path_step(event), place.application.id);
    let path = format!("/api/v1/event-type/{event}/example?app_id={application}");
    let method = axum::http::Method::GET;
    match pages.local.call(&place.caller(), method, &path, String::new()).await {
        Ok(text) => {
            let example: Example =
                serde_json::from_str(&text).map_err(|error| Error::internal(error.to_string()))?;
            Ok(Some(super::words::pretty(example.body.get())))
        }
        Err(error) if error.code == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
