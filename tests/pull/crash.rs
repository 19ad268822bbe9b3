//! A reader who keeps nothing but its cursor, and a server that is killed.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::reader::cursor;
use crate::support::process::{Api, ServerProcess};
use crate::support::server::ADMIN_KEY;
use crate::support::stream::EventStream;

const ROUNDS: usize = 5;
const PUBLISHERS: usize = 8;
/// Acknowledgements after which the server is killed.
const KILL_AFTER: usize = 150;

/// Publishes until the server is gone, and returns what it acknowledged.
async fn publish(address: SocketAddr, reached: Arc<Notify>) -> HashSet<String> {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let (acknowledged, reached) = (acknowledged.clone(), reached.clone());
        publishers.spawn(async move {
            let mut api = Api::connect(address, ADMIN_KEY).await;
            let mut ids = Vec::new();
            let body = r#"{"eventType":"tick","payload":{}}"#;
            while let Ok((status, made)) =
                api.call("POST", "/api/v1/app/t/msg", body.to_owned()).await
            {
                assert_eq!(status, 202);
                ids.push(made["id"].as_str().unwrap().to_owned());
                if acknowledged.fetch_add(1, SeqCst) + 1 == KILL_AFTER {
                    reached.notify_one();
                }
            }
            ids
        });
    }
    publishers.join_all().await.into_iter().flatten().collect()
}

/// What a reader has read, and where it is.
#[derive(Default)]
struct Read {
    ids: Vec<String>,
    cursor: Option<String>,
}

fn id(event: &Value) -> String {
    event["id"].as_str().unwrap().to_owned()
}

impl Read {
    /// Reads until the server is gone, or where `settled` is set, until there is nothing left.
    async fn poll(mut self, address: SocketAddr, settled: bool) -> Read {
        let mut api = Api::connect(address, ADMIN_KEY).await;
        loop {
            let after = self.cursor.as_ref().map(|cursor| format!("&after={cursor}"));
            let wait = if settled { 0 } else { 60 };
            let path = format!("/api/v1/app/t/events?wait={wait}{}", after.unwrap_or_default());
            let Ok((status, page)) = api.call("GET", &path, String::new()).await else {
                return self;
            };
            assert_eq!(status, 200, "{page}");
            self.ids.extend(page["data"].as_array().unwrap().iter().map(id));
            self.cursor = Some(cursor(&page));
            if wait == 0 && page["hasMore"] == false {
                return self;
            }
        }
    }

    /// Reads until the server is gone.
    async fn stream(mut self, address: SocketAddr) -> Read {
        let authorization = format!("Bearer {ADMIN_KEY}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(self.cursor.as_deref().map(|cursor| ("last-event-id", cursor)));
        let path = "/api/v1/app/t/events/stream";
        let mut stream = EventStream::open(address, path, &headers).await;
        while let Some(event) = stream.next().await {
            self.ids.push(id(&event.json()));
            self.cursor = Some(event.id);
        }
        self
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_a_reader_goes_on_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let serve = || ServerProcess::start(dir.path(), &["--admin-key", ADMIN_KEY, "--log", "warn"]);
    let mut server = serve();
    let mut api = Api::connect(server.address, ADMIN_KEY).await;
    let application = r#"{"name":"tenant","uid":"t"}"#.to_owned();
    assert_eq!(api.call("POST", "/api/v1/app", application).await.unwrap().0, 201);
    let (mut polled, mut streamed) = (Read::default(), Read::default());
    let mut acknowledged = HashSet::new();
    for _ in 0..ROUNDS {
        let polling = tokio::spawn(polled.poll(server.address, false));
        let streaming = tokio::spawn(streamed.stream(server.address));
        let reached = Arc::new(Notify::new());
        let publishing = tokio::spawn(publish(server.address, reached.clone()));
        reached.notified().await;
        server.kill();
        acknowledged.extend(publishing.await.unwrap());
        (polled, streamed) = (polling.await.unwrap(), streaming.await.unwrap());
        server = serve();
    }
    polled = polled.poll(server.address, true).await;
    // The stream's cursor is as good for polling.
    streamed = streamed.poll(server.address, true).await;
    assert!(polled.ids == streamed.ids, "the readers disagree");
    let seen: HashSet<String> = polled.ids.iter().cloned().collect();
    assert_eq!(seen.len(), polled.ids.len(), "something was read twice");
    assert!(acknowledged.is_subset(&seen), "something acknowledged was not read");
    assert!(acknowledged.len() >= ROUNDS * KILL_AFTER);
    assert!(server.terminate().0.success());
}
