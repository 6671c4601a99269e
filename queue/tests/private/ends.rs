//! Whoever ends a job deletes its private argument: each way to do so, and nobody else.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::backfill::{self, BackfillSettings};
use weirgate_queue::control::bulk::{self, BulkAction, Cursor};
use weirgate_queue::job::RunId;
use weirgate_queue::read::JobFilter;
use weirgate_queue::worker::{Finish, Outcome, Retention, claim, finish, promoter, pruner, rescuer};
use weirgate_queue::{JobState, OnFailure, Workflow, control, workflow};
use weirgate_test_support::{Does, Steps, TestDb, TestKeys, expander};

use super::{Act, Office, holders, letter, step, stored};

async fn claim_one(db: &TestDb, conn: &mut PgConnection) -> RunId {
    let worker = db.register_worker().await;
    claim(conn, worker, "default", 1).await.unwrap().remove(0).run
}

async fn end(conn: &mut PgConnection, run: &RunId, outcome: Outcome) -> usize {
    finish(conn, vec![Finish::of(run, outcome)]).await.unwrap().len()
}

fn completed() -> Outcome {
    Outcome::Completed { output: Value::Null, next: Vec::new() }
}

fn discarded() -> Outcome {
    Outcome::Discarded { code: "hopeless".to_owned(), message: "no".to_owned() }
}

#[tokio::test]
async fn whatever_lets_the_job_run_again_keeps_it() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let job = db.enqueue_new(step("a")).await.id;
    let (code, message) = ("busy".to_owned(), "later".to_owned());
    let again = [
        Outcome::Retry { code, message, delay: Duration::from_secs(1) },
        Outcome::Snoozed(Duration::from_secs(1)),
        Outcome::HandedBack,
    ];
    for outcome in again {
        let run = claim_one(&db, &mut conn).await;
        assert_eq!(end(&mut conn, &run, outcome).await, 1);
        assert_eq!(holders(&db).await, [job]);
        db.travel(Duration::from_secs(2)).await;
        promoter::run_once(&db.pool).await.unwrap();
    }
    claim_one(&db, &mut conn).await;
    db.travel(Duration::from_mins(2)).await;
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 1);
    assert_eq!(holders(&db).await, [job], "its worker was lost");
    let run = claim_one(&db, &mut conn).await;
    assert_eq!(end(&mut conn, &run, completed()).await, 1);
    assert_eq!(stored(&db).await, 0);
}

#[tokio::test]
async fn stale_run_cannot_delete_it() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let job = db.enqueue_new(step("a")).await.id;
    let stale = claim_one(&db, &mut conn).await;
    db.travel(Duration::from_mins(2)).await;
    rescuer::run_once(&db.pool).await.unwrap();
    let current = claim_one(&db, &mut conn).await;
    for outcome in [completed(), Outcome::Cancelled] {
        assert_eq!(end(&mut conn, &stale, outcome).await, 0);
        assert_eq!(holders(&db).await, [job]);
    }
    assert_eq!(end(&mut conn, &current, discarded()).await, 1);
    assert_eq!(holders(&db).await, [job], "a dead letter keeps it");
}

#[tokio::test]
async fn completion_that_is_rolled_back_keeps_it() {
    let db = TestDb::new().await;
    let job = db.enqueue_new(step("a")).await.id;
    let run = claim_one(&db, &mut db.pool.acquire().await.unwrap()).await;
    let mut tx = db.pool.begin().await.unwrap();
    assert_eq!(end(&mut tx, &run, completed()).await, 1);
    tx.rollback().await.unwrap();
    assert_eq!(holders(&db).await, [job]);
}

#[tokio::test]
async fn cancelled_job_loses_it_in_every_state() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let retryable = db.enqueue_new(step("retryable")).await.id;
    let run = claim_one(&db, &mut conn).await;
    let (code, message) = ("busy".to_owned(), "later".to_owned());
    end(&mut conn, &run, Outcome::Retry { code, message, delay: Duration::from_hours(1) }).await;
    let parent = db.enqueue_new(step("parent").delay(Duration::from_hours(1))).await.id;
    let waiting = db.enqueue_new(step("waiting").after(parent, OnFailure::Cancel)).await.id;
    let available = db.enqueue_new(step("available")).await.id;
    for job in [retryable, waiting, available, parent] {
        assert!(holders(&db).await.contains(&job));
        assert_eq!(control::cancel(&mut conn, job).await.unwrap(), JobState::Cancelled);
        assert!(!holders(&db).await.contains(&job), "{:?}", db.job(job).await);
    }
    assert_eq!(stored(&db).await, 0);
}

#[tokio::test]
async fn running_job_keeps_it_until_its_handler_has_returned() {
    let db = TestDb::new().await;
    let job = db.enqueue_new(letter(Act::WaitForCancel)).await.id;
    let office = Office::of(&db);
    let worker = office.worker(&db, Some(TestKeys::new(1)));
    db.until(job, JobState::Running).await;
    assert_eq!(control::cancel(&mut db.pool.acquire().await.unwrap(), job).await.unwrap(), JobState::Running);
    db.until(job, JobState::Cancelled).await;
    worker.stop().await;
    assert_eq!(stored(&db).await, 0);
}

#[tokio::test]
async fn cancelled_job_of_a_lost_worker_loses_it_with_the_rescue() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let job = db.enqueue_new(step("a")).await.id;
    claim_one(&db, &mut conn).await;
    control::cancel(&mut conn, job).await.unwrap();
    assert_eq!(holders(&db).await, [job]);
    db.travel(Duration::from_mins(2)).await;
    rescuer::run_once(&db.pool).await.unwrap();
    assert_eq!((db.job(job).await.state(), stored(&db).await), (JobState::Cancelled, 0));
}

#[tokio::test]
async fn bulk_workflow_and_backfill_cancels_delete_it() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    db.enqueue_new(step("bulk")).await;
    let filter = JobFilter { kind: Some("step".to_owned()), ..JobFilter::default() };
    let done = bulk::step(&mut conn, BulkAction::Cancel, &filter, (Uuid::nil(), i64::MAX), Cursor::default());
    assert_eq!((done.await.unwrap().touched, stored(&db).await), (1, 0), "bulk");

    let mut day = Workflow::new();
    day.add("first", step("first"));
    day.add("second", step("second")).after("first");
    let id = day.id();
    day.enqueue(&mut conn).await.unwrap();
    assert_eq!(stored(&db).await, 2);
    workflow::cancel(&mut conn, id).await.unwrap();
    assert_eq!(stored(&db).await, 0, "workflow");

    let id = Steps::that(Does::Succeed).backfill(&db, 1, BackfillSettings::default()).await;
    db.enqueue_new(step("slice").backfill(id)).await;
    assert_eq!(stored(&db).await, 1);
    backfill::cancel(&db.pool, id).await.unwrap();
    expander().run_once(&db.pool).await.unwrap();
    assert_eq!(stored(&db).await, 0, "backfill");
}

#[tokio::test]
async fn children_of_a_failed_or_cancelled_job_lose_it() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    for fails in [true, false] {
        let parent = step("parent").not_unique();
        let child = step("child").not_unique().after(parent.id, OnFailure::Cancel);
        let grandchild = step("grandchild").not_unique().after(child.id, OnFailure::Cancel);
        let parent = db.enqueue_new(parent).await.id;
        let (child, grandchild) = (db.enqueue_new(child).await.id, db.enqueue_new(grandchild).await.id);
        assert_eq!(holders(&db).await, [parent, child, grandchild]);
        if fails {
            let run = claim_one(&db, &mut conn).await;
            end(&mut conn, &run, discarded()).await;
            assert_eq!(holders(&db).await, [parent]);
            sqlx::query("delete from queue.jobs").execute(&db.pool).await.unwrap();
        } else {
            control::cancel(&mut conn, parent).await.unwrap();
        }
        assert_eq!(stored(&db).await, 0);
    }
}

#[tokio::test]
async fn deleted_and_pruned_jobs_leave_none() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    for label in ["deleted", "pruned"] {
        db.enqueue_new(step(label)).await;
        let run = claim_one(&db, &mut conn).await;
        end(&mut conn, &run, discarded()).await;
        assert_eq!(stored(&db).await, 1);
        if label == "deleted" {
            let (filter, by) = (JobFilter::default(), (Uuid::nil(), i64::MAX));
            bulk::step(&mut conn, BulkAction::Delete, &filter, by, Cursor::default()).await.unwrap();
        } else {
            db.travel(Duration::from_hours(24 * 91)).await;
            pruner::run_once(&db.pool, Retention::default()).await.unwrap();
        }
        assert_eq!((stored(&db).await, db.count("queue.jobs").await), (0, 0), "{label}");
    }
}
