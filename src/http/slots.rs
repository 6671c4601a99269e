//! How many queries of one caller's making may be under way at once: the others' share of the database stays theirs.
//!
//! A slot is held while a query holds a connection of the pool (see [`crate::http::read_tx`]), not while a request waits for a job to end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

use crate::http::problem::Problem;

/// How long a request waits until one of the same caller's is over.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long somebody whom nobody knows waits until others of that kind are answered.
const OF_A_STRANGER: Duration = Duration::from_secs(1);

/// Downloads of one tenant at once.
const DOWNLOADS: usize = 2;

/// Look-ups at once for all who have no credential that is known, of either kind. Each is one row by its key.
const OF_STRANGERS: usize = 2;

/// Slots of every caller, in this process.
#[derive(Debug)]
pub(crate) struct Slots {
    per_tenant: usize,
    service: Arc<Semaphore>,
    service_has: usize,
    tenants: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
    downloads: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
    cookies: Arc<Semaphore>,
    sign_ins: Arc<Semaphore>,
}

/// A query of a caller's making, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "is held, not looked at")] OwnedSemaphorePermit);

impl Slots {
    /// A tenant gets an eighth of the pool, whichever of its keys it uses; the service, which acts for all, a third.
    pub(crate) fn new(pool: &PgPool) -> Self {
        let connections = pool.options().get_max_connections() as usize;
        let service_has = (connections / 3).max(2);
        Self {
            per_tenant: (connections / 8).max(2),
            service: Arc::new(Semaphore::new(service_has)),
            service_has,
            tenants: Mutex::default(),
            downloads: Mutex::default(),
            cookies: Arc::new(Semaphore::new(OF_STRANGERS)),
            sign_ins: Arc::new(Semaphore::new(OF_STRANGERS)),
        }
    }

    /// # Errors
    /// 429 where all of the tenant's are taken for too long.
    pub(crate) async fn of_tenant(&self, tenant: Uuid) -> Result<Slot, Problem> {
        let slots = of(&self.tenants, tenant, self.per_tenant);
        take(slots, PATIENCE, || Problem::too_many_at_once(self.per_tenant, "queries")).await
    }

    /// To be held until the file is sent.
    ///
    /// # Errors
    /// 429 where the tenant has as many downloads as it may have for too long.
    pub(crate) async fn of_download(&self, tenant: Uuid) -> Result<Slot, Problem> {
        let slots = of(&self.downloads, tenant, DOWNLOADS);
        take(slots, PATIENCE, || Problem::too_many_at_once(DOWNLOADS, "downloads")).await
    }

    /// For a cookie of a session that this process has not seen.
    ///
    /// # Errors
    /// 503 where all are taken for too long.
    pub(crate) async fn of_cookie(&self) -> Result<Slot, Problem> {
        take(self.cookies.clone(), OF_A_STRANGER, Problem::too_many_strangers).await
    }

    /// For what has to be known of somebody who wants to sign in.
    ///
    /// # Errors
    /// 503 where all are taken for too long.
    pub(crate) async fn of_sign_in(&self) -> Result<Slot, Problem> {
        take(self.sign_ins.clone(), OF_A_STRANGER, Problem::too_many_strangers).await
    }

    /// # Errors
    /// 429 where all of the service's are taken for too long.
    pub(crate) async fn of_service(&self) -> Result<Slot, Problem> {
        take(self.service.clone(), PATIENCE, || Problem::too_many_at_once(self.service_has, "queries")).await
    }
}

fn of(all: &Mutex<HashMap<Uuid, Arc<Semaphore>>>, tenant: Uuid, count: usize) -> Arc<Semaphore> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(count))).clone()
}

/// What `look_up` finds. It runs to its end though the caller goes away, so that the slot is held for as long as its connection.
pub(crate) async fn under<T: Send + 'static>(
    slot: Slot,
    look_up: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> sqlx::Result<T> {
    let running = tokio::spawn(async move {
        let found = look_up.await;
        drop(slot);
        found
    });
    running.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

async fn take(
    slots: Arc<Semaphore>,
    patience: Duration,
    refused: impl FnOnce() -> Problem,
) -> Result<Slot, Problem> {
    match timeout(patience, slots.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(Slot(permit)),
        _ => Err(refused()),
    }
}
