//! Jobs that wait on jobs.

use uuid::Uuid;
use weirgate_queue::claim::claim;
use weirgate_queue::finish::{Finish, Outcome, finish};
use weirgate_queue::{JobState, NewJob, OnFailure, control, enqueue, enqueue_workflow};

use crate::support::{Does, Probe, Step, TestDb, TestWorker};

fn step(label: &str, does: Does) -> NewJob {
    NewJob::of(Uuid::nil(), &Step::new(label, does)).unwrap()
}

async fn enqueue_all(db: &TestDb, jobs: Vec<NewJob>) {
    let mut tx = db.pool.begin().await.unwrap();
    enqueue(&mut tx, jobs).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_child_starts_after_all_its_parents() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let (a, b) = (step("a", Does::Gate), step("b", Does::Gate));
    let child = step("child", Does::Succeed).after(a.id, OnFailure::Cancel).after(b.id, OnFailure::Cancel);
    let (a_id, child_id) = (a.id, child.id);
    enqueue_all(&db, vec![a, b, child]).await;
    assert_eq!(db.job(child_id).await.state(), JobState::Waiting);
    let worker = TestWorker::start(&db, &probe);
    probe.open("a");
    db.until(a_id, JobState::Completed).await;
    assert_eq!(db.job(child_id).await.state(), JobState::Waiting);
    probe.open("b");
    db.until(child_id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_failed_parent_cancels_all_below_or_lets_them_go_on() {
    let db = TestDb::new().await;
    let parent = step("parent", Does::Discard);
    let child = step("child", Does::Succeed).after(parent.id, OnFailure::Cancel);
    let grandchild = step("grandchild", Does::Succeed).after(child.id, OnFailure::Cancel);
    let brave = step("brave", Does::Succeed).after(parent.id, OnFailure::Continue);
    let (child_id, grandchild_id, brave_id) = (child.id, grandchild.id, brave.id);
    enqueue_all(&db, vec![parent, child, grandchild, brave]).await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(brave_id, JobState::Completed).await;
    let child = db.until(child_id, JobState::Cancelled).await;
    assert_eq!(child.errors[0]["code"], "dependency_failed");
    db.until(grandchild_id, JobState::Cancelled).await;
    worker.stop().await;
    let refused =
        control::retry(&mut db.pool.acquire().await.unwrap(), child_id).await.unwrap_err().to_string();
    assert!(refused.contains("retry that one first"), "{refused}");
}

#[tokio::test]
async fn a_parent_that_is_final_already_does_not_hold_its_child_up() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let parent = db.enqueue_new(step("parent", Does::Succeed)).await.id;
    db.until(parent, JobState::Completed).await;
    let child = db.enqueue_new(step("child", Does::Succeed).after(parent, OnFailure::Cancel)).await.id;
    db.until(child, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn ten_parents_that_end_at_once_release_their_child_once() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(TestWorker::start(&db, &probe));
    }
    for round in 0..5 {
        let parents: Vec<NewJob> = (0..10).map(|i| step(&format!("{round}/{i}"), Does::Succeed)).collect();
        let child = parents.iter().fold(step(&format!("{round}/child"), Does::Succeed), |job, parent| {
            job.after(parent.id, OnFailure::Cancel)
        });
        let id = child.id;
        enqueue_all(&db, parents.into_iter().chain([child]).collect()).await;
        let done = db.until(id, JobState::Completed).await;
        assert_eq!((done.pending_parents, done.run), (0, 1));
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_workflow_whose_last_job_is_on_its_way_is_not_stored_again() {
    let db = TestDb::new().await;
    let workflow = || {
        let first = step("first", Does::Succeed).not_unique();
        let last =
            step("last", Does::Succeed).unique_by("pipeline", "today").after(first.id, OnFailure::Cancel);
        (last, vec![first])
    };
    let mut conn = db.pool.acquire().await.unwrap();
    let (last, before) = workflow();
    let one = enqueue_workflow(&mut conn, last, before).await.unwrap();
    let (last, before) = workflow();
    let two = enqueue_workflow(&mut conn, last, before).await.unwrap();
    assert!(!one.duplicate && two.duplicate);
    assert_eq!(one.id, two.id);
    let jobs: i64 = sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&db.pool).await.unwrap();
    assert_eq!(jobs, 2);
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    db.until(one.id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_parent_that_lives_again_is_waited_for_again_and_counts_once() {
    let db = TestDb::new().await;
    let (a, b) = (step("a", Does::Succeed), step("b", Does::Succeed));
    let child = step("child", Does::Succeed).after(a.id, OnFailure::Continue).after(b.id, OnFailure::Cancel);
    let (a, b, child) = {
        let ids = (a.id, b.id, child.id);
        enqueue_all(&db, vec![a, b, child]).await;
        ids
    };
    let mut conn = db.pool.acquire().await.unwrap();
    for _ in 0..2 {
        control::cancel(&mut conn, a).await.unwrap();
        assert_eq!(db.job(child).await.state(), JobState::Waiting, "on b");
        control::retry(&mut conn, a).await.unwrap();
    }
    let worker = db.register_worker().await;
    for (parent, then) in [(b, JobState::Waiting), (a, JobState::Available)] {
        let jobs = claim(&mut conn, worker, "default", 10).await.unwrap();
        // Only what is named ends; the other goes back.
        let finishes = jobs.iter().map(|job| {
            let (job, run) = (job.run.job, job.run.run);
            let outcome = if job == parent {
                Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() }
            } else {
                Outcome::HandedBack
            };
            Finish { job, run, outcome }
        });
        finish(&mut conn, finishes.collect()).await.unwrap();
        assert_eq!(db.job(child).await.state(), then);
    }
}
