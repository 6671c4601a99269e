//! Ten million jobs of the last days.

use anyhow::Context;
use axum::http::HeaderValue;
use chrono::{Days, NaiveDate};
use uuid::Uuid;
use weirgate_identity::keys;
use weirgate_identity::platform::{self, Role};
use weirgate_msp::BackfillKind;
use weirgate_queue::backfill::{self, BackfillSettings};
use weirgate_web::backfill::{BackfillOrder, BackfillRange, Reprocess};

use crate::client::Credential;
use crate::fill::Past;
use crate::stage::{Stage, tenants};

pub(super) const JOBS: i64 = 10_000_000;
pub(super) const TENANTS: u128 = 200;
pub(super) const BACKFILLS: usize = 20;
/// Who looks at the dashboard.
pub(super) const EMAIL: &str = "operator@example.com";
pub(super) const PASSWORD: &str = "for the benchmark only";
/// As many as the demo's kinds have, and a few of a rare one.
const KINDS: [(&str, &str, usize); 7] = [
    ("ingest", "ingest_tickets", 180),
    ("ingest", "ingest_time_entries", 180),
    ("ingest", "ingest_csat", 180),
    ("ingest", "ingest_security_alerts", 180),
    ("kpi", "compute_kpi", 180),
    ("export", "generate_export", 99),
    ("system", "bulk_jobs", 1),
];

/// What is asked for.
pub(super) struct Scene {
    pub(super) tenants: Vec<Uuid>,
    pub(super) backfills: Vec<Uuid>,
    /// Of the first tenant.
    pub(super) api_key: Credential,
    /// A discarded job.
    pub(super) job: Uuid,
    pub(super) workflow: Uuid,
}

impl Scene {
    pub(super) async fn set(stage: &Stage) -> anyhow::Result<Self> {
        let tenants = tenants(0, TENANTS);
        sqlx::query(
            "insert into identity.tenants (id, slug, name)
             select id, 'tenant_bench_' || n, 'Tenant ' || n from unnest($1) with ordinality as t (id, n)",
        )
        .bind(&tenants)
        .execute(&stage.pool)
        .await?;
        let key =
            keys::create(&mut *stage.pool.acquire().await?, tenants[0], "bench", stage.secret()).await?;
        let (backfills, last_day) = backfills(stage, &tenants).await?;
        stage
            .fill_past(&Past {
                jobs: JOBS,
                tenants: &tenants,
                kinds: &KINDS,
                backfills: &backfills,
                last_day: Some(last_day),
                live: true,
            })
            .await?;
        let api_key = ("x-api-key".try_into()?, HeaderValue::try_from(key)?);
        rollups(stage).await?;
        kpis(stage, tenants[1]).await?;
        platform::create(&stage.pool, EMAIL, Role::Operator, PASSWORD).await?;
        let job = sqlx::query_scalar(
            "select id from queue.jobs where cold_state = 'discarded' order by seq limit 1",
        );
        let job = job.fetch_one(&stage.pool).await?;
        let workflow =
            sqlx::query_scalar("select workflow_id from queue.jobs where workflow_id is not null limit 1");
        let workflow = workflow.fetch_one(&stage.pool).await?;
        Ok(Self { tenants, backfills, api_key, job, workflow })
    }
}

/// The rollups that workers would have written in the last week, and failures of each kind.
async fn rollups(stage: &Stage) -> anyhow::Result<()> {
    let queues: Vec<&str> = KINDS.iter().map(|kind| kind.0).collect();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.1).collect();
    sqlx::query(
        "insert into queue.rollups (bucket_s, at, queue, kind, completed, retried, discarded, cancelled, snoozed, waits, runs)
         select bucket_s, date_bin(make_interval(secs => bucket_s), queue.now(), 'epoch') - make_interval(secs => bucket_s * back), queue, kind,
             9000 + back, 20, 9, 8, 0, array_fill(500::bigint, array[18]), array_fill(500::bigint, array[18])
         from (values (60, 120), (900, 192), (3600, 1440)) as s (bucket_s, count)
         cross join lateral generate_series(0, count - 1) as back
         cross join unnest($1::text[], $2::text[]) as k (queue, kind)",
    )
    .bind(&queues)
    .bind(&kinds)
    .execute(&stage.pool)
    .await?;
    sqlx::query(
        "with failure as (
             insert into queue.failures (id, kind, code, pattern, first_seen, last_seen, seen)
             select queue.failure_id(kind, 'upstream_unavailable', pattern), kind, 'upstream_unavailable', pattern,
                 queue.now() - interval '7 days', queue.now() - part * interval '1 minute', 4000
             from unnest($1::text[]) as kind
             cross join generate_series(0, 25) as part
             cross join lateral (select 'the source answered # for part ' || chr(97 + part) as pattern) p
             returning id
         )
         insert into queue.failure_hours (failure_id, at, seen)
         select id, date_trunc('hour', queue.now(), 'UTC') - make_interval(hours => back), 24
         from failure cross join generate_series(0, 167) as back",
    )
    .bind(&kinds)
    .execute(&stage.pool)
    .await?;
    Ok(())
}

/// A year of KPIs of `tenant`.
async fn kpis(stage: &Stage, tenant: Uuid) -> anyhow::Result<()> {
    sqlx::query(
        "insert into msp.kpi_daily (tenant_id, kpi_date, total_minutes, billable_minutes, non_billable_minutes, avg_resolution_minutes,
             first_call_resolution_rate, avg_satisfaction_score, tickets_created, tickets_closed, tickets_open, tickets_high_priority,
             anomaly_detected, z_score)
         select $1, date '2025-01-01' + day, 600 + day, 400, 200 + day, 90 + day % 30, 0.5, 4.5, 20 + day % 9, 20, 40, 3, day % 90 = 0, 0.5
         from generate_series(0, 364) as day",
    )
    .bind(tenant)
    .execute(&stage.pool)
    .await?;
    Ok(())
}

/// Backfills that are over, but for what waits, and their last day.
async fn backfills(stage: &Stage, tenants: &[Uuid]) -> anyhow::Result<(Vec<Uuid>, NaiveDate)> {
    let from = NaiveDate::from_ymd_opt(2025, 1, 1).context("a date")?;
    // As many days as jobs are of each.
    let days = u64::try_from(JOBS)? / 20 / BACKFILLS as u64 / tenants.len() as u64;
    let range = BackfillRange {
        tenants: tenants.to_vec(),
        from,
        to: from + Days::new(days.saturating_sub(1)),
        order: BackfillOrder::NewestFirst,
        reprocess: Reprocess::Missing,
    };
    let ids: Vec<Uuid> = (0..BACKFILLS).map(|_| Uuid::now_v7()).collect();
    let mut tx = stage.pool.begin().await?;
    for id in &ids {
        let kind = BackfillKind::ComputeKpi.describe();
        let mut new = kind.backfill(&mut tx, &range, None, 0, BackfillSettings::default(), None).await?;
        new.queues = ["ingest", "kpi", "export", "system"].map(str::to_owned).to_vec();
        backfill::create(&mut tx, *id, &new).await?;
    }
    sqlx::raw_sql("update queue.backfills set next_slice = total, jobs = total").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok((ids, range.to))
}
