//! Limits of connections, deliveries and dials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use futures_util::SinkExt;
use hookwright::contract::WireMessage;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::harness::{TIMEOUT, World, answered, endpoint, failed};
use super::support::server::eventually;
use super::support::websocket_receiver::{Action, WebsocketReceiver};

/// Hangs up on everybody, and counts.
async fn slammer() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let dials = Arc::new(AtomicUsize::new(0));
    let counting = dials.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counting.fetch_add(1, SeqCst);
            drop(stream);
        }
    });
    (url, dials)
}

#[tokio::test]
async fn a_receiver_that_is_down_is_dialled_once_for_all_who_wait() {
    let world = World::new(|_| {});
    let (url, dials) = slammer().await;
    let attempts: Vec<_> = (0..50).map(|n| world.start(&url, &n.to_string())).collect();
    for attempt in attempts {
        let failure = failed(attempt.await.unwrap());
        assert_eq!(failure.kind.as_str(), "reset");
        assert_eq!(failure.causes[0], "The receiver broke off the websocket's handshake.");
    }
    assert_eq!(dials.load(SeqCst), 1);
    // Each further dial waits twice as long, up to 30 s.
    for (number, wait) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        let attempt = world.start(&url, "again");
        let seconds = world.pass_until(|| attempt.is_finished()).await;
        assert_eq!(seconds, wait, "dial {}", number + 2);
        assert_eq!(dials.load(SeqCst), number + 2);
        failed(attempt.await.unwrap());
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_dialled_by_one_at_a_time() {
    let world = World::new(|_| {});
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let attempts: Vec<_> = (0..20).map(|n| world.start(&url, &n.to_string())).collect();
    let _hanging = listener.accept().await.unwrap();
    world.clock.advance(TIMEOUT);
    for attempt in attempts {
        let failure = failed(attempt.await.unwrap());
        assert_eq!(failure.kind.as_str(), "timeout");
        assert_eq!(failure.causes, ["The receiver didn't take the connection within 100s."]);
    }
    let others = std::pin::pin!(listener.accept());
    assert!(futures_util::poll!(others).is_pending(), "somebody else dialled");
}

#[tokio::test]
async fn a_receiver_that_never_stops_talking_holds_nothing_up() {
    let world = World::new(|_| {});
    // Only the first of them acknowledges anything.
    let receiver = WebsocketReceiver::start(|frame| vec![frame.with(200); 5_000]).await;
    for number in 0..20 {
        answered(world.start(&receiver.url("/"), &number.to_string()).await.unwrap());
    }
    assert_eq!(receiver.connections().len(), 1);
}

/// Takes websockets and talks over them, but reads nothing. Counts those it was left by.
async fn deaf_talker() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let left = Arc::new(AtomicUsize::new(0));
    let counting = left.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counting = counting.clone();
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                while socket.send(Message::Pong(Bytes::new())).await.is_ok() {
                    tokio::task::yield_now().await;
                }
                counting.fetch_add(1, SeqCst);
            });
        }
    });
    (url, left)
}

#[tokio::test]
async fn a_receiver_that_talks_but_does_not_listen_is_left() {
    let world = World::new(|config| config.in_flight = 2);
    let (url, left) = deaf_talker().await;
    for round in 0..3 {
        let attempts: Vec<_> = (0..2)
            .map(|number| {
                let message = world.message(&url, &format!("{round}-{number}"));
                // More than sockets hold.
                let frame = "x".repeat(16 << 20);
                world.start_message(WireMessage { frame, ..message }, world.guard.clone())
            })
            .collect();
        world.pass_until(|| attempts.iter().all(JoinHandle::is_finished)).await;
        for attempt in attempts {
            assert_eq!(failed(attempt.await.unwrap()).kind.as_str(), "timeout");
        }
    }
    eventually("the connection to be given up", async || left.load(SeqCst) > 0).await;
}

#[tokio::test]
async fn one_acknowledgement_ends_the_caution() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::start(|frame| match frame.id().as_str() {
        "bad" => vec![Action::Drop],
        _ => vec![frame.with(200)],
    })
    .await;
    let url = receiver.url("/");
    let wait = async |id: &str| {
        let attempt = world.start(&url, id);
        let seconds = world.pass_until(|| attempt.is_finished()).await;
        drop(attempt.await.unwrap());
        seconds
    };
    // A connection that brings nothing counts like a dial that fails.
    assert_eq!(wait("bad").await, 0);
    assert_eq!(wait("bad").await, 1);
    assert_eq!(wait("bad").await, 2);
    assert_eq!(wait("good").await, 4);
    assert_eq!(wait("bad").await, 0);
    assert_eq!(wait("bad").await, 0);
    assert_eq!(wait("bad").await, 1);
}

#[tokio::test]
async fn no_more_deliveries_are_in_flight_than_may_be() {
    let world = World::new(|config| config.in_flight = 2);
    let receiver = WebsocketReceiver::silent().await;
    let attempts: Vec<_> =
        (0..5).map(|n| world.start(&receiver.url("/"), &n.to_string())).collect();
    for done in 0..5 {
        let expected = (done + 2).min(5);
        let frames = receiver.wait_for(expected).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(receiver.frames().len(), expected);
        receiver.acknowledge(&frames[done], 200);
    }
    for attempt in attempts {
        answered(attempt.await.unwrap());
    }
    assert_eq!(receiver.connections().len(), 1);
}

#[tokio::test]
async fn a_connection_carries_so_many_deliveries_and_then_another_does() {
    let world = World::new(|config| config.deliveries = 3);
    let receiver = WebsocketReceiver::answering(200).await;
    for number in 0..7 {
        answered(world.start(&receiver.url("/"), &number.to_string()).await.unwrap());
    }
    let connections: Vec<usize> = receiver.frames().iter().map(|one| one.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 1, 1, 2]);
    assert_eq!(receiver.wait_for_close(0).await.code, Some(1000));
    receiver.wait_for_close(1).await;
}

#[tokio::test]
async fn where_all_connections_are_taken_the_one_that_waited_longest_makes_room() {
    let world = World::new(|config| config.connections = 2);
    let receiver = WebsocketReceiver::answering(200).await;
    let url = receiver.url("/");
    for (number, id) in [(1, "a"), (2, "b"), (1, "c")] {
        answered(world.start_for(endpoint(number), &url, id).await.unwrap());
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(world.sender.open_websockets(), 2);
    // It is this server's own limit, so it is not held against the endpoint.
    let failure = failed(world.start_for(endpoint(3), &url, "d").await.unwrap());
    assert_eq!(failure.kind.as_str(), "local");
    assert_eq!(receiver.wait_for_close(1).await.code, Some(1000));
    assert!(!receiver.connections()[0].closed);
    eventually("room", async || world.sender.open_websockets() == 1).await;
    answered(world.start_for(endpoint(3), &url, "d").await.unwrap());
}

#[tokio::test]
async fn limits_of_nothing_are_refused() {
    use hookwright::clock::Clock;
    use hookwright::sender::{Sender, SenderConfig};
    let mut config = SenderConfig::default();
    config.websocket.in_flight = 0;
    let refused = Sender::new(config, Clock::system()).unwrap_err();
    assert_eq!(refused.to_string(), "in_flight of websockets must be at least 1");
}
