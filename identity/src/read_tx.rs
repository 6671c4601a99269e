//! A read that cannot write, with a limit on each of its statements.
//!
//! Whoever limits how many reads a caller may have at once hands a permit over with the read. It is
//! dropped once the connection is free again, however the read ends: a caller that hangs up leaves
//! a query that Postgres goes on with, and that query counts until it is over.

use std::fmt::Debug;
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::time::timeout;

/// How long one statement of a tenant's read may take. Each is bounded by what it reads, so this
/// ends only what waits for a lock or a slow disk.
pub const OF_TENANT: Duration = Duration::from_secs(5);

/// As long as a request may take that does not ask to wait.
pub const OF_SERVICE: Duration = Duration::from_secs(30);

/// Postgres ends a statement a little after its limit.
const LATE: Duration = Duration::from_secs(1);

/// A transaction that cannot write. Ends when dropped.
#[derive(Debug)]
pub struct ReadTx(Option<Open>);

#[derive(Debug)]
struct Open {
    tx: Transaction<'static, Postgres>,
    permit: Box<dyn Debug + Send>,
    limit: Duration,
}

impl ReadTx {
    /// A read about a tenant that an operator asks for.
    pub async fn about_tenant(pool: &PgPool) -> sqlx::Result<Self> {
        Self::begin(pool, (), OF_TENANT).await
    }

    /// A read of which no statement may take longer than `limit`. `permit` is dropped once its
    /// connection is free.
    pub async fn begin(
        pool: &PgPool,
        permit: impl Debug + Send + 'static,
        limit: Duration,
    ) -> sqlx::Result<Self> {
        let begin = format!("begin read only; set local statement_timeout = {}", limit.as_millis());
        let tx = pool.begin_with(AssertSqlSafe(begin)).await?;
        Ok(Self(Some(Open { tx, permit: Box::new(permit), limit })))
    }

    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.0.as_mut().expect("it is taken when this is dropped").tx
    }
}

impl Drop for ReadTx {
    fn drop(&mut self) {
        let Some(Open { tx, permit, limit }) = self.0.take() else { return };
        tokio::spawn(async move {
            // Waits for the answer to a query that was given up. Where even that does not come, the
            // pool closes the connection.
            let _ = timeout(limit + LATE, tx.rollback()).await;
            drop(permit);
        });
    }
}
