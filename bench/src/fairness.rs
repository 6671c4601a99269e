//! Light tenants beside a heavy one, and shares by weight.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;
use weirgate_queue::lanes::LaneLimits;
use weirgate_queue::lanes::change::change_lane;
use weirgate_queue::lanes::settings::LaneSettings;

use super::light::{self, Light};
use super::report::{Report, percentile_ms};
use super::stage::{Stage, tenants};
use super::work::{Starts, Worker};

const HEAVY_JOBS: i64 = 1_000_000;
const LIGHT: Light = Light { tenants: 100, every: Duration::from_millis(100), ticks: 100 };
const SLOTS: usize = 16;
const WORKERS: usize = 2;
const WEIGHTS: [f64; 8] = [1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 8.0];
const SHARE_SECONDS: u64 = 10;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("fairness");
    let mut alone = light_latencies(stage, false).await?;
    let mut beside = light_latencies(stage, true).await?;
    report.figure("light_p50_ms", percentile_ms(&mut beside, 50));
    report.figure("light_p99_ms", percentile_ms(&mut beside, 99));
    report.figure("light_p50_ms_alone", percentile_ms(&mut alone, 50));
    report.figure("light_p99_ms_alone", percentile_ms(&mut alone, 99));
    let (error, jain) = shares(stage).await?;
    report.figure("share_error_max", error);
    report.figure("jain", jain);
    report.setting("heavy_jobs", HEAVY_JOBS);
    report.setting("light_tenants", 100);
    report.setting("light_every_ms", 100);
    report.setting("slots", json!({"workers": WORKERS, "each": SLOTS}));
    report.setting("takes_ms", light::WORK.takes_ms);
    report.setting("weights", json!(WEIGHTS));
    report.setting("share_seconds", SHARE_SECONDS);
    Ok(report)
}

/// From commit to the handler's first line, for a job of each light tenant every 100 ms.
async fn light_latencies(stage: &Stage, with_heavy: bool) -> anyhow::Result<Vec<Duration>> {
    stage.clear().await?;
    if with_heavy {
        stage.fill("bench", &tenants(0, 1), HEAVY_JOBS, json!(light::WORK)).await?;
    }
    let starts = Arc::new(Starts::default());
    let workers: Vec<_> =
        (0..WORKERS).map(|_| Worker::start(stage.connections(), starts.clone(), SLOTS)).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let latencies = light::latencies(&stage.pool, &starts, &tenants(1, LIGHT.tenants.into()), &LIGHT).await?;
    for worker in workers {
        worker.stop().await?;
    }
    Ok(latencies)
}

/// The largest error of received against due by weight, and Jain's index of received by weight
/// (Jain, Chiu, Hawe 1984: (Σx)² / (n Σx²)).
async fn shares(stage: &Stage) -> anyhow::Result<(f64, f64)> {
    stage.clear().await?;
    let tenants = tenants(0, WEIGHTS.len() as u128);
    let mut conn = stage.pool.acquire().await?;
    for (tenant, weight) in tenants.iter().zip(WEIGHTS) {
        let limits = Some(LaneLimits { weight, ..LaneLimits::default() });
        change_lane(&mut conn, "bench", *tenant, LaneSettings { paused: false, limits }.into()).await?;
    }
    drop(conn);
    stage.fill("bench", &tenants, 20_000, json!(light::WORK)).await?;
    let workers: Vec<_> =
        (0..WORKERS).map(|_| Worker::start(stage.connections(), Arc::default(), SLOTS)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = received(stage).await?;
    tokio::time::sleep(Duration::from_secs(SHARE_SECONDS)).await;
    let after = received(stage).await?;
    for worker in workers {
        worker.stop().await?;
    }
    let received: Vec<f64> = tenants
        .iter()
        .map(|tenant| after[tenant] - before.get(tenant).copied().unwrap_or_default())
        .collect();
    let (all, weights): (f64, f64) = (received.iter().sum(), WEIGHTS.iter().sum());
    let errors =
        received.iter().zip(WEIGHTS).map(|(got, weight)| (got / (all * weight / weights) - 1.0).abs());
    let by_weight: Vec<f64> = received.iter().zip(WEIGHTS).map(|(got, weight)| got / weight).collect();
    let sum: f64 = by_weight.iter().sum();
    let squares: f64 = by_weight.iter().map(|x| x * x).sum();
    let lanes: f64 = by_weight.iter().map(|_| 1.0).sum();
    Ok((errors.fold(0.0, f64::max), sum * sum / (lanes * squares)))
}

async fn received(stage: &Stage) -> anyhow::Result<HashMap<Uuid, f64>> {
    let rows: Vec<(Uuid, f64)> = sqlx::query_as(
        "select tenant_id, count(*)::float8 from queue.jobs where attempted_at is not null group by 1",
    )
    .fetch_all(&stage.pool)
    .await?;
    Ok(rows.into_iter().collect())
}
