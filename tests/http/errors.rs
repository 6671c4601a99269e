//! Errors: problems with a stable code, whoever made them.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::TestApi;

const NOBODY: &str = "0198c0de-0000-7000-8000-000000000000";

#[tokio::test]
async fn what_is_not_there_is_a_404() {
    let api = TestApi::new().await;
    for (method, path, code) in [
        ("GET", "/nothing".to_owned(), "unknown_route"),
        ("GET", "/internal/nothing".to_owned(), "unknown_route"),
        ("POST", "/internal/ingest/assets?tenant_id=tenant_demo_cca".to_owned(), "not_found"),
        ("POST", "/internal/ingest/tickets?tenant_id=acme".to_owned(), "unknown_tenant"),
        ("POST", format!("/internal/ingest/tickets?tenant_id={NOBODY}"), "unknown_tenant"),
        ("GET", "/internal/jobs?tenant_id=acme".to_owned(), "unknown_tenant"),
        ("GET", format!("/internal/jobs/{NOBODY}"), "unknown_job"),
        ("GET", format!("/internal/jobs/{NOBODY}/events"), "unknown_job"),
        ("POST", format!("/internal/jobs/{NOBODY}/cancel"), "unknown_job"),
        ("POST", format!("/internal/jobs/{NOBODY}/retry"), "unknown_job"),
        ("GET", "/internal/jobs/7".to_owned(), "unknown_job"),
        ("GET", format!("/internal/workflows/{NOBODY}"), "unknown_workflow"),
    ] {
        let problem = api.service(method, &path).send().await.problem(404, code);
        assert_eq!(problem["instance"].as_str(), path.split('?').next());
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn what_a_tenant_does_not_have_is_a_404() {
    let api = TestApi::new().await;
    for (path, code) in [
        (format!("/v1/jobs/{NOBODY}"), "unknown_job"),
        (format!("/v1/jobs/{NOBODY}/events"), "unknown_job"),
        ("/v1/tickets/T-1".to_owned(), "unknown_ticket"),
        ("/v1/tickets/T-1/summary".to_owned(), "unknown_ticket"),
        ("/v1/tickets/%00".to_owned(), "unknown_ticket"),
        (format!("/v1/exports/{NOBODY}"), "unknown_export"),
        (format!("/v1/exports/{NOBODY}/download"), "unknown_export"),
        ("/v1/exports/7".to_owned(), "unknown_export"),
        ("/v1/nothing".to_owned(), "unknown_route"),
    ] {
        api.v1(&path).await.problem(404, code);
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let api = TestApi::new().await;
    for (path, methods) in super::docs::operations().into_iter().map(|(method, path)| (path, method)) {
        let wrong = if methods == "DELETE" { "PUT" } else { "DELETE" };
        let call = if path.starts_with("/v1") {
            api.tenant(&api.cca, wrong, &path)
        } else {
            api.service(wrong, &path)
        };
        let refused = call.send().await;
        refused.problem(405, "method_not_allowed");
        assert!(refused.header("allow").unwrap().split(',').any(|it| it == methods), "{path}");
    }
    // A browser's question whether another site may call is not answered with a yes.
    let preflight = api.service("OPTIONS", "/internal/jobs").header("origin", "https://elsewhere.example");
    preflight.header("access-control-request-method", "POST").send().await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn bodies_that_are_no_json_object_in_time_are_refused() {
    let api = TestApi::new().await;
    let post = || api.service("POST", "/internal/ingest/tickets?tenant_id=tenant_demo_cca");
    post().json("{\"priority\": ").send().await.problem(400, "malformed_json");
    post().body("text/plain", "priority=1").send().await.problem(415, "unsupported_media_type");
    post().body("", "{}").send().await.problem(415, "unsupported_media_type");
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(1024 * 1024));
    post().json(large).send().await.problem(413, "payload_too_large");
    let cancel = format!("/internal/jobs/{NOBODY}/cancel");
    let fields = api.service("POST", &cancel).json(r#"{"why": "so"}"#).send().await.wrong_fields();
    assert_eq!(fields, ["why"]);
    assert_eq!(api.count("queue.jobs").await, 0);
    let fine = post().body("application/json; charset=utf-8", "{}").send().await;
    assert_eq!(fine.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_inactive_tenant_gets_no_jobs() {
    let api = TestApi::new().await;
    api.execute("update identity.tenants set is_active = false where slug = 'tenant_demo_cca'").await;
    for path in ["ingest/tickets?", "kpi/compute-daily?date=2026-01-20&", "pipelines/daily?date=2026-01-20&"]
    {
        let path = format!("/internal/{path}tenant_id=tenant_demo_cca");
        api.post(&path).await.problem(409, "tenant_inactive");
    }
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn without_its_database_it_lives_but_is_not_ready() {
    let api = TestApi::new().await;
    until_ready(&api, None).await;
    api.db().pool.close().await;
    until_ready(&api, Some("database_unavailable")).await;
    for path in ["/health/ready", "/internal/jobs", "/internal/tenants"] {
        let away = api.get(path).await;
        away.problem(503, "database_unavailable");
        assert_eq!(away.header("retry-after"), Some("1"), "{path}");
    }
    let alive = api.anonymous("GET", "/health").send().await;
    assert_eq!(alive.ok(StatusCode::OK)["status"], "ok");
}

#[tokio::test]
async fn a_full_disk_is_said_and_jobs_are_accepted_again_when_there_is_room() {
    let api = TestApi::new().await;
    // What Postgres says when it cannot extend a file, at the first statement that needs more room.
    api.execute(
        "create function no_room() returns trigger language plpgsql as $$ begin
             raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
         end $$",
    )
    .await;
    api.execute(
        "create trigger no_room before insert on queue.jobs for each statement execute function no_room()",
    )
    .await;
    for path in ["ingest/tickets?", "kpi/compute-daily?date=2026-01-20&", "pipelines/daily?date=2026-01-20&"]
    {
        let path = format!("/internal/{path}tenant_id=tenant_demo_cca");
        let refused = api.post(&path).await;
        refused.problem(503, "database_full");
        assert_eq!(refused.header("retry-after"), Some("1"), "{path}");
    }
    api.execute("drop trigger no_room on queue.jobs").await;
    api.post("/internal/ingest/tickets?tenant_id=tenant_demo_cca").await.ok(StatusCode::ACCEPTED);
    assert_eq!(api.count("queue.jobs").await, 1);
}

#[tokio::test]
async fn with_a_database_that_takes_no_writes_it_is_not_ready() {
    let api = TestApi::new().await;
    until_ready(&api, None).await;
    let mut admin = PgConnection::connect(&api.db().url).await.unwrap();
    for (setting, why) in [("true", Some("database_read_only")), ("false", None)] {
        let sql = format!(
            "do $$ begin
                 execute format('alter database %I set default_transaction_read_only = {setting}', current_database());
                 perform pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid();
             end $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        until_ready(&api, why).await;
        let enqueued = api.post("/internal/ingest/csat?tenant_id=tenant_demo_cca").await;
        match why {
            Some(_) => drop(enqueued.problem(503, "database_unavailable")),
            None => assert_eq!(enqueued.status, StatusCode::ACCEPTED),
        }
    }
}

#[tokio::test]
async fn with_a_database_that_lacks_migrations_it_is_not_ready() {
    let api = TestApi::new().await;
    for sql in [
        "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)",
        "drop table _sqlx_migrations",
    ] {
        api.execute(sql).await;
        until_ready(&api, Some("database_not_migrated")).await;
    }
}

/// What it says may be a second old.
async fn until_ready(api: &TestApi, not: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let ready = api.anonymous("GET", "/health/ready").send().await;
        let so = match not {
            None => ready.status == StatusCode::OK,
            Some(code) => serde_json::from_str::<Value>(ready.text()).is_ok_and(|it| it["code"] == code),
        };
        if so {
            return;
        }
        assert!(Instant::now() < deadline, "still {}, expected {not:?}", ready.status);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
