//! Bulk actions: what is asked for, counted, done, stopped and gone on with.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;
use weirgate::domains::Domains;
use weirgate::operations::{BulkJobs, Operations, RotateSigningKeys};
use weirgate_identity::{SecretKey, SecretKeys};
use weirgate_queue::JobState;
use weirgate_queue::control::bulk::BulkAction;
use weirgate_queue::read::JobFilter;
use weirgate_test_support::{Answer, Does, Step, TestWorker, id};

use crate::support::TestApi;

const BULK: &str = "/internal/jobs/bulk";

async fn ask(api: &TestApi, body: &Value) -> Answer {
    api.service("POST", BULK).json(body.to_string()).send().await
}

async fn count(api: &TestApi, action: &str, filter: Value) -> Value {
    ask(api, &json!({"action": action, "filter": filter, "dry_run": true})).await.ok(StatusCode::OK)
}

async fn in_state(api: &TestApi, tenant: Uuid, label: &str, state: &str) -> Uuid {
    let job = api.db().enqueue(tenant, &Step::new(label, Does::Succeed)).await.id;
    sqlx::query(
        "update queue.jobs set state = $2::text::queue.job_state, finalized_at = queue.now() where id = $1",
    )
    .bind(job)
    .bind(state)
    .execute(&api.db().pool)
    .await
    .unwrap();
    job
}

/// 3,500 dead letters of a queue that no production worker serves.
async fn dead_letters(api: &TestApi) {
    sqlx::query(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at, finalized_at)
         select gen_random_uuid(), $1, 'default', 'step', 'discarded', 3, '{}', queue.now(), queue.now(), queue.now()
         from generate_series(1, 3500)",
    )
    .bind(api.cca.id)
    .execute(&api.db().pool)
    .await
    .unwrap();
}

async fn of_state(api: &TestApi, state: &str) -> i64 {
    let sql = "select count(*) from queue.jobs where kind = 'step' and state = $1::text::queue.job_state";
    sqlx::query_scalar(sql).bind(state).fetch_one(&api.db().pool).await.unwrap()
}

#[tokio::test]
async fn a_dry_run_counts_and_touches_nothing() {
    let api = TestApi::new().await;
    for (label, state) in [("a", "discarded"), ("b", "cancelled"), ("c", "completed"), ("d", "available")] {
        in_state(&api, api.cca.id, label, state).await;
    }
    in_state(&api, api.client2.id, "e", "discarded").await;
    for (action, filter, expected) in [
        ("retry", json!({"all": true}), 3),
        ("cancel", json!({"all": true}), 1),
        ("delete", json!({"all": true}), 4),
        ("retry", json!({"state": "discarded"}), 2),
        ("retry", json!({"state": "discarded,cancelled"}), 3),
        ("retry", json!({"state": ["discarded", "completed"], "tenant_id": "tenant_demo_cca"}), 1),
        (
            "delete",
            json!({"kind": "step", "queue": "default", "q": "succeed", "created_after": "2026-01-01T00:00:00Z"}),
            4,
        ),
        ("delete", json!({"created_before": "2026-01-01T00:00:00Z"}), 0),
        ("retry", json!({"workflow_id": Uuid::nil()}), 0),
        ("retry", json!({"backfill_id": Uuid::nil()}), 0),
        ("retry", json!({"tenant_id": "system"}), 0),
    ] {
        assert_eq!(
            count(&api, action, filter.clone()).await,
            json!({"count": expected, "exact": true}),
            "{action} {filter}"
        );
    }
    assert_eq!(api.count("queue.jobs").await, 5);
    assert_eq!(of_state(&api, "discarded").await, 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told() {
    let api = TestApi::new().await;
    for (body, fields) in [
        (json!({}), vec!["action"]),
        (json!({"action": "retry"}), vec!["filter"]),
        (json!({"action": "delete", "filter": {}}), vec!["filter"]),
        (json!({"action": "delete", "filter": {"all": false}}), vec!["filter"]),
        (json!({"action": "retry", "filter": {"all": true, "kind": "step"}}), vec!["filter"]),
        (json!({"action": "retry", "filter": {"state": []}}), vec!["filter.state"]),
        (json!({"action": "retry", "filter": {"state": "done"}}), vec!["filter.state"]),
        (json!({"action": "retry", "filter": {"state": ["discarded", 1]}}), vec!["filter.state"]),
        (json!({"action": "retry", "filter": {"state": "completed"}}), vec!["filter.state"]),
        (json!({"action": "cancel", "filter": {"state": "discarded"}}), vec!["filter.state"]),
        (json!({"action": "delete", "filter": {"state": "running"}}), vec!["filter.state"]),
        (json!({"action": "retry", "filter": {"kind": ["step"]}}), vec!["filter.kind"]),
        (json!({"action": "retry", "filter": {"kind": null}}), vec!["filter.kind"]),
        (
            json!({"filter": {"workflow_id": "x", "created_after": "today", "limit": "5"}, "priority": 101}),
            vec!["action", "filter.created_after", "filter.limit", "filter.workflow_id", "priority"],
        ),
        (json!({"action": "drop", "filter": {"all": true}}), vec!["action"]),
        (json!({"action": "retry", "filter": {"all": true}, "limit": 5}), vec!["limit"]),
        (json!({"action": "retry", "filter": "all"}), vec!["filter"]),
    ] {
        let mut wrong = ask(&api, &body).await.wrong_fields();
        wrong.sort();
        assert_eq!(wrong, fields, "{body}");
    }
    let body = json!({"action": "retry", "filter": {"tenant_id": "nobody"}});
    ask(&api, &body).await.problem(404, "unknown_tenant");
    assert_eq!(api.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn an_action_is_a_job_of_the_system_that_no_tenant_sees() {
    let api = TestApi::new().await;
    let dead = in_state(&api, api.cca.id, "a", "discarded").await;
    let body = json!({"action": "retry", "filter": {"state": ["discarded"], "tenant_id": "tenant_demo_cca"}, "priority": 7});
    let call = || api.service("POST", BULK).json(body.to_string()).header("idempotency-key", "once");
    let answer = call().send().await;
    let job = answer.ok(StatusCode::ACCEPTED);
    let job_id = id(&job["id"]);
    assert_eq!(answer.header("location"), Some(format!("http://localhost/internal/jobs/{job_id}").as_str()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        (&job["kind"], &job["queue"], &job["priority"]),
        (&"bulk_jobs".into(), &"system".into(), &7.into())
    );
    assert_eq!((&job["tenant"], &job["tenant_id"]), (&"system".into(), &Uuid::nil().to_string().into()));
    assert_eq!(
        job["args"],
        json!({"action": "retry", "filter": {"state": ["discarded"], "tenant_id": api.cca.id}})
    );
    let later = in_state(&api, api.cca.id, "later", "discarded").await;
    let again = ask(&api, &body).await;
    assert_eq!(
        (again.header("job-duplicate"), &again.ok(StatusCode::ACCEPTED)["id"]),
        (Some("true"), &job["id"])
    );

    let worker = api.start_worker();
    let done = api.db().until(job_id, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(done.output, Some(json!({"touched": 1, "skipped": 0, "total": 1})));
    assert_eq!(done.progress.unwrap()["done"], 1);
    assert_eq!(api.db().job(dead).await.state(), JobState::Available);
    assert_eq!(api.db().job(later).await.state(), JobState::Discarded, "it came after the request");
    assert_eq!(call().send().await.header("idempotency-replayed"), Some("true"));

    assert_eq!(api.get("/internal/jobs?tenant_id=system").await.column("id"), [job_id.to_string()]);
    for tenant in [&api.cca, &api.client2] {
        let path = format!("/v1/jobs/{job_id}");
        api.tenant(tenant, "GET", &path).send().await.problem(404, "unknown_job");
        let listed = api.tenant(tenant, "GET", "/v1/jobs?kind=bulk_jobs").send().await;
        assert!(listed.items().is_empty());
    }
}

#[tokio::test]
async fn a_delete_leaves_keys_of_requests_usable() {
    let api = TestApi::new().await;
    let enqueue = || {
        let target = "/internal/ingest/tickets?tenant_id=tenant_demo_cca";
        api.service("POST", target).header("idempotency-key", "today").send()
    };
    let first = enqueue().await.ok(StatusCode::ACCEPTED);
    let worker = api.start_worker();
    api.db().until(id(&first["id"]), JobState::Completed).await;
    let body = json!({"action": "delete", "filter": {"state": "completed"}});
    let call = api.service("POST", BULK).json(body.to_string()).header("prefer", "wait=20");
    let done = call.send().await.ok(StatusCode::OK);
    worker.stop().await;
    assert_eq!((&done["state"], &done["output"]["touched"]), (&"completed".into(), &1.into()));
    api.get(&format!("/internal/jobs/{}", first["id"].as_str().unwrap())).await.problem(404, "unknown_job");
    let second = enqueue().await.ok(StatusCode::ACCEPTED);
    assert_ne!(second["id"], first["id"]);
}

/// Holds a job of the third step, so that the action stands still after two.
async fn stand_still(api: &TestApi) -> Transaction<'static, Postgres> {
    let mut tx = api.db().pool.begin().await.unwrap();
    sqlx::query("select id from queue.jobs where seq = 2500 for update").execute(&mut *tx).await.unwrap();
    tx
}

/// Starts the retry of all dead letters, and waits until two steps are done.
async fn two_steps(api: &TestApi) -> (TestWorker, Uuid) {
    let body = json!({"action": "retry", "filter": {"state": "discarded"}});
    let job = id(&ask(api, &body).await.ok(StatusCode::ACCEPTED)["id"]);
    let worker = api.start_worker();
    while of_state(api, "available").await < 2000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (worker, job)
}

#[tokio::test]
async fn a_cancelled_action_stops_where_it_is_and_goes_on_when_retried() {
    let api = TestApi::new().await;
    dead_letters(&api).await;
    let held = stand_still(&api).await;
    let (worker, job) = two_steps(&api).await;
    let cancelled = api.post(&format!("/internal/jobs/{job}/cancel")).await.ok(StatusCode::OK);
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(
        cancelled["progress"],
        json!({"done": 2000, "total": 3500, "message": "2000 touched, 0 skipped"})
    );
    assert_eq!(cancelled["output"]["touched"], 2000);
    held.rollback().await.unwrap();
    worker.stop().await;
    assert_eq!((of_state(&api, "available").await, of_state(&api, "discarded").await), (2000, 1500));

    api.post(&format!("/internal/jobs/{job}/retry")).await.ok(StatusCode::OK);
    let worker = api.start_worker();
    let done = api.db().until(job, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(done.output, Some(json!({"touched": 3500, "skipped": 0, "total": 3500})));
    assert_eq!(of_state(&api, "available").await, 3500);
}

#[tokio::test]
async fn an_action_whose_worker_is_lost_goes_on_and_does_nothing_twice() {
    let api = TestApi::new().await;
    dead_letters(&api).await;
    let held = stand_still(&api).await;
    let (lost, job) = two_steps(&api).await;
    // What failed anew since must not be retried again.
    api.execute("update queue.jobs set state = 'discarded' where state = 'available'").await;
    // Its lease is over while the third step is under way; the other worker takes the job.
    api.db().travel(Duration::from_mins(10)).await;
    let other = api.start_worker();
    while api.db().job(job).await.run < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    held.rollback().await.unwrap();
    let done = api.db().until(job, JobState::Completed).await;
    lost.stop().await;
    other.stop().await;
    assert_eq!(done.output, Some(json!({"touched": 3500, "skipped": 0, "total": 3500})));
    assert_eq!((of_state(&api, "available").await, of_state(&api, "discarded").await), (1500, 2000));
}

#[tokio::test]
async fn a_deadlock_costs_one_step_that_is_tried_again() {
    let api = TestApi::new().await;
    let first = in_state(&api, api.cca.id, "first", "available").await;
    let second = in_state(&api, api.cca.id, "second", "available").await;
    let lock = "select id from queue.jobs where id = $1 for update";
    let mut other = api.db().pool.begin().await.unwrap();
    // So that the action is the one that gives way.
    sqlx::query("set local deadlock_timeout = '1min'").execute(&mut *other).await.unwrap();
    sqlx::query(lock).bind(second).execute(&mut *other).await.unwrap();
    let filter = JobFilter { kind: Some("step".to_owned()), ..JobFilter::default() };
    let action = BulkJobs::new(BulkAction::Cancel, filter, false).unwrap();
    let crossing = async {
        let blocked = "select exists (select from pg_locks where not granted)";
        while !sqlx::query_scalar::<_, bool>(blocked).fetch_one(&api.db().pool).await.unwrap() {}
        sqlx::query(lock).bind(first).execute(&mut *other).await.unwrap();
        other.rollback().await.unwrap();
    };
    let operations = operations(&api);
    let (done, ()) = tokio::join!(api.db().run(&operations, &action), crossing);
    assert_eq!(done.unwrap().touched, 2);
    assert_eq!(of_state(&api, "cancelled").await, 2);
}

#[tokio::test]
async fn every_job_of_the_operations_run_twice_is_run_once() {
    let api = TestApi::new().await;
    api.db().enqueue(api.cca.id, &Step::new("a", Does::Succeed)).await;
    let stored = async || -> Value {
        let sql = "select jsonb_agg(to_jsonb(j)) from queue.jobs j";
        sqlx::query_scalar(sql).fetch_one(&api.db().pool).await.unwrap()
    };
    let filter = JobFilter { kind: Some("step".to_owned()), ..JobFilter::default() };
    let action = BulkJobs::new(BulkAction::Cancel, filter, false).unwrap();
    let operations = operations(&api);
    assert_eq!(api.db().run(&operations, &action).await.unwrap().touched, 1);
    let once = stored().await;
    assert_eq!(once[0]["state"], "cancelled");
    assert_eq!(api.db().run(&operations, &action).await.unwrap().touched, 0);
    assert_eq!(stored().await, once);
    // `domains::rotate_signing_keys` is about what it does.
    let made = api.db().run(&operations, &RotateSigningKeys {}).await.unwrap().made;
    assert_eq!(made.len(), 1);
    assert!(api.db().run(&operations, &RotateSigningKeys {}).await.unwrap().made.is_empty());
    assert_eq!(api.db().count("identity.signing_keys").await, 1);
    let catalog = Domains::new(Vec::new()).catalog();
    assert_eq!(catalog.kinds().len(), 2, "a new kind belongs into this test");
}

#[tokio::test]
async fn a_list_of_blanks_is_not_all_of_them() {
    let api = TestApi::new().await;
    let job = in_state(&api, api.cca.id, "a", "discarded").await;
    for (name, blanks) in [("id", json!([""])), ("state", json!([" ", ""])), ("id", json!([]))] {
        let filter = json!({"tenant_id": "tenant_demo_cca", name: blanks});
        let refused = ask(&api, &json!({"action": "delete", "filter": filter})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{filter}: {}", refused.text());
    }
    assert_eq!(api.db().job(job).await.state(), JobState::Discarded);
    assert_eq!(api.count("queue.jobs").await, 1, "and nothing was enqueued for it");
}

fn operations(api: &TestApi) -> Arc<Operations> {
    let secret_keys = Some(SecretKeys::new(SecretKey::generate(), None));
    Arc::new(Operations { pool: api.db().pool.clone(), secret_keys })
}
