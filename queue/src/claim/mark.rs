//! Mark: what was claimed is written into the jobs' rows.
//!
//! A claim writes no job. It notes which ones it took, in `queue.claims`, so that most jobs are written once, when they end.
//! Until then such a job is `available` in its row, with the run before. One that runs for longer than 0.1 s is marked as
//! running by its worker; who wants to change a job that may be claimed has it marked first.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::log;

/// A job that runs for longer shows it in its row.
pub(crate) const AFTER: Duration = Duration::from_millis(100);

/// What a job's row says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Number of the job, in order of enqueueing.
    pub seq: i64,
    /// Its run token.
    pub run: i64,
    /// Number of the attempt, from 1.
    pub attempt: u16,
    /// The worker that claimed it.
    pub worker: Uuid,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
}

/// Attempts as columns.
#[derive(Debug, Default)]
pub struct Starts {
    pub(crate) seqs: Vec<i64>,
    pub(crate) runs: Vec<i64>,
    pub(crate) attempts: Vec<i16>,
    pub(crate) workers: Vec<Uuid>,
    pub(crate) times: Vec<DateTime<Utc>>,
}

impl Starts {
    /// Each worker once.
    pub(crate) fn distinct_workers(&self) -> Vec<Uuid> {
        let mut workers = self.workers.clone();
        workers.sort_unstable();
        workers.dedup();
        workers
    }
}

impl FromIterator<Start> for Starts {
    fn from_iter<T: IntoIterator<Item = Start>>(starts: T) -> Self {
        let mut columns = Self::default();
        for start in starts {
            columns.seqs.push(start.seq);
            columns.runs.push(start.run);
            columns.attempts.push(i16::try_from(start.attempt).unwrap_or(i16::MAX));
            columns.workers.push(start.worker);
            columns.times.push(start.at);
        }
        columns
    }
}

/// Marks attempts that are not marked yet; those that have ended stay as they are. Returns the numbers of jobs that somebody else
/// holds just now.
pub async fn mark(conn: &mut PgConnection, starts: Starts) -> Result<Vec<i64>> {
    let held = sqlx::query_scalar!(
        r#"
        with start as materialized (
            select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::uuid[], $5::timestamptz[])
                as s (seq, run, attempt, worker_id, at)
        ), unmarked as materialized (
            select s.* from start s
            -- The offset keeps it a search by key for each.
            cross join lateral (select state, run from queue.jobs where seq = s.seq offset 0) j
            where j.state = 'available' and j.run = s.run - 1
        ), locked as materialized (
            select j.seq from queue.jobs j where j.seq = any(array(select seq from unmarked)) order by j.seq for update skip locked
        ), marked as (
            update queue.jobs j
            set state = 'running', run = s.run, attempt = s.attempt, worker_id = s.worker_id, attempted_at = s.at, progress = null
            from unmarked s
            where j.seq = s.seq and j.seq = any(array(select seq from locked)) and j.state = 'available' and j.run = s.run - 1
        )
        select seq as "seq!" from unmarked where seq not in (select seq from locked)
        "#,
        &starts.seqs,
        &starts.runs,
        &starts.attempts,
        &starts.workers,
        &starts.times
    )
    .fetch_all(conn)
    .await?;
    Ok(held)
}

/// The same for attempts that run, which their worker must have begun in this history of the database.
pub(crate) async fn mark_own(conn: &mut PgConnection, starts: Starts) -> Result<Vec<i64>> {
    sqlx::query!("select queue.require_workers($1)", &starts.distinct_workers())
        .fetch_one(&mut *conn)
        .await?;
    mark(conn, starts).await
}

/// Marks all that `worker` has claimed.
pub(crate) async fn mark_all_of(conn: &mut PgConnection, worker: Uuid) -> Result<()> {
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

/// Marks those of `jobs`, which the caller has locked, that are claimed. What is available after it can be claimed by nobody until the
/// caller's transaction ends: claims of its queue wait for that.
pub(crate) async fn mark_claimed(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<()> {
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
        log::take_turn(conn, queue).await?;
    }
    // A statement of its own: it sees the claims of all turns before.
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
