//! The two doors, and the pages by keyboard alone.

use serde_json::json;

use crate::browser::{Browser, at, browse, button, field, link};
use crate::support::receiver::{Receiver, Reply};
use crate::support::tenant::Tenant;
use crate::{WORKSPACE, at_klink, page, workspace_link};

/// Keys as WebDriver names them (section 17.4.2).
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';

#[tokio::test(flavor = "multi_thread")]
async fn operators_sign_in_with_a_key_and_out_again() {
    let server = at_klink().await;
    browse(&server, async |person| {
        person.open(&page("/deliveries")).await;
        person.arrive("/dashboard/sign-in?next=").await;
        person.fill(&field("API key"), "a-key-that-nobody-issued").await;
        person.click(&button("Sign in")).await;
        person.see("Nobody issued this key, or it was revoked.").await;
        assert!(person.title().await.starts_with("Error: "));
        person.fill(&field("API key"), crate::ADMIN_KEY).await;
        person.click(&button("Sign in")).await;
        person.see("No deliveries yet").await;
        assert_eq!(person.path().await, page("/deliveries"));

        person.open("/dashboard").await;
        person.click(&link("development")).await;
        person.see("Overview of development").await;
        person.fill(&field("Go to an application"), "nobody").await;
        person.click(&button("Go")).await;
        person.see("There is no application nobody here.").await;
        person.fill(&field("Go to an application"), WORKSPACE).await;
        person.click(&button("Go")).await;
        person.see("No webhooks yet").await;
        person.click(&button("Sign out")).await;
        person.arrive("/dashboard/sign-in").await;
        person.open(&page("/webhooks")).await;
        person.arrive("/dashboard/sign-in").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_by_keys() {
    let receiver = Receiver::start(Reply::status(200)).await;
    let server = at_klink().await;
    let fields = json!({
        "name": "Order updates", "url": receiver.url("/").as_str(), "filterTypes": ["room.solved"]
    });
    Tenant::existing(&server, "development", WORKSPACE).endpoint(fields).await;
    browse(&server, async |person| {
        // The field for the key has the focus already.
        person.open("/dashboard/sign-in").await;
        for letter in crate::ADMIN_KEY.chars() {
            person.press(letter).await;
        }
        person.press(ENTER).await;
        person.see("Sign out").await;

        person.open(&page("/webhooks")).await;
        person.press(TAB).await;
        assert_eq!(focused(person).await, "Skip to the content");
        tab_to(person, "Actions for Order updates").await;
        person.press(ENTER).await;
        person.see("Send test event").await;
        person.press(TAB).await;
        assert_eq!(focused(person).await, "Edit");
        person.press(ESCAPE).await;
        assert!(!person.has(&at("//details[@open]")).await, "Escape closes the menu");
        assert_eq!(focused(person).await, "Actions for Order updates");
        person.press(ENTER).await;
        tab_to(person, "Send test event").await;
        person.press(ENTER).await;
        person.see("What your endpoint will get").await;
        tab_to(person, "Send room.solved").await;
        person.press(ENTER).await;
        person.see("Delivered in 1 attempt.").await;
    })
    .await;
}

/// What has the focus, by its name.
async fn focused(person: &Browser) -> String {
    let script =
        "const one = document.activeElement; return one.ariaLabel || one.textContent.trim()";
    person.run(script, json!([])).await.as_str().unwrap_or_default().to_owned()
}

/// Presses Tab until something has the focus, which must be seen around it.
async fn tab_to(person: &Browser, name: &str) {
    for _ in 0..40 {
        person.press(TAB).await;
        if focused(person).await == name {
            let outline = "return getComputedStyle(document.activeElement).outlineStyle";
            assert_eq!(person.run(outline, json!([])).await, "solid", "{name}");
            return;
        }
    }
    panic!("no {name} among what Tab reaches");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_its_portal_once() {
    let server = at_klink().await;
    let door = workspace_link(&server).await;
    browse(&server, async |person| {
        person.open(&door).await;
        person.see("No webhooks yet").await;
        person.click(&button("Sign out")).await;
        person.arrive("/dashboard/sign-in").await;
        person.open(&door).await;
        person.see("This link no longer works").await;
    })
    .await;
}
