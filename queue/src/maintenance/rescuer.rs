//! Gives back what dead workers held: jobs that run under a lease that ran out or is gone.

use crate::error::Result;
use crate::leader::Begin;
use crate::listener::notify_queues;
use crate::workflow;

/// Rescues in batches; returns how many jobs.
///
/// The attempt counts, so that a job which kills its worker ends as a dead letter.
pub async fn run_once(host: &impl Begin) -> Result<u64> {
    let mut rescued = 0;
    loop {
        let Some(mut tx) = host.begin().await? else { return Ok(rescued) };
        let rows = sqlx::query!(
            r#"
            with lost as (
                select j.id from queue.jobs j
                where j.state = 'running' and not exists (
                    select from queue.workers w where w.id = j.worker_id and w.lease_until > queue.now())
                order by j.id limit 1000 for update of j skip locked
            )
            update queue.jobs j
            set state = (case
                    when j.cancel_requested_at is not null then 'cancelled'
                    when j.attempt >= j.max_attempts then 'discarded'
                    else 'available'
                end)::queue.job_state,
                finalized_at = case
                    when j.cancel_requested_at is not null or j.attempt >= j.max_attempts then queue.now()
                end,
                errors = j.errors || jsonb_build_object(
                    'attempt', j.attempt, 'at', queue.now(), 'code', 'worker_lost',
                    'message', 'the worker that ran it gave no sign of life until its lease ran out',
                    'retry_at', case
                        when j.cancel_requested_at is null and j.attempt < j.max_attempts then queue.now()
                    end)
            from lost where j.id = lost.id
            returning j.id, j.queue, j.state = 'available' as "available!"
            "#
        )
        .fetch_all(&mut *tx)
        .await?;
        let count = rows.len() as u64;
        let ended = rows.iter().filter(|row| !row.available).map(|row| row.id);
        workflow::settle(&mut tx, ended.collect()).await?;
        notify_queues(&mut tx, rows.into_iter().filter(|row| row.available).map(|row| row.queue)).await?;
        tx.commit().await?;
        rescued += count;
        if count > 0 {
            tracing::warn!(jobs = count, "rescued jobs of workers that are gone");
        }
        if count < 1000 {
            return Ok(rescued);
        }
    }
}
