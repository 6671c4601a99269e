//! The production worker, in this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weirgate_queue::{Kinds, Registry, Worker, WorkerConfig};

use crate::{Probe, Step, StepSlices, TestDb};

pub struct TestWorker {
    stop: CancellationToken,
    task: JoinHandle<weirgate_queue::Result<()>>,
}

impl TestWorker {
    pub fn start(db: &TestDb, probe: &Arc<Probe>) -> Self {
        Self::start_with(db, probe, |_| {})
    }

    pub fn start_with(db: &TestDb, probe: &Arc<Probe>, adjust: impl FnOnce(&mut WorkerConfig)) -> Self {
        Self::start_jobs(db, registry(probe.clone()), adjust)
    }

    /// Runs the jobs of any registry.
    pub fn start_jobs(db: &TestDb, jobs: Arc<Registry>, adjust: impl FnOnce(&mut WorkerConfig)) -> Self {
        let mut config = WorkerConfig {
            concurrency: 4.into(),
            grace: Duration::from_secs(10),
            poll_interval: Duration::from_millis(100),
            cancel_grace: Duration::from_millis(300),
            ..WorkerConfig::new("test", "0", 1)
        };
        adjust(&mut config);
        let stop = CancellationToken::new();
        let task = tokio::spawn(Worker::run(db.pool.clone(), jobs, config, stop.clone()));
        Self { stop, task }
    }

    /// As SIGTERM does; returns when the worker has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }

    pub fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    pub async fn ended(self) {
        tokio::time::timeout(Duration::from_secs(30), self.task)
            .await
            .expect("the worker ends")
            .expect("the worker does not panic")
            .expect("the worker ends without an error");
    }
}

/// Steps, and backfills of steps.
pub fn registry(probe: Arc<Probe>) -> Arc<Registry> {
    Arc::new(Kinds::default().with::<Step>().run_with(probe).with_slices(Arc::new(StepSlices::default())))
}
