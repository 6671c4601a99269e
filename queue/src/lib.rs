//! The engine of Weirgate: durable, multi-tenant jobs on Postgres.
//!
//! A job is a struct of arguments with a handler. It is enqueued on the caller's transaction, so that it exists if and
//! only if that commits; a worker claims it, runs it, and commits its outcome. What the engine knows is in the tables
//! of the schema `queue`, and nothing lives in a process that another could not take over.
//!
//! | verb | where | what |
//! |---|---|---|
//! | enqueue | [`enqueue()`] | stores jobs, alone or waiting on others |
//! | claim | [`claim`] | takes a batch for a worker that holds a lease: lanes by fair share, within their limits |
//! | mark | [`claim::mark`] | writes into a job's row that it runs, once it does so for longer |
//! | run | [`worker::runner`] | calls the handler, with time-out, cancel and panics caught |
//! | finish | [`finish`] | commits outcomes, next jobs and released children together |
//! | order | [`workflow`] | jobs that wait on jobs: their graph, and what the end of one does to the others |
//! | cancel, retry | [`control`] | what people do to single jobs |
//! | retry, cancel, delete | [`bulk`] | what people do to all jobs that a filter takes |
//! | backfill | [`backfill`] | a range as an object, which becomes jobs piece by piece |
//! | tell | [`telemetry::pulse`], [`telemetry::failures`] | how runs went, by minute, and what failures have in common |
//! | lead | [`maintenance::leader`] | one host among many, by a lease |
//! | schedule | [`schedule`] | enqueues by the clock, each tick once |
//! | promote, rescue, prune | [`maintenance`] | upkeep |
//!
//! [`Host`] is one worker process, [`worker::backend::QueueBackend`] its link to apalis.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use weirgate_queue::{Job, JobContext, JobError, NewJob, enqueue};
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
//!
//! # async fn example(pool: sqlx::PgPool, tenant: uuid::Uuid) -> Result<(), Box<dyn std::error::Error>> {
//! let mut tx = pool.begin().await?;
//! let job = NewJob::of(tenant, &Greet { name: "Ada".to_owned() })?;
//! let enqueued = enqueue(&mut tx, vec![job]).await?;
//! tx.commit().await?;
//! println!("{} is on its way", enqueued[0].id);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

pub mod backfill;
pub mod bulk;
pub mod claim;
pub mod control;
pub mod database;
pub mod enqueue;
pub mod error;
pub mod finish;
pub mod job;
pub mod lanes;
pub mod maintenance;
pub mod read;
pub mod schedule;
pub mod telemetry;
pub mod worker;
pub mod workflow;

pub use enqueue::{Enqueued, NewJob, OnFailure, enqueue};
pub use error::{QueueError, Result};
pub use job::registry::{Kinds, Registry};
pub use job::state::JobState;
pub use job::{Job, JobContext, JobError};
pub use worker::concurrency::Concurrency;
pub use worker::host::{Host, HostConfig};
pub use workflow::Workflow;
