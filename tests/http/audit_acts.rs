//! Every act through the API is in the audit: with who, from where, and how it was before.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use weirgate_queue::NewJob;
use weirgate_test_support::{Does, Step, id};

use super::docs::{is_sign_in, operations};
use crate::support::TestApi;

/// What enqueues one job has no entry, as that may be thousands a second and entries are kept for
/// good: the job's row names who did it.
pub(super) const ENQUEUES: [&str; 3] = ["/internal/ingest/", "/internal/kpi/", "/internal/exports/generate"];

/// A call, what the audit calls it, to what it is done, and how that was before and is after.
struct Act {
    method: &'static str,
    path: String,
    body: Value,
    action: &'static str,
    /// `None` where the call makes it.
    target: Option<String>,
    before: Value,
    after: Value,
}

fn act(method: &'static str, path: String, action: &'static str, target: &str, sides: [Value; 2]) -> Act {
    let [before, after] = sides;
    Act { method, path, body: Value::Null, action, target: Some(target.to_owned()), before, after }
}

impl Act {
    fn with(self, body: Value) -> Self {
        Self { body, ..self }
    }

    fn makes(self) -> Self {
        Self { target: None, ..self }
    }
}

fn state(before: &str, after: &str) -> [Value; 2] {
    [json!({ "state": before }), json!({ "state": after })]
}

fn paused(before: bool, after: bool) -> [Value; 2] {
    [json!({ "paused": before }), json!({ "paused": after })]
}

fn enabled(before: bool, after: bool) -> [Value; 2] {
    [json!({ "enabled": before }), json!({ "enabled": after })]
}

/// Those on tenants, their keys, and the run of a schedule.
async fn acts_on_tenants(api: &TestApi) -> Vec<Act> {
    let keys = "/internal/tenants/tenant_demo_cca/api-keys";
    let key = api.service("POST", keys).json(r#"{"name": "old"}"#).send().await.ok(StatusCode::CREATED);
    let prefix = key["prefix"].as_str().unwrap().to_owned();
    let before = json!({ "name": api.cca.name });
    vec![
        act(
            "POST",
            "/internal/tenants".to_owned(),
            "tenant.create",
            "acme",
            [Value::Null, json!({ "name": "Acme Ltd", "is_active": true, "time_zone": "UTC" })],
        )
        .with(json!({ "slug": "acme", "name": "Acme Ltd", "time_zone": "UTC" })),
        act(
            "PATCH",
            "/internal/tenants/tenant_demo_cca".to_owned(),
            "tenant.change",
            "tenant_demo_cca",
            [before, json!({ "name": "CCA" })],
        )
        .with(json!({ "name": "CCA" })),
        act("POST", keys.to_owned(), "key.create", "", [Value::Null, json!({ "name": "n8n" })])
            .with(json!({ "name": "n8n" }))
            .makes(),
        act(
            "DELETE",
            format!("{keys}/{prefix}"),
            "key.revoke",
            &prefix,
            [json!({ "name": "old", "is_active": true }), json!({ "name": "old", "is_active": false })],
        ),
        act(
            "POST",
            "/internal/schedules/daily_pipeline/run".to_owned(),
            "schedule.run",
            "daily_pipeline",
            [Value::Null, json!({ "enqueued": 1 })],
        )
        .with(json!({ "tenant": "tenant_demo_cca" })),
    ]
}

/// Every operation that changes something, but for those of backfills.
async fn acts(api: &TestApi) -> Vec<Act> {
    let step = async || {
        let job = NewJob::of(api.cca.id, &Step::new("a", Does::Succeed)).unwrap().not_unique();
        api.db().enqueue_new(job).await.id
    };
    let (cancelled, retried, changed) = (step().await, step().await, step().await);
    api.post(&format!("/internal/jobs/{retried}/cancel")).await.ok(StatusCode::OK);
    let later =
        api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca&run_at=2099-01-01T00:00:00Z").await;
    let later = id(&later["id"]);
    let daily = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let workflow = id(&daily["workflow_id"]);
    api.execute("update queue.jobs set state = 'discarded', finalized_at = queue.now() where name = 'csat'")
        .await;
    let worker = api.db().register_worker().await;
    let post = |path: String, action, target: &str, sides| act("POST", path, action, target, sides);
    let of_job = |verb: &str, job: Uuid| (format!("/internal/jobs/{job}/{verb}"), job.to_string());
    let queue = |verb: &str| format!("/internal/queues/kpi/{verb}");
    let schedule = |verb: &str| format!("/internal/schedules/daily_pipeline/{verb}");
    let made = |what: Value| [Value::Null, what];
    let (cancel, cancelled) = of_job("cancel", cancelled);
    let (retry, retried) = of_job("retry", retried);
    let (run_now, later) = of_job("run_now", later);
    let (priority, changed) = of_job("priority", changed);
    let (workflow, worker) = (workflow.to_string(), worker.to_string());
    vec![
        post(cancel, "job.cancel", &cancelled, state("available", "cancelled")),
        post(retry, "job.retry", &retried, state("cancelled", "available")),
        post(run_now, "job.run_now", &later, state("scheduled", "available")),
        act("PUT", priority, "job.priority", &changed, [json!({ "priority": 0 }), json!({ "priority": 7 })])
            .with(json!({ "priority": 7 })),
        post("/internal/jobs/bulk".to_owned(), "jobs.cancel", "all that match", made(json!({})))
            .with(json!({ "action": "cancel", "filter": { "kind": "step" } })),
        post(
            "/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-21".to_owned(),
            "job.enqueue",
            "",
            made(json!({ "kind": "daily_pipeline", "date": "2026-01-21" })),
        )
        .makes(),
        post(
            format!("/internal/workflows/{workflow}/retry-failed"),
            "workflow.retry_failed",
            &workflow,
            [json!({ "failed_jobs": 1 }), json!({ "failed_jobs": 0 })],
        ),
        post(
            format!("/internal/workflows/{workflow}/cancel"),
            "workflow.cancel",
            &workflow,
            [json!({ "open_jobs": 6 }), json!({ "open_jobs": 0 })],
        ),
        post(
            format!("/internal/workers/{worker}/drain"),
            "worker.drain",
            &worker,
            [json!({ "draining": false, "host": "test" }), json!({ "draining": true })],
        ),
        post(queue("pause"), "queue.pause", "kpi", paused(false, true)),
        post(queue("pause"), "queue.pause", "kpi", paused(true, true)),
        post(queue("resume"), "queue.resume", "kpi", paused(true, false)),
        act(
            "PUT",
            queue("limits"),
            "queue.limits",
            "kpi",
            [
                json!({ "lane_limits": { "weight": 1.0 } }),
                json!({ "lane_limits": { "rate": 5, "period_ms": 1000, "burst": 5, "weight": 1.0 } }),
            ],
        )
        .with(json!({ "lanes": { "rate": 5, "burst": 5 } })),
        act(
            "PUT",
            "/internal/tenants/tenant_demo_cca/limits".to_owned(),
            "lane.limits",
            "tenant_demo_cca/kpi",
            [json!({ "limits": null }), json!({ "limits": { "max_running": 3, "weight": 1.0 } })],
        )
        .with(json!({ "queues": { "kpi": { "max_running": 3 } } })),
        post(schedule("pause"), "schedule.off", "daily_pipeline", enabled(true, false)),
        post(schedule("resume"), "schedule.on", "daily_pipeline", enabled(false, true)),
        act(
            "PUT",
            "/internal/schedules/daily_pipeline".to_owned(),
            "schedule.change",
            "daily_pipeline",
            enabled(true, false),
        )
        .with(json!({ "enabled": false })),
    ]
}

/// Those of backfills.
async fn acts_on_backfills(api: &TestApi) -> Vec<Act> {
    let range = json!({ "kind": "compute_kpi", "tenants": "all", "from": "2026-01-20", "to": "2026-01-21",
        "reprocess": "all" });
    let made = api.service("POST", "/internal/backfills").json(range.to_string()).send().await;
    let backfill = id(&made.ok(StatusCode::ACCEPTED)["id"]).to_string();
    let of_backfill = |verb: &str| format!("/internal/backfills/{backfill}/{verb}");
    let post = |path: String, action, target: &str, sides| act("POST", path, action, target, sides);
    vec![
        post(
            "/internal/backfills".to_owned(),
            "backfill.create",
            "",
            [Value::Null, json!({ "kind": "compute_kpi", "from": "2026-01-20", "share": 0.25 })],
        )
        .with(range)
        .makes(),
        act(
            "PATCH",
            format!("/internal/backfills/{backfill}"),
            "backfill.set",
            &backfill,
            [json!({ "share": 0.25 }), json!({ "share": 0.5 })],
        )
        .with(json!({ "share": 0.5 })),
        post(of_backfill("pause"), "backfill.pause", &backfill, state("running", "paused")),
        post(of_backfill("resume"), "backfill.resume", &backfill, state("paused", "running")),
        // None has failed: it changes nothing, and says so.
        post(of_backfill("retry_failed"), "backfill.retry_failed", &backfill, state("running", "running")),
        post(of_backfill("cancel"), "backfill.cancel", &backfill, state("running", "cancelling")),
    ]
}

/// As the `OpenAPI` document has it, with ids and names left out.
fn shape(method: &str, path: &str) -> String {
    let named = |part: &str| part.contains('-') && part.len() == 36;
    let parts: Vec<&str> = path
        .split('?')
        .next()
        .unwrap()
        .split('/')
        .map(|part| match part {
            _ if named(part) || part.starts_with("wg_") => "*",
            "kpi" | "ingest" | "daily_pipeline" | "tenant_demo_cca" => "*",
            _ => part,
        })
        .collect();
    format!("{method} {}", parts.join("/"))
}

/// How the audit calls a token of the service.
pub(super) fn named(which: &str, token: &str) -> String {
    format!("{which} {}", hex::encode(&Sha256::digest(token.as_bytes())[..4]))
}

/// Whether `told` has all that is expected of it.
fn has(told: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(members) => members.iter().all(|(name, value)| told[name] == *value),
        _ => told == expected,
    }
}

#[tokio::test]
async fn every_act_through_the_api_is_in_the_audit_with_who_and_from_where_and_what_it_was_before() {
    let api = TestApi::new().await;
    let mut acts = acts(&api).await;
    acts.extend(acts_on_backfills(&api).await);
    acts.extend(acts_on_tenants(&api).await);
    let covered: BTreeSet<String> = acts.iter().map(|act| shape(act.method, &act.path)).collect();
    let all: BTreeSet<String> = operations()
        .iter()
        // Tenants' keys only read: a first operation of `/v1` that does not would be missing here.
        .filter(|(method, _)| *method != "GET")
        // What people sign in by leaves entries of its own (`http::login`, `http::refresh`).
        .filter(|(_, path)| !is_sign_in(path))
        .filter(|(_, path)| !ENQUEUES.iter().any(|it| path.starts_with(it)))
        .map(|(method, path)| shape(method, path))
        .collect();
    assert_eq!(covered, all, "a new operation says what the audit has of it");
    let service = named("service token", "the-service-token-of-the-tests");
    for act in acts {
        let what = format!("{} {}", act.method, act.path);
        let call = api.service(act.method, &act.path).from("203.0.113.9");
        let call = if act.body.is_null() { call } else { call.json(act.body.to_string()) };
        let answer = call.send().await;
        assert!(answer.status.is_success(), "{what}: {}", answer.text());
        let newest = &api.get("/internal/audit?limit=1").await.items()[0];
        let told = (&newest["actor"], &newest["via"], &newest["address"], &newest["action"]);
        let expected = (&json!(service), &json!("internal"), &json!("203.0.113.9"), &json!(act.action));
        assert_eq!(told, expected, "{what}");
        assert!(act.target.is_none_or(|target| newest["target"] == target), "{what}: {newest}");
        let detail = &newest["detail"];
        assert!(has(&detail["before"], &act.before) && has(&detail["after"], &act.after), "{what}: {newest}");
    }
}

#[tokio::test]
async fn a_token_is_told_from_the_one_that_takes_its_place() {
    let next = "the-next-token-of-the-tests";
    let api = TestApi::with(|config| config.service_token_next = Some(next.to_owned())).await;
    api.post("/internal/queues/kpi/pause").await.ok(StatusCode::OK);
    let call = api.anonymous("POST", "/internal/queues/kpi/resume");
    call.header("authorization", &format!("Bearer {next}")).send().await.ok(StatusCode::OK);
    let who = api.get("/internal/audit?action=queue").await.column("actor");
    let old = named("service token", "the-service-token-of-the-tests");
    assert_eq!(who, [named("next service token", next), old]);
    assert!(!api.get("/internal/audit").await.text().contains(next), "never the token itself");
}
