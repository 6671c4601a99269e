//! Finishes: an outcome is written together with the handler's writes and the next jobs, guarded by
//! the run token, or not at all.

use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;
use weirgate_queue::job::RunId;
use weirgate_queue::worker::{Finish, Outcome, RunStart, claim, finish, rescuer};
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

fn completed(run: &RunId) -> Vec<Finish> {
    vec![Finish::of(run, Outcome::Completed { output: json!("late"), next: vec![] })]
}

#[tokio::test]
async fn stale_run_changes_nothing() {
    let db = TestDb::new().await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let first = claim(&mut conn, worker, "default", 1).await.unwrap().remove(0).run;
    // The worker seems dead, so the job is rescued and runs again elsewhere.
    db.travel(Duration::from_secs(61)).await;
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 1);
    let worker = db.register_worker().await;
    let second = claim(&mut conn, worker, "default", 1).await.unwrap().remove(0).run;
    assert!(second.run > first.run);
    assert!(finish(&mut conn, completed(&first)).await.unwrap().is_empty());
    assert_eq!(db.job(job).await.state(), JobState::Running);
    assert_eq!(finish(&mut conn, completed(&second)).await.unwrap().len(), 1);
    assert!(finish(&mut conn, completed(&second)).await.unwrap().is_empty(), "a second time is stale too");
}

#[tokio::test]
async fn finish_that_races_a_rescue_leaves_one_outcome() {
    let db = TestDb::new().await;
    for round in 0..20 {
        let job = db.enqueue(Uuid::nil(), &Step::new(&round.to_string(), Does::Succeed)).await.id;
        let worker = db.register_worker().await;
        let mut conn = db.pool.acquire().await.unwrap();
        let run = claim(&mut conn, worker, "default", 1).await.unwrap().remove(0).run;
        db.travel(Duration::from_secs(61)).await;
        let (finished, rescued) =
            tokio::join!(async { finish(&mut conn, completed(&run)).await.unwrap().len() as u64 }, async {
                rescuer::run_once(&db.pool).await.unwrap()
            });
        let state = db.job(job).await.state();
        match (finished, rescued) {
            (1, 0) => assert_eq!(state, JobState::Completed),
            (0, 1) => assert_eq!(state, JobState::Available),
            other => panic!("{other:?}, and the job is {state}"),
        }
        sqlx::query("delete from queue.jobs").execute(&db.pool).await.unwrap();
    }
}

#[tokio::test]
async fn writes_and_completion_commit_together_once() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    sqlx::query("create table ledger (label text)").execute(&db.pool).await.unwrap();
    let slow = TestWorker::start_with(&db, &probe, |config| config.lease = Duration::from_hours(1));
    let job = db.enqueue(Uuid::nil(), &Step::new("write", Does::GateAndWrite)).await.id;
    db.until(job, JobState::Running).await;
    probe.until_started(1).await;
    // The worker's lease runs out while the handler still works, and another run takes over. Perhaps
    // the worker's own service rescues the job before this does.
    sqlx::query("update queue.workers set lease_until = queue.now()").execute(&db.pool).await.unwrap();
    rescuer::run_once(&db.pool).await.unwrap();
    let fast = TestWorker::start(&db, &probe);
    probe.open("write");
    probe.open("write");
    db.until(job, JobState::Completed).await;
    tokio::join!(slow.stop(), fast.stop());
    assert_eq!(probe.started(), ["write", "write"], "it ran twice");
    let rows: i64 = sqlx::query_scalar("select count(*) from ledger").fetch_one(&db.pool).await.unwrap();
    assert_eq!(rows, 1, "and wrote once");
}

/// Writes and finishes in one transaction, as `finish_in` does; whether that took effect.
async fn write_and_finish(db: &TestDb, run: &RunId) -> bool {
    let mut tx = db.pool.begin().await.unwrap();
    sqlx::query("insert into ledger values ('stale')").execute(&mut *tx).await.unwrap();
    let is_current = !finish(&mut tx, completed(run)).await.unwrap().is_empty();
    if is_current {
        tx.commit().await.unwrap();
    }
    is_current
}

#[tokio::test]
async fn stale_run_writes_nothing_before_or_after_the_current_one() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    sqlx::query("create table ledger (label text)").execute(&db.pool).await.unwrap();
    let job = db.enqueue(Uuid::nil(), &Step::new("write", Does::GateAndWrite)).await.id;
    let lost = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let stale = claim(&mut conn, lost, "default", 1).await.unwrap().remove(0).run;
    db.travel(Duration::from_secs(61)).await;
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 1);
    let current = TestWorker::start(&db, &probe);
    probe.until_started(1).await;
    assert!(!write_and_finish(&db, &stale).await, "while the current run works");
    probe.open("write");
    db.until(job, JobState::Completed).await;
    assert!(!write_and_finish(&db, &stale).await, "after it has finished");
    current.stop().await;
    let labels: Vec<String> =
        sqlx::query_scalar("select label from ledger").fetch_all(&db.pool).await.unwrap();
    assert_eq!(labels, ["write"]);
}

#[tokio::test]
async fn next_jobs_are_enqueued_with_the_completion() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let job = NewJob::of(Uuid::nil(), &Step::new("first", Does::Then("second".to_owned()))).unwrap();
    let worker = TestWorker::start(&db, &probe);
    db.enqueue_new(job.traceparent(Some(traceparent.clone()))).await;
    probe.until_started(2).await;
    assert_eq!(probe.started(), ["first", "second"]);
    worker.stop().await;
    let traces: Vec<Option<String>> =
        sqlx::query_scalar("select traceparent from queue.jobs").fetch_all(&db.pool).await.unwrap();
    assert_eq!(traces, [Some(traceparent.clone()), Some(traceparent)], "the trace goes on");
}

#[tokio::test]
async fn stale_run_enqueues_no_next_jobs() {
    let db = TestDb::new().await;
    db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let run = claim(&mut conn, worker, "default", 1).await.unwrap().remove(0).run;
    let next = NewJob::of(Uuid::nil(), &Step::new("next", Does::Succeed)).unwrap();
    let outcome = Outcome::Completed { output: json!(null), next: vec![next.clone()] };
    let before = RunStart { run: run.run - 1, ..run.start() };
    let stale = Finish { start: before, ..Finish::of(&run, outcome) };
    assert!(finish(&mut conn, vec![stale]).await.unwrap().is_empty());
    let jobs: i64 = sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&db.pool).await.unwrap();
    assert_eq!(jobs, 1);
}

#[tokio::test]
async fn finish_finds_each_job_by_its_key_whatever_the_statistics() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let mut tx = db.pool.begin().await.unwrap();
    // As far as the statistics know nothing runs, as after any quiet time.
    sqlx::raw_sql(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
         select gen_random_uuid(), gen_random_uuid(), 'q', 'k', 'completed', 3, '{}', now(), now()
         from generate_series(1, 20000);
         analyze queue.jobs; set local plan_cache_mode = force_generic_plan",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    let start = "'{1}', '{1}', '{1}', '{00000000-0000-0000-0000-000000000001}', '{2026-01-01}'";
    let completed = ("'{null}'", include_str!("../src/finish/complete.sql"));
    let others =
        ("'{retryable}', '{c}', '{m}', '{0}', '{0}', '{p}'", include_str!("../src/finish/finish.sql"));
    for (arguments, text) in [completed, others] {
        sqlx::raw_sql(AssertSqlSafe(format!("prepare done as {text}"))).execute(&mut *tx).await.unwrap();
        let plan: Vec<String> = sqlx::raw_sql(AssertSqlSafe(format!(
            "explain execute done({start}, {arguments}, '{{{worker}}}')"
        )))
        .fetch_all(&mut *tx)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
        sqlx::raw_sql("deallocate done").execute(&mut *tx).await.unwrap();
        let plan = plan.join("\n");
        assert_eq!(plan.matches("Index Scan using jobs_seq").count(), 1, "{plan}");
        assert!(!plan.contains("Seq Scan on jobs"), "{plan}");
    }
}

/// Then Postgres writes the new row version beside the old one and leaves all indexes as they are.
#[tokio::test]
async fn claim_and_finish_change_no_indexed_column() {
    let db = TestDb::new().await;
    let job = db
        .enqueue_new(NewJob::of(Uuid::nil(), &Step::new("a", Does::Succeed)).unwrap().not_unique())
        .await
        .id;
    let indexed: Vec<String> = sqlx::query_scalar(
        "select distinct a.attname::text from pg_index i
         join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
             and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
         join pg_attribute a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid
         where i.indrelid = 'queue.jobs'::regclass",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(
        indexed.contains(&"cold_state".to_owned()) && !indexed.contains(&"state".to_owned()),
        "{indexed:?}"
    );
    let row = async || -> serde_json::Value {
        let sql = "select to_jsonb(j) from queue.jobs j where id = $1";
        sqlx::query_scalar(sql).bind(job).fetch_one(&db.pool).await.unwrap()
    };
    let before = row().await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let claimed = claim(&mut conn, worker, "default", 1).await.unwrap();
    let run = &claimed[0].run;
    let changed = |now: &serde_json::Value| {
        indexed.iter().filter(|column| now[column] != before[column]).cloned().collect::<Vec<_>>()
    };
    assert_eq!(changed(&row().await), Vec::<String>::new());
    assert_eq!(finish(&mut conn, completed(run)).await.unwrap().len(), 1);
    assert_eq!(changed(&row().await), Vec::<String>::new());
    assert_eq!(row().await["state"], "completed");
}
