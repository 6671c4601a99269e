//! A job that a worker has claimed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::RunId;

/// A job that this worker runs now.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The run that the claim began: of which job, and which attempt.
    pub run: RunId,
    /// The kind, which names the handler.
    pub kind: String,
    /// Its arguments.
    pub args: Value,
    /// Attempts after which a failure discards it.
    pub max_attempts: u16,
    /// The backfill that it belongs to.
    pub backfill: Option<Uuid>,
    /// Since when it could have started, by the database's clock.
    pub due: DateTime<Utc>,
}

/// The jobs of a claim of `worker` whose answer was lost. Nobody else can have them, and none of
/// them has started.
pub(super) async fn find_claimed(
    conn: &mut PgConnection,
    queue: &str,
    worker: Uuid,
    claim_seq: i64,
) -> Result<Vec<ClaimedJob>> {
    let rows = sqlx::query!(
        r#"select j.id, j.seq, t.run as "run!", t.at as "at!", tenant_id, backfill_id, traceparent, kind, args, max_attempts,
               attempt, scheduled_at, j.run = t.run as "is_persisted!"
           from queue.in_flight t join queue.jobs j using (seq)
           where t.worker_id = $1 and t.queue = $2 and t.claim_seq = $3
             and (j.run = t.run and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')
           order by j.priority desc, j.seq"#,
        worker,
        queue,
        claim_seq
    )
    .fetch_all(conn)
    .await?;
    if !rows.is_empty() {
        tracing::info!(jobs = rows.len(), queue, "recovered a claim whose answer was lost");
    }
    let jobs = rows.into_iter().map(|row| ClaimedJob {
        run: RunId {
            job: row.id,
            seq: row.seq,
            run: row.run,
            tenant: row.tenant_id,
            attempt: row.attempt.unsigned_abs() + u16::from(!row.is_persisted),
            worker,
            at: row.at,
            traceparent: row.traceparent,
        },
        kind: row.kind,
        args: row.args,
        max_attempts: row.max_attempts.unsigned_abs(),
        backfill: row.backfill_id,
        due: row.scheduled_at,
    });
    Ok(jobs.collect())
}
