//! What is stored when jobs are enqueued, and which jobs can be retried.

use serde_json::Value;
use uuid::Uuid;
use weirgate_queue::control::bulk::{self, BulkAction, Cursor};
use weirgate_queue::read::JobFilter;
use weirgate_queue::worker::{Finish, Outcome, claim, finish};
use weirgate_queue::{JobState, NewJob, OnFailure, QueueError, control, enqueue, workflow};
use weirgate_test_support::{Does, Step, TestDb, TestKeys};

use super::{SECRET, holders, step, stored};

/// What the job's private argument says.
async fn value_of(db: &TestDb, job: Uuid) -> String {
    use weirgate_queue::private::Sealing;
    let sealed: Vec<u8> =
        sqlx::query_scalar("select sealed from queue.private_args join queue.jobs using (seq) where id = $1")
            .bind(job)
            .fetch_one(&db.pool)
            .await
            .unwrap();
    let plain = TestKeys::new(1).open(&format!("queue.private_args/{job}"), &sealed).unwrap();
    serde_json::from_slice(&plain).unwrap()
}

#[tokio::test]
async fn private_argument_of_a_duplicate_is_dropped_with_it() {
    let db = TestDb::new().await;
    let live = db.enqueue_new(step("same")).await;
    let again = NewJob::of(Uuid::nil(), &Step::new("same", Does::Succeed)).unwrap();
    let again = again.private(&*TestKeys::new(1), "another value").unwrap();
    let enqueued = db.enqueue_new(again).await;
    assert!(enqueued.duplicate && enqueued.id == live.id);
    assert_eq!((value_of(&db, live.id).await, stored(&db).await), (format!("{SECRET} same"), 1));
}

#[tokio::test]
async fn many_jobs_of_which_some_have_one_are_stored_with_the_right_ones() {
    let db = TestDb::new().await;
    let without = NewJob::of(Uuid::nil(), &Step::new("without", Does::Succeed)).unwrap();
    let parent = step("parent");
    let child = step("child").after(parent.id, OnFailure::Cancel);
    let ids = [parent.id, child.id];
    let mut tx = db.pool.begin().await.unwrap();
    enqueue(&mut tx, vec![without, step("alone"), step("alone")]).await.unwrap();
    enqueue(&mut tx, vec![parent, child]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(stored(&db).await, 3);
    assert_eq!(value_of(&db, ids[0]).await, format!("{SECRET} parent"));
    assert_eq!(value_of(&db, ids[1]).await, format!("{SECRET} child"));
}

#[tokio::test]
async fn workflow_that_is_on_its_way_already_stores_none() {
    let db = TestDb::new().await;
    let pair = || {
        let first = step("first").not_unique();
        let last = step("last").after(first.id, OnFailure::Cancel);
        (last.id, vec![first, last])
    };
    let mut conn = db.pool.acquire().await.unwrap();
    for expected in [false, true] {
        let (last, jobs) = pair();
        let enqueued = workflow::enqueue_once(&mut conn, jobs, last).await.unwrap();
        assert_eq!((enqueued.duplicate, stored(&db).await), (expected, 2));
    }
}

#[tokio::test]
async fn job_whose_private_argument_cannot_be_stored_is_not_stored() {
    let db = TestDb::new().await;
    db.execute("alter table queue.private_args add constraint refused check (length(sealed) < 10)").await;
    // On a connection without a transaction.
    let mut conn = db.pool.acquire().await.unwrap();
    enqueue(&mut conn, vec![step("a")]).await.unwrap_err();
    assert_eq!(db.count("queue.jobs").await, 0);
}

#[tokio::test]
async fn cancelled_job_is_not_retried_without_it() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let private = db.enqueue_new(step("private")).await.id;
    let plain = db.enqueue(Uuid::nil(), &Step::new("plain", Does::Succeed)).await.id;
    for job in [private, plain] {
        control::cancel(&mut conn, job).await.unwrap();
    }
    let error = control::retry(&mut conn, private).await.unwrap_err();
    let says = error.to_string();
    assert!(matches!(error, QueueError::WrongState { state: JobState::Cancelled, .. }), "{says}");
    assert!(says.contains("private argument was deleted") && says.contains("enqueue it anew"), "{says}");
    let (filter, by) = (JobFilter::default(), (Uuid::nil(), i64::MAX));
    let step = bulk::step(&mut conn, BulkAction::Retry, &filter, by, Cursor::default()).await.unwrap();
    assert_eq!((step.touched, step.skipped), (1, 1));
    assert_eq!(db.job(private).await.state(), JobState::Cancelled);
    assert_eq!(db.job(plain).await.state(), JobState::Available);
}

#[tokio::test]
async fn retried_parent_leaves_children_cancelled_that_have_lost_it() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let parent = db.enqueue_new(step("parent")).await.id;
    let private = db.enqueue_new(step("private").after(parent, OnFailure::Cancel)).await.id;
    let plain = NewJob::of(Uuid::nil(), &Step::new("plain", Does::Succeed)).unwrap();
    let plain = db.enqueue_new(plain.after(parent, OnFailure::Cancel)).await.id;
    let worker = db.register_worker().await;
    let run = claim(&mut conn, worker, "default", 1).await.unwrap().remove(0).run;
    let discarded = Outcome::Discarded { code: "hopeless".to_owned(), message: "no".to_owned() };
    finish(&mut conn, vec![Finish::of(&run, discarded)]).await.unwrap();
    control::retry(&mut conn, parent).await.unwrap();
    assert_eq!(db.job(plain).await.state(), JobState::Waiting);
    assert_eq!(db.job(private).await.state(), JobState::Cancelled);
    let run = claim(&mut conn, worker, "default", 1).await.unwrap().remove(0).run;
    assert_eq!(holders(&db).await, [parent], "the parent runs with its own");
    let completed = Outcome::Completed { output: Value::Null, next: Vec::new() };
    finish(&mut conn, vec![Finish::of(&run, completed)]).await.unwrap();
    assert_eq!(db.job(private).await.state(), JobState::Cancelled);
    let refused = control::retry(&mut conn, private).await.unwrap_err().to_string();
    assert!(refused.contains("private argument was deleted"), "{refused}");
}
