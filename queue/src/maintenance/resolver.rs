//! Resolves dependents that were left to it: updates children whose parents ended or were retried
//! in a transaction that did not update them, since there were more children than one transaction
//! should lock, or another one held a child.

use sqlx::PgPool;

use crate::error::Result;
use crate::workflow;

/// Resolves everything that was deferred, a bounded number of children in each transaction; returns
/// how many rows of `queue.unresolved` it found. A crash leaves the rows of the transaction that it
/// interrupts.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    let mut found = 0;
    loop {
        let mut tx = pool.begin().await?;
        let count = workflow::resolve_deferred(&mut tx).await?;
        tx.commit().await?;
        if count == 0 {
            return Ok(found);
        }
        found += count as u64;
    }
}
