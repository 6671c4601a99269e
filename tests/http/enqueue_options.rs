//! How a job is to be run: options in query, body and headers.

use axum::http::StatusCode;
use serde_json::Value;

use crate::support::TestApi;

const TICKETS: &str = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";

fn options(job: &Value) -> (i64, i64, &str, &str) {
    let text = |name: &str| job[name].as_str().unwrap();
    let number = |name: &str| job[name].as_i64().unwrap();
    (number("priority"), number("max_attempts"), text("state"), text("scheduled_at"))
}

#[tokio::test]
async fn options_come_from_the_query_or_the_body() {
    let api = TestApi::new().await;
    let expected = (-100, 3, "scheduled", "2099-01-01T00:00:00Z");
    let query = format!("{TICKETS}&priority=-100&max_attempts=3&run_at=2099-01-01T00:00:00Z");
    assert_eq!(options(&api.enqueue(&query).await), expected);
    let body = r#"{"priority": -100, "max_attempts": 3, "run_at": "2099-01-01T02:00:00+02:00"}"#;
    let forced = format!("{TICKETS}&force=true");
    let job = api.service("POST", &forced).json(body).send().await.ok(StatusCode::ACCEPTED);
    assert_eq!(options(&job), expected);
    let mixed = format!("{TICKETS}&force=true&priority=100");
    let job = api.service("POST", &mixed).json(r#"{"max_attempts": 100}"#).send().await;
    let job = job.ok(StatusCode::ACCEPTED);
    assert_eq!((&job["priority"], &job["max_attempts"]), (&100.into(), &100.into()));
}

#[tokio::test]
async fn a_time_that_has_passed_is_now() {
    let api = TestApi::new().await;
    let job = api.enqueue(&format!("{TICKETS}&run_at=2020-01-01T00:00:00Z")).await;
    assert_eq!(job["state"], "available");
}

#[tokio::test]
async fn the_callers_trace_goes_on_in_the_job() {
    let api = TestApi::new().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let job = api.service("POST", TICKETS).header("traceparent", &parent).send().await;
    let job = job.ok(StatusCode::ACCEPTED);
    assert_eq!(job["trace_id"], trace);
    let stored: String =
        sqlx::query_scalar("select traceparent from queue.jobs").fetch_one(&api.db().pool).await.unwrap();
    assert!(stored.starts_with(&format!("00-{trace}-")) && stored != parent, "{stored}: a span of its own");
    let path = format!("/internal/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await.ok(StatusCode::OK)["trace_id"], trace);
}

#[tokio::test]
async fn without_a_usable_trace_a_job_starts_one() {
    let api = TestApi::new().await;
    let mut traces = Vec::new();
    for unusable in ["nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
        let call = api.service("POST", &format!("{TICKETS}&force=true"));
        let job = call.header("traceparent", unusable).send().await.ok(StatusCode::ACCEPTED);
        let trace = job["trace_id"].as_str().unwrap().to_owned();
        assert!(trace.len() == 32 && trace.bytes().all(|it| it.is_ascii_hexdigit()), "{trace}");
        traces.push(trace);
    }
    assert_ne!(traces[0], traces[1]);
}

#[tokio::test]
async fn whoever_prefers_to_wait_gets_the_finished_job() {
    let api = TestApi::new().await;
    let worker = api.start_worker();
    let call = api.service("POST", TICKETS).header("prefer", "respond-async, wait=600");
    let answer = call.send().await;
    let job = answer.ok(StatusCode::OK);
    assert_eq!(job["state"], "completed", "{job}");
    assert_eq!(job["output"], serde_json::json!({"read": 5, "accepted": 5, "rejected": 0}));
    assert_eq!((&job["why_not_running"], &job["retry_after_s"]), (&Value::Null, &Value::Null));
    assert_eq!(answer.header("preference-applied"), Some("wait=60"), "a minute at most");
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(answer.header("location"), job["status_url"].as_str());
    worker.stop().await;
}

#[tokio::test]
async fn whoever_waits_in_vain_gets_the_job_as_it_is() {
    let api = TestApi::new().await;
    for (prefer, applied) in [("wait=0", Some("wait=0")), ("wait=1", Some("wait=1")), ("wait=soon", None)] {
        let answer = api.service("POST", TICKETS).header("prefer", prefer).send().await;
        assert_eq!(answer.ok(StatusCode::ACCEPTED)["state"], "available");
        assert_eq!(answer.header("preference-applied"), applied, "{prefer}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_worker_faster_than_the_answer_does_not_change_its_status() {
    let api = TestApi::new().await;
    api.execute(
        "create function done() returns trigger language plpgsql as $$ begin
             new.state := 'completed'; new.finalized_at := queue.now(); return new;
         end $$;
         create trigger done before insert on queue.jobs for each row execute function done()",
    )
    .await;
    let answer = api.post(TICKETS).await;
    assert_eq!(answer.ok(StatusCode::ACCEPTED)["state"], "completed");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let waited = api.service("POST", TICKETS).header("prefer", "wait=5").send().await;
    assert_eq!(waited.ok(StatusCode::OK)["state"], "completed");
}
