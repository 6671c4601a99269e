//! A read under a slot. The slot is free again once the connection is, however the read ends: a caller that hangs up leaves a query that
//! Postgres goes on with, and that query counts until it is over.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::time::timeout;

use crate::http::Api;
use crate::http::problem::Problem;
use crate::http::slots::Slot;

/// How long one statement of a tenant's read may take. Each is bounded by what it reads, so this ends only what waits for a lock or a
/// slow disk.
const OF_TENANT: Duration = Duration::from_secs(5);

/// As long as a request may take that does not ask to wait.
const OF_SERVICE: Duration = Duration::from_secs(30);

/// Postgres ends a statement a little after its limit.
const LATE: Duration = Duration::from_secs(1);

/// A transaction that cannot write. Ends when dropped.
#[derive(Debug)]
pub(crate) struct ReadTx(Option<Open>);

#[derive(Debug)]
struct Open {
    tx: Transaction<'static, Postgres>,
    slot: Option<Slot>,
    limit: Duration,
}

impl ReadTx {
    /// A read that the service token asks for.
    pub(crate) async fn of_service(api: &Api) -> Result<Self, Problem> {
        let slot = api.slots.of_service().await?;
        Ok(Self::begin(&api.pool, Some(slot), OF_SERVICE).await?)
    }

    /// A read that a tenant asks for, of what is not its own alone.
    pub(crate) async fn for_tenant(api: &Api, tenant: uuid::Uuid) -> Result<Self, Problem> {
        let slot = api.slots.of_tenant(tenant).await?;
        Ok(Self::begin(&api.pool, Some(slot), OF_TENANT).await?)
    }

    /// A read about a tenant that an operator asks for.
    pub(crate) async fn about_tenant(pool: &PgPool) -> sqlx::Result<Self> {
        Self::begin(pool, None, OF_TENANT).await
    }

    async fn begin(pool: &PgPool, slot: Option<Slot>, limit: Duration) -> sqlx::Result<Self> {
        let begin = format!("begin read only; set local statement_timeout = {}", limit.as_millis());
        let tx = pool.begin_with(AssertSqlSafe(begin)).await?;
        Ok(Self(Some(Open { tx, slot, limit })))
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.0.as_mut().expect("it is taken when this is dropped").tx
    }
}

impl Drop for ReadTx {
    fn drop(&mut self) {
        let Some(Open { tx, slot, limit }) = self.0.take() else { return };
        tokio::spawn(async move {
            // Waits for the answer to a query that was given up. Where even that does not come, the pool closes the connection.
            let _ = timeout(limit + LATE, tx.rollback()).await;
            drop(slot);
        });
    }
}
