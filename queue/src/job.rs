//! What a job is to its author: a struct of arguments, a handler, and the context that the handler
//! gets.
//!
//! A [`Job`] names its kind, its queue and its policies as constants; its fields are its arguments.
//! A worker calls [`Job::run`] with a [`JobContext`], through which the handler reaches the
//! application, notices a cancel, reports progress, enqueues the next jobs, and commits its own
//! writes together with the job's completion ([`JobContext::finish_in`]). How a handler ends
//! decides what happens next:
//!
//! | the handler returns | the job |
//! |---|---|
//! | `Ok(output)` | is completed, with the output stored |
//! | any error through `?` | is retried after the kind's [`RetryPolicy`], and discarded after the last attempt |
//! | [`JobError::retry_after`] | is retried after exactly that long, as an upstream's `Retry-After` asks for |
//! | [`JobError::discard`] | is discarded: no further attempt can succeed |
//! | [`JobError::snooze`] | runs again later, and the attempt does not count |
//!
//! ```
//! use std::time::Duration;
//!
//! use serde::{Deserialize, Serialize};
//! use weirgate_queue::job::retry::RetryPolicy;
//! use weirgate_queue::{Job, JobContext, JobError};
//!
//! /// Sends one invoice. The argument is an id: the handler reads the invoice anew.
//! #[derive(Serialize, Deserialize)]
//! struct SendInvoice {
//!     invoice: i64,
//! }
//!
//! impl Job for SendInvoice {
//!     const KIND: &'static str = "send_invoice";
//!     const QUEUE: &'static str = "mail";
//!     const MAX_ATTEMPTS: u16 = 5;
//!     type App = ();
//!     type Output = ();
//!
//!     fn retry() -> RetryPolicy {
//!         RetryPolicy { base: Duration::from_secs(30), ..RetryPolicy::default() }
//!     }
//!
//!     async fn run(&self, _: &JobContext<()>) -> Result<(), JobError> {
//!         if self.invoice < 0 {
//!             return Err(JobError::discard("no_invoice", "invoices have positive numbers"));
//!         }
//!         Ok(())
//!     }
//! }
//! ```
//!
//! [`state`] has the states of a job and every legal transition between them, as data.

mod checkpoint;
mod context;
mod error;
mod new_job;
pub mod registry;
pub mod retry;
mod run_id;
pub mod state;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::retry::RetryPolicy;

pub use context::JobContext;
pub use error::JobError;
pub use run_id::RunId;

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
