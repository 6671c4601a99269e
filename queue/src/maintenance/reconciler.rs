//! Proves once a day that the views of queues are what their jobs say, and that each running job can be rescued.

use sqlx::PgPool;

use crate::error::Result;
use crate::holdings;
use crate::lanes::{reconcile, traffic};

/// Compares the view of each queue with its jobs, and running jobs with the claims; repairs what differs and returns
/// how much that was.
pub async fn run_once(pool: &PgPool) -> Result<u64> {
    let mut conn = pool.acquire().await?;
    let mut adrift = 0;
    for queue in traffic::queues(&mut conn, None).await? {
        adrift += reconcile::run_once(&mut conn, &queue).await?.len() as u64;
    }
    Ok(adrift + holdings::adopt(&mut conn).await?)
}
