//! Calls of the native API in the name of somebody at a page.

use axum::http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Pages;
use super::place::Place;
use crate::domain::{Error, FieldError, Result};

impl Place {
    /// Calls a route of the application: `rest` follows `/api/v1/app/{id}`.
    ///
    /// # Errors
    /// Those of the route, and `forbidden` for viewers who may look only.
    pub(super) async fn change(
        &self,
        pages: &Pages,
        method: Method,
        rest: &str,
        input: &Value,
    ) -> Result<String> {
        self.require_change()?;
        let path = format!("/api/v1/app/{}{rest}", self.application.id);
        pages.local.call(&self.caller(), method, &path, input.to_string()).await
    }

    /// Reads from a route of the application.
    ///
    /// # Errors
    /// Those of the route.
    pub(super) async fn read<T: DeserializeOwned>(&self, pages: &Pages, rest: &str) -> Result<T> {
        let path = format!("/api/v1/app/{}{rest}", self.application.id);
        let text = pages.local.call(&self.caller(), Method::GET, &path, String::new()).await?;
        serde_json::from_str(&text).map_err(|error| Error::internal(error.to_string()))
    }
}

/// The fields of the webhook's form, in its order.
const ORDER: [&str; 9] = [
    "name",
    "transport",
    "method",
    "url",
    "auth",
    "headers",
    "secret",
    "filterTypes",
    "filterGroups",
];

/// What the API found wrong with a form's fields, so that it can be said beside them.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// Native names of fields, such as `url`, with sentences.
    pub(super) fields: Vec<(String, String)>,
}

impl Refusal {
    /// Takes what a person can mend in the form; anything else is an error of the page.
    ///
    /// # Errors
    /// The others.
    pub(super) fn of(error: Error) -> Result<Refusal> {
        use crate::domain::ErrorCode::{BadRequest, Conflict, Unavailable, Validation};
        if !error.fields.is_empty() {
            let fields = error.fields.into_iter().map(|field| (name(&field), field.message));
            let mut fields: Vec<(String, String)> = fields.collect();
            fields.sort_by_key(|(name, _)| {
                ORDER.iter().position(|one| name.starts_with(one)).unwrap_or(ORDER.len())
            });
            return Ok(Refusal { fields });
        }
        match error.code {
            Conflict | BadRequest | Validation | Unavailable => {
                Ok(Refusal { fields: vec![(String::new(), error.detail)] })
            }
            _ => Err(error),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The sentence for a field, or for what lies within it.
    pub(super) fn at(&self, field: &str) -> Option<&str> {
        let within = |name: &str| {
            name.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.fields.iter().find(|(name, _)| within(name)).map(|(_, sentence)| sentence.as_str())
    }
}

/// `["body", "auth", "name"]` as `auth.name`.
fn name(field: &FieldError) -> String {
    field.location.iter().skip(1).map(String::as_str).collect::<Vec<_>>().join(".")
}
