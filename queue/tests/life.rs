//! The life of a job in a worker, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use weirgate_queue::{Job, JobContext, JobError, JobState, Kinds};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

/// Runs longer than it may.
#[derive(Serialize, Deserialize)]
struct Hang;

impl Job for Hang {
    const KIND: &'static str = "hang";
    type App = Probe;
    type Output = ();

    fn timeout() -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&self, _: &JobContext<Probe>) -> Result<(), JobError> {
        tokio::time::sleep(Duration::from_mins(5)).await;
        Ok(())
    }
}

#[tokio::test]
async fn completed_job_keeps_its_output() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let job = db.enqueue(Uuid::nil(), &Step::new("one", Does::Succeed)).await;
    let done = db.until(job.id, JobState::Completed).await;
    assert_eq!(done.output, Some(json!("one")));
    assert_eq!((done.attempt, done.errors), (1, json!([])));
    assert!(done.finalized_at >= done.attempted_at && done.attempted_at >= Some(done.created_at));
    worker.stop().await;
}

#[tokio::test]
async fn failing_job_is_retried_until_it_is_discarded() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let job = db.enqueue(Uuid::nil(), &Step::new("bad", Does::Fail)).await;
    for _ in 0..2 {
        db.until(job.id, JobState::Retryable).await;
        db.travel(Duration::from_hours(1)).await;
        db.keep_alive().await;
    }
    let dead = db.until(job.id, JobState::Discarded).await;
    let errors = dead.errors.as_array().unwrap();
    assert_eq!(errors.len(), 3);
    assert_eq!(errors[0]["code"], "failed");
    assert_eq!(errors[0]["message"], "it went wrong");
    assert_eq!(errors.iter().map(|it| it["attempt"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(!errors[0]["retry_at"].is_null() && errors[2]["retry_at"].is_null());
    worker.stop().await;
}

#[tokio::test]
async fn panic_and_timeout_are_failed_attempts_and_the_worker_lives() {
    let db = TestDb::new().await;
    let registry = Kinds::default().with::<Step>().with::<Hang>().run_with(Probe::new(db.pool.clone()));
    let worker = TestWorker::start_jobs(&db, Arc::new(registry), |_| {});
    let panics = db.enqueue(Uuid::nil(), &Step::new("panics", Does::Panic)).await;
    let hangs = db.enqueue(Uuid::nil(), &Hang).await;
    let panicked = db.until(panics.id, JobState::Retryable).await;
    assert_eq!(panicked.errors[0]["code"], "panicked");
    assert!(panicked.errors[0]["message"].as_str().unwrap().contains("a bug in the handler"));
    let hung = db.until(hangs.id, JobState::Retryable).await;
    assert_eq!(hung.errors[0]["code"], "timed_out");
    let next = db.enqueue(Uuid::nil(), &Step::new("next", Does::Succeed)).await;
    db.until(next.id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn discarded_job_runs_again_after_a_manual_retry() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let job = db.enqueue(Uuid::nil(), &Step::new("hopeless", Does::Discard)).await;
    let dead = db.until(job.id, JobState::Discarded).await;
    assert_eq!(dead.errors[0]["code"], "hopeless");
    assert_eq!(probe.started().len(), 1);
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(weirgate_queue::control::retry(&mut conn, job.id).await.unwrap(), JobState::Available);
    worker.stop().await;
}

#[tokio::test]
async fn unstorable_outcome_discards_its_job_and_holds_up_no_other() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let bad = db.enqueue(Uuid::nil(), &Step::new("unstorable", Does::Unstorable)).await;
    let huge = db.enqueue(Uuid::nil(), &Step::new("huge", Does::Output { megabytes: 101 })).await;
    let good = db.enqueue(Uuid::nil(), &Step::new("good", Does::Succeed)).await;
    for bad in [bad.id, huge.id] {
        let dead = db.until(bad, JobState::Discarded).await;
        assert_eq!(dead.errors[0]["code"], "unstorable_outcome");
    }
    db.until(good.id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn progress_is_visible_while_the_job_runs() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let job = db.enqueue(Uuid::nil(), &Step::new("far", Does::Progress { done: 3, total: 9 })).await;
    let running = loop {
        let job = db.until(job.id, JobState::Running).await;
        if job.progress.is_some() {
            break job;
        }
    };
    assert_eq!(running.progress, Some(json!({"done": 3, "total": 9, "message": "on the way"})));
    probe.open("far");
    db.until(job.id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn job_of_an_unknown_kind_is_left_for_another_version() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let job = db.enqueue(Uuid::nil(), &Step::new("x", Does::Succeed)).await;
    worker.stop().await;
    let other = sqlx::query_scalar::<_, Uuid>(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
         values (gen_random_uuid(), gen_random_uuid(), 'default', 'unheard_of', 'available', 5, '{}', now(), now())
         returning id",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let waiting = db.until(other, JobState::Retryable).await;
    assert_eq!(waiting.errors[0]["code"], "unknown_kind");
    db.until(job.id, JobState::Completed).await;
    worker.stop().await;
}
