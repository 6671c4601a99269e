//! What a client needs is in the body: clients such as n8n drop headers.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use weirgate_test_support::Answer;

use crate::support::TestApi;

const TICKETS: &str = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";

fn path(job: &Value) -> String {
    format!("/internal/jobs/{}", job["id"].as_str().unwrap())
}

fn flags(resource: &Value) -> [bool; 3] {
    ["final", "duplicate", "replayed"].map(|name| resource[name].as_bool().unwrap())
}

/// The seconds of the body, which the header has too.
fn retry_after(answer: &Answer) -> i64 {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let seconds = body["retry_after_s"].as_i64().unwrap();
    assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()));
    seconds
}

#[tokio::test]
async fn the_body_tells_of_duplicates_replays_and_the_end() {
    let api = TestApi::new().await;
    let keyed = async || api.service("POST", TICKETS).header("idempotency-key", "a").send().await;
    let first = keyed().await.ok(StatusCode::ACCEPTED);
    assert_eq!(flags(&first), [false, false, false]);
    assert_eq!(flags(&keyed().await.ok(StatusCode::ACCEPTED)), [false, false, true]);
    assert_eq!(flags(&api.enqueue(TICKETS).await), [false, true, false]);
    assert_eq!(flags(&api.get(&path(&first)).await.ok(StatusCode::OK)), [false, false, false]);
    api.post(&format!("{}/cancel", path(&first))).await.ok(StatusCode::OK);
    assert_eq!(flags(&keyed().await.ok(StatusCode::OK)), [true, false, true]);
    let ended = api.get(&path(&first)).await.ok(StatusCode::OK);
    assert_eq!((flags(&ended), &ended["retry_after_s"]), ([true, false, false], &Value::Null));
    for item in api.get("/internal/jobs").await.items().iter().chain(&api.v1("/v1/jobs").await.items()) {
        assert_eq!(flags(item), [true, false, false]);
    }
}

#[tokio::test]
async fn whoever_waits_for_a_time_is_told_to_ask_again_then() {
    let api = TestApi::new().await;
    let in_seconds = async |seconds: i64| {
        let now: DateTime<Utc> =
            sqlx::query_scalar("select queue.now()").fetch_one(&api.db().pool).await.unwrap();
        let at = (now + TimeDelta::seconds(seconds)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        retry_after(&api.post(&format!("{TICKETS}&force=true&run_at={at}")).await)
    };
    let soon = in_seconds(600).await;
    assert!((500..=600).contains(&soon), "{soon}");
    assert_eq!(in_seconds(30 * 24 * 3600).await, 3600, "much may change before");
    assert_eq!(retry_after(&api.post(&format!("{TICKETS}&force=true")).await), 1, "it may start now");
}

#[tokio::test]
async fn a_backfill_tells_the_same() {
    let api = TestApi::new().await;
    let body = json!({"kind": "compute_kpi", "tenants": "all", "from": "2026-01-01", "to": "2026-01-31"})
        .to_string();
    let post = async || {
        api.service("POST", "/internal/backfills").header("idempotency-key", "b").json(&*body).send().await
    };
    let first = post().await;
    let made = first.ok(StatusCode::ACCEPTED);
    assert_eq!(flags(&made), [false, false, false]);
    assert!((1..=3600).contains(&retry_after(&first)));
    assert_eq!(flags(&post().await.ok(StatusCode::ACCEPTED)), [false, false, true]);
    let cancel = format!("/internal/backfills/{}/cancel", made["id"].as_str().unwrap());
    assert!(api.post(&cancel).await.status.is_success());
    api.execute("update queue.backfills set finished_at = queue.now()").await;
    let replayed = post().await;
    let ended = replayed.ok(StatusCode::OK);
    assert_eq!((flags(&ended), &ended["retry_after_s"]), ([true, false, true], &Value::Null));
    assert_eq!(replayed.header("retry-after"), None);
}

#[tokio::test]
async fn a_call_for_now_moves_the_job_that_is_scheduled_for_later_forward() {
    let api = TestApi::new().await;
    let date = "date=2026-01-20";
    for target in [
        TICKETS.to_owned(),
        format!("/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&{date}"),
        format!("/internal/exports/generate?tenant_id=tenant_demo_cca&{date}"),
    ] {
        let later = api.enqueue(&format!("{target}&run_at=2030-01-01T00:00:00Z")).await;
        let even_later = api.enqueue(&format!("{target}&run_at=2031-01-01T00:00:00Z")).await;
        assert_eq!(even_later["scheduled_at"], "2030-01-01T00:00:00Z", "the earlier time stays");
        let sooner = api.enqueue(&format!("{target}&run_at=2029-01-01T00:00:00Z")).await;
        assert_eq!(
            (&sooner["state"], &sooner["scheduled_at"]),
            (&json!("scheduled"), &json!("2029-01-01T00:00:00Z"))
        );
        let now = api.enqueue(&target).await;
        assert_eq!((&now["id"], &now["duplicate"]), (&later["id"], &json!(true)));
        assert_eq!((&now["state"], &now["why_not_running"]["until"]), (&json!("available"), &Value::Null));
        assert!(now["scheduled_at"].as_str().unwrap() < "2029");
    }
    let worker = api.start_worker();
    let waited = api.service("POST", TICKETS).header("prefer", "wait=30").send().await.ok(StatusCode::OK);
    assert_eq!(waited["state"], "completed");
    worker.stop().await;
}

#[tokio::test]
async fn a_pipeline_that_is_scheduled_for_later_is_moved_forward_as_a_whole() {
    let api = TestApi::new().await;
    let daily = "/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-20";
    let later = api.enqueue(&format!("{daily}&run_at=2030-01-01T00:00:00Z")).await;
    assert_eq!(api.enqueue(&format!("{daily}&run_at=2031-01-01T00:00:00Z")).await["id"], later["id"]);
    let now = api.enqueue(daily).await;
    assert_eq!((&now["id"], &now["duplicate"]), (&later["id"], &json!(true)));
    assert_eq!(api.count("queue.jobs").await, 6);
    let worker = api.start_worker();
    let done = api.service("POST", daily).header("prefer", "wait=30").send().await.ok(StatusCode::OK);
    assert_eq!((&done["id"], &done["state"]), (&later["id"], &json!("completed")));
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_an_upstream_has_asked_to_wait_keeps_its_time() {
    let api = TestApi::new().await;
    let job = api.enqueue(TICKETS).await;
    // It ran, and was snoozed.
    api.execute(
        "update queue.jobs set state = 'scheduled', run = 1, scheduled_at = queue.now() + interval '1 hour'",
    )
    .await;
    let again = api.enqueue(TICKETS).await;
    assert_eq!((&again["id"], &again["state"]), (&job["id"], &json!("scheduled")));
}

#[tokio::test]
async fn the_service_fetches_what_a_job_has_made_at_the_url_in_its_output() {
    let api = TestApi::new().await;
    api.fill().await;
    let worker = api.start_worker();
    for format in ["json", "csv"] {
        let export =
            format!("/internal/exports/generate?tenant_id=tenant_demo_cca&date=2026-01-20&format={format}");
        let job = api.service("POST", &export).header("prefer", "wait=30").send().await.ok(StatusCode::OK);
        let url = job["output"]["download_url"].as_str().unwrap();
        let id = job["output"]["export_id"].as_str().unwrap();
        assert_eq!(url, format!("http://localhost/internal/exports/{id}/download"));
        let target = url.strip_prefix("http://localhost").unwrap();
        let file = api.get(target).await;
        assert_eq!(file.status, StatusCode::OK);
        let name = format!("attachment; filename=\"tenant_demo_cca_2026-01-20.{format}\"");
        assert_eq!(file.header("content-disposition"), Some(name.as_str()));
        let listed = api.get("/internal/jobs?kind=generate_export").await.items();
        assert!(listed.iter().any(|it| it["output"]["download_url"] == url), "in lists, too");
        // The tenant is led to the same file by its own way.
        let seen = api.v1(&format!("/v1/jobs/{}", job["id"].as_str().unwrap())).await.ok(StatusCode::OK);
        let own = seen["output"]["download_url"].as_str().unwrap().to_owned();
        assert_eq!(own, format!("http://localhost/v1/exports/{id}/download"));
        assert_eq!(api.v1(own.strip_prefix("http://localhost").unwrap()).await.body, file.body);
        // Neither credential is good for the other way.
        api.v1(target).await.problem(401, "unauthorized");
        let etag = file.header("etag").unwrap();
        let same = api.service("GET", target).header("if-none-match", etag).send().await;
        assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    }
    worker.stop().await;
    api.get("/internal/exports/0198c0de-0000-7000-8000-000000000000/download")
        .await
        .problem(404, "unknown_export");
}

#[tokio::test]
async fn the_service_reads_the_kpis_of_a_tenant() {
    let api = TestApi::new().await;
    api.fill().await;
    let own = api.v1("/v1/kpis/daily?date=2026-01-20").await.items();
    for name in ["tenant_demo_cca".to_owned(), api.cca.id.to_string()] {
        let path = format!("/internal/tenants/{name}/kpis/daily");
        assert_eq!(api.get(&format!("{path}?date=2026-01-20")).await.items(), own);
        let csv = api.service("GET", &format!("{path}?from=2026-01-01&to=2026-01-31"));
        let csv = csv.header("accept", "text/csv").send().await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        let file = "attachment; filename=\"tenant_demo_cca_kpis_2026-01-01_2026-01-31.csv\"";
        assert_eq!(csv.header("content-disposition"), Some(file));
    }
    let other = api.get("/internal/tenants/tenant_demo_client2/kpis/daily?date=2026-01-20").await.items();
    assert_ne!(other, own);
    api.get("/internal/tenants/nobody/kpis/daily?date=2026-01-20").await.problem(404, "unknown_tenant");
    let none = api.get("/internal/tenants/tenant_demo_cca/kpis/daily").await;
    assert_eq!(none.wrong_fields(), ["from"]);
    api.v1("/internal/tenants/tenant_demo_cca/kpis/daily?date=2026-01-20").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn pages_follow_the_way_that_the_request_came() {
    let api = TestApi::with(|config| {
        config.public_url = Some("https://jobs.example".to_owned());
        config.listen = Some("0.0.0.0:8080".parse().unwrap());
    })
    .await;
    for _ in 0..2 {
        api.enqueue(&format!("{TICKETS}&force=true")).await;
        api.db().travel(Duration::from_secs(1)).await;
    }
    let next = async |peer: &str, host: &str, forwarded: &str| {
        let call = api.service("GET", "/internal/jobs?limit=1").from(peer).header("host", host);
        let call = if forwarded.is_empty() { call } else { call.header("x-forwarded-for", forwarded) };
        let next = call.send().await.ok(StatusCode::OK)["next"].as_str().unwrap().to_owned();
        next.split("/internal/").next().unwrap().to_owned()
    };
    assert_eq!(next("172.18.0.5", "api:8080", "").await, "http://api:8080");
    assert_eq!(next("127.0.0.1", "localhost:8080", "").await, "http://localhost:8080");
    for (peer, host, forwarded) in [
        ("172.18.0.2", "jobs.example", "203.0.113.9"),
        ("172.18.0.2", "api:8080", "203.0.113.9"),
        ("203.0.113.9", "api:8080", ""),
        ("172.18.0.5", "evil.example:8080", ""),
    ] {
        assert_eq!(next(peer, host, forwarded).await, "https://jobs.example", "{peer} {host} {forwarded}");
    }
}
