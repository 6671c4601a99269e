//! Enqueueing: what each endpoint enqueues, what it answers, what it takes for the same job.

use axum::http::StatusCode;
use serde_json::{Value, json};
use weirgate_test_support::id;

use crate::support::TestApi;

const TICKETS: &str = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";

/// The fields of a job in the contract, by name.
const FIELDS: [&str; 33] = [
    "args",
    "attempt",
    "attempted_at",
    "backfill_id",
    "created_at",
    "date",
    "depends_on",
    "duplicate",
    "errors",
    "final",
    "finalized_at",
    "id",
    "kind",
    "links",
    "max_attempts",
    "observed_at",
    "output",
    "output_omitted",
    "priority",
    "progress",
    "queue",
    "replayed",
    "retry_after_s",
    "scheduled_at",
    "state",
    "status_url",
    "tenant",
    "tenant_id",
    "throttled_until",
    "trace_id",
    "why_cancelled",
    "why_not_running",
    "workflow_id",
];

#[tokio::test]
async fn each_endpoint_enqueues_its_job() {
    let api = TestApi::new().await;
    for (target, kind, queue, args) in [
        ("ingest/tickets?", "ingest_tickets", "ingest", json!({})),
        ("ingest/time_entries?", "ingest_time_entries", "ingest", json!({})),
        ("ingest/csat?", "ingest_csat", "ingest", json!({})),
        ("ingest/security_alerts?", "ingest_security_alerts", "ingest", json!({})),
        ("kpi/compute-daily?date=2026-01-20&", "compute_kpi", "kpi", json!({"date": "2026-01-20"})),
        (
            "exports/generate?date=2026-01-20&",
            "generate_export",
            "export",
            json!({"date": "2026-01-20", "format": "json"}),
        ),
        (
            "exports/generate?date=2026-01-20&format=csv&",
            "generate_export",
            "export",
            json!({"date": "2026-01-20", "format": "csv"}),
        ),
    ] {
        let answer = api.post(&format!("/internal/{target}tenant_id=tenant_demo_cca")).await;
        let job = answer.ok(StatusCode::ACCEPTED);
        let url = format!("http://localhost/internal/jobs/{}", job["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), Some(url.as_str()));
        assert_eq!(answer.header("retry-after"), Some("1"));
        for name in ["job-duplicate", "idempotency-replayed", "preference-applied", "etag"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!((job["kind"].as_str(), job["queue"].as_str()), (Some(kind), Some(queue)), "{target}");
        let mut expected = json!({"tenant": "tenant_demo_cca"});
        expected.as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        assert_eq!(job["args"], expected);
        assert_eq!(api.get(&url["http://localhost".len()..]).await.ok(StatusCode::OK)["id"], job["id"]);
    }
    assert_eq!(api.count("queue.jobs").await, 7);
}

#[tokio::test]
async fn a_job_has_all_fields_of_the_contract() {
    let api = TestApi::new().await;
    let job = api.enqueue(TICKETS).await;
    let mut names: Vec<&str> = job.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, FIELDS);
    assert_eq!(id(&job["id"]).get_version_num(), 7);
    let url = format!("http://localhost/internal/jobs/{}", job["id"].as_str().unwrap());
    let expected = json!({
        "tenant_id": api.cca.id, "tenant": "tenant_demo_cca", "state": "available", "priority": 0, "attempt": 0,
        "max_attempts": 10, "output": null, "output_omitted": false, "errors": [], "progress": null, "workflow_id": null,
        "backfill_id": null, "depends_on": [], "attempted_at": null, "finalized_at": null, "date": null, "why_cancelled": null,
        "throttled_until": null, "status_url": url, "retry_after_s": 1,
        "links": {
            "self": url, "cancel": format!("{url}/cancel"), "retry": format!("{url}/retry"),
            "events": format!("{url}/events"),
        },
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&job[name], value, "{name}");
    }
    for name in ["created_at", "scheduled_at", "observed_at"] {
        assert!(job[name].as_str().unwrap().ends_with('Z'), "{name} is in UTC");
    }
}

#[tokio::test]
async fn urls_are_those_the_caller_or_the_operator_uses() {
    let api = TestApi::with(|config| config.listen = Some("0.0.0.0:8080".parse().unwrap())).await;
    for (host, base) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost:8080", "http://localhost:8080"),
        ("evil.example:8080", "http://localhost:8080"),
        ("evil.example", "http://localhost:8080"),
    ] {
        let answer = api.service("POST", &format!("{TICKETS}&force=true")).header("host", host).send().await;
        let job = answer.ok(StatusCode::ACCEPTED);
        let urls =
            [&job["status_url"], &job["links"]["self"], &job["links"]["cancel"], &job["links"]["events"]];
        let begin = format!("{base}/internal/jobs/");
        assert!(urls.iter().all(|url| url.as_str().unwrap().starts_with(&begin)), "{host}: {job}");
        assert_eq!(answer.header("location"), job["status_url"].as_str());
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    let behind_proxy =
        TestApi::with(|config| config.public_url = Some("https://jobs.example/".to_owned())).await;
    let answer = behind_proxy.service("POST", TICKETS).header("host", "10.0.0.7").send().await;
    let job = answer.ok(StatusCode::ACCEPTED);
    let urls = [&job["status_url"], &job["links"]["self"], &job["links"]["cancel"], &job["links"]["events"]];
    assert!(urls.iter().all(|url| url.as_str().unwrap().starts_with("https://jobs.example/internal/jobs/")));
    assert_eq!(answer.header("location"), job["status_url"].as_str());
    for answer in [answer, behind_proxy.anonymous("GET", "/v1/jobs").send().await] {
        let https_only = answer.header("strict-transport-security").unwrap();
        assert_eq!(https_only, "max-age=63072000; includeSubDomains");
    }
}

#[tokio::test]
async fn the_same_job_is_enqueued_once_while_it_is_not_final() {
    let api = TestApi::new().await;
    let first = api.enqueue(TICKETS).await;
    let by_id = format!("/internal/ingest/tickets?tenant_id={}", api.cca.id);
    for target in [TICKETS, &by_id] {
        let again = api.post(target).await;
        assert_eq!(again.ok(StatusCode::ACCEPTED)["id"], first["id"]);
        assert_eq!(again.header("job-duplicate"), Some("true"));
    }
    let others = "/internal/ingest/tickets?tenant_id=tenant_demo_client2";
    assert_ne!(api.enqueue(others).await["id"], first["id"]);
    let forced = api.post(&format!("{TICKETS}&force=true")).await;
    assert_ne!(forced.ok(StatusCode::ACCEPTED)["id"], first["id"]);
    assert_eq!(forced.header("job-duplicate"), None);
    let cancel = format!("/internal/jobs/{}/cancel", first["id"].as_str().unwrap());
    assert_eq!(api.post(&cancel).await.ok(StatusCode::OK)["state"], "cancelled");
    let next = api.post(TICKETS).await;
    assert_ne!(next.ok(StatusCode::ACCEPTED)["id"], first["id"]);
    assert_eq!(next.header("job-duplicate"), None);
    assert_eq!(api.count("queue.jobs").await, 4);
}

#[tokio::test]
async fn another_day_or_format_is_another_job() {
    let api = TestApi::new().await;
    let mut ids: Vec<Value> = Vec::new();
    for (date, format) in [("2026-01-20", "json"), ("2026-01-20", "csv"), ("2026-01-21", "json")] {
        let target =
            format!("/internal/exports/generate?tenant_id=tenant_demo_cca&date={date}&format={format}");
        ids.push(api.enqueue(&target).await["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let default = "/internal/exports/generate?tenant_id=tenant_demo_cca&date=2026-01-20";
    assert_eq!(api.enqueue(default).await["id"], ids[0]);
}
