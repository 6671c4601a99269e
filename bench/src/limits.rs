//! Rates and most-running over several worker processes, judged by the start times in the database.

use std::collections::HashMap;
use std::time::Duration;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;
use weirgate_queue::lanes::change::change_lane;
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{Gcra, LaneLimits, Rate};

use super::report::Report;
use super::stage::{Stage, tenants};
use super::work::spawn_worker;

const PROCESSES: usize = 4;
const SLOTS: usize = 50;
const RATE: Rate = Rate { rate: 20, period_ms: 1000, burst: 5 };
const MAX_RUNNING: u32 = 3;
const SECONDS: u32 = 15;

type Interval = (DateTime<Utc>, DateTime<Utc>);

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let rated = tenants(0, 50);
    let narrow = tenants(1000, 10);
    limit(stage, &rated, LaneLimits { rate: Some(RATE), ..LaneLimits::default() }).await?;
    limit(stage, &narrow, LaneLimits { max_running: Some(MAX_RUNNING), ..LaneLimits::default() }).await?;
    stage.fill("bench", &rated, i64::from(RATE.rate * (SECONDS + 10)), json!({"takes_ms": 2})).await?;
    stage.fill("bench", &narrow, 10_000, json!({"takes_ms": 20})).await?;
    let url = stage.url();
    let workers: Vec<_> = (0..PROCESSES).map(|_| spawn_worker(&url, SLOTS)).collect::<Result<_, _>>()?;
    tokio::time::sleep(Duration::from_secs(u64::from(SECONDS) + 2)).await;
    for mut worker in workers {
        // Its input ends, and so does it.
        drop(worker.stdin.take());
        worker.wait().await?;
    }
    let mut report = Report::new("limits");
    let starts = starts(stage, &rated).await?;
    report.figure(
        "over_admissions",
        count(starts.values().map(|starts| over_admissions(starts)).sum::<usize>()),
    );
    let fulfilment = starts.values().map(|starts| fulfilment(starts));
    report.figure("fulfilment_min", fulfilment.fold(f64::INFINITY, f64::min));
    report.figure("max_running_exceeded", count(exceeded(stage, &narrow).await?));
    report.figure("starts", count(starts.values().map(Vec::len).sum::<usize>()));
    report.setting("processes", PROCESSES);
    report.setting("slots", SLOTS);
    report.setting("tenants", 50);
    report.setting("rate", json!(RATE));
    report.setting("max_running", json!({"tenants": 10, "max_running": MAX_RUNNING, "takes_ms": 20}));
    report.setting("seconds", SECONDS);
    Ok(report)
}

async fn limit(stage: &Stage, tenants: &[Uuid], limits: LaneLimits) -> anyhow::Result<()> {
    let mut conn = stage.pool.acquire().await?;
    for tenant in tenants {
        let lane = LaneSettings { paused: false, limits: Some(limits) };
        change_lane(&mut conn, "bench", *tenant, lane.into()).await?;
    }
    Ok(())
}

async fn starts(stage: &Stage, tenants: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Vec<DateTime<Utc>>>> {
    let rows: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "select tenant_id, attempted_at from queue.jobs
         where tenant_id = any($1) and attempted_at is not null order by attempted_at",
    )
    .bind(tenants)
    .fetch_all(&stage.pool)
    .await?;
    let mut starts: HashMap<_, Vec<_>> = tenants.iter().map(|tenant| (*tenant, Vec::new())).collect();
    for (tenant, at) in rows {
        starts.entry(tenant).or_default().push(at);
    }
    Ok(starts)
}

/// Starts beyond what any window may hold: burst + rate × window.
fn over_admissions(starts: &[DateTime<Utc>]) -> usize {
    let interval = Gcra::new(RATE).interval_us();
    let mut over = 0;
    for (j, to) in starts.iter().enumerate() {
        let exceeds = |(i, from): (usize, &DateTime<Utc>)| {
            let window = (*to - *from).num_microseconds().unwrap_or(i64::MAX);
            (j - i + 1).saturating_as::<i64>() > i64::from(RATE.burst) + window / interval
        };
        over += usize::from(starts[..=j].iter().enumerate().any(exceeds));
    }
    over
}

/// Starts in the seconds after the first, against the rate.
fn fulfilment(starts: &[DateTime<Utc>]) -> f64 {
    let Some(first) = starts.first() else { return 0.0 };
    let from = *first + Duration::from_secs(1);
    let until = from + Duration::from_secs(u64::from(SECONDS) - 1);
    let started = starts.iter().filter(|at| (from..until).contains(at)).count();
    count(started) / f64::from(RATE.rate * (SECONDS - 1))
}

/// Starts at which a tenant had more running than it may.
async fn exceeded(stage: &Stage, tenants: &[Uuid]) -> anyhow::Result<usize> {
    let rows: Vec<(Uuid, DateTime<Utc>, Option<DateTime<Utc>>)> = sqlx::query_as(
        "select tenant_id, attempted_at, finalized_at from queue.jobs
         where tenant_id = any($1) and attempted_at is not null order by attempted_at",
    )
    .bind(tenants)
    .fetch_all(&stage.pool)
    .await?;
    let mut runs: HashMap<Uuid, Vec<Interval>> = HashMap::new();
    let mut exceeded = 0;
    for (tenant, from, until) in rows {
        let running = runs.entry(tenant).or_default();
        running.retain(|(_, until)| *until > from);
        running.push((from, until.unwrap_or(DateTime::<Utc>::MAX_UTC)));
        exceeded += usize::from(running.len() > MAX_RUNNING as usize);
    }
    Ok(exceeded)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(count: usize) -> f64 {
    count as f64
}
