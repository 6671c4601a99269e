//! Bulk actions: retry, cancel or delete all jobs that match a filter, in short steps in order of
//! `seq`.
//!
//! A step is one call on the caller's transaction. What it changed and the cursor where it ended
//! commit together (see [`JobContext::checkpoint_in`](crate::JobContext::checkpoint_in)), so that a
//! crash neither loses nor repeats anything. The cursor only grows: a job that is discarded again
//! after its retry is behind it, and a job that cannot be retried does not block the others.

mod retry;
mod scan;

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::control;
use crate::error::Result;
use crate::job::state::JobState;
use crate::read::JobFilter;

/// Most jobs that one step changes.
const MAX_JOBS: i64 = 1000;
/// Most rows that one step reads, where few of them match.
const MAX_ROWS: i64 = 16_000;

/// What a bulk action does to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Retries discarded and cancelled jobs, as [`control::retry`] does.
    Retry,
    /// Cancels jobs that are not final, as [`control::cancel`] does.
    Cancel,
    /// Deletes final jobs, except those that a job which is not final depends on.
    Delete,
}

impl BulkAction {
    /// The name in requests and arguments.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
        }
    }

    /// Whether it can be done to a job in `state`.
    pub const fn applies_to(self, state: JobState) -> bool {
        match self {
            Self::Retry => matches!(state, JobState::Discarded | JobState::Cancelled),
            Self::Cancel => !state.is_final(),
            Self::Delete => state.is_final(),
        }
    }

    /// The states of the filter to which it applies; empty when it can change no job.
    pub fn states(self, filter: &JobFilter) -> Vec<JobState> {
        let filtered = filter.states.as_deref().unwrap_or(&JobState::ALL);
        JobState::ALL
            .into_iter()
            .filter(|state| filtered.contains(state) && self.applies_to(*state))
            .collect()
    }
}

impl fmt::Display for BulkAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a bulk action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The `seq` up to which all jobs are done.
    pub after: i64,
    /// How many rows the next step reads. It grows while few of them match.
    window: i64,
}

impl Default for Cursor {
    /// The beginning: no job is done yet.
    fn default() -> Self {
        Self { after: 0, window: MAX_JOBS }
    }
}

/// What one step has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepResult {
    /// Jobs that it retried, cancelled or asked to stop, or deleted.
    pub touched: u64,
    /// Jobs that match but cannot be retried or deleted now.
    pub skipped: u64,
    /// Where the next step begins; `None` when the action is done.
    pub next: Option<Cursor>,
}

/// How many jobs an action would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkCount {
    /// Jobs that match and are in a state that the action applies to.
    pub count: u64,
    /// Whether all were counted; `false` when the time ran out, so that there may be more.
    pub exact: bool,
}

/// The `seq` below which all jobs were enqueued before `job`. Without that job, the one below which
/// all jobs are that exist now.
pub async fn upper_bound(conn: &mut PgConnection, job: Uuid) -> Result<i64> {
    let bound = sqlx::query_scalar!(
        r#"select coalesce((select seq from queue.jobs where id = $1), (select max(seq) + 1 from queue.jobs), 0) as "bound!""#,
        job
    )
    .fetch_one(conn)
    .await?;
    Ok(bound)
}

/// Takes the next step of the bulk action that the job `by` carries out, on the caller's
/// transaction: changes at most 1,000 jobs, of those with a `seq` below `bound`.
///
/// # Errors
/// [`QueueError::Database`](crate::QueueError::Database). After a deadlock, which a cancel can run
/// into, the caller rolls back and tries again from the same cursor.
pub async fn step(
    conn: &mut PgConnection,
    action: BulkAction,
    filter: &JobFilter,
    (by, bound): (Uuid, i64),
    cursor: Cursor,
) -> Result<StepResult> {
    let scanned = scan::scan(conn, action, filter, bound, cursor, MAX_JOBS).await?;
    let states: Vec<String> = action.states(filter).iter().map(ToString::to_string).collect();
    let mut next = scanned.next(cursor, MAX_JOBS);
    let (touched, skipped) = match action {
        BulkAction::Retry => {
            let plan = retry::plan(conn, &scanned).await?;
            if let Some(after) = plan.cut_at {
                next = Some(Cursor { after, window: MAX_JOBS });
            }
            retry::retry(conn, plan, &states).await?
        }
        BulkAction::Cancel => {
            let jobs = lock(conn, &scanned.ids, &states).await?;
            (control::cancel_all(conn, &jobs, by).await?.len() as u64, 0)
        }
        BulkAction::Delete => {
            let jobs = lock(conn, &scanned.ids, &states).await?;
            let deleted = delete(conn, &jobs).await?;
            (deleted, jobs.len() as u64 - deleted)
        }
    };
    Ok(StepResult { touched, skipped, next })
}

/// Counts the jobs that an action would change, for about as long as `budget`.
pub async fn count(
    conn: &mut PgConnection,
    action: BulkAction,
    filter: &JobFilter,
    bound: i64,
    budget: Duration,
) -> Result<BulkCount> {
    let started = Instant::now();
    let mut count = 0;
    let mut cursor = Cursor { after: 0, window: MAX_ROWS };
    loop {
        let scanned = scan::scan(conn, action, filter, bound, cursor, 0).await?;
        count += scanned.matched.unsigned_abs();
        let Some(after) = scanned.last.filter(|_| scanned.seen == cursor.window) else {
            return Ok(BulkCount { count, exact: true });
        };
        if started.elapsed() >= budget {
            return Ok(BulkCount { count, exact: false });
        }
        cursor.after = after;
    }
}

/// Locks the jobs that are still in one of `states`, in the order in which completers lock.
async fn lock(conn: &mut PgConnection, jobs: &[Uuid], states: &[String]) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select id from queue.jobs where id = any($1) and state = any($2::text[]::queue.job_state[])
         order by id for update",
        jobs,
        states
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Deletes jobs that are locked. The statement begins after they were locked: it sees every child
/// that existed before, and no child can be added while they are locked.
async fn delete(conn: &mut PgConnection, jobs: &[Uuid]) -> Result<u64> {
    let deleted = sqlx::query!(
        "delete from queue.jobs where id = any($1) and id not in (
            select d.parent_id from queue.job_dependencies d join queue.jobs c on c.id = d.child_id
            where d.parent_id = any($1) and c.state in ('waiting', 'scheduled', 'available', 'running', 'retryable'))",
        jobs
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(deleted)
}
