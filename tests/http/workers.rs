//! Workers.

use std::time::Duration;

use serde_json::json;
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;

#[tokio::test]
async fn workers_are_listed_while_they_hold_a_lease() {
    let api = TestApi::new().await;
    assert!(api.get("/internal/workers").await.items().is_empty());
    let id = api.db().register_worker().await;
    let mut worker = api.get("/internal/workers").await.items().remove(0);
    for time in ["started_at", "heartbeat_at"] {
        assert!(worker.as_object_mut().unwrap().remove(time).unwrap().is_string(), "{time}");
    }
    let expected = json!({
        "id": id, "host": "test", "pid": 1, "version": "0", "queues": ["default"], "running": 0, "draining": false,
    });
    assert_eq!(worker, expected);
    api.db().travel(Duration::from_mins(2)).await;
    assert!(api.get("/internal/workers").await.items().is_empty());
}

#[tokio::test]
async fn a_worker_tells_its_queues_and_what_it_runs() {
    let api = TestApi::new().await;
    let production = api.start_worker();
    let done = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    api.db().until(weirgate_test_support::id(&done["id"]), JobState::Completed).await;
    let queues = api.get("/internal/workers").await.items()[0]["queues"].clone();
    assert_eq!(queues, json!(["export", "ingest", "kpi", "system"]));
    production.stop().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let job = api.db().enqueue(api.cca.id, &Step::new("a", Does::Gate)).await.id;
    api.db().until(job, JobState::Running).await;
    let workers = api.get("/internal/workers").await.items();
    assert_eq!((workers.len(), &workers[0]["running"]), (1, &json!(1)), "who stopped is gone");
    probe.open("a");
    worker.stop().await;
}
