//! The company's backend: calls the native API over HTTP, as anybody would.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::api::auth::ENVIRONMENT_HEADER;
use crate::domain::SecretText;

/// A client of one server.
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) key: SecretText,
}

impl Client {
    /// Sends a request in an environment and returns the answer's JSON.
    ///
    /// # Errors
    /// Where the server can't be reached, or answers with anything but success.
    pub(super) async fn call(
        &self,
        environment: &str,
        method: &str,
        path: &str,
        body: String,
    ) -> anyhow::Result<Value> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut requests, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key.expose()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(ENVIRONMENT_HEADER, environment)
            .body(Full::new(Bytes::from(body)))?;
        let response = requests.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{method} {path} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).with_context(|| format!("{method} {path}: not JSON"))
    }
}
