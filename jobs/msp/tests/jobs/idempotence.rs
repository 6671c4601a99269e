//! Every job of the domain, run twice, leaves the same tables as run once.

use std::path::Path;

use serde_json::Value;
use weirgate_msp::{
    ComputeKpi, ExportFormat, GenerateExport, IngestCsat, IngestSecurityAlerts, IngestTickets,
    IngestTimeEntries, kinds,
};
use weirgate_test_support::{MOCK_DATA, tenant};

use crate::support::{TestApp, new_app};

const TABLES: [&str; 7] = [
    "msp.raw_tickets",
    "msp.raw_time_entries",
    "msp.raw_csat_surveys",
    "msp.raw_security_alerts",
    "msp.ingest_rejects",
    "msp.kpi_daily",
    "msp.exports",
];

/// The rows of every table, without the times and the counts of writing.
async fn snapshot(app: &TestApp) -> Vec<Value> {
    let mut tables = Vec::new();
    for table in TABLES {
        let sql = format!(
            "select coalesce(jsonb_agg(row order by row::text), '[]') from (
                select to_jsonb(t) - '{{ingested_at,computed_at,created_at,rejected_at,generation}}'::text[] as row from {table} t) rows"
        );
        tables.push(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&app.db.pool).await.unwrap());
    }
    tables
}

async fn run_all(app: &TestApp) {
    let tenant = || "acme".into();
    let date = "2026-01-20".parse().unwrap();
    app.run(&IngestTickets { tenant: tenant() }).await.unwrap();
    app.run(&IngestTimeEntries { tenant: tenant() }).await.unwrap();
    app.run(&IngestCsat { tenant: tenant() }).await.unwrap();
    app.run(&IngestSecurityAlerts { tenant: tenant() }).await.unwrap();
    app.run(&ComputeKpi { tenant: tenant(), date }).await.unwrap();
    app.run(&GenerateExport { tenant: tenant(), date, format: ExportFormat::Json }).await.unwrap();
    assert_eq!(kinds().names().len(), 6, "a new kind belongs into this test");
}

#[tokio::test]
async fn every_registered_job_run_twice_is_run_once() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "Europe/Paris").await;
    let demo = Path::new(MOCK_DATA).join("tenant_demo_cca");
    for file in ["tickets.jsonl", "time_entries.jsonl"] {
        let content = std::fs::read_to_string(demo.join(file)).unwrap().replace("tenant_demo_cca", "acme");
        app.write(&format!("acme/{file}"), content + "\nnot a row\n");
    }
    run_all(&app).await;
    let once = snapshot(&app).await;
    assert!(once[0].as_array().unwrap().len() >= 5 && once[4].as_array().unwrap().len() == 2);
    run_all(&app).await;
    assert_eq!(snapshot(&app).await, once);
}
