//! Workers that hold a lease, and what they run.

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;

/// A worker that holds a lease.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of queue.workers, commented in the migration")]
pub struct WorkerRow {
    pub id: Uuid,
    pub host: String,
    pub pid: i32,
    pub version: String,
    pub queues: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub heartbeat_at: DateTime<Utc>,
    /// How many jobs it runs now.
    pub running: i64,
    /// Whether it was asked to claim no more jobs.
    pub draining: bool,
}

/// How many workers hold a lease.
pub async fn live_workers(conn: &mut PgConnection) -> Result<usize> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from queue.workers where lease_until > queue.now()"#
    )
    .fetch_one(conn)
    .await?;
    Ok(count.saturating_as::<usize>())
}

/// The workers that hold a lease, oldest first.
pub async fn workers(conn: &mut PgConnection) -> Result<Vec<WorkerRow>> {
    let rows = sqlx::query_as!(
        WorkerRow,
        r#"select w.id, w.host, w.pid, w.version, w.queues, w.started_at, w.heartbeat_at,
            (select count(*) from queue.in_flight t join queue.jobs j using (seq)
             where t.worker_id = w.id and (j.run = t.run and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')
            ) as "running!", w.drain_requested_at is not null as "draining!"
        from queue.workers w where w.lease_until > queue.now() order by w.started_at"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A job that a worker runs.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of queue.jobs and queue.claims, commented in the migrations")]
pub struct RunningRow {
    pub id: Uuid,
    pub kind: String,
    pub queue: String,
    pub tenant_id: Uuid,
    pub claimed_at: DateTime<Utc>,
}

/// Up to `limit` jobs that `worker` runs, those that have run longest first.
pub async fn running_on(conn: &mut PgConnection, worker: Uuid, limit: i64) -> Result<Vec<RunningRow>> {
    let rows = sqlx::query_as!(
        RunningRow,
        r#"select j.id, j.kind, j.queue, j.tenant_id, t.at as "claimed_at!"
        from queue.in_flight t cross join lateral (select * from queue.jobs where seq = t.seq offset 0) j
        where t.worker_id = $1 and (j.run = t.run and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')
        order by t.at, j.seq limit $2"#,
        worker,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
