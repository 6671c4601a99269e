//! Persist running: writes into the rows of claimed jobs that they run.
//!
//! A claim writes no job row. It writes into one row of `queue.claims` which jobs it took, so that
//! most jobs are written once, when they end. Until then the row of a claimed job says `available`,
//! with the number of the run before. A worker persists `running` for each job that runs for longer
//! than 0.1 s. Whoever wants to change a job that may be claimed persists that first.

use std::time::Duration;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::log;

/// A worker persists that a job runs once it has run for this long.
pub(crate) const PERSIST_AFTER: Duration = Duration::from_millis(100);

/// The start of a run, as the job's row tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunStart {
    /// The job's number, in order of enqueueing.
    pub seq: i64,
    /// The run token.
    pub run: i64,
    /// The number of the attempt, from 1.
    pub attempt: u16,
    /// The worker that claimed the job.
    pub worker: Uuid,
    /// When it claimed the job, by the database's clock.
    pub at: DateTime<Utc>,
}

/// Starts of runs, as the columns that a query takes.
#[derive(Debug, Default)]
pub struct RunStarts {
    pub(crate) seqs: Vec<i64>,
    pub(crate) runs: Vec<i64>,
    pub(crate) attempts: Vec<i16>,
    pub(crate) workers: Vec<Uuid>,
    pub(crate) times: Vec<DateTime<Utc>>,
}

impl RunStarts {
    /// The workers that claimed them, each once.
    pub(crate) fn distinct_workers(&self) -> Vec<Uuid> {
        let mut workers = self.workers.clone();
        workers.sort_unstable();
        workers.dedup();
        workers
    }
}

impl FromIterator<RunStart> for RunStarts {
    fn from_iter<T: IntoIterator<Item = RunStart>>(starts: T) -> Self {
        let mut columns = Self::default();
        for start in starts {
            columns.seqs.push(start.seq);
            columns.runs.push(start.run);
            columns.attempts.push(start.attempt.saturating_as::<i16>());
            columns.workers.push(start.worker);
            columns.times.push(start.at);
        }
        columns
    }
}

/// Persists that these runs have started, unless their rows say so or the runs have ended. Returns
/// the `seq`s of jobs that another transaction has locked, whose rows stay as they are.
pub async fn persist_running(conn: &mut PgConnection, starts: RunStarts) -> Result<Vec<i64>> {
    let locked = sqlx::query_scalar!(
        r#"
        with start as materialized (
            select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::uuid[], $5::timestamptz[])
                as s (seq, run, attempt, worker_id, at)
        ), unwritten as materialized (
            select s.* from start s
            -- The offset keeps this a search by key for each of them.
            cross join lateral (select state, run from queue.jobs where seq = s.seq offset 0) j
            where j.state = 'available' and j.run = s.run - 1
        ), locked as materialized (
            select j.seq from queue.jobs j where j.seq = any(array(select seq from unwritten)) order by j.seq for update skip locked
        ), written as (
            update queue.jobs j
            set state = 'running', run = s.run, attempt = s.attempt, worker_id = s.worker_id, attempted_at = s.at, progress = null
            from unwritten s
            where j.seq = s.seq and j.seq = any(array(select seq from locked)) and j.state = 'available' and j.run = s.run - 1
        )
        select seq as "seq!" from unwritten where seq not in (select seq from locked)
        "#,
        &starts.seqs,
        &starts.runs,
        &starts.attempts,
        &starts.workers,
        &starts.times
    )
    .fetch_all(conn)
    .await?;
    Ok(locked)
}

/// The same for runs of this process, whose worker must belong to this history of the database.
pub(crate) async fn persist_own(conn: &mut PgConnection, starts: RunStarts) -> Result<Vec<i64>> {
    sqlx::query!("select queue.require_workers($1)", &starts.distinct_workers())
        .fetch_one(&mut *conn)
        .await?;
    persist_running(conn, starts).await
}

/// Persists that all jobs run that `worker` has claimed.
pub(crate) async fn persist_all_of(conn: &mut PgConnection, worker: Uuid) -> Result<()> {
    sqlx::query!(
        "update queue.jobs j
         set state = 'running', run = t.run, attempt = j.attempt + 1, worker_id = t.worker_id, attempted_at = t.at, progress = null
         from queue.in_flight t
         where t.worker_id = $1 and j.seq = t.seq and j.state = 'available' and j.run = t.run - 1",
        worker
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Persists that those of `jobs` run that are claimed; the caller has locked them. Nobody can claim
/// one that is available afterwards until the caller's transaction ends, as claims of its queue
/// wait for that.
pub(crate) async fn persist_claimed(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<()> {
    let queues = sqlx::query_scalar!(
        "select distinct queue from queue.jobs where id = any($1) and state = 'available' order by queue",
        jobs
    )
    .fetch_all(&mut *conn)
    .await?;
    if queues.is_empty() {
        return Ok(());
    }
    for queue in &queues {
        log::take_claim_seq(conn, queue).await?;
    }
    // This is a statement of its own, so that all claims with a lower claim sequence number are
    // visible to it.
    sqlx::query!(
        "update queue.jobs j
         set state = 'running', run = t.run, attempt = j.attempt + 1, worker_id = t.worker_id, attempted_at = t.at, progress = null
         from queue.in_flight t
         where t.queue = any($2) and j.id = any($1) and j.seq = t.seq and j.state = 'available' and j.run = t.run - 1",
        jobs,
        &queues
    )
    .execute(conn)
    .await?;
    Ok(())
}
