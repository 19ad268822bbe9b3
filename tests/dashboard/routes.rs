//! All routes of the pages, in one list. A route that isn't in it fails a test, so that no route
//! is forgotten where each is tried: by strangers, by neighbours, and by those who may only look.

use std::collections::BTreeSet;
use std::path::Path;

use May::{Anybody, Change, Look, Operate, Post, View};

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Also those who aren't signed in.
    Anybody,
    /// Whoever is signed in.
    View,
    /// GET, by operators of the environment.
    Operate,
    /// By whoever may look at the application.
    Look,
    /// GET, by whoever may change it: what they see leads to a change, or is a secret.
    Change,
    /// POST, by whoever may change it.
    Post,
}

/// The method, the path below `/dashboard`, and who may.
pub(crate) type Route = (&'static str, &'static str, May);

#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    ("GET", "/", View),
    ("GET", "/assets/{file}", Anybody),
    ("GET", "/brand.css", Anybody),
    ("GET", "/enter/{link}", Anybody),
    ("POST", "/enter/{link}", Anybody),
    ("GET", "/env/{environment}", Operate),
    ("GET", "/env/{environment}/overview", Operate),
    ("GET", "/sign-in", Anybody),
    ("POST", "/sign-in", Anybody),
    ("POST", "/sign-out", View),
    ("GET", "/env/{environment}/app/{application}/debugger", Look),
    // It changes nothing, so whoever may look may send it.
    ("POST", "/env/{environment}/app/{application}/debugger", Look),
    ("GET", "/env/{environment}/app/{application}/deliveries", Look),
    ("GET", "/env/{environment}/app/{application}/deliveries/live", Look),
    ("GET", "/env/{environment}/app/{application}/deliveries/{message}/{webhook}", Look),
    ("POST", "/env/{environment}/app/{application}/deliveries/{message}/{webhook}/retry", Post),
    ("GET", "/env/{environment}/app/{application}/events", Look),
    ("GET", "/env/{environment}/app/{application}/events/{event}", Look),
    ("GET", "/env/{environment}/app/{application}/webhooks", Look),
    ("POST", "/env/{environment}/app/{application}/webhooks/check", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/new", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/new", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}", Look),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/delete", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/delete", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/disable", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/disable", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/edit", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/edit", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/enable", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/enable", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/missing", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/missing", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/recover", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/recover", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/replay", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/replay", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/resends/{resend}", Look),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/resends/{resend}/cancel", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/secret", Change),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/secret/regenerate", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/secret/regenerate", Post),
    ("GET", "/env/{environment}/app/{application}/webhooks/{webhook}/test", Change),
    ("POST", "/env/{environment}/app/{application}/webhooks/{webhook}/test", Post),
];

/// The routes that are about an application.
pub(crate) fn of_applications() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|(_, path, _)| path.contains("{application}"))
}

/// The routes that the sources declare: whatever stands in a `.route(…)`.
fn declared() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard");
    let mut routes = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            for part in source.split(".route(").skip(1) {
                add(&mut routes, &arguments(part), &at(&source));
            }
        }
    }
    routes
}

/// What a file's routes have in common.
fn at(source: &str) -> String {
    let start = source.split_once("const AT: &str =").map(|(_, rest)| rest).unwrap_or_default();
    start.split('"').nth(1).unwrap_or_default().to_owned()
}

/// The text up to the parenthesis that closes.
fn arguments(text: &str) -> String {
    let mut depth = 1;
    let within = text.chars().take_while(|letter| {
        depth += i32::from(*letter == '(') - i32::from(*letter == ')');
        depth > 0
    });
    within.collect()
}

fn add(routes: &mut BTreeSet<String>, arguments: &str, at: &str) {
    let path = match arguments.trim_start().strip_prefix("AT") {
        Some(_) => at.to_owned(),
        None => arguments.split('"').nth(1).unwrap().to_owned(),
    };
    let path = if arguments.contains("format!") {
        path.replace("{AT}", at).replace("{{", "{").replace("}}", "}")
    } else {
        path
    };
    for method in ["get", "post", "put", "patch", "delete", "any"] {
        if arguments.replace('.', " ").contains(&format!(" {method}(")) {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
}

#[test]
fn every_route_is_in_the_list() {
    let listed: BTreeSet<String> =
        ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(listed.len(), ROUTES.len(), "a route stands twice in the list");
    let declared = declared();
    let unknown: Vec<&String> = declared.difference(&listed).collect();
    let gone: Vec<&String> = listed.difference(&declared).collect();
    assert!(unknown.is_empty() && gone.is_empty(), "unknown: {unknown:#?}, gone: {gone:#?}");
}
