//! Jobs that wait for a time: backoff, snooze, retry-after, scheduled jobs, on a clock that the
//! test moves.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weirgate_queue::job::RetryPolicy;
use weirgate_queue::worker::promoter;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

/// The time between the end of the last attempt and the next start.
async fn wait_of(db: &TestDb, id: Uuid) -> TimeDelta {
    let job = db.job(id).await;
    let errors = job.errors.as_array().unwrap();
    let failed_at: DateTime<Utc> = errors.last().unwrap()["at"].as_str().unwrap().parse().unwrap();
    job.scheduled_at - failed_at
}

#[tokio::test]
async fn each_backoff_lies_within_its_bounds_and_nothing_runs_earlier() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let job = db.enqueue(Uuid::nil(), &Step::new("bad", Does::Fail)).await;
    let policy = RetryPolicy::default();
    for attempt in 1..=2 {
        let worker = TestWorker::start(&db, &probe);
        let waiting = db.until(job.id, JobState::Retryable).await;
        worker.stop().await;
        assert_eq!(probe.started().len(), usize::from(attempt));
        let envelope = TimeDelta::from_std(policy.envelope(attempt)).unwrap();
        let wait = wait_of(&db, job.id).await;
        assert!(wait >= TimeDelta::zero() && wait <= envelope, "{wait} is not within {envelope}");
        assert_eq!(waiting.attempt.unsigned_abs(), attempt);
        // A moment before it is due nothing starts, a moment after it everything does.
        set_due(&db, job.id, 60).await;
        db.travel(Duration::from_secs(59)).await;
        assert_eq!(promoter::run_once(&db.pool).await.unwrap(), 0);
        db.travel(Duration::from_secs(2)).await;
        assert_eq!(promoter::run_once(&db.pool).await.unwrap(), 1);
        assert_eq!(db.job(job.id).await.state(), JobState::Available);
    }
}

async fn set_due(db: &TestDb, id: Uuid, seconds: i32) {
    sqlx::query("update queue.jobs set scheduled_at = queue.now() + make_interval(secs => $2) where id = $1")
        .bind(id)
        .bind(seconds)
        .execute(&db.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn retry_after_waits_exactly_as_long_as_requested() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let job = db.enqueue(Uuid::nil(), &Step::new("busy", Does::RetryAfter { seconds: 77 })).await;
    db.until(job.id, JobState::Retryable).await;
    assert_eq!(wait_of(&db, job.id).await, TimeDelta::seconds(77));
    worker.stop().await;
}

#[tokio::test]
async fn snooze_counts_no_attempt() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let job = db.enqueue(Uuid::nil(), &Step::new("later", Does::Snooze { seconds: 3600 })).await;
    let asleep = db.until(job.id, JobState::Scheduled).await;
    assert_eq!((asleep.attempt, asleep.run), (0, 1));
    worker.stop().await;
    db.travel(Duration::from_secs(3601)).await;
    let worker = TestWorker::start(&db, &probe);
    let done = db.until(job.id, JobState::Completed).await;
    assert_eq!((done.attempt, done.run), (1, 2));
    worker.stop().await;
}

#[tokio::test]
async fn scheduled_job_waits_for_its_time() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let at = db.job(db.enqueue(Uuid::nil(), &Step::new("now", Does::Succeed)).await.id).await.created_at;
    let later =
        NewJob::of(Uuid::nil(), &Step::new("later", Does::Succeed)).unwrap().run_at(at + TimeDelta::hours(2));
    let later = db.enqueue_new(later).await;
    assert_eq!(db.job(later.id).await.state(), JobState::Scheduled);
    db.travel(Duration::from_hours(1)).await;
    assert_eq!(promoter::run_once(&db.pool).await.unwrap(), 0);
    db.travel(Duration::from_secs(3601)).await;
    let worker = TestWorker::start(&db, &probe);
    db.until(later.id, JobState::Completed).await;
    worker.stop().await;
}
