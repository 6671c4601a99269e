//! The lease of a worker process: one row, renewed by heartbeats; a job belongs to its worker while that lives.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::time::timeout;
use uuid::Uuid;

use crate::claim::holdings::{ClaimKey, forget};
use crate::claim::mark::{self, Starts};
use crate::database::held::beside;
use crate::database::patience::within;
use crate::error::Result;
use crate::worker::concurrency::Concurrency;
use crate::worker::listener::notify_queues;

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) host: String,
    pub(crate) version: String,
    pub(crate) queues: Vec<String>,
    pub(crate) concurrency: Concurrency,
    pub(crate) lease: Duration,
}

/// What became of a lease.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// It goes on.
    Renewed(Renewed),
    /// It ran out.
    Over,
    /// The database lives on without what this worker has seen there.
    HistoryLost,
}

/// What a renewed lease has to tell.
#[derive(Debug)]
pub(crate) struct Renewed {
    /// Jobs of the worker that were cancelled.
    pub(crate) cancels: Vec<Uuid>,
    /// Whether it is to claim nothing more.
    pub(crate) drains: bool,
}

/// A connection of the lease's own: handlers that hold all of the pool must not cost a worker its lease, and neither
/// must a connection that died without a word.
pub(crate) struct Line {
    pool: PgPool,
    conn: Option<PoolConnection<Postgres>>,
    /// How long an answer may take.
    limit: Duration,
}

impl Line {
    /// To the database of `pool`; connects when it is first used.
    pub(crate) fn new(pool: &PgPool, limit: Duration) -> Self {
        Self { pool: beside(pool), conn: None, limit }
    }

    /// Renews a lease that still runs.
    ///
    /// Rows of claims that are worked off go with it.
    pub(crate) async fn renew(
        &mut self,
        worker: Uuid,
        lease: Duration,
        worked_off: &[ClaimKey],
    ) -> Result<Renewal> {
        self.call(async |conn| {
            forget(conn, worked_off).await?;
            renew(conn, worker, lease).await
        })
        .await
    }

    /// Marks attempts of this worker; returns the numbers of those that somebody else holds just now.
    pub(crate) async fn mark(&mut self, starts: Starts) -> Result<Vec<i64>> {
        self.call(async |conn| mark::mark_own(conn, starts).await).await
    }

    /// Begins a lease under a new id.
    pub(crate) async fn register(&mut self, worker: &Registration) -> Result<Uuid> {
        self.call(async |conn| register(conn, worker).await).await
    }

    /// What fails or takes too long closes the connection; the next call makes a new one.
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
            (id, host, pid, version, queues, capacity, queue_slots, started_at, heartbeat_at, lease_until)
         values ($1, $2, $3, $4, $5, $6, $7, queue.now(), queue.now(), queue.now() + make_interval(secs => $8))",
        id,
        worker.host,
        i32::try_from(std::process::id()).unwrap_or(0),
        worker.version,
        &worker.queues,
        i32::try_from(worker.concurrency.each()).unwrap_or(i32::MAX),
        json!(worker.concurrency.exceptions()),
        worker.lease.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(id)
}

async fn renew(conn: &mut PgConnection, worker: Uuid, lease: Duration) -> Result<Renewal> {
    let drains = sqlx::query_scalar!(
        r#"update queue.workers
         set heartbeat_at = queue.now(), lease_until = queue.now() + make_interval(secs => $2)
         where id = $1 and lease_until > queue.now() and history = queue.history_id() returning drain_requested_at is not null as "drains!""#,
        worker,
        lease.as_secs_f64()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(drains) = drains else {
        let is_known = sqlx::query_scalar!(
            r#"select exists (select from queue.workers where id = $1 and history = queue.history_id()) as "known!""#,
            worker
        )
        .fetch_one(conn)
        .await?;
        return Ok(if is_known { Renewal::Over } else { Renewal::HistoryLost });
    };
    let cancels = sqlx::query_scalar!(
        "select j.id from queue.claims c cross join unnest(c.jobs) as taken (seq) join queue.jobs j using (seq)
         where c.worker_id = $1 and j.worker_id = $1 and j.state = 'running' and j.cancel_requested_at is not null",
        worker
    )
    .fetch_all(conn)
    .await?;
    Ok(Renewal::Renewed(Renewed { cancels, drains }))
}

/// Which of `workers` registered in this history of the database.
pub(crate) async fn known(conn: &mut PgConnection, workers: &[Uuid]) -> Result<HashSet<Uuid>> {
    let known = sqlx::query_scalar!(
        "select id from queue.workers where id = any($1) and history = queue.history_id()",
        workers
    )
    .fetch_all(conn)
    .await?;
    Ok(known.into_iter().collect())
}

/// Ends a lease in good order; should anything still be running under it, it goes back at once. What was told to stop
/// is left to the rescuer, which cancels it.
pub(crate) async fn give_up(pool: &PgPool, worker: Uuid) -> Result<()> {
    let mut tx = pool.begin().await?;
    mark::mark_all_of(&mut tx, worker).await?;
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
    // A job that was told to stop is found through its claim.
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
