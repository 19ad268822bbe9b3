//! The form of a webhook: New webhook, and Edit. It has the fields that the contract allows and
//! no others; what they may hold is the native API's to say.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::catalog::{self, Group};
use super::error::PageResult;
use super::form::Posted;
use super::native::Refusal;
use super::place::Place;
use super::shell::{Section, Shell};
use super::{Pages, html, webhooks};
use crate::contract::{EndpointRules, Presence, SecretOrigin};
use crate::domain::{ALL_EVENTS, Auth, AuthKind, Endpoint, Result, Transport};

/// What stands for a header's value that is not shown and stays as it is.
const UNCHANGED: &str = "(unchanged)";

pub(super) fn router() -> Router<Pages> {
    const AT: &str = "/env/{environment}/app/{application}/webhooks";
    Router::new()
        .route(&format!("{AT}/new"), get(new).post(create))
        .route(&format!("{AT}/{{webhook}}/edit"), get(edit).post(change))
        .route(&format!("{AT}/check"), post(check))
}

/// The fields as they were typed.
#[derive(Clone, Debug, Default, Deserialize)]
struct Fields {
    #[serde(default)]
    name: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    transport: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    auth_token: String,
    #[serde(default)]
    auth_header: String,
    #[serde(default)]
    auth_value: String,
    /// One header a line.
    #[serde(default)]
    headers: String,
    #[serde(default)]
    secret: String,
    /// Whether it takes everything.
    #[serde(default)]
    all: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    /// Events without a catalog, separated by commas.
    #[serde(default)]
    typed_events: String,
}

impl Fields {
    fn new(rules: &EndpointRules) -> Fields {
        Fields {
            transport: rules.default_transport().as_str().to_owned(),
            method: rules.default_method.as_str().to_owned(),
            auth: AuthKind::None.as_str().to_owned(),
            ..Fields::default()
        }
    }

    fn of(endpoint: &Endpoint, has_catalog: bool) -> Fields {
        let types = endpoint.subscription.types().unwrap_or_default();
        let all = webhooks::takes_all(&endpoint.subscription);
        let header = match &endpoint.auth {
            Auth::Header { name, .. } => name.clone(),
            Auth::None | Auth::Basic { .. } => String::new(),
        };
        let headers = endpoint.headers.iter().map(|(name, _)| format!("{name}: {UNCHANGED}"));
        Fields {
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            transport: endpoint.transport.as_str().to_owned(),
            method: endpoint.method.as_str().to_owned(),
            auth: endpoint.auth.kind().as_str().to_owned(),
            auth_header: header,
            headers: headers.collect::<Vec<_>>().join("\n"),
            all: if all { "on".to_owned() } else { String::new() },
            events: types.iter().filter(|name| *name != ALL_EVENTS).cloned().collect(),
            groups: endpoint.subscription.groups().unwrap_or_default().to_vec(),
            typed_events: if has_catalog { String::new() } else { types.join(", ") },
            ..Fields::default()
        }
    }

    /// The native input that says what was typed. `was` is the webhook that is changed.
    fn input(&self, offer: &Offer, was: Option<&Endpoint>) -> Value {
        let mut input = Map::new();
        let mut set = |name: &str, value: Value| drop(input.insert(name.to_owned(), value));
        set("url", json!(self.url.trim()));
        set("name", json!(self.name));
        if offer.transports.len() > 1 {
            set("transport", json!(self.transport));
        }
        if offer.methods.len() > 1 {
            set("method", json!(self.method));
        }
        if let Some(auth) = self.auth(was) {
            set("auth", auth);
        }
        if offer.headers {
            set("headers", self.header_map(was));
        }
        if was.is_none() && !self.secret.is_empty() {
            set("secret", json!(self.secret));
        }
        let (types, groups) = self.subscription(offer);
        set("filterTypes", json!(types));
        if offer.groups {
            set("filterGroups", json!(groups));
        }
        Value::Object(input)
    }

    /// `None` where it stays as it is: an empty credential of the same kind is one that wasn't
    /// typed again.
    fn auth(&self, was: Option<&Endpoint>) -> Option<Value> {
        let same = was.is_some_and(|was| match &was.auth {
            Auth::None => self.auth == "none",
            Auth::Basic { .. } => self.auth == "basic" && self.auth_token.is_empty(),
            Auth::Header { name, .. } => {
                self.auth == "header" && self.auth_value.is_empty() && *name == self.auth_header
            }
        });
        let auth = match self.auth.as_str() {
            "basic" => json!({ "type": "basic", "token": self.auth_token }),
            "header" => {
                json!({ "type": "header", "name": self.auth_header, "value": self.auth_value })
            }
            _ => json!({ "type": "none" }),
        };
        let untouched = was.is_none() && self.auth.is_empty();
        (!same && !untouched).then_some(auth)
    }

    fn header_map(&self, was: Option<&Endpoint>) -> Value {
        let lines = self.headers.lines().map(str::trim).filter(|line| !line.is_empty());
        let pairs = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let (name, value) = (name.trim(), value.trim());
            let known = was.iter().flat_map(|was| &was.headers);
            let mut known = known.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let value = match (value, known.next()) {
                (UNCHANGED, Some((_, kept))) => kept.expose(),
                (value, _) => value,
            };
            (name.to_owned(), json!(value))
        });
        Value::Object(pairs.collect())
    }

    fn subscription(&self, offer: &Offer) -> (Option<Vec<String>>, Option<Vec<String>>) {
        if offer.catalog.is_empty() {
            let names = self.typed_events.split([',', '\n', ' ']).map(str::trim);
            let names: Vec<String> =
                names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
            return ((!names.is_empty()).then_some(names), None);
        }
        if !self.all.is_empty() && offer.all {
            return match offer.wildcard {
                true => (Some(vec![ALL_EVENTS.to_owned()]), None),
                false => (None, None),
            };
        }
        let groups = self.groups.clone();
        // Events of a group that is taken as a whole are in it already.
        let in_group = |event: &String| {
            offer.catalog.iter().any(|group| {
                groups.contains(&group.name) && group.events.iter().any(|one| one.name == *event)
            })
        };
        let events: Vec<String> =
            self.events.iter().filter(|event| !in_group(event)).cloned().collect();
        match (events.is_empty(), groups.is_empty()) {
            (true, false) => (None, Some(groups)),
            (_, true) => (Some(events), None),
            (false, false) => (Some(events), Some(groups)),
        }
    }

    fn has_event(&self, name: &str) -> bool {
        self.events.iter().any(|one| one == name)
    }

    fn has_group(&self, name: &str) -> bool {
        self.groups.iter().any(|one| one == name)
    }
}

/// What the contract offers.
struct Offer {
    transports: Vec<Transport>,
    methods: Vec<&'static str>,
    auth: Vec<AuthKind>,
    headers: bool,
    name_required: bool,
    https_only: bool,
    /// Whether everything can be taken at once.
    all: bool,
    wildcard: bool,
    groups: bool,
    single_event: bool,
    catalog: Vec<Group>,
    secret: Option<SecretOrigin>,
}

impl Offer {
    async fn of(pages: &Pages, place: &Place) -> Result<Offer> {
        let contract = &place.environment.contract;
        let rules = contract.endpoint();
        let given =
            matches!(contract.secret().origin, SecretOrigin::Required | SecretOrigin::Optional);
        Ok(Offer {
            transports: rules.transports.clone(),
            methods: rules.http_methods.iter().map(|method| method.as_str()).collect(),
            auth: rules.auth.clone(),
            headers: rules.headers,
            name_required: rules.name == Presence::Required,
            https_only: place.environment.https_only(),
            all: rules.wildcard || rules.events != Presence::Required && !rules.single_event,
            wildcard: rules.wildcard,
            groups: rules.groups,
            single_event: rules.single_event,
            catalog: catalog::read(pages, place).await?,
            secret: given.then_some(contract.secret().origin),
        })
    }

    fn is_secret_required(&self) -> bool {
        self.secret == Some(SecretOrigin::Required)
    }

    fn offers_auth(&self, kind: &str) -> bool {
        self.auth.iter().any(|one| one.as_str() == kind)
    }

    fn has_auth(&self) -> bool {
        self.auth.iter().any(|kind| *kind != AuthKind::None)
    }
}

#[derive(Template)]
#[template(path = "webhook_form.html")]
struct FormPage {
    shell: Shell,
    environment: String,
    /// The webhook that is edited.
    webhook: Option<(String, String)>,
    fields: Fields,
    offer: Offer,
    refusal: Refusal,
}

impl FormPage {
    fn wrong(&self, field: &str) -> &'static str {
        if self.refusal.at(field).is_some() { " wrong" } else { "" }
    }
}

async fn page(
    pages: &Pages,
    place: &Place,
    (webhook, fields): (Option<&Endpoint>, Fields),
    offer: Offer,
    refusal: Refusal,
) -> PageResult {
    html(&FormPage {
        shell: Shell::of(pages, place, Section::Webhooks, None).await?,
        environment: place.environment.name.to_string(),
        webhook: webhook.map(|one| (one.id.to_string(), webhooks::name(one))),
        fields,
        offer,
        refusal,
    })
}

async fn new(State(pages): State<Pages>, place: Place) -> PageResult {
    place.require_change()?;
    let offer = Offer::of(&pages, &place).await?;
    let fields = Fields::new(place.environment.contract.endpoint());
    page(&pages, &place, (None, fields), offer, Refusal::default()).await
}

async fn create(
    State(pages): State<Pages>,
    place: Place,
    Posted(fields): Posted<Fields>,
) -> PageResult {
    let offer = Offer::of(&pages, &place).await?;
    let input = fields.input(&offer, None);
    match place.change(&pages, Method::POST, "/endpoint", &input).await {
        Ok(answer) => {
            let id = id_of(&answer)?;
            let to = format!("{}/webhooks/{id}?done=created", place.base());
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => page(&pages, &place, (None, fields), offer, Refusal::of(error)?).await,
    }
}

/// The id of what the native API made.
pub(super) fn id_of(answer: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    let made = serde_json::from_str::<Made>(answer);
    made.map(|made| made.id).map_err(|error| crate::domain::Error::internal(error.to_string()))
}

async fn edit(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): Path<(String, String, String)>,
) -> PageResult {
    place.require_change()?;
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let offer = Offer::of(&pages, &place).await?;
    let fields = Fields::of(&endpoint, !offer.catalog.is_empty());
    page(&pages, &place, (Some(&endpoint), fields), offer, Refusal::default()).await
}

async fn change(
    State(pages): State<Pages>,
    place: Place,
    Path((_, _, webhook)): Path<(String, String, String)>,
    Posted(fields): Posted<Fields>,
) -> PageResult {
    let endpoint = place.endpoint(&pages, &webhook).await?;
    let offer = Offer::of(&pages, &place).await?;
    let input = fields.input(&offer, Some(&endpoint));
    let path = format!("/endpoint/{}", endpoint.id);
    match place.change(&pages, Method::PATCH, &path, &input).await {
        Ok(_) => {
            let to = format!("{}/webhooks/{}?done=changed", place.base(), endpoint.id);
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => {
            page(&pages, &place, (Some(&endpoint), fields), offer, Refusal::of(error)?).await
        }
    }
}

/// Says what is wrong with the fields so far, in the API's own words. Nothing is stored.
async fn check(
    State(pages): State<Pages>,
    place: Place,
    Posted(fields): Posted<Fields>,
) -> PageResult {
    let offer = Offer::of(&pages, &place).await?;
    let input = fields.input(&offer, None);
    let checked = place.change(&pages, Method::POST, "/endpoint?dry_run=true", &input).await;
    let refusal = match checked {
        Ok(_) => Refusal::default(),
        Err(error) => Refusal::of(error)?,
    };
    let problems: Map<String, Value> =
        refusal.fields.into_iter().map(|(field, sentence)| (field, json!(sentence))).collect();
    Ok(axum::Json(problems).into_response())
}
