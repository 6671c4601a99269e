//! Cancels whole workflows.

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use super::propagate::propagate_ends;
use crate::claim::persist_running::persist_claimed;
use crate::error::{QueueError, Result};
use crate::worker::notify::notify_cancel;

/// Most jobs that one transaction cancels.
const MAX_JOBS: i64 = 500;

/// Cancels the jobs of `workflow` that are not final. Running jobs are asked to stop and become
/// `cancelled` when their handlers have returned; the others are cancelled at once. Returns how
/// many jobs it cancelled or asked to stop.
///
/// Each transaction cancels a bounded number of jobs, the last ones first (on a connection in a
/// transaction, everything is part of that one). A cancel that was interrupted can be repeated.
///
/// # Errors
/// [`QueueError::UnknownWorkflow`].
pub async fn cancel(conn: &mut PgConnection, workflow: Uuid) -> Result<u64> {
    let mut cancelled = 0;
    let mut before = i64::MAX;
    loop {
        // Parents were enqueued before their children, so children are cancelled first and none is
        // recorded as cancelled because of its parent.
        let jobs = sqlx::query!(
            "select id, seq from queue.jobs where workflow_id = $1 and seq < $2 order by seq desc limit $3",
            workflow,
            before,
            MAX_JOBS
        )
        .fetch_all(&mut *conn)
        .await?;
        let Some(first) = jobs.last() else { break };
        before = first.seq;
        let mut tx = conn.begin().await?;
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        cancelled += cancel_jobs(&mut tx, &ids, workflow).await?;
        tx.commit().await?;
    }
    if before == i64::MAX { Err(QueueError::UnknownWorkflow(workflow)) } else { Ok(cancelled) }
}

async fn cancel_jobs(conn: &mut PgConnection, jobs: &[Uuid], by: Uuid) -> Result<u64> {
    sqlx::query!("select id from queue.jobs where id = any($1) order by id for no key update", jobs)
        .fetch_all(&mut *conn)
        .await?;
    persist_claimed(conn, jobs).await?;
    let rows = sqlx::query!(
        r#"
        with before as materialized (
            select id, state from queue.jobs
            where id = any($1) and state not in ('completed', 'cancelled', 'discarded')
              and (state <> 'running' or cancel_requested_at is null)
        )
        update queue.jobs j
        set state = case when l.state = 'running' then j.state else 'cancelled' end,
            finalized_at = case when l.state = 'running' then null else queue.now() end,
            cancel_requested_at = case when l.state = 'running' then queue.now() else j.cancel_requested_at end,
            cancelled_by = $2
        from before l where j.id = l.id
        returning j.id, j.state = 'running' as "running!"
        "#,
        jobs,
        by
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows.iter().filter(|row| row.running) {
        notify_cancel(conn, row.id).await?;
    }
    propagate_ends(conn, rows.iter().filter(|row| !row.running).map(|row| row.id).collect()).await?;
    Ok(rows.len() as u64)
}
