//! What goes wrong on a page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::html;
use crate::api;
use crate::domain::{Error, ErrorCode};

/// Why there is no page.
#[derive(Debug)]
pub(super) enum PageError {
    /// Nobody is signed in.
    SignIn {
        /// Where they wanted to go: path and query below `/dashboard`.
        next: Option<String>,
    },
    Failed(Error),
}

impl From<Error> for PageError {
    fn from(error: Error) -> PageError {
        PageError::Failed(error)
    }
}

/// What pages return.
pub(super) type PageResult = Result<Response, PageError>;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: &'static str,
    detail: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            PageError::SignIn { next } => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                if let Some(next) = next.filter(|next| next != "/") {
                    query.append_pair("next", &format!("/dashboard{next}"));
                }
                let query = query.finish();
                let mark = if query.is_empty() { "" } else { "?" };
                Redirect::to(&format!("/dashboard/sign-in{mark}{query}")).into_response()
            }
            PageError::Failed(error) => failed(error),
        }
    }
}

fn failed(error: Error) -> Response {
    let status = api::status(error.code);
    if status.is_server_error() {
        tracing::error!(%error, "a page failed");
    }
    let (title, detail) = match error.code {
        ErrorCode::NotFound => (
            "Page not found",
            "There is nothing here, or it isn't yours to see. It may have been deleted.".to_owned(),
        ),
        ErrorCode::Forbidden => ("Not allowed", error.detail),
        ErrorCode::Unavailable => ("Could not load", error.detail),
        ErrorCode::Internal => (
            "Something went wrong",
            "The fault is on our side. Try again; if it stays, tell whoever runs this server."
                .to_owned(),
        ),
        _ => ("There is a problem", error.detail),
    };
    let page = html(&ErrorPage { title, detail });
    let Ok(mut response) = page else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    *response.status_mut() = status;
    response
}

pub(super) async fn no_such_page() -> PageError {
    Error::not_found().into()
}
