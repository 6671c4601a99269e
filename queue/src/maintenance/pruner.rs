//! Forgets workers whose lease ended long ago.

use sqlx::PgPool;

use crate::error::Result;

/// Deletes what is of no use any more; returns how many rows.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    let deleted =
        sqlx::query!("delete from queue.workers where lease_until < queue.now() - interval '1 hour'")
            .execute(pool)
            .await?
            .rows_affected();
    Ok(deleted)
}
