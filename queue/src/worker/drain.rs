//! Drain: a worker is told from outside to claim nothing more and to end with its last running job.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::worker::listener::notify_drain;

/// Tells a worker that lives; whether there is one. From this commit on it is given no job; it finds out at once, or with its next
/// sign of life. To tell it twice changes nothing.
///
/// # Errors
/// When the database cannot be told.
pub async fn drain(conn: &mut PgConnection, worker: Uuid) -> Result<bool> {
    let told = sqlx::query!(
        "update queue.workers set drain_requested_at = coalesce(drain_requested_at, queue.now())
         where id = $1 and lease_until > queue.now()",
        worker
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if told > 0 {
        notify_drain(conn).await?;
    }
    Ok(told > 0)
}
