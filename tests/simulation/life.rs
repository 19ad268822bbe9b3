//! One life of the process: a runtime with a single thread that holds the engine, and nothing
//! that goes on when it is dropped.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use hookwright::engine::{Engine, EngineParts};
use hookwright::store::sqlite::Turns;

use super::store::SimulatedStore;

/// Told by the runtime when no task can go on.
#[derive(Default)]
struct Idle {
    reached: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Idle {
    fn reach(&self) {
        if let Some(waker) = self.waiting.lock().expect("no panic while it is held").take() {
            self.reached.store(true, SeqCst);
            waker.wake();
        }
    }
}

pub(crate) struct Life {
    runtime: Runtime,
    idle: Arc<Idle>,
    pub(crate) engine: Arc<OnceLock<Engine>>,
    pub(crate) store: Arc<SimulatedStore>,
    pub(crate) turns: Turns,
    /// A graceful stop that is under way.
    pub(crate) stopping: Option<JoinHandle<()>>,
}

impl Life {
    pub(crate) fn new(store: SimulatedStore, turns: Turns) -> Life {
        let idle = Arc::new(Idle::default());
        let told = Arc::clone(&idle);
        let runtime = Builder::new_current_thread().on_thread_park(move || told.reach()).build();
        Life {
            runtime: runtime.expect("a runtime without drivers"),
            idle,
            engine: Arc::default(),
            store: Arc::new(store),
            turns,
            stopping: None,
        }
    }

    /// Begins to deliver, however often the store refuses at first.
    pub(crate) fn start(&self, parts: impl Fn() -> EngineParts + Send + 'static) {
        let engine = Arc::clone(&self.engine);
        self.runtime.spawn(async move {
            loop {
                let parts = parts();
                let clock = parts.clock.clone();
                match Engine::start(parts).await {
                    Ok(started) => return drop(engine.set(started)),
                    Err(_) => clock.sleep(Duration::from_secs(1)).await,
                }
            }
        });
    }

    /// Lets every task go on until none can.
    pub(crate) fn settle(&self) {
        self.idle.reached.store(false, SeqCst);
        self.runtime.block_on(std::future::poll_fn(|context| {
            if self.idle.reached.load(SeqCst) {
                return Poll::Ready(());
            }
            *self.idle.waiting.lock().expect("no panic while it is held") =
                Some(context.waker().clone());
            Poll::Pending
        }));
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// Asks the store something, for which it needs no turn.
    pub(crate) fn ask<T>(&self, question: impl Future<Output = T>) -> T {
        self.runtime.block_on(question)
    }

    /// Runs a transition at once, while no engine does anything.
    pub(crate) fn write<T: Send + 'static>(
        &mut self,
        transition: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let task = self.runtime.spawn(transition);
        while !task.is_finished() {
            self.settle();
            if self.turns.waiting() {
                self.turns.take(usize::MAX);
            }
        }
        self.runtime.block_on(task).expect("a transition ends")
    }
}
