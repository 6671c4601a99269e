//! The list of jobs: filters and pages.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use weirgate_queue::JobState;
use weirgate_test_support::{Answer, Does, Probe, Step, TestWorker};

use crate::support::TestApi;

/// Three jobs an hour apart: tickets and csat of one tenant, tickets of the other; csat is
/// cancelled.
async fn three_jobs() -> (TestApi, [Value; 3]) {
    let api = TestApi::new().await;
    let mut jobs = Vec::new();
    for (dataset, tenant) in
        [("tickets", "tenant_demo_cca"), ("csat", "tenant_demo_cca"), ("tickets", "tenant_demo_client2")]
    {
        jobs.push(api.enqueue(&format!("/internal/ingest/{dataset}?tenant_id={tenant}")).await);
        api.db().travel(Duration::from_hours(1)).await;
    }
    api.post(&format!("/internal/jobs/{}/cancel", jobs[1]["id"].as_str().unwrap())).await.ok(StatusCode::OK);
    (api, jobs.try_into().unwrap())
}

#[tokio::test]
async fn each_filter_takes_its_jobs_newest_first() {
    let (api, jobs) = three_jobs().await;
    let second = jobs[1]["created_at"].as_str().unwrap();
    let client2 = api.client2.id;
    for (filter, expected) in [
        (String::new(), &[2, 1, 0][..]),
        ("state=cancelled".to_owned(), &[1]),
        ("state=available,cancelled".to_owned(), &[2, 1, 0]),
        ("state=available&state=cancelled".to_owned(), &[2, 1, 0]),
        ("state=running&state=completed,discarded".to_owned(), &[]),
        ("kind=ingest_tickets".to_owned(), &[2, 0]),
        ("kind=ingest".to_owned(), &[]),
        ("queue=ingest".to_owned(), &[2, 1, 0]),
        ("queue=kpi".to_owned(), &[]),
        ("tenant_id=tenant_demo_cca".to_owned(), &[1, 0]),
        (format!("tenant_id={client2}"), &[2]),
        (format!("created_after={second}"), &[2, 1]),
        (format!("created_before={second}"), &[0]),
        ("q=CLIENT2".to_owned(), &[2]),
        ("args.tenant=tenant_demo_cca".to_owned(), &[1, 0]),
        (format!("args.tenant={client2}"), &[2]),
        ("args.tenant=tenant_demo_cca&tenant_id=tenant_demo_client2".to_owned(), &[]),
        ("args.tenant=nobody".to_owned(), &[]),
        ("q=%25".to_owned(), &[]),
        ("q=tenantxdemo".to_owned(), &[]),
        ("workflow_id=0198c0de-0000-7000-8000-000000000000".to_owned(), &[]),
        ("kind=ingest_tickets&tenant_id=tenant_demo_cca&state=available".to_owned(), &[0]),
    ] {
        let ids = api.get(&format!("/internal/jobs?{filter}")).await.column("id");
        let expected: Vec<&str> = expected.iter().map(|i: &usize| jobs[*i]["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_job_is_found_by_its_workflow_and_by_its_errors() {
    let api = TestApi::new().await;
    let last = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let failed = api.db().enqueue(api.cca.id, &Step::new("a", Does::Discard)).await.id;
    api.db().until(failed, JobState::Discarded).await;
    worker.stop().await;
    let workflow = format!("workflow_id={}", last["workflow_id"].as_str().unwrap());
    assert_eq!(api.get(&format!("/internal/jobs?{workflow}")).await.items().len(), 6);
    assert_eq!(api.v1(&format!("/v1/jobs?{workflow}&kind=compute_kpi")).await.items().len(), 1);
    assert_eq!(api.v1("/v1/jobs?q=hopeless").await.column("id"), [failed.to_string()]);
}

#[tokio::test]
async fn a_list_shows_jobs_in_the_one_shape() {
    let (api, jobs) = three_jobs().await;
    let listed = api.get("/internal/jobs").await.items().remove(0);
    let mut alone =
        api.get(&format!("/internal/jobs/{}", jobs[2]["id"].as_str().unwrap())).await.ok(StatusCode::OK);
    alone["observed_at"] = listed["observed_at"].clone();
    assert_eq!(listed, alone);
}

/// The next page's path, which `next` and `Link` name alike.
fn next_path(page: &Answer) -> Option<String> {
    let body = page.ok(StatusCode::OK);
    let url = body["next"].as_str();
    assert_eq!(page.header("link").map(str::to_owned), url.map(|url| format!("<{url}>; rel=\"next\"")));
    url.map(|url| url.strip_prefix("http://localhost").expect("an absolute URL").to_owned())
}

#[tokio::test]
async fn following_next_meets_each_job_once() {
    let api = TestApi::new().await;
    let mut expected = Vec::new();
    for i in 0..7 {
        let step = Step::new(&i.to_string(), Does::Succeed);
        expected.insert(0, api.db().enqueue(api.cca.id, &step).await.id.to_string());
    }
    let mut met = Vec::new();
    let mut next = Some("/internal/jobs?limit=2&kind=step&state=available,running".to_owned());
    while let Some(path) = next {
        let page = api.get(&path).await;
        let ids = page.column("id");
        assert!(ids.len() <= 2, "{ids:?}");
        met.extend(ids);
        next = next_path(&page);
        assert!(next.as_ref().is_none_or(|path| path.contains("kind=step")), "the filter is kept");
        // What comes meanwhile is newer than all that follows.
        api.db().enqueue(api.cca.id, &Step::new(&format!("late-{}", met.len()), Does::Succeed)).await;
    }
    assert_eq!(met, expected);
}

#[tokio::test]
async fn a_page_that_holds_all_has_no_next() {
    let (api, _) = three_jobs().await;
    assert_eq!(next_path(&api.get("/internal/jobs?limit=3").await), None);
    assert!(next_path(&api.get("/internal/jobs?limit=1").await).is_some());
    for _ in 0..50 {
        api.enqueue("/internal/ingest/tickets?tenant_id=tenant_demo_cca&force=true").await;
    }
    assert_eq!(api.get("/internal/jobs").await.items().len(), 50, "the usual limit");
    assert_eq!(api.get("/internal/jobs?limit=500").await.items().len(), 53);
}

#[tokio::test]
async fn a_next_page_is_of_the_surface_that_was_asked_and_of_no_made_up_host() {
    let (api, _) = three_jobs().await;
    let call = api.tenant(&api.cca, "GET", "/v1/jobs?limit=1&q=cca").header("host", "evil.example");
    let answer = call.send().await;
    assert!(!answer.header("link").unwrap().contains("evil"), "{:?}", answer.header("link"));
    let next = answer.ok(StatusCode::OK)["next"].as_str().unwrap().to_owned();
    let path = next.strip_prefix("http://localhost").unwrap();
    assert!(path.starts_with("/v1/jobs?"), "{path}");
    let second = api.v1(path).await;
    assert_eq!(second.items().len(), 1);
    assert_eq!(next_path(&second), None);
}
