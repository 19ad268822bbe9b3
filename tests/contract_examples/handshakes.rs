//! The handshakes that other companies document, in contracts of a few lines.

use std::time::Duration;

use serde_json::{Value, json};

use super::ACME;
use super::support::environments::speaking_text;
use super::support::programs::python;
use super::support::receiver::{Received, Receiver, Reply, Script, Step};
use super::support::tenant::{Tenant, refused};

const HEAD: &str = "name = \"acme\"\n[[signature]]\nheader = \"X-Sig\"\nalgorithm = \"hmac-sha256\"\n\
    [secret]\nencoding = \"text\"\norigin = \"required\"\nmin_bytes = 1\n[[handshake]]\n";
const SECRET: &str = "s3cr3t";

fn endpoint(receiver: &Receiver) -> Value {
    json!({ "url": receiver.url("/hook?x=1").as_str(), "secret": SECRET })
}

/// What a tenant is told who registers this receiver; nothing where it is taken.
async fn register(handshake: &str, receiver: &Receiver) -> Option<String> {
    let server = speaking_text(&format!("{HEAD}{handshake}")).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    let answer = tenant.register(endpoint(receiver)).await;
    let taken = answer.status == 201;
    let list = tenant.ask("GET", "endpoint", Value::Null).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), usize::from(taken), "{}", answer.text);
    (!taken).then(|| refused(answer, "url"))
}

fn query(request: &Received) -> Value {
    python(
        "import urllib.parse\nanswer(dict(urllib.parse.parse_qsl(given.partition('?')[2])))",
        &json!(request.target),
    )
}

#[tokio::test]
async fn a_challenge_in_the_query_is_echoed_in_the_body() {
    let handshake = "method = \"GET\"\nquery = { \"hub.mode\" = \"subscribe\", \"hub.challenge\" = \"{{ challenge }}\" }\n\
        expect = { body = \"{{ challenge }}\" }\n";
    let echo = Receiver::start(Script::by(|request| {
        let query = query(request);
        assert_eq!((&query["x"], &query["hub.mode"]), (&json!("1"), &json!("subscribe")));
        Reply::status(200).body(query["hub.challenge"].as_str().unwrap())
    }))
    .await;
    assert_eq!(register(handshake, &echo).await, None);
    assert_eq!(echo.requests()[0].method, "GET");
    assert_eq!(echo.requests()[0].header("X-Sig"), None);

    let wrong = Receiver::start(Reply::status(200).body("<p>hello</p>")).await;
    let said = register(handshake, &wrong).await.unwrap();
    assert!(
        said.ends_with(
            "it answered 200 with \"<p>hello</p>\" in the body, which isn't what was expected."
        ),
        "{said}"
    );
    let missing = Receiver::start(Reply::status(404)).await;
    let said = register(handshake, &missing).await.unwrap();
    assert_eq!(said, "The endpoint didn't pass the handshake: it answered 404.");
}

#[tokio::test]
async fn a_challenge_is_answered_with_its_hmac() {
    let handshake = "event = \"endpoint.url_validation\"\nbody = '{\"payload\":{\"plainToken\":{{ challenge }}},\"event\":\"endpoint.url_validation\"}'\n\
        [handshake.expect]\n\"body.plainToken\" = \"{{ challenge }}\"\n\"body.encryptedToken\" = \"{{ challenge|hmac_sha256(secret)|hex }}\"\n";
    let receiver = |key: &'static str| {
        Receiver::start(Script::by(move |request| {
            let answer = python(
                "token = json.loads(given['body'])['payload']['plainToken']\n\
                 answer({'plainToken': token, 'encryptedToken': hmac.new(given['key'].encode(), token.encode(), hashlib.sha256).hexdigest()})",
                &json!({ "body": String::from_utf8_lossy(&request.body), "key": key }),
            );
            Reply::status(200).body(answer.to_string())
        }))
    };
    assert_eq!(register(handshake, &receiver(SECRET).await).await, None);
    let said = register(handshake, &receiver("another").await).await.unwrap();
    assert!(said.contains("in `encryptedToken` of the body"), "{said}");
}

#[tokio::test]
async fn a_secret_is_handed_over_and_confirmed_in_a_header() {
    let handshake = "headers = { X-Hook-Secret = \"{{ secret }}\" }\nexpect = { \"header.X-Hook-Secret\" = \"{{ secret }}\" }\n";
    let confirms = Receiver::start(Script::by(|request| {
        assert_eq!((&*request.method, request.body.len()), ("POST", 0));
        Reply::status(204).header("x-hook-secret", request.header("X-Hook-Secret").unwrap())
    }))
    .await;
    assert_eq!(register(handshake, &confirms).await, None);
    let silent = Receiver::start(Reply::status(200)).await;
    let said = register(handshake, &silent).await.unwrap();
    assert!(said.ends_with("it answered 200 without the header `x-hook-secret`."), "{said}");
}

#[tokio::test]
async fn a_receiver_has_to_tell_good_signatures_from_bad_ones() {
    let handshake = "body = \"{}\"\nsignature = \"valid\"\n\
        [[handshake]]\nbody = \"{}\"\nsignature = \"wrong\"\nstatus = \"401\"\n";
    let good = super::support::programs::hmac_sha256_hex(SECRET, [&b"{}"[..]]).remove(0);
    let careful = Receiver::start(Script::by(move |request| {
        Reply::status(if request.header("X-Sig") == Some(&*good) { 200 } else { 401 })
    }))
    .await;
    assert_eq!(register(handshake, &careful).await, None);
    assert_eq!(careful.requests().len(), 2);
    let careless = Receiver::start(Reply::status(200)).await;
    let said = register(handshake, &careless).await.unwrap();
    assert_eq!(said, "The endpoint didn't pass the handshake: it answered 200.");
}

#[tokio::test]
async fn a_handshake_goes_no_further_than_a_delivery_may() {
    let server = speaking_text(&format!("{HEAD}timeout = \"1s\"\n")).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    for url in ["http://10.0.0.1/", "http://169.254.169.254/latest"] {
        let answer = tenant.register(json!({ "url": url, "secret": SECRET })).await;
        refused(answer, "url");
    }
    let closed = Receiver::start(Script::by(|_| Reply::step(Step::Reset))).await;
    let said = refused(tenant.register(endpoint(&closed)).await, "url");
    assert!(said.starts_with("The endpoint didn't pass the handshake: "), "{said}");
}

#[tokio::test]
async fn an_application_has_one_handshake_under_way_at_a_time() {
    let server = speaking_text(&format!("{HEAD}timeout = \"5s\"\n")).await;
    let tenant = Tenant::new(&server, ACME, "t").await;
    let other = Tenant::new(&server, ACME, "other").await;
    let hangs = Receiver::start(Script::by(|_| Reply::step(Step::Hang))).await;
    let answers = Receiver::start(Reply::status(200)).await;
    let slow = tenant.register(endpoint(&hangs));
    let meanwhile = async {
        hangs.wait_for(1).await;
        let said = tenant.register(endpoint(&answers)).await.expect(409);
        assert_eq!(said["detail"], "Another handshake of this application is under way.");
        other.register(endpoint(&answers)).await.expect(201);
        server.clock.advance(Duration::from_secs(5));
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    assert!(refused(slow, "url").contains("5"));
    tenant.register(endpoint(&answers)).await.expect(201);
}
