//! The worker role: one apalis worker a queue, until told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use apalis::layers::catch_panic::CatchPanicLayer;
use apalis::prelude::{Monitor, ParallelizeExt, WorkerBuilder};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use weirgate_queue::{Host, HostConfig, Registry};

use crate::systemd;

/// How often a worker tries to register before its process ends with the reason.
const REGISTRATIONS: u32 = 5;

/// How a worker process runs.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// How long running jobs may take to end after the signal to stop; then they are handed back.
    pub grace: Duration,
    /// Jobs at once, lease, polling, and what the worker says of itself.
    pub host: HostConfig,
}

/// Runs the jobs of `registry` until `shutdown`: then claims nothing more, lets running jobs end within the grace
/// period, and hands the rest back at once. When it is told to drain, running jobs have all the time they need.
///
/// # Errors
/// When the database cannot be reached at the start, tried several times, or apalis' monitor fails.
pub async fn run<A: Send + Sync + 'static>(
    pool: PgPool,
    registry: Arc<Registry<A>>,
    options: WorkerOptions,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let host =
        register(&pool, &registry, &options.host, &shutdown).await.context("registering the worker")?;
    systemd::ready();
    let mut monitor = Monitor::new();
    for queue in registry.queues() {
        let host = host.clone();
        monitor = monitor.register(move |_restarts| {
            WorkerBuilder::new(queue)
                .backend(host.backend(queue))
                .parallelize(tokio::spawn)
                .layer(CatchPanicLayer::new())
                .build(host.runner())
        });
    }
    let hand_back = tokio::spawn(hand_back_overdue(host.clone(), shutdown.clone(), options.grace));
    let stop = {
        let host = host.clone();
        async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = host.told_to_drain() => {}
            }
            host.drain();
            Ok(())
        }
    };
    let ended = monitor.run_with_signal(stop).await;
    hand_back.abort();
    host.close().await.context("giving the worker's lease up")?;
    ended.map_err(|error| anyhow::anyhow!("the worker's monitor failed: {error}"))
}

/// A database that goes away at just this moment is most often back soon.
async fn register<A: Send + Sync + 'static>(
    pool: &PgPool,
    registry: &Arc<Registry<A>>,
    config: &HostConfig,
    shutdown: &CancellationToken,
) -> weirgate_queue::Result<Host<A>> {
    for _ in 1..REGISTRATIONS {
        match Host::start(pool.clone(), registry.clone(), config.clone()).await {
            Err(error) if !shutdown.is_cancelled() => {
                tracing::warn!(%error, "could not register the worker; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            started => return started,
        }
    }
    Host::start(pool.clone(), registry.clone(), config.clone()).await
}

async fn hand_back_overdue<A: Send + Sync + 'static>(
    host: Host<A>,
    shutdown: CancellationToken,
    grace: Duration,
) {
    shutdown.cancelled().await;
    tokio::time::sleep(grace).await;
    tracing::warn!("handing back the jobs that did not end within {grace:?}");
    host.hand_back_running();
}
