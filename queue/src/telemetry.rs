//! Telemetry: what a program can show of the engine's work.
//!
//! - [`meter`] counts the runs of one worker process, for its metrics endpoint. The counters are
//!   those of [`Registry::meter`](crate::Registry::meter).
//! - [`enqueued`] counts the jobs that one process has enqueued.
//! - [`rollup`] sums the counters of all workers up by minute, quarter of an hour and hour, in the
//!   database, for charts.
//! - [`failures`] groups failed attempts by what their messages have in common.
//! - [`trace`] makes a span of each run, for a tracer that the program brings along
//!   ([`WorkerConfig::tracer`](crate::WorkerConfig::tracer)).

pub mod enqueued;
pub mod failures;
pub mod histogram;
pub mod meter;
pub mod rollup;
pub mod trace;
