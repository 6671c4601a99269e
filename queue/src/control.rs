//! What people do to single jobs: cancel and retry.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{QueueError, Result};
use crate::listener::{notify_cancel, notify_queues};
use crate::state::JobState;
use crate::workflow::{self, Ended};

/// Cancels a job: at once while it waits; a running one is told to stop and becomes `cancelled` when its handler
/// has returned. A final job stays as it is. Returns the state the job has now.
///
/// # Errors
/// [`QueueError::UnknownJob`].
pub async fn cancel(conn: &mut PgConnection, job: Uuid) -> Result<JobState> {
    let row = sqlx::query!(
        r#"
        with locked as (
            select id, state as old_state from queue.jobs where id = $1 for update
        )
        update queue.jobs j
        set state = (case
                when l.old_state in ('waiting', 'scheduled', 'available', 'retryable') then 'cancelled'
                else l.old_state::text
            end)::queue.job_state,
            finalized_at = case
                when l.old_state in ('waiting', 'scheduled', 'available', 'retryable') then queue.now()
                else j.finalized_at
            end,
            cancel_requested_at = case
                when l.old_state = 'running' then coalesce(j.cancel_requested_at, queue.now())
                else j.cancel_requested_at
            end
        from locked l where j.id = l.id
        returning l.old_state::text as "old_state!", j.state::text as "state!"
        "#,
        job
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(QueueError::UnknownJob(job))?;
    let old: JobState = row.old_state.parse().expect("the enum's names are the states'");
    let new: JobState = row.state.parse().expect("the enum's names are the states'");
    if new == JobState::Running {
        notify_cancel(conn, job).await?;
    } else if new != old {
        workflow::settle(conn, vec![Ended { id: job, completed: false }]).await?;
    }
    Ok(new)
}

/// Gives a discarded or cancelled job another life, with all its attempts. Waits on parents that are not final.
///
/// # Errors
/// [`QueueError::UnknownJob`]; [`QueueError::WrongState`] when it is not discarded or cancelled, when a live job with
/// the same arguments exists, or when a job it depends on failed.
pub async fn retry(conn: &mut PgConnection, job: Uuid) -> Result<JobState> {
    // Held against a finish of a parent: it would not count down a child that is not waiting yet.
    sqlx::query!(
        "select id from queue.jobs where id in (select parent_id from queue.job_dependencies where child_id = $1)
         order by id for share",
        job
    )
    .fetch_all(&mut *conn)
    .await?;
    let row = sqlx::query!(
        r#"
        select j.state::text as "state!", j.unique_key,
            (select count(*) from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
             where d.child_id = j.id and p.state not in ('completed', 'cancelled', 'discarded')) as "pending!",
            (select min(p.kind || ' ' || p.id || ' is ' || p.state)
             from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
             where d.child_id = j.id and d.on_failure = 'cancel' and p.state in ('cancelled', 'discarded')) as failed_parent
        from queue.jobs j where j.id = $1 for update of j
        "#,
        job
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(QueueError::UnknownJob(job))?;
    let state: JobState = row.state.parse().expect("the enum's names are the states'");
    let refuse = |why: String| QueueError::WrongState { job, state, why };
    if !matches!(state, JobState::Discarded | JobState::Cancelled) {
        return Err(refuse("only a discarded or cancelled job can be retried".to_owned()));
    }
    if let Some(parent) = row.failed_parent {
        return Err(refuse(format!("a job it depends on failed ({parent}); retry that one first")));
    }
    if let Some(live) = live_twin(conn, row.unique_key.as_deref()).await? {
        return Err(refuse(format!("job {live} with the same arguments is on its way already")));
    }
    revive(conn, job, i32::try_from(row.pending).unwrap_or(i32::MAX)).await.map_err(|error| match error {
        QueueError::Database(sqlx::Error::Database(e)) if e.is_unique_violation() => {
            refuse("a job with the same arguments was enqueued meanwhile".to_owned())
        }
        other => other,
    })
}

async fn live_twin(conn: &mut PgConnection, unique_key: Option<&[u8]>) -> Result<Option<Uuid>> {
    let id = sqlx::query_scalar!(
        "select id from queue.jobs
         where unique_key = $1 and state in ('waiting', 'scheduled', 'available', 'running', 'retryable')",
        unique_key
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

async fn revive(conn: &mut PgConnection, job: Uuid, pending_parents: i32) -> Result<JobState> {
    let row = sqlx::query!(
        r#"
        update queue.jobs
        set state = (case when $2::integer > 0 then 'waiting' else 'available' end)::queue.job_state,
            pending_parents = $2, attempt = 0, scheduled_at = queue.now(), finalized_at = null,
            cancel_requested_at = null, progress = null
        where id = $1
        returning state::text as "state!", queue
        "#,
        job,
        pending_parents
    )
    .fetch_one(&mut *conn)
    .await?;
    workflow::wait_again(conn, job).await?;
    let state: JobState = row.state.parse().expect("the enum's names are the states'");
    if state == JobState::Available {
        notify_queues(conn, [row.queue]).await?;
    }
    Ok(state)
}
