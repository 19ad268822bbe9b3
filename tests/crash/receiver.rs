//! Receivers that count by endpoint, event and life of the server, and behave in four ways.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::LIFE_PREFIX;

/// How an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Manner {
    /// Takes everything.
    Healthy,
    /// Fails at the first attempt at one event in [`TROUBLE_ONE_IN`].
    Flaky,
    /// Doesn't answer the first attempt at as many.
    Hanging,
    /// Fails for a while, so that it is paused.
    Moody,
}

/// A request as it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Which of the server's processes sent it.
    pub(crate) life: u32,
    /// Whether it was answered with 200.
    pub(crate) taken: bool,
}

/// What arrived, by endpoint (as it stands in its path) and event.
type Arrivals = HashMap<(String, String), Vec<Arrival>>;

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    _listening: Arc<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct State {
    arrivals: Mutex<Arrivals>,
    bad_mood: AtomicBool,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let listening = AbortOnDropHandle::new(tokio::spawn(listen(listener, state.clone())));
        Receiver { address, state, _listening: Arc::new(listening) }
    }

    /// Where an endpoint of this name is.
    pub(crate) fn url(&self, endpoint: &str, manner: Manner) -> String {
        format!("http://{}/{manner:?}/{endpoint}", self.address)
    }

    pub(crate) fn set_mood(&self, bad: bool) {
        self.state.bad_mood.store(bad, SeqCst);
    }

    /// How often an event arrived at an endpoint.
    pub(crate) fn times(&self, endpoint: &str, event: &str) -> usize {
        let key = (endpoint.to_owned(), event.to_owned());
        self.state.arrivals.lock().unwrap().get(&key).map_or(0, Vec::len)
    }

    /// How many of these (endpoints and events) have not arrived, by endpoint.
    pub(crate) fn missing(&self, expected: &HashSet<(String, String)>) -> BTreeMap<String, usize> {
        let arrivals = self.state.arrivals.lock().unwrap();
        let mut missing = BTreeMap::new();
        for pair in expected.iter().filter(|pair| !arrivals.contains_key(*pair)) {
            *missing.entry(pair.0.clone()).or_default() += 1;
        }
        missing
    }

    pub(crate) fn arrivals(&self) -> Arrivals {
        self.state.arrivals.lock().unwrap().clone()
    }
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &state));
            // It ends as the server's process ends.
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// More of it would pause the endpoints for good: what is retried comes among what is new.
const TROUBLE_ONE_IN: u32 = 8;

fn is_trouble(event: &str) -> bool {
    event.bytes().map(u32::from).sum::<u32>() % TROUBLE_ONE_IN == 0
}

async fn answer(
    request: Request<Incoming>,
    state: &State,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
    let life = header("user-agent").strip_prefix(LIFE_PREFIX).unwrap().parse().unwrap();
    let (manner, endpoint) = head.uri.path()[1..].split_once('/').unwrap();
    if body.collect().await.is_err() {
        // Cut off by a kill, so no receiver would have seen it.
        return Ok(Response::default());
    }
    let event = header("webhook-id");
    let taken = {
        let mut arrivals = state.arrivals.lock().unwrap();
        let before = arrivals.entry((endpoint.to_owned(), event.clone())).or_default();
        let taken = match manner {
            "Healthy" => true,
            "Moody" => !state.bad_mood.load(SeqCst),
            _ => !before.is_empty() || !is_trouble(&event),
        };
        before.push(Arrival { life, taken });
        taken
    };
    if !taken && manner == "Hanging" {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(Full::default());
    if !taken {
        *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}
