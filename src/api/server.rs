//! The listening side: connections, their limits, and a graceful end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::clock::Clock;

/// Connections open at once. Further ones wait in the listener's queue.
const CONNECTIONS_MAX: usize = 10_000;

/// How long a client may take to send a request's head.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to begin.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an HTTP/2 client is asked whether it is still there.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// Requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 256;

/// How long to wait after accepting failed, as it does when file descriptors run out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop` is cancelled; then lets requests under way end, for at most `grace`.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    clock: Clock,
    stop: CancellationToken,
    grace: Duration,
) where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        // Answers are small: one copy is cheaper than a vectored write. Not `pipeline_flush`,
        // which does the same but takes in all of a stream that its client doesn't read.
        .writev(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .max_concurrent_streams(HTTP2_STREAMS_MAX);
    let service = TowerToHyperService::new(
        service.map_request(|request: Request<Incoming>| request.map(Body::new)),
    );
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, permit) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections, &clock) => accepted,
        };
        let (builder, service, clock) = (builder.clone(), service.clone(), clock.clone());
        let (watcher, stopping) = (graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // Which HTTP it is shows in the first bytes, so until then nothing else watches it.
            let mut first_byte = [0];
            let spoken = tokio::select! {
                peeked = clock.timeout(FIRST_BYTE_TIMEOUT, stream.peek(&mut first_byte)) => {
                    matches!(peeked, Ok(Ok(1)))
                }
                () = stopping.cancelled() => false,
            };
            if spoken {
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                // What ends a connection early is the client's business.
                let _ = watcher.watch(connection.into_owned()).await;
            }
        });
    }
    drop(listener);
    if clock.timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopping with requests under way");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    clock: &Clock,
) -> (tokio::net::TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a permit in the end.
    let permit = connections.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and complete: waiting to fill a packet only adds latency.
                let _ = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                clock.sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
