//! The small steps that the expander takes for a backfill, each one a transaction: cancel some of
//! its jobs, retry some, save how far it is, end it.

use az::SaturatingAs;
use serde_json::json;
use sqlx::types::Json;
use sqlx::{Acquire, PgPool};
use uuid::Uuid;

use super::progress::Sample;
use super::settings::notify_settings_changed;
use crate::claim::persist_running::persist_claimed;
use crate::control;
use crate::error::{QueueError, Result};
use crate::job::state::StateCounts;
use crate::worker::notify::notify_cancels;
use crate::workflow;

/// Most jobs of one transaction.
const MAX_JOBS: i64 = 500;

/// Cancels some jobs of a cancelled backfill: running jobs are asked to stop, the others end at
/// once. Returns how many.
pub(crate) async fn cancel_batch(pool: &PgPool, id: Uuid) -> Result<u64> {
    let mut tx = pool.begin().await?;
    let live = sqlx::query_scalar!(
        "select j.id from queue.jobs j where j.live_backfill_id = $1 and j.cancel_requested_at is null
         order by j.seq limit $2 for update skip locked",
        id,
        MAX_JOBS
    )
    .fetch_all(&mut *tx)
    .await?;
    persist_claimed(&mut tx, &live).await?;
    let rows = sqlx::query!(
        r#"
        with live as (
            select j.id, j.state as old_state from queue.jobs j where j.id = any($1)
        )
        update queue.jobs j
        set state = (case when old_state = 'running' then 'running' else 'cancelled' end)::queue.job_state,
            cancel_requested_at = case when old_state = 'running' then queue.now() end,
            finalized_at = case when old_state <> 'running' then queue.now() end,
            cancelled_by = $2
        from live where j.id = live.id
        returning j.id, old_state = 'running' as "running!"
        "#,
        &live,
        id
    )
    .fetch_all(&mut *tx)
    .await?;
    let running: Vec<Uuid> = rows.iter().filter(|row| row.running).map(|row| row.id).collect();
    let ended = rows.iter().filter(|row| !row.running).map(|row| row.id);
    workflow::propagate_ends(&mut tx, ended.collect()).await?;
    notify_cancels(&mut tx, &running).await?;
    tx.commit().await?;
    Ok(rows.len() as u64)
}

/// Retries some of the jobs that were discarded before the retry was requested. Returns how many
/// jobs it examined.
pub(crate) async fn retry_batch(pool: &PgPool, id: Uuid) -> Result<u64> {
    let mut tx = pool.begin().await?;
    let request = sqlx::query!(
        r#"select retry_requested_at as "at!", retried_to from queue.backfills
           where id = $1 and retry_requested_at is not null and finished_at is null for update skip locked"#,
        id
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(request) = request else { return Ok(0) };
    let failed = sqlx::query!(
        r#"select id, seq as "seq!" from queue.jobs
           where backfill_id = $1 and backfill_id is not null and cold_state = 'discarded' and seq > $2
             and finalized_at <= $3
           order by seq limit $4"#,
        id,
        request.retried_to,
        request.at,
        MAX_JOBS
    )
    .fetch_all(&mut *tx)
    .await?;
    for job in &failed {
        // A savepoint each, as a job that is refused must not undo the others.
        let mut savepoint = tx.begin().await?;
        match control::retry(&mut savepoint, job.id).await {
            Ok(_) => savepoint.commit().await?,
            Err(error @ QueueError::WrongState { .. }) => {
                tracing::info!(backfill.id = %id, %error, "a discarded job of the backfill is not retried");
                savepoint.rollback().await?;
            }
            Err(error) => return Err(error),
        }
    }
    let more = failed.len() as u64 == MAX_JOBS.unsigned_abs();
    sqlx::query!(
        "update queue.backfills
         set retried_to = coalesce($2, retried_to), retry_requested_at = case when $3 then retry_requested_at end
         where id = $1",
        id,
        failed.last().map(|job| job.seq),
        more
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(failed.len() as u64)
}

/// Saves how many slices are done now, unless that was saved less than [`Sample::INTERVAL`] ago.
pub(crate) async fn save_sample(pool: &PgPool, id: Uuid, done: u64) -> Result<()> {
    sqlx::query!(
        "update queue.backfills
         set samples = (
                 select coalesce(jsonb_agg(sample order by position), '[]')
                 from jsonb_array_elements(samples) with ordinality as s (sample, position)
                 where (sample ->> 'at')::timestamptz > queue.now() - make_interval(secs => $2)
             ) || jsonb_build_array(jsonb_build_object('at', queue.now()) || $4)
         where id = (
             select id from queue.backfills
             where id = $1 and finished_at is null
               and coalesce((samples -> -1 ->> 'at')::timestamptz <= queue.now() - make_interval(secs => $3), true)
             for update skip locked)",
        id,
        Sample::RETENTION.as_seconds_f64(),
        Sample::INTERVAL.as_seconds_f64(),
        json!({ "done": done })
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Ends a backfill whose jobs were all final when its next slice was `next_slice`. Returns `false`
/// where it has changed since.
pub(crate) async fn finish(pool: &PgPool, id: Uuid, next_slice: u64, counts: StateCounts) -> Result<bool> {
    let mut tx = pool.begin().await?;
    let queues = sqlx::query_scalar!(
        "update queue.backfills set finished_at = queue.now(), paused = false, counts = $3
         where id = (
             select id from queue.backfills
             where id = $1 and next_slice = $2
               and (next_slice = total and put_off = 0 or cancelled_at is not null)
               and finished_at is null and retry_requested_at is null
             for update skip locked)
         returning queues",
        id,
        next_slice.saturating_as::<i64>(),
        Json(counts) as _
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(queues) = queues else { return Ok(false) };
    sqlx::query!("delete from queue.backfills_behind where backfill_id = $1", id).execute(&mut *tx).await?;
    notify_settings_changed(&mut tx, &queues).await?;
    tx.commit().await?;
    tracing::info!(backfill.id = %id, ?counts, "a backfill has ended");
    Ok(true)
}
