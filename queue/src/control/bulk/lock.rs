//! Locks jobs before a step changes them.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

/// Locks the jobs that are still in one of `states`, in the order in which completers lock.
pub(super) async fn lock(conn: &mut PgConnection, jobs: &[Uuid], states: &[String]) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select id from queue.jobs where id = any($1) and state = any($2::text[]::queue.job_state[])
         order by id for update",
        jobs,
        states
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
