//! The delivery log: filters in the address, pages, live rows; and one delivery, opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use serde_json::json;

use crate::browser::{Browser, Target, at, browse, button, field, fold, link};
use crate::support::receiver::{Receiver, Reply, Script};
use crate::support::server::TestServer;
use crate::support::tenant::Tenant;
use crate::{WORKSPACE, at_klink, page, workspace_link};

/// Deliveries on a page of the log.
const PER_PAGE: usize = 40;

fn rows() -> Target {
    at("//table[contains(@class, 'log')]/tbody/tr")
}

async fn publish(server: &TestServer, event: &str) -> String {
    server.publish("development", WORKSPACE, event, "{}").await
}

/// Makes a webhook at a receiver's path, and returns its id.
async fn webhook(server: &TestServer, name: &str, url: &str, events: &[&str]) -> String {
    let fields = json!({ "name": name, "url": url, "filterTypes": events });
    Tenant::existing(server, "development", WORKSPACE).endpoint(fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_stand_in_the_address_and_pages_can_be_turned() {
    let receiver = Receiver::start(Script::by(|request| match request.target.as_str() {
        "/good" => Reply::status(200),
        _ => Reply::status(404).body("no such hook"),
    }))
    .await;
    let server = at_klink().await;
    let (good, bad) = (receiver.url("/good"), receiver.url("/bad"));
    webhook(&server, "Good one", good.as_str(), &["contact.created", "room.solved"]).await;
    let bad = webhook(&server, "Bad one", bad.as_str(), &["room.solved"]).await;
    let solved = publish(&server, "room.solved").await;
    for _ in 0..PER_PAGE + 3 {
        publish(&server, "contact.created").await;
    }
    receiver.wait_for(PER_PAGE + 5).await;
    server.wait_for_attempts("development", WORKSPACE, &solved, 2).await;
    let door = workspace_link(&server).await;
    browse(&server, async |person| {
        person.open(&door).await;
        person.arrive("/webhooks").await;
        person.open(&page("/deliveries")).await;
        turn_pages(person).await;

        person.select(&field("Webhook"), "Bad one").await;
        person.arrive(&format!("webhook={bad}")).await;
        assert_eq!(person.texts(&rows()).await.len(), 1);
        person.see("The endpoint answered 404").await;
        person.select(&field("Status"), "4xx Client error").await;
        person.arrive("result=4xx").await;
        person.arrive(&format!("webhook={bad}")).await;
        assert_eq!(person.texts(&rows()).await.len(), 1);
        person.select(&field("Status"), "No response").await;
        person.see("No delivery matches").await;
        person.click(&link("Clear filters")).await;
        person.arrive("/deliveries").await;
        assert_eq!(person.texts(&rows()).await.len(), PER_PAGE);

        person.select(&field("Event"), "room.solved").await;
        person.arrive("event=room.solved").await;
        assert_eq!(person.texts(&rows()).await.len(), 2);
        // A link for a colleague: everything is in it.
        let address = person.path().await;
        person.open(&page("/webhooks")).await;
        person.open(&address).await;
        assert_eq!(person.value(&field("Event")).await, "room.solved");
        assert_eq!(person.texts(&rows()).await.len(), 2);

        person.open(&page("/deliveries")).await;
        person.fill(&field("Event id"), &solved).await;
        person.click(&button("Filter")).await;
        person.arrive(&format!("id={solved}")).await;
        assert_eq!(person.texts(&rows()).await.len(), 2);
        person.open(&page("/deliveries?to=2025-01-15T14:00")).await;
        person.see("No delivery matches").await;
        person.open(&page("/deliveries?from=2025-01-15T14:00")).await;
        assert_eq!(person.value(&field("From (UTC)")).await, "2025-01-15T14:00");
        assert_eq!(person.texts(&rows()).await.len(), PER_PAGE);
    })
    .await;
}

async fn turn_pages(person: &Browser) {
    assert_eq!(person.texts(&rows()).await.len(), PER_PAGE);
    assert!(!person.has(&link("Newer")).await, "there is nothing newer");
    let first = person.texts(&at("//tbody//td[last()]/a")).await;
    person.click(&link("Older")).await;
    person.arrive("older=").await;
    assert_eq!(person.texts(&rows()).await.len(), 5);
    assert!(!person.has(&link("Older")).await, "there is nothing older");
    person.click(&link("Newer")).await;
    person.arrive("newer=").await;
    assert_eq!(person.texts(&at("//tbody//td[last()]/a")).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_wait_until_they_are_asked_for() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let server = at_klink().await;
    let events = ["contact.created", "room.solved"];
    webhook(&server, "Order updates", receiver.url("/").as_str(), &events).await;
    let first = publish(&server, "contact.created").await;
    server.wait_for_status("development", WORKSPACE, &first, "succeeded").await;
    let door = workspace_link(&server).await;
    browse(&server, async |person| {
        person.open(&door).await;
        person.arrive("/webhooks").await;
        person.open(&page("/deliveries")).await;
        person.see("Tell me of new deliveries").await;
        let view = "document.querySelector('#log tbody a')";
        person.run(&format!("window.row = {view}; window.row.focus()"), json!([])).await;
        let message = publish(&server, "room.solved").await;
        server.wait_for_status("development", WORKSPACE, &message, "succeeded").await;
        // The server counts again after a second of its own clock.
        let news = async || {
            server.clock.advance(Duration::from_millis(500));
            person.words().await.contains("1 new: show it")
        };
        person.wait("the count of new rows", news).await;
        let focused = "return document.activeElement === window.row && window.row.isConnected";
        assert_eq!(person.run(focused, json!([])).await, true, "nothing moves under the focus");
        assert_eq!(person.texts(&rows()).await.len(), 1);
        person.click(&button("1 new: show it")).await;
        person.wait("the new row", async || person.texts(&rows()).await.len() == 2).await;
        assert!(person.texts(&rows()).await[0].contains("room.solved"));
        assert!(!person.has(&button("1 new")).await);

        person.click(&field("Tell me of new deliveries")).await;
        person.reload().await;
        let switch = field("Tell me of new deliveries");
        assert_eq!(person.about(&switch, "selected").await, false);
        let followed = "return performance.getEntriesByType('resource')
            .filter((one) => one.name.includes('/deliveries/live')).length";
        assert_eq!(person.run(followed, json!([])).await, 0, "it is remembered");
        person.click(&switch).await;
        publish(&server, "room.solved").await;
        person.wait("the count of new rows", news).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_tells_what_happened_and_can_be_tried_again() {
    let is_down = Arc::new(AtomicBool::new(true));
    let receiver = Receiver::start(Script::by({
        let is_down = is_down.clone();
        move |_| match is_down.load(SeqCst) {
            true => Reply::status(500).body(r#"{"error":"disk full"}"#),
            false => Reply::status(200),
        }
    }))
    .await;
    let server = at_klink().await;
    let failing =
        webhook(&server, "Failing", receiver.url("/").as_str(), &["contact.created"]).await;
    let closed = Receiver::start(Reply::status(200)).await.url("/gone");
    let nobody = webhook(&server, "Nobody there", closed.as_str(), &["contact.created"]).await;
    let message = publish(&server, "contact.created").await;
    for (attempts, wait) in [(2, 30), (4, 60), (6, 90)] {
        server.wait_for_attempts("development", WORKSPACE, &message, attempts).await;
        server.clock.advance(Duration::from_secs(wait));
    }
    server.wait_for_attempts("development", WORKSPACE, &message, 8).await;
    let other = publish(&server, "room.solved").await;
    let door = workspace_link(&server).await;
    browse(&server, async |person| {
        person.open(&door).await;
        person.arrive("/webhooks").await;
        person.open(&page(&format!("/deliveries/{message}/{nobody}"))).await;
        person.see("Failed after 4 attempts.").await;
        person.see("Error and its causes").await;
        person.see("Connection refused").await;
        person.see("Nobody takes connections there.").await;

        person.open(&page("/deliveries?result=5xx")).await;
        person.click(&at("//tbody//a")).await;
        person.see("Failed after 4 attempts. The endpoint answered 500").await;
        person.see("disk full").await;
        person.click(&fold("As a curl command")).await;
        person.click(&button("Copy the curl command")).await;
        person.see("Copied").await;
        assert!(person.clipboard().await.starts_with("curl -X POST 'http://127.0.0.1:"));
        is_down.store(false, SeqCst);
        person.click(&button("Retry now")).await;
        person.see("A new attempt was started.").await;
        person.see("Delivered in 5 attempts.").await;
        person.see("by hand").await;

        person.open(&page(&format!("/deliveries/{other}/{failing}"))).await;
        person.see("This event was not sent to Failing").await;
        person
            .see("The webhook doesn’t subscribe to room.solved. It takes: contact.created.")
            .await;
    })
    .await;
}
