//! A customer's receiver: takes every request, answers 200, and passes on what arrived.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::verify::Arrived;

/// Starts a receiver on a free port of this machine. `index` goes with all that it passes on.
///
/// # Errors
/// Where no port is free.
pub(super) async fn start(
    index: usize,
    arrivals: mpsc::UnboundedSender<(usize, Arrived)>,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let arrivals = arrivals.clone();
            let service = service_fn(move |request| take(index, arrivals.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(address)
}

async fn take(
    index: usize,
    arrivals: mpsc::UnboundedSender<(usize, Arrived)>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let arrived = Arrived {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        body,
    };
    // The demo may have ended; the server's delivery is acknowledged all the same.
    let _ = arrivals.send((index, arrived));
    Ok(Response::new(Empty::new()))
}
