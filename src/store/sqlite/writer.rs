//! The one thread that writes: it runs what waits in one transaction, syncs once, and only
//! then answers. What queues up during a sync is the next batch, so nobody waits for company.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Kept};
use super::checkpoint::Checkpoints;
use super::fault::{Fallible, Fault};
use crate::domain::{Error, Result};
use crate::store::arrivals::EventReaders;

/// How many commands may wait for the thread. Further callers wait for a place.
const COMMANDS_QUEUED_MAX: usize = 4_096;
/// How many commands share one transaction.
const BATCH_COMMANDS_MAX: usize = 1_024;

/// Whether a transition may have written before it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// It refuses before its first write or not at all, so it needs no protection.
    ChecksFirst,
    /// It runs in a savepoint.
    Savepoint,
}

/// The way to the writing thread. Dropping it lets the thread finish what is queued.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Command>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        checkpoints: Checkpoints,
        kept: Kept,
        readers: Arc<EventReaders>,
    ) -> Result<Writer> {
        let (queue, commands) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(Batch::new(&connection, kept), checkpoints, &readers, commands))
            .map_err(|error| Error::unavailable(format!("No thread for the store: {error}.")))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// A writer without a thread, and the queue of what is to be run elsewhere.
    pub(super) fn without_thread() -> (Writer, mpsc::Receiver<Box<dyn Command>>) {
        let (queue, commands) = mpsc::channel(COMMANDS_QUEUED_MAX);
        (Writer { queue: Some(queue), thread: None }, commands)
    }

    /// Runs a transition and answers once it is on disk. Where the caller goes away it is run
    /// all the same.
    pub(super) async fn write<T, F>(&self, care: Care, transition: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Fallible<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let waiting =
            Waiting { care, transition: Some(transition), result: None, defect: None, reply };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Box::new(waiting)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

fn stopped() -> Error {
    Error::unavailable("The store is closed.")
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        let Some(thread) = self.thread.take() else { return };
        // A command may hold the last reference to the store; a thread can't wait for itself.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the store's writing thread panicked");
        }
    }
}

/// A transition with its caller.
pub(super) trait Command: Send {
    /// Runs it. An error means that the batch as a whole can't be committed.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<()>;
    /// Tells the caller, who may have gone away.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Waiting<T, F> {
    care: Care,
    transition: Option<F>,
    /// What to answer where the batch is committed.
    result: Option<Result<T>>,
    /// Why the batch can't be committed, where it is because of this one.
    defect: Option<Error>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Command for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&mut Batch<'_>) -> Fallible<T> + Send,
{
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let Some(transition) = self.transition.take() else { return Ok(()) };
        match run(batch, self.care, transition) {
            Ok(result) => {
                self.result = Some(result);
                Ok(())
            }
            Err(error) => {
                self.defect = Some(error);
                Err(Error::unavailable("The store could not write; nothing was changed."))
            }
        }
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let result = match (committed, self.defect, self.result) {
            (_, Some(defect), _) => Err(defect),
            // Even a refusal, which may have been owed to another one of the batch.
            (Err(error), None, _) => Err(error.clone()),
            (Ok(()), None, Some(result)) => result,
            (Ok(()), None, None) => Err(stopped()),
        };
        let _ = self.reply.send(result);
    }
}

/// Runs one transition so that, where it fails, nothing of it is left. The outer error means
/// that this can only be had by giving up the whole transaction.
fn run<T>(
    batch: &mut Batch<'_>,
    care: Care,
    transition: impl FnOnce(&mut Batch<'_>) -> Fallible<T>,
) -> Result<Result<T>> {
    let connection = batch.connection;
    let changes_before = connection.total_changes();
    if care == Care::Savepoint {
        execute(connection, "SAVEPOINT transition")?;
    }
    let fault = match catch_unwind(AssertUnwindSafe(|| transition(batch))) {
        Ok(Ok(value)) => {
            if care == Care::Savepoint {
                execute(connection, "RELEASE transition")?;
            }
            batch.keep_totals();
            return Ok(Ok(value));
        }
        Ok(Err(fault)) => fault,
        Err(panic) => return Err(panicked(&*panic)),
    };
    let error = fault.into_error();
    batch.drop_totals();
    let wrote = connection.total_changes() != changes_before;
    // Some failures make SQLite roll the transaction back by itself.
    if connection.is_autocommit() || (wrote && care == Care::ChecksFirst) {
        return Err(error);
    }
    if care == Care::Savepoint {
        execute(connection, "ROLLBACK TO transition")?;
        execute(connection, "RELEASE transition")?;
        if wrote {
            batch.caches.clear();
        }
    }
    Ok(Err(error))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = words.unwrap_or("without words"), "a transition panicked");
    Error::internal("The store met a defect of its own.")
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    let run = || connection.prepare_cached(sql)?.execute([]);
    run().map(drop).map_err(|error| Fault::from(error).into_error())
}

fn serve(
    mut batch: Batch<'_>,
    mut checkpoints: Checkpoints,
    readers: &EventReaders,
    mut queue: mpsc::Receiver<Box<dyn Command>>,
) {
    let mut ran = Vec::new();
    let mut healthy = true;
    loop {
        // Where discards are under way there is something to do without a command. Not while
        // transactions fail, or a full disk would keep the thread going round.
        let first = if healthy && batch.discards_waiting() {
            match queue.try_recv() {
                Err(mpsc::error::TryRecvError::Disconnected) => break,
                first => first.ok(),
            }
        } else {
            match queue.blocking_recv() {
                None => break,
                first => first,
            }
        };
        batch.disk.look();
        ran.extend(first);
        let committed = transact(&mut batch, &mut queue, &mut ran, BATCH_COMMANDS_MAX);
        healthy = committed.is_ok();
        batch.ended(&committed);
        readers.tell(batch.news());
        for command in ran.drain(..) {
            command.answer(&committed);
        }
        checkpoints.committed(batch.connection);
    }
    write_counts(&mut batch);
}

/// Writes what was counted for the charts, as nobody will come after who does.
fn write_counts(batch: &mut Batch<'_>) {
    let begun = execute(batch.connection, "BEGIN IMMEDIATE");
    let written = begun.and_then(|()| {
        batch.activity.write_all(batch.connection).map_err(Fault::into_error)?;
        commit(batch)
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the last counts of the charts are lost");
        let _ = execute(batch.connection, "ROLLBACK");
    }
}

/// One transaction with what `ran` holds already and what waits, up to `limit` commands in
/// all. `ran` takes the commands that share its fate.
pub(super) fn transact(
    batch: &mut Batch<'_>,
    queue: &mut mpsc::Receiver<Box<dyn Command>>,
    ran: &mut Vec<Box<dyn Command>>,
    limit: usize,
) -> Result<()> {
    let begun = execute(batch.connection, "BEGIN IMMEDIATE");
    let outcome = begun.and_then(|()| fill(batch, queue, ran, limit)).and_then(|()| commit(batch));
    if outcome.is_err() {
        batch.forget();
        if !batch.connection.is_autocommit() {
            // It fails only where SQLite itself has rolled back in the meantime.
            let _ = execute(batch.connection, "ROLLBACK");
        }
    }
    outcome
}

fn fill(
    batch: &mut Batch<'_>,
    queue: &mut mpsc::Receiver<Box<dyn Command>>,
    ran: &mut Vec<Box<dyn Command>>,
    limit: usize,
) -> Result<()> {
    for command in ran.iter_mut() {
        command.run(batch)?;
    }
    while ran.len() < limit
        && let Ok(mut command) = queue.try_recv()
    {
        let outcome = command.run(batch);
        ran.push(command);
        outcome?;
    }
    Ok(())
}

fn commit(batch: &mut Batch<'_>) -> Result<()> {
    batch.finish().map_err(Fault::into_error)?;
    let connection = batch.connection;
    let commit = || execute(connection, "COMMIT");
    batch.activity.commit(commit).map_err(|error| Error::unavailable(error.detail))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::future::{join_all, poll_immediate};
    use rusqlite::params;

    use super::*;
    use crate::domain::ErrorCode;
    use crate::entropy::Entropy;
    use crate::store::sqlite::connection::{open_reader, open_writer};
    use crate::store::sqlite::disk::Disk;
    use crate::store::{MasterKey, Vault};

    /// A writer whose commits fail while the switch is on.
    fn writer(path: &Path) -> (Writer, Arc<AtomicBool>) {
        let entropy = Entropy::seeded(1);
        let vault = Vault::new(MasterKey::generate(&entropy), entropy);
        let mut connection = open_writer(path, &vault, &Default::default()).unwrap();
        let broken = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&broken);
        connection.commit_hook(Some(move || switch.load(Ordering::SeqCst))).unwrap();
        let checkpoints = Checkpoints::start(path, &mut connection, Default::default()).unwrap();
        let kept = Kept::new(Arc::new(vault), Disk::default());
        let readers = EventReaders::new(Default::default());
        (Writer::start(connection, checkpoints, kept, readers).unwrap(), broken)
    }

    fn put(batch: &mut Batch<'_>, name: &str) -> Fallible<()> {
        let sql = "INSERT INTO settings (name, value) VALUES (?1, 1)";
        batch.connection.execute(sql, params![name])?;
        Ok(())
    }

    fn stored(path: &Path) -> Vec<String> {
        let connection = open_reader(path).unwrap();
        let sql = "SELECT name FROM settings WHERE name <> 'key_check' ORDER BY name";
        let mut select = connection.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Keeps the thread busy until the returned sender is dropped, so that what is written
    /// meanwhile becomes one batch.
    fn gate() -> (std::sync::mpsc::Sender<()>, impl FnOnce(&mut Batch<'_>) -> Fallible<()>) {
        let (open, closed) = std::sync::mpsc::channel();
        (open, move |_: &mut Batch<'_>| {
            let _ = closed.recv();
            Ok(())
        })
    }

    #[tokio::test]
    async fn a_failed_commit_fails_everybody_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (writer, broken) = writer(&path);
        broken.store(true, Ordering::SeqCst);
        let calls = (0..20).map(|number| {
            writer.write(Care::ChecksFirst, move |batch| put(batch, &format!("n{number}")))
        });
        for result in join_all(calls).await {
            assert_eq!(result.unwrap_err().code, ErrorCode::Unavailable);
        }
        broken.store(false, Ordering::SeqCst);
        writer.write(Care::ChecksFirst, |batch| put(batch, "after")).await.unwrap();
        assert_eq!(stored(&path), ["after"]);
    }

    #[tokio::test]
    async fn in_one_batch_a_refusal_undoes_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (writer, _) = writer(&path);
        let (open, wait) = gate();
        let waiting = writer.write(Care::ChecksFirst, wait);
        let first = writer.write(Care::Savepoint, |batch| put(batch, "first"));
        let refused = writer.write(Care::Savepoint, |batch| {
            put(batch, "half")?;
            Err::<(), _>(Error::conflict("no").into())
        });
        let broken = writer.write(Care::Savepoint, |batch| {
            put(batch, "other half")?;
            put(batch, "first")
        });
        let last = writer.write(Care::Savepoint, |batch| put(batch, "last"));
        let opening = async { drop(open) };
        let (_, first, refused, broken, last, ()) =
            tokio::join!(waiting, first, refused, broken, last, opening);
        first.unwrap();
        last.unwrap();
        assert_eq!(refused.unwrap_err(), Error::conflict("no"));
        assert_eq!(broken.unwrap_err().code, ErrorCode::Internal);
        assert_eq!(stored(&path), ["first", "last"]);
    }

    #[tokio::test]
    async fn an_unprotected_failure_takes_its_batch_with_it_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (writer, _) = writer(&path);
        let (open, wait) = gate();
        let waiting = writer.write(Care::ChecksFirst, wait);
        let before = writer.write(Care::ChecksFirst, |batch| put(batch, "before"));
        let broken = writer.write(Care::ChecksFirst, |batch| {
            put(batch, "half")?;
            put(batch, "half")
        });
        let after = writer.write(Care::ChecksFirst, |batch| put(batch, "after"));
        let opening = async { drop(open) };
        let (_, before, broken, after, ()) = tokio::join!(waiting, before, broken, after, opening);
        assert_eq!(before.unwrap_err().code, ErrorCode::Unavailable);
        assert_eq!(broken.unwrap_err().code, ErrorCode::Internal);
        after.unwrap();
        assert_eq!(stored(&path), ["after"]);
    }

    #[tokio::test]
    async fn what_was_queued_is_done_even_where_its_thread_drops_the_last_reference() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let writer = Arc::new(writer(&path).0);
        let (open, wait) = gate();
        assert!(poll_immediate(writer.write(Care::ChecksFirst, wait)).await.is_none());
        let last_reference = Arc::clone(&writer);
        let call = writer.write(Care::ChecksFirst, move |batch| {
            put(batch, "done")?;
            drop(last_reference);
            Ok(())
        });
        assert!(poll_immediate(call).await.is_none());
        drop(writer);
        drop(open);
        // The log goes away when the thread has closed the file.
        let log = folder.path().join("store.db-wal");
        for _ in 0..5_000 {
            if !log.exists() {
                break;
            }
            thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(!log.exists(), "the thread has not ended");
        assert_eq!(stored(&path), ["done"]);
    }
}
