//! What jobs failed of, for the service.

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestWorker, id};

use crate::support::TestApi;

#[tokio::test]
async fn failures_are_listed_with_their_counts_and_the_newest_job() {
    let api = TestApi::new().await;
    assert_eq!(api.get("/internal/failures").await.items(), Vec::<Value>::new());
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let mut ids = Vec::new();
    for label in ["one", "two"] {
        let step = NewJob::of(api.cca.id, &Step::new(label, Does::Discard)).unwrap();
        let job = api.db().enqueue_new(step).await.id;
        api.db().until(job, JobState::Discarded).await;
        ids.push(job);
    }
    worker.stop().await;
    let items = api.get("/internal/failures").await.items();
    assert_eq!(items.len(), 1, "both failed alike: {items:?}");
    let failure = &items[0];
    assert_eq!((&failure["kind"], &failure["job_id"]), (&json!("step"), &json!(ids[1])));
    let counts = ["attempts", "retryable", "discarded"].map(|name| failure[name].as_i64().unwrap());
    assert_eq!((counts, &failure["exact"]), ([2, 0, 2], &json!(true)));
    assert!(!failure["code"].as_str().unwrap().is_empty() && failure["message"].is_string(), "{failure}");
    assert!(failure["first_seen_at"].as_str().unwrap() <= failure["last_seen_at"].as_str().unwrap());
    let jobs = failure["jobs_url"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    let listed = api.get(jobs).await.items();
    assert_eq!(listed.iter().map(|job| id(&job["id"])).collect::<Vec<_>>(), [ids[1], ids[0]]);
    // Bulk actions take the same number; what was retried stands in it no more.
    let filter = json!({ "action": "retry", "filter": { "failure_id": failure["id"] }, "dry_run": true });
    let counted = api.service("POST", "/internal/jobs/bulk").json(filter.to_string()).send().await;
    assert_eq!(counted.ok(StatusCode::OK)["count"], 2);
    for job in ids {
        api.post(&format!("/internal/jobs/{job}/retry")).await.ok(StatusCode::OK);
    }
    assert_eq!(api.get("/internal/failures").await.items(), Vec::<Value>::new());
}

#[tokio::test]
async fn failures_are_paged_to_the_end_also_where_few_have_jobs_left() {
    let api = TestApi::new().await;
    api.execute(
        "insert into queue.failures (id, kind, code, pattern, first_seen, last_seen, seen)
         select n, 'ingest_csat', 'code_' || n, 'message', now(), now() - n * interval '1 second', 1 from generate_series(1, 260) n",
    )
    .await;
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    api.post(&format!("/internal/jobs/{}/cancel", job["id"].as_str().unwrap())).await.ok(StatusCode::OK);
    // Every 50th failure has a job.
    api.execute("update queue.jobs set failure_id = 50, state = 'discarded' where kind = 'ingest_csat'")
        .await;
    let (mut codes, mut pages, mut next) = (Vec::new(), 0, Some("/internal/failures?limit=20".to_owned()));
    while let Some(path) = next {
        let page = api.get(&path).await;
        codes.extend(page.column("code"));
        pages += 1;
        let page = page.ok(StatusCode::OK);
        next = page["next"].as_str().map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
    }
    assert_eq!((codes.as_slice(), pages), (&["code_50".to_owned()][..], 3));
    assert_eq!(
        api.get("/internal/failures?limit=0&cursor=x&kind=y").await.wrong_fields(),
        ["limit", "cursor", "kind"]
    );
}
