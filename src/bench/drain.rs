//! A backlog worked off by worker processes as fast as they can, against the floor of the same run.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use weirgate_queue::lanes::limits::pause_queue;

use super::floor;
use super::report::Report;
use super::stage::{Stage, tenants};
use super::work::spawn_worker;

const JOBS: i64 = 100_000;
const TENANTS: u128 = 50;
/// Jobs at once in each worker: its slots, as no-op jobs need no more than the claims can bring.
pub(super) const SLOTS: usize = 2000;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("drain");
    let one = drain(stage, JOBS, 1).await?;
    let two = drain(stage, JOBS, 2).await?;
    let (floor, with) = floor::claim_finish(stage).await?;
    report.figure("jobs_per_s_1", one);
    report.figure("jobs_per_s_2", two);
    report.figure("floor_per_s", floor);
    report.figure("floor_ratio", one.max(two) / floor);
    report.setting("jobs", JOBS);
    report.setting("tenants", json!(50));
    report.setting("slots", SLOTS);
    report.setting("floor", with);
    Ok(report)
}

/// Jobs a second of `jobs` of 50 tenants through so many worker processes, from the word to the last finish.
pub(super) async fn drain(stage: &Stage, jobs: i64, workers: usize) -> anyhow::Result<f64> {
    stage.clear().await?;
    let tenants = tenants(0, TENANTS);
    stage.fill("bench", &tenants, jobs / i64::try_from(TENANTS)?, json!({"takes_ms": 0})).await?;
    pause(&stage.pool, true).await?;
    let url = stage.url();
    let mut running: Vec<_> = (0..workers).map(|_| spawn_worker(&url, SLOTS)).collect::<Result<_, _>>()?;
    while workers_up(&stage.pool).await? < i64::try_from(workers)? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // They have looked at the queue and wait.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun: f64 = sqlx::query_scalar("select extract(epoch from clock_timestamp())::float8")
        .fetch_one(&stage.pool)
        .await?;
    pause(&stage.pool, false).await?;
    // Seldom, as this reads jobs; when the last one ended is in its row.
    while unfinished(&stage.pool).await? {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (completed, ended): (i64, f64) = sqlx::query_as(
        "select count(*), extract(epoch from max(finalized_at))::float8 from queue.jobs where state = 'completed'",
    )
    .fetch_one(&stage.pool)
    .await?;
    for worker in &mut running {
        drop(worker.stdin.take());
        worker.wait().await?;
    }
    anyhow::ensure!(completed == jobs, "{completed} of {jobs} jobs were completed");
    Ok(f64::from(u32::try_from(completed)?) / (ended - begun))
}

async fn pause(pool: &PgPool, paused: bool) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    pause_queue(&mut tx, "bench", paused).await?;
    tx.commit().await?;
    Ok(())
}

async fn workers_up(pool: &PgPool) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from queue.workers").fetch_one(pool).await?)
}

async fn unfinished(pool: &PgPool) -> anyhow::Result<bool> {
    let sql = "select exists (select from queue.jobs where state in ('available', 'running'))";
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}
