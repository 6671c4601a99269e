//! What processes take that do nothing or a thousand jobs at once, and how soon the API answers.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::Context;
use weirgate_msp::IngestTickets;
use weirgate_queue::{NewJob, enqueue};
use weirgate_web::tls::http_client;

use super::process::{Memory, Process};
use super::report::{Report, percentile_ms};
use super::stage::{Stage, tenants};
use super::upstream::Upstream;

/// Jobs at once, each of a tenant of its own, and rows that each ingests.
const JOBS: usize = 1000;
const ROWS: usize = 20;
const PATIENCE: Duration = Duration::from_mins(1);
/// Starts of the API; the median counts.
const STARTS: usize = 9;
/// After this an idle process has been through its upkeep a few times.
const IDLE: Duration = Duration::from_secs(15);

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("footprint");
    report.figure("serve_start_ms", serve_start_ms(stage).await?);
    if let Some(idle) = up_idle_mb(stage).await? {
        report.figure("up_idle_mb", idle);
    }
    if let Some(peak) = worker_busy_mb(stage).await? {
        report.figure("worker_1000_jobs_mb", peak);
    }
    report.setting("starts", STARTS);
    report.setting("idle_s", IDLE.as_secs());
    report.setting("jobs", JOBS);
    report.setting("rows_each", ROWS);
    report.setting("kind", "ingest_tickets");
    Ok(report)
}

/// From the start of the process to its first answer that it is ready.
async fn serve_start_ms(stage: &Stage) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (serve, time) = ready(stage, "serve").await?;
        times.push(time);
        serve.stop().await?;
    }
    Ok(percentile_ms(&mut times, 50))
}

async fn up_idle_mb(stage: &Stage) -> anyhow::Result<Option<f64>> {
    let (up, _) = ready(stage, "up").await?;
    tokio::time::sleep(IDLE).await;
    let idle = up.memory_mb(Memory::Now);
    up.stop().await?;
    Ok(idle)
}

/// Starts `role` and asks it until it answers.
async fn ready(stage: &Stage, role: &str) -> anyhow::Result<(Process, Duration)> {
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
    let url = format!("http://{address}/health/ready");
    let client = http_client().no_proxy().build()?;
    let begun = Instant::now();
    let mut process = Process::start(stage, role, &[("WEIRGATE_LISTEN", &address)])?;
    loop {
        if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok((process, begun.elapsed()));
        }
        process.check(begun)?;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The most that a worker takes from its start on, with a thousand ingests at once in between that
/// wait for their upstream.
async fn worker_busy_mb(stage: &Stage) -> anyhow::Result<Option<f64>> {
    let slugs: Vec<String> = (1..=JOBS).map(|n| format!("bench_{n}")).collect();
    let upstream = Upstream::start(ROWS).await?;
    let accounts = stage.folder.join("sources.json");
    upstream.write_accounts(&accounts, &slugs)?;
    let settings = [
        ("WEIRGATE_CONCURRENCY", "1000"),
        ("MOCK_MODE", "false"),
        ("WEIRGATE_SOURCES", accounts.to_str().context("the home's name is no text")?),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let worker = Process::start_worker(stage, &settings).await?;
    enqueue_ingests(stage, &slugs).await?;
    let running = "select count(*) from queue.jobs where state = 'running'";
    let begun = Instant::now();
    while upstream.asked() < JOBS || count(stage, running).await? < JOBS {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "only {} jobs run at once", upstream.asked());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    upstream.answer();
    while count(stage, "select count(*) from queue.jobs where state = 'completed'").await? < JOBS {
        anyhow::ensure!(begun.elapsed() < 2 * PATIENCE, "not all jobs were completed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let peak = worker.memory_mb(Memory::Peak);
    worker.stop().await?;
    upstream.stop();
    let rows = count(stage, "select count(*) from msp.raw_tickets").await?;
    anyhow::ensure!(rows == JOBS * ROWS, "{rows} rows were taken, not {}", JOBS * ROWS);
    Ok(peak)
}

async fn enqueue_ingests(stage: &Stage, slugs: &[String]) -> anyhow::Result<()> {
    let ids = tenants(0, JOBS as u128);
    let sql = "insert into identity.tenants (id, slug, name) select id, slug, slug from unnest($1::uuid[], $2::text[]) as t (id, slug)";
    sqlx::query(sql).bind(&ids).bind(slugs).execute(&stage.pool).await?;
    let jobs = ids
        .iter()
        .map(|id| NewJob::of(*id, &IngestTickets { tenant: (*id).into() }))
        .collect::<Result<_, _>>()?;
    let mut tx = stage.pool.begin().await?;
    enqueue(&mut tx, jobs).await?;
    tx.commit().await?;
    Ok(())
}

async fn count(stage: &Stage, sql: &'static str) -> anyhow::Result<usize> {
    Ok(usize::try_from(sqlx::query_scalar::<_, i64>(sql).fetch_one(&stage.pool).await?)?)
}
