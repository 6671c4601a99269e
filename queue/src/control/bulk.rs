//! Bulk actions: retry, cancel or delete all jobs that match a filter, in short steps in order of
//! `seq`.
//!
//! A step is one call on the caller's transaction. What it changed and the cursor where it ended
//! commit together (see [`JobContext::checkpoint_in`](crate::JobContext::checkpoint_in)), so that a
//! crash neither loses nor repeats anything. The cursor only grows: a job that is discarded again
//! after its retry is behind it, and a job that cannot be retried does not block the others.

mod action;
mod cursor;
mod lock;
mod retry;
mod scan;

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use uuid::Uuid;

use self::cursor::{MAX_JOBS, MAX_ROWS};
use self::lock::lock;
use crate::control;
use crate::error::Result;
use crate::read::JobFilter;

pub use self::action::BulkAction;
pub use self::cursor::Cursor;

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
