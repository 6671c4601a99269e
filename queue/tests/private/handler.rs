//! What the handler reads, and what becomes of a job whose private argument cannot be read.

use std::sync::Arc;

use uuid::Uuid;
use weirgate_queue::private::MAX_BYTES;
use weirgate_queue::read::JobRow;
use weirgate_queue::{Job, JobContext, JobError, JobState, NewJob, QueueError, control};
use weirgate_test_support::{Does, Step, TestDb, TestKeys};

use super::{Act, Letter, Office, SECRET, holders, letter, stored};

/// Runs a job with this key until it is in `state`.
async fn run_until(db: &TestDb, job: Uuid, keys: Option<Arc<TestKeys>>, state: JobState) -> JobRow {
    let worker = Office::of(db).worker(db, keys);
    let row = db.until(job, state).await;
    worker.stop().await;
    row
}

fn code(job: &JobRow) -> &str {
    job.errors[0]["code"].as_str().unwrap()
}

#[tokio::test]
async fn handler_reads_it_and_it_is_gone_when_the_job_completes() {
    let db = TestDb::new().await;
    let office = Office::of(&db);
    let jobs =
        [db.enqueue_new(letter(Act::Send)).await.id, db.enqueue_new(letter(Act::SendInTransaction)).await.id];
    assert_eq!(holders(&db).await, jobs);
    let worker = office.worker(&db, Some(TestKeys::new(1)));
    for job in jobs {
        db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    assert_eq!((office.read(), stored(&db).await), (vec![SECRET.to_owned(); 2], 0));
}

#[tokio::test]
async fn every_attempt_reads_it_after_a_failure_and_a_snooze() {
    for act in [Act::FailFirst, Act::SnoozeFirst] {
        let db = TestDb::new().await;
        let office = Office::of(&db);
        let job = db.enqueue_new(letter(act)).await.id;
        let worker = office.worker(&db, Some(TestKeys::new(1)));
        db.until(job, JobState::Completed).await;
        worker.stop().await;
        assert_eq!((office.read(), stored(&db).await), (vec![SECRET.to_owned(); 2], 0));
    }
}

#[tokio::test]
async fn dead_letter_keeps_it_and_reads_it_when_it_is_retried() {
    let db = TestDb::new().await;
    let office = Office::of(&db);
    let job = db.enqueue_new(letter(Act::DiscardFirst)).await.id;
    let worker = office.worker(&db, Some(TestKeys::new(1)));
    db.until(job, JobState::Discarded).await;
    assert_eq!(holders(&db).await, [job]);
    control::retry(&mut db.pool.acquire().await.unwrap(), job).await.unwrap();
    db.until(job, JobState::Completed).await;
    worker.stop().await;
    assert_eq!((office.read(), stored(&db).await), (vec![SECRET.to_owned(); 2], 0));
}

#[tokio::test]
async fn next_job_of_a_handler_has_its_own() {
    let db = TestDb::new().await;
    let office = Office::of(&db);
    let job = db.enqueue_new(letter(Act::SendAnother)).await.id;
    let worker = office.worker(&db, Some(TestKeys::new(1)));
    db.until(job, JobState::Completed).await;
    let next: Uuid = sqlx::query_scalar("select id from queue.jobs where id <> $1")
        .bind(job)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    db.until(next, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(office.read(), [SECRET.to_owned(), format!("another of {SECRET}")]);
    assert_eq!(stored(&db).await, 0);
}

#[tokio::test]
async fn worker_without_the_key_leaves_the_job_to_one_that_has_it() {
    for (keys, expected) in
        [(None, "private_no_key"), (Some(TestKeys::rotated(2, &[3])), "private_unknown_key")]
    {
        let db = TestDb::new().await;
        let job = db.enqueue_new(letter(Act::Send).max_attempts(10)).await.id;
        let failed = run_until(&db, job, keys, JobState::Retryable).await;
        assert_eq!(code(&failed), expected);
        let message = failed.errors[0]["message"].as_str().unwrap();
        assert!(message.contains("start it again") || message.contains("the key 1,"), "{message}");
        run_until(&db, job, Some(TestKeys::rotated(2, &[1])), JobState::Completed).await;
    }
}

#[tokio::test]
async fn what_cannot_be_opened_discards_the_job() {
    let db = TestDb::new().await;
    let (one, other) =
        (db.enqueue_new(letter(Act::Send)).await.id, db.enqueue_new(letter(Act::Send)).await.id);
    // Somebody has given one job the private argument of another.
    sqlx::query(
        "update queue.private_args set sealed = (select sealed from queue.private_args
            join queue.jobs using (seq) where id = $2)
         where seq = (select seq from queue.jobs where id = $1)",
    )
    .bind(one)
    .bind(other)
    .execute(&db.pool)
    .await
    .unwrap();
    let discarded = run_until(&db, one, Some(TestKeys::new(1)), JobState::Discarded).await;
    assert_eq!(code(&discarded), "private_damaged");
    db.until(other, JobState::Completed).await;
}

#[tokio::test]
async fn job_without_one_is_discarded_by_a_handler_that_needs_it() {
    let db = TestDb::new().await;
    let without = NewJob::of(Uuid::nil(), &Letter { number: 1, act: Act::Send }).unwrap();
    let without = db.enqueue_new(without).await.id;
    let lost = db.enqueue_new(letter(Act::Send)).await.id;
    sqlx::query("delete from queue.private_args").execute(&db.pool).await.unwrap();
    for (job, expected) in [(without, "private_absent"), (lost, "private_deleted")] {
        let discarded = run_until(&db, job, Some(TestKeys::new(1)), JobState::Discarded).await;
        assert_eq!(code(&discarded), expected);
    }
}

#[tokio::test]
async fn value_of_another_type_is_refused_without_a_word_of_it() {
    let db = TestDb::new().await;
    let wrong = NewJob::of(Uuid::nil(), &Letter { number: 1, act: Act::Send }).unwrap();
    let wrong = wrong.private(&*TestKeys::new(1), &serde_json::json!({ "to": SECRET })).unwrap();
    let wrong = db.enqueue_new(wrong).await.id;
    let discarded = run_until(&db, wrong, Some(TestKeys::new(1)), JobState::Discarded).await;
    assert_eq!(code(&discarded), "private_unexpected");
    assert!(!discarded.errors.to_string().contains(SECRET), "{}", discarded.errors);
    // What serde says of a text in the place of a number quotes the text.
    let ctx = JobContext::detached(Office::of(&db), db.pool.clone()).with_private(SECRET);
    let Err(JobError::Discard { message, .. }) = ctx.private::<u64>().await else {
        panic!("a text is no number");
    };
    assert!(message.contains("u64") && !message.contains(SECRET), "{message}");
}

#[tokio::test]
async fn test_of_a_handler_gives_it_one_without_the_queue() {
    let db = TestDb::new().await;
    let office = Office::of(&db);
    let ctx = || JobContext::detached(office.clone(), db.pool.clone());
    let letter = Letter { number: 7, act: Act::SendAnother };
    let given = ctx().with_private(SECRET).with_sealing(TestKeys::new(1));
    assert!(!format!("{:?}", given.private::<String>().await.is_ok()).contains(SECRET));
    assert_eq!(letter.run(&given).await.unwrap(), 7);
    assert_eq!(office.read(), [SECRET]);
    let Err(JobError::Discard { code, .. }) = letter.run(&ctx()).await else { panic!("it was given none") };
    assert_eq!(code, "private_absent");
}

#[test]
fn what_is_too_large_is_refused_with_the_limit() {
    let job = || NewJob::of(Uuid::nil(), &Step::new("a", Does::Succeed)).unwrap();
    let keys = TestKeys::new(1);
    // Two bytes are the quotes.
    job().private(&*keys, &"x".repeat(MAX_BYTES - 2)).unwrap();
    let error = job().private(&*keys, &"x".repeat(MAX_BYTES - 1)).unwrap_err();
    assert!(matches!(error, QueueError::PrivateTooLarge { bytes, .. } if bytes == MAX_BYTES + 1), "{error}");
    assert!(error.to_string().contains(&MAX_BYTES.to_string()), "{error}");
}
