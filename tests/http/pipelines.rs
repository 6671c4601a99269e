//! The daily pipeline: six jobs that belong together.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApi;

const DAILY: &str = "/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20";

async fn workflow(api: &TestApi, job: &Value) -> Value {
    let path = format!("/internal/workflows/{}", job["workflow_id"].as_str().unwrap());
    api.get(&path).await.ok(StatusCode::OK)
}

#[tokio::test]
async fn it_enqueues_six_jobs_and_answers_with_the_last() {
    let api = TestApi::new().await;
    let last = api.enqueue(&format!("{DAILY}&priority=5&max_attempts=2")).await;
    assert_eq!((&last["kind"], &last["state"]), (&json!("generate_export"), &json!("waiting")));
    let workflow = workflow(&api, &last).await;
    assert_eq!((&workflow["id"], &workflow["total"]), (&last["workflow_id"], &json!(6)));
    assert_eq!(workflow["is_final"], false);
    let jobs = workflow["jobs"].as_array().unwrap();
    let kinds: BTreeSet<&str> = jobs.iter().map(|job| job["kind"].as_str().unwrap()).collect();
    let expected = [
        "compute_kpi",
        "generate_export",
        "ingest_csat",
        "ingest_security_alerts",
        "ingest_tickets",
        "ingest_time_entries",
    ];
    assert_eq!(kinds, expected.into());
    for job in jobs {
        assert_eq!((&job["priority"], &job["max_attempts"]), (&json!(5), &json!(2)), "options are for all");
        assert_eq!(job["trace_id"], last["trace_id"]);
        assert_eq!(job["workflow_id"], last["workflow_id"]);
    }
    let counts = json!({
        "waiting": 2, "scheduled": 0, "available": 4, "running": 0, "retryable": 0, "completed": 0,
        "cancelled": 0, "discarded": 0,
    });
    assert_eq!(workflow["counts"], counts);
    assert_eq!(
        workflow["status_url"],
        format!("http://localhost/internal/workflows/{}", last["workflow_id"].as_str().unwrap())
    );
}

#[tokio::test]
async fn the_kpis_wait_on_the_ingests_and_the_export_on_the_kpis() {
    let api = TestApi::new().await;
    let last = api.enqueue(DAILY).await;
    let workflow = workflow(&api, &last).await;
    let of = |name: &str| {
        let jobs = workflow["jobs"].as_array().unwrap().iter();
        jobs.filter(|job| job["kind"].as_str().unwrap().starts_with(name)).collect::<Vec<_>>()
    };
    let (kpi, ingests) = (of("compute_kpi")[0], of("ingest_"));
    let ids = |value: &Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(last["depends_on"], json!([kpi["id"]]));
    let parents: Vec<&Value> = ingests.iter().map(|job| &job["id"]).collect();
    assert_eq!(ids(&kpi["depends_on"]), ids(&json!(parents)));
    assert!(ingests.iter().all(|job| job["depends_on"] == json!([])));
    let edges: BTreeSet<(String, String)> = workflow["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            assert_eq!(edge["on_failure"], "cancel");
            (edge["from"].as_str().unwrap().to_owned(), edge["to"].as_str().unwrap().to_owned())
        })
        .collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut expected: BTreeSet<(String, String)> =
        parents.iter().map(|id| (text(id), text(&kpi["id"]))).collect();
    expected.insert((text(&kpi["id"]), text(&last["id"])));
    assert_eq!(edges, expected);
}

#[tokio::test]
async fn a_day_under_way_is_not_enqueued_twice() {
    let api = TestApi::new().await;
    let last = api.enqueue(DAILY).await;
    let again = api.post(DAILY).await;
    assert_eq!(again.ok(StatusCode::ACCEPTED)["id"], last["id"]);
    assert_eq!(again.header("job-duplicate"), Some("true"));
    assert_eq!(api.count("queue.jobs").await, 6);
    let (forced, others) = (format!("{DAILY}&force=true"), DAILY.replace("cca", "client2"));
    for other in [forced, others, DAILY.replace("-20", "-21")] {
        let answer = api.post(&other).await;
        assert_ne!(answer.ok(StatusCode::ACCEPTED)["id"], last["id"]);
        assert_eq!(answer.header("job-duplicate"), None, "{other}");
    }
    assert_eq!(api.count("queue.jobs").await, 24);
}

#[tokio::test]
async fn it_runs_to_a_file_that_the_tenant_can_load() {
    let api = TestApi::new().await;
    let worker = api.start_worker();
    let answer = api.service("POST", DAILY).header("prefer", "wait=60").send().await;
    let last = answer.ok(StatusCode::OK);
    assert_eq!(last["state"], "completed", "{last}");
    let workflow = workflow(&api, &last).await;
    assert_eq!((&workflow["is_final"], &workflow["counts"]["completed"]), (&json!(true), &json!(6)));
    let export = last["output"]["export_id"].as_str().unwrap();
    let file = api.v1(&format!("/v1/exports/{export}/download")).await.ok(StatusCode::OK);
    let kpis = api.v1("/v1/kpis/daily?date=2026-01-20").await.items();
    assert_eq!(file["kpis"]["total_minutes"], kpis[0]["total_minutes"]);
    assert_eq!(kpis[0]["total_minutes"], 160);
    worker.stop().await;
}

#[tokio::test]
async fn cancelling_an_ingest_cancels_what_waits_on_it() {
    let api = TestApi::new().await;
    let last = api.enqueue(DAILY).await;
    let before = workflow(&api, &last).await;
    let ingest = before["jobs"].as_array().unwrap().iter().find(|job| job["kind"] == "ingest_csat").unwrap();
    api.post(&format!("/internal/jobs/{}/cancel", ingest["id"].as_str().unwrap())).await.ok(StatusCode::OK);
    let after = workflow(&api, &last).await;
    assert_eq!((&after["counts"]["cancelled"], &after["counts"]["available"]), (&json!(3), &json!(3)));
    // Nor can the dependent be revived before what it depends on.
    let retry = format!("/internal/jobs/{}/retry", last["id"].as_str().unwrap());
    api.post(&retry).await.problem(409, "wrong_state");
}
