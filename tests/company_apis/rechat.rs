//! Rechat's API reference, "Brand Webhooks".

use serde_json::{Value, json};

use crate::support::customer::Customer;
use crate::support::programs::hmac_sha256_hex;
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::{Answer, TestServer};

const BRAND: &str = "8929cf8b-6bcc-484a-a7a6-242eaf70cb7a";

async fn server() -> TestServer {
    TestServer::start(&["rechat"]).await
}

async fn brand(server: &TestServer) -> Customer<'_> {
    Customer::new(server, "rechat", BRAND, ("authorization", "Bearer ")).await
}

async fn create(brand: &Customer<'_>, topic: &str, url: &str) -> Answer {
    let path = format!("/brands/{BRAND}/webhooks");
    brand.call("POST", &path, json!({ "topic": topic, "url": url })).await
}

async fn list(brand: &Customer<'_>, query: &str) -> Answer {
    brand.call("GET", &format!("/brands/{BRAND}/webhooks{query}"), Value::Null).await
}

/// A webhook as documented: ten members in this order, times with microseconds.
fn webhook(id: &str, topic: &str, url: &str, key: &str) -> String {
    format!(
        r#"{{"id":"{id}","created_at":1736951520.258162,"updated_at":1736951520.258162,"deleted_at":null,"brand":"{BRAND}","topic":"{topic}","url":"{url}","key":"{key}","tags":null,"type":"brand_webhook"}}"#
    )
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let digits = |c: char| c == '-' || matches!(c, '0'..='9' | 'a'..='f');
    lengths == [8, 4, 4, 4, 12] && text.chars().all(digits)
}

#[tokio::test]
async fn the_documented_request_gets_the_documented_answer() {
    let server = server().await;
    let brand = brand(&server).await;
    let made = create(&brand, "Showings", "https://localhost:3000").await;
    assert_eq!(made.status, 200);
    let data = &made.json["data"];
    let (id, key) = (data["id"].as_str().unwrap(), data["key"].as_str().unwrap());
    assert!(is_uuid(id), "{id}");
    assert!(key.len() == 64 && hex::decode(key).is_ok(), "{key}");
    let expected = webhook(id, "Showings", "https://localhost:3000", key);
    assert_eq!(made.text, format!(r#"{{"code":"OK","data":{expected}}}"#));
    let listed = list(&brand, "").await;
    assert_eq!(listed.status, 200);
    assert_eq!(
        listed.text,
        format!(r#"{{"code":"OK","data":[{expected}],"info":{{"count":1,"total":1}}}}"#)
    );
}

#[tokio::test]
async fn lists_are_by_topic_and_by_page() {
    let server = server().await;
    let brand = brand(&server).await;
    for (topic, url) in
        [("Deals", "https://a/"), ("Showings", "https://b/"), ("Deals", "https://c/")]
    {
        create(&brand, topic, url).await.expect(200);
        server.clock.advance(std::time::Duration::from_secs(1));
    }
    let urls = |answer: Answer| {
        let listed = answer.expect(200);
        let urls: Vec<String> = listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["url"].as_str().unwrap().to_owned())
            .collect();
        (urls.join(" "), listed["info"].clone())
    };
    assert_eq!(
        urls(list(&brand, "").await),
        ("https://a/ https://b/ https://c/".into(), json!({ "count": 3, "total": 3 }))
    );
    assert_eq!(
        urls(list(&brand, "?topic=Deals").await),
        ("https://a/ https://c/".into(), json!({ "count": 2, "total": 2 }))
    );
    assert_eq!(
        urls(list(&brand, "?topic=Contacts").await),
        (String::new(), json!({ "count": 0, "total": 0 }))
    );
    assert_eq!(
        urls(list(&brand, "?limit=1&start=1").await),
        ("https://b/".into(), json!({ "count": 1, "total": 3 }))
    );
    let refused = list(&brand, "?limit=many").await.expect(400);
    assert_eq!(
        refused,
        json!({ "code": "Validation", "message": "limit: Must be a whole number of at most 1000", "http": 400 })
    );
}

#[tokio::test]
async fn a_deleted_webhook_is_no_longer_listed() {
    let server = server().await;
    let brand = brand(&server).await;
    let made = create(&brand, "Deals", "https://a/").await.expect(200);
    let path = format!("/brands/{BRAND}/webhooks/{}", made["data"]["id"].as_str().unwrap());
    let deleted = brand.call("DELETE", &path, Value::Null).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(list(&brand, "").await.expect(200)["data"], json!([]));
    let again = brand.call("DELETE", &path, Value::Null).await.expect(404);
    assert_eq!(again, json!({ "code": "NotFound", "message": "Entity not found", "http": 404 }));
}

#[tokio::test]
async fn a_webhook_has_one_known_topic() {
    let server = server().await;
    let brand = brand(&server).await;
    let unknown = create(&brand, "Homes", "https://a/").await.expect(400);
    let message = "topic: `Homes` is not in the catalog of event types";
    assert_eq!(unknown, json!({ "code": "Validation", "message": message, "http": 400 }));
    let path = format!("/brands/{BRAND}/webhooks");
    let several = json!({ "topic": ["Deals", "Showings"], "url": "https://a/" });
    assert_eq!(brand.call("POST", &path, several).await.expect(400)["code"], "Validation");
    assert_eq!(list(&brand, "").await.expect(200)["info"]["total"], 0);
}

#[tokio::test]
async fn another_brand_does_not_exist_for_the_key() {
    let server = server().await;
    let brand = brand(&server).await;
    server.application("rechat", "another-brand").await;
    for id in ["another-brand", "nobody", "..%2F"] {
        let answer = brand.call("GET", &format!("/brands/{id}/webhooks"), Value::Null).await;
        assert_eq!(answer.expect(404)["code"], "NotFound");
    }
}

#[tokio::test]
async fn deliveries_are_signed_with_the_key_that_was_shown() {
    let server = server().await;
    let brand = brand(&server).await;
    let receiver = Receiver::start(Reply::status(200)).await;
    let made = create(&brand, "Contacts", receiver.url("/").as_str()).await.expect(200);
    server.publish("rechat", BRAND, "Contacts", r#"{"display_name":"Jane"}"#).await;
    let request = receiver.wait_for(1).await[0].clone();
    let key = made["data"]["key"].as_str().unwrap();
    let expected = hmac_sha256_hex(key, [request.body.as_slice()]).remove(0);
    assert_eq!(request.header("x-rechat-signature").unwrap(), expected);
}
