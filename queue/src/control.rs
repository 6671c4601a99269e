//! What people do to jobs: cancel, retry, run now, change the priority.
//!
//! - The functions here act on single jobs.
//! - [`bulk`] acts on all jobs that a filter matches, in steps.
//! - [`target`] is what an action is about, such as a job, a lane or a schedule, for records of it.
//! - [`history`] begins a new history of the database, after it was restored.

pub mod bulk;
pub mod target;

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::claim::persist_running::persist_claimed;
use crate::enqueue::notify::notify_queues;
use crate::error::{QueueError, Result};
use crate::job::state::JobState;
use crate::private;
use crate::worker::notify::notify_cancel;
use crate::workflow;

pub use crate::database::history;

/// Cancels a job. A running one is asked to stop and becomes `cancelled` when its handler has
/// returned; others are cancelled at once. A final job stays as it is. Returns the state that the
/// job has now.
///
/// # Errors
/// [`QueueError::UnknownJob`].
pub async fn cancel(conn: &mut PgConnection, job: Uuid) -> Result<JobState> {
    let mut tx = conn.begin().await?;
    let state = cancel_all(&mut tx, &[job], job).await?.pop().ok_or(QueueError::UnknownJob(job))?;
    tx.commit().await?;
    Ok(state)
}

/// Cancels jobs in the caller's transaction, as [`cancel`] does one, and records `by` as what
/// cancelled them. Returns the states that they have now; jobs that do not exist are left out.
pub(crate) async fn cancel_all(conn: &mut PgConnection, jobs: &[Uuid], by: Uuid) -> Result<Vec<JobState>> {
    sqlx::query!("select id from queue.jobs where id = any($1) order by id for update", jobs)
        .fetch_all(&mut *conn)
        .await?;
    persist_claimed(conn, jobs).await?;
    let rows = sqlx::query!(
        r#"
        with before as (
            select id, state as old_state from queue.jobs where id = any($1)
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
            end,
            cancelled_by = case
                when l.old_state in ('completed', 'cancelled', 'discarded') or j.cancel_requested_at is not null
                    then j.cancelled_by
                else $2
            end
        from before l where j.id = l.id
        returning j.id, l.old_state::text as "old_state!: JobState", j.state::text as "state!: JobState"
        "#,
        jobs,
        by
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut states = Vec::with_capacity(rows.len());
    let mut ended = Vec::new();
    for row in rows {
        let (old, new) = (row.old_state, row.state);
        if new == JobState::Running {
            notify_cancel(conn, row.id).await?;
        } else if new != old {
            ended.push(row.id);
        }
        states.push(new);
    }
    workflow::propagate_ends(conn, ended).await?;
    Ok(states)
}

/// Retries a discarded or cancelled job, with all its attempts. It waits on parents that are not
/// final.
///
/// Jobs that were cancelled because of it, directly or further down the graph, are retried too and
/// wait on it: all but those with another failed parent, those that somebody cancelled by hand, and
/// those with a live duplicate, which can be retried when the duplicate is final. Those with a
/// private argument stay cancelled, too, as it was deleted.
///
/// # Errors
/// [`QueueError::UnknownJob`]; [`QueueError::WrongState`] when it is not discarded or cancelled,
/// when a live job with the same arguments exists, when a job it depends on failed, or when its
/// [private argument](crate::private) was deleted as it was cancelled.
pub async fn retry(conn: &mut PgConnection, job: Uuid) -> Result<JobState> {
    let mut tx = conn.begin().await?;
    let state = retry_in(&mut tx, job).await?;
    tx.commit().await?;
    Ok(state)
}

async fn retry_in(conn: &mut PgConnection, job: Uuid) -> Result<JobState> {
    let row = sqlx::query!(
        r#"select state::text as "state!: JobState", unique_key, failed_parents, has_private
           from queue.jobs where id = $1 for no key update"#,
        job
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(QueueError::UnknownJob(job))?;
    let state = row.state;
    let refuse = |why: String| QueueError::WrongState { job, state, why };
    if !matches!(state, JobState::Discarded | JobState::Cancelled) {
        return Err(refuse("only a discarded or cancelled job can be retried".to_owned()));
    }
    if row.failed_parents > 0 {
        let parent = failed_parent(conn, job).await?;
        return Err(refuse(format!("a job it depends on failed ({parent}); retry that one first")));
    }
    if row.has_private && !private::store::is_there(conn, job).await? {
        let why = "its private argument was deleted when it was cancelled, and it cannot run without; enqueue it anew";
        return Err(refuse(why.to_owned()));
    }
    if let Some(live) = live_duplicate(conn, row.unique_key.as_deref()).await? {
        return Err(refuse(format!("job {live} with the same arguments is not final yet")));
    }
    let retried = match make_live(conn, job).await {
        Ok(state) => workflow::propagate_retry(conn, job).await.map(|()| state),
        Err(error) => Err(error),
    };
    retried.map_err(|error| match error {
        QueueError::Database(sqlx::Error::Database(e)) if e.is_unique_violation() => {
            refuse("a job with the same arguments was enqueued meanwhile; try again".to_owned())
        }
        other => other,
    })
}

async fn failed_parent(conn: &mut PgConnection, job: Uuid) -> Result<String> {
    let parent = sqlx::query_scalar!(
        r#"select p.kind || ' ' || p.id || ' was ' || p.state as "parent!"
           from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
           where d.child_id = $1 and d.outcome = 'failed' order by p.seq limit 1"#,
        job
    )
    .fetch_one(conn)
    .await?;
    Ok(parent)
}

async fn live_duplicate(conn: &mut PgConnection, unique_key: Option<&[u8]>) -> Result<Option<Uuid>> {
    let id = sqlx::query_scalar!("select id from queue.jobs where live_key = $1", unique_key)
        .fetch_optional(conn)
        .await?;
    Ok(id)
}

async fn make_live(conn: &mut PgConnection, job: Uuid) -> Result<JobState> {
    let row = sqlx::query!(
        r#"
        update queue.jobs
        set state = (case when pending_parents > 0 then 'waiting' else 'available' end)::queue.job_state, attempt = 0, scheduled_at = queue.now(), finalized_at = null,
            cancel_requested_at = null, cancelled_by = null, progress = null
        where id = $1
        returning state::text as "state!: JobState", queue
        "#,
        job
    )
    .fetch_one(&mut *conn)
    .await?;
    let state = row.state;
    if state == JobState::Available {
        notify_queues(conn, [row.queue]).await?;
    }
    Ok(state)
}

/// Makes a scheduled or retryable job available at once. Its place in its lane is decided by its
/// priority and then by its order of enqueueing; limits and pauses hold for it as for other jobs.
///
/// # Errors
/// [`QueueError::UnknownJob`]; [`QueueError::WrongState`] when it waits on other jobs, is available
/// already, runs, or is final.
pub async fn run_now(conn: &mut PgConnection, job: Uuid) -> Result<JobState> {
    let queue = sqlx::query_scalar!(
        "update queue.jobs set state = 'available', scheduled_at = queue.now()
         where id = $1 and state in ('scheduled', 'retryable') returning queue",
        job
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(queue) = queue {
        notify_queues(conn, [queue]).await?;
        return Ok(JobState::Available);
    }
    let state = state_of(conn, job).await?.ok_or(QueueError::UnknownJob(job))?;
    let why = match state {
        JobState::Waiting => "it waits for other jobs and starts when they have completed",
        JobState::Available => "it is available already; a limit, a pause or the jobs before it hold it back",
        JobState::Running => "it is running already",
        // It was promoted or retried between the two queries.
        JobState::Scheduled | JobState::Retryable => "it has just changed; try again",
        JobState::Completed | JobState::Cancelled | JobState::Discarded => "it is final",
    };
    Err(QueueError::WrongState { job, state, why: why.to_owned() })
}

/// Changes the priority of a job that has not ended, to −100 to 100; the database refuses others.
/// From the next claim on, the job has the place in its lane as if it had been enqueued with this
/// priority. Of a running job, it counts from its next attempt on. Returns the priority before.
///
/// # Errors
/// [`QueueError::UnknownJob`]; [`QueueError::WrongState`] when it is final.
pub async fn set_priority(conn: &mut PgConnection, job: Uuid, priority: i16) -> Result<i16> {
    let mut tx = conn.begin().await?;
    let row = sqlx::query!(
        r#"select state::text as "state!: JobState", queue, priority from queue.jobs where id = $1 for update"#,
        job
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(QueueError::UnknownJob(job))?;
    let state = row.state;
    if state.is_final() {
        return Err(QueueError::WrongState { job, state, why: "it is final".to_owned() });
    }
    if row.priority == priority {
        return Ok(priority);
    }
    // A claim that took the job has counted it under its present priority. That it runs has to be
    // in its row before the priority changes.
    persist_claimed(&mut tx, &[job]).await?;
    sqlx::query!("update queue.jobs set priority = $2 where id = $1", job, priority)
        .execute(&mut *tx)
        .await?;
    if state == JobState::Available {
        notify_queues(&mut tx, [row.queue]).await?;
    }
    tx.commit().await?;
    Ok(row.priority)
}

async fn state_of(conn: &mut PgConnection, job: Uuid) -> Result<Option<JobState>> {
    let state =
        sqlx::query_scalar!(r#"select state::text as "state!: JobState" from queue.jobs where id = $1"#, job);
    Ok(state.fetch_optional(conn).await?)
}
