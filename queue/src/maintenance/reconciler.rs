//! Proves once a day that the views of queues are what their jobs say, and that each running job can be rescued.

use sqlx::{Connection, PgPool};

use crate::claim::holdings;
use crate::error::Result;
use crate::lanes::{reconcile, traffic};

/// Compares the view of each queue with its jobs, and running jobs with the claims; repairs what differs and returns
/// how much that was.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    // Its own, which ends with this whatever comes: a lock of its session must not stay with a connection of the pool.
    let mut conn = pool.acquire().await?.detach();
    let mut adrift = 0;
    for queue in traffic::queues(&mut conn, None).await? {
        adrift += reconcile::run_once(&mut conn, &queue).await?.len() as u64;
    }
    adrift += holdings::adopt(&mut conn).await?;
    conn.close().await?;
    Ok(adrift)
}
