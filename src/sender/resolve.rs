//! From a name to its addresses.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// The most lookups that run at once. The system's resolver blocks a thread for as long as a
/// name server is silent, and those threads are shared with the store's readers.
pub const MAX_LOOKUPS: usize = 128;

type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// Finds the addresses of a name: through the operating system, or as a test wants it.
#[derive(Clone)]
pub struct Resolver(Source);

#[derive(Clone)]
enum Source {
    System(Arc<Semaphore>),
    Custom(Arc<Lookup>),
}

impl Resolver {
    /// The operating system's resolver.
    pub fn system() -> Resolver {
        Resolver(Source::System(Arc::new(Semaphore::new(MAX_LOOKUPS))))
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
        Resolver(Source::Custom(Arc::new(move |name| Box::pin(lookup(name)))))
    }

    /// The addresses of `name`, in the order in which they should be tried.
    ///
    /// # Errors
    /// The resolver's error, where the name has no address or can't be looked up.
    pub(super) async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match &self.0 {
            Source::System(slots) => lookup_system(slots, name.to_owned()).await,
            Source::Custom(lookup) => lookup(name.to_owned()).await,
        }
    }
}

/// Runs as a task of its own, so that an attempt that gives up doesn't free the slot while
/// the thread behind it is still blocked.
async fn lookup_system(slots: &Arc<Semaphore>, name: String) -> io::Result<Vec<IpAddr>> {
    let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
    let lookup = tokio::spawn(async move {
        let _slot = slot;
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    });
    lookup.await.map_err(io::Error::other)?
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::system()
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Source::System(_) => "Resolver::system",
            Source::Custom(_) => "Resolver::custom",
        })
    }
}
