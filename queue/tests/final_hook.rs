//! Hooks: a function of the application, in the transaction that makes a job final.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;
use weirgate_queue::worker::{Finish, Outcome, claim, finish};
use weirgate_queue::{JobState, control};

use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

const HOOK: &str = "
    create schema app;
    create table app.ends (job uuid, tenant uuid, kind text, state text, at timestamptz, output jsonb, error jsonb);
    create function app.note_end(
        job uuid, tenant uuid, kind text, state text, finalized_at timestamptz, output jsonb, error jsonb
    ) returns void language sql as $$
        insert into app.ends values (job, tenant, kind, state, finalized_at, output, error)
    $$";

async fn with_hook(prefix: &str) -> TestDb {
    let db = TestDb::new().await;
    sqlx::raw_sql(HOOK).execute(&db.pool).await.unwrap();
    sqlx::query("select queue.add_final_hook($1, 'app.note_end')")
        .bind(prefix)
        .execute(&db.pool)
        .await
        .unwrap();
    db
}

/// State, output and error code of each end of the job that the hook was told of.
async fn ends(db: &TestDb, job: Uuid) -> Vec<(String, Option<Value>, Option<String>)> {
    sqlx::query_as(
        "select e.state, e.output, e.error ->> 'code' from app.ends e join queue.jobs j on j.id = e.job
         where e.job = $1 and e.tenant = j.tenant_id and e.kind = j.kind and e.at = j.finalized_at",
    )
    .bind(job)
    .fetch_all(&db.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn hook_is_called_once_for_each_way_to_end() {
    let db = with_hook("st").await;
    let completed = db.enqueue(Uuid::nil(), &Step::new("a", Does::FailUntil(1))).await.id;
    let discarded = db.enqueue(Uuid::nil(), &Step::new("b", Does::Discard)).await.id;
    let cancelled = db.enqueue(Uuid::nil(), &Step::new("c", Does::Succeed)).await.id;
    control::cancel(&mut db.pool.acquire().await.unwrap(), cancelled).await.unwrap();
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(discarded, JobState::Discarded).await;
    db.until(completed, JobState::Retryable).await;
    control::run_now(&mut db.pool.acquire().await.unwrap(), completed).await.unwrap();
    let job = db.until(completed, JobState::Completed).await;
    worker.stop().await;
    // A failed attempt ends no job, and its error is none of the completed job's.
    assert_eq!(ends(&db, completed).await, [("completed".to_owned(), job.output, None)]);
    let discarded = ends(&db, discarded).await;
    assert_eq!((discarded.len(), discarded[0].0.as_str(), &discarded[0].1), (1, "discarded", &None));
    assert!(discarded[0].2.is_some(), "{discarded:?}");
    assert_eq!(ends(&db, cancelled).await, [("cancelled".to_owned(), None, None)]);
}

#[tokio::test]
async fn hook_commits_with_the_end_and_is_called_for_its_prefix_alone() {
    let db = with_hook("import_").await;
    let mut ids = Vec::new();
    for kind in ["import_mail", "reimport_mail"] {
        let job = db.enqueue(Uuid::nil(), &Step::new(kind, Does::Succeed)).await.id;
        sqlx::query("update queue.jobs set kind = $2 where id = $1")
            .bind(job)
            .bind(kind)
            .execute(&db.pool)
            .await
            .unwrap();
        ids.push(job);
    }
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let claimed = claim(&mut conn, worker, "default", 2).await.unwrap();
    let finishes = || {
        let outcome = || Outcome::Completed { output: json!(7), next: vec![] };
        claimed.iter().map(|job| Finish::of(&job.run, outcome())).collect::<Vec<_>>()
    };
    let mut tx = db.pool.begin().await.unwrap();
    assert_eq!(finish(&mut tx, finishes()).await.unwrap().len(), 2);
    tx.rollback().await.unwrap();
    assert_eq!(ends(&db, ids[0]).await, []);
    assert_eq!(finish(&mut conn, finishes()).await.unwrap().len(), 2);
    assert_eq!(ends(&db, ids[0]).await, [("completed".to_owned(), Some(json!(7)), None)]);
    assert_eq!(ends(&db, ids[1]).await, []);
}

#[tokio::test]
async fn removed_hook_is_not_called() {
    let db = with_hook("").await;
    for sql in [
        "select queue.remove_final_hook('app.note_end')",
        "drop function app.note_end(uuid, uuid, text, text, timestamptz, jsonb, jsonb)",
    ] {
        sqlx::query(sql).execute(&db.pool).await.unwrap();
    }
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    let state = control::cancel(&mut db.pool.acquire().await.unwrap(), job).await.unwrap();
    assert_eq!(state, JobState::Cancelled);
    assert_eq!(ends(&db, job).await, []);
}

#[tokio::test]
async fn function_with_other_arguments_is_refused_as_a_hook() {
    let db = TestDb::new().await;
    for (arguments, function) in [("uuid, text", "app.short"), ("job queue.jobs", "app.takes_the_row")] {
        let sql = format!(
            "create schema if not exists app;
             create function {function}({arguments}) returns void language sql as 'select'"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&db.pool).await.unwrap();
        let error = sqlx::query("select queue.add_final_hook('', $1::text::regproc)")
            .bind(function)
            .execute(&db.pool)
            .await
            .unwrap_err();
        let said = error.to_string();
        assert!(said.contains(&format!("{function} does not take the arguments of a hook")), "{said}");
    }
}
