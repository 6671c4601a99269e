//! What a tracer is told of runs, so that they are part of their requests' traces.

use std::fmt;
use std::time::Instant;

use crate::claim::ClaimedJob;
use crate::finish::Outcome;

/// Makes spans of runs. A host without one spends nothing on traces.
pub trait Tracer: fmt::Debug + Send + Sync {
    /// A run begins. Its job's trace context is in [`crate::job::RunId::traceparent`], the same for each attempt.
    fn begin(&self, begins: &Begins<'_>) -> Box<dyn RunSpan>;
}

/// A run about to begin.
#[derive(Debug)]
pub struct Begins<'a> {
    /// Which attempt it is, of what, and since when it was due.
    pub job: &'a ClaimedJob,
    /// The queue it waited in.
    pub queue: &'a str,
    /// When this process learned that it has the job.
    pub claimed: Instant,
}

/// A run under way. Dropped without an end, it was not heard of again.
pub trait RunSpan: Send {
    /// Its W3C trace context, which the jobs that it enqueues carry on.
    fn traceparent(&self) -> String;
    /// It ended.
    fn end(self: Box<Self>, outcome: &Outcome);
}
