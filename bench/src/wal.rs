//! What a job writes: bytes of WAL and commits, from its enqueue until it is finished.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use sqlx::{Connection as _, PgPool};
use weirgate_queue::{NewJob, enqueue};

use super::fleet::Fleet;
use super::meter::{Meter, Spent};
use super::outcome::all_done;
use super::report::Report;
use super::stage::{Stage, tenants};
use super::work::Work;

const JOBS: u32 = 20_000;
const TENANTS: u128 = 50;
/// How ordinary clients enqueue, and how imports do.
const FEW: usize = 10;
const MANY: usize = 1_000;
const WORK: Work = Work { takes_ms: 0, slice: None };
const SLOTS: usize = 500;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("wal");
    let bulk = enqueued(stage, MANY).await?;
    let few = enqueued(stage, FEW).await?;
    let run = worked_off(stage).await?;
    let a_job = |count: f64| count / f64::from(JOBS);
    report.figure("wal_bytes_per_job", a_job(few.wal_bytes + run.wal_bytes));
    report.figure("wal_bytes_per_job_enqueue", a_job(few.wal_bytes));
    report.figure("wal_bytes_per_job_run", a_job(run.wal_bytes));
    report.figure("wal_bytes_per_job_bulk", a_job(bulk.wal_bytes));
    report.figure("commits_per_job", a_job(few.commits + run.commits));
    report.figure("commits_per_job_enqueue", a_job(few.commits));
    report.figure("commits_per_job_run", a_job(run.commits));
    report.setting("jobs", JOBS);
    report.setting("tenants", json!(50));
    report.setting("unique", false);
    report.setting("batch", json!({"enqueue": FEW, "bulk": MANY}));
    report.setting("slots", json!({"workers": 1, "each": SLOTS}));
    report.setting("commits", "of all transactions, also of those that write nothing, such as looks");
    for setting in ["full_page_writes", "wal_level", "wal_compression"] {
        let value: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&stage.pool).await?;
        report.setting(setting, value);
    }
    report.setting("checkpoint", "before the enqueue, none between it and the run");
    Ok(report)
}

/// What it costs to enqueue all jobs, so many in a transaction.
async fn enqueued(stage: &Stage, batch: usize) -> anyhow::Result<Spent> {
    stage.clear().await?;
    // Whole pages are written at their first change after a checkpoint.
    sqlx::raw_sql("checkpoint").execute(&stage.pool).await?;
    let meter = Meter::begin(&stage.pool, &[]).await?;
    let connections = stage.connections_of(1);
    offer(&connections, batch).await?;
    let stopped = meter.stop().await?;
    connections.close().await;
    stopped.spent().await
}

async fn offer(connections: &PgPool, batch: usize) -> anyhow::Result<()> {
    let mut conn = connections.acquire().await?;
    let all: Vec<_> = tenants(0, TENANTS).into_iter().cycle().take(usize::try_from(JOBS)?).collect();
    for tenants in all.chunks(batch) {
        let jobs = tenants.iter().map(|tenant| Ok(NewJob::of(*tenant, &WORK)?.not_unique()));
        let mut tx = conn.begin().await?;
        enqueue(&mut tx, jobs.collect::<anyhow::Result<_>>()?).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// What it costs to run them, by one worker process, from its start on.
async fn worked_off(stage: &Stage) -> anyhow::Result<Spent> {
    let meter = Meter::begin(&stage.pool, &[]).await?;
    let fleet = Fleet::start(stage, 1, SLOTS).await?;
    all_done(stage).await?;
    let stopped = meter.stop().await?;
    fleet.stop().await?;
    // What the worker's sessions have not reported yet, they do as they end.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let once: i64 = sqlx::query_scalar(
        "select count(*) from queue.jobs where state = 'completed' and run = 1 and attempt = 1",
    )
    .fetch_one(&stage.pool)
    .await?;
    ensure!(once == i64::from(JOBS), "{once} of {JOBS} jobs were completed in one run");
    stopped.spent().await
}
