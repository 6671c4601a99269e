//! Requests that enqueue at the same moment share transactions, and nobody notices.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout;
use weirgate_msp::ComputeKpi;
use weirgate_queue::{NewJob, enqueue};
use weirgate_test_support::{Answer, Call};

use crate::support::TestApi;

const TENANT: &str = "tenant_id=tenant_demo_cca";

/// Sends while nobody can be taken in, so that many come at once.
async fn together(api: &TestApi, calls: Vec<Call>) -> Vec<Answer> {
    let mut held = api.db().pool.begin().await.unwrap();
    sqlx::query("lock table identity.tenants in access exclusive mode").execute(&mut *held).await.unwrap();
    let let_go = async {
        api.db().until_blocked().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        held.rollback().await.unwrap();
    };
    tokio::join!(join_all(calls.into_iter().map(Call::send)), let_go).0
}

fn day(api: &TestApi, tenant: &str, day: usize) -> Call {
    api.service("POST", &format!("/internal/kpi/compute-daily?{tenant}&date=2026-01-{day:02}"))
}

fn ids(answers: &[Answer]) -> Vec<Value> {
    answers.iter().map(|answer| answer.ok(StatusCode::ACCEPTED)["id"].clone()).collect()
}

#[tokio::test]
async fn each_gets_its_own_answer() {
    let api = TestApi::new().await;
    api.execute("update identity.tenants set is_active = false where slug = 'tenant_demo_client2'").await;
    let mut calls: Vec<Call> = (1..=20).map(|number| day(&api, TENANT, number)).collect();
    // Duplicates of the first five; a key that comes three times; a workflow; and what is refused.
    calls.extend((1..=5).map(|number| day(&api, TENANT, number)));
    calls.extend((0..3).map(|_| day(&api, TENANT, 25).header("idempotency-key", "k-1")));
    calls.push(api.service("POST", &format!("/internal/pipelines/daily?{TENANT}&date=2026-02-01")));
    calls.push(day(&api, "tenant_id=nobody", 1));
    calls.push(day(&api, "tenant_id=tenant_demo_client2", 1));
    let answers = together(&api, calls).await;
    let own = ids(&answers[..20]);
    assert_eq!(ids(&answers[20..25]), own[..5], "a duplicate is the job that is there");
    let duplicates = answers[..25].iter().filter(|answer| answer.header("job-duplicate").is_some());
    assert_eq!(duplicates.count(), 5);
    let keyed = ids(&answers[25..28]);
    assert!(keyed.iter().all(|id| *id == keyed[0]), "{keyed:?}");
    let replays = answers[25..28].iter().filter(|answer| answer.header("idempotency-replayed").is_some());
    assert_eq!(replays.count(), 2);
    assert_eq!(answers[28].ok(StatusCode::ACCEPTED)["kind"], "generate_export");
    answers[29].problem(404, "unknown_tenant");
    answers[30].problem(409, "tenant_inactive");
    assert_eq!(api.count("queue.jobs").await, 20 + 1 + 6);
    let sql = "select count(distinct xmin::text) from queue.jobs where kind = 'compute_kpi'";
    let transactions: i64 = sqlx::query_scalar(sql).fetch_one(&api.db().pool).await.unwrap();
    assert!(transactions < 10, "22 jobs in {transactions} transactions");
}

#[tokio::test]
async fn who_waits_for_somebody_else_waits_alone() {
    let api = TestApi::new().await;
    // Somebody enqueues the job of the 1st and takes time to commit.
    let mut held = api.db().pool.begin().await.unwrap();
    let duplicate = ComputeKpi { tenant: api.cca.id.into(), date: "2026-01-01".parse().unwrap() };
    let duplicate =
        enqueue(&mut held, vec![NewJob::of(api.cca.id, &duplicate).unwrap()]).await.unwrap()[0].id;
    let waiting = tokio::spawn(day(&api, TENANT, 1).send());
    let others = join_all((2..=20).map(|number| day(&api, TENANT, number).send()));
    let others = timeout(Duration::from_secs(10), others).await.expect("the others do not wait for it");
    assert_eq!(ids(&others).len(), 19);
    assert!(!waiting.is_finished());
    held.commit().await.unwrap();
    let answer = waiting.await.unwrap();
    assert_eq!(answer.ok(StatusCode::ACCEPTED)["id"], duplicate.to_string());
    assert_eq!(answer.header("job-duplicate"), Some("true"));
}
