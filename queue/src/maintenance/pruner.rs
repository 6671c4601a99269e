//! Deletes rows past their retention: finished jobs, workflows without jobs, ticks of schedules,
//! failures, metrics, and workers whose lease ended long ago.

use uuid::Uuid;

use crate::error::Result;
use crate::maintenance::leader::TransactionSource;
use crate::maintenance::retention::Retention;

/// Most rows that one transaction examines, so that none takes long.
const MAX_ROWS: i64 = 1000;

/// Deletes everything that is past its retention; returns how many rows.
pub async fn run_once(source: &impl TransactionSource, retention: Retention) -> Result<u64> {
    Ok(prune_workers(source).await?
        + prune_rollups(source).await?
        + prune_ticks(source, retention).await?
        + prune_jobs(source, retention).await?
        + prune_workflows(source, retention).await?
        + prune_failures(source, retention).await?)
}

async fn prune_workers(source: &impl TransactionSource) -> Result<u64> {
    let Some(mut tx) = source.begin().await? else { return Ok(0) };
    // A worker without a lease waits for no jobs.
    sqlx::query!(
        "delete from queue.waiters s using queue.workers w where w.id = s.worker_id and w.lease_until < queue.now()"
    )
    .execute(&mut *tx)
    .await?;
    let deleted =
        sqlx::query!("delete from queue.workers where lease_until < queue.now() - interval '1 hour'")
            .execute(&mut *tx)
            .await?
            .rows_affected();
    tx.commit().await?;
    Ok(deleted)
}

/// Deletes metrics that no chart shows any more.
async fn prune_rollups(source: &impl TransactionSource) -> Result<u64> {
    let Some(mut tx) = source.begin().await? else { return Ok(0) };
    let deleted = sqlx::query!(
        "delete from queue.rollups p using (values (60, interval '2 hours'), (900, interval '2 days'), (3600, interval '60 days')) as kept (bucket_s, for_how_long)
         where p.bucket_s = kept.bucket_s and p.at < queue.now() - kept.for_how_long"
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(deleted)
}

/// Deletes failures that were last seen longer ago than discarded jobs are kept, and the hours of
/// all failures that no page shows any more.
async fn prune_failures(source: &impl TransactionSource, retention: Retention) -> Result<u64> {
    let Some(mut tx) = source.begin().await? else { return Ok(0) };
    let hours = sqlx::query!(
        "delete from queue.failure_hours h using (
             select failure_id, at from queue.failure_hours where at < queue.now() - interval '30 days' limit $1
         ) old where h.failure_id = old.failure_id and h.at = old.at",
        MAX_ROWS
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    // A failure that a job still names is kept.
    let failures = sqlx::query!(
        "delete from queue.failures f using (
             select id from queue.failures
             where last_seen < queue.now() - make_interval(secs => $1)
             order by last_seen limit $2
         ) old
         where f.id = old.id and not exists (
             select from queue.jobs j where j.failure_id = f.id and j.cold_state in ('retryable', 'discarded'))",
        retention.discarded.as_secs_f64(),
        MAX_ROWS
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(hours + failures)
}

/// Deletes old ticks. The newest one of each schedule and tenant is kept: it says which ticks are
/// decided.
async fn prune_ticks(source: &impl TransactionSource, retention: Retention) -> Result<u64> {
    let mut pruned = 0;
    loop {
        let Some(mut tx) = source.begin().await? else { return Ok(pruned) };
        let deleted = sqlx::query!(
            "delete from queue.schedule_ticks t using (
                select old.tenant_id, old.schedule, old.tick
                from queue.schedules s
                cross join lateral (
                    select tenant_id, schedule, tick from queue.schedule_ticks o
                    where schedule = s.name and tick < queue.now() - make_interval(secs => $1)
                      and exists (
                          select from queue.schedule_ticks newer
                          where newer.tenant_id = o.tenant_id and newer.schedule = o.schedule and newer.tick > o.tick)
                    order by tick limit $2
                ) old
             ) old
             where (t.tenant_id, t.schedule, t.tick) = (old.tenant_id, old.schedule, old.tick)",
            retention.finished.as_secs_f64(),
            MAX_ROWS
        )
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        pruned += deleted;
        if deleted < MAX_ROWS.unsigned_abs() {
            return Ok(pruned);
        }
    }
}

/// Deletes workflows of which no job is left.
async fn prune_workflows(source: &impl TransactionSource, retention: Retention) -> Result<u64> {
    let (mut pruned, mut after) = (0, Uuid::nil());
    loop {
        let Some(mut tx) = source.begin().await? else { return Ok(pruned) };
        let batch = sqlx::query!(
            r#"with walked as (
                select id from queue.workflows
                -- An id begins with its time, in milliseconds: the walk ends where the younger ones
                -- begin.
                where id > $1 and created_at < queue.now() - make_interval(secs => $3)
                  and id < (lpad(to_hex((extract(epoch from queue.now() - make_interval(secs => $3)) * 1000)::bigint), 12, '0')
                    || '70008000000000000000')::uuid
                order by id limit $2
            ), deleted as (
                delete from queue.workflows w using walked
                where w.id = walked.id and not exists (select from queue.jobs j where j.workflow_id = w.id)
                returning w.id
            )
            select (select count(*) from deleted) as "deleted!", (select id from walked order by id desc limit 1) as last"#,
            after,
            MAX_ROWS,
            retention.finished.min(retention.discarded).as_secs_f64()
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        pruned += batch.deleted.unsigned_abs();
        match batch.last {
            Some(last) => after = last,
            None => return Ok(pruned),
        }
    }
}

/// Deletes old jobs, in a walk from the oldest one until they are too young, by the order of
/// enqueueing: an index on the time of their end, for this alone, would cost every finish.
async fn prune_jobs(source: &impl TransactionSource, retention: Retention) -> Result<u64> {
    let (mut pruned, mut after) = (0, i64::MIN);
    loop {
        let Some(mut tx) = source.begin().await? else { return Ok(pruned) };
        let batch = sqlx::query_file!(
            "src/maintenance/prune_jobs.sql",
            after,
            MAX_ROWS,
            retention.finished.as_secs_f64(),
            retention.discarded.as_secs_f64()
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        pruned += batch.deleted.unsigned_abs();
        match batch.last {
            Some(last) => after = last,
            None => return Ok(pruned),
        }
    }
}
