//! Kept-alive HTTP/1.1 connections of the load, and of what sets it up.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use super::certificate::{Identity, connector};
use crate::clock::Clock;
use crate::domain::SecretText;

/// How long a connection, and an answer, may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Whom to connect to, and what each request to them says.
#[derive(Clone)]
pub(super) struct Origin {
    host: String,
    port: u16,
    authority: HeaderValue,
    /// What stands before every path; no slash at its end.
    base: String,
    authorization: Option<HeaderValue>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    clock: Clock,
}

/// One connection.
pub(super) struct Connection<'a> {
    origin: &'a Origin,
    requests: SendRequest<Full<Bytes>>,
}

impl Origin {
    /// The origin of a URL, whose path stands before all paths.
    ///
    /// # Errors
    /// Where it is no URL of a web server.
    pub(super) fn new(
        url: &str,
        token: Option<&SecretText>,
        trusted: Option<&Identity>,
        clock: &Clock,
    ) -> anyhow::Result<Origin> {
        let url = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            bail!("{url} names no host");
        };
        // An IPv6 address stands in brackets in a URL and nowhere else.
        let host = host.trim_matches(['[', ']']).to_owned();
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some((connector(trusted)?, ServerName::try_from(host.clone())?)),
            _ => bail!("{url}: only http:// and https:// are spoken"),
        };
        let authorization = token.map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .context("the token can't stand in a header")?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Origin {
            port,
            authority: HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])?,
            base: url.path().trim_end_matches('/').to_owned(),
            authorization: authorization.transpose()?,
            host,
            tls,
            clock: clock.clone(),
        })
    }

    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens there, or the handshake fails.
    pub(super) async fn connect(&self) -> anyhow::Result<Connection<'_>> {
        let connecting = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => requests(stream).await,
                Some((connector, name)) => {
                    requests(connector.connect(name.clone(), stream).await?).await
                }
            }
        };
        let connected = self.clock.timeout(TIMEOUT, connecting).await?;
        let requests =
            connected.with_context(|| format!("can't connect to {}:{}", self.host, self.port))?;
        Ok(Connection { origin: self, requests })
    }
}

async fn requests<S>(stream: S) -> anyhow::Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, connection) = handshake(TokioIo::new(stream)).await?;
    // What goes wrong with it, the next request reports.
    tokio::spawn(connection);
    Ok(requests)
}

impl Connection<'_> {
    /// Sends JSON and returns status and body of the answer.
    ///
    /// # Errors
    /// Where the connection breaks or the answer is late. It can't be used any more then.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin.base))
            .header(HOST, &self.origin.authority)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.origin.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let exchange = async {
            self.requests.ready().await?;
            let (head, body) = self.requests.send_request(request).await?.into_parts();
            Ok((head.status, body.collect().await?.to_bytes()))
        };
        self.origin.clock.timeout(TIMEOUT, exchange).await?
    }
}
