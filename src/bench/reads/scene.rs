//! Ten million jobs of the last days.

use axum::http::HeaderValue;
use rand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_queue::backfill::{self, NewBackfill, Settings};

use crate::bench::client::Credential;
use crate::bench::fill::Past;
use crate::bench::stage::{Stage, tenants};
use crate::http::keys;
use crate::random;

pub(super) const JOBS: i64 = 10_000_000;
pub(super) const TENANTS: u128 = 200;
pub(super) const BACKFILLS: usize = 20;
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
}

impl Scene {
    pub(super) async fn set(stage: &Stage) -> anyhow::Result<Self> {
        let tenants = tenants(0, TENANTS);
        sqlx::query(
            "insert into tenants (id, slug, name)
             select id, 'tenant_bench_' || n, 'Tenant ' || n from unnest($1) with ordinality as t (id, n)",
        )
        .bind(&tenants)
        .execute(&stage.pool)
        .await?;
        let mut random = [0; 32];
        random::generator().fill_bytes(&mut random);
        let key = keys::create(&mut *stage.pool.acquire().await?, tenants[0], "bench", random).await?;
        let backfills = backfills(stage).await?;
        stage
            .fill_past(&Past {
                jobs: JOBS,
                tenants: &tenants,
                kinds: &KINDS,
                backfills: &backfills,
                live: true,
            })
            .await?;
        let api_key = ("x-api-key".try_into()?, HeaderValue::try_from(key)?);
        Ok(Self { tenants, backfills, api_key })
    }
}

/// Backfills that are over, but for what waits.
async fn backfills(stage: &Stage) -> anyhow::Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = (0..BACKFILLS).map(|_| Uuid::now_v7()).collect();
    let mut tx = stage.pool.begin().await?;
    for id in &ids {
        let new = NewBackfill {
            kind: "compute_kpi".to_owned(),
            spec: json!({
                "tenants": "all", "from": "2025-01-01", "to": "2025-12-31", "order": "newest_first",
                "reprocess": "missing"
            }),
            plan: Value::Null,
            total: u64::try_from(JOBS)? / 20 / BACKFILLS as u64,
            queues: ["ingest", "kpi", "export", "system"].map(str::to_owned).to_vec(),
            priority: 0,
            settings: Settings::default(),
            traceparent: None,
        };
        backfill::create(&mut tx, *id, &new).await?;
    }
    sqlx::raw_sql("update queue.backfills set next_slice = total, jobs = total").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(ids)
}
