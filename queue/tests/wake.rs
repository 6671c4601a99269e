//! Notifications: a worker that waits learns of new jobs at once; without one, none are sent.

use std::time::Duration;

use sqlx::postgres::PgListener;
use uuid::Uuid;
use weirgate_queue::{JobState, NewJob, enqueue};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

/// Polls are rarer than any test lasts, so a job that starts was notified of.
const POLL: Duration = Duration::from_hours(1);

fn step(label: &str) -> NewJob {
    NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap()
}

async fn waiting_worker(db: &TestDb) -> TestWorker {
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(db, &probe, |config| config.poll_interval = POLL);
    while waiters(db).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker
}

async fn waiters(db: &TestDb) -> i64 {
    let sql = "select count(*) from queue.waiters where queue = 'default'";
    sqlx::query_scalar(sql).fetch_one(&db.pool).await.unwrap()
}

#[tokio::test]
async fn waiting_worker_is_woken_by_an_enqueue() {
    let db = TestDb::new().await;
    let worker = waiting_worker(&db).await;
    for label in ["a", "b", "c"] {
        let job = db.enqueue_new(step(label)).await.id;
        db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    assert_eq!(waiters(&db).await, 0, "a worker that is gone is told nothing");
}

/// The enqueue has looked for waiting workers before there was one.
#[tokio::test]
async fn job_of_an_open_transaction_is_not_missed_when_a_worker_begins_to_wait() {
    let db = TestDb::new().await;
    let mut tx = db.pool.begin().await.unwrap();
    let job = enqueue(&mut tx, vec![step("late")]).await.unwrap()[0].id;
    let worker = waiting_worker(&db).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    tx.commit().await.unwrap();
    db.until(job, JobState::Completed).await;
    worker.stop().await;
}

/// A transaction whose snapshot is fixed sees only the workers that waited when it began.
#[tokio::test]
async fn transaction_with_an_old_snapshot_wakes_workers_that_wait_since() {
    let db = TestDb::new().await;
    let mut tx = db.pool.begin_with("begin isolation level repeatable read").await.unwrap();
    sqlx::query("select 1 from queue.waiters").fetch_all(&mut *tx).await.unwrap();
    let worker = waiting_worker(&db).await;
    let job = enqueue(&mut tx, vec![step("old")]).await.unwrap()[0].id;
    tx.commit().await.unwrap();
    db.until(job, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn no_notification_is_sent_while_no_worker_waits() {
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
    // Notifications arrive in the order of commits. As there is only one, it is that of the second
    // job.
    assert_eq!(listener.recv().await.unwrap().payload(), "default");
    let more = tokio::time::timeout(Duration::from_millis(50), listener.recv()).await;
    assert!(more.is_err(), "one notice for two jobs, of which one came while nobody slept");
}

/// Under load no notifications are sent, and nothing is missed when the load ends.
#[tokio::test]
async fn busy_worker_polls_and_waits_again_when_the_load_ends() {
    let db = TestDb::new().await;
    let worker = waiting_worker(&db).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let jobs = (0..1000).map(|number| step(&number.to_string()));
    enqueue(&mut conn, jobs.collect()).await.unwrap();
    // On a machine that is busy with other things the worker may be too slow to count as busy.
    while waiters(&db).await > 0 && unfinished(&db).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while waiters(&db).await == 0 {
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
