//! Lists: limits, iterators, order, there and back again.

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

const HOME: &str = "standard";

/// More than two pages of two.
const ITEMS: usize = 5;

/// A server with several of everything that is listed by id. Time moves between them, so that
/// they have an order.
async fn populated() -> (TestServer, Receiver, Vec<(String, bool)>) {
    let server = TestServer::start(&[HOME]).await;
    let receiver = Receiver::start(Reply::status(500)).await;
    let tick = std::time::Duration::from_secs(1);
    for index in 0..ITEMS {
        server.application(HOME, &format!("app-{index}")).await;
        server.clock.advance(tick);
    }
    for _ in 1..ITEMS {
        server
            .endpoint(HOME, "app-0", json!({ "url": "http://127.0.0.1:9/", "channels": ["none"] }))
            .await;
        server.clock.advance(tick);
    }
    let fields = json!({ "url": receiver.url("/").as_str(), "uid": "receiver" });
    server.endpoint(HOME, "app-0", fields).await;
    for index in 0..ITEMS {
        let message = server.publish(HOME, "app-0", "e", &format!("{{\"n\":{index}}}")).await;
        server.wait_for_attempts(HOME, "app-0", &message, 1).await;
        server.clock.advance(tick);
    }
    let message = server.call(HOME, "GET", "/api/v1/app/app-0/msg?limit=1", Value::Null).await;
    let message = message.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    for attempt in 2..=ITEMS {
        let path = format!("/api/v1/app/app-0/msg/{message}/endpoint/receiver/resend");
        server.call(HOME, "POST", &path, Value::Null).await.expect(202);
        server.wait_for_attempts(HOME, "app-0", &message, attempt).await;
        server.clock.advance(std::time::Duration::from_millis(1));
    }
    // Each list with whether it is ascending unless told.
    let lists = vec![
        ("/api/v1/app".to_owned(), true),
        ("/api/v1/app/app-0/endpoint".to_owned(), true),
        ("/api/v1/app/app-0/msg".to_owned(), false),
        (format!("/api/v1/app/app-0/attempt/msg/{message}"), false),
        ("/api/v1/app/app-0/attempt/endpoint/receiver".to_owned(), false),
    ];
    (server, receiver, lists)
}

async fn page(server: &TestServer, path: &str, query: &str) -> (Vec<String>, Value) {
    let path = format!("{path}?{query}");
    let list = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
    let data = list["data"].as_array().unwrap();
    let ids = data.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    (ids, list)
}

fn text<'a>(list: &'a Value, field: &str) -> &'a str {
    list[field].as_str().unwrap()
}

#[tokio::test]
async fn every_list_is_read_forwards_and_backwards_in_both_orders() {
    let (server, _receiver, lists) = populated().await;
    for (path, ascending) in &lists {
        let (natural, whole) = page(&server, path, "").await;
        assert!(natural.len() >= ITEMS, "{path}");
        assert_eq!(whole["done"], true);
        let mut sorted = natural.clone();
        sorted.sort();
        let ordered =
            if *ascending { sorted.clone() } else { sorted.iter().rev().cloned().collect() };
        assert_eq!(natural, ordered, "{path}: ids sort like time");

        for order in ["ascending", "descending"] {
            let mut expected = sorted.clone();
            if order == "descending" {
                expected.reverse();
            }
            let pages: Vec<&[String]> = expected.chunks(2).collect();
            let mut query = format!("limit=2&order={order}");
            let mut last = Value::Null;
            for (index, wanted) in pages.iter().enumerate() {
                let (ids, list) = page(&server, path, &query).await;
                assert_eq!(ids, *wanted, "{path} {order}, page {index}");
                assert_eq!(list["done"], index + 1 == pages.len(), "{path} {order}, page {index}");
                query = format!("limit=2&order={order}&iterator={}", text(&list, "iterator"));
                last = list;
            }
            // Behind the end there is nothing.
            let (ids, list) = page(&server, path, &query).await;
            assert!(ids.is_empty() && list["done"] == true);
            assert_eq!((&list["iterator"], &list["prevIterator"]), (&Value::Null, &Value::Null));

            // And back, each page still in the list's order.
            for index in (0..pages.len() - 1).rev() {
                let query =
                    format!("limit=2&order={order}&iterator={}", text(&last, "prevIterator"));
                let (ids, list) = page(&server, path, &query).await;
                assert_eq!(ids, pages[index], "{path} {order}, back to page {index}");
                assert_eq!(list["done"], index == 0, "{path} {order}, back to page {index}");
                last = list;
            }
        }
    }
}

#[tokio::test]
async fn items_that_come_in_between_are_neither_lost_nor_repeated() {
    let (server, _receiver, _) = populated().await;
    let path = "/api/v1/app";
    let (first, list) = page(&server, path, "limit=3&order=ascending").await;
    server.application(HOME, "late").await;
    let gone = format!("/api/v1/app/{}", first[2]);
    server.call(HOME, "DELETE", &gone, Value::Null).await.expect(204);
    // The iterator names an application that is no more, and is still a place in the list.
    let query = format!("limit=10&order=ascending&iterator={}", text(&list, "iterator"));
    let (rest, _) = page(&server, path, &query).await;
    assert_eq!(rest.len(), ITEMS - 3 + 1);
    assert!(rest.iter().all(|id| !first.contains(id)));
}

#[tokio::test]
async fn limits_and_iterators_out_of_range_are_refused_by_every_list() {
    let (server, _receiver, mut lists) = populated().await;
    lists.push(("/api/v1/event-type".to_owned(), true));
    for (path, _) in &lists {
        for (query, parameter) in [
            ("limit=0", "limit"),
            ("limit=251", "limit"),
            ("limit=-1", "limit"),
            ("limit=4294967296", "limit"),
            ("limit=ten", "limit"),
            ("limit=1.5", "limit"),
            ("order=sideways", "order"),
        ] {
            let answer = server.call(HOME, "GET", &format!("{path}?{query}"), Value::Null).await;
            let refused = answer.expect(422);
            assert_eq!(
                refused["detail"][0]["loc"],
                json!(["query", parameter]),
                "{path}?{query}: {refused}"
            );
        }
        for limit in [1, 250] {
            let path = format!("{path}?limit={limit}");
            server.call(HOME, "GET", &path, Value::Null).await.expect(200);
        }
    }
    lists.pop();
    let long = "x".repeat(5_000);
    for (path, _) in &lists {
        for iterator in ["", "-", "--", "x", "app_", "key_02yok03PwzkbeP8i4wlHFN", "%00", &long] {
            let query = format!("{path}?iterator={iterator}");
            let answer = server.call(HOME, "GET", &query, Value::Null).await;
            if iterator.is_empty() {
                assert!(matches!(answer.status, 200 | 422), "{query}: {}", answer.text);
                continue;
            }
            let refused = answer.expect(422);
            assert_eq!(refused["detail"][0]["loc"], json!(["query", "iterator"]), "{query}");
        }
    }
}

#[tokio::test]
async fn a_page_of_large_payloads_ends_early_and_loses_none() {
    const LARGE: usize = 7;
    let server = TestServer::start(&[HOME]).await;
    server.application(HOME, "app-0").await;
    let fields = json!({ "url": "http://127.0.0.1:9/", "uid": "receiver" });
    server.endpoint(HOME, "app-0", fields).await;
    for _ in 0..LARGE {
        let payload = format!("\"{}\"", "x".repeat(1_000_000));
        let message = server.publish(HOME, "app-0", "e", &payload).await;
        server.wait_for_attempts(HOME, "app-0", &message, 1).await;
    }
    for (path, query) in [
        ("/api/v1/app/app-0/msg", "limit=250"),
        ("/api/v1/app/app-0/attempt/endpoint/receiver", "limit=250&with_msg=true"),
    ] {
        let (first, list) = page(&server, path, query).await;
        assert!(!first.is_empty() && first.len() < LARGE, "{path}: {}", first.len());
        assert_eq!(list["done"], false);
        let next = format!("{query}&iterator={}", list["iterator"].as_str().unwrap());
        let (second, list) = page(&server, path, &next).await;
        assert_eq!(list["done"], true);
        let back = format!("{query}&iterator={}", list["prevIterator"].as_str().unwrap());
        let (before, _) = page(&server, path, &back).await;
        assert_eq!(before.last(), first.last(), "what stands right before comes first");
        let mut all = [first, second].concat();
        all.dedup();
        assert_eq!(all.len(), LARGE, "{path}");
    }
}
