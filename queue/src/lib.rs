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
//! What nobody but the handler may read, such as names and addresses of people, is a job's private
//! argument: [`NewJob::private`] encrypts it, and it is deleted when the job completes or is
//! cancelled. See [`private`].
//!
//! # Running
//!
//! [`Worker::run`] is a worker process from its registration to its end. [`Kinds`] lists what it
//! runs; with the application that the handlers share they become its [`Registry`].
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
//! use weirgate_queue::{Kinds, Worker, WorkerConfig, connect_options};
//!
//! # async fn example(shutdown: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//! let options = connect_options("postgres://localhost/jobs".parse()?);
//! let pool = PgPoolOptions::new().connect_with(options).await?;
//! let registry = Arc::new(Kinds::default().with::<Greet>().run_with(Arc::new(pool.clone())));
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
//! [`control`] cancels, retries and reorders single jobs, and [`control::bulk`] does so with all
//! jobs that a filter matches. [`read`] lists and counts jobs, workflows and workers without
//! slowing claims down, and [`telemetry`] has counters, charts, groups of failures and traces.
//!
//! # Connections
//!
//! [`connect_options`] sets connections up so that Postgres plans the engine's statements as they
//! were written; [`PLANNER`] has these settings for poolers that refuse session options. [`within`]
//! limits how long an answer of the database may take. A task that handles many small requests
//! takes them as [`next_batch`]es on one [`StickyConnection`], which saves round trips.
//!
//! # SQL of the application
//!
//! The tables of the schema `queue` may change with each version. SQL that has to do with jobs
//! calls functions, which stay as they are; the comment of each in the database says more:
//!
//! | function of `queue` | what for |
//! |---|---|
//! | `now()` | the engine's clock |
//! | `is_open(job)` | whether there is such a job, and it is not final |
//! | `is_current_run(job, run, worker)` | whether a run may still write for its job |
//! | `failed_jobs(kind, tenant_id, subject)`, `failed_jobs_between(…)` | the jobs that failed for a subject, or a range of them |
//! | `add_final_hook(kind_prefix, hook)`, `remove_final_hook(hook)` | calls a function in the transaction that makes a job final |
//!
//! A hook keeps a table of the application up to date with the ends of jobs, whoever ends them: the
//! handler, its worker, an operator, or the leader after the worker's death. Jobs of other kinds
//! pay a comparison for it.
//!
//! ```sql
//! create function app.note_end(
//!     job uuid, tenant uuid, kind text, state text, finalized_at timestamptz, output jsonb, error jsonb
//! ) returns void language sql as $$
//!     insert into app.last_mail (tenant, state, at) values (tenant, state, finalized_at)
//!     on conflict (tenant) do update set state = excluded.state, at = excluded.at
//! $$;
//! select queue.add_final_hook('mail_', 'app.note_end');
//! ```
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
//! | enqueue | [`enqueue`](enqueue()) | stores jobs, alone or waiting for others |
//! | claim | [`worker::Claimer`] | takes a batch of jobs for a worker: lanes by fair share, within their limits |
//! | run | [`worker::Runner`] | calls the handler, with its time limit, its cancel, and panics caught |
//! | finish | [`worker::finish`](worker::finish()) | commits outcomes, next jobs and released dependents together |
//! | upkeep | [`worker::promoter`] and others | promotes, rescues, schedules, expands, prunes; one worker leads |
//!
//! # The modules
//!
//! What every program meets is at the root. Each module is a chapter of its own:
//!
//! | module | what is in it |
//! |---|---|
//! | [`job`] | how attempts end, retry policies, the states and the transitions between them |
//! | [`worker`] | one process at work, its parts for tests and tools, the services of the upkeep |
//! | [`lanes`] | limits, pauses and fair shares; the view of a queue, and why a job does not run |
//! | [`workflow`] | jobs that depend on each other |
//! | [`backfill`] | ranges of work as one object |
//! | [`schedule`] | jobs that are enqueued by the clock |
//! | [`control`] | what people do to jobs, one by one or many at once, and to the database's history |
//! | [`private`] | arguments that only a job's own handler reads, encrypted until it ends |
//! | [`read`] | jobs, workflows and workers as people and programs see them |
//! | [`telemetry`] | counters, charts, failures and traces |
#![warn(missing_docs)]

pub mod backfill;
mod claim;
pub mod control;
mod database;
mod enqueue;
mod error;
mod finish;
pub mod job;
pub mod lanes;
mod maintenance;
pub mod private;
pub mod read;
pub mod schedule;
pub mod telemetry;
pub mod worker;
pub mod workflow;

pub use database::column::column;
pub use database::connect::{PLANNER, connect_options};
pub use database::deadline::{deadline_exceeded, is_deadline_exceeded, within};
pub use database::sticky::{StickyConnection, dedicated, next_batch};
pub use enqueue::enqueue;
pub use enqueue::new_job::{Enqueued, NewJob, OnFailure};
pub use error::{Fault, QueueError, Result};
pub use job::context::JobContext;
pub use job::definition::Job;
pub use job::error::JobError;
pub use job::registry::{Kinds, Registry};
pub use job::state::JobState;
pub use worker::concurrency::Concurrency;
pub use worker::config::WorkerConfig;
pub use worker::process::Worker;
pub use workflow::builder::Workflow;

/// The migrations of the schema `queue`, whose tables belong to the engine alone.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
