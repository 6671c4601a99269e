//! Proves once a day that no count of the lanes is adrift.

use sqlx::PgPool;

use crate::error::Result;
use crate::lanes::{reconcile, traffic};

/// Compares the counts of each queue with its jobs and repairs them; returns how many were adrift.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    let mut conn = pool.acquire().await?;
    let mut adrift = 0;
    for queue in traffic::queues(&mut conn, None).await? {
        adrift += reconcile::run_once(&mut conn, &queue).await?.len() as u64;
    }
    Ok(adrift)
}
