//! Jobs that an earlier version enqueued.

use uuid::Uuid;
use weirgate_msp::{ComputeKpi, ExportFormat, GenerateExport, IngestTickets};
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{TestWorker, tenant};

use crate::support::new_app;

#[tokio::test]
async fn jobs_of_earlier_versions_that_name_a_slug_run_for_their_own_tenant() {
    let app = new_app().await;
    let (acme, bolt) = (tenant(&app.db.pool, "acme", "UTC").await, tenant(&app.db.pool, "bolt", "UTC").await);
    let ticket = r#"{"cw_ticket_id":"T-1","status":"New","priority":"Low","created_at_remote":"2026-01-20T09:00:00Z","updated_at_remote":"2026-01-20T09:00:00Z"}"#;
    app.write("acme/tickets.jsonl", ticket);
    std::fs::create_dir(app.folder.path().join("bolt")).unwrap();
    let date = "2026-01-20".parse().unwrap();
    let mut jobs = Vec::new();
    // The last ones were enqueued for a tenant that was called as another one is now.
    for (owner, slug) in [(&acme, "acme"), (&bolt, "bolt"), (&bolt, "acme")] {
        let export = GenerateExport { tenant: slug.into(), date, format: ExportFormat::Json };
        for job in [
            NewJob::of(owner.id, &IngestTickets { tenant: slug.into() }),
            NewJob::of(owner.id, &ComputeKpi { tenant: slug.into(), date }),
            NewJob::of(owner.id, &export),
        ] {
            jobs.push(app.db.enqueue_new(job.unwrap()).await.id);
        }
    }
    let worker = TestWorker::start_jobs(&app.db, weirgate_msp::registry(app.app.clone()).into(), |_| {});
    for job in jobs {
        app.db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    let owners: Vec<Uuid> =
        sqlx::query_scalar("select tenant_id from msp.raw_tickets").fetch_all(&app.db.pool).await.unwrap();
    assert_eq!(owners, [acme.id]);
    let paths: Vec<(Uuid, String)> = sqlx::query_as("select tenant_id, object_path from msp.exports")
        .fetch_all(&app.db.pool)
        .await
        .unwrap();
    assert_eq!(paths.len(), 2);
    assert!(paths.iter().all(|(owner, path)| path.starts_with(&format!("{owner}/"))), "{paths:?}");
}
