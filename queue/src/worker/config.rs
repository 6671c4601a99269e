//! How a worker process behaves.

use std::sync::Arc;
use std::time::Duration;

use crate::maintenance::retention::Retention;
use crate::private::Sealing;
use crate::schedule::Schedules;
use crate::telemetry::trace::Tracer;
use crate::worker::concurrency::Concurrency;

/// How a worker process behaves.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The name of the machine, for people.
    pub host: String,
    /// The version of the program, for people.
    pub version: String,
    /// How many jobs it runs at once in each queue.
    pub concurrency: Concurrency,
    /// How long running jobs may take to end after a shutdown begins; then they are handed back.
    pub grace: Duration,
    /// How long its jobs stay its own after its last heartbeat. It sends three heartbeats in that
    /// time.
    pub lease: Duration,
    /// How often it polls for jobs when no notification wakes it.
    pub poll_interval: Duration,
    /// How long a handler whose job was cancelled may take to return before it is dropped.
    pub cancel_grace: Duration,
    /// The most jobs in one claim, at least 1.
    pub claim_batch: usize,
    /// The schedules that it fires while it leads.
    pub schedules: Schedules,
    /// How long it keeps finished jobs while it leads.
    pub retention: Retention,
    /// The seed of its jitter.
    pub seed: u64,
    /// Makes spans of its runs.
    pub tracer: Option<Arc<dyn Tracer>>,
    /// Opens the private arguments of its jobs ([`crate::private`]); without it, jobs that have one
    /// are retried until a worker can open it.
    pub sealing: Option<Arc<dyn Sealing>>,
}

impl WorkerConfig {
    /// The usual settings: 8 jobs at once in each queue, no schedules, and jitter from `seed`.
    pub fn new(host: impl Into<String>, version: impl Into<String>, seed: u64) -> Self {
        Self {
            host: host.into(),
            version: version.into(),
            concurrency: 8.into(),
            grace: Duration::from_secs(25),
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            cancel_grace: Duration::from_secs(10),
            claim_batch: 1000,
            schedules: Schedules::default(),
            retention: Retention::default(),
            seed,
            tracer: None,
            sealing: None,
        }
    }
}
