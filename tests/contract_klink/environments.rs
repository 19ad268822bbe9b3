//! Development and Production: isolated from each other.

use serde_json::{Value, json};

use super::support::environments::configure;
use super::support::receiver::Receiver;
use super::support::server::{TestServer, eventually};
use super::{Tenant, assert_signed, computed, form, receiver};

const ENVIRONMENTS: [(&str, &str); 2] = [("development", "klink"), ("production", "klink")];

async fn server() -> TestServer {
    TestServer::start_with(&[], |config| configure(config, &ENVIRONMENTS, true)).await
}

async fn webhook(tenant: &Tenant<'_>, receiver: &Receiver) -> String {
    tenant.endpoint(form(receiver.url("/hook").as_str())).await
}

#[tokio::test]
async fn an_event_never_reaches_a_webhook_of_the_other_environment() {
    let server = server().await;
    let (in_development, in_production) = (receiver().await, receiver().await);
    // The same workspace, by the same name, in both.
    let development = Tenant::new(&server, "development", "workspace-1").await;
    let production = Tenant::new(&server, "production", "workspace-1").await;
    webhook(&development, &in_development).await;
    webhook(&production, &in_production).await;
    for n in 0..10 {
        let (tenant, receiver, name) = match n % 2 {
            0 => (&development, &in_development, "development"),
            _ => (&production, &in_production, "production"),
        };
        let one = tenant.deliver(receiver, "contact.created", &n.to_string()).await;
        let body: Value = serde_json::from_str(one.body()).unwrap();
        assert_eq!(body["environment"], name);
        assert_eq!(server.deliveries(name, "workspace-1", one.id()).await.len(), 1);
    }
    eventually("an empty backlog", async || {
        server.ledger().await.iter().all(|line| line.pending == 0)
    })
    .await;
    for receiver in [in_development, in_production] {
        assert_eq!(receiver.requests().len(), 5);
    }
}

#[tokio::test]
async fn environments_share_no_ids_and_no_secrets() {
    let server = server().await;
    let receiver = receiver().await;
    let development = Tenant::new(&server, "development", "workspace-1").await;
    let production = Tenant::new(&server, "production", "workspace-1").await;
    let id = webhook(&development, &receiver).await;
    let other = webhook(&production, &receiver).await;
    let path = |id: &str| format!("/api/v1/app/workspace-1/endpoint/{id}");
    for (environment, id) in [("production", &id), ("development", &other)] {
        for path in [path(id), format!("{}/secret", path(id))] {
            server.call(environment, "GET", &path, Value::Null).await.expect(404);
        }
        let change = json!({ "name": "Mine now" });
        server.call(environment, "PATCH", &path(id), change).await.expect(404);
        server.call(environment, "DELETE", &path(id), Value::Null).await.expect(404);
    }
    let (secret, other_secret) = (development.secret(&id).await, production.secret(&other).await);
    assert_ne!(secret, other_secret);
    let one = development.deliver(&receiver, "contact.created", "{}").await;
    assert_ne!(computed(&other_secret, std::slice::from_ref(&one)), [one.header("x-signature")]);
    assert_signed(&secret, &[one]);
    // The publisher's ids are apart, too.
    for tenant in [&development, &production] {
        tenant.deliver_as(&receiver, ("contact.created", "evt-1"), "{}").await;
    }
}

#[tokio::test]
async fn the_environment_of_a_webhook_cannot_be_changed() {
    let server = server().await;
    let (receiver, other) = (receiver().await, receiver().await);
    let development = Tenant::new(&server, "development", "workspace-1").await;
    let production = Tenant::new(&server, "production", "workspace-1").await;
    let id = webhook(&development, &receiver).await;
    webhook(&production, &other).await;
    // As with every field that there isn't, nothing comes of it.
    development
        .change(&id, json!({ "environment": "production", "name": "New" }))
        .await
        .expect(200);
    let shown = development.show(&id).await;
    assert_eq!((&shown["environment"], &shown["name"]), (&json!("development"), &json!("New")));
    let one = production.deliver(&other, "contact.created", "{}").await;
    assert_eq!(server.deliveries("production", "workspace-1", one.id()).await.len(), 1);
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn an_event_type_of_the_companys_own_belongs_to_one_environment() {
    let server = server().await;
    let development = Tenant::new(&server, "development", "workspace-1").await;
    let production = Tenant::new(&server, "production", "workspace-1").await;
    let fields = json!({ "name": "room.opened", "description": "A room.", "groupName": "room" });
    server.call("development", "POST", "/api/v1/event-type", fields).await.expect(201);
    development.ask_to_publish("room.opened", "", "{}").await.expect(202);
    production.ask_to_publish("room.opened", "", "{}").await.expect(422);
}
