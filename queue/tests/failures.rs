//! Failures, grouped by what they have in common.

use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::control::bulk::{self, BulkAction, Cursor};
use weirgate_queue::read::{self, JobFilter};
use weirgate_queue::telemetry::failures::{self, Failure, pattern};
use weirgate_queue::worker::{Finish, Outcome, claim, finish, rescuer};
use weirgate_queue::{JobState, NewJob, control};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

async fn list(db: &TestDb) -> Vec<Failure> {
    failures::list(&mut db.pool.acquire().await.unwrap(), None, 50).await.unwrap().rows
}

/// Ends one job with each of the outcomes.
async fn end(db: &TestDb, outcomes: Vec<Outcome>) -> Vec<Uuid> {
    let worker = db.register_worker().await;
    let mut ids = Vec::new();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let step = Step::new(&number.to_string(), Does::Succeed);
        let job = NewJob::of(Uuid::nil(), &step).unwrap().not_unique();
        ids.push(db.enqueue_new(job).await.id);
        let mut conn = db.pool.acquire().await.unwrap();
        let claimed = claim(&mut conn, worker, "default", 1).await.unwrap();
        finish(&mut conn, vec![Finish::of(&claimed[0].run, outcome)]).await.unwrap();
    }
    ids
}

fn discarded(message: &str) -> Outcome {
    Outcome::Discarded { code: "gone".to_owned(), message: message.to_owned() }
}

fn retried(message: &str) -> Outcome {
    let (code, message) = ("gone".to_owned(), message.to_owned());
    Outcome::Retry { code, message, delay: Duration::from_hours(1) }
}

#[tokio::test]
async fn jobs_that_failed_in_the_same_way_are_one_failure() {
    let db = TestDb::new().await;
    let ids = end(
        &db,
        vec![
            discarded("ticket 17 is gone"),
            discarded("ticket 4711 is gone"),
            retried("ticket 3 is gone"),
            discarded("the customer is gone"),
        ],
    )
    .await;
    let mut found: Vec<_> = list(&db)
        .await
        .into_iter()
        .map(|failure| (failure.kind, failure.code, failure.pattern, failure.discarded, failure.retryable))
        .collect();
    found.sort();
    let failure = |pattern: &str, discarded, retryable| {
        ("step".to_owned(), "gone".to_owned(), pattern.to_owned(), discarded, retryable)
    };
    assert_eq!(found, [failure("the customer is gone", 1, 0), failure("ticket # is gone", 2, 1)]);

    // A job that was retried by hand no longer belongs to the failure, and is in none of its lists.
    let of_tickets = list(&db).await.into_iter().find(|failure| failure.discarded == 2).unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    control::retry(&mut conn, ids[0]).await.unwrap();
    let filter = JobFilter { failure: Some(of_tickets.id), ..JobFilter::default() };
    let listed = read::list(&mut conn, &filter, None, 10).await.unwrap();
    assert_eq!(listed.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
    let counted = bulk::count(&mut conn, BulkAction::Retry, &filter, i64::MAX, Duration::from_secs(9)).await;
    assert_eq!(counted.unwrap().count, 1);
    bulk::step(&mut conn, BulkAction::Retry, &filter, (Uuid::nil(), i64::MAX), Cursor::default())
        .await
        .unwrap();
    assert_eq!(db.job(ids[1]).await.state(), JobState::Available);
    assert_eq!(db.job(ids[3]).await.state(), JobState::Discarded);
    let some = JobFilter { ids: Some(vec![ids[3], ids[0]]), ..JobFilter::default() };
    let step = bulk::step(&mut conn, BulkAction::Retry, &some, (Uuid::nil(), i64::MAX), Cursor::default())
        .await
        .unwrap();
    assert_eq!((step.touched, step.next), (1, None));
    assert_eq!(db.job(ids[3]).await.state(), JobState::Available);
}

#[tokio::test]
async fn attempts_are_counted_by_failure_and_hour() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    for label in ["a", "b"] {
        let job = db.enqueue(Uuid::nil(), &Step::new(label, Does::Discard)).await.id;
        db.until(job, JobState::Discarded).await;
    }
    worker.stop().await;
    let [failure] = list(&db).await.try_into().unwrap();
    assert_eq!((failure.seen, failure.discarded), (2, 2));
    db.travel(Duration::from_hours(3)).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let hours = failures::by_hour(&mut conn, &[failure.id, 1], 48).await.unwrap();
    assert_eq!((hours[0].len(), hours[0][44], hours[0].iter().sum::<i64>()), (48, 2, 2));
    assert_eq!(hours[1], vec![0; 48]);
}

#[tokio::test]
async fn lost_worker_is_a_failure() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    let job = NewJob::of(Uuid::nil(), &Step::new("a", Does::Succeed)).unwrap().max_attempts(1);
    db.enqueue_new(job).await;
    claim(&mut db.pool.acquire().await.unwrap(), worker, "default", 1).await.unwrap();
    db.travel(Duration::from_secs(61)).await;
    rescuer::run_once(&db.pool).await.unwrap();
    let [failure] = list(&db).await.try_into().unwrap();
    assert_eq!((failure.code.as_str(), failure.seen, failure.discarded), ("worker_lost", 1, 1));
    assert_eq!(failure.pattern, pattern(&failure.pattern), "as the finish of such a message would have it");
}

#[tokio::test]
async fn next_page_of_failures_begins_where_the_last_one_ended() {
    let db = TestDb::new().await;
    let words = ["one", "two", "three", "four", "five"];
    end(&db, words.map(discarded).into()).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (mut met, mut before) = (Vec::new(), None);
    loop {
        let part = failures::list(&mut conn, before, 2).await.unwrap();
        met.extend(part.rows.into_iter().map(|failure| failure.pattern));
        before = part.next;
        if before.is_none() {
            break;
        }
    }
    met.sort_unstable();
    assert_eq!(met, ["five", "four", "one", "three", "two"]);
}
