//! Readers that don't read.
#![allow(clippy::disallowed_methods)] // Real processes need a guard in real time.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::process::{Api, ServerProcess};
use crate::support::server::ADMIN_KEY;
use crate::support::stream::EventStream;

/// Bytes of one payload.
const LARGE: usize = 900_000;

async fn open(address: SocketAddr) -> EventStream {
    let authorization = format!("Bearer {ADMIN_KEY}");
    let path = "/api/v1/app/t/events/stream";
    EventStream::open(address, path, &[("authorization", &authorization)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_nobody_reads_take_no_memory() {
    const EVENTS: u64 = 32;
    const STREAMS: u64 = 12;
    const MEMORY_MAX_KIB: u64 = 220 << 10;
    let dir = tempfile::tempdir().unwrap();
    let args = ["--admin-key", ADMIN_KEY, "--log", "warn"];
    let server = ServerProcess::start(dir.path(), &args);
    let mut api = Api::connect(server.address, ADMIN_KEY).await;
    let application = r#"{"name":"tenant","uid":"t"}"#.to_owned();
    assert_eq!(api.call("POST", "/api/v1/app", application).await.unwrap().0, 201);
    let large = "x".repeat(LARGE);
    for number in 0..EVENTS {
        let body = format!(r#"{{"eventType":"e","payload":{{"n":{number},"x":"{large}"}}}}"#);
        let path = "/api/v1/app/t/msg?with_content=false";
        assert_eq!(api.call("POST", path, body).await.unwrap().0, 202);
    }
    // More than the limit, if each stream held what its client has yet to read.
    assert!(STREAMS * EVENTS * LARGE as u64 / 1_024 > MEMORY_MAX_KIB);
    let mut stalled = join_all((0..STREAMS).map(|_| open(server.address))).await;
    // While these stand still another one is read, and then one of these: nothing is missing.
    for mut stream in [open(server.address).await, stalled.pop().unwrap()] {
        for number in 0..EVENTS {
            let event = stream.next().await.expect("an event").json();
            assert_eq!(event["payload"]["n"], json!(number));
        }
    }
    drop(stalled);
    let peak = server.peak_memory_kib();
    assert!(peak < MEMORY_MAX_KIB, "{} MiB", peak >> 10);
    server.kill();
}
