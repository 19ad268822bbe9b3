//! The form of a webhook: checked as it is typed, with the API's own sentences, and nothing
//! typed is lost.

use serde_json::{Value, json};

use crate::browser::{Browser, at, browse, button, field};
use crate::support::environments::configure;
use crate::support::server::TestServer;
use crate::support::tenant::{Tenant, refused};
use crate::{WORKSPACE, at_klink, page, portal_link, workspace_link};

/// The sentence beside a field.
async fn sentence(person: &Browser, field: &str) -> String {
    person.text(&at(&format!("//*[@data-field='{field}']//p[@class='error']"))).await
}

async fn type_and_leave(person: &Browser, label: &str, text: &str) {
    person.fill(&field(label), text).await;
    person.press('\u{e004}').await;
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_the_api_says_as_it_is_typed_and_when_it_is_sent() {
    let server = at_klink().await;
    let tenant = Tenant::existing(&server, "development", WORKSPACE);
    let ask = async |fields: Value, about: &str| refused(tenant.register(fields).await, about);
    let good = json!({ "name": "A", "url": "https://a.example/", "filterTypes": ["room.solved"] });
    let with = |name: &str, value: Value| {
        let mut fields = good.clone();
        fields[name] = value;
        fields
    };
    let no_url = ask(with("url", json!("my server")), "url").await;
    let no_name = ask(with("name", json!("")), "name").await;
    let no_events = ask(with("filterTypes", json!([])), "filterTypes").await;
    let bad_header = json!({ "type": "header", "name": "X Y", "value": "v" });
    let no_header = ask(with("auth", bad_header), "auth").await;
    let door = workspace_link(&server).await;
    browse(&server, async |person| {
        person.open(&door).await;
        person.arrive("/webhooks").await;
        person.open(&page("/webhooks/new")).await;
        type_and_leave(person, "Endpoint URL", "my server").await;
        assert_eq!(sentence(person, "url").await, no_url);
        let others = person.texts(&at("//p[@class='error']")).await;
        assert_eq!(others.len(), 1, "only what was typed is judged: {others:?}");
        type_and_leave(person, "Endpoint URL", "https://shop.example/hooks").await;
        person
            .wait("the sentence to go", async || !person.has(&at("//p[@class='error']")).await)
            .await;

        person.click(&field("Custom header")).await;
        person.fill(&field("Header"), "X Y").await;
        person.fill(&field("Value"), "v").await;
        person.click(&button("Create webhook")).await;
        person.see("There is a problem").await;
        assert!(person.title().await.starts_with("Error: "));
        for (field, expected) in
            [("name", &no_name), ("auth", &no_header), ("filterTypes", &no_events)]
        {
            assert_eq!(&sentence(person, field).await, expected);
            let summary = at("//div[@role='alert']//a");
            assert!(person.texts(&summary).await.contains(expected), "{expected}");
        }
        assert_eq!(person.value(&field("Endpoint URL")).await, "https://shop.example/hooks");
        assert_eq!(person.value(&field("Header")).await, "X Y");
        assert_eq!(person.about(&field("Custom header"), "selected").await, true);
        let focused = person.run("return document.activeElement.className", json!([])).await;
        assert_eq!(focused, "problem");
        let endpoints = tenant.ask("GET", "endpoint", Value::Null).await.expect(200);
        assert_eq!(endpoints["data"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_searched_for_and_taken_by_the_group() {
    let server = TestServer::start_with(&[], |config| {
        configure(config, &[("development", "klink"), ("live", "kakiyo")], true);
    })
    .await;
    server.application("development", WORKSPACE).await;
    server.application("live", WORKSPACE).await;
    let tenant = Tenant::existing(&server, "live", WORKSPACE);
    let input = json!({ "environments": ["development", "live"] });
    let door = portal_link(&server, WORKSPACE, input).await;
    browse(&server, async |person| {
        person.open(&door).await;
        person.open(&page("/webhooks/new")).await;
        let (group, one) = (field("Contact events: All events"), field("New Contact Created"));
        person.click(&group).await;
        assert_eq!(person.about(&one, "selected").await, true);
        assert_eq!(person.about(&one, "enabled").await, false);
        person.click(&group).await;
        assert_eq!(person.about(&one, "selected").await, false);
        assert_eq!(person.about(&one, "enabled").await, true);

        person.open(&page("/webhooks/new").replace("development", "live")).await;
        let search = at("//input[@type='search']");
        person.fill(&search, "invitation").await;
        let events = at("//label[@data-event]//code");
        let expected = ["linkedin.invitation.accepted", "linkedin.invitation.sent"];
        assert_eq!(person.texts(&events).await, expected);
        person.click(&field("LinkedIn Invitation Accepted")).await;
        person.fill(&search, "responded").await;
        assert_eq!(person.texts(&events).await, ["prospect.responded"]);
        person.click(&field("Prospect Responded")).await;
        person.fill(&field("Name"), "Two of many").await;
        person.fill(&field("Endpoint URL"), "https://shop.example/hooks").await;
        person.click(&button("Create webhook")).await;
        person.see("The webhook was created.").await;
        let made = tenant.ask("GET", "endpoint", Value::Null).await.expect(200);
        let mut taken: Vec<String> =
            serde_json::from_value(made["data"][0]["filterTypes"].clone()).unwrap();
        taken.sort();
        assert_eq!(taken, ["linkedin.invitation.accepted", "prospect.responded"]);
    })
    .await;
}
