//! The retry of many jobs: those that stand alone in one statement, the others one by one.

use std::collections::HashSet;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::lock;
use super::walk::Stretch;
use crate::control;
use crate::error::{QueueError, Result};
use crate::worker::listener::notify_queues;

/// Most jobs that one step takes one by one.
const SINGLY: usize = 100;

/// Jobs to retry: all at once, or one by one where other jobs are concerned.
#[derive(Default)]
pub(super) struct Part {
    alone: Vec<Uuid>,
    linked: Vec<Uuid>,
    /// Where the step ends early, as there are too many to take one by one.
    pub(super) end: Option<i64>,
}

pub(super) async fn split(conn: &mut PgConnection, stretch: &Stretch) -> Result<Part> {
    let linked: HashSet<Uuid> = sqlx::query_scalar!(
        r#"select child_id as "id!" from queue.job_dependencies where child_id = any($1)
        union select parent_id from queue.job_dependencies where parent_id = any($1)"#,
        &stretch.ids
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .collect();
    let mut part = Part::default();
    for (id, seq) in stretch.ids.iter().zip(&stretch.seqs) {
        if linked.contains(id) {
            part.linked.push(*id);
        } else {
            part.alone.push(*id);
        }
        if part.linked.len() == SINGLY {
            part.end = Some(*seq);
            break;
        }
    }
    // Ids are made in the order of time, so that parents come before their children.
    part.linked.sort_unstable();
    Ok(part)
}

/// Retried, and refused.
pub(super) type Retried = (u64, u64);

pub(super) async fn retry(conn: &mut PgConnection, part: Part, states: &[String]) -> Result<Retried> {
    let alone = lock(conn, &part.alone, states).await?;
    let mut savepoint = conn.begin().await?;
    let (mut touched, mut skipped) = match revive(&mut savepoint, &alone).await {
        Ok(revived) => {
            savepoint.commit().await?;
            (revived, alone.len() as u64 - revived)
        }
        // A twin was enqueued meanwhile, which nobody could see before.
        Err(QueueError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
            savepoint.rollback().await?;
            retry_singly(conn, &alone).await?
        }
        Err(error) => return Err(error),
    };
    let (more_touched, more_skipped) = retry_singly(conn, &part.linked).await?;
    touched += more_touched;
    skipped += more_skipped;
    Ok((touched, skipped))
}

/// [`control::retry`] of many jobs that no other job depends on, nor they on others. Of several with the same unique
/// key the first in order of enqueueing, and none where a live one has it.
async fn revive(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<u64> {
    let row = sqlx::query!(
        r#"
        with chosen as (
            select distinct on (coalesce(j.unique_key, uuid_send(j.id))) j.id from queue.jobs j
            -- Lateral, so that each key is looked up: an anti-join reads all live jobs when statistics are old.
            left join lateral (
                select true as lives from queue.jobs t
                where t.live_key = j.unique_key limit 1
            ) twin on true
            where j.id = any($1) and twin.lives is null
            order by coalesce(j.unique_key, uuid_send(j.id)), j.seq
        ), revived as (
            update queue.jobs j
            set state = 'available', pending_parents = 0, attempt = 0, scheduled_at = queue.now(), finalized_at = null,
                cancel_requested_at = null, cancelled_by = null, progress = null
            from chosen where j.id = chosen.id
            returning j.queue
        )
        select (select count(*) from revived) as "count!", array(select distinct queue from revived) as "queues!"
        "#,
        jobs
    )
    .fetch_one(&mut *conn)
    .await?;
    notify_queues(conn, row.queues).await?;
    Ok(row.count.unsigned_abs())
}

async fn retry_singly(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<Retried> {
    let (mut touched, mut skipped) = (0, 0);
    for job in jobs {
        let mut savepoint = conn.begin().await?;
        match control::retry(&mut savepoint, *job).await {
            Ok(_) => {
                savepoint.commit().await?;
                touched += 1;
                continue;
            }
            // It got its new life with a job it depends on.
            Err(QueueError::WrongState { state, .. }) if !state.is_final() => touched += 1,
            Err(QueueError::WrongState { .. }) => skipped += 1,
            Err(QueueError::UnknownJob(_)) => {}
            Err(error) => return Err(error),
        }
        savepoint.rollback().await?;
    }
    Ok((touched, skipped))
}
