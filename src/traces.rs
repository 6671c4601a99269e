//! Spans of requests and of jobs, sent over OTLP where an endpoint is set: one trace from a request
//! to the last run of what it enqueued. A build without the feature `otlp` makes none.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub use absent::Traces;
#[cfg(feature = "otlp")]
pub use otlp::Traces;

/// What a process is to the others, as an attribute of its spans.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// It serves HTTP.
    Api,
    /// It runs jobs.
    Worker,
}
