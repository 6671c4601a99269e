//! Checks once a day that the views of queues agree with their jobs, and that each running job can
//! be rescued.

use sqlx::{Connection, PgPool};

use crate::claim::guard;
use crate::error::Result;
use crate::lanes::{reconcile, traffic};

/// Compares the view of each queue with its jobs, and running jobs with the claims; corrects
/// discrepancies and returns how many there were.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    // A connection of its own, which ends with this function: a lock of its session must not stay
    // on a connection of the pool.
    let mut conn = pool.acquire().await?.detach();
    let mut discrepancies = 0;
    for queue in traffic::known_queues(&mut conn, None).await? {
        discrepancies += reconcile::run_once(&mut conn, &queue).await?.len() as u64;
    }
    discrepancies += guard::adopt_orphans(&mut conn).await?;
    conn.close().await?;
    Ok(discrepancies)
}
