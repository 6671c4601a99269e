//! Cancels of jobs that wait and of jobs that run.

use std::time::{Duration, Instant};

use uuid::Uuid;
use weirgate_queue::{JobState, QueueError, control};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

#[tokio::test]
async fn available_job_is_cancelled_at_once_and_never_runs() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(control::cancel(&mut conn, job).await.unwrap(), JobState::Cancelled);
    assert_eq!(control::cancel(&mut conn, job).await.unwrap(), JobState::Cancelled, "again changes nothing");
    let worker = TestWorker::start(&db, &probe);
    let next = db.enqueue(Uuid::nil(), &Step::new("b", Does::Succeed)).await.id;
    db.until(next, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(probe.started(), ["b"]);
    assert!(matches!(control::cancel(&mut conn, Uuid::now_v7()).await, Err(QueueError::UnknownJob(_))));
}

#[tokio::test]
async fn running_handler_is_asked_to_stop_and_awaited() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.cancel_grace = Duration::from_mins(5));
    let job = db.enqueue(Uuid::nil(), &Step::new("polite", Does::GateOrCancel)).await.id;
    db.until(job, JobState::Running).await;
    probe.until_started(1).await;
    let asked = Instant::now();
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(control::cancel(&mut conn, job).await.unwrap(), JobState::Running);
    db.until(job, JobState::Cancelled).await;
    assert!(asked.elapsed() < Duration::from_secs(10), "NOTIFY tells it, not the next heartbeat");
    worker.stop().await;
}

#[tokio::test]
async fn handler_that_does_not_stop_is_dropped() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let job = db.enqueue(Uuid::nil(), &Step::new("deaf", Does::Gate)).await.id;
    db.until(job, JobState::Running).await;
    probe.until_started(1).await;
    control::cancel(&mut db.pool.acquire().await.unwrap(), job).await.unwrap();
    db.until(job, JobState::Cancelled).await;
    worker.stop().await;
}

#[tokio::test]
async fn cancel_whose_notification_was_lost_is_found_at_the_next_heartbeat() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.lease = Duration::from_secs(3));
    let job = db.enqueue(Uuid::nil(), &Step::new("deaf", Does::Gate)).await.id;
    db.until(job, JobState::Running).await;
    // A lost notification leaves the request in the row, and no worker knows of it.
    sqlx::query("update queue.jobs set cancel_requested_at = queue.now() where id = $1")
        .bind(job)
        .execute(&db.pool)
        .await
        .unwrap();
    db.until(job, JobState::Cancelled).await;
    worker.stop().await;
}
