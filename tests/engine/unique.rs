//! One live job of a kind, tenant and arguments.

use uuid::Uuid;
use weirgate_queue::{JobState, NewJob, control};

use crate::support::{Does, Probe, Step, TestDb, TestWorker};

#[tokio::test]
async fn while_a_job_is_not_final_the_same_one_is_the_answer() {
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
    assert!(!db.enqueue(here, &step).await.duplicate, "after its end the job can come again");
}

#[tokio::test]
async fn many_at_once_are_one() {
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
async fn within_one_batch_too() {
    let db = TestDb::new().await;
    let job = || NewJob::of(Uuid::nil(), &Step::new("same", Does::Succeed)).unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    let answers = weirgate_queue::enqueue(&mut tx, vec![job(), job()]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(answers[0].id, answers[1].id);
    assert!(!answers[0].duplicate && answers[1].duplicate);
}

#[tokio::test]
async fn a_revival_beside_a_live_twin_is_refused_with_a_reason() {
    let db = TestDb::new().await;
    let step = Step::new("same", Does::Succeed);
    let mut conn = db.pool.acquire().await.unwrap();
    let first = db.enqueue(Uuid::nil(), &step).await;
    control::cancel(&mut conn, first.id).await.unwrap();
    let second = db.enqueue(Uuid::nil(), &step).await;
    let refused = control::retry(&mut conn, first.id).await.unwrap_err().to_string();
    assert!(refused.contains(&second.id.to_string()), "{refused}");
}
