//! What a job is to the one who writes it: a struct of arguments, a handler, and a context.

pub(crate) mod checkpoint;
pub mod registry;
pub mod retry;
pub mod state;

use std::fmt;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claim::mark::{self, Start};
use crate::enqueue::NewJob;
use crate::error::QueueError;
use crate::finish::{self, Finish, Outcome};
use crate::job::retry::RetryPolicy;
use crate::workflow::{self, Parent};

/// A kind of job. The struct holds its arguments; they carry ids, never rows.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The permanent name, under which its rows are stored.
    const KIND: &'static str;
    /// The queue it waits in.
    const QUEUE: &'static str = "default";
    /// Attempts after which a failure discards it.
    const MAX_ATTEMPTS: u16 = 10;
    /// What its handler needs of the application: pools, clients, settings.
    type App: Send + Sync + 'static;
    /// What it hands on: stored as the job's output.
    type Output: Serialize + Send;

    /// How long it waits after a failed attempt.
    fn retry() -> RetryPolicy {
        RetryPolicy::default()
    }

    /// How long one attempt may take; then it counts as failed.
    fn timeout() -> Duration {
        Duration::from_mins(15)
    }

    /// What it is about, such as a day: jobs of every kind are found by it.
    fn subject(&self) -> Option<String> {
        None
    }

    /// Does the work. Must be safe to repeat: an attempt may die at any point and be made again.
    fn run(&self, ctx: &JobContext<Self::App>)
    -> impl Future<Output = Result<Self::Output, JobError>> + Send;
}

/// How an attempt ends when it does not succeed. `?` on any error makes a [`JobError::Failed`].
#[derive(Debug)]
pub enum JobError {
    /// Failed; tried again after the kind's backoff while attempts are left.
    Failed {
        /// A stable word for programs.
        code: &'static str,
        /// What happened.
        source: anyhow::Error,
        /// Waits this long instead of the backoff, as an upstream's `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// Failed for good: no attempt can succeed.
    Discard {
        /// A stable word for programs.
        code: &'static str,
        /// What happened, for people.
        message: String,
    },
    /// Not now: run again later, without counting an attempt.
    Snooze(Duration),
    /// Stopped because it was cancelled.
    Cancelled,
}

impl JobError {
    /// A failure under a code of its own; retried.
    pub fn failed(code: &'static str, source: impl Into<anyhow::Error>) -> Self {
        Self::Failed { code, source: source.into(), retry_after: None }
    }

    /// A failure that is retried after exactly this long.
    pub fn retry_after(delay: Duration, source: impl Into<anyhow::Error>) -> Self {
        Self::Failed { code: "failed", source: source.into(), retry_after: Some(delay) }
    }

    /// A failure for good.
    pub fn discard(code: &'static str, message: impl fmt::Display) -> Self {
        Self::Discard { code, message: message.to_string() }
    }

    /// Run again after `delay`, without counting an attempt.
    pub fn snooze(delay: Duration) -> Self {
        Self::Snooze(delay)
    }
}

impl<E: Into<anyhow::Error>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::failed("failed", error)
    }
}

/// One attempt's identity.
#[derive(Debug, Clone)]
pub struct RunId {
    /// The job.
    pub job: Uuid,
    /// Its number, in order of enqueueing.
    pub seq: i64,
    /// Its run token.
    pub run: i64,
    /// Whose job it is.
    pub tenant: Uuid,
    /// Number of the attempt, from 1.
    pub attempt: u16,
    /// The worker that claimed it.
    pub worker: Uuid,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
    /// W3C trace context of the request that enqueued it.
    pub traceparent: Option<String>,
}

impl RunId {
    /// What the job's row says of it.
    pub fn start(&self) -> Start {
        Start { seq: self.seq, run: self.run, attempt: self.attempt, worker: self.worker, at: self.at }
    }
}

/// What a handler has at hand.
#[derive(Debug)]
pub struct JobContext<A> {
    /// The application.
    pub app: std::sync::Arc<A>,
    pub(crate) pool: PgPool,
    pub(crate) run: Option<RunId>,
    /// W3C trace context of the run, where it has a span of its own.
    traceparent: Option<String>,
    cancel: CancellationToken,
    next: Mutex<Vec<NewJob>>,
    finished: AtomicBool,
    progressed: Mutex<Option<Instant>>,
}

impl<A> JobContext<A> {
    /// The context of a claimed run.
    pub(crate) fn new(
        app: std::sync::Arc<A>,
        pool: PgPool,
        run: RunId,
        traceparent: Option<String>,
        cancel: CancellationToken,
    ) -> Self {
        Self { run: Some(run), traceparent, cancel, ..Self::detached(app, pool) }
    }

    /// A context without a job, to call a handler directly.
    pub fn detached(app: std::sync::Arc<A>, pool: PgPool) -> Self {
        Self {
            app,
            pool,
            run: None,
            traceparent: None,
            cancel: CancellationToken::new(),
            next: Mutex::default(),
            finished: AtomicBool::new(false),
            progressed: Mutex::default(),
        }
    }

    /// The same run, for a handler that shares another application.
    pub(crate) fn with_app<B>(self, app: std::sync::Arc<B>) -> JobContext<B> {
        let Self { app: _, pool, run, traceparent, cancel, next, finished, progressed } = self;
        JobContext { app, pool, run, traceparent, cancel, next, finished, progressed }
    }

    /// The job's id; nil in a detached context.
    pub fn job_id(&self) -> Uuid {
        self.run.as_ref().map_or(Uuid::nil(), |run| run.job)
    }

    /// Which attempt this is; none in a detached context. The job's row says so only once it has run for a moment.
    pub fn run(&self) -> Option<&RunId> {
        self.run.as_ref()
    }

    /// Resolves when the job is cancelled or its worker has to give it up: return soon, with [`JobError::Cancelled`].
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Fails with [`JobError::Cancelled`] once the job is cancelled; for loops.
    pub fn check_cancelled(&self) -> Result<(), JobError> {
        if self.cancel.is_cancelled() { Err(JobError::Cancelled) } else { Ok(()) }
    }

    /// The jobs that this one waited on, with their outputs, in order of enqueueing; none in a detached context.
    pub async fn parents(&self) -> Result<Vec<Parent>, JobError> {
        match &self.run {
            Some(run) => Ok(workflow::parents_of(&self.pool, run.job).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Enqueues `job` in the transaction that completes this one, or not at all.
    ///
    /// [`NewJob::join_workflow`] makes it part of this one's workflow.
    pub fn then(&self, mut job: NewJob) {
        job.inherit(self.traceparent.as_ref(), None);
        self.next.lock().expect("no panic while held").push(job);
    }

    /// Says how far it is. Written at most twice a second, so it can be called in a loop.
    pub async fn progress(&self, done: u64, total: Option<u64>, message: &str) -> Result<(), JobError> {
        let Some(run) = &self.run else { return Ok(()) };
        {
            let mut last = self.progressed.lock().expect("no panic while held");
            if last.is_some_and(|at| at.elapsed() < Duration::from_millis(500)) {
                return Ok(());
            }
            *last = Some(Instant::now());
        }
        let progress = serde_json::json!({ "done": done, "total": total, "message": message });
        let mut conn = self.pool.acquire().await?;
        mark::mark_own(&mut conn, std::iter::once(run.start()).collect()).await?;
        sqlx::query!(
            "update queue.jobs set progress = $3 where id = $1 and run = $2 and state = 'running'",
            run.job,
            run.run,
            progress
        )
        .execute(&mut *conn)
        .await?;
        Ok(())
    }

    /// Commits the handler's writes, the job's completion and its next jobs together, or none of them: what `tx`
    /// wrote happens exactly once, however often the job is attempted.
    ///
    /// Return the same output from the handler afterwards.
    ///
    /// # Errors
    /// [`QueueError::Stale`] when the job is no longer this run's; nothing is written then.
    pub async fn finish_in<T: Serialize>(
        &self,
        mut tx: Transaction<'static, Postgres>,
        output: &T,
    ) -> Result<(), JobError> {
        if let Some(run) = &self.run {
            let outcome =
                Outcome::Completed { output: serde_json::to_value(output)?, next: self.take_next() };
            let applied = finish::finish(&mut tx, vec![Finish::of(run, outcome)]).await?;
            if applied.is_empty() {
                return Err(QueueError::Stale { job: run.job, run: run.run }.into());
            }
        }
        tx.commit().await?;
        self.finished.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn outcome(&self, output: Value) -> Outcome {
        if self.finished.load(Ordering::Acquire) {
            Outcome::AlreadyFinished
        } else {
            Outcome::Completed { output, next: self.take_next() }
        }
    }

    fn take_next(&self) -> Vec<NewJob> {
        std::mem::take(&mut *self.next.lock().expect("no panic while held"))
    }
}
