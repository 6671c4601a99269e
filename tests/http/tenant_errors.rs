//! What went wrong inside is not for tenants: they get a code and the text of that code.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_test_support::{Does, Step};

use crate::support::TestApi;

/// What must not be seen: a path, SQL, a constraint, a host.
const SECRETS: [&str; 5] = [
    "/var/lib/weirgate/exports/secret.json",
    "select key_hash from identity.api_keys",
    "raw_tickets_pkey",
    "10.1.2.3:5432",
    "hunter2",
];

/// Codes of the engine, of jobs, of nobody, and texts in the place of one.
const CODES: [&str; 13] = [
    "failed",
    "timed_out",
    "panicked",
    "worker_lost",
    "bad_arguments",
    "dependency_failed",
    "unknown_kind",
    "unknown_tenant",
    "source_refused",
    "source_unreadable",
    "source_throttled",
    "a_code_of_tomorrow",
    "/var/lib/weirgate/exports/secret.json",
];

fn secret() -> String {
    SECRETS.join("; ")
}

/// A job in that state that has failed once with each code.
async fn failed(api: &TestApi, state: &str) -> Uuid {
    let job = api.db().enqueue(api.cca.id, &Step::new(state, Does::Succeed)).await.id;
    let errors: Vec<Value> = CODES
        .iter()
        .enumerate()
        .map(|(number, code)| {
            json!({
                "attempt": number + 1, "at": "2026-01-20T09:00:00Z", "started_at": "2026-01-20T08:59:00Z",
                "worker_id": Uuid::now_v7(), "code": code, "message": secret(), "retry_at": null,
            })
        })
        .collect();
    sqlx::query(
        "update queue.jobs set errors = $2, state = $3::queue.job_state,
            finalized_at = case when $3 = 'discarded' then queue.now() end where id = $1",
    )
    .bind(job)
    .bind(Value::Array(errors))
    .bind(state)
    .execute(&api.db().pool)
    .await
    .unwrap();
    job
}

fn assert_harmless(text: &str, place: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{place} shows {secret}: {text}");
    }
}

#[tokio::test]
async fn no_answer_under_v1_shows_what_went_wrong_inside() {
    let api = TestApi::new().await;
    for state in ["discarded", "retryable"] {
        let job = failed(&api, state).await;
        for path in [format!("/v1/jobs/{job}"), format!("/v1/jobs/{job}?wait=0"), "/v1/jobs".to_owned()] {
            let answer = api.v1(&path).await;
            assert_harmless(answer.text(), &path);
            assert!(answer.text().contains("worker_lost"), "{}", answer.text());
        }
        let seen = api.v1(&format!("/v1/jobs/{job}")).await.ok(StatusCode::OK);
        let errors = seen["errors"].as_array().unwrap();
        assert_eq!(errors.len(), CODES.len());
        for (error, code) in errors.iter().zip(CODES) {
            let code = if code.starts_with('/') { "failed" } else { code };
            assert_eq!((&error["code"], &error["worker_id"]), (&code.into(), &Value::Null));
            assert!(error["message"].as_str().unwrap().len() > 10 && error["at"].is_string(), "{error}");
        }
        let of = |code: &str| &errors[CODES.iter().position(|it| *it == code).unwrap()]["message"];
        assert_eq!(of("failed"), of("a_code_of_tomorrow"), "codes without a text have one in common");
        assert_ne!(of("failed"), of("worker_lost"));
        let inside = api.get(&format!("/internal/jobs/{job}")).await;
        assert!(SECRETS.iter().all(|secret| inside.text().contains(secret)), "{}", inside.text());
        assert!(inside.text().contains("worker_id\":\"0"), "{}", inside.text());
    }
}

#[tokio::test]
async fn no_event_of_a_stream_shows_it() {
    let api = TestApi::new().await;
    let job = failed(&api, "discarded").await;
    let stream = api.v1(&format!("/v1/jobs/{job}/events")).await;
    assert_eq!(stream.status, StatusCode::OK);
    assert!(stream.text().contains("event: job"), "{}", stream.text());
    assert_harmless(stream.text(), "the stream");
    let inside = api.get(&format!("/internal/jobs/{job}/events")).await;
    assert!(inside.text().contains(SECRETS[0]), "{}", inside.text());
}

#[tokio::test]
async fn nobody_finds_it_out_by_searching() {
    let api = TestApi::new().await;
    let job = failed(&api, "discarded").await;
    let id: i64 = sqlx::query_scalar("select queue.failure_id('step', 'failed', $1)")
        .bind(secret())
        .fetch_one(&api.db().pool)
        .await
        .unwrap();
    sqlx::query("update queue.jobs set failure_id = $2 where id = $1")
        .bind(job)
        .bind(id)
        .execute(&api.db().pool)
        .await
        .unwrap();
    for (part, of_tenant) in
        [("hunter2", false), ("10.1.2.3", false), ("_pkey", false), ("api_keys", false), ("timed_out", true)]
    {
        let found = api.v1(&format!("/v1/jobs?q={part}")).await.items().len();
        assert_eq!(found, usize::from(of_tenant), "{part}");
        assert_eq!(api.get(&format!("/internal/jobs?q={part}")).await.items().len(), 1, "{part}");
    }
    let query = format!("failure_id={id}");
    assert_eq!(api.get(&format!("/internal/jobs?{query}")).await.items().len(), 1);
    assert_eq!(api.v1(&format!("/v1/jobs?{query}")).await.wrong_fields(), ["failure_id"]);
}

#[tokio::test]
async fn what_really_fails_inside_is_told_the_same_way() {
    let api = TestApi::new().await;
    let broken = "/internal/exports/generate?tenant_id=tenant_demo_cca&date=2026-01-20&max_attempts=1";
    // The database's own words name the constraint.
    api.execute("alter table msp.exports add constraint none_of_hunter2 check (format = 'none')").await;
    let worker = api.start_worker();
    let job = api.enqueue(broken).await;
    let id = job["id"].as_str().unwrap();
    let inside = api.get(&format!("/internal/jobs/{id}?wait=30")).await;
    assert_eq!(inside.ok(StatusCode::OK)["state"], "discarded");
    assert!(inside.text().contains("none_of_hunter2"), "{}", inside.text());
    let outside = api.v1(&format!("/v1/jobs/{id}")).await;
    assert_harmless(outside.text(), "a job that failed in the database");
    assert_eq!(outside.ok(StatusCode::OK)["errors"][0]["code"], "failed");
    worker.stop().await;
}
