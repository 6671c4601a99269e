//! The runner calls the handler of a claimed job, and turns a stop into an outcome.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use crate::finish::Outcome;
use crate::job::{JobContext, JobError};
use crate::worker::Worker;
use crate::worker::attempt::{Attempt, trace_id};
use crate::worker::running::{Stop, StopReason};

/// The innermost service of a worker: it looks a job's handler up and calls it.
#[derive(Clone)]
pub struct Runner(Worker);

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl Runner {
    pub(super) fn new(worker: Worker) -> Self {
        Self(worker)
    }

    /// Runs the handler of `attempt` in a span of the log.
    pub(super) async fn run(self, attempt: &Attempt) -> Result<Outcome, JobError> {
        let job = &attempt.job;
        let span = tracing::info_span!(
            "job",
            job.id = %job.run.job,
            job.kind = %job.kind,
            job.attempt = job.run.attempt,
            tenant.id = %job.run.tenant,
            trace.id = job.run.traceparent.as_deref().and_then(trace_id),
        );
        self.call_handler(attempt).instrument(span).await
    }

    async fn call_handler(self, attempt: &Attempt) -> Result<Outcome, JobError> {
        let (worker, job) = (&self.0, &attempt.job);
        if worker.id() != attempt.worker {
            // It was claimed under a lease that is lost, so it belongs to somebody else by now.
            return Ok(Outcome::HandedBack);
        }
        let stop = worker.running().stop_of(job.run.job, job.run.run);
        let ctx = JobContext::new(
            Arc::default(),
            worker.pool().clone(),
            job.run.clone(),
            attempt.traceparent.clone(),
            stop.token(),
            worker.config().sealing.clone(),
        );
        let ended = tokio::select! {
            ended = worker.registry().run(job, ctx) => ended,
            () = overdue(&stop, worker.config().cancel_grace) => Err(JobError::Cancelled),
        };
        match (ended, stop.reason()) {
            (Ok(outcome), _) => Ok(outcome),
            (Err(_), Some(StopReason::ShuttingDown | StopReason::LeaseLost)) => Ok(Outcome::HandedBack),
            (Err(_), Some(StopReason::Cancelled)) => Ok(Outcome::Cancelled),
            (Err(error), None) => Err(error),
        }
    }
}

/// Resolves when a handler that was told to stop has not returned in time: a cancelled one gets
/// `grace`, any other no time at all.
async fn overdue(stop: &Stop, grace: Duration) {
    stop.token().cancelled().await;
    if stop.reason() == Some(StopReason::Cancelled) {
        tokio::time::sleep(grace).await;
    }
}
