//! Forms: read whole, and only where they come from one of our pages.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use super::Pages;
use super::error::PageError;
use super::viewer::Viewer;
use crate::domain::{Error, ErrorCode, Result};

/// The field with the form's token.
const TOKEN: &str = "csrf";

/// The fields of a form that was sent from a page of the viewer's.
pub(super) struct Posted<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Pages> for Posted<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, pages: &Pages) -> Result<Posted<T>, PageError> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, pages).await?;
        check_site(&parts.headers)?;
        let bytes = read(Request::from_parts(parts, body), pages).await?;
        let mut tokens = url::form_urlencoded::parse(&bytes).filter(|(name, _)| name == TOKEN);
        let token = tokens.next().map(|(_, value)| value.into_owned()).unwrap_or_default();
        if !bool::from(token.as_bytes().ct_eq(viewer.csrf.as_bytes())) {
            return Err(expired().into());
        }
        Ok(Posted(parse(&bytes)?))
    }
}

/// The fields of a form that anybody may send: those before there is a session.
pub(super) struct Anonymous<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Pages> for Anonymous<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, pages: &Pages) -> Result<Anonymous<T>, PageError> {
        check_site(request.headers())?;
        Ok(Anonymous(parse(&read(request, pages).await?)?))
    }
}

async fn read(request: Request, pages: &Pages) -> Result<Bytes> {
    let read = Bytes::from_request(request, pages).await;
    read.map_err(|_| Error::new(ErrorCode::PayloadTooLarge, "The form is too large."))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_html_form::from_bytes(bytes).map_err(|error| {
        Error::new(ErrorCode::BadRequest, format!("The form can't be read: {error}."))
    })
}

/// Refuses what a browser says that another site has sent.
fn check_site(headers: &HeaderMap) -> Result<()> {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    match site {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(expired()),
    }
}

fn expired() -> Error {
    let sentence =
        "This form is too old, or came from another site. Go back, reload the page, and try again.";
    Error::new(ErrorCode::Forbidden, sentence)
}
