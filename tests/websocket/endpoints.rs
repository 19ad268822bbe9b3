//! Endpoints: which transports there are, changing from one to the other, and what becomes of
//! the connection.

use serde_json::{Value, json};

use super::harness::{EVENT, form, publish, server, succeeded, workspace};
use super::support::receiver::{Receiver, Reply};
use super::support::server::TestServer;
use super::support::tenant::{Tenant, refused};
use super::support::websocket_receiver::WebsocketReceiver;

fn webhook(url: &str) -> Value {
    json!({ "name": "Plain", "url": url, "filterTypes": [EVENT] })
}

#[tokio::test]
async fn the_transport_is_a_webhook_unless_it_is_said_otherwise() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let made = workspace.register(webhook("https://example.com/")).await.expect(201);
    assert_eq!(made["transport"], "webhook");
    let made = workspace.register(form("wss://example.com/")).await.expect(201);
    assert_eq!(made["transport"], "websocket");
    let id = made["id"].as_str().unwrap();
    assert_eq!(workspace.show(id).await["transport"], "websocket");
    // What is left out of a replacement stays.
    let path = format!("/api/v1/app/workspace-1/endpoint/{id}");
    let fields = json!({ "name": "Live", "url": "wss://example.com/2", "filterTypes": [EVENT] });
    let replaced = server.call("klink", "PUT", &path, fields).await.expect(200);
    assert_eq!(replaced["transport"], "websocket");
}

#[tokio::test]
async fn url_and_transport_have_to_agree() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let said = refused(workspace.register(form("https://example.com/")).await, "url");
    assert_eq!(said, "The URL must begin with wss:// or ws://.");
    let said = refused(workspace.register(webhook("wss://example.com/")).await, "url");
    assert_eq!(said, "The URL must begin with https:// or http://.");

    let id = workspace.endpoint(webhook("https://example.com/")).await;
    for change in [json!({ "transport": "websocket" }), json!({ "url": "wss://example.com/" })] {
        refused(workspace.change(&id, change).await, "url");
        assert_eq!(workspace.show(&id).await["url"], "https://example.com/");
        assert_eq!(workspace.show(&id).await["transport"], "webhook");
    }
    let both = json!({ "transport": "websocket", "url": "wss://example.com/" });
    assert_eq!(workspace.change(&id, both).await.expect(200)["transport"], "websocket");
    let back = json!({ "transport": "webhook", "url": "https://example.com/" });
    assert_eq!(workspace.change(&id, back).await.expect(200)["transport"], "webhook");
}

#[tokio::test]
async fn a_transport_that_is_not_offered_is_refused() {
    let server = TestServer::start(&["standard", "klink"]).await;
    let standard = Tenant::new(&server, "standard", "acme").await;
    let fields = json!({ "transport": "websocket", "url": "wss://example.com/" });
    let said = refused(standard.register(fields).await, "transport");
    assert_eq!(said, "The transport must be one of webhook.");
    let workspace = workspace(&server).await;
    for unknown in ["WebSocket", "sse", ""] {
        let mut fields = form("wss://example.com/");
        fields["transport"] = json!(unknown);
        let said = refused(workspace.register(fields).await, "transport");
        assert_eq!(said, format!("`{unknown}` is not a transport"));
    }
}

#[tokio::test]
async fn an_endpoint_can_change_over_and_back() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let http = Receiver::start(Reply::status(200)).await;
    let live = WebsocketReceiver::answering(200).await;
    let id = workspace.endpoint(webhook(http.url("/hook").as_str())).await;
    let delivered = async || {
        let message = publish(&server, "{}").await;
        succeeded(&server, &message).await;
        (http.requests().len(), live.frames().len())
    };
    assert_eq!(delivered().await, (1, 0));
    let over = json!({ "transport": "websocket", "url": live.url("/live") });
    workspace.change(&id, over).await.expect(200);
    assert_eq!(delivered().await, (1, 1));
    let back = json!({ "transport": "webhook", "url": http.url("/hook").as_str() });
    workspace.change(&id, back).await.expect(200);
    assert_eq!(live.wait_for_close(0).await.code, Some(1000));
    assert_eq!(delivered().await, (2, 1));
}

/// An endpoint with an open connection, and what closes it.
async fn closes(what: &str) {
    let server = server().await;
    let workspace = workspace(&server).await;
    let receiver = WebsocketReceiver::answering(200).await;
    let id = workspace.endpoint(form(&receiver.url("/"))).await;
    let message = publish(&server, "{}").await;
    succeeded(&server, &message).await;
    assert!(!receiver.connections()[0].closed);
    match what {
        "disabled" => drop(workspace.change(&id, json!({ "disabled": true })).await.expect(200)),
        "deleted" => workspace.delete(&id).await,
        "moved" => {
            let elsewhere = json!({ "url": receiver.url("/elsewhere") });
            workspace.change(&id, elsewhere).await.expect(200);
        }
        _ => {
            let path = "/api/v1/app/workspace-1";
            server.call("klink", "DELETE", path, Value::Null).await.expect(204);
        }
    }
    assert_eq!(receiver.wait_for_close(0).await.code, Some(1000), "{what}");
}

#[tokio::test]
async fn a_disabled_endpoint_is_hung_up_on() {
    closes("disabled").await;
}

#[tokio::test]
async fn a_deleted_endpoint_is_hung_up_on() {
    closes("deleted").await;
}

#[tokio::test]
async fn an_endpoint_that_moved_is_hung_up_on() {
    closes("moved").await;
}

#[tokio::test]
async fn the_endpoints_of_a_deleted_application_are_hung_up_on() {
    closes("application").await;
}

#[tokio::test]
async fn a_paused_endpoint_is_hung_up_on_and_delivers_when_it_is_enabled() {
    let server = server().await;
    let workspace = workspace(&server).await;
    let receiver = WebsocketReceiver::start(|frame| {
        let status = if frame.json["body"]["data"]["bad"] == true { 500 } else { 200 };
        vec![frame.with(status)]
    })
    .await;
    let id = workspace.endpoint(form(&receiver.url("/"))).await;
    // More than fifty failures within the hour pause it.
    for _ in 0..51 {
        publish(&server, r#"{"bad":true}"#).await;
    }
    super::support::server::eventually("the pause", async || {
        workspace.show(&id).await["paused"] == true
    })
    .await;
    receiver.wait_for_close(0).await;
    let waiting = publish(&server, "{}").await;
    let before = receiver.connections().len();
    assert!(server.attempts("klink", "workspace-1", &waiting).await.is_empty());
    workspace.change(&id, json!({ "disabled": false })).await.expect(200);
    succeeded(&server, &waiting).await;
    assert!(receiver.connections().len() > before);
}
