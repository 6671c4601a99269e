//! What a source has no longer counts nowhere, is kept, and comes back with its row.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use weirgate_msp::sources::{Dataset, RowStream, Source, SourceError, SourceRow};
use weirgate_msp::{
    App, ComputeKpi, ExportFormat, IngestCsat, IngestSecurityAlerts, IngestTickets, IngestTimeEntries, Kpis,
};
use weirgate_queue::{JobContext, JobError};
use weirgate_test_support::tenant;

use super::export::exported;
use crate::support::{TestApp, new_app};

const DAY: &str = "2026-01-20";

/// Row `id` of a dataset; its numbers tell it from others.
fn row(dataset: Dataset, id: i64) -> Value {
    let at = format!("{DAY}T10:00:00Z");
    match dataset {
        Dataset::Tickets => {
            json!({ "cw_ticket_id": format!("T-{id}"), "status": "Closed", "priority": "High",
            "created_at_remote": format!("{DAY}T09:00:00Z"), "updated_at_remote": at })
        }
        Dataset::TimeEntries => json!({ "cw_time_entry_id": format!("E-{id}"), "cw_ticket_id": "T-1",
            "billable": true, "minutes": 60 * id, "date_worked": DAY }),
        Dataset::Csat => {
            json!({ "survey_id": format!("S-{id}"), "ticket_id": "T-1", "score": id, "submitted_at": at })
        }
        Dataset::SecurityAlerts => json!({ "source": if id == 1 { "defender" } else { "sentinelone" },
            "alert_id": "A", "severity": "high", "status": "new", "detected_at": at }),
    }
}

async fn ingest(app: &TestApp, dataset: Dataset) -> Result<(), JobError> {
    let tenant = "acme".into();
    match dataset {
        Dataset::Tickets => app.run(&IngestTickets { tenant }).await,
        Dataset::TimeEntries => app.run(&IngestTimeEntries { tenant }).await,
        Dataset::Csat => app.run(&IngestCsat { tenant }).await,
        Dataset::SecurityAlerts => app.run(&IngestSecurityAlerts { tenant }).await,
    }
    .map(drop)
}

/// The source has these rows of each dataset now.
async fn has(app: &TestApp, ids: &[i64]) {
    for dataset in Dataset::ALL {
        let rows: Vec<String> = ids.iter().map(|id| row(dataset, *id).to_string()).collect();
        app.write(&format!("acme/{dataset}.jsonl"), rows.join("\n"));
        ingest(app, dataset).await.unwrap();
    }
}

fn table(dataset: Dataset) -> &'static str {
    match dataset {
        Dataset::Tickets => "msp.raw_tickets",
        Dataset::TimeEntries => "msp.raw_time_entries",
        Dataset::Csat => "msp.raw_csat_surveys",
        Dataset::SecurityAlerts => "msp.raw_security_alerts",
    }
}

/// Rows that are stored, and how many of them are deleted.
async fn stored(app: &TestApp, dataset: Dataset) -> (i64, i64) {
    let sql = format!("select count(*), count(deleted_at) from {}", table(dataset));
    sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&app.db.pool).await.unwrap()
}

async fn kpis(app: &TestApp) -> Kpis {
    app.run(&ComputeKpi { tenant: "acme".into(), date: DAY.parse().unwrap() }).await.unwrap()
}

/// The ids in the export, of either format.
async fn ids_in_export(app: &TestApp, format: ExportFormat) -> Vec<&'static str> {
    let text = String::from_utf8(exported(app, format).await.1).unwrap();
    ["T-1", "T-2", "E-1", "E-2"].into_iter().filter(|id| text.contains(id)).collect()
}

/// What a tenant sees, whatever is asked.
async fn seen_by_tenant(app: &TestApp, dataset: Dataset) -> i64 {
    let mut tx = app.db.pool.begin().await.unwrap();
    let sql = "select set_config('weirgate.tenant', id::text, true), set_config('role', 'weirgate_tenant', true) from identity.tenants";
    sqlx::query(sql).execute(&mut *tx).await.unwrap();
    let sql = format!("select count(*) from {}", table(dataset));
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *tx).await.unwrap()
}

#[tokio::test]
async fn what_the_source_has_no_longer_counts_nowhere_and_comes_back() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    has(&app, &[1, 2]).await;
    let before = kpis(&app).await;
    let numbers = |kpis: &Kpis| {
        (
            kpis.total_minutes,
            kpis.tickets_created,
            kpis.tickets_closed,
            kpis.tickets_high_priority,
            kpis.avg_satisfaction_score,
        )
    };
    assert_eq!(numbers(&before), (180, 2, 2, 2, Some(1.5)));
    assert_eq!(before.first_call_resolution_rate, Some(0.0));

    has(&app, &[1]).await;
    let without = kpis(&app).await;
    assert_eq!(numbers(&without), (60, 1, 1, 1, Some(1.0)));
    assert_eq!(without.first_call_resolution_rate, Some(1.0), "of the ticket's two entries one is left");
    for format in [ExportFormat::Json, ExportFormat::Csv] {
        assert_eq!(ids_in_export(&app, format).await, ["T-1", "E-1"], "{format:?}");
    }
    for dataset in Dataset::ALL {
        assert_eq!(stored(&app, dataset).await, (2, 1), "{dataset} are kept");
        assert_eq!(seen_by_tenant(&app, dataset).await, 1, "{dataset}");
    }
    let since = async || -> Value {
        sqlx::query_scalar("select to_jsonb(deleted_at) from msp.raw_tickets where cw_ticket_id = 'T-2'")
            .fetch_one(&app.db.pool)
            .await
            .unwrap()
    };
    let first = since().await;
    has(&app, &[1]).await;
    assert_eq!(since().await, first, "the day on which it was first missed stays");

    has(&app, &[2, 1]).await;
    assert_eq!(kpis(&app).await, before);
    for dataset in Dataset::ALL {
        assert_eq!(stored(&app, dataset).await, (2, 0), "{dataset}");
        assert_eq!(seen_by_tenant(&app, dataset).await, 2, "{dataset}");
    }
    let left: i64 =
        sqlx::query_scalar("select count(*) from msp.ingest_seen").fetch_one(&app.db.pool).await.unwrap();
    assert_eq!(left, 0, "what was seen is not kept for ever");
}

#[tokio::test]
async fn another_tenants_rows_stay() {
    let app = new_app().await;
    for slug in ["acme", "other"] {
        tenant(&app.db.pool, slug, "UTC").await;
    }
    app.write("other/tickets.jsonl", row(Dataset::Tickets, 7).to_string());
    app.run(&IngestTickets { tenant: "other".into() }).await.unwrap();
    has(&app, &[1]).await;
    has(&app, &[2]).await;
    assert_eq!(stored(&app, Dataset::Tickets).await, (3, 1));
}

#[tokio::test]
async fn a_row_that_is_no_longer_good_counts_as_gone() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    has(&app, &[1, 2]).await;
    let mut bad = row(Dataset::TimeEntries, 2);
    bad["minutes"] = json!(-5);
    app.write("acme/time_entries.jsonl", format!("{}\n{bad}", row(Dataset::TimeEntries, 1)));
    ingest(&app, Dataset::TimeEntries).await.unwrap();
    assert_eq!(kpis(&app).await.total_minutes, 60);
}

#[tokio::test]
async fn an_empty_source_has_nothing_and_an_absent_one_says_nothing() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    has(&app, &[1, 2]).await;
    std::fs::remove_file(app.folder.path().join("acme/tickets.jsonl")).unwrap();
    ingest(&app, Dataset::Tickets).await.unwrap();
    assert_eq!(stored(&app, Dataset::Tickets).await, (2, 0), "no file");
    app.write("acme/tickets.jsonl", "");
    ingest(&app, Dataset::Tickets).await.unwrap();
    assert_eq!(stored(&app, Dataset::Tickets).await, (2, 2), "an empty file");
}

/// Hands out so many tickets, and then an error if it has one.
struct Partial {
    tickets: u64,
    error: Option<SourceError>,
    lose: Option<sqlx::PgPool>,
}

impl Source for Partial {
    fn rows(&self, _: &str, _: Dataset) -> RowStream {
        let lose = self.lose.clone();
        let rows = stream::iter(1..=self.tickets).then(move |line| {
            let lose = lose.clone().filter(|_| line == 2500);
            async move {
                if let Some(pool) = lose {
                    // Until the first batch is there, of which then nothing is: as after a crash of
                    // the database.
                    let sql = "delete from msp.ingest_seen where batch = 1";
                    while sqlx::query(sql).execute(&pool).await.unwrap().rows_affected() == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                let json = Ok(row(Dataset::Tickets, line.cast_signed()).to_string());
                Ok(SourceRow { origin: "list".into(), line, json })
            }
        });
        rows.chain(stream::iter(self.error.clone().map(Err))).boxed()
    }

    fn describe(&self) -> String {
        "partial".to_owned()
    }
}

async fn read(app: &TestApp, source: Partial) -> Result<(), JobError> {
    let (pool, exports) = (app.db.pool.clone(), app.app.exports.clone());
    let shared = Arc::new(App { pool: pool.clone(), source: Arc::new(source), exports });
    let ctx = JobContext::detached(shared, pool);
    weirgate_queue::Job::run(&IngestTickets { tenant: "acme".into() }, &ctx).await.map(drop)
}

#[tokio::test]
async fn a_reading_that_does_not_end_well_deletes_nothing() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    read(&app, Partial { tickets: 3, error: None, lose: None }).await.unwrap();
    let error = SourceError::Unreadable { origin: "list".to_owned(), reason: "it broke off".to_owned() };
    read(&app, Partial { tickets: 1, error: Some(error), lose: None }).await.unwrap_err();
    assert_eq!(stored(&app, Dataset::Tickets).await, (3, 0));
    read(&app, Partial { tickets: 1, error: None, lose: None }).await.unwrap();
    assert_eq!(stored(&app, Dataset::Tickets).await, (3, 2));
}

#[tokio::test]
async fn a_reading_of_which_the_database_has_lost_a_part_is_no_whole_one() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let lose = Some(app.db.pool.clone());
    let error = read(&app, Partial { tickets: 3000, error: None, lose }).await.unwrap_err();
    assert!(matches!(error, JobError::Failed { code: "ingest_lost", .. }), "{error:?}");
    assert_eq!(stored(&app, Dataset::Tickets).await, (3000, 0));
    read(&app, Partial { tickets: 2500, error: None, lose: None }).await.unwrap();
    assert_eq!(stored(&app, Dataset::Tickets).await, (3000, 500));
}
