//! The customer-facing API that a contract declares: `[[routes]]`, `[templates]`, `[ids]`,
//! `[keys]` and `[errors]`.
//!
//! A route translates and has no logic of its own. [`Routes::read`] makes of a customer's
//! request the native call that it stands for, and [`Routes::answer`] writes the native
//! answer the way the company documents it.

mod check;
mod errors;
mod filters;
mod ids;
mod keys;
mod load;
mod native;
mod operation;
mod probe;
mod request;
mod template;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use minijinja::Value;

use super::template::TemplateError;
use template::{TemplateId, TemplateSet};

pub use errors::{ErrorReply, ErrorRules};
pub use filters::ROUTE_FILTERS;
pub use ids::{IdForm, Ids};
pub use keys::KeyRules;
pub use load::{MAX_ROUTES, NATIVE_PATHS};
pub(super) use load::{RawApi, RawErrors, RawIds, RawKeys, RawRoute, RawTemplates, routes};
pub use operation::{Field, Input, Kind, Noun, Operation};
pub use request::{Call, CustomerRequest};
pub use template::RESPONSE_BYTES;

/// A route of a contract.
#[derive(Debug)]
pub struct Route {
    pub method: Method,
    /// With its parameters in braces, as the contract writes it.
    pub path: String,
    pub operation: Operation,
    pub status: StatusCode,
    /// Which application it is about; the key's own where there is none.
    application: Option<TemplateId>,
    /// What else the request names.
    nouns: Vec<(Noun, TemplateId)>,
    /// Whether what the customer sends as a body is looked at.
    reads_body: bool,
    request: Option<TemplateId>,
    /// Paths into what the customer sends that have to be there.
    required: Vec<String>,
    /// Where a native field's value comes from: its path, and the customer's.
    sources: Vec<(String, String)>,
    response: Option<TemplateId>,
    /// Whether the response shows signing secrets.
    shows_secret: bool,
}

impl Route {
    /// Whether its response shows signing secrets.
    pub fn shows_secret(&self) -> bool {
        self.shows_secret
    }
}

/// All routes of a contract, with how keys travel and errors look.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// Which routes a path has, by the index of its entry.
    paths: matchit::Router<usize>,
    /// For each path, its routes.
    by_path: Vec<Vec<usize>>,
    templates: TemplateSet,
    keys: KeyRules,
    errors: ErrorRules,
    ids: Arc<Ids>,
}

/// What a path and a method lead to.
#[derive(Debug)]
pub enum Matched<'a> {
    /// A route, and the values of its path's parameters, still percent-encoded.
    Route(&'a Route, Vec<(String, String)>),
    /// The path exists, with these methods only.
    OtherMethods(Vec<&'a Method>),
    Nothing,
}

/// What the answer of an operation is made of, as JSON by the names that responses use.
pub type Answers = Vec<(&'static str, String)>;

impl Routes {
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The routes in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    pub fn keys(&self) -> &KeyRules {
        &self.keys
    }

    pub fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }

    /// The route for a request. A HEAD is a GET whose answer has no body.
    pub fn find(&self, method: &Method, path: &str) -> Matched<'_> {
        let Ok(found) = self.paths.at(path) else { return Matched::Nothing };
        let here = self.by_path[*found.value].iter().map(|&index| &self.routes[index]);
        let method = if method == Method::HEAD { &Method::GET } else { method };
        match here.clone().find(|route| route.method == *method) {
            Some(route) => {
                let parameters = found.params.iter();
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                Matched::Route(route, parameters.map(owned).collect())
            }
            None => Matched::OtherMethods(here.map(|route| &route.method).collect()),
        }
    }

    /// Writes the answer of a route. `None` where it has no body.
    ///
    /// # Errors
    /// Where the response template can't be rendered: a defect of the contract, which says so
    /// with its line.
    pub fn answer(
        &self,
        route: &Route,
        call: &Call,
        answers: &Answers,
    ) -> Result<Option<String>, String> {
        let Some(response) = &route.response else {
            return Ok(match (route.status, answers.first()) {
                (StatusCode::NO_CONTENT, _) | (_, None) => None,
                (_, Some((_, native))) => Some(native.clone()),
            });
        };
        let mut context = call.context.clone();
        for (name, json) in answers {
            let value =
                native::read(json.as_bytes(), &self.ids).map_err(|error| error.to_string())?;
            context.insert(name, value);
        }
        let rendered = self.templates.render_json(response, &context);
        rendered.map(Some).map_err(located)
    }
}

/// An error of a template with its line, for the server's log.
fn located(error: TemplateError) -> String {
    format!("line {}: {error}", error.line)
}

/// What a template can name.
type Context = BTreeMap<&'static str, Value>;
