//! Opening a connection: the request that turns an HTTP/1 connection into a websocket.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Uri};
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_key};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::link::Link;
use super::slot::Target;
use super::{Dialler, connection, is_closure};
use crate::domain::{Answer, Failure, FailureKind, Outcome, Phase, Transport};
use crate::sender::answer::{kept_headers, retry_after};
use crate::sender::http::{CONNECTION_HEADERS, absolute_target};
use crate::sender::origin::{Destination, Origin};
use crate::sender::progress::Progress;
use crate::sender::stream::Stream;

/// What a connection sets aside for reading, in bytes. Acknowledgements are small.
const READ_BUFFER_BYTES: usize = 4 * 1_024;

/// How many bytes of frames are collected before they are written, where nothing forces them out.
const WRITE_BUFFER_BYTES: usize = 16 * 1_024;

impl Dialler {
    /// Opens a connection and starts its task.
    pub(super) async fn dial(
        &self,
        target: &Target,
        progress: &mut Progress<'_>,
    ) -> Result<Link, Outcome> {
        let permit = self.room.clone().try_acquire_owned().map_err(|_| {
            let sentence = "There is no room for another open websocket.";
            Outcome::Failed(Failure::new(FailureKind::Local, None, sentence))
        })?;
        let socket = self.shake_hands(target, progress).await?;
        Ok(connection::start(self, socket, permit))
    }

    async fn shake_hands(
        &self,
        target: &Target,
        progress: &mut Progress<'_>,
    ) -> Result<WebSocketStream<Stream>, Outcome> {
        let destination = Destination::of(&target.url, Transport::Websocket, &target.guard);
        let origin = destination.and_then(|destination| Origin::of(&destination, 0));
        let origin = origin.map_err(Outcome::Failed)?;
        let request = self.request(target, &origin).map_err(Outcome::Failed)?;
        let tls = &self.connector.websocket_tls;
        let stream = self.connector.open_stream(&origin, tls, progress).await;
        let stream = stream.map_err(Outcome::Failed)?;
        // Until it is a websocket, it isn't connected.
        progress.enter(Phase::Connect);
        let limit = Some(self.config.frame_bytes);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(limit)
            .max_frame_size(limit);
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(Outcome::Answered(self.refusal(&response))),
            Err(error) => Err(Outcome::Failed(broken_handshake(&error))),
        }
    }

    fn request(&self, target: &Target, origin: &Origin) -> Result<Request<()>, Failure> {
        let url = absolute_target(&target.url);
        let uri = Uri::from_maybe_shared(Bytes::from(url)).map_err(|error| {
            let sentence = "The URL can't be used in a websocket's handshake.";
            Failure::new(FailureKind::Url, None, sentence).caused_by(&error)
        })?;
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers(target, origin);
        Ok(request)
    }

    fn headers(&self, target: &Target, origin: &Origin) -> HeaderMap {
        let own = target.handshake.iter().filter(|(name, _)| {
            // A subprotocol is the customer's to ask for; the rest is the handshake itself.
            let of_handshake = name.as_str().starts_with("sec-websocket-")
                && *name != header::SEC_WEBSOCKET_PROTOCOL;
            !of_handshake && !CONNECTION_HEADERS.contains(name)
        });
        let mut headers: HeaderMap =
            own.map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        headers.insert(header::HOST, origin.host_header.clone());
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_maybe_shared(Bytes::from(generate_key()));
        headers.insert(header::SEC_WEBSOCKET_KEY, key.expect("Base64 can stand in a header"));
        headers
    }

    /// What the receiver answered instead of opening the websocket.
    fn refusal(&self, response: &Response) -> Answer {
        let body = response.body().as_deref().unwrap_or_default();
        let now = self.connector.clock.now();
        Answer {
            status: response.status().as_u16(),
            headers: kept_headers(response.headers(), &[]),
            body: body[..body.len().min(self.recorded_bytes)].to_vec(),
            truncated: body.len() > self.recorded_bytes,
            retry_after: retry_after(response.headers(), now),
        }
    }
}

fn broken_handshake(error: &Error) -> Failure {
    let (kind, sentence) = if is_closure(error) {
        (FailureKind::Reset, "The receiver broke off the websocket's handshake.")
    } else {
        (FailureKind::Protocol, "The receiver's answer doesn't open a websocket.")
    };
    Failure::new(kind, Some(Phase::Connect), sentence).caused_by(error)
}
