//! The `[[groups]]` and `[[events]]` of a contract.

use toml::Spanned;

use super::catalog::{Catalog, EventSpec, GroupSpec};
use super::file::{Key, RawEvent, RawGroup};
use super::load::{check_json, or};
use super::problem::{Problems, did_you_mean};
use super::schema::Schema;

/// The most event types that a contract can list.
pub const MAX_EVENTS: usize = 2_000;
/// The longest name of an event type, in characters.
pub const EVENT_NAME_CHARS: usize = 256;

pub(super) fn catalog(
    groups: &[Spanned<RawGroup>],
    events: &[Spanned<RawEvent>],
    problems: &mut Problems<'_>,
) -> Catalog {
    if let Some(beyond) = events.get(MAX_EVENTS) {
        let message = format!("there can be at most {MAX_EVENTS} events");
        problems.at(beyond.span().start, message, None);
    }
    let mut known_groups: Vec<GroupSpec> = Vec::with_capacity(groups.len());
    for section in groups {
        let raw = section.get_ref();
        let Some(name) = named(&raw.name, "group", section.span().start, problems) else {
            continue;
        };
        if known_groups.iter().any(|group| group.name == *name.get_ref()) {
            twice("group", name, problems);
        }
        known_groups.push(GroupSpec {
            name: name.get_ref().clone(),
            title: or(&raw.title, name.get_ref().clone()),
            description: or(&raw.description, String::new()),
        });
    }
    let mut known_events: Vec<EventSpec> = Vec::with_capacity(events.len());
    for section in events {
        if let Some(event) = event(section, &known_groups, problems) {
            let name = section.get_ref().name.as_ref();
            if known_events.iter().any(|known| known.name == event.name)
                && let Some(name) = name
            {
                twice("event", name, problems);
            }
            known_events.push(event);
        }
    }
    Catalog::new(known_groups, known_events)
}

fn event(
    section: &Spanned<RawEvent>,
    groups: &[GroupSpec],
    problems: &mut Problems<'_>,
) -> Option<EventSpec> {
    let raw = section.get_ref();
    let schema = schema(raw, problems);
    let example = check_json(&raw.example, "example", problems);
    if let (Some(schema), Some(example)) = (&schema, &example) {
        check_example(schema, example, raw, problems);
    }
    if let Some(group) = &raw.group
        && !groups.iter().any(|known| known.name == *group.get_ref())
    {
        let names = groups.iter().map(|group| group.name.as_str());
        let hint = did_you_mean(group.get_ref(), names)
            .unwrap_or_else(|| "every group has an entry in [[groups]]".to_owned());
        let message = format!("there is no group `{}`", group.get_ref());
        problems.at(group.span().start, message, Some(hint));
    }
    let name = named(&raw.name, "event", section.span().start, problems)?;
    let text = name.get_ref();
    let visible = |c: char| !c.is_whitespace() && !c.is_control();
    if text == "*" || text.chars().count() > EVENT_NAME_CHARS || !text.chars().all(visible) {
        problems.at(
            name.span().start,
            format!("`{}` can't be an event's name", text.escape_debug()),
            Some(format!("up to {EVENT_NAME_CHARS} characters without spaces")),
        );
    }
    Some(EventSpec {
        name: text.clone(),
        group: raw.group.as_ref().map(|group| group.get_ref().clone()),
        title: or(&raw.title, text.clone()),
        description: or(&raw.description, String::new()),
        schema,
        example,
    })
}

fn schema(raw: &RawEvent, problems: &mut Problems<'_>) -> Option<Schema> {
    let text = check_json(&raw.schema, "schema", problems)?;
    let compiled = Schema::compile(text);
    if let (Err(reason), Some(key)) = (&compiled, &raw.schema) {
        let hint = Some("a JSON Schema; references to other documents are not followed".to_owned());
        problems.at(key.span().start, format!("the schema can't be used: {reason}"), hint);
    }
    compiled.ok()
}

/// An example that breaks its own schema would be refused when somebody publishes it.
fn check_example(schema: &Schema, example: &str, raw: &RawEvent, problems: &mut Problems<'_>) {
    let (Err(errors), Some(key)) = (schema.check(example), &raw.example) else { return };
    for error in errors {
        let place = match error.location.is_empty() {
            true => String::new(),
            false => format!(" at `{}`", error.location.join(".")),
        };
        let message = format!("the example breaks its schema{place}: {}", error.message);
        problems.at(key.span().start, message, None);
    }
}

fn named<'a>(
    name: &'a Key<String>,
    what: &str,
    place: usize,
    problems: &mut Problems<'_>,
) -> Option<&'a Spanned<String>> {
    let given = name.as_ref().filter(|name| !name.get_ref().is_empty());
    if given.is_none() {
        problems.at(place, format!("the {what} has no `name`"), None);
    }
    given
}

fn twice(what: &str, name: &Spanned<String>, problems: &mut Problems<'_>) {
    problems.at(
        name.span().start,
        format!("the {what} `{}` is listed twice", name.get_ref()),
        None,
    );
}
