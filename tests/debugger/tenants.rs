//! Nobody learns anything about others here, and who may only look may use it.

use super::world::{Case, VALID, assert_says, path};
use crate::support::pages::{Visitor, said};
use crate::support::server::TestServer;
use crate::support::tenant::Tenant;

#[tokio::test]
async fn an_application_s_own_people_use_it_and_only_on_their_own() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    let other = Tenant::new(&server, "standard", "rival").await;
    let theirs = other
        .endpoint(super::world::endpoint("standard", "Theirs", &case.receiver.url("/r")))
        .await;
    let visitor = Visitor::tenant(&server, "standard", "rival", false).await;
    // Another's page isn't there, whatever is sent to it.
    assert_eq!(visitor.get(&case.path()).await.status, 404);
    let own = path("standard", "rival");
    let headers = case.headers();
    let request = [("headers", headers.as_str()), ("body", case.delivered.body())];
    // Another's webhook can't be chosen, and its secret is never tried.
    let mut fields = request.to_vec();
    fields.push(("webhook", case.webhook.as_str()));
    let answer = visitor.post(&own, &fields).await;
    assert_says(&said(&answer.text), &["This webhook is gone."]);
    let mut fields = request.to_vec();
    fields.push(("webhook", theirs.as_str()));
    let page = said(&visitor.post(&own, &fields).await.text);
    assert_says(&page, &["no usual mistake explains it", "Tried: 1 secret,"]);
    assert!(!page.contains("Orders") && !page.contains("as it was sent"), "{page}");
    // Nor is another's event found.
    fields.push(("message", case.delivered.id()));
    let page = said(&visitor.post(&own, &fields).await.text);
    assert_says(&page, &["There is no such event here."]);
    let query = format!("?message={}&webhook={theirs}", case.delivered.id());
    assert_eq!(visitor.get(&format!("{own}{query}")).await.status, 404);
}

#[tokio::test]
async fn who_may_only_look_may_debug() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    let secret = case.tenant.secret(&case.webhook).await;
    let visitor = Visitor::tenant(&server, "standard", "acme", true).await;
    let headers = case.headers();
    let request = [("headers", headers.as_str()), ("body", case.delivered.body())];
    for more in [("webhook", case.webhook.as_str()), ("secret", secret.as_str())] {
        let mut fields = request.to_vec();
        fields.push(more);
        let answer = visitor.post(&case.path(), &fields).await;
        assert_says(&said(&answer.text), &[VALID]);
        assert!(!answer.text.contains(&secret));
    }
}

#[tokio::test]
async fn no_page_says_a_secret_or_a_signature_that_nobody_gave() {
    let server = TestServer::start(&["standard"]).await;
    let case = Case::new(&server, "standard").await;
    let secret = case.tenant.secret(&case.webhook).await;
    let right = case.delivered.header("webhook-signature").strip_prefix("v1,").unwrap().to_owned();
    let headers: String = case
        .headers()
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("webhook-signature"))
        .map(|line| format!("{line}\n"))
        .collect();
    let id = case.delivered.id().to_owned();
    for given in ["", "webhook-signature: v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        let headers = format!("{headers}{given}");
        let page = case.check(&[("headers", &headers), ("message", &id)]).await;
        assert!(!page.contains(&right) && !page.contains(&secret), "{page}");
    }
}
