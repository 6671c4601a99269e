//! Draining: a worker is asked, through the database, to claim nothing more and to end with its
//! last running job.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::worker::notify::notify_drain;

/// Asks a worker to drain, and returns whether a live worker has this id. Once the caller's
/// transaction is committed the worker is given no more jobs; it notices at once, or with its next
/// heartbeat. Asking twice changes nothing.
///
/// # Errors
/// When a statement fails.
pub async fn drain(conn: &mut PgConnection, worker: Uuid) -> Result<bool> {
    let asked = sqlx::query!(
        "update queue.workers set drain_requested_at = coalesce(drain_requested_at, queue.now())
         where id = $1 and lease_until > queue.now()",
        worker
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if asked > 0 {
        notify_drain(conn).await?;
    }
    Ok(asked > 0)
}
