//! A lost answer and its repeat are one act.

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value, json};
use weirgate_queue::JobState;
use weirgate_test_support::{Answer, Does, Probe, Step, TestWorker};

use super::docs::{is_sign_in, operations};
use crate::support::{TestApi, all_domains};

const TICKETS: &str = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";

async fn keyed(api: &TestApi, target: &str, key: &str) -> Answer {
    api.service("POST", target).header("idempotency-key", key).send().await
}

fn of(job: &Value, verb: &str) -> String {
    format!("/internal/jobs/{}/{verb}", job["id"].as_str().unwrap())
}

fn was_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

async fn acts(api: &TestApi, action: &str) -> i64 {
    sqlx::query_scalar("select count(*) from identity.audit where action = $1")
        .bind(action)
        .fetch_one(&api.db().pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_retry_whose_answer_was_lost_is_not_another_life() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let job = api.db().enqueue(api.cca.id, &Step::new("a", Does::Discard)).await.id;
    let retry = format!("/internal/jobs/{job}/retry");
    let run = async || {
        let worker = TestWorker::start(api.db(), &probe);
        api.db().until(job, JobState::Discarded).await;
        worker.stop().await;
    };
    run().await;
    let first = keyed(&api, &retry, "retry-1").await;
    assert_eq!((&first.ok(StatusCode::OK)["state"], was_replayed(&first)), (&json!("available"), false));
    for again in [keyed(&api, &retry, "retry-1").await, api.post(&retry).await] {
        let shown = again.ok(StatusCode::OK);
        assert_eq!((&shown["state"], &shown["replayed"]), (&json!("available"), &json!(true)));
    }
    run().await;
    // It has failed again meanwhile: the repeat shows that, and does nothing.
    let late = keyed(&api, &retry, "retry-1").await;
    assert_eq!((&late.ok(StatusCode::OK)["state"], was_replayed(&late)), (&json!("discarded"), true));
    assert_eq!(probe.started().len(), 2);
    assert_eq!(acts(&api, "job.retry").await, 1);
    // Another retry is another act.
    assert_eq!(keyed(&api, &retry, "retry-2").await.ok(StatusCode::OK)["state"], "available");
    keyed(&api, &of(&json!({"id": job}), "cancel"), "retry-1").await.problem(422, "idempotency_key_reused");
    assert_eq!(acts(&api, "job.retry").await, 2);
}

#[tokio::test]
async fn a_retry_is_repeated_though_the_job_has_completed() {
    let api = TestApi::new().await;
    let job = api.enqueue(TICKETS).await;
    api.post(&of(&job, "cancel")).await.ok(StatusCode::OK);
    api.post(&of(&job, "retry")).await.ok(StatusCode::OK);
    let worker = api.start_worker();
    api.db().until(weirgate_test_support::id(&job["id"]), JobState::Completed).await;
    worker.stop().await;
    let again = api.post(&of(&job, "retry")).await.ok(StatusCode::OK);
    assert_eq!(
        (&again["state"], &again["replayed"], &again["final"]),
        (&json!("completed"), &json!(true), &json!(true))
    );
    let other = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    api.post(&of(&other, "retry")).await.problem(409, "wrong_state");
}

#[tokio::test]
async fn run_now_is_repeated_whatever_has_become_of_the_job() {
    let api = TestApi::new().await;
    let job = api.enqueue(&format!("{TICKETS}&run_at=2100-01-01T00:00:00Z")).await;
    let run_now = of(&job, "run_now");
    assert_eq!(api.post(&run_now).await.ok(StatusCode::OK)["replayed"], false);
    assert_eq!(api.post(&run_now).await.ok(StatusCode::OK)["replayed"], true);
    let worker = api.start_worker();
    api.db().until(weirgate_test_support::id(&job["id"]), JobState::Completed).await;
    worker.stop().await;
    let again = api.post(&run_now).await.ok(StatusCode::OK);
    assert_eq!((&again["state"], &again["replayed"]), (&json!("completed"), &json!(true)));
    assert_eq!(acts(&api, "job.run_now").await, 1);
    let ended = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    api.post(&of(&ended, "cancel")).await.ok(StatusCode::OK);
    api.post(&of(&ended, "run_now")).await.problem(409, "wrong_state");
    let waits = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    api.post(&of(&waits, "run_now")).await.problem(409, "wrong_state");
}

#[tokio::test]
async fn many_at_once_with_one_key_are_one_act() {
    let api = TestApi::new().await;
    let job = api.enqueue(TICKETS).await;
    api.post(&of(&job, "cancel")).await.ok(StatusCode::OK);
    let retry = of(&job, "retry");
    let answers = join_all((0..8).map(|_| keyed(&api, &retry, "many"))).await;
    assert!(answers.iter().all(|answer| answer.ok(StatusCode::OK)["state"] == "available"));
    assert_eq!(answers.iter().filter(|answer| !was_replayed(answer)).count(), 1);
    assert_eq!(acts(&api, "job.retry").await, 1);
}

#[tokio::test]
async fn what_is_refused_does_not_use_its_key_up() {
    let api = TestApi::new().await;
    let job = api.enqueue(TICKETS).await;
    let retry = of(&job, "retry");
    keyed(&api, &retry, "k").await.problem(409, "wrong_state");
    api.post(&of(&job, "cancel")).await.ok(StatusCode::OK);
    assert!(!was_replayed(&keyed(&api, &retry, "k").await));
    keyed(&api, "/internal/queues/nothing/pause", "q").await.problem(404, "unknown_queue");
}

/// Resumed in between by somebody else, the repeat of the pause pauses nothing again.
#[tokio::test]
async fn every_act_is_done_once_under_a_key() {
    let api = TestApi::new().await;
    let job = api.enqueue(TICKETS).await;
    let pipeline = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    api.execute("update queue.jobs set state = 'discarded', finalized_at = queue.now() where name = 'csat'")
        .await;
    let body = json!({"kind": "compute_kpi", "tenants": "all", "from": "2026-01-01", "to": "2026-01-31"});
    let backfill = api.service("POST", "/internal/backfills").json(body.to_string()).send().await;
    let backfill =
        format!("/internal/backfills/{}", backfill.ok(StatusCode::ACCEPTED)["id"].as_str().unwrap());
    let acts_of = [
        of(&job, "cancel"),
        of(&job, "retry"),
        of(&job, "run_now"),
        format!("/internal/workflows/{}/retry-failed", pipeline["workflow_id"].as_str().unwrap()),
        format!("/internal/workflows/{}/cancel", pipeline["workflow_id"].as_str().unwrap()),
        "/internal/queues/kpi/pause".to_owned(),
        "/internal/queues/kpi/resume".to_owned(),
        "/internal/schedules/daily_pipeline/pause".to_owned(),
        "/internal/schedules/daily_pipeline/resume".to_owned(),
        format!("{backfill}/pause"),
        format!("{backfill}/resume"),
        format!("{backfill}/retry_failed"),
        format!("{backfill}/cancel"),
    ];
    for (n, target) in acts_of.iter().enumerate() {
        let key = format!("act-{n}");
        let first = keyed(&api, target, &key).await;
        assert!(first.status.is_success() && !was_replayed(&first), "{target}: {}", first.text());
        let noted = api.count("identity.audit").await;
        let again = keyed(&api, target, &key).await;
        assert!(again.status.is_success() && was_replayed(&again), "{target}: {}", again.text());
        assert_eq!(api.count("identity.audit").await, noted, "{target}");
    }
    let state = async || api.get("/internal/queues/kpi").await.ok(StatusCode::OK)["paused"].clone();
    assert_eq!(keyed(&api, "/internal/queues/kpi/pause", "act-5").await.ok(StatusCode::OK)["paused"], false);
    assert_eq!(state().await, false);
    // Of all there are in the document, these were tried, or make something, which other tests
    // have, or end a worker.
    let tried = acts_of.len() + ["workers/{id}/drain"].len();
    let made = ["ingest", "kpi", "exports", "pipelines", "backfills", "jobs/bulk"].len()
        + ["tenants", "tenants/{id}/api-keys", "schedules/{name}/run"].len();
    let all = operations();
    let posts = all.iter().filter(|(method, path)| *method == "POST" && !is_sign_in(path)).count();
    assert_eq!(posts, tried + made, "a new POST takes an Idempotency-Key");
}

#[tokio::test]
async fn the_document_says_that_every_post_takes_a_key() {
    let document = serde_json::to_value(weirgate::http::openapi(all_domains().list())).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(post) = item.get("post").filter(|_| !is_sign_in(path)) else { continue };
        let names: Vec<&Value> =
            post["parameters"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names.iter().filter(|name| **name == "Idempotency-Key").count(), 1, "{path}: {names:?}");
    }
}
