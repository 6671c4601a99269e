//! How fast jobs come in: one by one, by ten at once, in bulk, and over HTTP, each durable before
//! it is acknowledged.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;
use weirgate_queue::{NewJob, enqueue};

use super::api::Api;
use super::client::Client;
use super::report::{Report, percentile_ms};
use super::stage::{Stage, tenants};
use super::work::Work;

const ENQUEUING: Duration = Duration::from_secs(4);
const PRODUCERS: usize = 10;
const BULK: usize = 100_000;
/// Jobs of one call.
const AT_ONCE: usize = 10_000;
const HTTP_CONNECTIONS: usize = 50;
const TENANTS: u128 = 50;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("enqueue");
    report.figure("single_per_s", singles(stage, 1).await?);
    report.figure("ten_per_s", singles(stage, PRODUCERS).await?);
    report.figure("bulk_per_s", bulk(stage).await?);
    let (rate, p99_ms) = http(stage).await?;
    report.figure("http_per_s", rate);
    report.figure("http_p99_ms", p99_ms);
    report.setting("tenants", json!(50));
    report.setting("single", "a connection, a job a transaction");
    report.setting("ten", "ten connections, a job a transaction");
    report.setting("bulk", json!({"jobs": BULK, "at_once": AT_ONCE, "connections": 2}));
    report.setting(
        "http",
        json!({"connections": HTTP_CONNECTIONS, "request": "POST /internal/kpi/compute-daily, unique jobs"}),
    );
    Ok(report)
}

fn job(tenant: Uuid) -> weirgate_queue::Result<NewJob> {
    Ok(NewJob::of(tenant, &Work { takes_ms: 0, slice: None })?.not_unique())
}

/// Jobs a second of so many producers, each job in a transaction of its own.
async fn singles(stage: &Stage, producers: usize) -> anyhow::Result<f64> {
    stage.clear().await?;
    let pool = stage.connections_of(producers);
    let begun = Instant::now();
    let mut producing = JoinSet::new();
    for _ in 0..producers {
        let mut conn = pool.acquire().await?;
        producing.spawn(async move {
            let mut jobs = 0_u32;
            for tenant in tenants(0, TENANTS).into_iter().cycle() {
                if begun.elapsed() > ENQUEUING {
                    break;
                }
                enqueue(&mut conn, vec![job(tenant)?]).await?;
                jobs += 1;
            }
            anyhow::Ok(jobs)
        });
    }
    let mut jobs = 0;
    while let Some(of_producer) = producing.join_next().await {
        jobs += of_producer??;
    }
    Ok(f64::from(jobs) / begun.elapsed().as_secs_f64())
}

/// Jobs a second through two connections that share 100,000.
async fn bulk(stage: &Stage) -> anyhow::Result<f64> {
    stage.clear().await?;
    let pool = stage.connections_of(2);
    let begun = Instant::now();
    let mut producing = JoinSet::new();
    for _ in 0..2 {
        producing.spawn(fill(pool.clone(), BULK / 2));
    }
    while let Some(filled) = producing.join_next().await {
        filled??;
    }
    Ok(f64::from(u32::try_from(BULK)?) / begun.elapsed().as_secs_f64())
}

async fn fill(pool: PgPool, jobs: usize) -> anyhow::Result<()> {
    let tenants = tenants(0, TENANTS);
    let mut conn = pool.acquire().await?;
    for _ in 0..jobs / AT_ONCE {
        let jobs = tenants.iter().cycle().take(AT_ONCE).map(|tenant| job(*tenant));
        enqueue(&mut conn, jobs.collect::<Result<_, _>>()?).await?;
    }
    Ok(())
}

/// Requests a second, each answered after its job was committed, and their p99.
async fn http(stage: &Stage) -> anyhow::Result<(f64, f64)> {
    stage.clear().await?;
    sqlx::query(
        "insert into identity.tenants (id, slug, name)
         select id, 'tenant_bench_' || n, 'Tenant ' || n from unnest($1) with ordinality as t (id, n)",
    )
    .bind(tenants(0, TENANTS))
    .execute(&stage.pool)
    .await?;
    let api = Api::start(stage).await?;
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for number in 1..=HTTP_CONNECTIONS {
        let (mut client, service) = (Client::connect(api.address).await?, api.service.clone());
        asking.spawn(async move {
            let mut took = Vec::new();
            let mut days = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap_or_default().iter_days();
            while let Some(day) = days.next()
                && begun.elapsed() < ENQUEUING
            {
                let path = format!("/internal/kpi/compute-daily?tenant_id=tenant_bench_{number}&date={day}");
                let asked = Instant::now();
                client.post(&path, &service).await?;
                took.push(asked.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(of_one) = asking.join_next().await {
        took.extend(of_one??);
    }
    let rate = f64::from(u32::try_from(took.len())?) / begun.elapsed().as_secs_f64();
    let jobs: i64 = sqlx::query_scalar("select count(*) from queue.jobs where kind = 'compute_kpi'")
        .fetch_one(&stage.pool)
        .await?;
    anyhow::ensure!(jobs == i64::try_from(took.len())?, "{jobs} jobs for {} answers", took.len());
    Ok((rate, percentile_ms(&mut took, 99)))
}
