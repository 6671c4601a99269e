//! One worker process: it claims jobs, runs their handlers, and commits the outcomes.
//!
//! [`Worker::run`] is the whole of it for most programs. It registers the process under a lease,
//! works until it is told to stop, lets running jobs end within the grace period, and hands the
//! rest back, so that other workers start them at once:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use weirgate_queue::{Registry, Worker, WorkerConfig};
//! # async fn example(pool: sqlx::PgPool, registry: Arc<Registry<()>>) -> weirgate_queue::Result<()> {
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
//! The same process also takes part in the upkeep of the queues
//! ([`maintenance`](crate::maintenance)).

mod adapter;
mod attempt;
mod claim_loop;
mod completer;
mod concurrency;
mod config;
mod drain;
mod heartbeat;
mod lease;
mod listener;
pub(crate) mod notify;
mod permits;
mod process;
mod run;
mod runner;
mod running;
mod start;
mod waiter;
pub(crate) mod wakers;

pub use crate::finish::{Finish, Outcome, finish};
pub use adapter::{FinishLayer, FinishService, JobTask, QueueBackend};
pub use attempt::{Attempt, trace_id};
pub use concurrency::Concurrency;
pub use config::WorkerConfig;
pub use drain::drain;
pub use process::Worker;
pub use runner::Runner;
