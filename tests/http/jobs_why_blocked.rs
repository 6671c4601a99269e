//! `why_not_running` of a job that may start: every answer has a state of the claim behind it.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_queue::NewJob;
use weirgate_queue::lanes::change::{QueueChange, change_lane, change_queue, pause_queue, publish};
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{LaneLimits, QueueLimits, Rate};
use weirgate_queue::worker::{ClaimedJob, Finish, Outcome, claim, finish};
use weirgate_test_support::{Does, Step};

use super::jobs_why_not_running::{step, why};
use crate::support::TestApi;

const QUEUE: &str = "default";

/// One start a minute.
const SLOW: Rate = Rate { rate: 1, period_ms: 60_000, burst: 1 };

/// A worker takes up to this many jobs.
async fn start(api: &TestApi, jobs: usize) -> Vec<ClaimedJob> {
    let worker = api.db().register_worker().await;
    claim(&mut api.db().pool.acquire().await.unwrap(), worker, QUEUE, jobs).await.unwrap()
}

async fn limit(api: &TestApi, tenant: Uuid, lane: LaneSettings) {
    let mut tx = api.db().pool.begin().await.unwrap();
    change_lane(&mut tx, QUEUE, tenant, lane.into()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn limit_queue(api: &TestApi, limits: QueueLimits) {
    let mut tx = api.db().pool.begin().await.unwrap();
    change_queue(&mut tx, QUEUE, QueueChange::to(limits, LaneLimits::default())).await.unwrap();
    tx.commit().await.unwrap();
}

fn own(limits: LaneLimits) -> LaneSettings {
    LaneSettings { paused: false, limits: Some(limits) }
}

/// The job on both surfaces and in both lists, which say the same; with its message.
async fn everywhere(api: &TestApi, job: Uuid) -> (Value, String) {
    let strip = |mut job: Value| {
        let why = job["why_not_running"].as_object_mut().unwrap();
        let message = why.remove("message").unwrap().as_str().unwrap().to_owned();
        (json!([job["throttled_until"], job["why_not_running"]]), message)
    };
    let mut answers = Vec::new();
    for prefix in ["/internal", "/v1"] {
        let get = async |path: String| match prefix {
            "/v1" => api.v1(&path).await,
            _ => api.get(&path).await,
        };
        answers.push(strip(get(format!("{prefix}/jobs/{job}")).await.ok(StatusCode::OK)));
        let listed = get(format!("{prefix}/jobs")).await.items();
        let listed = listed.into_iter().find(|it| it["id"] == job.to_string()).unwrap();
        answers.push(strip(listed));
    }
    assert!(answers.iter().all(|it| it.0 == answers[0].0), "{answers:?}");
    answers.remove(0)
}

#[tokio::test]
async fn its_tenants_rate_is_used_up() {
    let api = TestApi::new().await;
    limit(&api, api.cca.id, own(LaneLimits { rate: Some(SLOW), ..LaneLimits::default() })).await;
    let (_, next) = (step(&api, api.cca.id, 0).await, step(&api, api.cca.id, 0).await);
    assert_eq!(start(&api, 10).await.len(), 1);
    let (answer, message) = everywhere(&api, next).await;
    assert_eq!((&answer[1]["code"], &answer[1]["until"]), (&json!("rate_limited"), &answer[0]));
    let started: DateTime<Utc> = sqlx::query_scalar("select max(attempted_at) from queue.jobs")
        .fetch_one(&api.db().pool)
        .await
        .unwrap();
    let until: DateTime<Utc> = answer[0].as_str().unwrap().parse().unwrap();
    assert_eq!(until, started + Duration::from_mins(1), "exactly a period after the start before it");
    let wait =
        message.strip_prefix("rate limit: tenant_demo_cca may start its next job in ").expect(&message);
    let wait: f64 = wait.strip_suffix(" s").unwrap().parse().unwrap();
    assert!(0.0 < wait && wait <= 60.0, "{message}");
    let others = step(&api, api.client2.id, 0).await;
    assert_eq!(why(&api, others).await["code"], "behind_in_lane", "it is another tenant's rate");
    api.db().travel(Duration::from_mins(1)).await;
    api.db().keep_alive().await;
    let (answer, _) = everywhere(&api, next).await;
    assert_eq!((&answer[0], &answer[1]["code"]), (&Value::Null, &json!("behind_in_lane")));
}

#[tokio::test]
async fn the_rate_of_its_queue_is_used_up() {
    let api = TestApi::new().await;
    limit_queue(&api, QueueLimits { rate: Some(SLOW), max_running: None }).await;
    step(&api, api.client2.id, 0).await;
    assert_eq!(start(&api, 10).await.len(), 1);
    let (answer, message) = everywhere(&api, step(&api, api.cca.id, 0).await).await;
    assert_eq!((&answer[1]["code"], &answer[1]["until"]), (&json!("rate_limited"), &answer[0]));
    assert!(message.starts_with("rate limit: queue \"default\" may start its next job in "), "{message}");
    assert!(answer[0].is_string());
}

#[tokio::test]
async fn its_tenant_runs_as_many_as_it_may() {
    let api = TestApi::new().await;
    limit(&api, api.cca.id, own(LaneLimits { max_running: Some(2), ..LaneLimits::default() })).await;
    for _ in 0..2 {
        step(&api, api.cca.id, 0).await;
    }
    let next = step(&api, api.cca.id, 0).await;
    let running = start(&api, 10).await;
    let (answer, message) = everywhere(&api, next).await;
    assert_eq!((&answer[1]["code"], &answer[0]), (&json!("tenant_at_max_running"), &Value::Null));
    assert_eq!(message, "tenant_demo_cca runs 2 jobs in queue \"default\", and its max_running is 2");
    let done = Outcome::Completed { output: Value::Null, next: Vec::new() };
    let done = Finish::of(&running[0].run, done);
    finish(&mut api.db().pool.acquire().await.unwrap(), vec![done]).await.unwrap();
    assert_eq!(why(&api, next).await["code"], "behind_in_lane");
}

#[tokio::test]
async fn its_queue_runs_as_many_as_it_may() {
    let api = TestApi::new().await;
    limit_queue(&api, QueueLimits { rate: None, max_running: Some(1) }).await;
    step(&api, api.client2.id, 0).await;
    assert_eq!(start(&api, 10).await.len(), 1);
    let (answer, message) = everywhere(&api, step(&api, api.cca.id, 0).await).await;
    assert_eq!((&answer[1]["code"], &answer[0]), (&json!("tenant_at_max_running"), &Value::Null));
    assert!(message.starts_with("queue \"default\" runs as many") && message.ends_with("(1)"), "{message}");
}

#[tokio::test]
async fn its_queue_or_its_tenant_is_paused() {
    let api = TestApi::new().await;
    let job = step(&api, api.cca.id, 0).await;
    let full = LaneLimits { rate: Some(SLOW), max_running: Some(1), ..LaneLimits::default() };
    limit(&api, api.cca.id, LaneSettings { paused: true, limits: Some(full) }).await;
    assert_eq!(why(&api, job).await["code"], "no_live_worker", "resuming alone would not help");
    api.db().register_worker().await;
    let (answer, message) = everywhere(&api, job).await;
    assert_eq!((&answer[1]["code"], &answer[0]), (&json!("tenant_paused"), &Value::Null));
    assert_eq!(message, "tenant_demo_cca is paused in queue \"default\"");
    pause_queue(&mut api.db().pool.acquire().await.unwrap(), QUEUE, true).await.unwrap();
    let (answer, message) = everywhere(&api, job).await;
    assert_eq!((&answer[1]["code"], &*message), (&json!("queue_paused"), "queue \"default\" is paused"));
    let mut tx = api.db().pool.begin().await.unwrap();
    pause_queue(&mut tx, QUEUE, false).await.unwrap();
    change_lane(&mut tx, QUEUE, api.cca.id, own(full).into()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(why(&api, job).await["code"], "behind_in_lane");
}

#[tokio::test]
async fn its_tenant_is_paused_which_matters_more_than_its_full_queue() {
    let api = TestApi::new().await;
    limit_queue(&api, QueueLimits { rate: None, max_running: Some(1) }).await;
    step(&api, api.client2.id, 0).await;
    assert_eq!(start(&api, 1).await.len(), 1);
    limit(&api, api.cca.id, LaneSettings { paused: true, limits: None }).await;
    assert_eq!(why(&api, step(&api, api.cca.id, 0).await).await["code"], "tenant_paused");
}

#[tokio::test]
async fn its_backfill_is_paused_or_runs_as_many_as_it_may() {
    let api = TestApi::new().await;
    let backfill = Uuid::now_v7();
    sqlx::query("insert into queue.backfills (id, max_running) values ($1, 1)")
        .bind(backfill)
        .execute(&api.db().pool)
        .await
        .unwrap();
    let mut slices = Vec::new();
    for _ in 0..3 {
        let step = Step::new(&Uuid::now_v7().to_string(), Does::Succeed);
        let slice = NewJob::of(api.cca.id, &step).unwrap().backfill(backfill);
        slices.push(api.db().enqueue_new(slice).await.id);
    }
    let live = step(&api, api.cca.id, 0).await;
    api.db().register_worker().await;
    let behind = why(&api, slices[2]).await;
    assert_eq!((&behind["code"], &behind["count"]), (&json!("behind_in_lane"), &json!(2)));
    assert_eq!(behind["message"], "2 jobs of its backfill are before it in queue \"default\"");
    assert_eq!(why(&api, live).await["count"], 0, "slices are not before live work");
    assert_eq!(start(&api, 10).await.len(), 2, "the live job and one slice");
    let (answer, message) = everywhere(&api, slices[2]).await;
    assert_eq!((&answer[1]["code"], &answer[0]), (&json!("tenant_at_max_running"), &Value::Null));
    assert!(message.starts_with("its backfill runs as many") && message.ends_with("(1)"), "{message}");
    let mut tx = api.db().pool.begin().await.unwrap();
    sqlx::query("update queue.backfills set paused = true").execute(&mut *tx).await.unwrap();
    publish(&mut tx, QUEUE).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(everywhere(&api, slices[2]).await.0[1]["code"], "backfill_paused");
    let next = step(&api, api.cca.id, 0).await;
    assert_eq!(why(&api, next).await["code"], "behind_in_lane", "live work goes on");
}

#[tokio::test]
async fn a_wait_and_a_stream_tell_it_too() {
    let api = TestApi::new().await;
    api.db().register_worker().await;
    limit(&api, api.cca.id, LaneSettings { paused: true, limits: None }).await;
    let job = step(&api, api.cca.id, 0).await;
    let waited = api.get(&format!("/internal/jobs/{job}?wait=0")).await.ok(StatusCode::OK);
    assert_eq!(waited["why_not_running"]["code"], "tenant_paused");
    let stream = api.service("GET", &format!("/internal/jobs/{job}/events")).start();
    let mut body = stream.await.into_body().into_data_stream();
    let first = body.next().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains("\"tenant_paused\""), "{first:?}");
}
