//! Keeping a connection: used again, tried with pings, closed when it should be.

use std::time::Duration;

use hookwright::sender::Guard;
use serde_json::json;

use super::harness::{World, answered, failed, form, publish, server, succeeded, workspace};
use super::support::server::eventually;
use super::support::websocket_receiver::{Action, WebsocketReceiver};

#[tokio::test]
async fn many_deliveries_share_one_connection() {
    let server = server().await;
    let receiver = WebsocketReceiver::answering(200).await;
    let workspace = workspace(&server).await;
    workspace.endpoint(form(&receiver.url("/"))).await;
    let mut messages = Vec::new();
    for number in 0..150 {
        messages.push(publish(&server, &json!({ "n": number }).to_string()).await);
    }
    for message in &messages {
        succeeded(&server, message).await;
    }
    let mut ids: Vec<String> = receiver.frames().iter().map(|frame| frame.id()).collect();
    ids.sort();
    messages.sort();
    assert_eq!(ids, messages);
    assert_eq!(receiver.connections().len(), 1);
}

#[tokio::test]
async fn pings_keep_a_connection_that_is_alive() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::answering(200).await;
    answered(world.start(&receiver.url("/"), "1").await.unwrap());
    let pings = || receiver.connections()[0].pings;
    let seconds = world.pass_until(|| pings() == 5).await;
    assert!((100..110).contains(&seconds), "{seconds}");
    answered(world.start(&receiver.url("/"), "2").await.unwrap());
    assert_eq!(receiver.connections().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_answers_no_ping_is_given_up() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::start(|_| vec![Action::GoDeaf]).await;
    let attempt = world.start(&receiver.url("/"), "1");
    receiver.wait_for(1).await;
    let seconds = world.pass_until(|| attempt.is_finished()).await;
    // A ping after 20 s, and 10 s to answer it.
    assert!((30..40).contains(&seconds), "{seconds}");
    let failure = failed(attempt.await.unwrap());
    assert_eq!(failure.kind.as_str(), "timeout");
    assert_eq!(failure.causes, ["The receiver didn't answer a ping within 10s."]);
    // Nor does the connection come back.
    let again = world.start(&receiver.url("/"), "2");
    world.pass_until(|| receiver.frames().len() == 2).await;
    assert_eq!(receiver.frames()[1].connection, 1);
    again.abort();
}

#[tokio::test]
async fn a_connection_without_deliveries_is_closed_in_time() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::answering(200).await;
    answered(world.start(&receiver.url("/"), "1").await.unwrap());
    assert_eq!(world.sender.open_websockets(), 1);
    let seconds = world.pass_until(|| receiver.connections()[0].closed).await;
    assert!((300..310).contains(&seconds), "{seconds}");
    assert_eq!(receiver.connections()[0].code, Some(1000));
    eventually("no connection", async || world.sender.open_websockets() == 0).await;
    // It counts as used, not as lost: the next delivery is not kept waiting.
    answered(world.start(&receiver.url("/"), "2").await.unwrap());
    assert_eq!(receiver.connections().len(), 2);
}

#[tokio::test]
async fn what_is_in_flight_ends_before_its_connection_is_closed() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::silent().await;
    let first = world.start(&receiver.url("/"), "1");
    let frame = receiver.wait_for(1).await[0].clone();
    world.close();
    let second = world.start(&receiver.url("/"), "2");
    assert_eq!(receiver.wait_for(2).await[1].connection, 1);
    assert!(!receiver.connections()[0].closed);
    receiver.acknowledge(&frame, 200);
    answered(first.await.unwrap());
    assert_eq!(receiver.wait_for_close(0).await.code, Some(1000));
    receiver.acknowledge(&receiver.frames()[1], 200);
    answered(second.await.unwrap());
    assert!(!receiver.connections()[1].closed);
}

#[tokio::test]
async fn an_event_that_is_sent_again_while_in_flight_is_not_confused_with_itself() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::silent().await;
    let url = receiver.url("/");
    let first = world.start(&url, "twin");
    let frame = receiver.wait_for(1).await[0].clone();
    let second = world.start(&url, "twin");
    let twin = receiver.wait_for(2).await[1].clone();
    assert_eq!((frame.connection, twin.connection), (0, 1));
    receiver.acknowledge(&twin, 500);
    assert_eq!(answered(second.await.unwrap()).status, 500);
    assert!(!first.is_finished());
    receiver.acknowledge(&frame, 200);
    assert_eq!(answered(first.await.unwrap()).status, 200);
}

#[tokio::test]
async fn a_connection_serves_only_what_it_was_opened_for() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::answering(200).await;
    let deliver = async |url: &str, id: &str, token: Option<&str>| {
        let mut message = world.message(url, id);
        if let Some(token) = token {
            message.handshake.insert("authorization", token.parse().unwrap());
        }
        answered(world.start_message(message, world.guard.clone()).await.unwrap());
        receiver.frames().last().unwrap().connection
    };
    let (here, there) = (receiver.url("/here"), receiver.url("/there"));
    assert_eq!(deliver(&here, "1", None).await, 0);
    assert_eq!(deliver(&here, "2", None).await, 0);
    assert_eq!(deliver(&here, "3", Some("one")).await, 1);
    receiver.wait_for_close(0).await;
    assert_eq!(deliver(&here, "4", Some("two")).await, 2);
    assert_eq!(deliver(&there, "5", Some("two")).await, 3);
    assert_eq!(receiver.connections()[3].header("authorization"), Some("two"));
    // An open connection is no way around a guard that wouldn't have it opened.
    let mut message = world.message(&there, "6");
    message.handshake.insert("authorization", "two".parse().unwrap());
    let failure = failed(world.start_message(message, Guard::public()).await.unwrap());
    assert_eq!(failure.kind.as_str(), "blocked");
    assert_eq!(receiver.frames().len(), 5);
}

#[tokio::test]
async fn a_receivers_good_bye_is_reported_with_its_code() {
    let world = World::new(|_| {});
    let receiver = WebsocketReceiver::start(|_| vec![Action::Close(1012, "restarting")]).await;
    let failure = failed(world.start(&receiver.url("/"), "1").await.unwrap());
    assert_eq!(failure.kind.as_str(), "reset");
    assert_eq!(
        failure.causes,
        [
            "The receiver closed the connection before it acknowledged the event.",
            "It closed with the code 1012: restarting"
        ]
    );
    receiver.wait_for_close(0).await;
}

#[tokio::test]
async fn stopping_the_server_closes_its_connections() {
    let mut server = server().await;
    let receiver = WebsocketReceiver::answering(200).await;
    let id = {
        let workspace = workspace(&server).await;
        workspace.endpoint(form(&receiver.url("/"))).await
    };
    let message = publish(&server, "{}").await;
    succeeded(&server, &message).await;
    server.restart().await;
    assert_eq!(receiver.wait_for_close(0).await.code, Some(1000));
    let path = format!("/api/v1/app/workspace-1/endpoint/{id}");
    let shown = server.call("klink", "GET", &path, json!(null)).await.expect(200);
    assert_eq!(shown["transport"], "websocket");
    let message = publish(&server, "{}").await;
    succeeded(&server, &message).await;
    assert_eq!(receiver.connections().len(), 2);
    server.clock.advance(Duration::from_secs(1));
}
