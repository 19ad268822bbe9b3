//! Connections are reused, and a reused one that turns out closed costs nothing.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hookwright::clock::Clock;
use hookwright::domain::{FailureKind, Phase};
use hookwright::sender::{Sender, SenderConfig};

use super::harness::{TIMEOUT, answered, clock, failed, loopback, post, send, sender, settle};
use crate::support::receiver::{Receiver, Reply, Script, Step};

const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers the first request on each connection, and does `then` with the second.
fn first_then(then: Reply) -> Script {
    let served = std::sync::Mutex::new(std::collections::HashSet::new());
    Script::by(move |request| {
        let is_first = served.lock().unwrap().insert(request.connection);
        if is_first { Reply::status(200) } else { then.clone() }
    })
}

async fn send_at_once(sender: &Sender, receiver: &Receiver, count: usize) {
    let attempts = (0..count).map(|_| {
        let (sender, wire) = (sender.clone(), post(receiver.url("/")));
        tokio::spawn(async move { sender.attempt(&wire, &loopback(), TIMEOUT).await })
    });
    for attempt in attempts.collect::<Vec<_>>() {
        answered(attempt.await.unwrap());
    }
}

#[tokio::test]
async fn one_after_the_other_share_one_connection() {
    let receiver = Receiver::start(Reply::status(200).body("ok")).await;
    let sender = sender(&clock());
    for _ in 0..20 {
        answered(send(&sender, receiver.url("/")).await);
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (20, 1));
    assert_eq!(sender.idle_connections(), 1);
}

#[tokio::test]
async fn as_many_connections_as_attempts_at_once() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    for _ in 0..5 {
        send_at_once(&sender, &receiver, 8).await;
    }
    assert_eq!(receiver.requests().len(), 40);
    assert_eq!(receiver.connections(), 8);
}

#[tokio::test]
async fn a_connection_that_waited_too_long_is_not_used() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let clock = clock();
    let sender = sender(&clock);
    answered(send(&sender, receiver.url("/")).await);
    clock.advance(IDLE_TIMEOUT - Duration::from_micros(1));
    answered(send(&sender, receiver.url("/")).await);
    assert_eq!(receiver.connections(), 1);
    clock.advance(IDLE_TIMEOUT);
    answered(send(&sender, receiver.url("/")).await);
    assert_eq!(receiver.connections(), 2);
    receiver.wait_for_closed(1).await;
}

#[tokio::test]
async fn sending_elsewhere_closes_what_waited_too_long() {
    let (quiet, busy) =
        (Receiver::start(Reply::status(200)).await, Receiver::start(Reply::status(200)).await);
    let clock = clock();
    let sender = sender(&clock);
    send_at_once(&sender, &quiet, 4).await;
    clock.advance(IDLE_TIMEOUT);
    answered(send(&sender, busy.url("/")).await);
    quiet.wait_for_closed(4).await;
    assert_eq!(sender.idle_connections(), 1);
}

#[tokio::test]
async fn idle_connections_are_closed_on_demand() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let clock = clock();
    let sender = sender(&clock);
    send_at_once(&sender, &receiver, 3).await;
    sender.sweep_idle();
    assert_eq!(sender.idle_connections(), 3, "none has waited long");
    clock.advance(IDLE_TIMEOUT);
    sender.sweep_idle();
    assert_eq!(sender.idle_connections(), 0);
    receiver.wait_for_closed(3).await;

    answered(send(&sender, receiver.url("/")).await);
    sender.close_idle();
    assert_eq!(sender.idle_connections(), 0);
    receiver.wait_for_closed(4).await;
}

#[tokio::test]
async fn a_host_keeps_no_more_than_its_share() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let config = SenderConfig { idle_connections_per_host: 2, ..SenderConfig::default() };
    let sender = Sender::new(config, clock()).unwrap();
    send_at_once(&sender, &receiver, 6).await;
    assert_eq!(sender.idle_connections(), 2);
    receiver.wait_for_closed(4).await;
}

#[tokio::test]
async fn all_hosts_together_keep_no_more_than_the_limit() {
    let clock = clock();
    let config = SenderConfig { idle_connections: 3, ..SenderConfig::default() };
    let sender = Sender::new(config, clock.clone()).unwrap();
    let mut receivers = Vec::new();
    for _ in 0..12 {
        let receiver = Receiver::start(Reply::status(200)).await;
        answered(send(&sender, receiver.url("/")).await);
        clock.advance(Duration::from_secs(1));
        receivers.push(receiver);
        assert!(sender.idle_connections() <= 3);
    }
    assert_eq!(sender.idle_connections(), 3);

    let none = SenderConfig { idle_connections: 0, ..SenderConfig::default() };
    let sender = Sender::new(none, clock).unwrap();
    answered(send(&sender, receivers[0].url("/")).await);
    assert_eq!(sender.idle_connections(), 0);
}

#[tokio::test]
async fn the_host_in_use_displaces_its_own_oldest_connection() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let config = SenderConfig { idle_connections: 2, ..SenderConfig::default() };
    let sender = Sender::new(config, clock()).unwrap();
    send_at_once(&sender, &receiver, 5).await;
    assert_eq!(sender.idle_connections(), 2);
    receiver.wait_for_closed(3).await;
    answered(send(&sender, receiver.url("/")).await);
    assert_eq!(receiver.requests().last().unwrap().connection, 4, "the one used last");
}

#[tokio::test]
async fn a_receiver_that_says_close_is_obeyed() {
    let receiver = Receiver::start(Reply::status(200).header("Connection", "close")).await;
    let sender = sender(&clock());
    for _ in 0..3 {
        answered(send(&sender, receiver.url("/")).await);
        assert_eq!(sender.idle_connections(), 0);
    }
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_noticed_before_it_is_used() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    send_at_once(&sender, &receiver, 3).await;
    receiver.close_idle();
    receiver.wait_for_closed(3).await;
    settle().await;
    answered(send(&sender, receiver.url("/")).await);
    assert_eq!((receiver.requests().len(), receiver.connections()), (4, 4));
    assert_eq!(sender.idle_connections(), 1);
}

#[tokio::test]
async fn what_an_idle_connection_says_unasked_makes_it_unfit() {
    let bye = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{bye}");
    let receiver = Receiver::start(Reply::raw(answer, [])).await;
    let sender = sender(&clock());
    for _ in 0..3 {
        assert_eq!(answered(send(&sender, receiver.url("/")).await).status, 200);
    }
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn a_connection_closed_under_a_request_is_replaced_within_the_attempt() {
    for close in [Step::Close, Step::Reset] {
        let receiver = Receiver::start(first_then(Reply::step(close))).await;
        let sender = sender(&clock());
        answered(send(&sender, receiver.url("/1")).await);
        assert_eq!(answered(send(&sender, receiver.url("/2")).await).status, 200);
        let requests = receiver.requests();
        let seen: Vec<(usize, &str)> =
            requests.iter().map(|request| (request.connection, &request.target[..])).collect();
        assert_eq!(seen, [(0, "/1"), (0, "/2"), (1, "/2")]);
        assert_eq!(requests[1].body, requests[2].body);
    }
}

/// The farewell crosses the next request at every moment there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receiver_that_closes_after_answers_costs_no_attempt() {
    let count = AtomicUsize::new(0);
    let receiver = Receiver::start(Script::by(move |_| {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let closes = count.fetch_add(1, SeqCst) % 3 == 2;
        Reply::raw(answer, closes.then_some(Step::Close))
    }))
    .await;
    let sender = Sender::new(SenderConfig::default(), Clock::system()).unwrap();
    let workers = (0..16).map(|_| {
        let (sender, wire) = (sender.clone(), post(receiver.url("/")));
        tokio::spawn(async move {
            for _ in 0..100 {
                answered(sender.attempt(&wire, &loopback(), TIMEOUT).await);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    assert_eq!(receiver.requests().len(), 1_600, "each arrived once");
}

#[tokio::test]
async fn the_second_try_takes_a_new_connection_and_is_the_last() {
    let count = AtomicUsize::new(0);
    let receiver = Receiver::start(Script::by(move |_| match count.fetch_add(1, SeqCst) {
        0..3 => Reply::status(200),
        _ => Reply::step(Step::Close),
    }))
    .await;
    let sender = sender(&clock());
    send_at_once(&sender, &receiver, 3).await;
    assert_eq!(sender.idle_connections(), 3);
    let failure = failed(send(&sender, receiver.url("/")).await);
    assert_eq!((failure.kind, failure.phase), (FailureKind::Reset, Some(Phase::Wait)));
    let connections: Vec<usize> =
        receiver.requests()[3..].iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), 2);
    assert!(connections[0] < 3, "the first try was on one that waited");
    assert_eq!(connections[1], 3, "the second on a new one");
}

#[tokio::test]
async fn an_answer_that_began_is_never_asked_for_again() {
    for text in ["HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"] {
        let receiver = Receiver::start(first_then(Reply::raw(text, [Step::Close]))).await;
        let sender = sender(&clock());
        answered(send(&sender, receiver.url("/")).await);
        let failure = failed(send(&sender, receiver.url("/")).await);
        assert_eq!(failure.kind, FailureKind::Reset);
        assert_eq!((receiver.requests().len(), receiver.connections()), (2, 1));
    }
}

#[tokio::test]
async fn hosts_and_ports_do_not_share_connections() {
    let one = Receiver::start(Reply::status(200)).await;
    let sender = sender(&clock());
    answered(send(&sender, one.url("/")).await);
    answered(send(&sender, one.url_for("localhost", "/")).await);
    answered(send(&sender, one.url_for("127.0.0.1", "/")).await);
    assert_eq!(one.connections(), 2);
}
