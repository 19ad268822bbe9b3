//! What every test in a browser checks at its end fails where it should.

use serde_json::json;

use crate::at_klink;
use crate::browser::browse;

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "Content Security Policy")]
async fn a_breach_of_the_policy_fails_a_test() {
    let server = at_klink().await;
    browse(&server, async |person| {
        person.open("/dashboard/sign-in").await;
        let script = "const style = document.createElement('style');
            style.textContent = 'body { color: red }';
            document.head.append(style);";
        person.run(script, json!([])).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "asked of others")]
async fn a_request_to_somebody_else_fails_a_test() {
    let (server, other) = (at_klink().await, at_klink().await);
    browse(&server, async |person| {
        person.open("/dashboard/sign-in").await;
        let there = format!("http://{}/dashboard/sign-in", other.running().address);
        person.run("location.href = arguments[0]", json!([there])).await;
        person.see("API key").await;
    })
    .await;
}
