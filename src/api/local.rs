//! The native API, called from within this process by somebody who is known already: contracts'
//! routes and the pages. Whatever they do passes the same checks as a call from outside.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::auth::Caller;
use crate::contract::routes::RESPONSE_BYTES;
use crate::domain::{Error, Result};

/// What of a path's step is sent as it is.
const STEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text as one step of a path.
pub fn path_step(text: &str) -> String {
    utf8_percent_encode(text, STEP).to_string()
}

/// The native API without the network.
#[derive(Clone)]
pub struct LocalApi(pub(super) Router);

impl LocalApi {
    /// Calls a route of the native API. Returns the answer's body, which is JSON where there is one.
    ///
    /// # Errors
    /// Those that the route answers.
    pub async fn call(
        &self,
        caller: &Caller,
        method: Method,
        path_and_query: &str,
        body: String,
    ) -> Result<String> {
        let request = Request::builder().method(method).uri(path_and_query);
        let request = request.extension(caller.clone());
        let request =
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body));
        let request = request.map_err(|error| Error::internal(error.to_string()))?;
        // The service can't fail: its errors are answers.
        let mut response = match tower::ServiceExt::oneshot(self.0.clone(), request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if !response.status().is_success() {
            let error = response.extensions_mut().remove::<Error>();
            let unexplained =
                || Error::internal(format!("{path_and_query}: {}", response.status()));
            return Err(error.unwrap_or_else(unexplained));
        }
        let bytes = to_bytes(response.into_body(), RESPONSE_BYTES).await;
        let bytes = bytes.map_err(|error| Error::internal(error.to_string()))?;
        String::from_utf8(bytes.to_vec()).map_err(|error| Error::internal(error.to_string()))
    }
}
