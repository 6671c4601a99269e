//! Queues: what goes on in them, pausing and resuming, limits.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_queue::worker::claim;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;

async fn queue(api: &TestApi, name: &str) -> Value {
    api.get(&format!("/internal/queues/{name}")).await.ok(StatusCode::OK)
}

async fn step(api: &TestApi, tenant: Uuid) -> Uuid {
    let step = Step::new(&Uuid::now_v7().to_string(), Does::Succeed);
    api.db().enqueue_new(NewJob::of(tenant, &step).unwrap()).await.id
}

async fn put(api: &TestApi, body: &str) -> Value {
    api.service("PUT", "/internal/queues/kpi/limits").json(body).send().await.ok(StatusCode::OK)
}

#[tokio::test]
async fn every_queue_is_listed() {
    let api = TestApi::new().await;
    assert_eq!(api.get("/internal/queues").await.column("name"), ["export", "ingest", "kpi", "system"]);
    api.db().register_worker().await;
    let listed = api.get("/internal/queues").await.items();
    let names: Vec<&str> = listed.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "export", "ingest", "kpi", "system"], "a live worker takes from one more");
    let mut first = listed[0].clone();
    assert!(first.as_object_mut().unwrap().remove("observed_at").unwrap().is_string());
    let url = "http://localhost/internal/queues/default";
    let none = json!({"rate": null, "period_s": null, "burst": null, "max_running": null});
    let mut none_of_lanes = none.clone();
    none_of_lanes["weight"] = json!(1.0);
    let expected = json!({
        "name": "default", "paused": false, "limits": {"queue": none, "lanes": none_of_lanes},
        "depth": {"waiting": 0, "scheduled": 0, "available": 0, "running": 0, "retryable": 0},
        "finished": {"completed": 0, "cancelled": 0, "discarded": 0}, "running": 0,
        "oldest_available_at": null, "oldest_age_s": null, "lanes_with_backlog": 0, "throttled_lanes": 0,
        "throttled_until": null, "workers": 1, "slots": 0,
        "throughput": {"window_s": 60, "started_per_s": 0.0, "finished_per_s": 0.0},
        "links": {
            "self": url, "pause": format!("{url}/pause"), "resume": format!("{url}/resume"),
            "limits": format!("{url}/limits"), "jobs": "http://localhost/internal/jobs?queue=default",
        },
    });
    assert_eq!(first, expected);
}

#[tokio::test]
async fn an_unknown_queue_is_a_404_that_names_the_known_ones() {
    let api = TestApi::new().await;
    let path = "/internal/queues/inges";
    let put = api.service("PUT", &format!("{path}/limits")).json("{}").send().await;
    let answers = [
        api.get(path).await,
        api.post(&format!("{path}/pause")).await,
        api.post(&format!("{path}/resume")).await,
        put,
    ];
    for answer in answers {
        let problem = answer.problem(404, "unknown_queue");
        assert!(problem["detail"].as_str().unwrap().contains("export, ingest, kpi, system"), "{problem}");
    }
    assert_eq!(api.count("queue.queues").await, 0);
}

#[tokio::test]
async fn it_tells_depth_age_lanes_and_throughput() {
    let api = TestApi::new().await;
    let worker = api.db().register_worker().await;
    api.execute("update queue.workers set capacity = 8").await;
    let body = r#"{"queues": {"default": {"rate": 1, "period_s": 60}}}"#;
    let limits = "/internal/tenants/tenant_demo_cca/limits";
    api.service("PUT", limits).json(body).send().await.ok(StatusCode::OK);
    for _ in 0..3 {
        step(&api, api.cca.id).await;
    }
    assert_eq!(
        claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 10).await.unwrap().len(),
        1
    );
    api.db().travel(std::time::Duration::from_secs(20)).await;
    step(&api, api.client2.id).await;
    let shown = queue(&api, "default").await;
    assert_eq!(
        shown["depth"],
        json!({"waiting": 0, "scheduled": 0, "available": 3, "running": 1, "retryable": 0})
    );
    assert_eq!((&shown["running"], &shown["workers"], &shown["slots"]), (&json!(1), &json!(1), &json!(8)));
    assert_eq!((&shown["lanes_with_backlog"], &shown["throttled_lanes"]), (&json!(2), &json!(1)));
    let age = shown["oldest_age_s"].as_f64().unwrap();
    assert!((20.0..60.0).contains(&age), "{age}");
    let started = shown["throughput"]["started_per_s"].as_f64().unwrap();
    assert!((started - 1.0 / 60.0).abs() < 1e-9, "{started}");
    let job = api.get("/internal/jobs?state=available&limit=3").await.items().remove(2);
    assert_eq!(shown["oldest_available_at"], job["scheduled_at"], "the first that waits");
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let first = step(&api, api.cca.id).await;
    api.db().until(first, JobState::Completed).await;
    let paused = api.post("/internal/queues/default/pause").await.ok(StatusCode::OK);
    assert_eq!((&paused["paused"], &paused["finished"]["completed"]), (&json!(true), &json!(1)));
    let held = step(&api, api.cca.id).await;
    // No claim of anybody starts it, not only not yet that of the worker.
    let another = api.db().register_worker().await;
    let mut conn = api.db().pool.acquire().await.unwrap();
    assert!(claim(&mut conn, another, "default", 10).await.unwrap().is_empty());
    let why = api.get(&format!("/internal/jobs/{held}")).await.ok(StatusCode::OK);
    assert_eq!(why["why_not_running"]["code"], "queue_paused");
    let again = api.post("/internal/queues/default/pause").await.ok(StatusCode::OK);
    assert_eq!((&again["paused"], &again["depth"]["available"]), (&json!(true), &json!(1)), "no harm done");
    let limits = api.get("/internal/tenants/tenant_demo_cca/limits").await.ok(StatusCode::OK);
    let lane = &limits["queues"]["default"];
    assert_eq!((&lane["queue_paused"], &lane["paused"]), (&json!(true), &json!(false)));
    let resumed = api.post("/internal/queues/default/resume").await.ok(StatusCode::OK);
    assert_eq!(resumed["paused"], false);
    api.db().until(held, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn limits_are_set_part_by_part() {
    let api = TestApi::new().await;
    let all = json!({"rate": 100, "period_s": 1.0, "burst": 10, "max_running": 40});
    let each = json!({"rate": 20, "period_s": 1.0, "burst": 1, "max_running": 3, "weight": 0.5});
    let none = json!({"rate": null, "period_s": null, "burst": null, "max_running": null});
    let set = put(&api, r#"{"queue": {"rate": 100, "burst": 10, "max_running": 40}}"#).await;
    assert_eq!(set["limits"]["queue"], all);
    let set = put(&api, r#"{"lanes": {"rate": 20, "max_running": 3, "weight": 0.5}}"#).await;
    assert_eq!(set["limits"], json!({"queue": all, "lanes": each}), "the other part stays");
    // Pausing leaves limits, and limits leave the pause.
    let paused = api.post("/internal/queues/kpi/pause").await.ok(StatusCode::OK);
    assert_eq!(paused["limits"], set["limits"]);
    let set = put(&api, r#"{"queue": null}"#).await;
    assert_eq!((&set["limits"], &set["paused"]), (&json!({"queue": none, "lanes": each}), &json!(true)));
    // What is shown can be sent.
    let same = put(&api, &set["limits"].to_string()).await;
    assert_eq!(same["limits"], set["limits"]);
    assert_eq!(put(&api, "{}").await["limits"], set["limits"]);
}

#[tokio::test]
async fn wrong_limits_are_named_and_not_set() {
    let api = TestApi::new().await;
    for (body, fields) in [
        (r#"{"queue": {"rate": 0}}"#, &["queue.rate"][..]),
        (r#"{"queue": {"weight": 1}}"#, &["queue.weight"]),
        (r#"{"lanes": {"weight": 0}}"#, &["lanes.weight"]),
        (
            r#"{"queue": {"burst": 0, "rate": 1}, "lanes": {"max_running": 0}}"#,
            &["queue.burst", "lanes.max_running"],
        ),
        (r#"{"queue": {"rate": 1}, "lanes": {"period_s": -1, "rate": 1}}"#, &["lanes.period_s"]),
        (r#"{"paused": true}"#, &["paused"]),
    ] {
        let refused = api.service("PUT", "/internal/queues/kpi/limits").json(body).send().await;
        assert_eq!(refused.wrong_fields(), fields, "{body}");
    }
    assert_eq!(api.count("queue.queues").await, 0);
}
