//! One time limit covers everything, and the phase in which it ran out is told.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use hookwright::clock::Clock;
use hookwright::domain::{Failure, FailureKind, Method, Phase, Timing};
use hookwright::sender::{Resolver, Sender, SenderConfig, Sent};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use super::harness::{
    TIMEOUT, answered, clock, failed, loopback, post, request, send, sender, settle,
};
use crate::support::receiver::{Options, Receiver, Reply, Step};

fn start(sender: &Sender, url: Url) -> JoinHandle<Sent> {
    let sender = sender.clone();
    tokio::spawn(async move { send(&sender, url).await })
}

/// Lets the time run out and checks what is said about it.
async fn run_out(clock: &Clock, attempt: JoinHandle<Sent>, phase: Phase) -> (Failure, Timing) {
    settle().await;
    clock.advance(TIMEOUT - Duration::from_micros(1));
    settle().await;
    assert!(!attempt.is_finished(), "ended too early");
    clock.advance(Duration::from_micros(1));
    let sent = attempt.await.unwrap();
    assert_eq!(sent.duration, TIMEOUT);
    let timing = sent.timing;
    let failure = failed(sent);
    assert_eq!((failure.kind, failure.phase), (FailureKind::Timeout, Some(phase)), "{failure:?}");
    assert!(failure.causes[0].ends_with("within 15s."), "{failure:?}");
    (failure, timing)
}

/// A listener whose queue is full, so that the system ignores who else wants to connect.
async fn full_listener(address: &str) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = in_real_time(TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    (listener, waiting)
}

#[allow(clippy::disallowed_methods)] // The system's queue is not ours to simulate.
async fn in_real_time<T>(
    future: impl Future<Output = T>,
) -> Result<T, tokio::time::error::Elapsed> {
    tokio::time::timeout(Duration::from_millis(200), future).await
}

#[tokio::test]
async fn while_resolving() {
    let clock = clock();
    let resolver = Resolver::custom(|_| std::future::pending::<io::Result<Vec<_>>>());
    let config = SenderConfig { resolver, ..SenderConfig::default() };
    let sender = Sender::new(config, clock.clone()).unwrap();
    let attempt = start(&sender, Url::parse("http://slow.example/").unwrap());
    let (failure, timing) = run_out(&clock, attempt, Phase::Resolve).await;
    assert!(failure.causes[0].contains("wasn't resolved"));
    assert_eq!(timing, Timing { resolve_us: 15_000_000, ..Timing::default() });
}

#[tokio::test]
async fn while_connecting() {
    let (listener, _waiting) = full_listener("127.0.0.1:0").await;
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let clock = clock();
    let attempt = start(&sender(&clock), url);
    let (_, timing) = run_out(&clock, attempt, Phase::Connect).await;
    assert_eq!(timing, Timing { connect_us: 15_000_000, ..Timing::default() });
}

#[tokio::test]
async fn a_silent_address_leaves_time_for_the_next() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let (_listener, _waiting) = full_listener(&format!("127.0.0.2:{}", receiver.port())).await;
    let addresses = vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    let names = HashMap::from([("two.example".to_owned(), addresses)]);
    let config = SenderConfig { resolver: Resolver::fixed(names), ..SenderConfig::default() };
    let clock = clock();
    let sender = Sender::new(config, clock.clone()).unwrap();
    let attempt = start(&sender, receiver.url_for("two.example", "/"));
    settle().await;
    assert_eq!(receiver.connections(), 0);
    clock.advance(Duration::from_secs(5));
    let sent = attempt.await.unwrap();
    assert_eq!(sent.timing.connect_us, 5_000_000);
    assert_eq!(answered(sent).status, 200);
}

#[tokio::test]
async fn while_shaking_hands() {
    let options = Options { greeting: Some(vec![Step::Hang]), ..Options::default() };
    let receiver = Receiver::start_with(options, Reply::status(200)).await;
    let mut url = receiver.url("/");
    url.set_scheme("https").unwrap();
    let clock = clock();
    let attempt = start(&sender(&clock), url);
    receiver.wait_for_connections(1).await;
    let (_, timing) = run_out(&clock, attempt, Phase::Tls).await;
    assert_eq!(timing, Timing { tls_us: 15_000_000, ..Timing::default() });
    receiver.wait_for_closed(1).await;
}

#[tokio::test]
async fn while_sending() {
    let options = Options { greeting: Some(vec![Step::Deaf]), ..Options::default() };
    let receiver = Receiver::start_with(options, Reply::status(200)).await;
    let clock = clock();
    let sender = sender(&clock);
    let wire = request(Method::Post, receiver.url("/"), &[], &vec![b'x'; 32 << 20]);
    let attempt = tokio::spawn(async move { sender.attempt(&wire, &loopback(), TIMEOUT).await });
    receiver.wait_for_connections(1).await;
    let (failure, _) = run_out(&clock, attempt, Phase::Send).await;
    assert!(failure.causes[0].contains("take the whole request"));
}

#[tokio::test]
async fn while_waiting_for_the_answer() {
    let receiver = Receiver::start(Reply::step(Step::Hang)).await;
    let clock = clock();
    let sender = sender(&clock);
    let attempt = start(&sender, receiver.url("/"));
    receiver.wait_for(1).await;
    let (_, timing) = run_out(&clock, attempt, Phase::Wait).await;
    assert_eq!(timing, Timing { wait_us: 15_000_000, ..Timing::default() });
    receiver.wait_for_closed(1).await;
    assert_eq!(sender.idle_connections(), 0);
}

#[tokio::test]
async fn while_receiving() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    let drip = Step::Drip(b'x', Duration::from_secs(3_600));
    for then in [Step::Hang, drip] {
        let receiver = Receiver::start(Reply::raw(head, [then])).await;
        let clock = clock();
        let sender = sender(&clock);
        let attempt = start(&sender, receiver.url("/"));
        receiver.wait_for(1).await;
        let (_, timing) = run_out(&clock, attempt, Phase::Receive).await;
        assert_eq!(timing, Timing { receive_us: 15_000_000, ..Timing::default() });
        assert_eq!(sender.idle_connections(), 0);
    }
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    let drip = Step::Drip(b'x', Duration::from_millis(1));
    let receiver = Receiver::start(Reply::raw(head, [drip])).await;
    let clock = Clock::system();
    let limit = Duration::from_millis(80);
    let wire = post(receiver.url("/"));
    let sent = sender(&clock).attempt(&wire, &loopback(), limit).await;
    assert!(sent.duration >= limit);
    let failure = failed(sent);
    assert_eq!((failure.kind, failure.phase), (FailureKind::Timeout, Some(Phase::Receive)));
    receiver.wait_for_closed(1).await;
}

#[tokio::test]
async fn an_attempt_that_is_dropped_takes_its_connection_with_it() {
    let replies = vec![Reply::status(200), Reply::step(Step::Hang), Reply::status(200)];
    let receiver = Receiver::start(crate::support::receiver::Script::sequence(replies)).await;
    let sender = sender(&clock());
    answered(send(&sender, receiver.url("/1")).await);
    assert_eq!(sender.idle_connections(), 1);

    let attempt = start(&sender, receiver.url("/2"));
    receiver.wait_for(2).await;
    attempt.abort();
    assert!(attempt.await.unwrap_err().is_cancelled());
    receiver.wait_for_closed(1).await;
    assert_eq!(sender.idle_connections(), 0);

    answered(send(&sender, receiver.url("/3")).await);
    let requests = receiver.requests();
    let connections: Vec<usize> = requests.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}
