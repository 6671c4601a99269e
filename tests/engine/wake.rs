//! Wake-ups: who sleeps is told of new jobs at once; who does not is not told at all.

use std::time::Duration;

use sqlx::postgres::PgListener;
use uuid::Uuid;
use weirgate_queue::{JobState, NewJob, enqueue};

use crate::support::{Does, Probe, Step, TestDb, TestWorker};

/// No test waits for so long: what starts was woken.
const POLL: Duration = Duration::from_hours(1);

fn step(label: &str) -> NewJob {
    NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap()
}

async fn sleeper(db: &TestDb) -> TestWorker {
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(db, &probe, |options| options.host.poll_interval = POLL);
    while sleepers(db).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker
}

async fn sleepers(db: &TestDb) -> i64 {
    let sql = "select count(*) from queue.waiters where queue = 'default'";
    sqlx::query_scalar(sql).fetch_one(&db.pool).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_sleeps_is_woken() {
    let db = TestDb::new().await;
    let worker = sleeper(&db).await;
    for label in ["a", "b", "c"] {
        let job = db.enqueue_new(step(label)).await.id;
        db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    assert_eq!(sleepers(&db).await, 0, "a worker that is gone is told nothing");
}

/// The enqueue has looked for sleepers before there was one.
#[tokio::test]
async fn a_job_under_way_when_a_worker_falls_asleep_is_not_missed() {
    let db = TestDb::new().await;
    let mut tx = db.pool.begin().await.unwrap();
    let job = enqueue(&mut tx, vec![step("late")]).await.unwrap()[0].id;
    let worker = sleeper(&db).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    tx.commit().await.unwrap();
    db.until(job, JobState::Completed).await;
    worker.stop().await;
}

/// What a transaction sees that sees the same all the time says nothing of who sleeps now.
#[tokio::test]
async fn a_transaction_with_an_old_snapshot_wakes_who_fell_asleep_since() {
    let db = TestDb::new().await;
    let mut tx = db.pool.begin_with("begin isolation level repeatable read").await.unwrap();
    sqlx::query("select 1 from queue.waiters").fetch_all(&mut *tx).await.unwrap();
    let worker = sleeper(&db).await;
    let job = enqueue(&mut tx, vec![step("old")]).await.unwrap()[0].id;
    tx.commit().await.unwrap();
    db.until(job, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn nobody_is_told_while_nobody_sleeps() {
    let db = TestDb::new().await;
    let mut listener = PgListener::connect_with(&db.pool).await.unwrap();
    listener.listen("weirgate_jobs").await.unwrap();
    db.enqueue_new(step("a")).await;
    let worker = db.register_worker().await;
    sqlx::query("insert into queue.waiters (queue, worker_id) values ('default', $1)")
        .bind(worker)
        .execute(&db.pool)
        .await
        .unwrap();
    let before = db.enqueue_new(step("of the end")).await;
    assert!(!before.duplicate);
    // Notices come in the order of commits: the first one is of the second job, as the count of them tells.
    assert_eq!(listener.recv().await.unwrap().payload(), "default");
    let more = tokio::time::timeout(Duration::from_millis(50), listener.recv()).await;
    assert!(more.is_err(), "one notice for two jobs, of which one came while nobody slept");
}

/// Under load enqueues are spared the notice, and nothing is missed when the load ends.
#[tokio::test]
async fn a_busy_worker_looks_for_itself_and_sleeps_again() {
    let db = TestDb::new().await;
    let worker = sleeper(&db).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let jobs = (0..1000).map(|number| step(&number.to_string()));
    enqueue(&mut conn, jobs.collect()).await.unwrap();
    // On a machine that is busy with other things it may be too slow to count as busy.
    while sleepers(&db).await > 0 && unfinished(&db).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while sleepers(&db).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let job = db.enqueue_new(step("last")).await.id;
    db.until(job, JobState::Completed).await;
    assert_eq!(unfinished(&db).await, 0);
    worker.stop().await;
}

async fn unfinished(db: &TestDb) -> i64 {
    let sql = "select count(*) from queue.jobs where state <> 'completed'";
    sqlx::query_scalar(sql).fetch_one(&db.pool).await.unwrap()
}
