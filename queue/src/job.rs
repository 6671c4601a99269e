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
//! use weirgate_queue::job::RetryPolicy;
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
//! The states of a job are [`JobState`], and every legal transition between them is in
//! [`TRANSITIONS`], as data; [`mermaid`] draws the picture.
//!
//! [`JobState`]: crate::JobState

mod checkpoint;
pub(crate) mod context;
pub(crate) mod definition;
pub(crate) mod error;
mod new_job;
mod private;
pub(crate) mod registry;
pub(crate) mod retry;
mod run_id;
pub(crate) mod state;

pub use retry::RetryPolicy;
pub use run_id::RunId;
pub use state::{StateCounts, TRANSITIONS, UnknownState, Verb, mermaid};

pub(crate) use context::JobContext;
pub(crate) use definition::Job;
pub(crate) use error::JobError;
