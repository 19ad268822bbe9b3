//! Every page, as there is something to see on it. Adding a page is a line here.

use std::path::PathBuf;

use serde_json::json;

use Step::{Choose, Menu, Press};
use Who::{Customer, Operator, Stranger};

use crate::browser::{Browser, at, button, field, menu};
use crate::company::{CUSTOMER, Company};
use crate::{portal_link, sign_in};

/// Who looks at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Stranger,
    Customer,
    Operator,
}

/// What is done on a page before it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Presses a button.
    Press(&'static str),
    /// Chooses an option of a labelled field.
    Choose(&'static str, &'static str),
    /// Opens a row's menu.
    Menu(&'static str),
}

/// A page: the name of its pictures, who looks, the path below `/dashboard`, and what is done there.
/// `{app}` is the customer's production environment, `{dev}` the development environment, where
/// nothing has happened yet; other names in braces are ids of [`Company::ids`].
type Scene = (&'static str, Who, &'static str, &'static [Step]);

/// Those of one viewer stand together: each change of viewers is a new session.
#[rustfmt::skip]
pub(crate) const SCENES: &[Scene] = &[
    ("sign-in", Stranger, "/sign-in", &[]),
    ("sign-in-problem", Stranger, "/sign-in", &[Press("Sign in")]),
    ("used-link", Stranger, "/enter/a-link-that-was-used", &[]),
    ("webhooks", Customer, "{app}/webhooks", &[]),
    ("webhooks-menu", Customer, "{app}/webhooks", &[Menu("CRM sync")]),
    ("webhooks-empty", Customer, "{dev}/webhooks", &[]),
    ("new-webhook", Customer, "{app}/webhooks/new", &[]),
    ("new-webhook-problem", Customer, "{app}/webhooks/new", &[Press("Create webhook")]),
    ("edit-webhook", Customer, "{app}/webhooks/{failing}/edit", &[]),
    ("webhook", Customer, "{app}/webhooks/{healthy}", &[]),
    ("webhook-failing", Customer, "{app}/webhooks/{failing}", &[]),
    ("webhook-paused", Customer, "{app}/webhooks/{paused}", &[]),
    ("webhook-disabled", Customer, "{app}/webhooks/{disabled}", &[]),
    ("webhook-new", Customer, "{app}/webhooks/{new}", &[]),
    ("secret", Customer, "{app}/webhooks/{healthy}/secret", &[]),
    ("regenerate", Customer, "{app}/webhooks/{healthy}/secret/regenerate", &[]),
    ("test-event", Customer, "{app}/webhooks/{healthy}/test", &[]),
    ("enable", Customer, "{app}/webhooks/{paused}/enable", &[]),
    ("disable", Customer, "{app}/webhooks/{healthy}/disable", &[]),
    ("delete", Customer, "{app}/webhooks/{healthy}/delete", &[]),
    ("delete-problem", Customer, "{app}/webhooks/{healthy}/delete", &[Press("Delete Order desk")]),
    ("replay", Customer, "{app}/webhooks/{healthy}/replay?range=7d", &[]),
    ("recover", Customer, "{app}/webhooks/{failing}/recover", &[]),
    ("recover-problem", Customer, "{app}/webhooks/{failing}/recover?range=own", &[]),
    ("missing-nothing", Customer, "{app}/webhooks/{healthy}/missing?range=1h", &[]),
    ("missing-stopped", Customer, "{app}/webhooks/{paused}/missing", &[]),
    ("deliveries", Customer, "{app}/deliveries", &[]),
    ("deliveries-filtered", Customer, "{app}/deliveries?webhook={failing}&result=5xx", &[]),
    ("deliveries-none-match", Customer, "{app}/deliveries?result=3xx", &[]),
    ("deliveries-empty", Customer, "{dev}/deliveries", &[]),
    ("delivery", Customer, "{app}/deliveries/{delivered}/{healthy}", &[]),
    ("delivery-failed", Customer, "{app}/deliveries/{failed}/{failing}", &[]),
    ("delivery-retrying", Customer, "{app}/deliveries/{retrying}/{failing}", &[]),
    ("no-delivery", Customer, "{app}/deliveries/{delivered}/{failing}", &[]),
    ("events", Customer, "{app}/events", &[]),
    ("event", Customer, "{app}/events/contact.created", &[]),
    ("debugger", Customer, "{app}/debugger?message={delivered}&webhook={healthy}", &[]),
    ("debugger-problem", Customer, "{app}/debugger", &[Press("Check the signature")]),
    ("debugger-valid", Customer, "{app}/debugger?message={delivered}&webhook={healthy}", &[Press("Check the signature")]),
    // Another webhook than the one that the event was sent to.
    ("debugger-not-valid", Customer, "{app}/debugger?message={failed}&webhook={failing}", &[Choose("Webhook", "Order desk"), Press("Check the signature")]),
    ("not-found", Customer, "{app}/webhooks/webhook_that_is_gone", &[]),
    ("environments", Operator, "", &[]),
    ("overview", Operator, "/env/production/overview", &[]),
    ("applications", Operator, "/env/production", &[]),
    ("applications-none-found", Operator, "/env/production?find=nobody", &[]),
];

/// What comes back where a form is sent: a problem, or the debugger's answer.
const ANSWER: &str = "//div[@role='alert'] | //section[@role='status']";

/// Where pictures are put.
pub(crate) fn pictures() -> PathBuf {
    let folder = built().join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Where what is built and fetched for tests is.
pub(crate) fn built() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// The address of a scene.
pub(crate) fn path(company: &Company, path: &str) -> String {
    let place = |environment: &str| format!("/env/{environment}/app/{CUSTOMER}");
    let path = path.replace("{app}", &place("production")).replace("{dev}", &place("development"));
    let path =
        company.ids.iter().fold(path, |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
    assert!(!path.contains('{'), "{path}");
    format!("/dashboard{path}")
}

/// Becomes another viewer.
pub(crate) async fn become_viewer(person: &Browser, company: &Company, who: Who) {
    match who {
        Stranger => {}
        Customer => {
            let input = json!({ "environments": ["development", "production"] });
            let link = portal_link(&company.server, CUSTOMER, input).await;
            person.open(&link).await;
            person.arrive("/webhooks").await;
        }
        Operator => {
            person.open("/dashboard").await;
            person.click(&button("Sign out")).await;
            person.arrive("/sign-in").await;
            sign_in(person).await;
            person.see("Sign out").await;
        }
    }
}

/// Goes to a scene and does there what is to be done.
pub(crate) async fn show(person: &Browser, company: &Company, scene: &Scene) {
    let (_, _, address, steps) = scene;
    person.open(&path(company, address)).await;
    for step in *steps {
        match step {
            Press(text) => {
                person.click(&button(text)).await;
                person.wait("the answer", async || person.has(&at(ANSWER)).await).await;
            }
            Choose(label, option) => person.select(&field(label), option).await,
            Menu(row) => person.click(&menu(row)).await,
        }
    }
}
