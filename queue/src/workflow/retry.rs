//! Retries the failed jobs of a workflow.

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::control;
use crate::error::{QueueError, Result};

/// What became of the failed jobs of a workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryCounts {
    /// Discarded jobs that were retried. The jobs that were cancelled because of them are retried
    /// too, and are not counted.
    pub retried: u64,
    /// Discarded jobs that cannot be retried: a duplicate is live, or a job that they depend on
    /// failed.
    pub refused: u64,
}

/// Whether more than `many` jobs of `workflow` are discarded.
///
/// # Errors
/// When the database cannot answer.
pub async fn has_more_failed_than(conn: &mut PgConnection, workflow: Uuid, many: u32) -> Result<bool> {
    let more = sqlx::query_scalar!(
        "select id from queue.jobs where workflow_id = $1 and cold_state = 'discarded' order by seq offset $2 limit 1",
        workflow,
        i64::from(many)
    )
    .fetch_optional(conn)
    .await?;
    Ok(more.is_some())
}

/// Retries up to `limit` discarded jobs of `workflow` as [`control::retry`] does one, parents
/// first. Jobs that somebody cancelled stay cancelled.
///
/// # Errors
/// [`QueueError::UnknownWorkflow`].
pub async fn retry_failed(conn: &mut PgConnection, workflow: Uuid, limit: u32) -> Result<RetryCounts> {
    let failed = sqlx::query_scalar!(
        "select id from queue.jobs where workflow_id = $1 and cold_state = 'discarded' order by seq limit $2",
        workflow,
        i64::from(limit)
    )
    .fetch_all(&mut *conn)
    .await?;
    if failed.is_empty() && super::title(conn, workflow).await?.is_none() {
        return Err(QueueError::UnknownWorkflow(workflow));
    }
    let mut counts = RetryCounts::default();
    for job in failed {
        // A savepoint each, as a job that is refused must not undo the others.
        let mut savepoint = conn.begin().await?;
        match control::retry(&mut savepoint, job).await {
            Ok(_) => {
                savepoint.commit().await?;
                counts.retried += 1;
            }
            // Somebody else has retried it meanwhile, or a duplicate is live.
            Err(QueueError::WrongState { .. } | QueueError::UnknownJob(_)) => {
                savepoint.rollback().await?;
                counts.refused += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(counts)
}
