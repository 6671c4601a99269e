//! Retries many jobs: those without dependencies in one statement, the others one by one.

use std::collections::HashSet;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::lock::lock;
use super::scan::Scanned;
use crate::control;
use crate::enqueue::notify::notify_queues;
use crate::error::{QueueError, Result};

/// Most jobs that one step retries one by one.
const MAX_DEPENDENT_JOBS: usize = 100;

/// How a step retries its jobs.
#[derive(Default)]
pub(super) struct RetryPlan {
    /// Jobs without dependencies, which are retried in one statement.
    independent: Vec<Uuid>,
    /// Jobs that wait on others or that others wait on, which are retried one by one.
    dependent: Vec<Uuid>,
    /// The `seq` at which the step ends early, as it has enough jobs to retry one by one.
    pub(super) cut_at: Option<i64>,
}

pub(super) async fn plan(conn: &mut PgConnection, scanned: &Scanned) -> Result<RetryPlan> {
    let dependent: HashSet<Uuid> = sqlx::query_scalar!(
        r#"select child_id as "id!" from queue.job_dependencies where child_id = any($1)
        union select parent_id from queue.job_dependencies where parent_id = any($1)"#,
        &scanned.ids
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .collect();
    let mut plan = RetryPlan::default();
    for (id, seq) in scanned.ids.iter().zip(&scanned.seqs) {
        if dependent.contains(id) {
            plan.dependent.push(*id);
        } else {
            plan.independent.push(*id);
        }
        if plan.dependent.len() == MAX_DEPENDENT_JOBS {
            plan.cut_at = Some(*seq);
            break;
        }
    }
    // Ids begin with the time, so that parents come before their children.
    plan.dependent.sort_unstable();
    Ok(plan)
}

/// How many jobs were retried, and how many were refused.
pub(super) type Counts = (u64, u64);

pub(super) async fn retry(conn: &mut PgConnection, plan: RetryPlan, states: &[String]) -> Result<Counts> {
    let independent = lock(conn, &plan.independent, states).await?;
    let mut savepoint = conn.begin().await?;
    let (mut touched, mut skipped) = match retry_independent(&mut savepoint, &independent).await {
        Ok(retried) => {
            savepoint.commit().await?;
            (retried, independent.len() as u64 - retried)
        }
        // A duplicate was enqueued by a transaction that has committed meanwhile.
        Err(QueueError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
            savepoint.rollback().await?;
            retry_one_by_one(conn, &independent).await?
        }
        Err(error) => return Err(error),
    };
    let (more_touched, more_skipped) = retry_one_by_one(conn, &plan.dependent).await?;
    touched += more_touched;
    skipped += more_skipped;
    Ok((touched, skipped))
}

/// [`control::retry`] of many jobs without dependencies. Of jobs with the same unique key it
/// retries the one that was enqueued first, and none where a live job has the key. A job whose
/// private argument was deleted is not retried.
async fn retry_independent(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<u64> {
    let row = sqlx::query!(
        r#"
        with chosen as (
            select distinct on (coalesce(j.unique_key, uuid_send(j.id))) j.id from queue.jobs j
            -- Lateral, so that each key is looked up: an anti-join reads all live jobs when
            -- statistics are old.
            left join lateral (
                select true as is_live from queue.jobs t
                where t.live_key = j.unique_key limit 1
            ) duplicate on true
            where j.id = any($1) and duplicate.is_live is null
              and (not j.has_private or exists (select from queue.private_args p where p.seq = j.seq))
            order by coalesce(j.unique_key, uuid_send(j.id)), j.seq
        ), retried as (
            update queue.jobs j
            set state = 'available', pending_parents = 0, attempt = 0, scheduled_at = queue.now(), finalized_at = null,
                cancel_requested_at = null, cancelled_by = null, progress = null
            from chosen where j.id = chosen.id
            returning j.queue
        )
        select (select count(*) from retried) as "count!", array(select distinct queue from retried) as "queues!"
        "#,
        jobs
    )
    .fetch_one(&mut *conn)
    .await?;
    notify_queues(conn, row.queues).await?;
    Ok(row.count.unsigned_abs())
}

async fn retry_one_by_one(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<Counts> {
    let (mut touched, mut skipped) = (0, 0);
    for job in jobs {
        let mut savepoint = conn.begin().await?;
        match control::retry(&mut savepoint, *job).await {
            Ok(_) => {
                savepoint.commit().await?;
                touched += 1;
                continue;
            }
            // It was retried together with a job that it depends on.
            Err(QueueError::WrongState { state, .. }) if !state.is_final() => touched += 1,
            Err(QueueError::WrongState { .. }) => skipped += 1,
            Err(QueueError::UnknownJob(_)) => {}
            Err(error) => return Err(error),
        }
        savepoint.rollback().await?;
    }
    Ok((touched, skipped))
}
