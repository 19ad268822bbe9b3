//! The filters that only routes have, beside those of deliveries.

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::probe::Probe;

/// Begins what request templates say about values. Customers' own texts can't begin with it.
pub(super) const MARK: char = '\u{1}';

/// What a request template writes for a name that the customer didn't send: the member that
/// has it as its value is left out.
pub(super) const OMITTED: &str = "\u{1}omitted\u{1}";

/// Begins a value that can't be accepted; what follows says why.
pub(super) const REFUSED: &str = "\u{1}refused:";

/// The filters that only routes have, with what they make.
pub const ROUTE_FILTERS: [(&str, &str); 6] = [
    (
        "choose",
        "Another value for each known word; others are refused: `body.status|choose({\"on\": false, \"off\": true})`.",
    ),
    ("first", "The first item of a list; nothing where there is none."),
    ("items", "The names and values of an object, to loop over."),
    ("last", "The last item of a list; nothing where there is none."),
    ("length", "How many items a list has."),
    ("negated", "False for true and true for false; what was left out stays left out."),
];

/// The names of all filters of routes, for "did you mean".
pub(super) fn names() -> Vec<&'static str> {
    let own = ROUTE_FILTERS.into_iter().map(|(name, _)| name);
    let mut names: Vec<&str> = own.chain(crate::contract::filters::NAMES).collect();
    names.sort_unstable();
    names
}

pub(super) fn register(engine: &mut Environment<'static>) {
    engine.add_filter("choose", choose);
    engine.add_filter("negated", negated);
    engine.add_filter("first", |list: &Value| end(list, false));
    engine.add_filter("items", minijinja::filters::items);
    engine.add_filter("last", |list: &Value| end(list, true));
    engine.add_filter("length", minijinja::filters::length);
}

/// The first or the last item of a list; nothing where there is none.
fn end(list: &Value, last: bool) -> Result<Value, Error> {
    if list.is_none() || list.is_undefined() {
        return Ok(Value::from(()));
    }
    let mut items = list.try_iter()?;
    let item = if last { items.last() } else { items.next() };
    Ok(item.unwrap_or_else(|| Value::from(())))
}

fn stands_for_itself(value: &Value) -> bool {
    value.is_undefined() || value.downcast_object_ref::<Probe>().is_some()
}

/// Translates a word: `body.status|choose({"enabled": false, "disabled": true})`. What is
/// not among the words is refused; what was left out stays left out.
fn choose(value: &Value, words: &Value, rest: Rest<Value>) -> Result<Value, Error> {
    if !rest.is_empty() {
        return Err(Error::new(ErrorKind::TooManyArguments, "choose takes one map of words"));
    }
    if stands_for_itself(value) {
        return Ok(value.clone());
    }
    let chosen = words.get_item(value)?;
    if !chosen.is_undefined() {
        return Ok(chosen);
    }
    let known: Vec<String> = words.try_iter()?.map(|word| word.to_string()).collect();
    Ok(Value::from(format!("{REFUSED}Must be one of {}", known.join(", "))))
}

/// The opposite of true or false; anything else stays what it is, to be refused.
fn negated(value: &Value) -> Value {
    match bool::try_from(value.clone()) {
        Ok(flag) if !stands_for_itself(value) => Value::from(!flag),
        _ => value.clone(),
    }
}
