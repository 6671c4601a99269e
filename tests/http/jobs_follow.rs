//! Following a job: polls, waits, streams.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Probe, Step, TestWorker};

use crate::support::TestApi;

async fn step(api: &TestApi, does: Does) -> Uuid {
    api.db().enqueue(api.cca.id, &Step::new("a", does)).await.id
}

#[tokio::test]
async fn a_poll_of_an_unfinished_job_differs_each_time() {
    let api = TestApi::new().await;
    let path = format!("/internal/jobs/{}", step(&api, Does::Succeed).await);
    let first = api.get(&path).await;
    let second = api.service("GET", &path).header("if-none-match", "*").send().await;
    for poll in [&first, &second] {
        assert_eq!(poll.header("etag"), None, "nothing to keep");
        assert_eq!(poll.header("retry-after"), Some("1"));
    }
    assert_ne!(first.ok(StatusCode::OK)["observed_at"], second.ok(StatusCode::OK)["observed_at"]);
}

#[tokio::test]
async fn a_final_job_has_a_tag_until_it_is_retried() {
    let api = TestApi::new().await;
    let path = format!("/internal/jobs/{}", step(&api, Does::Succeed).await);
    api.post(&format!("{path}/cancel")).await.ok(StatusCode::OK);
    let seen = api.get(&path).await;
    let job = seen.ok(StatusCode::OK);
    assert_eq!((&job["state"], &job["retry_after_s"]), (&"cancelled".into(), &Value::Null));
    assert_eq!(seen.header("retry-after"), None);
    let etag = seen.header("etag").unwrap();
    assert_eq!(api.get(&path).await.header("etag"), Some(etag), "though observed_at differs");
    for tags in [etag.to_owned(), format!("\"other\", {etag}"), "*".to_owned()] {
        let same = api.service("GET", &path).header("if-none-match", &tags).send().await;
        assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0), "{tags}");
        assert_eq!(same.header("etag"), Some(etag));
    }
    let other = api.service("GET", &path).header("if-none-match", "\"other\"").send().await;
    assert_eq!(other.status, StatusCode::OK);
    api.post(&format!("{path}/retry")).await.ok(StatusCode::OK);
    let revived = api.service("GET", &path).header("if-none-match", etag).send().await;
    assert_eq!(revived.ok(StatusCode::OK)["state"], "available");
}

#[tokio::test]
async fn a_held_poll_ends_when_the_job_does() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let job = step(&api, Does::Gate).await;
    let finish = async {
        api.db().until(job, JobState::Running).await;
        probe.open("a");
    };
    let (internal, v1) = (format!("/internal/jobs/{job}?wait=60"), format!("/v1/jobs/{job}?wait=60"));
    let (internal, v1, ()) = tokio::join!(api.get(&internal), api.v1(&v1), finish);
    for poll in [internal, v1] {
        let job = poll.ok(StatusCode::OK);
        assert_eq!((&job["state"], &job["output"]), (&"completed".into(), &"a".into()));
        assert!(poll.header("etag").is_some());
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_held_poll_ends_with_its_time_too() {
    let api = TestApi::new().await;
    let job = step(&api, Does::Succeed).await;
    for wait in [0, 1] {
        let poll = api.get(&format!("/internal/jobs/{job}?wait={wait}")).await;
        assert_eq!(poll.ok(StatusCode::OK)["state"], "available");
    }
}

#[tokio::test]
async fn a_failed_job_is_a_200_without_a_top_level_error() {
    let api = TestApi::new().await;
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let job = step(&api, Does::Discard).await;
    let poll = api.get(&format!("/internal/jobs/{job}?wait=60")).await.ok(StatusCode::OK);
    worker.stop().await;
    assert_eq!((&poll["state"], &poll["attempt"]), (&"discarded".into(), &1.into()));
    assert!(poll.get("error").is_none());
    let error = &poll["errors"][0];
    assert_eq!((&error["attempt"], &error["code"]), (&1.into(), &"hopeless".into()));
    assert!(error["message"].as_str().unwrap().contains("no attempt can succeed"));
    assert!(error["at"].is_string() && error["retry_at"].is_null(), "{error}");
}

/// Reads server-sent events one by one.
struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    async fn open(api: &TestApi, job: Uuid) -> Self {
        let call = api.tenant(&api.cca, "GET", &format!("/v1/jobs/{job}/events"));
        let response = call.start().await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-request-id"], "test-1");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; `None` when the stream closes.
    async fn next(&mut self) -> Option<Value> {
        timeout(Duration::from_secs(30), self.read()).await.expect("the stream goes on")
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                // A comment keeps a quiet connection open.
                if event.starts_with(':') {
                    continue;
                }
                let data = event.strip_prefix("event: job\ndata: ").expect("an event of a job");
                return Some(serde_json::from_str(data.trim_end()).unwrap());
            }
            let chunk = self.body.next().await?.unwrap();
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

#[tokio::test]
async fn a_stream_tells_every_change_and_closes_after_the_end() {
    let api = TestApi::new().await;
    let job = step(&api, Does::Progress { done: 120, total: 400 }).await;
    let mut events = Events::open(&api, job).await;
    let first = events.next().await.unwrap();
    assert_eq!((&first["state"], &first["links"]["cancel"]), (&"available".into(), &Value::Null));
    let probe = Probe::new(api.db().pool.clone());
    let worker = TestWorker::start(api.db(), &probe);
    let progress = loop {
        let event = events.next().await.unwrap();
        assert_eq!(event["state"], "running");
        if !event["progress"].is_null() {
            break event["progress"].clone();
        }
    };
    assert_eq!(progress, serde_json::json!({"done": 120, "total": 400, "message": "on the way"}));
    probe.open("a");
    let last = events.next().await.unwrap();
    assert_eq!((&last["state"], &last["id"]), (&"completed".into(), &job.to_string().into()));
    assert_eq!(events.next().await, None);
    worker.stop().await;
}

#[tokio::test]
async fn the_stream_of_a_final_job_is_that_job() {
    let api = TestApi::new().await;
    let job = step(&api, Does::Succeed).await;
    api.post(&format!("/internal/jobs/{job}/cancel")).await.ok(StatusCode::OK);
    let answer = api.get(&format!("/internal/jobs/{job}/events")).await;
    assert_eq!(answer.text().matches("event: job\n").count(), 1);
    assert!(answer.text().contains(r#""state":"cancelled""#));
}
