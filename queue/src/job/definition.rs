//! What the author of a kind of job writes.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::context::JobContext;
use crate::job::error::JobError;
use crate::job::retry::RetryPolicy;

/// A kind of job. The struct holds its arguments, which carry ids and never rows.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The permanent name under which the kind's rows are stored.
    const KIND: &'static str;
    /// The queue in which jobs of this kind wait.
    const QUEUE: &'static str = "default";
    /// The number of attempts after which a failure discards the job.
    const MAX_ATTEMPTS: u16 = 10;
    /// What the handler needs of the application: pools, clients, settings.
    type App: Send + Sync + 'static;
    /// What the handler returns. It is stored as the job's output.
    type Output: Serialize + Send;

    /// How long the job waits after a failed attempt.
    fn retry() -> RetryPolicy {
        RetryPolicy::default()
    }

    /// How long one attempt may take; an attempt that takes longer has failed.
    fn timeout() -> Duration {
        Duration::from_mins(15)
    }

    /// What the job is about, such as a day. Jobs of every kind can be found by their subject.
    fn subject(&self) -> Option<String> {
        None
    }

    /// Does the work. It must be safe to repeat, because an attempt may die at any point and is
    /// then made again.
    fn run(&self, ctx: &JobContext<Self::App>)
    -> impl Future<Output = Result<Self::Output, JobError>> + Send;
}
