//! Unique jobs: at most one live job of a kind, tenant and arguments.

use uuid::Uuid;
use weirgate_queue::{JobState, NewJob, control};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

#[tokio::test]
async fn duplicate_is_answered_with_the_live_job() {
    let db = TestDb::new().await;
    let (here, there) = (Uuid::now_v7(), Uuid::now_v7());
    let step = Step::new("same", Does::Succeed);
    let first = db.enqueue(here, &step).await;
    let second = db.enqueue(here, &step).await;
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.id, second.id);
    assert!(!db.enqueue(there, &step).await.duplicate, "another tenant's job is another job");
    assert!(!db.enqueue(here, &Step::new("other", Does::Succeed)).await.duplicate);
    let forced = db.enqueue_new(NewJob::of(here, &step).unwrap().not_unique()).await;
    assert!(!forced.duplicate && forced.id != first.id);
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(first.id, JobState::Completed).await;
    worker.stop().await;
    assert!(!db.enqueue(here, &step).await.duplicate, "once it is final, the same job can be enqueued again");
}

#[tokio::test]
async fn concurrent_duplicates_store_one_job() {
    let db = TestDb::new().await;
    let step = Step::new("same", Does::Succeed);
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (pool, step) = (db.pool.clone(), step.clone());
        racers.spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            let job = NewJob::of(Uuid::nil(), &step).unwrap();
            let enqueued = weirgate_queue::enqueue(&mut tx, vec![job]).await.unwrap()[0];
            tx.commit().await.unwrap();
            enqueued
        });
    }
    let answers = racers.join_all().await;
    assert_eq!(answers.iter().filter(|it| !it.duplicate).count(), 1);
    assert!(answers.iter().all(|it| it.id == answers[0].id));
}

#[tokio::test]
async fn duplicate_within_one_batch_is_answered_with_the_first() {
    let db = TestDb::new().await;
    let job = || NewJob::of(Uuid::nil(), &Step::new("same", Does::Succeed)).unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    let answers = weirgate_queue::enqueue(&mut tx, vec![job(), job()]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(answers[0].id, answers[1].id);
    assert!(!answers[0].duplicate && answers[1].duplicate);
}

#[tokio::test]
async fn retry_beside_a_live_duplicate_is_refused_with_its_id() {
    let db = TestDb::new().await;
    let step = Step::new("same", Does::Succeed);
    let mut conn = db.pool.acquire().await.unwrap();
    let first = db.enqueue(Uuid::nil(), &step).await;
    control::cancel(&mut conn, first.id).await.unwrap();
    let second = db.enqueue(Uuid::nil(), &step).await;
    let refused = control::retry(&mut conn, first.id).await.unwrap_err().to_string();
    assert!(refused.contains(&second.id.to_string()), "{refused}");
}

#[tokio::test]
async fn job_scheduled_for_later_is_moved_forward_by_a_duplicate_that_is_due_sooner() {
    let db = TestDb::new().await;
    let step = Step::new("same", Does::Succeed);
    let new = || NewJob::of(Uuid::nil(), &step).unwrap();
    let hours = |hours: u64| std::time::Duration::from_hours(hours);
    let later = db.enqueue_new(new().delay(hours(9))).await;
    let due = async || db.job(later.id).await.scheduled_at;
    let first = due().await;
    assert!(db.enqueue_new(new().delay(hours(10))).await.duplicate);
    assert_eq!(due().await, first, "a later time changes nothing");
    assert_eq!(db.enqueue_new(new().delay(hours(2))).await.id, later.id);
    let second = due().await;
    assert!(second < first && db.job(later.id).await.state() == JobState::Scheduled);
    // Of several in one batch, the soonest counts; each of them is answered.
    let mut tx = db.pool.begin().await.unwrap();
    let batch = vec![new().delay(hours(1)), new(), new().run_at(first)];
    let answers = weirgate_queue::enqueue(&mut tx, batch).await.unwrap();
    tx.commit().await.unwrap();
    assert!(answers.iter().all(|answer| answer.duplicate && answer.id == later.id));
    assert_eq!(db.job(later.id).await.state(), JobState::Available);
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(later.id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn job_that_was_snoozed_or_failed_is_not_moved_forward() {
    let db = TestDb::new().await;
    let step = Step::new("same", Does::Succeed);
    let new = || NewJob::of(Uuid::nil(), &step).unwrap();
    let job = db.enqueue_new(new()).await.id;
    for state in ["scheduled", "retryable"] {
        sqlx::query(
            "update queue.jobs set state = $1::queue.job_state, run = 1, scheduled_at = queue.now() + interval '1 hour'",
        )
        .bind(state)
        .execute(&db.pool)
        .await
        .unwrap();
        let before = db.job(job).await;
        assert!(db.enqueue_new(new()).await.duplicate);
        let after = db.job(job).await;
        assert_eq!(
            (after.state(), after.scheduled_at),
            (before.state(), before.scheduled_at),
            "it was snoozed, or failed"
        );
    }
}

#[tokio::test]
async fn duplicate_that_would_wait_on_others_moves_nothing_forward() {
    let db = TestDb::new().await;
    let step = Step::new("same", Does::Succeed);
    let new = || NewJob::of(Uuid::nil(), &step).unwrap();
    let later = db.enqueue_new(new().delay(std::time::Duration::from_hours(9))).await.id;
    let parent = db.enqueue(Uuid::nil(), &Step::new("first", Does::Succeed)).await.id;
    let waits = new().after(parent, weirgate_queue::OnFailure::Cancel);
    assert!(db.enqueue_new(waits).await.duplicate);
    assert_eq!(db.job(later).await.state(), JobState::Scheduled);
}
