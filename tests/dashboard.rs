//! The pages as a person meets them: in a real Chromium, at a real server, with a real receiver.

#[path = "dashboard/accessibility.rs"]
mod accessibility;
#[path = "dashboard/browser.rs"]
mod browser;
#[path = "dashboard/company.rs"]
mod company;
#[path = "dashboard/delivery_log.rs"]
mod delivery_log;
#[path = "dashboard/doors.rs"]
mod doors;
#[path = "dashboard/form.rs"]
mod form;
#[path = "dashboard/harness.rs"]
mod harness;
#[path = "dashboard/isolation.rs"]
mod isolation;
#[path = "dashboard/quick_start.rs"]
mod quick_start;
#[path = "dashboard/routes.rs"]
mod routes;
#[path = "dashboard/row_menu.rs"]
mod row_menu;
#[path = "dashboard/scenes.rs"]
mod scenes;
mod support;
#[path = "dashboard/visitor.rs"]
mod visitor;
#[path = "dashboard/webdriver.rs"]
mod webdriver;
#[path = "dashboard/without_scripts.rs"]
mod without_scripts;

use serde_json::{Value, json};

use browser::{Browser, button, field};
use support::environments::configure;
use support::server::{ADMIN_KEY, TestServer};

/// The application of most tests.
const WORKSPACE: &str = "workspace-1";

/// A server at which K-LINK has its two environments, and receivers on this machine may be
/// reached.
async fn at_klink() -> TestServer {
    let server = TestServer::start_with(&[], |config| {
        configure(config, &[("development", "klink"), ("production", "klink")], true);
    })
    .await;
    for environment in ["development", "production"] {
        server.application(environment, WORKSPACE).await;
    }
    server
}

/// A link to an application's portal, made by the company's backend.
async fn portal_link(server: &TestServer, application: &str, input: Value) -> String {
    let path = format!("/api/v1/auth/app-portal-access/{application}");
    let access = server.call("development", "POST", &path, input).await.expect(200);
    access["url"].as_str().unwrap().to_owned()
}

/// A link to the workspace's portal, with both environments.
async fn workspace_link(server: &TestServer) -> String {
    let input = json!({ "environments": ["development", "production"] });
    portal_link(server, WORKSPACE, input).await
}

/// Signs in as the operator who has the admin key.
async fn sign_in(person: &Browser) {
    person.open("/dashboard/sign-in").await;
    person.fill(&field("API key"), ADMIN_KEY).await;
    person.click(&button("Sign in")).await;
}

/// The path of a page of the workspace in the development environment.
fn page(rest: &str) -> String {
    format!("/dashboard/env/development/app/{WORKSPACE}{rest}")
}
