//! Rows that an ingest rejected, from the job to the list of them.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::json;
use weirgate_msp::App;
use weirgate_msp::sources::MockSource;
use weirgate_test_support::TestWorker;

use crate::support::{TestApi, registry_with};

#[tokio::test]
async fn what_a_job_rejected_is_found_by_it_and_counted_in_its_output_and_in_the_metrics() {
    let api = TestApi::new().await;
    let survey =
        json!({ "survey_id": "S", "ticket_id": "T", "score": 5, "submitted_at": "2026-01-20T10:00:00Z" });
    api.app.write("tenant_demo_cca/csat.jsonl", format!("no row\n{survey}\n{{}}\n"));
    let source = Arc::new(MockSource { path: api.app.folder.path().to_owned() });
    let app = Arc::new(App { pool: api.db().pool.clone(), source, exports: api.app.app.exports.clone() });
    let worker = TestWorker::start_jobs(api.db(), Arc::new(registry_with(app)), |_| {});
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    let path = format!("/internal/jobs/{}?wait=30", job["id"].as_str().unwrap());
    let done = api.get(&path).await.ok(StatusCode::OK);
    worker.stop().await;
    assert_eq!(done["output"], json!({ "read": 3, "accepted": 1, "rejected": 2 }), "{done}");
    let rejects = api.get(&format!("/internal/rejects?job_id={}", job["id"].as_str().unwrap())).await;
    assert_eq!(rejects.items().iter().map(|row| row["line"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    let metrics = api.anonymous("GET", "/metrics").send().await;
    for outcome in ["accepted", "rejected"] {
        let name = format!("weirgate_ingest_rows_total{{dataset=\"csat\",outcome=\"{outcome}\"}} ");
        let count = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
        // Other tests of this process may have counted too.
        assert!(count.unwrap().parse::<f64>().unwrap() >= 1.0, "{name}");
    }
}
