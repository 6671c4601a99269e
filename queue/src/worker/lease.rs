//! The lease of a worker process: one row that heartbeats renew. A job belongs to its worker for as
//! long as the lease runs.

use std::collections::HashSet;
use std::time::Duration;

use az::SaturatingAs;
use serde_json::json;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::time::timeout;
use uuid::Uuid;

use crate::claim::guard::{self, ClaimKey};
use crate::claim::persist_running::{self, RunStarts};
use crate::database::deadline::within;
use crate::database::sticky::dedicated;
use crate::enqueue::notify::notify_queues;
use crate::error::Result;
use crate::worker::concurrency::Concurrency;

/// How a worker describes itself in its row.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) host: String,
    pub(crate) version: String,
    pub(crate) queues: Vec<String>,
    pub(crate) concurrency: Concurrency,
    pub(crate) lease: Duration,
}

/// The answer to a heartbeat.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// The lease runs on.
    Renewed(Renewed),
    /// The lease has run out.
    Expired,
    /// The database was restored or promoted, and does not know what this worker has seen there.
    HistoryLost,
}

/// What a worker learns when its lease is renewed.
#[derive(Debug)]
pub(crate) struct Renewed {
    /// The jobs of the worker that were cancelled.
    pub(crate) cancelled: Vec<Uuid>,
    /// Whether the worker was asked to drain.
    pub(crate) drain_requested: bool,
}

/// A connection of the lease's own: a worker must not lose its lease because handlers hold all
/// connections of the pool, or because a connection died without being closed.
pub(crate) struct LeaseConnection {
    pool: PgPool,
    conn: Option<PoolConnection<Postgres>>,
    /// How long an answer may take.
    limit: Duration,
}

impl LeaseConnection {
    /// A connection to the database of `pool`, which is made when it is first used.
    pub(crate) fn new(pool: &PgPool, limit: Duration) -> Self {
        Self { pool: dedicated(pool), conn: None, limit }
    }

    /// Renews a lease that still runs, and deletes the rows of claims that are acknowledged.
    pub(crate) async fn renew(
        &mut self,
        worker: Uuid,
        lease: Duration,
        acknowledged: &[ClaimKey],
    ) -> Result<Renewal> {
        self.call(async |conn| {
            guard::delete(conn, acknowledged).await?;
            renew(conn, worker, lease).await
        })
        .await
    }

    /// Persists that attempts of this worker run. Returns the sequence numbers of the jobs whose
    /// rows somebody else has locked.
    pub(crate) async fn persist_running(&mut self, starts: RunStarts) -> Result<Vec<i64>> {
        self.call(async |conn| persist_running::persist_own(conn, starts).await).await
    }

    /// Begins a lease under a new id.
    pub(crate) async fn register(&mut self, worker: &Registration) -> Result<Uuid> {
        self.call(async |conn| register(conn, worker).await).await
    }

    /// A call that fails or takes too long closes the connection, and the next one makes a new one.
    async fn call<T>(&mut self, call: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => within(self.limit, self.pool.acquire()).await?,
        };
        let answer = within(self.limit, call(&mut conn)).await;
        if answer.is_ok() {
            self.conn = Some(conn);
        } else {
            drop(conn.detach());
        }
        answer
    }

    pub(crate) async fn close(self) {
        if let Some(conn) = self.conn {
            let _ = timeout(self.limit, conn.close()).await;
        }
    }
}

/// Begins a lease under a new id.
pub(crate) async fn register(conn: &mut PgConnection, worker: &Registration) -> Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into queue.workers
            (id, host, pid, version, queues, capacity, queue_capacity, started_at, heartbeat_at, lease_until)
         values ($1, $2, $3, $4, $5, $6, $7, queue.now(), queue.now(), queue.now() + make_interval(secs => $8))",
        id,
        worker.host,
        i32::try_from(std::process::id()).unwrap_or(0),
        worker.version,
        &worker.queues,
        worker.concurrency.each().saturating_as::<i32>(),
        json!(worker.concurrency.exceptions()),
        worker.lease.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(id)
}

async fn renew(conn: &mut PgConnection, worker: Uuid, lease: Duration) -> Result<Renewal> {
    let drain_requested = sqlx::query_scalar!(
        r#"update queue.workers
         set heartbeat_at = queue.now(), lease_until = queue.now() + make_interval(secs => $2)
         where id = $1 and lease_until > queue.now() and history = queue.history_id() returning drain_requested_at is not null as "drains!""#,
        worker,
        lease.as_secs_f64()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(drain_requested) = drain_requested else {
        let is_known = sqlx::query_scalar!(
            r#"select exists (select from queue.workers where id = $1 and history = queue.history_id()) as "known!""#,
            worker
        )
        .fetch_one(conn)
        .await?;
        return Ok(if is_known { Renewal::Expired } else { Renewal::HistoryLost });
    };
    let cancelled = sqlx::query_scalar!(
        "select j.id from queue.claims c cross join unnest(c.jobs) as taken (seq) join queue.jobs j using (seq)
         where c.worker_id = $1 and j.worker_id = $1 and j.state = 'running' and j.cancel_requested_at is not null",
        worker
    )
    .fetch_all(conn)
    .await?;
    Ok(Renewal::Renewed(Renewed { cancelled, drain_requested }))
}

/// Which of `workers` are registered in the current history of the database.
pub(crate) async fn known_in_history(conn: &mut PgConnection, workers: &[Uuid]) -> Result<HashSet<Uuid>> {
    let known = sqlx::query_scalar!(
        "select id from queue.workers where id = any($1) and history = queue.history_id()",
        workers
    )
    .fetch_all(conn)
    .await?;
    Ok(known.into_iter().collect())
}

/// Ends a lease, and hands back what still runs under it. Jobs that were cancelled are left to the
/// rescuer, which ends them as cancelled.
pub(crate) async fn release(pool: &PgPool, worker: Uuid) -> Result<()> {
    let mut tx = pool.begin().await?;
    persist_running::persist_all_of(&mut tx, worker).await?;
    let queues = sqlx::query_scalar!(
        "update queue.jobs j set state = 'available', attempt = attempt - 1
         from queue.claims c cross join unnest(c.jobs) as taken (seq)
         where c.worker_id = $1 and j.seq = taken.seq and j.worker_id = $1 and j.state = 'running'
           and j.cancel_requested_at is null
         returning j.queue",
        worker
    )
    .fetch_all(&mut *tx)
    .await?;
    // The rescuer finds the jobs that were cancelled through their claims, which stay.
    sqlx::query!(
        "delete from queue.claims c where worker_id = $1 and not exists (
             select from unnest(c.jobs) as taken (seq) join queue.jobs j using (seq)
             where j.worker_id = $1 and j.state = 'running')",
        worker
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from queue.workers where id = $1", worker).execute(&mut *tx).await?;
    notify_queues(&mut tx, queues).await?;
    tx.commit().await?;
    Ok(())
}
