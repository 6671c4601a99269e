//! How many queries of one caller's making may be under way at once: the others' share of the database stays theirs.
//!
//! A slot is held while a query holds a connection of the pool, not while a request waits for a job to end.

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

/// Slots of every caller, in this process.
#[derive(Debug)]
pub(crate) struct Slots {
    per_tenant: usize,
    service: Arc<Semaphore>,
    service_has: usize,
    tenants: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
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
        }
    }

    /// # Errors
    /// 429 where all of the tenant's are taken for too long.
    pub(crate) async fn of_tenant(&self, tenant: Uuid) -> Result<Slot, Problem> {
        let slots = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.per_tenant))).clone()
        };
        take(slots, self.per_tenant).await
    }

    /// # Errors
    /// 429 where all of the service's are taken for too long.
    pub(crate) async fn of_service(&self) -> Result<Slot, Problem> {
        take(self.service.clone(), self.service_has).await
    }
}

async fn take(slots: Arc<Semaphore>, count: usize) -> Result<Slot, Problem> {
    match timeout(PATIENCE, slots.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(Slot(permit)),
        _ => Err(Problem::too_many_at_once(count)),
    }
}
