//! How many queries of one caller's making may be under way at once: the others' share of the
//! database stays theirs.
//!
//! Tenants share an eighth of the pool: one that asks alone has all of it, of several each has an
//! equal part, and at least one query. Queries that keep the database's processors busy then make
//! those of others twice as slow at most, rather than as many times as there are.
//!
//! A permit is held while a query holds a connection of the pool (see
//! [`Reads`](crate::reads::Reads)), not while a request waits for a job to end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use az::SaturatingAs;
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

use crate::problem::Problem;

/// How long a request waits until one of the same caller's is over.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long somebody whom nobody knows waits until others of that kind are answered.
const OF_A_STRANGER: Duration = Duration::from_secs(1);

/// Downloads of one tenant at once.
const DOWNLOADS: usize = 2;

/// Look-ups at once for all who have no credential that is known, of either kind. Each is one row
/// by its key.
const OF_STRANGERS: usize = 2;

/// Requests about tokens at once, of everybody: anybody may send one that is made up. Each is a
/// short transaction.
const ABOUT_TOKENS: usize = 4;

/// For so long, and up to twice as long, a tenant that has asked is taken to be one that asks.
const ASKS: Duration = Duration::from_secs(5);

/// Permits of every caller, in this process.
#[derive(Debug)]
pub struct Permits {
    for_tenants: u32,
    service: Arc<Semaphore>,
    service_has: usize,
    tenants: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
    asking: Mutex<Asking>,
    /// By tenants, and by the service for each of them.
    downloads: [Mutex<HashMap<Uuid, Arc<Semaphore>>>; 2],
    cookies: Arc<Semaphore>,
    sign_ins: Arc<Semaphore>,
    tokens: Arc<Semaphore>,
}

/// A query of a caller's making, until it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "is held, not looked at")] OwnedSemaphorePermit);

impl Permits {
    /// Tenants get an eighth of the pool, whichever of their keys they use; the service, which acts
    /// for all, a third.
    pub fn new(pool: &PgPool) -> Self {
        let connections = pool.options().get_max_connections();
        let service_has = (connections as usize / 3).max(2);
        Self {
            for_tenants: (connections / 8).max(2),
            service: Arc::new(Semaphore::new(service_has)),
            service_has,
            tenants: Mutex::default(),
            asking: Mutex::new(Asking::new(Instant::now())),
            downloads: Default::default(),
            cookies: Arc::new(Semaphore::new(OF_STRANGERS)),
            sign_ins: Arc::new(Semaphore::new(OF_STRANGERS)),
            tokens: Arc::new(Semaphore::new(ABOUT_TOKENS)),
        }
    }

    /// # Errors
    /// 429 where all of the tenant's are taken for too long.
    pub async fn of_tenant(&self, tenant: Uuid) -> Result<Permit, Problem> {
        let tenants = {
            let mut asking = self.asking.lock();
            asking.with(tenant, Instant::now())
        };
        // Of all there are, a query takes as many as there are tenants to share them.
        let each = tenants.clamp(1, self.for_tenants);
        let permits = of(&self.tenants, tenant, self.for_tenants as usize);
        let share = (self.for_tenants / each) as usize;
        take(permits, each, PATIENCE, || Problem::too_many_at_once(share, "queries")).await
    }

    /// To be held until the file is sent.
    ///
    /// # Errors
    /// 429 where the tenant has as many downloads as it may have for too long; those of its files
    /// by the service are counted apart.
    pub async fn of_download(&self, tenant: Uuid, by_service: bool) -> Result<Permit, Problem> {
        let permits = of(&self.downloads[usize::from(by_service)], tenant, DOWNLOADS);
        take(permits, 1, PATIENCE, || Problem::too_many_at_once(DOWNLOADS, "downloads")).await
    }

    /// For a cookie of a session that this process has not seen.
    ///
    /// # Errors
    /// 503 where all are taken for too long.
    pub async fn of_cookie(&self) -> Result<Permit, Problem> {
        take(self.cookies.clone(), 1, OF_A_STRANGER, Problem::too_many_strangers).await
    }

    /// For what has to be known of somebody who wants to sign in.
    ///
    /// # Errors
    /// 503 where all are taken for too long.
    pub async fn of_sign_in(&self) -> Result<Permit, Problem> {
        take(self.sign_ins.clone(), 1, OF_A_STRANGER, Problem::too_many_strangers).await
    }

    /// For a request that gives out, refreshes or revokes tokens.
    ///
    /// # Errors
    /// 503 where all are taken for too long.
    pub async fn of_tokens(&self) -> Result<Permit, Problem> {
        take(self.tokens.clone(), 1, PATIENCE, Problem::too_many_strangers).await
    }

    /// # Errors
    /// 429 where all of the service's are taken for too long.
    pub async fn of_service(&self) -> Result<Permit, Problem> {
        take(self.service.clone(), 1, PATIENCE, || Problem::too_many_at_once(self.service_has, "queries"))
            .await
    }
}

/// Who has asked of late.
#[derive(Debug)]
struct Asking {
    since: Instant,
    now: HashSet<Uuid>,
    /// Those of the time before.
    before: HashSet<Uuid>,
}

impl Asking {
    fn new(since: Instant) -> Self {
        Self { since, now: HashSet::new(), before: HashSet::new() }
    }

    /// How many ask, with this one.
    fn with(&mut self, tenant: Uuid, at: Instant) -> u32 {
        let passed = at.saturating_duration_since(self.since);
        if passed >= ASKS {
            let before = std::mem::take(&mut self.now);
            self.before = if passed < 2 * ASKS { before } else { HashSet::new() };
            self.since = at;
        }
        // In one of both at most.
        self.before.remove(&tenant);
        self.now.insert(tenant);
        (self.now.len() + self.before.len()).saturating_as::<u32>()
    }
}

fn of(all: &Mutex<HashMap<Uuid, Arc<Semaphore>>>, tenant: Uuid, count: usize) -> Arc<Semaphore> {
    let mut all = all.lock();
    all.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(count))).clone()
}

/// What `look_up` finds. It runs to its end though the caller goes away, so that the permit is held
/// for as long as its connection.
pub async fn under<T: Send + 'static>(
    permit: Permit,
    look_up: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> sqlx::Result<T> {
    let running = tokio::spawn(async move {
        let found = look_up.await;
        drop(permit);
        found
    });
    running.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

async fn take(
    permits: Arc<Semaphore>,
    count: u32,
    patience: Duration,
    refused: impl FnOnce() -> Problem,
) -> Result<Permit, Problem> {
    match timeout(patience, permits.acquire_many_owned(count)).await {
        Ok(Ok(permit)) => Ok(Permit(permit)),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_asked_for_a_while_does_not_count() {
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut asking = Asking::new(begun);
        assert_eq!(asking.with(one, at(0)), 1);
        assert_eq!(asking.with(one, at(1)), 1);
        assert_eq!(asking.with(two, at(4)), 2);
        assert_eq!(asking.with(one, at(6)), 2, "the other one asked two seconds ago");
        assert_eq!(asking.with(three, at(10)), 3);
        assert_eq!(asking.with(one, at(12)), 2, "and this one eight seconds ago");
        assert_eq!(asking.with(two, at(60)), 1);
    }
}
