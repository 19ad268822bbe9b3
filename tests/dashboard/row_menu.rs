//! Every action of a row's menu.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{Browser, at, browse, button, field, link, menu};
use crate::support::receiver::{Receiver, Reply, Script};
use crate::support::server::{TestServer, eventually};
use crate::support::tenant::Tenant;
use crate::{WORKSPACE, at_klink, page, workspace_link};

const NAME: &str = "Order updates";

struct Shop<'s> {
    server: &'s TestServer,
    receiver: &'s Receiver,
    tenant: Tenant<'s>,
    webhook: String,
    /// Whether the receiver fails.
    is_down: Arc<AtomicBool>,
}

impl<'s> Shop<'s> {
    async fn new(
        server: &'s TestServer,
        receiver: &'s Receiver,
        is_down: Arc<AtomicBool>,
    ) -> Shop<'s> {
        let tenant = Tenant::existing(server, "development", WORKSPACE);
        let url = receiver.url("/hook").to_string();
        let fields = json!({ "name": NAME, "url": url, "filterTypes": ["contact.created"] });
        let webhook = tenant.endpoint(fields).await;
        Shop { server, receiver, tenant, webhook, is_down }
    }

    async fn publish(&self) -> String {
        self.server.publish("development", WORKSPACE, "contact.created", "{}").await
    }

    /// Waits until this became of a message, which takes its time by the server's clock.
    async fn wait_for(&self, message: &str, status: &str) {
        eventually(status, async || {
            self.server.clock.advance(Duration::from_secs(1));
            let deliveries = self.server.deliveries("development", WORKSPACE, message).await;
            deliveries[0]["statusText"] == status
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action() {
    let is_down = Arc::new(AtomicBool::new(false));
    let script = Script::by({
        let is_down = is_down.clone();
        move |_| Reply::status(if is_down.load(SeqCst) { 503 } else { 200 })
    });
    let (server, receiver) = (at_klink().await, Receiver::start(script).await);
    let shop = Shop::new(&server, &receiver, is_down).await;
    let door = workspace_link(&server).await;
    browse(&server, async |person| {
        person.open(&door).await;
        person.click(&menu(NAME)).await;
        let actions = person.texts(&at("//details[@open]//a")).await;
        let first = ["Edit", "Reveal signing secret", "Send test event", "View logs"];
        let resends = ["Replay everything", "Recover what failed", "Send what was missed"];
        assert_eq!(actions, [&first[..], &resends, &["Disable", "Delete"]].concat());
        edit(person, &shop).await;
        regenerate(person, &shop).await;
        test_event_and_logs(person, &shop).await;
        disable_and_enable(person, &shop).await;
        delete(person, &shop).await;
    })
    .await;
}

async fn edit(person: &Browser, shop: &Shop<'_>) {
    person.open(&page("/webhooks")).await;
    person.choose_from_menu(NAME, "Edit").await;
    assert_eq!(person.value(&field("Name")).await, NAME);
    person.see("It can’t be changed after creation.").await;
    person.click(&field("Contact events: All events")).await;
    person.click(&button("Save changes")).await;
    person.see("Your changes were saved.").await;
    assert_eq!(shop.tenant.show(&shop.webhook).await["filterGroups"], json!(["contact"]));
}

async fn regenerate(person: &Browser, shop: &Shop<'_>) {
    let old = shop.tenant.secret(&shop.webhook).await;
    person.click(&link("Webhooks")).await;
    person.choose_from_menu(NAME, "Reveal signing secret").await;
    let secret = field("Signing secret of Order updates");
    assert_eq!(person.about(&secret, "property/type").await, "password");
    assert_eq!(person.value(&secret).await, old);
    person.click(&button("Show the signing secret")).await;
    person.click(&button("Hide the signing secret")).await;
    assert_eq!(person.about(&secret, "property/type").await, "password");

    person.click(&link("Regenerate")).await;
    person.see("The old secret stops working at once.").await;
    person.click(&link("Keep the old one")).await;
    person.arrive(&shop.webhook).await;
    assert_eq!(shop.tenant.secret(&shop.webhook).await, old);
    person.click(&link("Reveal")).await;
    person.click(&link("Regenerate")).await;
    person.click(&button("Regenerate the signing secret")).await;
    person.see("There is a new signing secret.").await;
    let new = shop.tenant.secret(&shop.webhook).await;
    assert_ne!(new, old);
    assert_eq!(person.value(&secret).await, new);
}

async fn test_event_and_logs(person: &Browser, shop: &Shop<'_>) {
    person.click(&link("Webhooks")).await;
    person.choose_from_menu(NAME, "Send test event").await;
    person.see("It is signed like any other, marked as a test in the logs").await;
    person.click(&button("Send contact.created")).await;
    person.see("Delivered in 1 attempt.").await;
    let focused = person.run("return document.activeElement.textContent", json!([])).await;
    assert_eq!(focused, "The test event was sent.");
    assert_eq!(shop.receiver.requests().len(), 1);
    person.click(&link("Webhooks")).await;
    person.choose_from_menu(NAME, "View logs").await;
    person.arrive(&format!("webhook={}", shop.webhook)).await;
    let chosen = person.value(&field("Webhook")).await;
    assert_eq!(chosen, shop.webhook);
    person.see("contact.created Test").await;
}

async fn disable_and_enable(person: &Browser, shop: &Shop<'_>) {
    person.click(&link("Webhooks")).await;
    person.choose_from_menu(NAME, "Disable").await;
    person.see("Events that happen while it is disabled are not kept for it.").await;
    person.click(&link("Leave it enabled")).await;
    person.click(&link("Disable")).await;
    person.click(&button("Disable Order updates")).await;
    person.see("The webhook was disabled. New events are not kept for it.").await;
    assert_eq!(shop.tenant.show(&shop.webhook).await["disabled"], true);
    person.click(&link("Enable again")).await;
    person.see("Nothing waits for it.").await;
    person.click(&button("Enable Order updates")).await;
    person.see("The webhook was enabled.").await;

    for (choice, status, notice) in [
        ("Send what waits", "succeeded", "What waited goes out now, oldest first."),
        ("Drop what waits", "discarded", "What waited was dropped."),
    ] {
        let message = disable_with_one_waiting(shop).await;
        person.open(&page("/webhooks")).await;
        person.see("1 needs attention").await;
        person.choose_from_menu(NAME, "Enable again").await;
        person.see("1 delivery waits").await;
        person.click(&field(choice)).await;
        person.click(&button("Enable Order updates")).await;
        person.see(notice).await;
        shop.wait_for(&message, status).await;
    }
}

/// Disables the webhook while an event is to be sent to it once more.
async fn disable_with_one_waiting(shop: &Shop<'_>) -> String {
    shop.is_down.store(true, SeqCst);
    let message = shop.publish().await;
    shop.server.wait_for_attempts("development", WORKSPACE, &message, 1).await;
    shop.tenant.change(&shop.webhook, json!({ "disabled": true })).await.expect(200);
    shop.is_down.store(false, SeqCst);
    message
}

async fn delete(person: &Browser, shop: &Shop<'_>) {
    person.open(&page("/webhooks")).await;
    person.choose_from_menu(NAME, "Delete").await;
    person.see("This can’t be undone.").await;
    person.fill(&field("Type its name to confirm"), "Order update").await;
    person.click(&button("Delete Order updates")).await;
    person.see("This isn’t the name of the webhook.").await;
    assert!(person.title().await.starts_with("Error: "), "{}", person.title().await);
    assert_eq!(person.value(&field("Type its name to confirm")).await, "Order update");
    person.fill(&field("Type its name to confirm"), NAME).await;
    person.click(&button("Delete Order updates")).await;
    person.see("The webhook was deleted. What was waiting for it was cancelled.").await;
    person.see("No webhooks yet").await;
    let path = format!("endpoint/{}", shop.webhook);
    shop.tenant.ask("GET", &path, Value::Null).await.expect(404);
}
