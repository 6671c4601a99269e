//! A year of KPIs of many tenants, as a backfill, by one worker process.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use uuid::Uuid;
use weirgate_msp::BackfillKind;
use weirgate_queue::backfill::{self, BackfillSettings};
use weirgate_web::backfill::{BackfillOrder, BackfillRange, Reprocess};

use super::kpi_data::{self, Amounts};
use super::process::Process;
use super::report::Report;
use super::stage::{Stage, tenants};

const TENANTS: u32 = 20;
const DAYS: u32 = 365;
const AMOUNTS: Amounts = Amounts { tickets: 1_000_000, time_entries: 1_000_000, surveys: 100_000 };

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("kpi");
    let range = range()?;
    kpi_data::fill(stage, &range, &AMOUNTS).await?;
    let worker = Process::start_worker(stage, &[]).await?;
    let seconds = backfill(stage, &range).await?;
    worker.stop().await?;
    kpi_data::check(stage, &range).await?;
    report.figure("days_per_s", f64::from(TENANTS * DAYS) / seconds);
    report.setting("tenants", TENANTS);
    report.setting("days", DAYS);
    report.setting("tickets", AMOUNTS.tickets);
    report.setting("time_entries", AMOUNTS.time_entries);
    report.setting("surveys", AMOUNTS.surveys);
    report.setting("workers", 1);
    Ok(report)
}

fn range() -> anyhow::Result<BackfillRange> {
    let from = NaiveDate::from_ymd_opt(2025, 1, 1).ok_or_else(|| anyhow::anyhow!("a day"))?;
    Ok(BackfillRange {
        tenants: tenants(0, TENANTS.into()),
        from,
        to: from + Days::new(u64::from(DAYS) - 1),
        order: BackfillOrder::default(),
        reprocess: Reprocess::default(),
    })
}

/// Seconds from the order to the end of its last job.
async fn backfill(stage: &Stage, range: &BackfillRange) -> anyhow::Result<f64> {
    let id = Uuid::now_v7();
    let mut tx = stage.pool.begin().await?;
    let kind = BackfillKind::ComputeKpi.describe();
    let new = kind.backfill(&mut tx, range, None, 0, BackfillSettings::default(), None).await?;
    backfill::create(&mut tx, id, &new).await?;
    tx.commit().await?;
    let over = "select finished_at is not null from queue.backfills where id = $1";
    while !sqlx::query_scalar::<_, bool>(over).bind(id).fetch_one(&stage.pool).await? {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (completed, seconds): (i64, f64) = sqlx::query_as(
        "select count(*), extract(epoch from max(j.finalized_at) - min(b.created_at))::float8
         from queue.jobs j join queue.backfills b on b.id = j.backfill_id
         where j.backfill_id = $1 and j.state = 'completed'",
    )
    .bind(id)
    .fetch_one(&stage.pool)
    .await?;
    anyhow::ensure!(completed.unsigned_abs() == range.total(), "{completed} jobs were completed");
    Ok(seconds)
}
