//! `/internal/workflows`: page by page, and their cancel.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use weirgate_queue::{JobState, NewJob, OnFailure, Workflow};

use crate::support::{Does, Probe, Step, TestApi, TestWorker};

/// `size` jobs, each after the first, and `outside`, which waits on the last one without being part of it.
async fn fan(api: &TestApi, size: usize, first: Does) -> (Uuid, Uuid) {
    let tenant = api.cca.id;
    let mut workflow = Workflow::new();
    let id = workflow.id();
    workflow.add("first", NewJob::of(tenant, &Step::new("first", first)).unwrap());
    for number in 1..size {
        let name = format!("child {number}");
        workflow.add(&name, NewJob::of(tenant, &Step::new(&name, Does::Succeed)).unwrap()).after("first");
    }
    let jobs = workflow.enqueue(&mut api.db().pool.acquire().await.unwrap()).await.unwrap();
    let outside = NewJob::of(tenant, &Step::new("outside", Does::Succeed)).unwrap();
    api.db().enqueue_new(outside.after(jobs[size - 1].id, OnFailure::Continue)).await;
    (id, jobs[0].id)
}

#[tokio::test]
async fn a_large_workflow_comes_page_by_page_with_counts_over_all() {
    let api = TestApi::new().await;
    let (id, first) = fan(&api, 1203, Does::Succeed).await;
    let mut target = format!("/internal/workflows/{id}?limit=500");
    let (mut names, mut edges) = (BTreeSet::new(), BTreeSet::new());
    for (size, last) in [(500, false), (500, false), (203, true)] {
        let answer = api.get(&target).await;
        let page = answer.ok(StatusCode::OK);
        assert_eq!(
            (&page["id"], &page["total"], &page["is_final"]),
            (&json!(id), &json!(1203), &json!(false))
        );
        assert_eq!((&page["counts"]["available"], &page["counts"]["waiting"]), (&json!(1), &json!(1202)));
        let jobs = page["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), size);
        let own: BTreeSet<&str> = jobs.iter().map(|job| job["id"].as_str().unwrap()).collect();
        names.extend(jobs.iter().map(|job| job["name"].as_str().unwrap().to_owned()));
        for edge in page["edges"].as_array().unwrap() {
            assert_eq!((&edge["from"], &edge["on_failure"]), (&json!(first), &json!("cancel")));
            assert!(own.contains(edge["to"].as_str().unwrap()), "edges are those of the page's jobs");
            edges.insert(edge["to"].as_str().unwrap().to_owned());
        }
        assert_eq!(page["next"].is_null(), last);
        if let Some(next) = page["next"].as_str() {
            assert_eq!(answer.header("link"), Some(format!("<{next}>; rel=\"next\"").as_str()));
            target = next.strip_prefix("http://localhost").unwrap().to_owned();
        }
    }
    assert_eq!((names.len(), edges.len()), (1203, 1202));
    assert!(names.contains("first") && names.contains("child 1202"));
    let default = api.get(&format!("/internal/workflows/{id}")).await.ok(StatusCode::OK);
    assert_eq!(default["jobs"].as_array().unwrap().len(), 50);
    assert_eq!(default["jobs"][0]["name"], "first", "in order of enqueueing");
    let wrong = api.get(&format!("/internal/workflows/{id}?limit=0&cursor=x")).await;
    assert_eq!(wrong.problem(422, "validation_failed")["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_daily_pipelines_jobs_have_names() {
    let api = TestApi::new().await;
    let last = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let path = format!("/internal/workflows/{}", last["workflow_id"].as_str().unwrap());
    let workflow = api.get(&path).await.ok(StatusCode::OK);
    let names: Vec<&str> =
        workflow["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tickets", "time_entries", "csat", "security_alerts", "kpis", "export"]);
}

#[tokio::test]
async fn a_workflow_that_waits_is_cancelled_at_once() {
    let api = TestApi::new().await;
    let (id, _) = fan(&api, 60, Does::Succeed).await;
    let cancel = format!("/internal/workflows/{id}/cancel");
    let cancelled = api.post(&cancel).await.ok(StatusCode::OK);
    assert_eq!((&cancelled["is_final"], &cancelled["counts"]["cancelled"]), (&json!(true), &json!(60)));
    assert_eq!(cancelled["status_url"], format!("http://localhost/internal/workflows/{id}"));
    // The rest of its jobs is where the workflow is, not at the cancel.
    let next = cancelled["next"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    let rest = api.get(next).await.ok(StatusCode::OK);
    assert_eq!(rest["jobs"].as_array().unwrap().len(), 10);
    assert_eq!(
        api.post(&cancel).await.ok(StatusCode::OK)["counts"],
        cancelled["counts"],
        "again changes nothing"
    );
    let outside = api.get("/internal/jobs?state=available").await.items();
    assert_eq!(outside[0]["args"]["label"], "outside", "what waits elsewhere goes by its edge");
    let unknown = format!("/internal/workflows/{}/cancel", Uuid::now_v7());
    api.post(&unknown).await.problem(404, "unknown_workflow");
}

#[tokio::test]
async fn a_workflow_that_runs_is_told_to_stop() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let (id, first) = fan(&api, 3, Does::Gate).await;
    api.db().until(first, JobState::Running).await;
    let answer = api.post(&format!("/internal/workflows/{id}/cancel")).await.ok(StatusCode::ACCEPTED);
    assert_eq!((&answer["counts"]["cancelled"], &answer["is_final"]), (&json!(2), &json!(false)));
    api.db().until(first, JobState::Cancelled).await;
    worker.stop().await;
}
