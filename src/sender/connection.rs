//! Open HTTP connections.
//!
//! An HTTP/1 connection is driven by the attempt that uses it rather than by a task of its
//! own: that saves two task switches a request, and dropping an attempt midway drops its
//! connection too, so nothing half-used can come back. An HTTP/2 connection serves many
//! attempts at once and needs its own task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;

use super::origin::Origin;
use super::stream::{Meter, Stream};

pub(super) type OutgoingRequest = Request<Full<Bytes>>;
pub(super) type SendResult = Result<Response<Incoming>, TrySendError<OutgoingRequest>>;

/// An HTTP/1 connection, for one attempt at a time.
pub(super) struct Http1 {
    origin: Arc<Origin>,
    meter: Arc<Meter>,
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended. A request that was handed to it at that moment is
    /// only given back when it is dropped.
    driver: Option<http1::Connection<TokioIo<Stream>, Full<Bytes>>>,
}

impl Http1 {
    pub(super) async fn open(
        builder: &http1::Builder,
        origin: Arc<Origin>,
        stream: Stream,
    ) -> hyper::Result<Box<Http1>> {
        let meter = stream.meter();
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Box::new(Http1 { origin, meter, sender, driver: Some(driver) }))
    }

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: OutgoingRequest) -> SendResult {
        self.meter.reset();
        let answer = self.sender.try_send_request(request);
        self.drive(answer).await
    }

    /// Runs the connection for as long as `future` needs it.
    pub(super) async fn drive<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            // What the future asks of the connection it asks by being polled, and what the
            // connection does for it shows by polling it again.
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            self.poll_driver(cx);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Whether the connection is open and between two requests. Sees that the other side
    /// has closed it, as far as the operating system has told yet.
    pub(super) async fn is_idle(&mut self) -> bool {
        poll_fn(|cx| {
            self.poll_driver(cx);
            let ready = matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())));
            Poll::Ready(ready && self.driver.is_some())
        })
        .await
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) {
        // Its errors reach the request that they concern, or make the connection unfit.
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            self.driver = None;
        }
    }
}

/// An HTTP/2 connection, shared by any number of attempts.
#[derive(Clone)]
pub(super) struct SharedConnection {
    origin: Arc<Origin>,
    sender: http2::SendRequest<Full<Bytes>>,
}

impl SharedConnection {
    pub(super) async fn open(
        builder: &http2::Builder<hyper_util::rt::TokioExecutor>,
        origin: Arc<Origin>,
        stream: Stream,
    ) -> hyper::Result<SharedConnection> {
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        // Ends when the last handle is dropped and its last request is done.
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "an HTTP/2 connection ended");
            }
        });
        Ok(SharedConnection { origin, sender })
    }

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    pub(super) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether both are handles of one connection: each has an origin of its own making.
    pub(super) fn is_same(&self, other: &SharedConnection) -> bool {
        Arc::ptr_eq(&self.origin, &other.origin)
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: OutgoingRequest) -> SendResult {
        self.sender.try_send_request(request).await
    }
}
