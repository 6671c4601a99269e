//! Rollups: how the runs of all workers ended, in buckets of time.

use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::telemetry::rollup::{self, BucketSize, Tally};
use weirgate_queue::worker::{Retention, pruner};
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

async fn sum(db: &TestDb, queue: Option<&str>, every: BucketSize, count: u16) -> Tally {
    let buckets = rollup::buckets(&mut db.pool.acquire().await.unwrap(), queue, every, count).await.unwrap();
    assert_eq!(buckets.len(), usize::from(count));
    assert!(buckets.is_sorted_by(|a, b| a.at < b.at));
    buckets.iter().fold(Tally::default(), |mut all, bucket| {
        all.completed += bucket.tally.completed;
        all.retried += bucket.tally.retried;
        all.discarded += bucket.tally.discarded;
        all.snoozed += bucket.tally.snoozed;
        for (step, count) in all.waits.0.iter_mut().zip(bucket.tally.waits.0) {
            *step += count;
        }
        all
    })
}

#[tokio::test]
async fn rollup_sums_the_runs_of_two_workers() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    for round in 0..2 {
        let worker = TestWorker::start(&db, &probe);
        for (label, does, state) in [
            ("a", Does::Succeed, JobState::Completed),
            ("b", Does::Fail, JobState::Retryable),
            ("c", Does::Discard, JobState::Discarded),
            ("d", Does::Snooze { seconds: 3600 }, JobState::Scheduled),
        ] {
            let job = NewJob::of(Uuid::nil(), &Step::new(&format!("{label}{round}"), does)).unwrap();
            let id = db.enqueue_new(job).await.id;
            db.until(id, state).await;
        }
        // A worker that closes writes what it has not written yet.
        worker.stop().await;
    }
    for (every, count) in [(BucketSize::Minute, 60), (BucketSize::QuarterHour, 96), (BucketSize::Hour, 168)] {
        let all = sum(&db, None, every, count).await;
        assert_eq!((all.completed, all.retried, all.discarded, all.snoozed), (2, 2, 2, 2), "{every:?}");
        assert_eq!(all.waits.count(), 8);
        assert!(all.waits.quantile(1.0).unwrap() < 60.0);
    }
    assert_eq!(sum(&db, Some("default"), BucketSize::Hour, 2).await.completed, 2);
    assert_eq!(sum(&db, Some("another"), BucketSize::Hour, 2).await, Tally::default());
}

#[tokio::test]
async fn wait_begins_when_the_job_is_due() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    db.travel(Duration::from_mins(2)).await;
    let worker = TestWorker::start(&db, &probe);
    db.until(job, JobState::Completed).await;
    worker.stop().await;
    let waited = sum(&db, None, BucketSize::Hour, 2).await.waits.quantile(0.5).unwrap();
    assert!((60.0..=300.0).contains(&waited), "{waited}");
}

#[tokio::test]
async fn buckets_that_no_chart_shows_are_pruned() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Discard)).await.id;
    db.until(job, JobState::Discarded).await;
    worker.stop().await;
    let kept = async || -> Vec<i32> {
        pruner::run_once(&db.pool, Retention::default()).await.unwrap();
        sqlx::query_scalar("select bucket_s from queue.rollups order by 1").fetch_all(&db.pool).await.unwrap()
    };
    assert_eq!(kept().await, [60, 900, 3600]);
    db.travel(Duration::from_hours(25)).await;
    assert_eq!(kept().await, [900, 3600]);
    db.travel(Duration::from_hours(24 * 50)).await;
    assert_eq!(kept().await, [3600]);
    let failures = async || -> (i64, i64) {
        let sql = "select (select count(*) from queue.failures), (select count(*) from queue.failure_hours)";
        sqlx::query_as(sql).fetch_one(&db.pool).await.unwrap()
    };
    assert_eq!(failures().await, (1, 0), "a job stands in it");
    db.travel(Duration::from_hours(24 * 60)).await;
    assert_eq!(kept().await, Vec::<i32>::new());
    assert_eq!(failures().await, (0, 0), "the job is gone, too");
}
