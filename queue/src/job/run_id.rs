//! Which attempt at which job a handler's run is.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::claim::persist_running::RunStart;

/// The identity of one attempt at a job.
#[derive(Debug, Clone)]
pub struct RunId {
    /// The job.
    pub job: Uuid,
    /// The job's sequence number, in order of enqueueing.
    pub seq: i64,
    /// The run token. Every write of this attempt is guarded by it.
    pub run: i64,
    /// The tenant whose job it is.
    pub tenant: Uuid,
    /// The number of the attempt, from 1.
    pub attempt: u16,
    /// The worker that claimed the job.
    pub worker: Uuid,
    /// When the worker claimed it, by the database's clock.
    pub at: DateTime<Utc>,
    /// The W3C trace context of the request that enqueued the job.
    pub traceparent: Option<String>,
}

impl RunId {
    /// The part of this identity that is stored in the job's row.
    pub fn start(&self) -> RunStart {
        RunStart { seq: self.seq, run: self.run, attempt: self.attempt, worker: self.worker, at: self.at }
    }
}
