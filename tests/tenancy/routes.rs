//! Every route, with every credential that must not open it.

use std::time::Duration;

use hookwright::domain::Scope;
use serde_json::json;

use super::world::{ABROAD, About, HOME, Route, World, admin, assert_refused};
use crate::support::credentials::{application_key, environment_key, jwt, key, revoke};

/// The routes that need a credential.
async fn guarded(world: &World) -> Vec<Route> {
    let mut routes = world.routes().await;
    routes.retain(|route| route.about != About::Nothing);
    assert!(routes.len() >= 28, "the document has lost routes");
    routes
}

#[tokio::test]
async fn every_route_works_with_a_key_of_its_environment() {
    // Without this, the refusals below could be mistakes of the requests.
    let world = World::new().await;
    let home = environment_key(&world.server, HOME).await;
    for route in world.routes().await {
        let answer = world.call_as(&route, &home).await;
        assert!(route.opens_with(answer.status), "{}: {}", route.name(), answer.text);
    }
}

#[tokio::test]
async fn health_is_all_that_anyone_may_ask_for() {
    let world = World::new().await;
    for route in world.routes().await {
        let open = world.call(&route, &[]).await.status != 401;
        assert_eq!(open, route.template == "/api/v1/health", "{}", route.name());
    }
}

#[tokio::test]
async fn nobody_and_nobodys_keys_get_401() {
    let world = World::new().await;
    let unknown = format!("Bearer hw_{}", "0".repeat(64));
    let before = world.everything().await;
    for route in guarded(&world).await {
        for value in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer garbage"),
            Some("Bearer a.b.c"),
            Some("Basic YWRtaW46YWRtaW4="),
            Some("an-admin-key-for-tests"),
            Some("Bearer an-admin-key-for-test"),
            Some("Bearer an-admin-key-for-tests2"),
            Some("Bearer AN-ADMIN-KEY-FOR-TESTS"),
            Some(unknown.as_str()),
        ] {
            let headers: Vec<_> = value.map(|value| ("authorization", value)).into_iter().collect();
            let answer = world.call(&route, &headers).await;
            let context = format!("{} with {value:?}", route.name());
            assert_refused(&answer, 401, "authentication_failed", &context);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    world.assert_unchanged_since(&before).await;
}

#[tokio::test]
async fn a_revoked_key_gets_401_within_two_seconds() {
    let world = World::new().await;
    let routes = guarded(&world).await;
    let application = world.victim.parse().unwrap();
    let scopes = [
        Scope::Admin,
        Scope::Environment(HOME.into()),
        Scope::Application { environment: HOME.into(), application },
    ];
    let before = world.everything().await;
    for scope in scopes {
        let revoked = key(&world.server, "to be revoked", scope).await;
        let authorization = format!("Bearer {revoked}");
        let headers = [("authorization", authorization.as_str()), ("hookwright-environment", HOME)];
        let read = routes.iter().find(|route| route.reads()).unwrap();
        world.call(read, &headers).await.expect(200);
        revoke(&world.server, "to be revoked").await;
        world.server.clock.advance(Duration::from_secs(2));
        for route in &routes {
            let answer = world.call(route, &headers).await;
            assert_refused(&answer, 401, "authentication_failed", &route.name());
        }
    }
    world.assert_unchanged_since(&before).await;
}

#[tokio::test]
async fn a_key_of_another_environment_finds_nothing() {
    let world = World::new().await;
    let before = world.everything().await;
    let credentials = [
        environment_key(&world.server, ABROAD).await,
        application_key(&world.server, ABROAD, &world.stranger).await,
        jwt(&json!({ "sub": ABROAD })),
        jwt(&json!({ "sub": "an-environment-made-on-first-use" })),
        jwt(&json!({ "org": ABROAD, "sub": world.stranger })),
        // The right application behind the wrong wall.
        application_key(&world.server, ABROAD, &world.victim).await,
        jwt(&json!({ "org": ABROAD, "sub": world.victim })),
    ];
    for credential in &credentials {
        for route in guarded(&world).await {
            let answer = world.call_as(&route, credential).await;
            if route.names_an_object() {
                assert_refused(&answer, 404, "not_found", &route.name());
            }
            for theirs in [&world.victim, "own.type", "invoice.paid"] {
                // A message that names the own request's event type is no secret.
                assert!(
                    !answer.text.contains(theirs) || route.body.to_string().contains(theirs),
                    "{} shows {theirs}: {}",
                    route.name(),
                    answer.text
                );
            }
        }
    }
    world.assert_unchanged_since(&before).await;
}

#[tokio::test]
async fn a_key_of_another_application_finds_nothing_and_changes_nothing() {
    let world = World::new().await;
    let before = world.everything().await;
    for credential in [
        application_key(&world.server, HOME, &world.neighbour).await,
        jwt(&json!({ "org": HOME, "sub": world.neighbour })),
    ] {
        for route in guarded(&world).await {
            let answer = world.call_as(&route, &credential).await;
            match route.about {
                About::Application | About::ApplicationItself => {
                    assert_refused(&answer, 404, "not_found", &route.name());
                }
                About::Environment => assert_refused(&answer, 403, "forbidden", &route.name()),
                About::Catalog => {
                    assert!(!answer.text.contains(&world.victim), "{}", answer.text);
                    assert!(route.opens_with(answer.status), "{}", answer.text);
                }
                About::Nothing => unreachable!(),
            }
        }
        // By its uid it is just as little there.
        let path = "/api/v1/app/victim";
        let answer = world.server.call_as(&credential, "GET", path, serde_json::Value::Null).await;
        assert_refused(&answer, 404, "not_found", path);
    }
    world.assert_unchanged_since(&before).await;
}

#[tokio::test]
async fn a_key_of_an_application_opens_it_and_does_not_touch_the_rest() {
    let world = World::new().await;
    for credential in [
        application_key(&world.server, HOME, &world.victim).await,
        jwt(&json!({ "org": HOME, "sub": world.victim })),
    ] {
        for route in guarded(&world).await {
            if route.method == "DELETE" && route.about == About::Application {
                continue;
            }
            let answer = world.call_as(&route, &credential).await;
            match route.about {
                About::Environment | About::ApplicationItself => {
                    assert_refused(&answer, 403, "forbidden", &route.name());
                }
                _ => {
                    assert!(route.opens_with(answer.status), "{}: {}", route.name(), answer.text);
                }
            }
        }
        let path = "/api/v1/app";
        let list = world.server.call_as(&credential, "GET", path, json!(null)).await.expect(200);
        let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(ids, [&world.victim]);
    }
}

#[tokio::test]
async fn ids_of_a_neighbour_are_not_found_below_ones_own_application() {
    let world = World::new().await;
    let credential = application_key(&world.server, HOME, &world.neighbour).await;
    let before = world.everything().await;
    for route in guarded(&world).await {
        let Some(below) = route.template.strip_prefix("/api/v1/app/{app_id}/") else { continue };
        if !below.contains('{') {
            continue;
        }
        let path = route.path.replace(&world.victim, &world.neighbour);
        let route = Route { path, ..route };
        let answer = world.call_as(&route, &credential).await;
        assert_refused(&answer, 404, "not_found", &route.name());
    }
    world.assert_unchanged_since(&before).await;
}

#[tokio::test]
async fn an_admin_key_has_to_say_which_environment_it_means() {
    let world = World::new().await;
    let before = world.everything().await;
    let (name, value) = admin();
    let made = key(&world.server, "another admin", Scope::Admin).await;
    for route in guarded(&world).await {
        for credential in [value.clone(), format!("Bearer {made}")] {
            let answer = world.call(&route, &[(&name, &credential)]).await;
            assert_refused(&answer, 400, "environment_required", &route.name());
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(detail.contains(HOME) && detail.contains(ABROAD), "{detail}");
        }
        for unknown in ["nowhere", "", "STANDARD", "standard,kakiyo"] {
            let headers = [(name.as_str(), value.as_str()), ("hookwright-environment", unknown)];
            let answer = world.call(&route, &headers).await;
            assert_refused(&answer, 404, "not_found", &format!("{} {unknown:?}", route.name()));
        }
    }
    world.assert_unchanged_since(&before).await;
}

#[tokio::test]
async fn a_narrow_key_cannot_be_widened_by_naming_another_environment() {
    let world = World::new().await;
    let before = world.everything().await;
    for credential in [
        environment_key(&world.server, ABROAD).await,
        application_key(&world.server, ABROAD, &world.stranger).await,
        jwt(&json!({ "sub": ABROAD })),
    ] {
        let credential = format!("Bearer {credential}");
        for route in guarded(&world).await {
            for named in [HOME, "nowhere", "b\u{fc}cher"] {
                let headers =
                    [("authorization", credential.as_str()), ("hookwright-environment", named)];
                let answer = world.call(&route, &headers).await;
                let context = format!("{} naming {named}", route.name());
                assert_refused(&answer, 404, "not_found", &context);
            }
        }
    }
    world.assert_unchanged_since(&before).await;
}
