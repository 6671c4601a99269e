//! What Prometheus reads.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use weirgate::metrics::Work;
use weirgate_queue::lanes::change::change_lane;
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{LaneLimits, Rate};
use weirgate_queue::worker::claim;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestWorker, registry};

use crate::support::TestApi;

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|it| it == *line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_no_tenant_is_told() {
    let api = TestApi::new().await;
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    for _ in 0..2 {
        api.get(&format!("/internal/jobs/{}", job["id"].as_str().unwrap())).await;
    }
    api.get("/no/such/route").await;
    let lines = [
        r#"weirgate_http_requests_total{method="GET",route="/internal/jobs/{id}",status="200"} 2"#,
        r#"weirgate_http_requests_total{method="POST",route="/internal/ingest/{dataset}",status="202"} 1"#,
        r#"weirgate_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"weirgate_http_request_duration_seconds_count{method="GET",route="/internal/jobs/{id}"} 2"#,
        "weirgate_db_connections_max 8.0",
        "weirgate_database_up 1.0",
        r#"weirgate_queue_jobs{queue="ingest",state="available"} 1.0"#,
        r#"weirgate_queue_backlogged_lanes{queue="ingest"} 1.0"#,
    ];
    let answer = api.anonymous("GET", "/metrics").send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = answer.text();
    assert_lines(text, &lines);
    assert_lines(text, &["# TYPE weirgate_http_requests_total counter"]);
    let asked =
        api.anonymous("GET", "/metrics").header("accept", "application/openmetrics-text;version=1.0.0");
    let answer = asked.send().await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let openmetrics = answer.text();
    assert_lines(openmetrics, &lines);
    assert_lines(openmetrics, &["# TYPE weirgate_http_requests counter"]);
    assert!(openmetrics.ends_with("# EOF\n"));
    for text in [text, openmetrics] {
        assert!(!text.contains("tenant_demo"), "{text}");
    }
}

#[tokio::test]
async fn a_lane_is_told_on_the_listener_for_monitoring_alone() {
    let api = TestApi::new().await;
    let lane = LaneSettings {
        paused: false,
        limits: Some(LaneLimits {
            rate: Some(Rate { rate: 1, period_ms: 60_000, burst: 1 }),
            ..LaneLimits::default()
        }),
    };
    let mut tx = api.db().pool.begin().await.unwrap();
    change_lane(&mut tx, "default", api.cca.id, lane.into()).await.unwrap();
    tx.commit().await.unwrap();
    for label in ["a", "b", "c"] {
        api.db().enqueue(api.cca.id, &Step::new(label, Does::Succeed)).await;
    }
    api.db().enqueue(api.client2.id, &Step::new("d", Does::Succeed)).await;
    api.db().travel(Duration::from_secs(30)).await;
    let worker = api.db().register_worker().await;
    // One of the first tenant, as its rate says, and the second tenant's.
    let claimed = claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 5).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let text = api.monitored().await;
    let lines = [
        r#"weirgate_lane_backlog_jobs{queue="default",tenant="tenant_demo_cca"} 2.0"#,
        r#"weirgate_lane_running_jobs{queue="default",tenant="tenant_demo_cca"} 1.0"#,
        r#"weirgate_lane_throttled{queue="default",tenant="tenant_demo_cca"} 1.0"#,
        r#"weirgate_lane_backlog_jobs{queue="default",tenant="tenant_demo_client2"} 0.0"#,
        r#"weirgate_lane_throttled{queue="default",tenant="other"} 0.0"#,
        r#"weirgate_queue_throttled_lanes{queue="default"} 1.0"#,
        r#"weirgate_queue_workers{queue="default"} 1.0"#,
        "weirgate_workers 1.0",
    ];
    assert_lines(&text, &lines);
    let oldest = text.lines().find_map(|line| {
        line.strip_prefix(r#"weirgate_queue_oldest_age_seconds{queue="default"} "#)?.parse::<f64>().ok()
    });
    assert!(oldest.is_some_and(|age| age >= 30.0), "{oldest:?}");
    let public = api.anonymous("GET", "/metrics").send().await;
    assert!(!public.text().contains("weirgate_lane_"), "{}", public.text());
}

#[tokio::test]
async fn a_look_at_the_database_serves_more_than_one_scrape() {
    let api = TestApi::new().await;
    let waiting = r#"weirgate_queue_jobs{queue="ingest",state="available"} 0.0"#;
    assert_lines(&api.monitored().await, &[waiting]);
    api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    assert_lines(&api.monitored().await, &[waiting]);
    assert_lines(api.anonymous("GET", "/metrics").send().await.text(), &[waiting]);
}

#[tokio::test]
async fn a_backfill_shows_its_progress() {
    let api = TestApi::new().await;
    let body = json!({ "kind": "compute_kpi", "tenants": "all", "reprocess": "all", "from": "2026-01-01", "to": "2026-01-10" });
    let created = api.service("POST", "/internal/backfills").json(body.to_string()).send().await;
    let id = created.ok(StatusCode::ACCEPTED)["id"].as_str().unwrap().to_owned();
    let text = api.monitored().await;
    let labels = format!(r#"{{backfill="{id}",kind="compute_kpi"}}"#);
    assert_lines(
        &text,
        &[
            &format!("weirgate_backfill_slices{labels} 20.0"),
            &format!("weirgate_backfill_done_slices{labels} 0.0"),
        ],
    );
}

#[tokio::test]
async fn a_worker_in_the_same_process_is_in_its_metrics() {
    // The jobs are another database's; what counts is that both parts meet in one answer.
    let db = crate::support::database().await;
    let probe = Probe::new(db.pool.clone());
    let jobs = registry(probe.clone());
    let api = TestApi::with_work(Work { meter: jobs.meter().clone(), concurrency: 4.into() }).await;
    let worker = TestWorker::start_jobs(&db, Arc::clone(&jobs), |_| {});
    let running = db.enqueue(uuid::Uuid::nil(), &Step::new("running", Does::Gate)).await.id;
    let failed = NewJob::of(uuid::Uuid::nil(), &Step::new("failed", Does::Discard)).unwrap();
    let failed = db.enqueue_new(failed).await.id;
    db.until(failed, JobState::Discarded).await;
    probe.until_started(2).await;
    let lines = [
        r#"weirgate_jobs_started_total{queue="default",kind="step"} 2"#,
        r#"weirgate_jobs_finished_total{queue="default",kind="step",outcome="discarded"} 1"#,
        r#"weirgate_jobs_finished_total{queue="default",kind="step",outcome="completed"} 0"#,
        r#"weirgate_job_start_latency_seconds_count{queue="default",kind="step"} 2"#,
        r#"weirgate_job_run_duration_seconds_bucket{le="+Inf",queue="default",kind="step"} 1"#,
        r#"weirgate_worker_running_jobs{queue="default",kind="step"} 1.0"#,
        r#"weirgate_worker_slots{queue="default"} 4.0"#,
        "weirgate_jobs_rescued_total 0",
    ];
    assert_lines(&api.monitored().await, &lines);
    probe.open("running");
    db.until(running, JobState::Completed).await;
    worker.stop().await;
}
