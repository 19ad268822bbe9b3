//! The operations that contracts' routes stand for, as calls of the native API.

use std::sync::Arc;

use axum::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::contract_routes::Customers;
use super::local::path_step;
use super::{catalog, endpoint};
use crate::contract::SecretRules;
use crate::contract::routes::{Answers, Call, Operation, Route};
use crate::domain::{Application, Endpoint, Error, FieldError, Reference, Result};
use crate::store::Page;

/// Endpoints read from the store at a time.
const ENDPOINTS_AT_ONCE: u32 = 250;

/// Endpoints of a page where the customer doesn't say, and the most.
const LIST_MAX: usize = 1_000;

/// Performs a route's operation, and returns what its response is made of.
///
/// # Errors
/// Those of the native API.
pub(super) async fn perform(
    customers: &Customers,
    caller: &Caller,
    application: &Arc<Application>,
    route: &Route,
    call: &Call,
) -> Result<Answers> {
    let native =
        Native { customers, caller, application, call, shows_secret: route.shows_secret() };
    match route.operation {
        Operation::EndpointList => native.endpoints().await,
        Operation::EndpointCreate => {
            let made = native.send(Method::POST, &native.app("endpoint")).await?;
            native.endpoint(&made.id()?).await
        }
        Operation::EndpointGet | Operation::EndpointReveal => {
            native.endpoint(native.named()?).await
        }
        Operation::EndpointUpdate => native.changed(Method::PATCH, "").await,
        Operation::EndpointReplace => native.changed(Method::PUT, "").await,
        Operation::EndpointRotate => native.changed(Method::POST, "/secret/rotate").await,
        Operation::EndpointDelete => {
            native.send(Method::DELETE, &native.at_endpoint("")?).await?;
            Ok(Answers::new())
        }
        Operation::EndpointEnable => native.enabled().await,
        Operation::EndpointDiscard => {
            let path = native.at_endpoint("/discard-pending")?;
            Ok(vec![native.send(Method::POST, &path).await?.discarded()?])
        }
        Operation::EndpointHistory => {
            native.page("history", &native.at_endpoint("/history")?, &[]).await
        }
        Operation::EndpointTest => native.tested(&native.at_endpoint("/send-example")?).await,
        Operation::EventTypeTest => native.tested(&native.app("send-example")).await,
        Operation::EventTypeList => native.event_types().await,
        Operation::EventTypeExample => native.example().await,
        Operation::MessageList => native.page("messages", &native.app("msg"), &[]).await,
        Operation::EventList => native.events().await,
        Operation::AttemptList => {
            let path = native.app(&format!("attempt/endpoint/{}", native.named()?));
            native.page("attempts", &path, &[("with_msg", "true")]).await
        }
        Operation::MessageGet => {
            let path = native.app(&format!("msg/{}", path_step(native.message())));
            Ok(vec![("message", native.get(&path).await?.text)])
        }
        Operation::MessageResend => native.resent().await,
    }
}

/// The native API, in the name of one caller and about one application.
struct Native<'a> {
    customers: &'a Customers,
    caller: &'a Caller,
    application: &'a Arc<Application>,
    call: &'a Call,
    shows_secret: bool,
}

/// An answer of the native API.
struct NativeAnswer {
    text: String,
}

impl NativeAnswer {
    fn read<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        serde_json::from_str(&self.text).map_err(|error| Error::internal(error.to_string()))
    }

    /// How much of what waited was dropped, for responses.
    fn discarded(&self) -> Result<(&'static str, String)> {
        #[derive(Deserialize)]
        struct WithDiscarded {
            discarded: u64,
        }
        let discarded = self.read::<WithDiscarded>()?.discarded;
        Ok(("waiting", json!({ "discarded": discarded }).to_string()))
    }

    fn id(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct WithId {
            id: String,
        }
        self.read::<WithId>().map(|made| made.id)
    }
}

impl Native<'_> {
    fn app(&self, rest: &str) -> String {
        format!("/api/v1/app/{}/{rest}", self.application.id)
    }

    /// The endpoint that the route names.
    fn named(&self) -> Result<&str> {
        self.call.endpoint.as_deref().ok_or_else(Error::not_found)
    }

    fn message(&self) -> &str {
        self.call.message.as_deref().unwrap_or_default()
    }

    fn at_endpoint(&self, rest: &str) -> Result<String> {
        Ok(self.app(&format!("endpoint/{}{rest}", self.named()?)))
    }

    async fn get(&self, path_and_query: &str) -> Result<NativeAnswer> {
        self.request(Method::GET, path_and_query, String::new()).await
    }

    /// Sends the call's input as the body.
    async fn send(&self, method: Method, path: &str) -> Result<NativeAnswer> {
        let body = Value::Object(self.call.input.clone()).to_string();
        self.request(method, path, body).await
    }

    async fn request(&self, method: Method, path: &str, body: String) -> Result<NativeAnswer> {
        let text = self.customers.native.call(self.caller, method, path, body).await?;
        Ok(NativeAnswer { text })
    }

    /// Changes the endpoint that the route names, and shows it as it is then.
    async fn changed(&self, method: Method, rest: &str) -> Result<Answers> {
        self.send(method, &self.at_endpoint(rest)?).await?;
        self.endpoint(self.named()?).await
    }

    fn secret_rules(&self) -> &SecretRules {
        self.caller.environment.contract.secret()
    }

    async fn endpoint(&self, id: &str) -> Result<Answers> {
        let store = &self.customers.state.store;
        let found = store.get_endpoint(self.application.id, &Reference(id.to_owned())).await?;
        Ok(vec![("endpoint", endpoint::in_full(&found, self.secret_rules(), self.shows_secret))])
    }

    /// Enables the endpoint that the route names.
    async fn enabled(&self) -> Result<Answers> {
        let enabled = self.send(Method::POST, &self.at_endpoint("/enable")?).await?;
        let mut answers = self.endpoint(self.named()?).await?;
        answers.push(enabled.discarded()?);
        Ok(answers)
    }

    /// Sends a test event.
    async fn tested(&self, path: &str) -> Result<Answers> {
        Ok(vec![("message", self.send(Method::POST, path).await?.text)])
    }

    async fn example(&self) -> Result<Answers> {
        let name = path_step(self.call.event_type.as_deref().unwrap_or_default());
        let uid = path_step(&self.application.public_id());
        let path = format!("/api/v1/event-type/{name}/example?app_id={uid}");
        Ok(vec![("example", self.get(&path).await?.text)])
    }

    async fn resent(&self) -> Result<Answers> {
        let (message, endpoint) = (path_step(self.message()), self.named()?);
        let path = self.app(&format!("msg/{message}/endpoint/{endpoint}/resend"));
        self.send(Method::POST, &path).await?;
        Ok(Answers::new())
    }

    async fn endpoints(&self) -> Result<Answers> {
        let input = &self.call.input;
        let offset = number(input, "offset", 0, usize::MAX)?;
        let limit = number(input, "limit", LIST_MAX, LIST_MAX)?;
        let mut matching = self.all_endpoints().await?;
        if let Some(name) = input.get("eventType").and_then(Value::as_str) {
            let group = self.group_of(name).await?;
            matching.retain(|endpoint| endpoint.subscription.takes(name, group.as_deref()));
        }
        let total = matching.len();
        let page = matching.iter().skip(offset).take(limit);
        let shown: Vec<String> = page
            .map(|one| endpoint::in_full(one, self.secret_rules(), self.shows_secret))
            .collect();
        let page = json!({ "count": shown.len(), "total": total }).to_string();
        Ok(vec![("endpoints", format!("[{}]", shown.join(","))), ("page", page)])
    }

    async fn group_of(&self, event_type: &str) -> Result<Option<String>> {
        let found =
            catalog::find(&self.customers.state, &self.caller.environment, event_type).await?;
        Ok(found.and_then(|event_type| event_type.group))
    }

    /// All endpoints of the application, of which there can't be many.
    async fn all_endpoints(&self) -> Result<Vec<Arc<Endpoint>>> {
        let mut all: Vec<Arc<Endpoint>> = Vec::new();
        loop {
            let after = all.last().map(|endpoint| endpoint.id);
            let page = Page { after, descending: false, limit: ENDPOINTS_AT_ONCE };
            let rows = self.customers.state.store.list_endpoints(self.application.id, page).await?;
            let done = rows.len() < ENDPOINTS_AT_ONCE as usize;
            all.extend(rows);
            if done {
                return Ok(all);
            }
        }
    }

    async fn event_types(&self) -> Result<Answers> {
        #[derive(Deserialize)]
        struct EventTypes {
            data: Vec<Box<RawValue>>,
            iterator: Option<String>,
            done: bool,
        }
        let mut all: Vec<String> = Vec::new();
        let mut after = String::new();
        loop {
            let answer = self.get(&format!("/api/v1/event-type?limit=250{after}")).await?;
            let page: EventTypes = answer.read()?;
            all.extend(page.data.into_iter().map(|raw| raw.get().to_owned()));
            match page.iterator {
                Some(last) if !page.done => after = format!("&iterator={}", path_step(&last)),
                _ => return Ok(vec![("event_types", format!("[{}]", all.join(",")))]),
            }
        }
    }

    async fn events(&self) -> Result<Answers> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Events {
            data: Box<RawValue>,
            cursor: String,
            has_more: bool,
        }
        let query = query(&self.call.input, &[]);
        let answer = self.get(&self.app(&format!("events?{query}"))).await?;
        let events: Events = answer.read()?;
        let page = json!({ "cursor": events.cursor, "hasMore": events.has_more });
        Ok(vec![("events", events.data.get().to_owned()), ("page", page.to_string())])
    }

    /// A page of a native list, with the call's input as its query.
    async fn page(&self, name: &'static str, path: &str, more: &[(&str, &str)]) -> Result<Answers> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct List {
            data: Box<RawValue>,
            iterator: Option<String>,
            prev_iterator: Option<String>,
            done: bool,
        }
        let query = query(&self.call.input, more);
        let answer = self.get(&format!("{path}?{query}")).await?;
        let list: List = answer.read()?;
        let page = json!({
            "iterator": list.iterator, "prevIterator": list.prev_iterator, "done": list.done,
        });
        Ok(vec![(name, list.data.get().to_owned()), ("page", page.to_string())])
    }
}

/// An input as a query; lists as parameters that are repeated.
fn query(input: &Map<String, Value>, more: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(more);
    for (name, value) in input {
        for one in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            let text = one.as_str().map_or_else(|| one.to_string(), str::to_owned);
            query.append_pair(name, &text);
        }
    }
    query.finish()
}

/// A whole number of the input, which came as one or as text.
fn number(input: &Map<String, Value>, name: &str, default: usize, most: usize) -> Result<usize> {
    let given = match input.get(name) {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64().and_then(|number| usize::try_from(number).ok()),
    };
    given.filter(|number| *number <= most).ok_or_else(|| {
        let message = format!("Must be a whole number of at most {most}");
        Error::fields(vec![FieldError::query(name, message)])
    })
}
