//! Bulk actions: retry, cancel or delete what a filter takes, walking upwards by `seq` in short
//! steps.
//!
//! A step is one call on the caller's transaction. What it did and where it ended commit together
//! (see [`JobContext::checkpoint_in`](crate::JobContext::checkpoint_in)), so that a crash neither
//! loses nor repeats anything. The cursor only grows: a job that is discarded anew after its retry
//! is behind it, and one that cannot be retried does not hold the walk up.

mod retry;
mod walk;

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
const BATCH: i64 = 1000;
/// Most rows that one step reads, where few of them match.
const WIDEST: i64 = 16_000;

/// What is done to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Another life for discarded and cancelled jobs, as [`control::retry`] gives.
    Retry,
    /// The end of jobs that are not final, as [`control::cancel`] brings it.
    Cancel,
    /// Final jobs are forgotten, except those that a job which is not final depends on.
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

    /// Whether it can be done to a job in that state.
    pub const fn applies_to(self, state: JobState) -> bool {
        match self {
            Self::Retry => matches!(state, JobState::Discarded | JobState::Cancelled),
            Self::Cancel => !state.is_final(),
            Self::Delete => state.is_final(),
        }
    }

    /// The states of the filter to which it applies; empty when it can touch nothing.
    pub fn states(self, filter: &JobFilter) -> Vec<JobState> {
        let wanted = filter.states.as_deref().unwrap_or(&JobState::ALL);
        JobState::ALL.into_iter().filter(|state| wanted.contains(state) && self.applies_to(*state)).collect()
    }
}

impl fmt::Display for BulkAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a walk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The `seq` up to which all is done.
    pub after: i64,
    /// How many rows the next step reads: more while few match.
    window: i64,
}

impl Default for Cursor {
    /// The beginning.
    fn default() -> Self {
        Self { after: 0, window: BATCH }
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Jobs that it retried, cancelled or told to stop, or deleted.
    pub touched: u64,
    /// Jobs that match but cannot be retried or deleted now.
    pub skipped: u64,
    /// Where the next step goes on; `None` when the walk is over.
    pub next: Option<Cursor>,
}

/// How many jobs an action would touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Jobs that match and are in a state the action applies to.
    pub count: u64,
    /// Whether all were counted; `false` when the time was over, so that there may be more.
    pub exact: bool,
}

/// The `seq` below which jobs were there when `job` was enqueued. Without that job: all that are
/// there now.
pub async fn bound(conn: &mut PgConnection, job: Uuid) -> Result<i64> {
    let bound = sqlx::query_scalar!(
        r#"select coalesce((select seq from queue.jobs where id = $1), (select max(seq) + 1 from queue.jobs), 0) as "bound!""#,
        job
    )
    .fetch_one(conn)
    .await?;
    Ok(bound)
}

/// Does the next part of the bulk action of the job `by`, on the caller's transaction: at most
/// 1,000 jobs with a `seq` below `bound`.
///
/// # Errors
/// [`QueueError::Database`](crate::QueueError::Database); after a deadlock, which a cancel can run
/// into, the caller rolls back and tries again from the same cursor.
pub async fn step(
    conn: &mut PgConnection,
    action: BulkAction,
    filter: &JobFilter,
    (by, bound): (Uuid, i64),
    cursor: Cursor,
) -> Result<Step> {
    let stretch = walk::read(conn, action, filter, bound, cursor, BATCH).await?;
    let states: Vec<String> = action.states(filter).iter().map(ToString::to_string).collect();
    let mut next = stretch.next(cursor, BATCH);
    let (touched, skipped) = match action {
        BulkAction::Retry => {
            let part = retry::split(conn, &stretch).await?;
            if let Some(after) = part.end {
                next = Some(Cursor { after, window: BATCH });
            }
            retry::retry(conn, part, &states).await?
        }
        BulkAction::Cancel => {
            let jobs = lock(conn, &stretch.ids, &states).await?;
            (control::cancel_all(conn, &jobs, by).await?.len() as u64, 0)
        }
        BulkAction::Delete => {
            let jobs = lock(conn, &stretch.ids, &states).await?;
            let deleted = delete(conn, &jobs).await?;
            (deleted, jobs.len() as u64 - deleted)
        }
    };
    Ok(Step { touched, skipped, next })
}

/// Counts what an action would touch, for about as long as `budget`.
pub async fn count(
    conn: &mut PgConnection,
    action: BulkAction,
    filter: &JobFilter,
    bound: i64,
    budget: Duration,
) -> Result<Count> {
    let begun = Instant::now();
    let mut count = 0;
    let mut cursor = Cursor { after: 0, window: WIDEST };
    loop {
        let stretch = walk::read(conn, action, filter, bound, cursor, 0).await?;
        count += stretch.matched.unsigned_abs();
        let Some(after) = stretch.last.filter(|_| stretch.seen == cursor.window) else {
            return Ok(Count { count, exact: true });
        };
        if begun.elapsed() >= budget {
            return Ok(Count { count, exact: false });
        }
        cursor.after = after;
    }
}

/// Locks those that are still in one of `states`, in the order in which finishers lock.
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

/// A statement after the lock: it sees every child that was there before, and none can come while
/// the lock is held.
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
