//! `why_not_running`: what holds a job up, and until when.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;

pub(super) async fn why(api: &TestApi, job: Uuid) -> Value {
    let job = api.get(&format!("/internal/jobs/{job}")).await.ok(StatusCode::OK);
    let why = job["why_not_running"].clone();
    assert!(!why["message"].as_str().unwrap().is_empty());
    why
}

pub(super) async fn step(api: &TestApi, tenant: Uuid, priority: i16) -> Uuid {
    let step = Step::new(&Uuid::now_v7().to_string(), Does::Succeed);
    api.db().enqueue_new(NewJob::of(tenant, &step).unwrap().priority(priority)).await.id
}

#[tokio::test]
async fn it_is_scheduled_for_later() {
    let api = TestApi::new().await;
    let target = "/internal/ingest/tickets?tenant_id=tenant_demo_cca&run_at=2099-01-01T00:00:00Z";
    let job = api.enqueue(target).await;
    assert_eq!(job["state"], "scheduled");
    let why = &job["why_not_running"];
    assert_eq!((&why["code"], &why["until"]), (&json!("scheduled"), &json!("2099-01-01T00:00:00Z")));
    assert!(why["count"].is_null());
}

#[tokio::test]
async fn it_failed_and_will_be_tried_again() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let step = Step::new("a", Does::RetryAfter { seconds: 3600 });
    let job = api.db().enqueue(api.cca.id, &step).await.id;
    api.db().until(job, JobState::Retryable).await;
    worker.stop().await;
    let job = api.get(&format!("/internal/jobs/{job}")).await.ok(StatusCode::OK);
    let why = &job["why_not_running"];
    assert_eq!((&why["code"], &why["until"]), (&json!("retry_backoff"), &job["scheduled_at"]));
    assert_eq!(job["errors"][0]["retry_at"], job["scheduled_at"]);
}

#[tokio::test]
async fn it_waits_on_other_jobs() {
    let api = TestApi::new().await;
    let last = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let why_last = &last["why_not_running"];
    assert_eq!((&why_last["code"], &why_last["count"]), (&json!("waiting_on_jobs"), &json!(1)));
    let first = &why_last["waits_on"];
    assert_eq!((&first["id"], &first["state"]), (&last["depends_on"][0], &json!("waiting")));
    let says = format!("it waits for compute_kpi {} (kpis), which is waiting", first["id"].as_str().unwrap());
    assert_eq!(why_last["message"], says);
    let own = api.v1(&format!("/v1/jobs/{}", last["id"].as_str().unwrap())).await.ok(StatusCode::OK);
    assert_eq!(&own["why_not_running"], why_last, "a tenant is told the same");
    let kpi = why(&api, weirgate_test_support::id(&last["depends_on"][0])).await;
    assert_eq!((&kpi["code"], &kpi["count"]), (&json!("waiting_on_jobs"), &json!(4)));
    assert_eq!(
        (&kpi["waits_on"]["name"], &kpi["waits_on"]["state"]),
        (&json!("tickets"), &json!("available"))
    );
    assert!(
        kpi["message"].as_str().unwrap().ends_with("(tickets), which is available, and for 3 more"),
        "{kpi}"
    );
    // The first that is still waited on.
    api.execute(
        "update queue.jobs set state = 'completed', finalized_at = queue.now() where name = 'tickets'",
    )
    .await;
    api.execute("update queue.job_dependencies d set outcome = 'passed' from queue.jobs p where p.id = d.parent_id and p.name = 'tickets'").await;
    let kpi = why(&api, weirgate_test_support::id(&last["depends_on"][0])).await;
    assert_eq!(kpi["waits_on"]["name"], "time_entries");
}

#[tokio::test]
async fn nobody_works_on_its_queue() {
    let api = TestApi::new().await;
    let job = step(&api, api.cca.id, 0).await;
    assert_eq!(why(&api, job).await["code"], "no_live_worker");
    api.db().register_worker().await;
    assert_eq!(why(&api, job).await["code"], "behind_in_lane");
    let as_tenant = api.v1(&format!("/v1/jobs/{job}")).await.ok(StatusCode::OK);
    assert_eq!(as_tenant["why_not_running"]["code"], "behind_in_lane", "a tenant is told the same");
    let elsewhere = api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca").await;
    assert_eq!(elsewhere["why_not_running"]["code"], "no_live_worker", "that worker takes another queue");
    api.db().travel(Duration::from_mins(2)).await;
    assert_eq!(why(&api, job).await["code"], "no_live_worker", "its lease ran out");
}

#[tokio::test]
async fn others_of_its_lane_start_before_it() {
    let api = TestApi::new().await;
    api.db().register_worker().await;
    let (first, second) = (step(&api, api.cca.id, 0).await, step(&api, api.cca.id, 0).await);
    let others = step(&api, api.client2.id, 0).await;
    let urgent = step(&api, api.cca.id, 10).await;
    for (job, ahead) in [(urgent, 0), (first, 1), (second, 2), (others, 0)] {
        let why = why(&api, job).await;
        assert_eq!((&why["code"], &why["count"]), (&json!("behind_in_lane"), &json!(ahead)));
    }
}
