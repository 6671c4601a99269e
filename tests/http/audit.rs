//! Who did what, through `/internal` and on pages.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate::http::TrustedProxies;
use weirgate::users::Role;

use super::docs::operations;
use crate::support::person::Person;
use crate::support::{Does, Step, TestApi, id};

/// What only enqueues a job: the job is its record.
const ENQUEUES: [&str; 4] =
    ["/internal/ingest/", "/internal/kpi/", "/internal/exports/generate", "/internal/pipelines/"];

/// A call, and what the audit says of it.
type Act = (&'static str, String, Value, &'static str, String);

/// Those on tenants and their keys.
async fn acts_on_tenants(api: &TestApi) -> Vec<Act> {
    let keys = "/internal/tenants/tenant_demo_cca/api-keys";
    let key = api.service("POST", keys).json(r#"{"name": "old"}"#).send().await.ok(StatusCode::CREATED);
    let prefix = key["prefix"].as_str().unwrap().to_owned();
    vec![
        (
            "POST",
            "/internal/tenants".to_owned(),
            json!({ "slug": "acme", "name": "Acme Ltd", "time_zone": "UTC" }),
            "tenant.create",
            "acme".to_owned(),
        ),
        (
            "PATCH",
            "/internal/tenants/tenant_demo_cca".to_owned(),
            json!({ "name": "CCA" }),
            "tenant.change",
            "tenant_demo_cca".to_owned(),
        ),
        ("POST", keys.to_owned(), json!({ "name": "n8n" }), "key.create", String::new()),
        ("DELETE", format!("{keys}/{prefix}"), Value::Null, "key.revoke", prefix),
    ]
}

/// Every operation of `/internal` that changes something, once.
async fn acts(api: &TestApi) -> Vec<Act> {
    let step = async || api.db().enqueue(api.cca.id, &Step::new("a", Does::Succeed)).await.id;
    let (cancelled, retried, changed) = (step().await, step().await, step().await);
    api.post(&format!("/internal/jobs/{retried}/cancel")).await.ok(StatusCode::OK);
    let later =
        api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca&run_at=2099-01-01T00:00:00Z").await;
    let later = id(&later["id"]);
    let daily = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    let workflow = id(&daily["workflow_id"]);
    let worker = api.db().register_worker().await;
    let range = json!({ "kind": "compute_kpi", "tenants": "all", "from": "2026-01-20", "to": "2026-01-21",
        "reprocess": "all" });
    let made = api.service("POST", "/internal/backfills").json(range.to_string()).send().await;
    let backfill = id(&made.ok(StatusCode::ACCEPTED)["id"]);
    let of_backfill = |verb: &str| format!("/internal/backfills/{backfill}/{verb}");
    let none = || Value::Null;
    vec![
        ("POST", format!("/internal/jobs/{cancelled}/cancel"), none(), "job.cancel", cancelled.to_string()),
        ("POST", format!("/internal/jobs/{retried}/retry"), none(), "job.retry", retried.to_string()),
        ("POST", format!("/internal/jobs/{later}/run_now"), none(), "job.run_now", later.to_string()),
        (
            "PUT",
            format!("/internal/jobs/{changed}/priority"),
            json!({ "priority": 7 }),
            "job.priority",
            changed.to_string(),
        ),
        (
            "POST",
            "/internal/jobs/bulk".to_owned(),
            json!({ "action": "cancel", "filter": { "kind": "step" } }),
            "jobs.cancel",
            "all that match".to_owned(),
        ),
        (
            "POST",
            format!("/internal/workflows/{workflow}/cancel"),
            none(),
            "workflow.cancel",
            workflow.to_string(),
        ),
        ("POST", format!("/internal/workers/{worker}/drain"), none(), "worker.drain", worker.to_string()),
        ("POST", "/internal/queues/kpi/pause".to_owned(), none(), "queue.pause", "kpi".to_owned()),
        ("POST", "/internal/queues/kpi/resume".to_owned(), none(), "queue.resume", "kpi".to_owned()),
        (
            "PUT",
            "/internal/queues/kpi/limits".to_owned(),
            json!({ "lanes": { "rate": 5 } }),
            "queue.limits",
            "kpi".to_owned(),
        ),
        (
            "PUT",
            "/internal/tenants/tenant_demo_cca/limits".to_owned(),
            json!({ "queues": { "kpi": { "max_running": 3 } } }),
            "lane.limits",
            "tenant_demo_cca/kpi".to_owned(),
        ),
        (
            "PUT",
            "/internal/schedules/daily_pipeline".to_owned(),
            json!({ "enabled": false }),
            "schedule.change",
            "daily_pipeline".to_owned(),
        ),
        (
            "POST",
            "/internal/schedules/daily_pipeline/run".to_owned(),
            none(),
            "schedule.run",
            "daily_pipeline".to_owned(),
        ),
        ("POST", "/internal/backfills".to_owned(), range, "backfill.create", String::new()),
        (
            "PATCH",
            format!("/internal/backfills/{backfill}"),
            json!({ "share": 0.5 }),
            "backfill.set",
            backfill.to_string(),
        ),
        ("POST", of_backfill("pause"), none(), "backfill.pause", backfill.to_string()),
        ("POST", of_backfill("resume"), none(), "backfill.resume", backfill.to_string()),
        ("POST", of_backfill("retry_failed"), none(), "backfill.retry_failed", backfill.to_string()),
        ("POST", of_backfill("cancel"), none(), "backfill.cancel", backfill.to_string()),
    ]
}

/// As the `OpenAPI` document has it, with ids and names left out.
fn shape(method: &str, path: &str) -> String {
    let named = |part: &str| part.contains('-') && part.len() == 36;
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| match part {
            _ if named(part) || part.starts_with("wg_") => "*",
            "kpi" | "ingest" | "daily_pipeline" | "tenant_demo_cca" => "*",
            _ => part,
        })
        .collect();
    format!("{method} {}", parts.join("/"))
}

#[tokio::test]
async fn every_act_through_internal_is_in_the_audit_with_who_and_from_where() {
    let api = TestApi::new().await;
    let mut acts = acts(&api).await;
    acts.extend(acts_on_tenants(&api).await);
    let covered: BTreeSet<String> = acts.iter().map(|(method, path, ..)| shape(method, path)).collect();
    let all: BTreeSet<String> = operations()
        .iter()
        .filter(|(method, path)| *method != "GET" && path.starts_with("/internal/"))
        .filter(|(_, path)| !ENQUEUES.iter().any(|it| path.starts_with(it)))
        .map(|(method, path)| shape(method, path))
        .collect();
    assert_eq!(covered, all, "a new operation says what the audit has of it");
    for (method, path, body, action, target) in acts {
        let call = api.service(method, &path).from("203.0.113.9");
        let call = if body.is_null() { call } else { call.json(body.to_string()) };
        let answer = call.send().await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text());
        let newest = &api.get("/internal/audit?limit=1").await.items()[0];
        let told = (&newest["actor"], &newest["via"], &newest["address"], &newest["action"]);
        let expected = (&json!("service"), &json!("internal"), &json!("203.0.113.9"), &json!(action));
        assert_eq!(told, expected, "{method} {path}");
        let is_target = target.is_empty() || newest["target"] == target;
        assert!(is_target, "{method} {path}: {newest}");
    }
}

#[tokio::test]
async fn what_was_not_done_and_what_only_enqueues_is_not_in_the_audit() {
    let api = TestApi::new().await;
    let before = api.count("audit").await;
    let job = api.enqueue("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
    let path = format!("/internal/jobs/{}", job["id"].as_str().unwrap());
    api.post(&format!("{path}/retry")).await.problem(409, "wrong_state");
    api.post("/internal/queues/nothing/pause").await.problem(404, "unknown_queue");
    let limits = api.service("PUT", "/internal/tenants/tenant_demo_cca/limits");
    limits
        .json(r#"{"queues":{"kpi":{"paused":true},"nothing":{"paused":true}}}"#)
        .send()
        .await
        .wrong_fields();
    let dry = api.service("POST", "/internal/jobs/bulk");
    dry.json(r#"{"action":"cancel","filter":{"all":true},"dry_run":true}"#).send().await.ok(StatusCode::OK);
    let dry = api.service("POST", "/internal/backfills");
    dry.json(r#"{"kind":"compute_kpi","from":"2026-01-20","to":"2026-01-20","tenants":"all","reprocess":"all","dry_run":true}"#)
        .send()
        .await
        .ok(StatusCode::OK);
    assert_eq!(api.count("audit").await, before);
    // The same again is no second act.
    for _ in 0..2 {
        let bulk = api.service("POST", "/internal/jobs/bulk").header("idempotency-key", "one");
        let answer = bulk.json(r#"{"action":"cancel","filter":{"all":true}}"#).send().await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    }
    assert_eq!(api.count("audit").await, before + 1);
}

#[tokio::test]
async fn the_audit_is_paged_and_filtered_by_what_and_who() {
    let api = TestApi::new().await;
    let person = Person::new(&api, "ada@example.com", Role::Operator).await;
    person.post("/dashboard/queues/kpi/pause", &[("confirmed", "true")]).await;
    api.post("/internal/queues/kpi/resume").await.ok(StatusCode::OK);
    person.post("/dashboard/sign-out", &[]).await;
    let all = api.get("/internal/audit").await.column("action");
    assert_eq!(all[..4], ["sign_out", "queue.resume", "queue.pause", "sign_in"]);
    assert!(all.contains(&"tenant.create".to_owned()) && all.contains(&"key.create".to_owned()), "{all:?}");

    let mut target = "/internal/audit?limit=2".to_owned();
    let mut paged = Vec::new();
    loop {
        let answer = api.get(&target).await;
        paged.extend(answer.column("action"));
        let page = answer.ok(StatusCode::OK);
        let Some(next) = page["next"].as_str() else { break };
        target = next.strip_prefix("http://localhost").unwrap().to_owned();
    }
    assert_eq!(paged, all);

    for (query, expected) in [
        ("action=queue", vec!["queue.resume", "queue.pause"]),
        ("action=queue.pause", vec!["queue.pause"]),
        ("action=queu", vec![]),
        ("actor=ADA@example.com", vec!["sign_out", "queue.pause", "sign_in"]),
        ("actor=service", vec!["queue.resume"]),
        ("actor=service&action=sign_in", vec![]),
    ] {
        assert_eq!(api.get(&format!("/internal/audit?{query}")).await.column("action"), expected, "{query}");
    }
    api.get("/internal/audit?who=ada").await.wrong_fields();

    let person = Person::sign_in(&api, "ada@example.com").await;
    let page = person.get("/dashboard/audit?action=queue&actor=service").await;
    assert!(page.text().contains("queue.resume") && !page.text().contains("queue.pause"), "{}", page.text());
    let page = person.get("/dashboard/audit?action=nothing").await;
    assert!(page.text().contains("Nothing of that was done."), "{}", page.text());
}

#[tokio::test]
async fn few_that_match_among_many_are_found_page_by_page() {
    let api = TestApi::new().await;
    api.post("/internal/queues/kpi/pause").await.ok(StatusCode::OK);
    let sql = "insert into audit (actor, action, target) select 'ada@example.com', 'job.cancel', n::text from generate_series(1, 15000) n";
    api.execute(sql).await;
    let first = api.get("/internal/audit?action=queue").await.ok(StatusCode::OK);
    assert_eq!(first["items"], json!([]), "a page looks at 10,000");
    let next = first["next"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    let second = api.get(next).await;
    assert_eq!(second.column("action"), ["queue.pause"]);
    assert_eq!(second.ok(StatusCode::OK)["next"], Value::Null);
}

#[tokio::test]
async fn a_trusted_proxy_says_where_a_request_came_from() {
    let api = TestApi::with(|config| {
        config.trusted_proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
    })
    .await;
    for (peer, said, expected) in [
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
    ] {
        let call = api.service("POST", "/internal/queues/kpi/pause").from(peer);
        call.header("x-forwarded-for", said).send().await.ok(StatusCode::OK);
        assert_eq!(api.get("/internal/audit?limit=1").await.items()[0]["address"], expected);
    }
}
