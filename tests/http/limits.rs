//! Limits of tenants: shown, set, refused when wrong, and obeyed.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_queue::worker::claim;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;

const PATH: &str = "/internal/tenants/tenant_demo_cca/limits";

async fn get(api: &TestApi) -> Value {
    api.get(PATH).await.ok(StatusCode::OK)
}

async fn put(api: &TestApi, queues: Value) -> Value {
    let body = json!({ "queues": queues }).to_string();
    api.service("PUT", PATH).json(body).send().await.ok(StatusCode::OK)
}

/// A lane without what differs from look to look.
fn settled(lane: &Value) -> Value {
    let mut lane = lane.clone();
    assert!(lane.as_object_mut().unwrap().remove("observed_at").unwrap().is_string());
    lane
}

fn none() -> Value {
    json!({"rate": null, "period_s": null, "burst": null, "max_running": null, "weight": 1.0})
}

fn idle(paused: bool, limits: &Value, effective: &Value, from: &str) -> Value {
    json!({
        "paused": paused, "queue_paused": false, "limits": limits, "effective": effective, "effective_from": from,
        "waiting": {"waiting": 0, "scheduled": 0, "available": 0, "retryable": 0}, "running": 0,
        "throttled_until": null,
    })
}

async fn step(api: &TestApi, does: Does) -> Uuid {
    let step = NewJob::of(api.cca.id, &Step::new(&Uuid::now_v7().to_string(), does)).unwrap();
    api.db().enqueue_new(step).await.id
}

#[tokio::test]
async fn every_queue_is_shown_with_what_applies() {
    let api = TestApi::new().await;
    let answer = get(&api).await;
    assert_eq!((&answer["tenant"], &answer["tenant_id"]), (&json!("tenant_demo_cca"), &json!(api.cca.id)));
    let queues: Vec<&String> = answer["queues"].as_object().unwrap().keys().collect();
    assert_eq!(queues, ["export", "ingest", "kpi", "system"]);
    assert_eq!(settled(&answer["queues"]["kpi"]), idle(false, &Value::Null, &none(), "none"));
    let by_id = api.get(&format!("/internal/tenants/{}/limits", api.cca.id)).await.ok(StatusCode::OK);
    assert_eq!(settled(&by_id["queues"]["kpi"]), settled(&answer["queues"]["kpi"]));
    api.get("/internal/tenants/nobody/limits").await.problem(404, "unknown_tenant");
    api.service("PUT", "/internal/tenants/nobody/limits")
        .json("{}")
        .send()
        .await
        .problem(404, "unknown_tenant");
}

#[tokio::test]
async fn what_is_set_is_shown_and_what_is_not_named_stays() {
    let api = TestApi::new().await;
    let given = json!({"rate": 20, "period_s": 0.5, "burst": 5, "max_running": 3, "weight": 2.5});
    let set = put(&api, json!({"ingest": given, "kpi": {"rate": 4}})).await;
    assert_eq!(settled(&set["queues"]["ingest"]), idle(false, &given, &given, "lane"));
    let even = json!({"rate": 4, "period_s": 1.0, "burst": 1, "max_running": null, "weight": 1.0});
    assert_eq!(settled(&set["queues"]["kpi"]), idle(false, &even, &even, "lane"), "evenly spaced");
    assert_eq!(settled(&set["queues"]["export"]), idle(false, &Value::Null, &none(), "none"));
    let shown = get(&api).await;
    for queue in ["ingest", "kpi", "export"] {
        assert_eq!(settled(&shown["queues"][queue]), settled(&set["queues"][queue]), "GET and PUT agree");
    }
    // Pausing leaves the limits, and limits leave the pause.
    let set = put(&api, json!({"ingest": {"paused": true}})).await;
    assert_eq!(settled(&set["queues"]["ingest"]), idle(true, &given, &given, "lane"));
    assert_eq!(settled(&set["queues"]["kpi"]), idle(false, &even, &even, "lane"), "it was not named");
    let set = put(&api, json!({"ingest": {"max_running": 7}})).await;
    let only = json!({"rate": null, "period_s": null, "burst": null, "max_running": 7, "weight": 1.0});
    assert_eq!(settled(&set["queues"]["ingest"]), idle(true, &only, &only, "lane"));
    let set = put(&api, json!({"ingest": {"max_running": null}})).await;
    assert_eq!(settled(&set["queues"]["ingest"]), idle(true, &none(), &none(), "lane"), "its own: no limits");
    let set = put(&api, json!({"ingest": null})).await;
    assert_eq!(settled(&set["queues"]["ingest"]), idle(false, &Value::Null, &none(), "none"));
    // The other tenant has none of it.
    let others = api.get("/internal/tenants/tenant_demo_client2/limits").await.ok(StatusCode::OK);
    assert_eq!(settled(&others["queues"]["kpi"]), idle(false, &Value::Null, &none(), "none"));
}

#[tokio::test]
async fn a_tenant_without_limits_has_those_of_the_queue() {
    let api = TestApi::new().await;
    let lanes = json!({"rate": 9, "period_s": 60.0, "burst": 2, "max_running": 4, "weight": 1.0});
    let body = json!({ "lanes": lanes }).to_string();
    api.service("PUT", "/internal/queues/kpi/limits").json(body).send().await.ok(StatusCode::OK);
    let shown = get(&api).await;
    assert_eq!(settled(&shown["queues"]["kpi"]), idle(false, &Value::Null, &lanes, "queue_default"));
    let set = put(&api, json!({"kpi": {"weight": 1}})).await;
    assert_eq!(
        settled(&set["queues"]["kpi"]),
        idle(false, &none(), &none(), "lane"),
        "its own take their place"
    );
    let set = put(&api, json!({"kpi": null})).await;
    assert_eq!(settled(&set["queues"]["kpi"]), idle(false, &Value::Null, &lanes, "queue_default"));
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_set() {
    let api = TestApi::new().await;
    for (body, fields) in [
        (r#"{"queues": {"ingest": {"rate": 0}}}"#, &["queues.ingest.rate"][..]),
        (r#"{"queues": {"ingest": {"rate": -1}}}"#, &["queues.ingest.rate"]),
        (r#"{"queues": {"ingest": {"rate": 1.5}}}"#, &["queues.ingest.rate"]),
        (r#"{"queues": {"ingest": {"rate": "twenty"}}}"#, &["queues.ingest.rate"]),
        (r#"{"queues": {"ingest": {"rate": 1000000}}}"#, &["queues.ingest.rate"]),
        (r#"{"queues": {"ingest": {"rate": 1, "period_s": 0.0001}}}"#, &["queues.ingest.period_s"]),
        (r#"{"queues": {"ingest": {"rate": 1, "period_s": 0}}}"#, &["queues.ingest.period_s"]),
        (r#"{"queues": {"ingest": {"rate": 1, "burst": 0}}}"#, &["queues.ingest.burst"]),
        (r#"{"queues": {"ingest": {"burst": 2}}}"#, &["queues.ingest.burst"]),
        (r#"{"queues": {"ingest": {"period_s": 2}}}"#, &["queues.ingest.period_s"]),
        (r#"{"queues": {"ingest": {"max_running": 0}}}"#, &["queues.ingest.max_running"]),
        (r#"{"queues": {"ingest": {"weight": 0}}}"#, &["queues.ingest.weight"]),
        (r#"{"queues": {"ingest": {"weight": -1}}}"#, &["queues.ingest.weight"]),
        (r#"{"queues": {"ingest": {"weight": 1001}}}"#, &["queues.ingest.weight"]),
        (r#"{"queues": {"ingest": {"paused": 1}}}"#, &["queues.ingest.paused"]),
        (r#"{"queues": {"ingest": {"speed": 1}}}"#, &["queues.ingest.speed"]),
        (r#"{"queues": {"inges": {"rate": 1}}}"#, &["queues.inges"]),
        (
            r#"{"queues": {"inges": null, "kpi": {"rate": 0, "weight": 0}}}"#,
            &["queues.inges", "queues.kpi.rate", "queues.kpi.weight"],
        ),
        (r#"{"queues": {"ingest": {"rate": 7}, "kpi": {"weight": 0}}}"#, &["queues.kpi.weight"]),
        (r#"{"queues": []}"#, &["queues"]),
        (r#"{"ingest": {"rate": 1}}"#, &["ingest"]),
        ("[]", &["body"]),
    ] {
        let refused = api.service("PUT", PATH).json(body).send().await;
        assert_eq!(refused.wrong_fields(), fields, "{body}");
    }
    let refused = api.service("PUT", PATH).json(r#"{"queues": {"inges": null}}"#).send().await;
    assert!(
        refused.text().contains("export, ingest, kpi, system"),
        "the known ones are named: {}",
        refused.text()
    );
    let shown = get(&api).await;
    assert_eq!(settled(&shown["queues"]["ingest"]), idle(false, &Value::Null, &none(), "none"));
    assert_eq!(api.count("queue.lanes").await, 0);
}

#[tokio::test]
async fn it_tells_what_waits_what_runs_and_until_when_it_is_throttled() {
    let api = TestApi::new().await;
    let worker = api.db().register_worker().await;
    put(&api, json!({"default": {"rate": 1, "period_s": 60, "burst": 2}})).await;
    for _ in 0..5 {
        step(&api, Does::Succeed).await;
    }
    assert_eq!(
        claim(&mut api.db().pool.acquire().await.unwrap(), worker, "default", 10).await.unwrap().len(),
        2
    );
    let lane = get(&api).await["queues"]["default"].clone();
    assert_eq!((&lane["waiting"]["available"], &lane["running"]), (&json!(3), &json!(2)));
    let job = api.get("/internal/jobs?state=available&limit=1").await.items().remove(0);
    assert!(lane["throttled_until"].is_string());
    assert_eq!(job["throttled_until"], lane["throttled_until"], "the job tells the same");
}

#[tokio::test]
async fn a_running_worker_obeys_from_its_next_claim_on() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let first = step(&api, Does::GateOrCancel).await;
    api.db().until(first, JobState::Running).await;
    put(&api, json!({"default": {"max_running": 1}})).await;
    let second = step(&api, Does::Succeed).await;
    let other = Step::new("other", Does::Succeed);
    // The worker has looked since, and passed the second over.
    let other = api.db().enqueue(api.client2.id, &other).await.id;
    api.db().until(other, JobState::Completed).await;
    let held = api.get(&format!("/internal/jobs/{second}")).await.ok(StatusCode::OK);
    assert_eq!(held["why_not_running"]["code"], "tenant_at_max_running");
    put(&api, json!({"default": {"max_running": 2}})).await;
    api.db().until(second, JobState::Completed).await;
    put(&api, json!({"default": {"paused": true}})).await;
    let third = step(&api, Does::Succeed).await;
    let other = Step::new("another", Does::Succeed);
    let other = api.db().enqueue(api.client2.id, &other).await.id;
    api.db().until(other, JobState::Completed).await;
    let held = api.get(&format!("/internal/jobs/{third}")).await.ok(StatusCode::OK);
    assert_eq!(held["why_not_running"]["code"], "tenant_paused");
    put(&api, json!({"default": null})).await;
    api.db().until(third, JobState::Completed).await;
    assert_eq!(api.db().job(first).await.state(), JobState::Running, "what runs goes on running");
    api.post(&format!("/internal/jobs/{first}/cancel")).await.ok(StatusCode::OK);
    worker.stop().await;
}
