//! Claim: a worker takes a batch of jobs that may start.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::RunId;

/// A job that this worker runs now.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Which attempt it is, and of what.
    pub run: RunId,
    /// Which handler runs it.
    pub kind: String,
    /// Arguments.
    pub args: Value,
    /// Attempts after which a failure discards it.
    pub max_attempts: u16,
}

/// Takes up to `limit` available jobs of `queue` for `worker`: higher priority first, then in order of enqueueing.
///
/// A worker whose lease ran out gets nothing. Concurrent claims never take the same job, nor wait for each other.
pub async fn claim(
    conn: &mut PgConnection,
    worker: Uuid,
    queue: &str,
    limit: usize,
) -> Result<Vec<ClaimedJob>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = sqlx::query!(
        r#"
        with picked as materialized (
            select id from queue.jobs
            where queue = $2 and state = 'available'
              and exists (select from queue.workers where id = $1 and lease_until > queue.now())
            order by priority desc, seq
            limit $3
            for update skip locked
        )
        update queue.jobs j
        set state = 'running', run = j.run + 1, attempt = j.attempt + 1, worker_id = $1, attempted_at = queue.now(),
            progress = null
        from picked where j.id = picked.id
        returning j.id, j.seq, j.priority, j.run, j.tenant_id, j.attempt, j.traceparent, j.kind, j.args, j.max_attempts
        "#,
        worker,
        queue,
        limit
    )
    .fetch_all(conn)
    .await?;
    // An UPDATE returns in any order; workers start what they claim in the lane's order.
    let mut ordered: Vec<_> = rows.into_iter().collect();
    ordered.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.seq));
    Ok(ordered
        .into_iter()
        .map(|row| ClaimedJob {
            run: RunId {
                job: row.id,
                run: row.run,
                tenant: row.tenant_id,
                attempt: row.attempt.unsigned_abs(),
                traceparent: row.traceparent,
            },
            kind: row.kind,
            args: row.args,
            max_attempts: row.max_attempts.unsigned_abs(),
        })
        .collect())
}
