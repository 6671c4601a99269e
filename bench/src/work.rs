//! The job of the measurements, and the workers that run it.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use weirgate_queue::{Job, JobContext, JobError, Kinds, Registry, WorkerConfig};

/// Takes its time and does nothing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) takes_ms: u64,
    /// Which slice of a backfill it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slice: Option<u64>,
}

/// When jobs of this process started, for those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Starts(Mutex<HashMap<Uuid, Instant>>);

impl Starts {
    pub(super) fn take(&self) -> HashMap<Uuid, Instant> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Job for Work {
    const KIND: &'static str = "bench";
    const QUEUE: &'static str = "bench";
    type App = Starts;
    type Output = ();

    async fn run(&self, ctx: &JobContext<Starts>) -> Result<(), JobError> {
        ctx.app.0.lock().insert(ctx.job_id(), Instant::now());
        if self.takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.takes_ms)).await;
        }
        Ok(())
    }
}

/// A worker in this process.
pub(super) struct Worker {
    stop: CancellationToken,
    task: JoinHandle<weirgate_queue::Result<()>>,
}

impl Worker {
    pub(super) fn start(pool: PgPool, starts: Arc<Starts>, slots: usize) -> Self {
        Self::run(pool, Kinds::default().with::<Work>().run_with(starts), slots)
    }

    pub(super) fn run(pool: PgPool, registry: Registry, slots: usize) -> Self {
        let stop = CancellationToken::new();
        let task =
            tokio::spawn(weirgate_queue::Worker::run(pool, Arc::new(registry), config(slots), stop.clone()));
        Self { stop, task }
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }
}

fn config(slots: usize) -> WorkerConfig {
    let (concurrency, grace) = (slots.into(), Duration::from_secs(5));
    WorkerConfig { concurrency, grace, ..WorkerConfig::new("bench", env!("CARGO_PKG_VERSION"), 1) }
}

/// A worker as a process of its own: this program once more.
pub(super) fn spawn_worker(url: &str, slots: usize) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("finding this program")?;
    Command::new(program)
        .args(["bench-worker", "--slots", &slots.to_string()])
        .env("DATABASE_URL", url)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting a worker process")
}

/// What such a process does on the service's connections: it works until its standard input ends.
///
/// # Errors
/// When the worker cannot be registered, or fails.
pub async fn run_worker(pool: PgPool, slots: usize) -> anyhow::Result<()> {
    let worker = Worker::start(pool, Arc::default(), slots);
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    worker.stop().await
}
