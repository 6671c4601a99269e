//! Worker processes, up and waiting for jobs.

use std::time::Duration;

use anyhow::ensure;
use sqlx::PgPool;
use tokio::process::Child;
use tokio::time::Instant;

use super::stage::Stage;
use super::work::spawn_worker;

const START_LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Fleet(Vec<Child>);

impl Fleet {
    /// Returns when `workers` processes of `slots` jobs at once have polled the queue and wait.
    pub(super) async fn start(stage: &Stage, workers: usize, slots: usize) -> anyhow::Result<Self> {
        let url = stage.url();
        let fleet = Self((0..workers).map(|_| spawn_worker(&url, slots)).collect::<Result<_, _>>()?);
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let up = workers_up(&stage.pool).await?;
            if up >= i64::try_from(workers)? {
                break;
            }
            ensure!(Instant::now() < deadline, "{up} of {workers} workers came up in {START_LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(fleet)
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        self.0.iter().filter_map(Child::id).collect()
    }

    /// Their input ends, and so do they.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        for mut worker in self.0 {
            drop(worker.stdin.take());
            worker.wait().await?;
        }
        Ok(())
    }
}

/// Workers that hold a lease.
pub(super) async fn workers_up(pool: &PgPool) -> anyhow::Result<i64> {
    let sql = "select count(*) from queue.workers where lease_until > queue.now()";
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}
