//! Traces of runs: a [`Tracer`] makes a span of each run, as part of the trace of the request that
//! enqueued the job.

use std::fmt;
use std::time::Instant;

use crate::claim::ClaimedJob;
use crate::finish::Outcome;

/// Makes spans of runs. A worker without a tracer spends nothing on traces.
pub trait Tracer: fmt::Debug + Send + Sync {
    /// Begins the span of a run. The job's trace context, the same for each attempt, is in
    /// [`RunId::traceparent`](crate::job::RunId::traceparent).
    fn begin(&self, run: &TracedRun<'_>) -> Box<dyn RunSpan>;
}

/// A run that is about to begin.
#[derive(Debug)]
pub struct TracedRun<'a> {
    /// The claimed job: which attempt it is, and since when the job was due.
    pub job: &'a ClaimedJob,
    /// The queue in which the job waited.
    pub queue: &'a str,
    /// When this process learned that it had claimed the job.
    pub claimed: Instant,
}

/// The span of a run. It is dropped without [`end`](Self::end) when the run is lost.
pub trait RunSpan: Send {
    /// The W3C trace context of the span, which jobs that the run enqueues inherit.
    fn traceparent(&self) -> String;
    /// Ends the span.
    fn end(self: Box<Self>, outcome: &Outcome);
}
