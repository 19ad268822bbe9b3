//! Nobody reaches another's pages by changing an id in an address, on any route; those who may
//! look can't change; and no other site's form is taken.

use std::time::Duration;

use serde_json::{Value, json};

use crate::routes::{May, ROUTES, of_applications};
use crate::support::credentials::{application_key, environment_key};
use crate::support::environments::configure;
use crate::support::server::TestServer;
use crate::support::tenant::Tenant;
use crate::visitor::Visitor;
use crate::{at_klink, portal_link};

/// An application with a webhook, an event that went to it, and a resend.
struct Shop {
    environment: &'static str,
    application: &'static str,
    webhook: String,
    message: String,
    resend: String,
}

impl Shop {
    async fn open(server: &TestServer, environment: &'static str, uid: &'static str) -> Shop {
        let tenant = Tenant::existing(server, environment, uid);
        let url = "http://127.0.0.1:9/";
        let fields = json!({ "name": uid, "url": url, "filterTypes": ["contact.created"] });
        let webhook = tenant.endpoint(fields).await;
        let message = server.publish(environment, uid, "contact.created", "{}").await;
        server.wait_for_attempts(environment, uid, &message, 1).await;
        let path = format!("endpoint/{webhook}/recover");
        let since = json!({ "since": "2025-01-01T00:00:00Z" });
        let begun = tenant.ask("POST", &path, since).await.expect(202);
        let resend = begun["id"].as_str().unwrap().to_owned();
        Shop { environment, application: uid, webhook, message, resend }
    }

    fn path(&self, route: &str) -> String {
        let path = route
            .replace("{environment}", self.environment)
            .replace("{application}", self.application)
            .replace("{webhook}", &self.webhook)
            .replace("{message}", &self.message)
            .replace("{resend}", &self.resend)
            .replace("{event}", "contact.created");
        assert!(!path.contains('{'), "give a value to what stands in braces in {path}");
        format!("/dashboard{path}")
    }

    /// The same place, with another's ids in it.
    fn with_ids_of(&self, other: &Shop) -> Shop {
        Shop {
            environment: self.environment,
            application: self.application,
            webhook: other.webhook.clone(),
            message: other.message.clone(),
            resend: other.resend.clone(),
        }
    }

    /// The same webhook, with what is another's below it.
    fn with_message_of(&self, other: &Shop) -> Shop {
        Shop { webhook: self.webhook.clone(), ..self.with_ids_of(other) }
    }
}

/// Mine in two environments, and a neighbour's.
struct Town {
    server: TestServer,
    mine: Shop,
    mine_elsewhere: Shop,
    neighbours: Shop,
}

async fn town() -> Town {
    let server = TestServer::start_with(&[], |config| {
        configure(config, &[("development", "klink"), ("production", "klink")], true);
    })
    .await;
    for (environment, uid) in
        [("development", "mine"), ("production", "mine"), ("development", "neighbour")]
    {
        server.application(environment, uid).await;
    }
    let mine = Shop::open(&server, "development", "mine").await;
    let mine_elsewhere = Shop::open(&server, "production", "mine").await;
    let neighbours = Shop::open(&server, "development", "neighbour").await;
    Town { server, mine, mine_elsewhere, neighbours }
}

#[tokio::test]
async fn the_server_itself_leads_to_the_pages() {
    let server = at_klink().await;
    for path in ["/", "/dashboard/"] {
        let answer = server.send("GET", path, &[("accept", "text/html,*/*")], "").await;
        assert_eq!(
            (answer.status, &answer.headers["location"]),
            (303, &"/dashboard".parse().unwrap())
        );
    }
}

/// Whether a page is kept alive rather than ended, which a test has no time for.
fn streams(route: &str) -> bool {
    route.ends_with("/live")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_anothers_pages_by_changing_an_id() {
    let town = town().await;
    let (server, mine) = (&town.server, &town.mine);
    let own = portal_link(server, "mine", json!({})).await;
    let own = Visitor::by_link(server, &own).await;
    let operator = Visitor::by_key(server, &environment_key(server, "development").await).await;
    let in_order = of_applications().filter(|(method, _, _)| *method == "GET");
    for (_, route, _) in in_order.filter(|(_, route, _)| !streams(route)) {
        assert_eq!(own.get(&mine.path(route)).await.status, 200, "{route}");
        assert_eq!(operator.get(&mine.path(route)).await.status, 200, "{route}");
    }
    for (method, route, _) in of_applications() {
        let refused = async |visitor: &Visitor<'_>, place: &Shop, why: &str| {
            let answer = visitor.try_route(method, &place.path(route)).await;
            assert_eq!(answer.status, 404, "{method} {}, {why}", place.path(route));
            for word in ["neighbour", "csrf", "127.0.0.1"] {
                assert!(!answer.text.contains(word), "{word} in {}", answer.text);
            }
        };
        refused(&own, &town.neighbours, "the neighbour's application").await;
        refused(&own, &town.mine_elsewhere, "an environment that the portal doesn't show").await;
        refused(&operator, &town.mine_elsewhere, "another environment than the key's").await;
        if route.contains("{webhook}") {
            let others = mine.with_ids_of(&town.neighbours);
            refused(&own, &others, "the neighbour's webhook").await;
            refused(&operator, &others, "the neighbour's webhook").await;
            refused(&own, &mine.with_ids_of(&town.mine_elsewhere), "my other webhook").await;
        }
        if route.contains("{message}") || route.contains("{resend}") {
            let others = mine.with_message_of(&town.neighbours);
            refused(&own, &others, "the neighbour's event or resend").await;
        }
    }
    let tenant = Tenant::existing(server, "development", "neighbour");
    assert_eq!(tenant.show(&town.neighbours.webhook).await["disabled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_operators_look_at_a_whole_environment() {
    let town = town().await;
    let server = &town.server;
    let tenant = portal_link(server, "mine", json!({})).await;
    let tenant = Visitor::by_link(server, &tenant).await;
    let application = server.call("development", "GET", "/api/v1/app/mine", Value::Null).await;
    let application = application.expect(200)["id"].as_str().unwrap().to_owned();
    let of_one = application_key(server, "development", &application).await;
    let of_one = Visitor::by_key(server, &of_one).await;
    let operator = Visitor::by_key(server, &environment_key(server, "development").await).await;
    for (_, route, _) in ROUTES.iter().filter(|(_, _, may)| *may == May::Operate) {
        let (own, other) = (town.mine.path(route), town.mine_elsewhere.path(route));
        assert_eq!(operator.get(&own).await.status, 200, "{own}");
        assert_eq!(operator.get(&other).await.status, 404, "{other}");
        for (visitor, who) in [(&tenant, "a tenant"), (&of_one, "an application's key")] {
            assert_eq!(visitor.get(&own).await.status, 404, "{own} by {who}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_sent_to_sign_in() {
    let town = town().await;
    for (method, route, may) in ROUTES.iter().filter(|(_, _, may)| *may != May::Anybody) {
        for cookie in ["", "hookwright=", "hookwright=0123456789abcdef"] {
            let headers =
                [("cookie", cookie), ("content-type", "application/x-www-form-urlencoded")];
            let path = town.mine.path(route);
            let path = path.trim_end_matches('/');
            let answer = town.server.send(method, path, &headers, "csrf=1").await;
            assert_eq!(answer.status, 303, "{method} {path}, {may:?}");
            let to = answer.headers["location"].to_str().unwrap();
            assert!(to.starts_with("/dashboard/sign-in"), "{to}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_may_look_cant_change() {
    let town = town().await;
    let (server, mine) = (&town.server, &town.mine);
    let link = portal_link(server, "mine", json!({ "readOnly": true })).await;
    let reader = Visitor::by_link(server, &link).await;
    for (method, route, may) in of_applications().filter(|(_, route, _)| !streams(route)) {
        let answer = reader.try_route(method, &mine.path(route)).await;
        if *may != May::Look {
            assert_eq!(answer.status, 403, "{method} {route}");
            continue;
        }
        assert_eq!(answer.status, 200, "{method} {route}");
        for (_, leads_to, _) in of_applications().filter(|(_, _, may)| *may != May::Look) {
            let leads_to = mine.path(leads_to);
            let there = answer.text.contains(&format!("\"{leads_to}\""));
            assert!(!there, "{route} has a link to {leads_to}");
        }
        let posts = answer.text.matches("method=\"post\"").count();
        let own = usize::from(route.ends_with("/debugger"));
        assert_eq!(posts, 1 + own, "{route} has another form than that to sign out");
    }
    let tenant = Tenant::existing(server, "development", "mine");
    assert_eq!(tenant.show(&mine.webhook).await["disabled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_sites_form_is_taken() {
    let town = town().await;
    let server = &town.server;
    let own = portal_link(server, "mine", json!({})).await;
    let own = Visitor::by_link(server, &own).await;
    let other = portal_link(server, "mine", json!({})).await;
    let other = Visitor::by_link(server, &other).await;
    let good = format!("csrf={}", own.csrf);
    let forged = ["".to_owned(), "csrf=".to_owned(), format!("csrf={}", other.csrf)];
    let posts = ROUTES.iter().filter(|(method, _, may)| *method == "POST" && *may != May::Anybody);
    for (_, route, _) in posts {
        let path = town.mine.path(route);
        for form in &forged {
            assert_eq!(own.post(&path, form, &[]).await.status, 403, "{path} {form}");
        }
        for site in ["cross-site", "same-site"] {
            let answer = own.post(&path, &good, &[("sec-fetch-site", site)]).await;
            assert_eq!(answer.status, 403, "{path} from {site}");
        }
    }
    for path in ["/dashboard/sign-in", "/dashboard/enter/any"] {
        let answer = own.post(path, "key=x", &[("sec-fetch-site", "cross-site")]).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    let tenant = Tenant::existing(server, "development", "mine");
    assert_eq!(tenant.show(&town.mine.webhook).await["disabled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_sessions_end() {
    let server = at_klink().await;
    let input = json!({ "expiry": 3600 });
    let (used, late) = (
        portal_link(&server, crate::WORKSPACE, input.clone()).await,
        portal_link(&server, crate::WORKSPACE, input).await,
    );
    let visitor = Visitor::by_link(&server, &used).await;
    let page = crate::page("/webhooks");
    assert_eq!(visitor.get(&page).await.status, 200);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let enter = |link: &str| link[link.find("/dashboard").unwrap()..].to_owned();
    let again = server.send("POST", &enter(&used), &form, "").await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(again.headers.get("set-cookie").is_none(), "a used link opens nothing");
    server.clock.advance(Duration::from_secs(3_601));
    let expired = server.send("POST", &enter(&late), &form, "").await;
    assert!(expired.headers.get("set-cookie").is_none(), "an expired link opens nothing");
    assert!(expired.text.contains("This link no longer works"));
    let answer = visitor.get(&page).await;
    assert_eq!(answer.status, 303, "a session ends with its portal");
}
