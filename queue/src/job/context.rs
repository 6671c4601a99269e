//! What a handler has at hand while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claim::persist_running;
use crate::enqueue::new_job::NewJob;
use crate::error::QueueError;
use crate::finish::{Finish, Outcome, finish};
use crate::job::private::Plain;
use crate::job::{JobError, RunId};
use crate::private::Sealing;
use crate::workflow::{self, Parent};

/// The shortest time between two writes of a job's progress.
const MIN_PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// What a handler has at hand: the application, its own identity, and the verbs of a running job.
#[derive(Debug)]
pub struct JobContext<A> {
    /// The application.
    pub app: Arc<A>,
    pub(super) pool: PgPool,
    pub(super) run: Option<RunId>,
    /// The W3C trace context of the run, where the run has a span of its own.
    traceparent: Option<String>,
    cancel: CancellationToken,
    next: Mutex<Vec<NewJob>>,
    finished: AtomicBool,
    progress_written_at: Mutex<Option<Instant>>,
    pub(super) sealing: Option<Arc<dyn Sealing>>,
    /// The private argument, where a test gives it.
    pub(super) plain: Option<Plain>,
}

impl<A> JobContext<A> {
    /// The context of a claimed run.
    pub(crate) fn new(
        app: Arc<A>,
        pool: PgPool,
        run: RunId,
        traceparent: Option<String>,
        cancel: CancellationToken,
        sealing: Option<Arc<dyn Sealing>>,
    ) -> Self {
        Self { run: Some(run), traceparent, cancel, sealing, ..Self::detached(app, pool) }
    }

    /// A context without a job, in which a test or a tool calls a handler directly.
    pub fn detached(app: Arc<A>, pool: PgPool) -> Self {
        Self {
            app,
            pool,
            run: None,
            traceparent: None,
            cancel: CancellationToken::new(),
            next: Mutex::default(),
            finished: AtomicBool::new(false),
            progress_written_at: Mutex::default(),
            sealing: None,
            plain: None,
        }
    }

    /// The same run, for a handler whose domain has another application.
    pub(super) fn with_app<B>(self, app: Arc<B>) -> JobContext<B> {
        let Self {
            app: _,
            pool,
            run,
            traceparent,
            cancel,
            next,
            finished,
            progress_written_at,
            sealing,
            plain,
        } = self;
        JobContext {
            app,
            pool,
            run,
            traceparent,
            cancel,
            next,
            finished,
            progress_written_at,
            sealing,
            plain,
        }
    }

    /// The job's id; nil in a detached context.
    pub fn job_id(&self) -> Uuid {
        self.run.as_ref().map_or(Uuid::nil(), |run| run.job)
    }

    /// Which attempt this is; none in a detached context. The job's row shows the attempt only once
    /// it has run for a moment.
    pub fn run(&self) -> Option<&RunId> {
        self.run.as_ref()
    }

    /// Resolves when the handler has to stop, because its job was cancelled or its worker has to
    /// give the job up: return [`JobError::Cancelled`] soon.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Fails with [`JobError::Cancelled`] once the handler has to stop. Handlers call it in loops.
    pub fn check_cancelled(&self) -> Result<(), JobError> {
        if self.cancel.is_cancelled() { Err(JobError::Cancelled) } else { Ok(()) }
    }

    /// The jobs that this one waited for, with their outputs, in order of enqueueing; none in a
    /// detached context.
    pub async fn parents(&self) -> Result<Vec<Parent>, JobError> {
        match &self.run {
            Some(run) => Ok(workflow::parents_of(&self.pool, run.job).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Enqueues `job` in the transaction that completes this one: if this attempt does not complete
    /// the job, nothing is enqueued.
    ///
    /// [`NewJob::join_workflow`] makes it part of this job's workflow.
    pub fn then(&self, mut job: NewJob) {
        job.inherit(self.traceparent.as_ref(), None);
        self.next.lock().push(job);
    }

    /// Reports how far the job is. It is written at most twice a second, so handlers can call it in
    /// a loop.
    pub async fn progress(&self, done: u64, total: Option<u64>, message: &str) -> Result<(), JobError> {
        let Some(run) = &self.run else { return Ok(()) };
        if !self.is_progress_due() {
            return Ok(());
        }
        let progress = serde_json::json!({ "done": done, "total": total, "message": message });
        let mut conn = self.pool.acquire().await?;
        persist_running::persist_own(&mut conn, std::iter::once(run.start()).collect()).await?;
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

    /// Whether progress may be written now; if so, the next write is due after an interval.
    fn is_progress_due(&self) -> bool {
        let mut written_at = self.progress_written_at.lock();
        if written_at.is_some_and(|at| at.elapsed() < MIN_PROGRESS_INTERVAL) {
            return false;
        }
        *written_at = Some(Instant::now());
        true
    }

    /// Commits the handler's writes, the job's completion and its next jobs together, or none of
    /// them. So what `tx` wrote happens exactly once, however often the job is attempted.
    ///
    /// Return the same output from the handler afterwards.
    ///
    /// # Errors
    /// [`QueueError::Stale`] when the job no longer belongs to this run; nothing is written then.
    pub async fn finish_in<T: Serialize>(
        &self,
        mut tx: Transaction<'static, Postgres>,
        output: &T,
    ) -> Result<(), JobError> {
        if let Some(run) = &self.run {
            let outcome =
                Outcome::Completed { output: serde_json::to_value(output)?, next: self.take_next() };
            let applied = finish(&mut tx, vec![Finish::of(run, outcome)]).await?;
            if applied.is_empty() {
                return Err(QueueError::Stale { job: run.job, run: run.run }.into());
            }
        }
        tx.commit().await?;
        self.finished.store(true, Ordering::Release);
        Ok(())
    }

    /// The outcome of a handler that returned `output`.
    pub(crate) fn outcome(&self, output: Value) -> Outcome {
        if self.finished.load(Ordering::Acquire) {
            Outcome::AlreadyFinished
        } else {
            Outcome::Completed { output, next: self.take_next() }
        }
    }

    fn take_next(&self) -> Vec<NewJob> {
        std::mem::take(&mut *self.next.lock())
    }
}
