//! One worker process: it claims jobs, runs their handlers, and commits the outcomes.
//!
//! [`Worker::run`] is the whole of it for most programs. It registers the process under a lease,
//! works until it is told to stop, lets running jobs end within the grace period, and hands the
//! rest back, so that other workers start them at once:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use weirgate_queue::{Registry, Worker, WorkerConfig};
//! # async fn example(pool: sqlx::PgPool, registry: Arc<Registry>) -> weirgate_queue::Result<()> {
//! let shutdown = tokio_util::sync::CancellationToken::new();
//! let config = WorkerConfig { concurrency: 8.into(), ..WorkerConfig::new("host-1", "1.0.0", 42) };
//! Worker::run(pool, registry, config, shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Any number of processes work on the same queues. They share nothing but the database: when one
//! of them dies, its lease runs out and another one takes its jobs.
//!
//! | part | what it does |
//! |---|---|
//! | claim loop | claims jobs of one queue as soon as there are permits for them |
//! | adapter | the backend, the service and the layer through which apalis runs what was claimed |
//! | runner | calls the handler, with its time limit and its cancel |
//! | completer | commits the outcomes of many runs in one transaction |
//! | heartbeat | renews the lease, notices cancels, and shows long runs in their jobs' rows |
//! | listener | receives the database's notifications and wakes the claim loops |
//! | waiter | decides whether a claim loop waits for notifications or polls |
//!
//! # Upkeep
//!
//! The same process also takes part in the upkeep of the queues, by small services of one shape.
//! Every worker runs the [`promoter`], the [`resolver`] and the [`expander`]; the others are run by
//! the worker that leads ([`leader`]). Each can be called once (`run_once`), by tests and tools.
//!
//! # Parts by themselves
//!
//! [`claim`] and [`finish`] are what a worker does to the database at the beginning and at the end
//! of a run. A worker keeps a [`Claimer`] for each queue, claims with the [`Capacity`] that it has
//! left, and persists that a job runs ([`persist_running()`]) only once the run has lasted for a
//! moment.

mod adapter;
mod attempt;
mod claim_loop;
mod completer;
pub(crate) mod concurrency;
pub(crate) mod config;
mod drain;
mod heartbeat;
mod lease;
mod listener;
pub(crate) mod notify;
mod permits;
pub(crate) mod process;
mod run;
mod runner;
mod running;
mod start;
mod waiter;
pub(crate) mod wakers;

pub use crate::claim::claim;
pub use crate::claim::claimed_job::ClaimedJob;
pub use crate::claim::claimer::{Claim, Claimer};
pub use crate::claim::persist_running::{RunStart, RunStarts, persist_running};
pub use crate::claim::plan::Capacity;
pub use crate::finish::{Finish, Outcome, finish};
pub use crate::maintenance::retention::Retention;
pub use crate::maintenance::{
    checkpointer, expander, leader, promoter, pruner, reconciler, rescuer, resolver, scheduler,
};
pub use adapter::{FinishLayer, FinishService, JobTask, QueueBackend};
pub use attempt::{Attempt, trace_id};
pub use drain::drain;
pub use runner::Runner;

pub(crate) use config::WorkerConfig;
pub(crate) use process::Worker;
