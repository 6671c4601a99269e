//! What every peer must be able to do.

use std::sync::Arc;

use anyhow::bail;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::apalis::Apalis;
use crate::awa::Awa;
use crate::graphile::Graphile;
use crate::river::River;
use crate::work::Work;

pub(crate) type Answer<'a, T> = BoxFuture<'a, anyhow::Result<T>>;

/// A job queue on Postgres at its best documented settings.
pub(crate) trait Peer: Send + Sync {
    /// As its crate is called.
    fn name(&self) -> &'static str;

    /// How it is set up.
    fn settings(&self) -> Value;

    fn migrate<'a>(&'a self, url: &'a str) -> Answer<'a, ()>;

    /// Something to enqueue with, through at most so many connections.
    fn producer<'a>(&'a self, url: &'a str, connections: u32) -> Answer<'a, Arc<dyn Producer>>;

    /// Works until the process ends.
    fn work<'a>(&'a self, url: &'a str) -> Answer<'a, ()>;

    /// A query that counts the jobs that are not finished.
    fn unfinished(&self) -> &'static str;

    /// A statement that writes `$1` finished jobs, if the peer keeps them as rows.
    fn past(&self) -> Option<&'static str>;
}

pub(crate) trait Producer: Send + Sync {
    /// Enqueues a job in a transaction of its own.
    fn one(&self, job: Work) -> Answer<'_, ()>;

    /// Enqueues many in one transaction, the fastest way there is.
    fn many(&self, jobs: Vec<Work>) -> Answer<'_, ()>;
}

pub(crate) fn all() -> [&'static dyn Peer; 4] {
    [&Apalis, &Graphile, &River, &Awa]
}

pub(crate) fn named(name: &str) -> anyhow::Result<&'static dyn Peer> {
    let names = all().map(Peer::name).join(", ");
    match all().into_iter().find(|peer| peer.name() == name) {
        Some(peer) => Ok(peer),
        None => bail!("there is no peer {name:?}; there are {names}"),
    }
}

/// The version that is built in.
pub(crate) fn version(name: &str) -> &'static str {
    let package = format!("name = \"{name}\"\nversion = \"");
    let locked = include_str!("../Cargo.lock").split_once(&package);
    locked.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::{all, version};

    #[test]
    fn versions_are_known() {
        for peer in all() {
            assert_ne!(version(peer.name()), "unknown", "{}", peer.name());
        }
    }
}
