//! Runs claimed jobs as a tower service, and turns how they end into outcomes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::error::BoxDynError;
use futures_util::future::BoxFuture;
use tower::Service;
use tracing::Instrument;

use crate::finish::Outcome;
use crate::job::registry::Registry;
use crate::job::{JobContext, JobError};
use crate::worker::backend::JobTask;
use crate::worker::host::Host;
use crate::worker::running::{Stop, StopReason};

/// A failed attempt on its way through tower's layers.
pub(crate) struct Failure(pub(crate) JobError);

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

/// The innermost service of a worker: looks the handler up and calls it.
pub struct Runner<A> {
    host: Host<A>,
    registry: Arc<Registry<A>>,
}

impl<A> Clone for Runner<A> {
    fn clone(&self) -> Self {
        Self { host: self.host.clone(), registry: self.registry.clone() }
    }
}

impl<A> fmt::Debug for Runner<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl<A: Send + Sync + 'static> Runner<A> {
    pub(crate) fn new(host: Host<A>, registry: Arc<Registry<A>>) -> Self {
        Self { host, registry }
    }

    async fn run(self, task: JobTask) -> Result<Outcome, BoxDynError> {
        let job = task.args.job();
        if !self.host.holds_lease(task.args.worker()) {
            // Claimed under a lease that is gone: it is somebody else's by now.
            return Ok(Outcome::HandedBack);
        }
        let stop = self.host.running().get(job.run.job, job.run.run);
        let ctx = JobContext::new(
            self.registry.app().clone(),
            self.host.pool().clone(),
            job.run.clone(),
            task.args.traceparent().cloned(),
            stop.token(),
        );
        let ended = tokio::select! {
            ended = self.registry.run(job, ctx) => ended,
            () = overdue(&stop, self.host.cancel_grace()) => Err(JobError::Cancelled),
        };
        match (ended, stop.reason()) {
            (Ok(outcome), _) => Ok(outcome),
            (Err(_), Some(StopReason::ShuttingDown | StopReason::LeaseLost)) => Ok(Outcome::HandedBack),
            (Err(_), Some(StopReason::Cancelled)) => Ok(Outcome::Cancelled),
            (Err(error), None) => Err(Box::new(Failure(error))),
        }
    }
}

/// Resolves when a handler that was told to stop has had its time.
async fn overdue(stop: &Stop, grace: Duration) {
    stop.token().cancelled().await;
    if stop.reason() == Some(StopReason::Cancelled) {
        tokio::time::sleep(grace).await;
    }
}

impl<A: Send + Sync + 'static> Service<JobTask> for Runner<A> {
    type Response = Outcome;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Outcome, BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: JobTask) -> Self::Future {
        let job = task.args.job();
        let span = tracing::info_span!(
            "job",
            job.id = %job.run.job,
            job.kind = %job.kind,
            job.attempt = job.run.attempt,
            tenant.id = %job.run.tenant,
            trace.id = job.run.traceparent.as_deref().and_then(trace_id),
        );
        Box::pin(self.clone().run(task).instrument(span))
    }
}

/// The trace id of a W3C `traceparent` (version-traceid-parentid-flags).
pub fn trace_id(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1).filter(|id| id.len() == 32)
}
