//! Validation: every field that is wrong is named, and what is unknown is refused.

use super::docs::operations;
use crate::support::TestApi;

#[tokio::test]
async fn unknown_parameters_are_refused_everywhere() {
    let api = TestApi::new().await;
    // Standards say that parameters which nobody knows are left alone there (RFC 6749, section 3.2).
    let ignores = |path: &str| path.starts_with("/oauth/") || path.starts_with("/.well-known/");
    let guarded = operations()
        .into_iter()
        .filter(|(_, path)| path[1..].contains('/') && path != "/health/ready" && !ignores(path));
    for (method, path) in guarded {
        let target = format!("{path}?surprise=1");
        let call = if path.starts_with("/v1") {
            api.tenant(&api.cca, method, &target)
        } else {
            api.service(method, &target)
        };
        let fields = call.send().await.wrong_fields();
        assert!(fields.contains(&"surprise".to_owned()), "{method} {path}: {fields:?}");
    }
}

#[tokio::test]
async fn each_wrong_parameter_of_an_enqueue_is_named() {
    let api = TestApi::new().await;
    let tickets = "ingest/tickets?tenant_id=tenant_demo_cca";
    for (target, fields) in [
        ("ingest/tickets", &["tenant_id"][..]),
        ("ingest/tickets?tenant_id=", &["tenant_id"]),
        ("ingest/tickets?tenant_id=a%20b", &["tenant_id"]),
        ("ingest/tickets?tenant_id=a&tenant_id=b", &["tenant_id"]),
        ("kpi/compute-daily?tenant_id=tenant_demo_cca", &["date"]),
        ("kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-02-30", &["date"]),
        ("pipelines/daily?tenant_id=tenant_demo_cca&date=today", &["date"]),
        ("exports/generate?tenant_id=tenant_demo_cca&date=2026-01-20&format=xml", &["format"]),
        (&format!("{tickets}&priority=101"), &["priority"]),
        (&format!("{tickets}&priority=-101"), &["priority"]),
        (&format!("{tickets}&priority=high"), &["priority"]),
        (&format!("{tickets}&max_attempts=0"), &["max_attempts"]),
        (&format!("{tickets}&max_attempts=101"), &["max_attempts"]),
        (&format!("{tickets}&run_at=2026-01-20"), &["run_at"]),
        (&format!("{tickets}&force=yes"), &["force"]),
        (&format!("{tickets}&date=2026-01-20"), &["date"]),
        ("kpi/compute-daily?date=x&priority=x&y=1", &["tenant_id", "date", "priority", "y"]),
    ] {
        let refused = api.post(&format!("/internal/{target}")).await;
        assert_eq!(refused.wrong_fields(), fields, "{target}");
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn each_wrong_field_of_a_body_is_named() {
    let api = TestApi::new().await;
    for (query, body, field) in [
        ("", r#"{"priority": 101}"#, "priority"),
        ("", r#"{"priority": "high"}"#, "priority"),
        ("", r#"{"priority": 1.5}"#, "priority"),
        ("", r#"{"priority": 1, "priority": 2}"#, "body"),
        ("", r#"{"max_attempts": 0}"#, "max_attempts"),
        ("", r#"{"run_at": "soon"}"#, "run_at"),
        ("", r#"{"surprise": 1}"#, "surprise"),
        ("", "[]", "body"),
        ("&priority=1", r#"{"priority": 2}"#, "priority"),
        ("&max_attempts=1", r#"{"max_attempts": 2}"#, "max_attempts"),
        ("&run_at=2099-01-01T00:00:00Z", r#"{"run_at": "2099-01-01T00:00:01Z"}"#, "run_at"),
    ] {
        let target = format!("/internal/ingest/tickets?tenant_id=tenant_demo_cca{query}");
        let refused = api.service("POST", &target).json(body).send().await;
        assert_eq!(refused.wrong_fields(), [field], "{query} {body}");
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn an_unusable_idempotency_key_is_named() {
    let api = TestApi::new().await;
    for key in ["two words", &"k".repeat(256)] {
        let call = api.service("POST", "/internal/ingest/tickets?tenant_id=tenant_demo_cca");
        assert_eq!(call.header("idempotency-key", key).send().await.wrong_fields(), ["Idempotency-Key"]);
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn each_wrong_parameter_of_a_read_is_named() {
    let api = TestApi::new().await;
    let job = "jobs/0198c0de-0000-7000-8000-000000000000";
    for (target, field) in [
        ("jobs?state=done", "state"),
        ("jobs?state=running,done", "state"),
        ("jobs?q=%00", "q"),
        ("jobs?workflow_id=7", "workflow_id"),
        ("jobs?backfill_id=7", "backfill_id"),
        ("jobs?created_after=2026-01-20", "created_after"),
        ("jobs?created_before=x", "created_before"),
        ("jobs?limit=0", "limit"),
        ("jobs?limit=501", "limit"),
        ("jobs?limit=2&limit=3", "limit"),
        ("jobs?cursor=zz", "cursor"),
        ("jobs?cursor=7b7d", "cursor"),
        (&format!("{job}?wait=soon"), "wait"),
        (&format!("{job}?wait=-1"), "wait"),
    ] {
        assert_eq!(api.get(&format!("/internal/{target}")).await.wrong_fields(), [field], "{target}");
        assert_eq!(api.v1(&format!("/v1/{target}")).await.wrong_fields(), [field], "{target}");
    }
    assert_eq!(api.get("/internal/jobs?tenant_id=a%20b").await.wrong_fields(), ["tenant_id"]);
    assert_eq!(api.v1("/v1/jobs?tenant_id=tenant_demo_client2").await.wrong_fields(), ["tenant_id"]);
}

#[tokio::test]
async fn each_wrong_parameter_of_a_result_is_named() {
    let api = TestApi::new().await;
    for (target, field) in [
        ("kpis/daily", "from"),
        ("kpis/daily?date=2026-02-30", "date"),
        ("kpis/daily?from=2026-02-30&to=2026-03-01", "from"),
        ("kpis/daily?date=2026-01-20&from=2026-01-01&to=2026-01-31", "date"),
        ("kpis/daily?from=2026-01-01", "to"),
        ("kpis/daily?to=2026-01-01", "from"),
        ("kpis/daily?from=2026-01-02&to=2026-01-01", "to"),
        ("kpis/daily?from=2026-01-01&to=2027-01-02", "to"),
        ("tickets?created_from=x", "created_from"),
        ("tickets?created_to=2026-13-01", "created_to"),
        ("tickets?cursor=00", "cursor"),
        ("csat?from=x", "from"),
        ("csat?from=2026-01-02&to=2026-01-01", "to"),
        ("security-alerts?to=x", "to"),
        ("time-entries?limit=x", "limit"),
        ("exports?limit=501", "limit"),
    ] {
        assert_eq!(api.v1(&format!("/v1/{target}")).await.wrong_fields(), [field], "{target}");
    }
    let whole_leap_year = api.v1("/v1/kpis/daily?from=2026-01-01&to=2027-01-01").await;
    assert!(whole_leap_year.items().is_empty(), "366 days are allowed");
}
