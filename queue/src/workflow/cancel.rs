//! Cancel of a whole workflow.

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use super::settle::{STEP, settle};
use crate::claim::mark::mark_claimed;
use crate::error::{QueueError, Result};
use crate::worker::listener::notify_cancel;

/// Cancels what is not final in `workflow`: at once what waits, while running jobs are told to stop
/// and become `cancelled` when their handlers have returned. What has completed stays. Answers how
/// many jobs it cancelled or told.
///
/// It takes a bounded number of jobs a transaction, the last ones first (on a connection in a
/// transaction, all is part of that one). A cancel that is cut off can be asked for again.
///
/// # Errors
/// [`QueueError::UnknownWorkflow`].
pub async fn cancel(conn: &mut PgConnection, workflow: Uuid) -> Result<u64> {
    let mut cancelled = 0;
    let mut before = i64::MAX;
    loop {
        // Children first: parents were enqueued before them, so that none is cancelled for its
        // parent's sake.
        let jobs = sqlx::query!(
            "select id, seq from queue.jobs where workflow_id = $1 and seq < $2 order by seq desc limit $3",
            workflow,
            before,
            STEP
        )
        .fetch_all(&mut *conn)
        .await?;
        let Some(first) = jobs.last() else { break };
        before = first.seq;
        let mut tx = conn.begin().await?;
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        cancelled += cancel_some(&mut tx, &ids, workflow).await?;
        tx.commit().await?;
    }
    if before == i64::MAX { Err(QueueError::UnknownWorkflow(workflow)) } else { Ok(cancelled) }
}

async fn cancel_some(conn: &mut PgConnection, jobs: &[Uuid], by: Uuid) -> Result<u64> {
    sqlx::query!("select id from queue.jobs where id = any($1) order by id for no key update", jobs)
        .fetch_all(&mut *conn)
        .await?;
    mark_claimed(conn, jobs).await?;
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
    settle(conn, rows.iter().filter(|row| !row.running).map(|row| row.id).collect()).await?;
    Ok(rows.len() as u64)
}
