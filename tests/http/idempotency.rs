//! `Idempotency-Key`.

use std::time::Duration;

use axum::http::{Request, StatusCode};
use futures_util::future::join_all;
use serde_json::Value;
use uuid::Uuid;
use weirgate_test_support::Answer;
use weirgate_web::idempotency::{Claimed, IdempotencyKey, Sender, claim_new};

use crate::support::TestApi;

/// Not unique, so that only the key holds repeats back.
const FORCED: &str = "/internal/ingest/tickets?tenant_id=tenant_demo_cca&force=true";

async fn post(api: &TestApi, target: &str, body: &str) -> Answer {
    let call = api.service("POST", target).header("idempotency-key", "order-66");
    if body.is_empty() { call.send().await } else { call.json(body).send().await }
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

async fn cancel(api: &TestApi, job: &Value) {
    let path = format!("/internal/jobs/{}/cancel", job["id"].as_str().unwrap());
    assert_eq!(api.post(&path).await.ok(StatusCode::OK)["state"], "cancelled");
}

#[tokio::test]
async fn the_same_request_gives_the_same_job_again() {
    let api = TestApi::new().await;
    let body = r#"{"priority": 3}"#;
    let first = post(&api, FORCED, body).await;
    let job = first.ok(StatusCode::ACCEPTED);
    assert!(!replayed(&first));
    let again = post(&api, FORCED, body).await;
    assert_eq!(again.ok(StatusCode::ACCEPTED)["id"], job["id"]);
    assert!(replayed(&again));
    assert_eq!(again.header("location"), first.header("location"));
    cancel(&api, &job).await;
    let later = post(&api, FORCED, body).await;
    assert_eq!(later.ok(StatusCode::OK)["state"], "cancelled", "its end is its answer");
    assert!(replayed(&later));
    assert_eq!(api.count("queue.jobs").await, 1);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let api = TestApi::new().await;
    post(&api, FORCED, "").await.ok(StatusCode::ACCEPTED);
    for (target, body) in [
        (FORCED, r#"{"priority": 3}"#),
        (FORCED, "{}"),
        ("/internal/ingest/tickets?tenant_id=tenant_demo_client2&force=true", ""),
        ("/internal/ingest/csat?tenant_id=tenant_demo_cca&force=true", ""),
        ("/internal/pipelines/daily?tenant_id=tenant_demo_cca&force=true&date=2026-01-20", ""),
    ] {
        post(&api, target, body).await.problem(422, "idempotency_key_reused");
    }
    assert_eq!(api.count("queue.jobs").await, 1);
    assert!(replayed(&post(&api, FORCED, "").await), "the first request keeps the key");
}

#[tokio::test]
async fn a_key_is_kept_for_a_day() {
    let api = TestApi::new().await;
    let job = post(&api, FORCED, "").await.ok(StatusCode::ACCEPTED);
    api.db().travel(Duration::from_hours(24) - Duration::from_mins(5)).await;
    let in_time = post(&api, FORCED, "").await;
    assert_eq!(in_time.ok(StatusCode::ACCEPTED)["id"], job["id"]);
    assert!(replayed(&in_time));
    api.db().travel(Duration::from_mins(5)).await;
    let other = "/internal/ingest/csat?tenant_id=tenant_demo_cca&force=true";
    let next_day = post(&api, other, "").await;
    assert_ne!(next_day.ok(StatusCode::ACCEPTED)["id"], job["id"], "even another request may use it then");
    assert!(!replayed(&next_day));
    assert!(replayed(&post(&api, other, "").await), "and has it for a day");
}

#[tokio::test]
async fn a_key_that_met_a_duplicate_stays_with_that_job() {
    let api = TestApi::new().await;
    let target = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";
    let job = api.enqueue(target).await;
    let duplicate = post(&api, target, "").await;
    assert_eq!(duplicate.ok(StatusCode::ACCEPTED)["id"], job["id"]);
    assert_eq!((duplicate.header("job-duplicate"), replayed(&duplicate)), (Some("true"), false));
    cancel(&api, &job).await;
    let again = post(&api, target, "").await;
    assert_eq!(again.ok(StatusCode::OK)["id"], job["id"]);
    assert!(replayed(&again));
}

#[tokio::test]
async fn a_refused_request_does_not_use_its_key_up() {
    let api = TestApi::new().await;
    api.execute("update identity.tenants set is_active = false where slug = 'tenant_demo_cca'").await;
    post(&api, FORCED, "").await.problem(409, "tenant_inactive");
    api.execute("update identity.tenants set is_active = true").await;
    assert!(!replayed(&post(&api, FORCED, "").await));
    assert_eq!(api.count("queue.jobs").await, 1);
}

#[tokio::test]
async fn of_twelve_at_once_one_enqueues_and_all_answer_alike() {
    let api = TestApi::new().await;
    for target in [FORCED, "/internal/pipelines/daily?tenant_id=tenant_demo_cca&force=true&date=2026-01-20"] {
        let before = api.count("queue.jobs").await;
        let call = || api.service("POST", target).header("idempotency-key", &target[10..30]).send();
        let answers = join_all((0..12).map(|_| call())).await;
        let ids: Vec<Value> =
            answers.iter().map(|answer| answer.ok(StatusCode::ACCEPTED)["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(answers.iter().filter(|answer| replayed(answer)).count(), 11);
        let jobs = if target == FORCED { 1 } else { 6 };
        assert_eq!(api.count("queue.jobs").await - before, jobs);
    }
}

/// The key `order-66`, as this sender sends it with this body.
fn sent_by(sender: Sender, body: &str) -> IdempotencyKey {
    let request = Request::post("/v1/orders").header("idempotency-key", "order-66").extension(sender);
    let (head, ()) = request.body(()).unwrap().into_parts();
    IdempotencyKey::of(&head, body.as_bytes()).unwrap().unwrap()
}

#[tokio::test]
async fn same_key_of_other_senders_is_another_key() {
    let api = TestApi::new().await;
    let job = post(&api, FORCED, "").await.ok(StatusCode::ACCEPTED)["id"].clone();
    let (cca, client2) = (api.cca.id, api.client2.id);
    let account = Uuid::now_v7();
    let others = [
        Sender::ApiKey(Uuid::now_v7()),
        Sender::ApiKey(Uuid::now_v7()),
        Sender::Account { id: account, tenant: cca },
        Sender::Account { id: account, tenant: client2 },
    ];
    // Each for a tenant of which it is known that it is there, as what was made is looked up.
    let made = [cca, client2, cca, client2];
    let mut tx = api.db().pool.begin().await.unwrap();
    for (sender, made) in others.into_iter().zip(made) {
        let first = sent_by(sender, &sender.to_string()).claim(&mut tx, made).await.unwrap();
        assert!(matches!(first, Claimed::First), "{sender}: nobody else's");
    }
    for (sender, made) in others.into_iter().zip(made) {
        let again = sent_by(sender, &sender.to_string()).claim(&mut tx, Uuid::now_v7()).await.unwrap();
        assert!(matches!(again, Claimed::Replay(id) if id == made), "{sender}: its own");
        let other = sent_by(sender, "another request").claim(&mut tx, made).await;
        assert!(other.is_err(), "{sender}: refused within the keys of one sender");
    }
    tx.commit().await.unwrap();
    // Many in one statement, as the batcher claims them.
    let together = [Sender::ApiKey(cca), Sender::Account { id: cca, tenant: cca }, others[0]];
    let keys: Vec<IdempotencyKey> = together.iter().map(|sender| sent_by(*sender, "")).collect();
    let claims: Vec<_> = keys.iter().map(|key| (key, Uuid::now_v7())).collect();
    let mut conn = api.db().pool.acquire().await.unwrap();
    let first = claim_new(&mut conn, &claims).await.unwrap();
    let is_first: Vec<bool> = keys.iter().map(|key| first.contains(key.stored())).collect();
    assert_eq!(is_first, [true, true, false]);
    let again = post(&api, FORCED, "").await;
    assert_eq!(again.ok(StatusCode::ACCEPTED)["id"], job, "the service's is what it was");
    assert!(replayed(&again));
    let callers: Vec<String> = sqlx::query_scalar(
        "select distinct split_part(caller, ':', 1) from identity.idempotency_keys order by 1",
    )
    .fetch_all(&api.db().pool)
    .await
    .unwrap();
    assert_eq!(callers, ["account", "key", "service"]);
}
