//! The order under load, and over a process that is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::support::process::{Api, ServerProcess};
use crate::support::receiver::{Receiver, Reply, Script};

const KEY: &str = "an-admin-key-for-tests";
const MESSAGES: usize = 2_000;
const PUBLISHERS: usize = 16;

fn serve(data_dir: &std::path::Path) -> ServerProcess {
    let args = ["--admin-key", KEY, "--allow-private", "127.0.0.0/8", "--log", "warn"];
    ServerProcess::start(data_dir, &args)
}

/// Publishes until so many were sent in all, or the server is gone. Returns how many it took.
async fn publish(address: std::net::SocketAddr, sent: Arc<AtomicUsize>) -> usize {
    let mut publishers = tokio::task::JoinSet::new();
    for _ in 0..PUBLISHERS {
        let sent = sent.clone();
        publishers.spawn(async move {
            let mut api = Api::connect(address, KEY).await;
            let mut taken = 0;
            while sent.fetch_add(1, SeqCst) < MESSAGES {
                let body = r#"{"eventType":"tick","payload":{}}"#.to_owned();
                match api.call("POST", "/api/v1/app/t/msg", body).await {
                    Ok((202, _)) => taken += 1,
                    _ => break,
                }
            }
            taken
        });
    }
    publishers.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_publishers_and_a_kill_do_not_disturb_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let times = AtomicUsize::new(0);
    // A few are refused, which are tried again five seconds later.
    let receiver = Receiver::start(Script::by(move |_| match times.fetch_add(1, SeqCst) {
        100 => Reply::status(500),
        _ => Reply::status(200),
    }))
    .await;
    let mut server = serve(dir.path());
    let mut api = Api::connect(server.address, KEY).await;
    let application = r#"{"name":"t","uid":"t"}"#.to_owned();
    assert_eq!(api.call("POST", "/api/v1/app", application).await.unwrap().0, 201);
    let endpoint = format!(r#"{{"url":"{}","ordered":true}}"#, receiver.url("/"));
    assert_eq!(api.call("POST", "/api/v1/app/t/endpoint", endpoint).await.unwrap().0, 201);

    let sent = Arc::new(AtomicUsize::new(0));
    let publishing = tokio::spawn(publish(server.address, sent.clone()));
    receiver.wait_for(150).await;
    server.kill();
    let before = publishing.await.unwrap();
    server = serve(dir.path());
    let taken = before + publish(server.address, sent).await;
    let ids = || -> Vec<String> {
        let requests = receiver.requests();
        requests.iter().map(|one| one.header("webhook-id").unwrap().to_owned()).collect()
    };
    let distinct = || {
        let mut ids = ids();
        ids.sort();
        ids.dedup();
        ids.len()
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while distinct() < taken && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let arrived = ids();
    assert!(distinct() >= taken, "{} of {taken}", distinct());
    // Ids grow in the order of publishing; one may come again, but none after its successor.
    let overtaken = arrived.windows(2).find(|pair| pair[0] > pair[1]);
    assert_eq!(overtaken, None, "of {}", arrived.len());
    assert!(arrived.len() <= distinct() + 2, "one was refused, one was in flight at the kill");
    server.terminate();
}
