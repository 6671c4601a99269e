//! The jobs of one workflow.

use sqlx::PgConnection;
use uuid::Uuid;

use super::workflows::WorkflowState;
use crate::error::Result;
use crate::job::state::JobState;
use crate::job::state::StateCounts;
use crate::read::row::JobRow;

/// The first `limit` jobs of a workflow after `after` (a [`JobRow::seq`]), in order of enqueueing.
pub async fn workflow(
    conn: &mut PgConnection,
    id: Uuid,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<JobRow>> {
    let rows = job_rows!(
        "where j.workflow_id = $1 and ($2::bigint is null or j.seq > $2) order by j.seq limit $3",
        id,
        after,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The jobs of a whole workflow, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkflowCounts {
    /// How many are in each state.
    pub counts: StateCounts,
    /// Whether one of them has started.
    pub begun: bool,
}

impl WorkflowCounts {
    /// The state of the workflow.
    pub fn state(&self) -> WorkflowState {
        WorkflowState::of(&self.counts, self.begun)
    }
}

/// How many jobs a workflow has in each state; zero in all when there is no such workflow.
pub async fn workflow_counts(conn: &mut PgConnection, id: Uuid) -> Result<WorkflowCounts> {
    let rows = sqlx::query!(
        r#"select state::text as "state!: JobState", count(*) as "count!", bool_or(run > 0 or state = 'completed') as "begun!"
           from queue.jobs where workflow_id = $1 group by state"#,
        id
    )
    .fetch_all(conn)
    .await?;
    let mut found = WorkflowCounts::default();
    for row in rows {
        found.counts.change(row.state, row.count);
        found.begun |= row.begun;
    }
    Ok(found)
}

/// A job with the jobs that it waits on and those that wait on it, at most `limit` of either, in
/// order of enqueueing.
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
