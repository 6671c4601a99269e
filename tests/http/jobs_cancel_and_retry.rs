//! Cancelling and retrying jobs.

use axum::http::StatusCode;
use serde_json::Value;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;

async fn step(api: &TestApi, does: Does) -> Uuid {
    api.db().enqueue(api.cca.id, &Step::new("a", does)).await.id
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_at_once_and_again_stays_so() {
    let api = TestApi::new().await;
    let cancel = format!("/internal/jobs/{}/cancel", step(&api, Does::Succeed).await);
    let cancelled = api.post(&cancel).await.ok(StatusCode::OK);
    assert_eq!(cancelled["state"], "cancelled");
    assert!(cancelled["finalized_at"].is_string() && cancelled["why_not_running"].is_null());
    let again = api.service("POST", &cancel).json("{}").send().await.ok(StatusCode::OK);
    assert_eq!(again["finalized_at"], cancelled["finalized_at"]);
}

#[tokio::test]
async fn a_job_that_runs_is_told_and_awaited() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let job = step(&api, Does::GateOrCancel).await;
    api.db().until(job, JobState::Running).await;
    let running = api.get(&format!("/internal/jobs/{job}")).await.ok(StatusCode::OK);
    assert_eq!((&running["why_not_running"], &running["attempt"]), (&Value::Null, &1.into()));
    assert!(running["attempted_at"].is_string());
    let cancelled = api.post(&format!("/internal/jobs/{job}/cancel")).await.ok(StatusCode::OK);
    assert_eq!(cancelled["state"], "cancelled");
    worker.stop().await;
}

#[tokio::test]
async fn a_discarded_job_gets_another_life() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let job = step(&api, Does::Discard).await;
    api.db().until(job, JobState::Discarded).await;
    worker.stop().await;
    let retry = format!("/internal/jobs/{job}/retry");
    let answer = api.post(&retry).await;
    let revived = answer.ok(StatusCode::OK);
    assert_eq!((&revived["state"], &revived["attempt"]), (&"available".into(), &0.into()));
    assert_eq!((&revived["finalized_at"], &revived["errors"][0]["code"]), (&Value::Null, &"hopeless".into()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let worker = TestWorker::start(api.db(), &probe);
    api.db().until(job, JobState::Discarded).await;
    worker.stop().await;
    assert_eq!(probe.started(), ["a", "a"], "it ran again");
}

#[tokio::test]
async fn only_what_failed_or_was_cancelled_can_be_retried() {
    let api = TestApi::new().await;
    let tickets = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";
    let first = api.enqueue(tickets).await;
    let retry = format!("/internal/jobs/{}/retry", first["id"].as_str().unwrap());
    let problem = api.post(&retry).await.problem(409, "wrong_state");
    assert!(problem["detail"].as_str().unwrap().contains("available"), "{problem}");
    api.post(&retry.replace("/retry", "/cancel")).await.ok(StatusCode::OK);
    let duplicate = api.enqueue(tickets).await;
    let problem = api.post(&retry).await.problem(409, "wrong_state");
    assert!(problem["detail"].as_str().unwrap().contains(duplicate["id"].as_str().unwrap()), "{problem}");
    let cancel_duplicate = format!("/internal/jobs/{}/cancel", duplicate["id"].as_str().unwrap());
    api.post(&cancel_duplicate).await.ok(StatusCode::OK);
    assert_eq!(api.post(&retry).await.ok(StatusCode::OK)["state"], "available");
}

#[tokio::test]
async fn tenants_look_but_do_not_steer() {
    let api = TestApi::new().await;
    let job = step(&api, Does::Succeed).await;
    let seen = api.v1(&format!("/v1/jobs/{job}")).await.ok(StatusCode::OK);
    assert_eq!((&seen["links"]["cancel"], &seen["links"]["retry"]), (&Value::Null, &Value::Null));
    let url = format!("http://localhost/v1/jobs/{job}");
    assert_eq!((&seen["links"]["self"], &seen["status_url"]), (&url.clone().into(), &url.into()));
    for verb in ["cancel", "retry"] {
        let path = format!("/v1/jobs/{job}/{verb}");
        api.tenant(&api.cca, "POST", &path).send().await.problem(404, "unknown_route");
    }
    assert_eq!(api.db().job(job).await.state(), JobState::Available);
}

#[tokio::test]
async fn a_scheduled_job_is_run_now() {
    let api = TestApi::new().await;
    let job =
        api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca&run_at=2100-01-01T00:00:00Z").await;
    let run_now = format!("/internal/jobs/{}/run_now", job["id"].as_str().unwrap());
    assert_eq!(job["state"], "scheduled");
    let answer = api.post(&run_now).await.ok(StatusCode::OK);
    assert_eq!(answer["state"], "available");
    assert!(answer["scheduled_at"].as_str().unwrap() < "2100");
    assert_eq!(api.post(&run_now).await.ok(StatusCode::OK)["state"], "available", "a repeat is the same act");
    api.post(&format!("/internal/jobs/{}/run_now", Uuid::now_v7())).await.problem(404, "unknown_job");
}

#[tokio::test]
async fn a_priority_is_changed() {
    let api = TestApi::new().await;
    let job = step(&api, Does::Succeed).await;
    let path = format!("/internal/jobs/{job}/priority");
    let put = async |body: &str| api.service("PUT", &path).json(body).send().await;
    assert_eq!(put(r#"{"priority": -100}"#).await.ok(StatusCode::OK)["priority"], -100);
    assert_eq!(put(r#"{"priority": 100}"#).await.ok(StatusCode::OK)["priority"], 100);
    for wrong in [r#"{"priority": 101}"#, r#"{"priority": "one"}"#, "{}", r#"{"priority": 1.5}"#] {
        assert_eq!(put(wrong).await.wrong_fields(), ["priority"], "{wrong}");
    }
    api.post(&format!("/internal/jobs/{job}/cancel")).await.ok(StatusCode::OK);
    put(r#"{"priority": 1}"#).await.problem(409, "wrong_state");
    assert_eq!(api.db().job(job).await.priority, 100);
}
