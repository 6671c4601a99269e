//! A file of a million tickets, ingested by one job of one worker process.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use chrono::NaiveDate;
use serde_json::Value;
use weirgate_identity::Tenant;
use weirgate_msp::IngestTickets;
use weirgate_msp::mock_data::{self, Generate, Layout};
use weirgate_queue::{NewJob, enqueue};

use super::process::{Memory, Process};
use super::report::Report;
use super::stage::Stage;

const ROWS: usize = 1_000_000;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("ingest");
    let folder = stage.folder.join("mock-data");
    let bytes = write_file(&folder)?;
    let tenant = store_tenant(stage, &folder).await?;
    let worker = Process::start_worker(stage, &[]).await?;
    let seconds = ingest(stage, &tenant).await?;
    let peak = worker.memory_mb(Memory::Peak);
    worker.stop().await?;
    report.figure("rows_per_s", f64::from(u32::try_from(ROWS)?) / seconds);
    if let Some(peak) = peak {
        report.figure("peak_mb", peak);
    }
    report.setting("rows", ROWS);
    report.setting("file_bytes", bytes);
    report.setting("jobs", 1);
    Ok(report)
}

/// The mock data of one tenant: tickets of a year.
fn write_file(folder: &Path) -> anyhow::Result<u64> {
    let written = mock_data::generate(&Generate {
        out: folder.to_owned(),
        tenants: 1,
        tickets: ROWS,
        time_entries: 0,
        surveys: 0,
        alerts: 0,
        days: 365,
        until: NaiveDate::from_ymd_opt(2025, 12, 31).context("a day")?,
        seed: 1,
        bad_rows: 0,
        layout: Layout::Jsonl,
        force: false,
    })?;
    Ok(written.bytes)
}

/// Stores the tenant of the mock data.
async fn store_tenant(stage: &Stage, folder: &Path) -> anyhow::Result<Tenant> {
    let tenants: Value = serde_json::from_slice(&std::fs::read(folder.join("tenants.json"))?)?;
    let mut conn = stage.pool.acquire().await?;
    let slug: String = sqlx::query_scalar(
        "insert into identity.tenants (id, slug, name, time_zone)
         select id, slug, name, time_zone
         from jsonb_to_recordset($1) as t (id uuid, slug text, name text, time_zone text)
         returning slug",
    )
    .bind(tenants)
    .fetch_one(&mut *conn)
    .await?;
    Tenant::find(&mut conn, &slug).await?.context("the tenant was just stored")
}

/// Seconds from the job's start to its end; fails unless every row was taken.
async fn ingest(stage: &Stage, tenant: &Tenant) -> anyhow::Result<f64> {
    let mut tx = stage.pool.begin().await?;
    let job = NewJob::of(tenant.id, &IngestTickets { tenant: tenant.into() })?;
    let job = enqueue(&mut tx, vec![job]).await?[0].id;
    tx.commit().await?;
    let ended = loop {
        let (status, seconds): (String, Option<f64>) = sqlx::query_as(
            "select state::text, extract(epoch from finalized_at - attempted_at)::float8
             from queue.jobs where id = $1",
        )
        .bind(job)
        .fetch_one(&stage.pool)
        .await?;
        match (status.as_str(), seconds) {
            ("completed", Some(seconds)) => break seconds,
            ("available" | "running", _) => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => anyhow::bail!("the ingest is {status}"),
        }
    };
    let (rows, rejects): (i64, i64) = sqlx::query_as(
        "select (select count(*) from msp.raw_tickets), (select count(*) from msp.ingest_rejects)",
    )
    .fetch_one(&stage.pool)
    .await?;
    anyhow::ensure!(
        rows == i64::try_from(ROWS)? && rejects == 0,
        "{rows} rows were taken, {rejects} rejected"
    );
    Ok(ended)
}
