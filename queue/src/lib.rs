//! The engine of Weirgate: durable, multi-tenant jobs on Postgres.

pub mod backend;
pub mod claim;
pub mod control;
pub mod enqueue;
pub mod error;
pub mod finish;
mod finisher;
pub mod host;
pub mod job;
mod lease;
mod listener;
pub mod maintenance;
pub mod query;
pub mod registry;
pub mod retry;
pub mod runner;
mod running;
pub mod state;
pub mod watch;
mod workflow;

pub use enqueue::{Enqueued, NewJob, OnFailure, enqueue, enqueue_workflow};
pub use error::{QueueError, Result};
pub use host::{Host, HostConfig};
pub use job::{Job, JobContext, JobError};
pub use registry::Registry;
pub use state::JobState;
