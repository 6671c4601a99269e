//! The worker role: the engine's worker, and word to systemd once it is registered.

use std::sync::Arc;

use anyhow::Context;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use weirgate_queue::{Registry, Worker, WorkerConfig};

use crate::systemd;

/// Runs the jobs of `registry` until `shutdown`, as [`Worker::run`] does.
///
/// # Errors
/// When the database cannot be reached at the start or at the end, or apalis' monitor fails.
pub async fn run(
    pool: PgPool,
    registry: Arc<Registry>,
    config: WorkerConfig,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let worker = Worker::start(pool, registry, config, &shutdown).await.context("registering the worker")?;
    systemd::ready();
    worker.run_until(shutdown).await.context("ending the worker")
}
