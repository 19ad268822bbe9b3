//! What a cursor is good for, and for how long.

use std::time::Duration;

use serde_json::{Value, json};

use super::reader::{EVENTS, HOME, assert_refused, cursor, page, publish, server};
use crate::support::server::{TestServer, eventually};

#[tokio::test]
async fn a_cursor_starts_behind_what_it_was_answered_with() {
    let server = server().await;
    let (events, start, _) = page(&server, "").await;
    assert_eq!(events.len(), 0);
    publish(&server, &["e", "e"]).await;
    let (events, _, _) = page(&server, &format!("after={start}")).await;
    assert_eq!(json!(events), json!([0, 1]));
    // Reading takes nothing away.
    let (events, _, _) = page(&server, &format!("after={start}")).await;
    assert_eq!(json!(events), json!([0, 1]));
}

#[tokio::test]
async fn latest_starts_behind_everything_there_is() {
    let server = server().await;
    let (events, at_nothing, has_more) = page(&server, "after=latest").await;
    assert_eq!((events.len(), has_more), (0, false));
    publish(&server, &["e", "e"]).await;
    let (events, at_two, has_more) = page(&server, "after=latest&types=f").await;
    assert_eq!((events.len(), has_more), (0, false));
    server.publish(HOME, "t", "e", "2").await;
    let (events, _, _) = page(&server, &format!("after={at_nothing}")).await;
    assert_eq!(json!(events), json!([0, 1, 2]));
    let (events, _, _) = page(&server, &format!("after={at_two}")).await;
    assert_eq!(json!(events), json!([2]));
}

#[tokio::test]
async fn cursors_stay_good_over_a_restart() {
    let mut server = server().await;
    publish(&server, &["e"; 4]).await;
    let (_, middle, _) = page(&server, "limit=2").await;
    let (_, end, _) = page(&server, "").await;
    server.restart().await;
    server.publish(HOME, "t", "e", "4").await;
    let (events, _, _) = page(&server, &format!("after={middle}")).await;
    assert_eq!(json!(events), json!([2, 3, 4]));
    let (events, _, _) = page(&server, &format!("after={end}")).await;
    assert_eq!(json!(events), json!([4]));
}

#[tokio::test]
async fn what_is_no_cursor_is_refused() {
    let server = server().await;
    publish(&server, &["e"]).await;
    let (_, good, _) = page(&server, "").await;
    let damaged =
        format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { "B" } else { "A" });
    let long = format!("cur_{}", "A".repeat(10_000));
    for bad in [
        "",
        "0",
        "1",
        "-1",
        "now",
        "Latest",
        "null",
        "cur_",
        "msg_02yok03PwzkbeP8i4wlHFN",
        "%00",
        "cur_%F0%9F%92%A9",
        "%FF",
        &damaged,
        &good[1..],
        &long,
    ] {
        assert_refused(&server, &format!("after={bad}"), "after").await;
        let path = format!("{EVENTS}/stream?after={bad}");
        let refused = server.call(HOME, "GET", &path, Value::Null).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["query", "after"]));
    }
}

#[tokio::test]
async fn a_cursor_of_another_application_is_refused() {
    let server = TestServer::start(&[HOME, "kakiyo"]).await;
    for (environment, uid) in [(HOME, "t"), (HOME, "u"), ("kakiyo", "t")] {
        server.application(environment, uid).await;
    }
    publish(&server, &["e", "e"]).await;
    let (_, mine, _) = page(&server, "").await;
    for (environment, uid) in [(HOME, "u"), ("kakiyo", "t")] {
        let path = format!("/api/v1/app/{uid}/events");
        let theirs = server.call(environment, "GET", &path, Value::Null).await.expect(200);
        assert_refused(&server, &format!("after={}", cursor(&theirs)), "after").await;
        let path = format!("{path}?after={mine}");
        let refused = server.call(environment, "GET", &path, Value::Null).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["query", "after"]));
    }
}

/// Stops, and waits until the store's file is all there is of it.
async fn stop(server: &mut TestServer) {
    server.stop().await;
    let log = server.data_dir().join("hookwright.db-wal");
    eventually("the store to be closed", async || !log.exists()).await;
}

#[tokio::test]
async fn a_cursor_goes_on_where_an_older_copy_of_the_store_was_put_back() {
    let mut server = server().await;
    publish(&server, &["e"]).await;
    stop(&mut server).await;
    let (store, copy) = (server.data_dir().join("hookwright.db"), server.data_dir().join("copy"));
    std::fs::copy(&store, &copy).unwrap();
    server.run().await;
    publish(&server, &["e", "e"]).await;
    let (_, ahead, _) = page(&server, "").await;
    stop(&mut server).await;
    std::fs::copy(&copy, &store).unwrap();
    server.run().await;
    let (events, again, _) = page(&server, &format!("after={ahead}")).await;
    assert_eq!((events.len(), &again), (0, &ahead));
    // What is published from then on is newer than anything that the cursor ever was behind.
    server.clock.advance(Duration::from_millis(1));
    server.publish(HOME, "t", "e", "\"new\"").await;
    let (events, _, _) = page(&server, &format!("after={again}")).await;
    assert_eq!(json!(events), json!(["new"]));
}
