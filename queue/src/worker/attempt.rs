//! One attempt at a job in this process: from its claim until its outcome is handed over.

use std::fmt;
use std::time::Instant;

use uuid::Uuid;

use crate::claim::ClaimedJob;
use crate::claim::guard::ClaimGuard;
use crate::finish::{Finish, Outcome};
use crate::job::JobError;
use crate::telemetry::trace::{RunSpan, TracedRun};
use crate::worker::Worker;
use crate::worker::permits::Permit;

/// A claimed job with the permit that it occupies until its outcome is handed over.
pub struct Attempt {
    pub(super) job: ClaimedJob,
    /// The worker that claimed it.
    pub(super) worker: Uuid,
    /// When this process learned of the claim.
    pub(super) claimed_at: Instant,
    /// The W3C trace context of the run's span.
    pub(super) traceparent: Option<String>,
    pub(super) guard: ClaimGuard,
    /// Held here until the run begins, and by the run from then on.
    pub(super) permit: Option<Permit>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.job.fmt(f)
    }
}

impl Attempt {
    /// Hands the job back without running it.
    pub(super) async fn hand_back(self, worker: &Worker) {
        hand_over(worker, &self.job, self.guard, Outcome::HandedBack).await;
    }

    /// Begins the run of this attempt, whose job waited in `queue`, and its span.
    pub(super) fn begin(&mut self, worker: Worker, queue: &str) -> OpenRun {
        let run = TracedRun { job: &self.job, queue, claimed: self.claimed_at };
        let span = worker.config().tracer.as_ref().map(|tracer| tracer.begin(&run));
        self.traceparent = span.as_ref().map(|span| span.traceparent());
        OpenRun { worker, job: self.job.clone(), guard: self.guard.clone(), span, permit: self.permit.take() }
    }
}

/// A run that has begun and whose outcome is not handed over yet.
pub(super) struct OpenRun {
    worker: Worker,
    job: ClaimedJob,
    guard: ClaimGuard,
    span: Option<Box<dyn RunSpan>>,
    permit: Option<Permit>,
}

impl OpenRun {
    /// Waits for `handler`, then counts, logs and traces how it ended, and hands the outcome over
    /// to the completer.
    pub(super) async fn complete(self, handler: impl Future<Output = Result<Outcome, JobError>>) {
        let Self { worker, job, guard, span, permit } = self;
        let meter = worker.meter().of(&job.kind);
        let latency = (job.run.at - job.due).to_std().unwrap_or_default();
        meter.add_start(job.backfill.is_none().then_some(latency));
        let begun = Instant::now();
        let outcome = match handler.await {
            Ok(outcome) => outcome,
            Err(error) => worker.outcome_of_error(&job, error),
        };
        meter.add_end(&outcome, begun.elapsed());
        if let Outcome::Retry { code, message, .. } | Outcome::Discarded { code, message } = &outcome {
            worker.meter().add_failure(&job.kind, code, message);
        }
        log(&job, &outcome);
        if let Some(span) = span {
            span.end(&outcome);
        }
        hand_over(&worker, &job, guard, outcome).await;
        drop(permit);
    }
}

/// Hands the outcome of a run over to the completer.
async fn hand_over(worker: &Worker, job: &ClaimedJob, guard: ClaimGuard, outcome: Outcome) {
    worker.running().remove(job.run.job, job.run.run);
    worker.finish(Finish::of(&job.run, outcome), guard).await;
}

/// Logs how a run ended. Only what somebody may have to look into is above debug.
fn log(job: &ClaimedJob, outcome: &Outcome) {
    let run = &job.run;
    let trace = run.traceparent.as_deref().and_then(trace_id);
    macro_rules! line {
        ($level:ident, $($rest:tt)+) => {
            tracing::$level!(
                job.id = %run.job, job.kind = %job.kind, job.attempt = run.attempt, tenant.id = %run.tenant,
                trace.id = trace, $($rest)+
            )
        };
    }
    match outcome {
        Outcome::Retry { code, message, delay } => {
            line!(info, code, message, ?delay, "failed; will run again");
        }
        Outcome::Discarded { code, message } => line!(warn, code, message, "discarded"),
        Outcome::Cancelled => line!(info, "cancelled"),
        Outcome::HandedBack => line!(info, "handed back"),
        Outcome::Snoozed(delay) => line!(debug, ?delay, "snoozed"),
        Outcome::Completed { .. } | Outcome::AlreadyFinished => line!(debug, "completed"),
    }
}

/// The trace id of a W3C `traceparent` (version-traceid-parentid-flags).
pub fn trace_id(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1).filter(|id| id.len() == 32)
}
