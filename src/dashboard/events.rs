//! The catalog: which events there are, what they look like, and how to verify them.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::Value;

use super::catalog::{self, Group};
use super::error::PageResult;
use super::place::Place;
use super::shell::{Section, Shell};
use super::{Pages, html};
use crate::contract::{Contract, Language};
use crate::domain::{Error, Method, Transport};

/// Fields of a schema on the page, those within others counted.
const FIELDS_SHOWN: usize = 200;

pub(super) fn router() -> Router<Pages> {
    const AT: &str = "/env/{environment}/app/{application}/events";
    Router::new().route(AT, get(list)).route(&format!("{AT}/{{event}}"), get(show))
}

/// A program that verifies a signature.
struct Verifier {
    language: &'static str,
    program: String,
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    shell: Shell,
    groups: Vec<Group>,
    headers: Vec<String>,
    verifiers: Vec<Verifier>,
    addresses: Vec<String>,
}

async fn list(State(pages): State<Pages>, place: Place) -> PageResult {
    let contract = &place.environment.contract;
    html(&EventsPage {
        shell: Shell::of(&pages, &place, Section::Events, None).await?,
        groups: catalog::read(&pages, &place).await?,
        headers: contract.signature_headers().map(ToString::to_string).collect(),
        verifiers: verifiers(contract),
        addresses: pages.settings.outbound_addresses.clone(),
    })
}

/// Programs that verify this contract's signatures, with an example that they pass.
fn verifiers(contract: &Contract) -> Vec<Verifier> {
    let Ok(mut sample) = contract.sample(None) else { return Vec::new() };
    sample.transport = Transport::Webhook;
    if contract.endpoint().http_methods.contains(&Method::Post) {
        sample.method = Method::Post;
    }
    let (Ok(request), Some(secret)) = (contract.example(&sample), &sample.secret) else {
        return Vec::new();
    };
    let all = Language::ALL.into_iter().filter_map(|language| {
        let program = contract.verifier(language, &request, secret)?;
        Some(Verifier { language: language.title(), program })
    });
    all.collect()
}

/// A field of a schema.
struct Field {
    name: String,
    kind: String,
    required: bool,
    description: String,
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    shell: Shell,
    name: String,
    label: String,
    group: String,
    description: String,
    fields: Vec<Field>,
    schema: Option<String>,
    example: Option<String>,
}

async fn show(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, event)): Path<(String, String, String)>,
) -> PageResult {
    let groups = catalog::read(&pages, &place).await?;
    let found = groups.iter().find_map(|group| {
        group.events.iter().find(|one| one.name == event).map(|one| (group, one))
    });
    let (group, event) = found.ok_or_else(Error::not_found)?;
    let schema = event.schemas.as_ref().and_then(|schemas| schemas.values().next());
    let mut fields = Vec::new();
    if let Some(Ok(schema)) = schema.map(|schema| serde_json::from_str(schema.get())) {
        add_fields(&mut fields, "", &schema);
    }
    html(&EventPage {
        shell: Shell::of(&pages, &place, Section::Events, None).await?,
        name: event.name.clone(),
        label: event.label().to_owned(),
        group: group.title.clone(),
        description: event.description.clone(),
        fields,
        schema: schema.map(|schema| super::words::pretty(schema.get())),
        example: catalog::example(&pages, &place, &event.name).await?,
    })
}

/// Adds the fields of an object's schema; those of objects within it with the path to them.
fn add_fields(fields: &mut Vec<Field>, path: &str, schema: &Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, property) in properties {
        if fields.len() == FIELDS_SHOWN {
            return;
        }
        let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        fields.push(Field {
            name: full.clone(),
            kind: kind(property),
            required: required.iter().any(|one| one == name),
            description: property["description"].as_str().unwrap_or_default().to_owned(),
        });
        add_fields(fields, &full, property);
    }
}

/// What a value may be: `string`, `integer or null`, `"a" or "b"`.
fn kind(property: &Value) -> String {
    let words = |list: &[Value]| {
        let words = list.iter().map(|one| one.as_str().map_or(one.to_string(), str::to_owned));
        words.collect::<Vec<_>>().join(" or ")
    };
    if let Some(values) = property["enum"].as_array() {
        return words(values);
    }
    match &property["type"] {
        Value::String(kind) => match property["format"].as_str() {
            Some(format) => format!("{kind} ({format})"),
            None => kind.clone(),
        },
        Value::Array(kinds) => words(kinds),
        _ => "any".to_owned(),
    }
}
