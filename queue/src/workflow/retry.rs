//! Another life for what has failed in a workflow.

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::control;
use crate::error::{QueueError, Result};

/// What became of the failed jobs of a workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Discarded jobs that live again. What was cancelled because of them does, too, and is not
    /// counted.
    pub retried: u64,
    /// Discarded jobs that cannot: the same job is on its way, or one that it depends on failed.
    pub refused: u64,
}

/// Whether more than so many jobs of `workflow` are discarded.
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

/// Retries the discarded jobs of `workflow` as [`control::retry`] does one, parents first, and at
/// most `most` of them. What somebody cancelled stays cancelled.
///
/// # Errors
/// [`QueueError::UnknownWorkflow`].
pub async fn retry_failed(conn: &mut PgConnection, workflow: Uuid, most: u32) -> Result<Retried> {
    let failed = sqlx::query_scalar!(
        "select id from queue.jobs where workflow_id = $1 and cold_state = 'discarded' order by seq limit $2",
        workflow,
        i64::from(most)
    )
    .fetch_all(&mut *conn)
    .await?;
    if failed.is_empty() && super::title(conn, workflow).await?.is_none() {
        return Err(QueueError::UnknownWorkflow(workflow));
    }
    let mut done = Retried::default();
    for job in failed {
        // Of its own, as one that is refused must not take the others with it.
        let mut one = conn.begin().await?;
        match control::retry(&mut one, job).await {
            Ok(_) => {
                one.commit().await?;
                done.retried += 1;
            }
            // Somebody else was faster, or its twin lives.
            Err(QueueError::WrongState { .. } | QueueError::UnknownJob(_)) => {
                one.rollback().await?;
                done.refused += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
