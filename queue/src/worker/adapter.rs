//! The adapter to apalis: the backend from which an apalis worker takes claimed jobs, the service
//! that runs them, and the layer that hands their outcomes over.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use apalis_postgres::PgTask;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::coop::unconstrained;
use tower::{Layer, Service};
use uuid::Uuid;

use crate::finish::Outcome;
use crate::job::JobError;
use crate::worker::Worker;
use crate::worker::attempt::Attempt;
use crate::worker::claim_loop;
use crate::worker::runner::Runner;

/// What apalis carries from the backend to the service.
pub type JobTask = PgTask<Attempt>;

impl Worker {
    /// Starts claiming from `queue`, up to `concurrency` jobs at once, and returns the backend from
    /// which an apalis worker takes them. Claiming ends when the process drains.
    pub fn backend(&self, queue: &str) -> QueueBackend {
        let concurrency = self.config().concurrency.of(queue);
        let attempts = claim_loop::spawn(self.clone(), queue.to_owned(), concurrency);
        QueueBackend { worker: self.clone(), queue: queue.into(), attempts, closing: None }
    }

    /// The service that runs what the backends claim.
    pub fn runner(&self) -> Runner {
        Runner::new(self.clone())
    }
}

/// The backend of one queue in one worker process.
pub struct QueueBackend {
    worker: Worker,
    queue: Arc<str>,
    attempts: mpsc::Receiver<Attempt>,
    closing: Option<BoxFuture<'static, ()>>,
}

impl fmt::Debug for QueueBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueBackend").finish_non_exhaustive()
    }
}

impl Backend for QueueBackend {
    type Task = JobTask;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        let Some(attempt) = ready!(self.attempts.poll_recv(cx)) else { return Poll::Ready(None) };
        let run = &attempt.job.run;
        let (id, number) = (run.job, usize::from(run.attempt));
        Poll::Ready(Some(Ok(TaskBuilder::new(attempt)
            .task_id(TaskId::from_uuid(id))
            .attempt(number)
            .build())))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        if self.closing.is_none() {
            let worker = self.worker.clone();
            let mut attempts = std::mem::replace(&mut self.attempts, mpsc::channel(1).1);
            // What was claimed and has not begun goes back at once. The channel ends with the claim
            // loop.
            self.closing = Some(Box::pin(async move {
                while let Some(not_begun) = attempts.recv().await {
                    not_begun.hand_back(&worker).await;
                }
            }));
        }
        let closing = self.closing.as_mut().expect("set above");
        closing.as_mut().poll(cx).map(Ok)
    }
}

impl BackendConfig for QueueBackend {
    type Args = Attempt;
    type Id = Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = FinishLayer;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        FinishLayer { worker: self.worker.clone(), queue: self.queue.clone() }
    }
}

impl Service<JobTask> for Runner {
    type Response = Outcome;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Outcome, BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: JobTask) -> Self::Future {
        let runner = self.clone();
        Box::pin(async move { runner.run(&task.args).await.map_err(layer_error) })
    }
}

/// The layer around everything that an apalis worker runs: it hands the outcome of each run over.
pub struct FinishLayer {
    worker: Worker,
    queue: Arc<str>,
}

impl fmt::Debug for FinishLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for FinishLayer {
    type Service = FinishService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FinishService { worker: self.worker.clone(), queue: self.queue.clone(), inner }
    }
}

/// The service that [`FinishLayer`] makes.
pub struct FinishService<S> {
    worker: Worker,
    queue: Arc<str>,
    inner: S,
}

impl<S> fmt::Debug for FinishService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishService").finish_non_exhaustive()
    }
}

impl<S> Service<JobTask> for FinishService<S>
where
    S: Service<JobTask, Response = Outcome>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut task: JobTask) -> Self::Future {
        let run = task.args.begin(self.worker.clone(), &self.queue);
        let handler = self.inner.call(task);
        let handler = async move { handler.await.map_err(|error| job_error(error.into())) };
        // apalis polls all runs of a queue in one task, for which tokio has a budget. Within it,
        // 128 runs would make progress at a time, and all others that are ready would be polled in
        // vain.
        Box::pin(unconstrained(async move {
            run.complete(handler).await;
            Ok(())
        }))
    }
}

/// A failed attempt on its way through tower's layers.
struct Failure(JobError);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Failure {}

/// A handler's error as tower's layers carry it.
fn layer_error(error: JobError) -> BoxDynError {
    Failure(error).into()
}

/// What went wrong in a run. An error of a layer that is not the handler's own is a panic that
/// apalis has caught.
fn job_error(error: BoxDynError) -> JobError {
    match error.downcast::<Failure>() {
        Ok(failure) => failure.0,
        Err(panic) => JobError::failed("panicked", anyhow::anyhow!("{panic}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_error_survives_the_layers_and_any_other_is_a_panic() {
        let discarded = job_error(layer_error(JobError::discard("gone", "no such invoice")));
        assert!(matches!(discarded, JobError::Discard { code: "gone", .. }), "{discarded:?}");
        let panicked = job_error("index out of bounds".into());
        assert!(matches!(panicked, JobError::Failed { code: "panicked", .. }), "{panicked:?}");
    }
}
