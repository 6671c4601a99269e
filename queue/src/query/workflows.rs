//! Workflows as people look at them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::JobRow;
use crate::error::Result;

/// A workflow, and how many of its first jobs are in which state.
#[derive(Debug, Clone)]
pub struct WorkflowRow {
    /// A UUID.
    pub id: Uuid,
    /// Of its first job.
    pub tenant_id: Uuid,
    /// The kinds of its jobs.
    pub kinds: Vec<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// How many of its jobs were counted.
    pub jobs: i64,
    /// Of these, completed.
    pub completed: i64,
    /// Of these, discarded or cancelled.
    pub failed: i64,
    /// Of these, marked as running.
    pub running: i64,
    /// The database's time of this look.
    pub observed_at: DateTime<Utc>,
}

/// The newest `limit` workflows before `before`, of each of which the first `counted` jobs and one are counted. Newest is what has
/// the greatest id, which is of version 7 and begins with the time.
pub async fn recent_workflows(
    conn: &mut PgConnection,
    before: Option<Uuid>,
    limit: i64,
    counted: i64,
) -> Result<Vec<WorkflowRow>> {
    let rows = sqlx::query_file_as!(
        WorkflowRow,
        "src/query/recent_workflows.sql",
        before.unwrap_or(Uuid::max()),
        limit,
        counted
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A job with those it waits on and those that wait on it, at most `limit` of either, in order of enqueueing.
pub async fn neighbours(conn: &mut PgConnection, job: Uuid, limit: i64) -> Result<Vec<JobRow>> {
    let rows = job_rows!(
        from "(
            (select parent_id as id from queue.job_dependencies where child_id = $1 order by child_id, parent_id limit $2)
            union (select child_id from queue.job_dependencies where parent_id = $1 order by parent_id, child_id limit $2)
            union select $1
        ) as near cross join lateral (select * from queue.jobs where id = near.id offset 0) j order by j.seq",
        job,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
