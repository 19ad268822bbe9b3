//! From a name to its addresses.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// The most lookups that run at once. The system's resolver blocks a thread for as long as a
/// name server is silent, and those threads are shared with the store's readers.
pub const MAX_LOOKUPS: usize = 128;

type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// A lookup under way, which everybody who asks for the same name waits for.
type Shared = futures_util::future::Shared<BoxFuture<'static, Result<Vec<IpAddr>, Arc<io::Error>>>>;

/// Finds the addresses of a name: through the operating system, or as a test wants it.
///
/// A name is looked up once at a time, however many attempts wait for it: one with a silent
/// name server must not take the slots of all others.
#[derive(Clone)]
pub struct Resolver {
    source: Source,
    under_way: Arc<Mutex<HashMap<String, Shared>>>,
}

#[derive(Clone)]
enum Source {
    System(Arc<Semaphore>),
    Custom(Arc<Lookup>),
}

impl Resolver {
    /// The operating system's resolver.
    pub fn system() -> Resolver {
        Resolver::from(Source::System(Arc::new(Semaphore::new(MAX_LOOKUPS))))
    }

    /// Knows the names in `names` and no others.
    pub fn fixed(names: HashMap<String, Vec<IpAddr>>) -> Resolver {
        let names = Arc::new(names);
        Resolver::custom(move |name| {
            let found = names.get(&name).cloned();
            async move { found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name")) }
        })
    }

    /// Asks `lookup` for every name.
    pub fn custom<F, L>(lookup: L) -> Resolver
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
        L: Fn(String) -> F + Send + Sync + 'static,
    {
        Resolver::from(Source::Custom(Arc::new(move |name| Box::pin(lookup(name)))))
    }

    fn from(source: Source) -> Resolver {
        Resolver { source, under_way: Arc::default() }
    }

    /// The addresses of `name`, in the order in which they should be tried.
    ///
    /// # Errors
    /// The resolver's error, where the name has no address or can't be looked up.
    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Arc<io::Error>> {
        let lookup = {
            let mut under_way = self.under_way();
            let started = under_way.get(name).cloned();
            started.unwrap_or_else(|| {
                let lookup = self.start(name.to_owned());
                under_way.insert(name.to_owned(), lookup.clone());
                lookup
            })
        };
        lookup.await
    }

    /// Starts a lookup that goes on when those who asked for it have given up, and is forgotten
    /// when it ends: the next attempt asks again.
    fn start(&self, name: String) -> Shared {
        let resolver = self.clone();
        let lookup = tokio::spawn(async move {
            let found = match &resolver.source {
                Source::System(slots) => lookup_system(slots, name.clone()).await,
                Source::Custom(lookup) => lookup(name.clone()).await,
            };
            resolver.under_way().remove(&name);
            found.map_err(Arc::new)
        });
        async move { lookup.await.unwrap_or_else(|error| Err(Arc::new(io::Error::other(error)))) }
            .boxed()
            .shared()
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Shared>> {
        self.under_way.lock().expect("no panic while the lookups are held")
    }
}

async fn lookup_system(slots: &Arc<Semaphore>, name: String) -> io::Result<Vec<IpAddr>> {
    let _slot = slots.acquire().await.map_err(io::Error::other)?;
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::system()
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.source {
            Source::System(_) => "Resolver::system",
            Source::Custom(_) => "Resolver::custom",
        })
    }
}
