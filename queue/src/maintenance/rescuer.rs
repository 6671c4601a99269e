//! Rescues the jobs of dead workers: those that run under a lease that has ended or does not exist.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::claim::guard::ClaimKey;
use crate::claim::persist_running::{RunStart, persist_running};
use crate::enqueue::notify::notify_queues;
use crate::error::Result;
use crate::maintenance::leader::TransactionSource;
use crate::telemetry::failures::{self, FailureSighting};
use crate::workflow;

/// The error message of an attempt that was rescued.
const WORKER_LOST: &str = "the worker that ran it sent no heartbeat until its lease expired";

/// Most claims that one transaction examines.
const MAX_CLAIMS: i64 = 10;

/// Rescues all jobs of dead workers, in batches; returns how many.
///
/// The lost attempt counts, so that a job that kills its workers is discarded in the end.
pub async fn run_once(source: &impl TransactionSource) -> Result<u64> {
    let mut rescued = 0;
    let mut after = None;
    loop {
        let Some(mut tx) = source.begin().await? else { return Ok(rescued) };
        let claims = orphaned(&mut tx, after.as_ref()).await?;
        let Some(last) = claims.last().cloned() else { return Ok(rescued) };
        rescued += rescue(&mut tx, &claims).await?;
        tx.commit().await?;
        after = Some(last);
    }
}

/// The next claims of workers whose lease has ended or does not exist.
async fn orphaned(conn: &mut PgConnection, after: Option<&ClaimKey>) -> Result<Vec<ClaimKey>> {
    let claims = sqlx::query_as!(
        ClaimKey,
        "select c.worker_id as worker, c.queue, c.claim_seq from queue.claims c
         where not exists (select from queue.workers w where w.id = c.worker_id and w.lease_until > queue.now())
           and ($1::uuid is null or (c.worker_id, c.queue, c.claim_seq) > ($1, $2, $3))
         order by c.worker_id, c.queue, c.claim_seq limit $4 for update of c skip locked",
        after.map(|claim| claim.worker),
        after.map(|claim| claim.queue.as_str()),
        after.map(|claim| claim.claim_seq),
        MAX_CLAIMS
    )
    .fetch_all(conn)
    .await?;
    Ok(claims)
}

/// Rescues the jobs of these claims that still run. A job whose row is locked stays for the next
/// run, and so does its claim.
async fn rescue(conn: &mut PgConnection, claims: &[ClaimKey]) -> Result<u64> {
    let workers: Vec<Uuid> = claims.iter().map(|claim| claim.worker).collect();
    let queues: Vec<String> = claims.iter().map(|claim| claim.queue.clone()).collect();
    let nos: Vec<i64> = claims.iter().map(|claim| claim.claim_seq).collect();
    persist_claims_running(conn, &workers, &queues, &nos).await?;
    let rows = sqlx::query!(
        r#"
        with orphan as materialized (
            select t.worker_id, t.seq
            from unnest($1::uuid[], $2::text[], $3::bigint[]) as gone (worker_id, queue, claim_seq)
            join queue.in_flight t using (worker_id, queue, claim_seq)
        ), lost as (
            select j.id from queue.jobs j join orphan on orphan.seq = j.seq
            where j.state = 'running' and j.worker_id = orphan.worker_id
            order by j.id for update of j skip locked
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
                'attempt', j.attempt, 'at', queue.now(), 'started_at', j.attempted_at, 'worker_id', j.worker_id, 'code', 'worker_lost',
                'message', $4::text,
                'retry_at', case
                    when j.cancel_requested_at is null and j.attempt < j.max_attempts then queue.now()
                end),
            failure_id = queue.failure_id(j.kind, 'worker_lost', $4)
        from lost where j.id = lost.id
        returning j.id, j.queue, j.kind, j.state = 'available' as "available!"
        "#,
        &workers,
        &queues,
        &nos,
        WORKER_LOST
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from queue.claims c using unnest($1::uuid[], $2::text[], $3::bigint[]) as gone (worker_id, queue, claim_seq)
         where c.worker_id = gone.worker_id and c.queue = gone.queue and c.claim_seq = gone.claim_seq and not exists (
             select from unnest(c.jobs, c.runs) as t (seq, run) join queue.jobs j using (seq)
             where j.worker_id = c.worker_id and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')",
        &workers,
        &queues,
        &nos
    )
    .execute(&mut *conn)
    .await?;
    let count = rows.len() as u64;
    failures::record(conn, &lost_by_kind(rows.iter().map(|row| row.kind.as_str()))).await?;
    let ended = rows.iter().filter(|row| !row.available).map(|row| row.id);
    workflow::propagate_ends(conn, ended.collect()).await?;
    notify_queues(conn, rows.into_iter().filter(|row| row.available).map(|row| row.queue)).await?;
    if count > 0 {
        tracing::warn!(jobs = count, "rescued jobs of dead workers");
    }
    Ok(count)
}

fn lost_by_kind<'a>(kinds: impl Iterator<Item = &'a str>) -> Vec<FailureSighting> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    let seen = |(kind, count): (&str, i64)| FailureSighting {
        kind: kind.to_owned(),
        code: "worker_lost".to_owned(),
        pattern: WORKER_LOST.to_owned(),
        count,
    };
    counts.into_iter().map(seen).collect()
}

/// Writes `running` into the rows of jobs that had not run for long enough to have it there, so
/// that they are rescued as the others are.
async fn persist_claims_running(
    conn: &mut PgConnection,
    workers: &[Uuid],
    queues: &[String],
    nos: &[i64],
) -> Result<()> {
    let starts = sqlx::query!(
        r#"
        select t.seq as "seq!", t.run as "run!", j.attempt, t.worker_id as "worker!", t.at as "at!"
        from unnest($1::uuid[], $2::text[], $3::bigint[]) as gone (worker_id, queue, claim_seq)
        join queue.in_flight t using (worker_id, queue, claim_seq)
        cross join lateral (select * from queue.jobs where seq = t.seq offset 0) j
        where j.state = 'available' and j.run = t.run - 1
        "#,
        workers,
        queues,
        nos
    )
    .fetch_all(&mut *conn)
    .await?;
    let starts = starts.into_iter().map(|row| RunStart {
        seq: row.seq,
        run: row.run,
        attempt: row.attempt.unsigned_abs() + 1,
        worker: row.worker,
        at: row.at,
    });
    persist_running(conn, starts.collect()).await?;
    Ok(())
}
