//! Everything but live rows works in a browser that runs no scripts.

use crate::browser::{at, browse_without_scripts, button, field, link};
use crate::support::receiver::{Receiver, Reply};
use crate::{WORKSPACE, at_klink, workspace_link};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_changed_tried_and_deleted() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let server = at_klink().await;
    let door = workspace_link(&server).await;
    browse_without_scripts(&server, async |person| {
        person.open(&door).await;
        person.click(&button("Continue")).await;
        person.click(&link("New webhook")).await;
        person.fill(&field("Name"), "Plain").await;
        person.fill(&field("Endpoint URL"), "nowhere").await;
        person.click(&field("Basic auth")).await;
        person.fill(&field("Token"), "Bearer of news").await;
        person.click(&field("Room events: All events")).await;
        person.click(&button("Create webhook")).await;
        person.see("There is a problem").await;
        person.fill(&field("Endpoint URL"), receiver.url("/plain").as_str()).await;
        person.fill(&field("Token"), "Bearer of news").await;
        person.click(&button("Create webhook")).await;
        person.see("The webhook was created.").await;

        person.click(&link("Edit")).await;
        person.fill(&field("Name"), "Plainer").await;
        person.click(&button("Save changes")).await;
        person.see("Your changes were saved.").await;
        person.click(&link("Webhooks")).await;
        person.choose_from_menu("Plainer", "Reveal signing secret").await;
        person.click(&at("//summary[.='Show the signing secret']")).await;
        let secret = person.text(&at("//details[@open]/pre")).await;
        assert_eq!(secret.len(), 64, "{secret}");

        person.click(&link("Webhooks")).await;
        person.choose_from_menu("Plainer", "Send test event").await;
        person.click(&button("Send room.solved")).await;
        receiver.wait_for(1).await;
        let sent = &receiver.requests()[0];
        assert_eq!(sent.header("authorization"), Some("Bearer of news"));
        let message = server.publish("development", WORKSPACE, "room.solved", "{}").await;
        server.wait_for_status("development", WORKSPACE, &message, "succeeded").await;
        person.click(&link("Delivery logs")).await;
        assert!(!person.has(&field("Tell me of new deliveries")).await);
        person.select(&field("Status"), "2xx Success").await;
        person.click(&button("Filter")).await;
        person.arrive("result=2xx").await;
        assert_eq!(person.texts(&at("//table[contains(@class,'log')]/tbody/tr")).await.len(), 2);
        person.click(&at("//tbody//a")).await;
        person.see("Delivered in 1 attempt.").await;

        person.click(&link("Webhooks")).await;
        person.choose_from_menu("Plainer", "Delete").await;
        person.fill(&field("Type its name to confirm"), "Plainer").await;
        person.click(&button("Delete Plainer")).await;
        person.see("The webhook was deleted.").await;
        person.see("No webhooks yet").await;
    })
    .await;
}
