//! Tells children of their parents' ends where the transaction that ended these left it to somebody else: more children
//! than one transaction should hold, or a child that was locked.

use sqlx::PgPool;

use crate::error::Result;
use crate::workflow;

/// It is woken as workers are, under a name that no queue has.
pub(crate) const WAKE: &str = "queue.unresolved";

/// Tells all that is noted, a step a transaction; returns how many notes it took up. A crash leaves the notes of the
/// step that it interrupts.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    let mut taken = 0;
    loop {
        let mut tx = pool.begin().await?;
        let count = workflow::settle_some(&mut tx).await?;
        tx.commit().await?;
        if count == 0 {
            return Ok(taken);
        }
        taken += count as u64;
    }
}
