//! Schedules that the service runs outside of their times.

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate_test_support::Answer;

use crate::support::TestApi;

const RUN: &str = "/internal/schedules/daily_pipeline/run";

async fn run(api: &TestApi, body: &Value) -> Answer {
    api.service("POST", RUN).json(body.to_string()).send().await
}

#[tokio::test]
async fn a_schedule_is_run_for_one_tenant_or_for_all() {
    let api = TestApi::new().await;
    let one = run(&api, &json!({ "tenant": "tenant_demo_cca" })).await.ok(StatusCode::ACCEPTED);
    assert_eq!((&one["enqueued"], &one["replayed"]), (&json!(1), &json!(false)));
    let job = one["items"][0].as_str().unwrap();
    let job = api.get(&format!("/internal/jobs/{job}")).await.ok(StatusCode::OK);
    assert_eq!((&job["tenant"], &job["kind"]), (&json!("tenant_demo_cca"), &json!("generate_export")));
    let by_id = run(&api, &json!({ "tenant": api.client2.id })).await.ok(StatusCode::ACCEPTED);
    assert_eq!(by_id["enqueued"], 1);
    for all in [json!({}), json!({ "tenant": "" })] {
        let all = run(&api, &all).await.ok(StatusCode::ACCEPTED);
        assert_eq!((&all["enqueued"], all["items"].as_array().unwrap().len()), (&json!(2), 2));
    }
    assert_eq!(api.post(RUN).await.ok(StatusCode::ACCEPTED)["enqueued"], 2, "no body is all");
    let newest = &api.get("/internal/audit?action=schedule.run&limit=1").await.items()[0];
    assert_eq!(newest["target"], "daily_pipeline");
    assert!(newest["actor"].as_str().unwrap().starts_with("service token "), "{newest}");
}

#[tokio::test]
async fn one_that_is_paused_is_run_all_the_same_and_what_cannot_be_is_said() {
    let api = TestApi::new().await;
    let path = "/internal/schedules/daily_pipeline";
    api.service("PUT", path).json(r#"{"enabled": false}"#).send().await.ok(StatusCode::OK);
    run(&api, &json!({ "tenant": "tenant_demo_cca" })).await.ok(StatusCode::ACCEPTED);
    let acts = api.count("identity.audit").await;
    api.post("/internal/schedules/prune/run").await.problem(409, "cannot_run_now");
    api.post("/internal/schedules/nightly/run").await.problem(404, "unknown_schedule");
    run(&api, &json!({ "tenant": "nobody" })).await.problem(404, "unknown_tenant");
    assert_eq!(run(&api, &json!({ "tenants": "all" })).await.wrong_fields(), ["tenants"]);
    assert_eq!(run(&api, &json!({ "tenant": 7 })).await.wrong_fields(), ["tenant"]);
    assert_eq!(api.count("identity.audit").await, acts);
}

#[tokio::test]
async fn a_lost_answer_and_its_repeat_are_one_run_with_the_same_jobs() {
    let api = TestApi::new().await;
    let keyed = || api.service("POST", RUN).header("idempotency-key", "run-1").send();
    let first = keyed().await.ok(StatusCode::ACCEPTED);
    for id in first["items"].as_array().unwrap() {
        let workflow = api.get(&format!("/internal/jobs/{}", id.as_str().unwrap())).await;
        let workflow = workflow.ok(StatusCode::OK)["workflow_id"].as_str().unwrap().to_owned();
        api.post(&format!("/internal/workflows/{workflow}/cancel")).await;
    }
    let jobs = api.count("queue.jobs").await;
    let again = keyed().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let again = again.ok(StatusCode::ACCEPTED);
    assert_eq!((&again["items"], &again["replayed"]), (&first["items"], &json!(true)));
    assert_eq!((&again["enqueued"], api.count("queue.jobs").await), (&json!(2), jobs));
}
