//! K-LINK's quick start, step by step as its page tells a person, from the link in K-LINK's own
//! dashboard to a 2xx in the delivery logs.

use serde_json::{Value, json};

use crate::browser::{Browser, at, browse, button, field, link};
use crate::support::programs::hmac_sha256_hex;
use crate::support::receiver::{Received, Receiver, Reply};
use crate::{WORKSPACE, at_klink, workspace_link};

/// What K-LINK signs, for a URL without a query and a body whose keys are sorted already.
fn content(receiver: &Receiver, request: &Received) -> Vec<u8> {
    let url = receiver.url(&request.target);
    [b"POST", url.as_str().as_bytes(), &request.body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_new_webhook_to_a_2xx_in_the_logs() {
    let receiver = Receiver::start(Reply::status(204)).await;
    let server = at_klink().await;
    let door = workspace_link(&server).await;
    browse(&server, async |person| {
        person.open(&door).await;
        create(person, receiver.url("/webhooks/endpoint").as_str()).await;
        let secret = copy_secret(person).await;
        send_test_event(person).await;
        // And then something happens in K-LINK.
        let payload = r#"{"contact":{"name":"Ayu Lestari","id":"ct_5120"}}"#;
        let message = server.publish("development", WORKSPACE, "contact.created", payload).await;
        server.wait_for_status("development", WORKSPACE, &message, "succeeded").await;
        look_into_the_logs(person).await;
        assert_signed(&receiver, &secret);
    })
    .await;
}

/// Picks the environment, and fills in the form.
async fn create(person: &Browser, url: &str) {
    person.see("No webhooks yet").await;
    person.click(&link("Production")).await;
    person.arrive("/env/production/").await;
    person.click(&link("Development")).await;
    person.arrive("/env/development/").await;
    person.click(&link("New webhook")).await;
    person.fill(&field("Name"), "CI deployment bot").await;
    person.fill(&field("Endpoint URL"), url).await;
    person.click(&field("Custom header")).await;
    person.fill(&field("Header"), "X-API-Key").await;
    person.fill(&field("Value"), "secret-value").await;
    person.click(&field("Contact events: All events")).await;
    person.see("2 of 6 events chosen.").await;
    person.click(&field("Inbound Message Received")).await;
    person.see("3 of 6 events chosen.").await;
    person.click(&button("Create webhook")).await;
    person.see("The webhook was created. Try it with a test event.").await;
}

/// Reveals the signing secret, and puts it where one's own program has it.
async fn copy_secret(person: &Browser) -> String {
    person.click(&link("Webhooks")).await;
    person.choose_from_menu("CI deployment bot", "Reveal signing secret").await;
    let secret = field("Signing secret of CI deployment bot");
    assert_eq!(person.about(&secret, "property/type").await, "password");
    person.click(&button("Show the signing secret")).await;
    assert_eq!(person.about(&secret, "property/type").await, "text");
    person.click(&button("Copy the signing secret")).await;
    person.see("Copied").await;
    let copied = person.clipboard().await;
    assert_eq!(copied, person.value(&secret).await);
    copied
}

async fn send_test_event(person: &Browser) {
    person.click(&link("Webhooks")).await;
    person.choose_from_menu("CI deployment bot", "Send test event").await;
    person.select(&field("Event"), "Inbound Message Received").await;
    person.click(&button("Send message.inbound")).await;
    person.see("The test event was sent.").await;
    person.see("Delivered in 1 attempt. The endpoint answered 204").await;
}

async fn look_into_the_logs(person: &Browser) {
    person.click(&link("Delivery logs")).await;
    person.select(&field("Status"), "2xx Success").await;
    person.arrive("result=2xx").await;
    let rows = person.texts(&at("//table[contains(@class, 'log')]/tbody/tr")).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    for (row, event) in rows.iter().zip(["contact.created", "message.inbound Test"]) {
        let row = row.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(row.contains(event) && row.contains("Delivered 204"), "{row}");
    }
    person.click(&at("//tbody/tr[1]//a")).await;
    person.see("Ayu Lestari").await;
    person.see("x-api-key: ••••••••").await;
}

/// What the receiver does, with the secret that was copied.
fn assert_signed(receiver: &Receiver, secret: &str) {
    let received = receiver.requests();
    assert_eq!(received.len(), 2);
    let contents: Vec<Vec<u8>> = received.iter().map(|one| content(receiver, one)).collect();
    let signed = hmac_sha256_hex(secret, contents.iter().map(Vec::as_slice));
    for (request, signature) in received.iter().zip(signed) {
        assert_eq!(request.header("x-signature"), Some(signature.as_str()));
        assert_eq!(request.header("x-api-key"), Some("secret-value"));
    }
    let body: Value = serde_json::from_slice(&received[1].body).unwrap();
    assert_eq!(body["environment"], "development");
    assert_eq!(body["data"], json!({ "contact": { "id": "ct_5120", "name": "Ayu Lestari" } }));
}
