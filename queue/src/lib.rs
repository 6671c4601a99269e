//! Durable, multi-tenant jobs on Postgres.
//!
//! The engine of Weirgate as a library: jobs are rows of a database that you already have, workers
//! are processes that you start anywhere, and nothing lives in a process that another one could not
//! take over. It needs Postgres 14 or newer and the tables of the schema `queue`, which
//! [`MIGRATOR`] makes and brings up to date.
//!
//! # A job
//!
//! A job is a struct of arguments with a handler. It belongs to a tenant and waits in a queue.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use weirgate_queue::{Job, JobContext, JobError};
//!
//! /// Greets somebody.
//! #[derive(Serialize, Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! impl Job for Greet {
//!     const KIND: &'static str = "greet";
//!     type App = sqlx::PgPool;
//!     type Output = String;
//!
//!     async fn run(&self, ctx: &JobContext<sqlx::PgPool>) -> Result<String, JobError> {
//!         if self.name.is_empty() {
//!             return Err(JobError::discard("no_name", "nobody to greet"));
//!         }
//!         let greeting = format!("Hello, {}", self.name);
//!         // What the handler writes and the job's completion commit together: exactly once.
//!         let mut tx = ctx.app.begin().await?;
//!         sqlx::query("insert into greetings values ($1)").bind(&greeting).execute(&mut *tx).await?;
//!         ctx.finish_in(tx, &greeting).await?;
//!         Ok(greeting)
//!     }
//! }
//! ```
//!
//! An attempt may die at any point and is then made again, so a handler must be safe to repeat. Its
//! writes to the same database happen exactly once through [`JobContext::finish_in`]. The module
//! [`job`] says what each end of an attempt leads to.
//!
//! # Enqueueing
//!
//! [`enqueue`](enqueue()) works on the caller's transaction: the jobs exist if and only if it
//! commits, together with whatever else the caller writes.
//!
//! ```no_run
//! # use serde::{Deserialize, Serialize};
//! # use weirgate_queue::{Job, JobContext, JobError, NewJob, enqueue};
//! # #[derive(Serialize, Deserialize)]
//! # struct Greet { name: String }
//! # impl Job for Greet {
//! #     const KIND: &'static str = "greet";
//! #     type App = sqlx::PgPool;
//! #     type Output = ();
//! #     async fn run(&self, _: &JobContext<sqlx::PgPool>) -> Result<(), JobError> { Ok(()) }
//! # }
//! # async fn example(pool: sqlx::PgPool, tenant: uuid::Uuid) -> Result<(), Box<dyn std::error::Error>> {
//! let mut tx = pool.begin().await?;
//! let job = NewJob::of(tenant, &Greet { name: "Ada".to_owned() })?;
//! let enqueued = enqueue(&mut tx, vec![job]).await?;
//! tx.commit().await?;
//! println!("job {} is enqueued", enqueued[0].id);
//! # Ok(())
//! # }
//! ```
//!
//! While a job is not final, a second one of the same kind, tenant and arguments is not stored;
//! [`NewJob`] has this and the other options: priority, time, unique keys, dependencies.
//!
//! # Running
//!
//! [`Worker::run`] is a worker process from its registration to its end. Its [`Registry`] lists the
//! kinds that it runs and holds the application that the handlers share.
//!
//! ```no_run
//! # use serde::{Deserialize, Serialize};
//! # use weirgate_queue::{Job, JobContext, JobError};
//! # #[derive(Serialize, Deserialize)]
//! # struct Greet { name: String }
//! # impl Job for Greet {
//! #     const KIND: &'static str = "greet";
//! #     type App = sqlx::PgPool;
//! #     type Output = ();
//! #     async fn run(&self, _: &JobContext<sqlx::PgPool>) -> Result<(), JobError> { Ok(()) }
//! # }
//! use std::sync::Arc;
//!
//! use sqlx::postgres::PgPoolOptions;
//! use tokio_util::sync::CancellationToken;
//! use weirgate_queue::{Registry, Worker, WorkerConfig, connect_options};
//!
//! # async fn example(shutdown: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//! let options = connect_options("postgres://localhost/jobs".parse()?);
//! let pool = PgPoolOptions::new().connect_with(options).await?;
//! let registry = Arc::new(Registry::new(Arc::new(pool.clone())).with::<Greet>());
//! Worker::run(pool, registry, WorkerConfig::new("host-1", "1.0.0", 42), shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Any number of workers share the queues. A worker holds a lease; when it dies, the lease runs out
//! and another worker takes its jobs. When it is told to stop it claims nothing more, lets running
//! jobs end within a grace period, and hands the rest back. See [`worker`].
//!
//! # Limits and fair shares
//!
//! A tenant's place in a queue is its **lane**. A lane has a rate, a burst and a maximum of running
//! jobs, which hold over all workers together; between lanes that may start something, workers
//! share themselves fairly, by weight. So no tenant waits behind the backlog or the throttle of
//! another one. Inside a lane the higher priority comes first, then the order of enqueueing. See
//! [`lanes`].
//!
//! # Workflows
//!
//! A [`Workflow`] is a set of jobs that depend on each other. A job starts when all jobs that it
//! depends on have completed; when one of them fails for good, the declared policy applies. See
//! [`workflow`].
//!
//! # Backfills
//!
//! A backfill is a range of up to millions of slices as one object: the application says what the
//! jobs of a slice are, and the engine keeps a bounded number of them on their way, within a share
//! of the workers. It can be paused, resumed, cancelled and retried as a whole. See [`backfill`].
//!
//! # Schedules
//!
//! A schedule enqueues by the clock, for instance each night for every tenant in the tenant's own
//! time zone. Each tick fires once, however many workers there are. See [`schedule`].
//!
//! # Steering and reading
//!
//! [`control`] cancels, retries and reorders single jobs, and [`bulk`] does so with all jobs that a
//! filter matches. [`read`] lists and counts jobs, workflows and workers without slowing claims
//! down, and [`telemetry`] has counters, charts, groups of failures and traces.
//!
//! # What it promises
//!
//! - A job whose enqueueing was committed is never lost.
//! - A handler runs at least once for its job. What it writes through [`JobContext::finish_in`] is
//!   written exactly once.
//! - A job has at most one live run, and a run that has lost its job can neither finish nor change
//!   it: every write is guarded by the run token.
//! - A tenant's limits hold over all workers together.
//!
//! # The way of a job
//!
//! | verb | where | what happens |
//! |---|---|---|
//! | enqueue | [`mod@enqueue`] | stores jobs, alone or waiting for others |
//! | claim | [`claim`] | takes a batch of jobs for a worker: lanes by fair share, within their limits |
//! | run | [`worker`] | calls the handler, with its time limit, its cancel, and panics caught |
//! | finish | [`worker::finish`] | commits outcomes, next jobs and released dependents together |
//! | upkeep | [`maintenance`] | promotes, rescues, schedules, expands, prunes; one worker leads |
#![warn(missing_docs)]

pub mod backfill;
pub mod bulk;
pub mod claim;
pub mod control;
pub mod database;
pub mod enqueue;
mod error;
pub(crate) mod finish;
pub mod job;
pub mod lanes;
pub mod maintenance;
pub mod read;
pub mod schedule;
pub mod telemetry;
pub mod worker;
pub mod workflow;

pub use database::{column, connect_options};
pub use enqueue::{Enqueued, NewJob, OnFailure, enqueue};
pub use error::{Fault, QueueError, Result};
pub use job::registry::{Kinds, Registry};
pub use job::state::JobState;
pub use job::{Job, JobContext, JobError};
pub use worker::{Concurrency, Worker, WorkerConfig};
pub use workflow::Workflow;

/// The migrations of the schema `queue`, whose tables belong to the engine alone.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
