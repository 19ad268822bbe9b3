//! Many publish and many read at the same time: everybody reads everything, once, in one order.
#![allow(clippy::disallowed_methods)] // Real sockets need a guard in real time.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::reader::{HOME, cursor, payloads};
use crate::support::process::Api;
use crate::support::server::{ADMIN_KEY, TestServer};
use crate::support::stream::EventStream;

const PUBLISHERS: u64 = 32;
const MESSAGES: u64 = 200;
const APPLICATIONS: [&str; 3] = ["a", "b", "c"];

/// Who published it, and which of theirs it is.
type Mark = (u64, u64);

fn mark(payload: &Value) -> Mark {
    let number = |name: &str| payload[name].as_u64().unwrap();
    (number("publisher"), number("number"))
}

/// To which application the messages go, and of which type they are.
fn application(publisher: u64, number: u64) -> usize {
    ((publisher + number) % 3) as usize
}

fn event_type(number: u64) -> &'static str {
    if number.is_multiple_of(10) { "rare" } else { "common" }
}

/// Publishes everybody's messages of this part, 32 connections at once.
async fn publish(address: SocketAddr, numbers: std::ops::Range<u64>) {
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let numbers = numbers.clone();
        publishers.spawn(async move {
            let mut api = Api::connect(address, ADMIN_KEY).await;
            for number in numbers {
                let uid = APPLICATIONS[application(publisher, number)];
                let body = format!(
                    r#"{{"eventType":"{}","payload":{{"publisher":{publisher},"number":{number}}}}}"#,
                    event_type(number)
                );
                let path = format!("/api/v1/app/{uid}/msg");
                assert_eq!(api.call("POST", &path, body).await.unwrap().0, 202);
            }
        });
    }
    publishers.join_all().await;
}

/// What an application was sent, in this part.
fn expected(place: usize, numbers: std::ops::Range<u64>, rare_only: bool) -> usize {
    let all = (0..PUBLISHERS).flat_map(|publisher| numbers.clone().map(move |n| (publisher, n)));
    all.filter(|&(publisher, number)| {
        application(publisher, number) == place && (!rare_only || event_type(number) == "rare")
    })
    .count()
}

/// How a reader got on: what it has read and where it is.
#[derive(Clone, Default)]
struct Read {
    marks: Vec<Mark>,
    cursor: Option<String>,
}

/// Polls until it has read so many.
async fn poll(address: SocketAddr, uid: &str, query: &str, count: usize, mut read: Read) -> Read {
    let mut api = Api::connect(address, ADMIN_KEY).await;
    while read.marks.len() < count {
        let after = read.cursor.as_ref().map(|cursor| format!("&after={cursor}"));
        let path = format!("/api/v1/app/{uid}/events?{query}{}", after.unwrap_or_default());
        let (status, page) = api.call("GET", &path, String::new()).await.unwrap();
        assert_eq!(status, 200, "{page}");
        read.marks.extend(payloads(&page).iter().map(mark));
        read.cursor = Some(cursor(&page));
    }
    read
}

/// Streams until it has read so many, over a new connection after each `span` events.
async fn stream(address: SocketAddr, uid: &str, span: usize, count: usize, mut read: Read) -> Read {
    let authorization = format!("Bearer {ADMIN_KEY}");
    while read.marks.len() < count {
        let path = format!("/api/v1/app/{uid}/events/stream");
        let mut headers = vec![("authorization", authorization.as_str())];
        if let Some(cursor) = &read.cursor {
            headers.push(("last-event-id", cursor));
        }
        let mut stream = EventStream::open(address, &path, &headers).await;
        for _ in 0..span.min(count - read.marks.len()) {
            let event = stream.next().await.expect("an event");
            read.marks.push(mark(&event.json()["payload"]));
            read.cursor = Some(event.id);
        }
    }
    read
}

/// The readers of one application; the last one reads rare events only.
fn start_readers(
    address: SocketAddr,
    place: usize,
    numbers: std::ops::Range<u64>,
    reads: Vec<Read>,
) -> Vec<JoinHandle<Read>> {
    let uid = APPLICATIONS[place];
    let mut reads = reads.into_iter();
    let mut next = |rare_only| {
        let read = reads.next().unwrap();
        let count = read.marks.len() + expected(place, numbers.clone(), rare_only);
        (count, read)
    };
    let mut readers = Vec::new();
    for query in ["wait=60&limit=250", "wait=60&limit=7", "limit=50"] {
        let (count, read) = next(false);
        readers.push(tokio::spawn(poll(address, uid, query, count, read)));
    }
    for span in [usize::MAX, 37] {
        let (count, read) = next(false);
        readers.push(tokio::spawn(stream(address, uid, span, count, read)));
    }
    let (count, read) = next(true);
    readers.push(tokio::spawn(poll(address, uid, "types=rare&wait=60", count, read)));
    readers
}

const READERS: usize = 6;

/// Publishes a part while everybody reads.
async fn publish_and_read(
    server: &TestServer,
    numbers: std::ops::Range<u64>,
    reads: Vec<Vec<Read>>,
) -> Vec<Vec<Read>> {
    let address = server.running().address;
    let readers: Vec<_> = reads
        .into_iter()
        .enumerate()
        .map(|(place, reads)| start_readers(address, place, numbers.clone(), reads))
        .collect();
    publish(address, numbers).await;
    let mut done = Vec::new();
    for readers in readers {
        done.push(futures_util::future::try_join_all(readers).await.unwrap());
    }
    done
}

/// Everybody's own messages come in the order in which they were published, without a gap.
fn assert_complete(place: usize, marks: &[Mark]) {
    let mut numbers: HashMap<u64, Vec<u64>> = HashMap::new();
    for &(publisher, number) in marks {
        numbers.entry(publisher).or_default().push(number);
    }
    for publisher in 0..PUBLISHERS {
        let theirs = (0..MESSAGES).filter(|&number| application(publisher, number) == place);
        assert_eq!(numbers[&publisher], theirs.collect::<Vec<_>>(), "of publisher {publisher}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_gets_everything_once_and_in_the_same_order_over_a_restart() {
    let mut server = TestServer::start(&[HOME]).await;
    for uid in APPLICATIONS {
        server.application(HOME, uid).await;
    }
    let half = MESSAGES / 2;
    let fresh = vec![vec![Read::default(); READERS]; APPLICATIONS.len()];
    let reads = publish_and_read(&server, 0..half, fresh).await;
    server.restart().await;
    let reads = publish_and_read(&server, half..MESSAGES, reads).await;
    for (place, reads) in reads.into_iter().enumerate() {
        let order = &reads[0].marks;
        assert_complete(place, order);
        let rare = order.iter().filter(|(_, number)| event_type(*number) == "rare");
        let rare: Vec<Mark> = rare.copied().collect();
        for read in &reads[..READERS - 1] {
            assert!(read.marks == *order, "readers disagree about the order");
        }
        assert_eq!(reads[READERS - 1].marks, rare);
        // Nothing is left behind any of the cursors.
        for (reader, read) in reads.iter().enumerate() {
            let types = if reader == READERS - 1 { "&types=rare" } else { "" };
            let (uid, cursor) = (APPLICATIONS[place], read.cursor.as_ref().unwrap());
            let path = format!("/api/v1/app/{uid}/events?after={cursor}{types}");
            let page = server.call(HOME, "GET", &path, Value::Null).await.expect(200);
            assert_eq!(page["data"], json!([]));
        }
    }
}
