//! Retries, cancels or deletes all jobs that a filter takes, of those that were there when it was
//! enqueued.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, Transaction};
use weirgate_identity::SYSTEM_TENANT;
use weirgate_queue::control::bulk::{self, BulkAction, Cursor, StepResult};
use weirgate_queue::read::JobFilter;
use weirgate_queue::{Job, JobContext, JobError, NewJob, QueueError};
use weirgate_web::reason::BULK_JOBS;

use super::Operations;

/// Tries at a step that runs into a deadlock.
const TRIES: u32 = 5;

/// Retries, cancels or deletes jobs of any tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkJobs {
    /// What is done.
    pub action: BulkAction,
    /// To which jobs; without a field, to all.
    pub filter: JobFilter,
}

/// Why a bulk action is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BulkRefused {
    /// Nothing says which jobs.
    #[error("the filter is empty: give at least one field, or `all` for every job of every tenant")]
    Unbounded,
    /// All jobs, and only some.
    #[error("give either `all` or other filter fields, not both")]
    AllAndSome,
    /// It applies to none of the states that the filter names.
    #[error(
        "{0} does not apply to jobs in these states: retry is for discarded and cancelled ones, cancel for those that are \
         not final, delete for completed, cancelled and discarded ones"
    )]
    NoState(BulkAction),
}

/// What was done, and how far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkDone {
    /// Jobs that were retried, cancelled or told to stop, or deleted.
    pub touched: u64,
    /// Jobs that match but could not be: the same job is on its way, or a job that is not final
    /// depends on it.
    pub skipped: u64,
    /// How many matched when it began; null when they were too many to count.
    pub total: Option<u64>,
    /// Where it goes on; missing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

impl BulkJobs {
    /// How long matching jobs are counted before the action begins, and in a dry run.
    pub const COUNTING: Duration = Duration::from_secs(2);

    /// The action, unless it would hit everything by mistake or nothing at all. `all` says that an
    /// empty filter is meant.
    ///
    /// # Errors
    /// [`BulkRefused`].
    pub fn new(action: BulkAction, filter: JobFilter, all: bool) -> Result<Self, BulkRefused> {
        match (filter == JobFilter::default(), all) {
            (true, false) => Err(BulkRefused::Unbounded),
            (false, true) => Err(BulkRefused::AllAndSome),
            _ if action.states(&filter).is_empty() => Err(BulkRefused::NoState(action)),
            _ => Ok(Self { action, filter }),
        }
    }

    /// The job that does it.
    pub fn job(&self) -> weirgate_queue::Result<NewJob> {
        NewJob::of(SYSTEM_TENANT, self)
    }

    /// How many jobs it would touch now.
    pub async fn count(&self, conn: &mut PgConnection) -> weirgate_queue::Result<bulk::BulkCount> {
        bulk::count(conn, self.action, &self.filter, i64::MAX, Self::COUNTING).await
    }

    async fn begin(&self, ctx: &JobContext<Operations>, bound: i64) -> Result<BulkDone, JobError> {
        let mut conn = ctx.app.pool.acquire().await?;
        let count = bulk::count(&mut conn, self.action, &self.filter, bound, Self::COUNTING).await?;
        let total = count.exact.then_some(count.count);
        Ok(BulkDone { total, next: Some(Cursor::default()), ..BulkDone::default() })
    }

    async fn step(
        &self,
        ctx: &JobContext<Operations>,
        bound: i64,
        cursor: Cursor,
    ) -> Result<(Transaction<'static, Postgres>, StepResult), JobError> {
        let mut tries = 1;
        loop {
            let mut tx = ctx.app.pool.begin().await?;
            match bulk::step(&mut tx, self.action, &self.filter, (ctx.job_id(), bound), cursor).await {
                Ok(step) => return Ok((tx, step)),
                Err(error) if tries < TRIES && is_deadlock(&error) => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_deadlock(error: &QueueError) -> bool {
    matches!(error, QueueError::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01"))
}

impl Job for BulkJobs {
    const KIND: &'static str = BULK_JOBS;
    const QUEUE: &'static str = "system";
    type App = Operations;
    type Output = BulkDone;

    fn timeout() -> Duration {
        Duration::from_hours(24)
    }

    async fn run(&self, ctx: &JobContext<Operations>) -> Result<BulkDone, JobError> {
        let bound = bulk::upper_bound(&mut *ctx.app.pool.acquire().await?, ctx.job_id()).await?;
        let mut done = match ctx.checkpoint().await? {
            Some(done) => done,
            None => self.begin(ctx, bound).await?,
        };
        while let Some(cursor) = done.next {
            ctx.check_cancelled()?;
            let (tx, step) = self.step(ctx, bound, cursor).await?;
            done.touched += step.touched;
            done.skipped += step.skipped;
            done.next = step.next;
            let sum = done.touched + done.skipped;
            let message = format!("{} touched, {} skipped", done.touched, done.skipped);
            ctx.checkpoint_in(tx, &done, sum, done.total.map(|total| total.max(sum)), &message).await?;
        }
        Ok(done)
    }
}
