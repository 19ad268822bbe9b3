//! What only the store in a file has: the file itself, its key, other processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hookwright::domain::{ApiKey, Auth, ErrorCode, Scope, SecretText, SigningSecret};
use hookwright::entropy::Entropy;
use hookwright::store::sqlite::{SqliteOptions, SqliteStore};
use hookwright::store::{AgeWalk, MasterKey, Reclaim, Store, Vault};

use super::ageing::{DAY, walk_on};
use super::world::{Backend, World};

/// A store in a folder of its own, which goes with it.
pub(crate) struct SqliteFile {
    folder: tempfile::TempDir,
    options: SqliteOptions,
}

impl Default for SqliteFile {
    fn default() -> SqliteFile {
        SqliteFile { folder: tempfile::tempdir().unwrap(), options: SqliteOptions::default() }
    }
}

impl SqliteFile {
    fn path(&self) -> PathBuf {
        self.folder.path().join("hookwright.db")
    }
}

impl Backend for SqliteFile {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path(), vault(7), self.options.clone()).unwrap())
    }
}

fn vault(seed: u64) -> Vault {
    Vault::new(MasterKey::generate(&Entropy::seeded(seed)), Entropy::system())
}

fn world_in(folder: &Path, options: SqliteOptions) -> World {
    struct At(PathBuf, SqliteOptions);
    impl Backend for At {
        fn open(&self) -> Arc<dyn Store> {
            Arc::new(SqliteStore::open(&self.0, vault(7), self.1.clone()).unwrap())
        }
    }
    World::new(Box::new(At(folder.join("hookwright.db"), options)))
}

#[tokio::test]
async fn another_master_key_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hookwright.db");
    drop(SqliteStore::open(&path, vault(1), SqliteOptions::default()).unwrap());
    let error = match SqliteStore::open(&path, vault(2), SqliteOptions::default()) {
        Ok(_) => panic!("it opened with another key"),
        Err(error) => error,
    };
    assert!(error.detail.contains("not the master key"), "{error}");
    drop(SqliteStore::open(&path, vault(1), SqliteOptions::default()).unwrap());
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hookwright.db");
    fs::write(&path, "this is a letter, and no database at all".repeat(100)).unwrap();
    let opened = SqliteStore::open(&path, vault(1), SqliteOptions::default());
    assert_eq!(opened.err().unwrap().code, ErrorCode::Internal);
    let nowhere = folder.path().join("missing/hookwright.db");
    let opened = SqliteStore::open(&nowhere, vault(1), SqliteOptions::default());
    assert_eq!(opened.err().unwrap().code, ErrorCode::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_can_be_read_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world_in(folder.path(), SqliteOptions::default());
    let application = world.application("visible-uid").await;
    let secrets = ["whsec_hidden1", "whsec_hidden2", "token-hidden", "value-hidden", "h-hidden"];
    world
        .endpoint_with(&application, |e| {
            e.secrets = secrets[..2]
                .iter()
                .map(|&text| SigningSecret { text: SecretText::new(text), expires_at: None })
                .collect();
            e.auth = Auth::Basic { token: SecretText::new(secrets[2]) };
            e.headers = vec![("X-Visible".to_owned(), SecretText::new(secrets[3]))];
        })
        .await;
    world
        .endpoint_with(&application, |e| {
            let value = SecretText::new(secrets[4]);
            e.auth = Auth::Header { name: "X-Key".to_owned(), value };
        })
        .await;
    world.publish(&application).await;

    // In the log while it is open, in the database once it is closed.
    for _ in 0..2 {
        let bytes: Vec<u8> = fs::read_dir(folder.path())
            .unwrap()
            .flat_map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(holds("visible-uid"), "the search finds what is there");
        for secret in secrets {
            assert!(!holds(secret), "{secret}");
            assert!(!holds(&hex::encode(secret)), "{secret}");
        }
        world.reopen();
        world.store().ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_looks_in_and_adds_keys_while_the_server_writes() {
    let folder = tempfile::tempdir().unwrap();
    let server = world_in(folder.path(), SqliteOptions::default());
    let application = server.application("acme").await;
    server.endpoint(&application).await;
    let traffic = async {
        for _ in 0..50 {
            let calls = (0..10).map(|_| server.publish(&application));
            futures_util::future::join_all(calls).await;
        }
    };
    let visitor = async {
        for _ in 0..5 {
            let visitor = world_in(folder.path(), SqliteOptions::default());
            let key = ApiKey {
                id: visitor.entropy.id(&visitor.clock),
                name: "from the command line".to_owned(),
                scope: Scope::Admin,
                hash: visitor.entropy.bytes(),
                created_at: visitor.now(),
                revoked_at: None,
            };
            visitor.store().create_key(key.clone()).await.unwrap();
            assert_eq!(server.store().find_key(key.hash).await.unwrap(), Some(key));
            assert!(visitor.ledger(&application).await.adds_up());
        }
    };
    futures_util::future::join(traffic, visitor).await;
    server.expect_ledger(&application, [500, 0, 0, 500, 0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_refuses_and_forgets_nothing_that_it_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { size_max_bytes: Some(1024 * 1024), ..SqliteOptions::default() };
    let mut world = world_in(folder.path(), options);
    let application = world.application("acme").await;
    world.endpoint(&application).await;
    let payload: Arc<str> = format!(r#"{{"text":"{}"}}"#, "x".repeat(10_000)).into();
    let mut accepted = 0;
    let mut refused = 0;
    while refused == 0 {
        let calls = (0..20).map(|_| {
            let mut message = world.new_message(&application);
            message.payload = Arc::clone(&payload);
            world.try_accept(message)
        });
        for answer in futures_util::future::join_all(calls).await {
            match answer {
                Ok(_) => accepted += 1,
                Err(error) => {
                    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted > 20, "{accepted}");
    world.expect_ledger(&application, [accepted, 0, 0, accepted, 0]).await;
    world.reopen();
    world.expect_ledger(&application, [accepted, 0, 0, accepted, 0]).await;
    // The batch was too much. A single message may fit still, but not forever.
    let refusal = loop {
        let mut message = world.new_message(&application);
        message.payload = Arc::clone(&payload);
        match world.try_accept(message).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 200, "more than the size that is allowed");
    };
    assert_eq!(refusal.code, ErrorCode::Unavailable);
    world.expect_ledger(&application, [accepted, 0, 0, accepted, 0]).await;
}

/// The file's size in bytes, its log not counted.
fn size(folder: &Path) -> u64 {
    fs::metadata(folder.join("hookwright.db")).unwrap().len()
}

/// Publishes payloads of 1 KiB.
async fn fill(world: &World, messages: usize) {
    let application = world.application("acme").await;
    let payload: Arc<str> = format!("\"{}\"", "x".repeat(1_024)).into();
    let calls = (0..messages)
        .map(|_| world.publish_with(&application, |message| message.payload = payload.clone()));
    futures_util::future::join_all(calls).await;
}

async fn give_back(world: &World) -> u64 {
    let mut reclaim = Reclaim::default();
    while !reclaim.done {
        reclaim = world.store().reclaim(reclaim).await.unwrap();
    }
    reclaim.bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_is_given_back_to_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world_in(folder.path(), SqliteOptions::default());
    fill(&world, 5_000).await;
    world.reopen();
    let full = size(folder.path());
    assert!(full > 5_000 * 1_024, "{full}");
    assert_eq!(give_back(&world).await, 0, "nothing is free");

    world.pass(7 * DAY);
    assert_eq!(walk_on(&world, AgeWalk::new(7 * DAY)).await.emptied, 5_000);
    assert!(give_back(&world).await > full / 2);
    let without_content = size(folder.path());
    assert!(without_content < full / 3, "{without_content} of {full}");

    world.pass(83 * DAY);
    assert_eq!(walk_on(&world, AgeWalk::new(90 * DAY)).await.removed, 5_000);
    assert!(give_back(&world).await > 0);
    let empty = size(folder.path());
    assert!(empty < 300_000, "{empty} of {full}, while it is open");
    world.reopen();
    goes_on_working(&world).await;
}

async fn goes_on_working(world: &World) {
    let application = world.application("other").await;
    world.endpoint(&application).await;
    let job = world.claimed_job(&application).await;
    world.record(vec![world.success(&job)]).await;
    world.expect_ledger(&application, [1, 1, 0, 0, 0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compacted_file_is_small_and_can_give_back_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hookwright.db");
    // As a version made it that didn't give room back.
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA auto_vacuum = NONE; CREATE TABLE t (a); DROP TABLE t;").unwrap();
    drop(file);
    let mut world = world_in(folder.path(), SqliteOptions::default());
    fill(&world, 2_000).await;
    world.pass(90 * DAY);
    assert_eq!(walk_on(&world, AgeWalk::new(90 * DAY)).await.removed, 2_000);
    assert_eq!(give_back(&world).await, 0, "it can't");
    world.close();
    let full = size(folder.path());
    assert!(full > 2_000 * 1_024, "{full}");
    SqliteStore::compact(&path).unwrap();
    assert!(size(folder.path()) < 300_000, "{} of {full}", size(folder.path()));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.len() <= 2, "{left:?}");

    world.reopen();
    goes_on_working(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_counts_go_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let world = world_in(folder.path(), SqliteOptions::default());
    let application = world.application("acme").await;
    let first = world.endpoint(&application).await;
    let file = rusqlite::Connection::open(folder.path().join("hookwright.db")).unwrap();
    let count = |table: &str| -> i64 {
        let select = format!("SELECT count(*) FROM {table}");
        file.query_row(&select, [], |row| row.get(0)).unwrap()
    };
    let old = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)";
    let hours = "INSERT INTO endpoint_hours SELECT randomblob(16), i, 1, 1 FROM n";
    let minutes = "INSERT INTO environment_minutes SELECT 'production', i, 0, 1 FROM n";
    file.execute_batch(&format!("{old} {hours}; {old} {minutes}")).unwrap();
    let (mut hours, mut steps) = (count("endpoint_hours"), 0);
    while hours > 1 || count("environment_minutes") > 100 {
        world.pass(std::time::Duration::from_secs(6));
        let job = world.claimed_job(&application).await;
        assert_eq!(job.endpoint, first.id);
        world.record(vec![world.success(&job)]).await;
        let left = count("endpoint_hours");
        assert!(hours - left < 600, "{hours} became {left}");
        hours = left;
        steps += 1;
        assert!(steps < 50, "{hours} hours are left");
    }
}
