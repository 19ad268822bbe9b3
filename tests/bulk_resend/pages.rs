//! The pages: counting before, confirming, and watching it.

use hookwright::domain::RESENDS_RUNNING_PER_APPLICATION_MAX;
use serde_json::{Value, json};

use super::world::{HANGS, World};
use crate::support::server::{ADMIN_KEY, Answer, eventually};

/// Somebody at a browser without JavaScript.
struct Browser<'w> {
    world: &'w World,
    cookie: String,
}

impl<'w> Browser<'w> {
    /// Signs in with the admin's key.
    async fn operator(world: &'w World) -> Browser<'w> {
        let form = format!("key={ADMIN_KEY}");
        let answer = world.server.send("POST", "/dashboard/sign-in", &FORM, form).await;
        Browser { world, cookie: cookie(&answer) }
    }

    /// Follows a portal's link.
    async fn tenant(world: &'w World, app: &str, input: Value) -> Browser<'w> {
        let path = format!("/api/v1/auth/app-portal-access/{app}");
        let access = world.call("POST", &path, input).await.expect(200);
        let url: url::Url = access["url"].as_str().unwrap().parse().unwrap();
        let entered = world.server.send("POST", url.path(), &FORM, "").await;
        Browser { world, cookie: cookie(&entered) }
    }

    async fn get(&self, path: &str) -> Answer {
        self.world.server.send("GET", path, &[("cookie", &self.cookie)], "").await
    }

    /// Sends the form of a page whose button has this text, with the hidden fields it has.
    async fn press(&self, page: &Answer, at: &str, button: &str) -> Answer {
        let forms = page.text.split("<form").skip(1).map(|form| form.split("</form>").next());
        let form = forms.flatten().find(|form| form.contains(button));
        let form = form.unwrap_or_else(|| panic!("no button {button}: {}", page.text));
        let action = attribute(form, "action").unwrap_or_else(|| at.to_owned());
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for input in form.split("<input type=\"hidden\"").skip(1) {
            body.append_pair(
                &attribute(input, "name").unwrap(),
                &attribute(input, "value").unwrap(),
            );
        }
        self.post(&action, body.finish()).await
    }

    async fn post(&self, path: &str, body: String) -> Answer {
        let headers = [FORM[0], ("cookie", self.cookie.as_str())];
        self.world.server.send("POST", path, &headers, body).await
    }

    /// Where an answer leads.
    async fn follow(&self, answer: &Answer) -> (String, Answer) {
        assert_eq!(answer.status, 303, "{}", answer.text);
        let to = answer.headers["location"].to_str().unwrap().to_owned();
        let page = self.get(&to).await;
        assert_eq!(page.status, 200, "{}", page.text);
        (to, page)
    }
}

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

fn cookie(answer: &Answer) -> String {
    let set = answer.headers["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// The value of the first attribute of that name.
fn attribute(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

/// What a page's forms carry.
fn csrf(page: &Answer) -> String {
    attribute(page.text.split_once("name=\"csrf\"").unwrap().1, "value").unwrap()
}

/// The text of a page as a person reads it.
fn text(page: &Answer) -> String {
    let mut text = String::new();
    let mut inside = false;
    for letter in page.text.chars() {
        match letter {
            '<' => inside = true,
            '>' => inside = false,
            _ if inside => {}
            _ => text.push(letter),
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn assert_says(page: &Answer, sentence: &str) {
    let text = text(page);
    assert!(text.contains(sentence), "`{sentence}` isn't in: {text}");
}

fn webhook(endpoint: &str) -> String {
    format!("/dashboard/env/standard/app/tenant/webhooks/{endpoint}")
}

#[tokio::test]
async fn somebody_counts_confirms_and_watches_the_end() {
    let world = World::new("standard").await;
    let endpoint = world.endpoint("/hook", json!({})).await;
    world.publish("invoice.paid", 1).await;
    world.pass(2 * 3_600);
    for number in 2..=4 {
        world.publish("invoice.paid", number).await;
    }
    world.settled().await;
    world.pass(60);
    let browser = Browser::operator(&world).await;
    let page = browser.get(&webhook(&endpoint)).await;
    for action in ["replay", "recover", "missing"] {
        assert!(page.text.contains(&format!("{}/{action}\"", webhook(&endpoint))), "{}", page.text);
    }
    let at = format!("{}/replay", webhook(&endpoint));
    let page = browser.get(&at).await;
    assert_says(&page, "The last hour Since 15 Jan 2025, 15:33:00 UTC");
    assert!(!page.text.contains("method=\"post\" class=\"row\""), "nothing to confirm yet");

    let counted = browser.get(&format!("{at}?range=1h")).await;
    assert_says(&counted, "3 events from 15 Jan 2025, 15:33:00 UTC up to");
    assert_says(&counted, "Each keeps the event id that it had");
    let own = format!("{at}?range=own&since=2025-01-15T14:30&until=2025-01-15T15:00");
    assert_says(&browser.get(&own).await, "Send 1 event again");
    let none = browser.get(&format!("{}/recover?range=24h", webhook(&endpoint))).await;
    assert_says(&none, "Nothing to send");
    let missing = browser.get(&format!("{}/missing?range=7d", webhook(&endpoint))).await;
    assert_says(&missing, "Nothing to send");

    // What happens after the count isn't sent again with it.
    world.pass(60);
    world.publish("invoice.paid", 5).await;
    world.settled().await;
    let begun = browser.press(&counted, &at, "Send 3 events again").await;
    let (progress, page) = browser.follow(&begun).await;
    assert_says(&page, "It has begun.");
    let progress = progress.split('?').next().unwrap();
    eventually("the end of a resend", async || {
        browser.get(progress).await.text.contains("Finished")
    })
    .await;
    let page = browser.get(progress).await;
    assert_says(&page, "3 of 3 events queued.");
    assert!(!page.text.contains("data-look-again") && !page.text.contains("Cancel the rest"));
    world.settled().await;
    let mut received = world.received("/hook").split_off(5);
    received.sort_unstable();
    assert_eq!(received, [2, 3, 4]);
    let page = browser.get(&webhook(&endpoint)).await;
    assert_says(&page, "Finished 3 of 3 queued");
    let log = page_link(&browser.get(progress).await, "/deliveries?");
    assert_eq!(browser.get(&log).await.text.matches("datetime=").count(), 3, "{log}");
}

/// The first link of a page with this in its address.
fn page_link(page: &Answer, part: &str) -> String {
    let links = page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let link = links.into_iter().find(|link| link.contains(part)).unwrap();
    link.replace("&amp;", "&").replace("&#38;", "&")
}

#[tokio::test]
async fn somebody_cancels_the_rest() {
    let world = World::new("standard").await;
    for number in 0..1_001 {
        world.publish("invoice.paid", number).await;
    }
    world.pass(1);
    let endpoint = world.endpoint("/late", json!({})).await;
    world.answer(HANGS);
    let browser = Browser::tenant(&world, "tenant", json!({})).await;
    let at = format!("{}/missing", webhook(&endpoint));
    let counted = browser.get(&format!("{at}?range=1h")).await;
    assert_says(&counted, "1,001 events");
    let begun = browser.press(&counted, &at, "Send 1,001 events").await;
    let (progress, _) = browser.follow(&begun).await;
    let progress = progress.split('?').next().unwrap();
    eventually("some progress", async || browser.get(progress).await.text.contains("600 of 1,001"))
        .await;
    let page = browser.get(progress).await;
    assert!(page.text.contains("data-look-again"), "{}", page.text);
    assert!(page.text.contains(r#"<progress id="queued" max="1001" value="600""#), "{}", page.text);
    // A second one is refused on the page itself.
    let second = browser.press(&counted, &at, "Send 1,001 events").await;
    assert_eq!(second.status, 200);
    assert_says(&second, "There is a problem");
    assert_says(&second, "cancel it");

    let cancelled = browser.press(&page, progress, "Cancel the rest").await;
    let (_, page) = browser.follow(&cancelled).await;
    assert_says(&page, "Nothing more is queued. What was queued already is still sent.");
    assert_says(&page, "Cancelled 600 of 1,001 events queued.");
}

#[tokio::test]
async fn a_form_that_makes_no_sense_says_why_and_keeps_what_was_typed() {
    let world = World::new("standard").await;
    let endpoint = world.endpoint("/hook", json!({})).await;
    let browser = Browser::operator(&world).await;
    let at = format!("{}/recover", webhook(&endpoint));
    for (query, sentence) in [
        ("range=own&since=&until=", "Enter a date and a time."),
        ("range=own&since=soon&until=", "Enter a date and a time."),
        ("range=1h&since=2025-01-15T10:00", "Choose “A time of your own” above"),
        ("range=own&since=2025-01-15T10:00&until=2025-01-15T09:00", "must be later"),
    ] {
        let page = browser.get(&format!("{at}?{query}")).await;
        assert_eq!(page.status, 200);
        assert_says(&page, "There is a problem");
        assert_says(&page, sentence);
        assert!(!page.text.contains("<form method=\"post\" class=\"row\">"));
    }
    let kept = browser.get(&format!("{at}?range=own&since=2025-01-15T10:00&until=x")).await;
    assert!(kept.text.contains(r#"value="2025-01-15T10:00""#), "{}", kept.text);

    let path = format!("/api/v1/app/tenant/endpoint/{endpoint}");
    world.call("PATCH", &path, json!({ "disabled": true })).await.expect(200);
    let stopped = browser.get(&format!("{at}?range=1h")).await;
    assert_says(&stopped, "This webhook is stopped, so nothing can be sent to it now.");
    let fields = "since=2025-01-15T10:00:00Z&until=2025-01-15T11:00:00Z";
    let csrf = csrf(&stopped);
    let forged = browser.post(&at, format!("{fields}&csrf=0{csrf}")).await;
    assert_eq!(forged.status, 403, "a form from elsewhere");
    let refused = browser.post(&at, format!("{fields}&csrf={csrf}")).await;
    assert_says(&refused, "The endpoint is disabled; enable it first.");
    let broken = browser.post(&at, format!("since=soon&until=later&csrf={csrf}")).await;
    assert_eq!(broken.status, 400, "{}", broken.text);
}

#[tokio::test]
async fn where_too_much_runs_the_form_says_so_and_can_be_sent_later() {
    let world = World::new("standard").await;
    for number in 0..601 {
        world.publish("invoice.paid", number).await;
    }
    world.pass(1);
    world.answer(HANGS);
    for number in 0..RESENDS_RUNNING_PER_APPLICATION_MAX {
        let endpoint = world.endpoint(&format!("/{number}"), json!({})).await;
        world.begin(&endpoint, "replay-missing", 601).await;
    }
    let endpoint = world.endpoint("/one-more", json!({})).await;
    let browser = Browser::operator(&world).await;
    let at = format!("{}/missing", webhook(&endpoint));
    let counted = browser.get(&format!("{at}?range=24h")).await;
    let refused = browser.press(&counted, &at, "Send 601 events").await;
    assert_says(&refused, "As many resends run already as may");
    assert_says(&refused, "The last 24 hours");
}

#[tokio::test]
async fn nobody_comes_to_the_resends_of_others() {
    let world = World::new("standard").await;
    world.server.application("standard", "neighbour").await;
    let endpoint = world.endpoint("/hook", json!({})).await;
    let second = world.endpoint("/second", json!({})).await;
    let id = world.begin(&endpoint, "recover", 0).await;
    world.ended(&id).await;
    let own = Browser::tenant(&world, "tenant", json!({})).await;
    let neighbour = Browser::tenant(&world, "neighbour", json!({})).await;
    let looks = Browser::tenant(&world, "tenant", json!({ "readOnly": true })).await;
    let page = format!("{}/resends/{id}", webhook(&endpoint));
    assert_eq!(own.get(&page).await.status, 200);
    assert_eq!(looks.get(&page).await.status, 200);
    let elsewhere = page.replace("/app/tenant/", "/app/neighbour/");
    let of_another = format!("{}/resends/{id}", webhook(&second));
    for (browser, path) in [(&neighbour, &page), (&neighbour, &elsewhere), (&own, &of_another)] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
        let home = browser.get("/dashboard").await;
        let csrf = csrf(&browser.follow(&home).await.1);
        let cancelled = browser.post(&format!("{path}/cancel"), format!("csrf={csrf}")).await;
        assert_eq!(cancelled.status, 404, "{path}");
    }
    for action in ["replay", "recover", "missing"] {
        let path = format!("{}/{action}", webhook(&endpoint));
        assert_eq!(looks.get(&path).await.status, 403);
        assert_eq!(neighbour.get(&path).await.status, 404);
        assert!(!looks.get(&webhook(&endpoint)).await.text.contains(&path));
    }
}
