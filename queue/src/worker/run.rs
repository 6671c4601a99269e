//! A worker process from its registration to its end: one apalis worker for each queue.

use std::sync::Arc;

use apalis::layers::catch_panic::CatchPanicLayer;
use apalis::prelude::{Monitor, ParallelizeExt, WorkerBuilder};
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::error::{QueueError, Result};
use crate::job::registry::Registry;
use crate::worker::{Worker, WorkerConfig};

impl Worker {
    /// Runs the jobs of `registry` until `shutdown` is cancelled: [`start`](Self::start), and then
    /// [`run_until`](Self::run_until).
    ///
    /// # Errors
    /// When the process cannot be registered, when apalis' monitor fails, or when the lease cannot
    /// be released at the end.
    pub async fn run(
        pool: PgPool,
        registry: Arc<Registry>,
        config: WorkerConfig,
        shutdown: CancellationToken,
    ) -> Result<()> {
        Self::start(pool, registry, config, &shutdown).await?.run_until(shutdown).await
    }

    /// Works until `shutdown` is cancelled: then the process claims nothing more, lets running jobs
    /// end within the grace period, and hands the rest back at once. A process that is asked to
    /// drain through the database ends in the same way, except that its running jobs have all the
    /// time they need.
    ///
    /// # Errors
    /// When apalis' monitor fails, or when the lease cannot be released at the end.
    pub async fn run_until(self, shutdown: CancellationToken) -> Result<()> {
        self.run_monitor(shutdown).await
    }

    /// Boxed, so that this crate compiles what runs here, and not each program that has a worker.
    fn run_monitor(self, shutdown: CancellationToken) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.monitor(shutdown))
    }

    async fn monitor(self, shutdown: CancellationToken) -> Result<()> {
        let mut monitor = Monitor::new();
        for queue in self.registry().queues() {
            let worker = self.clone();
            monitor = monitor.register(move |_restarts| {
                WorkerBuilder::new(queue)
                    .backend(worker.backend(queue))
                    .parallelize(tokio::spawn)
                    .layer(CatchPanicLayer::new())
                    .build(worker.runner())
            });
        }
        let hand_back = tokio::spawn(self.clone().hand_back_overdue(shutdown.clone()));
        let stop = {
            let worker = self.clone();
            async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = worker.drain_requested() => {}
                }
                worker.drain();
                Ok(())
            }
        };
        let ended = monitor.run_with_signal(stop).await;
        hand_back.abort();
        self.close().await?;
        ended.map_err(|error| QueueError::Monitor(error.to_string()))
    }

    /// Hands back what still runs when the grace period is over.
    async fn hand_back_overdue(self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
        let grace = self.config().grace;
        tokio::time::sleep(grace).await;
        tracing::warn!("handing back the jobs that did not end within {grace:?}");
        self.hand_back_running();
    }
}
