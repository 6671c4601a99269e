//! The counters of a worker process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::telemetry::enqueued;
use weirgate_queue::telemetry::meter::Meter;
use weirgate_queue::worker::claim;
use weirgate_queue::{JobState, NewJob, WorkerConfig, enqueue};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker, registry};

fn ended(meter: &Meter) -> BTreeMap<&'static str, u64> {
    let (_, _, step) = meter.kinds().find(|(kind, ..)| *kind == "step").unwrap();
    step.ended().filter(|(_, count)| *count > 0).collect()
}

fn enqueued(queue: &str) -> u64 {
    let all = enqueued::all();
    all.iter().filter(|((of, _), _)| of == queue).map(|(_, count)| count).sum()
}

#[tokio::test]
async fn runs_are_counted_by_how_they_end() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let jobs = registry(probe.clone());
    let meter = jobs.meter().clone();
    let worker = TestWorker::start_jobs(&db, Arc::clone(&jobs), |_| {});
    for (label, does, state) in [
        ("good", Does::Succeed, JobState::Completed),
        ("later", Does::Snooze { seconds: 3600 }, JobState::Scheduled),
        ("again", Does::RetryAfter { seconds: 3600 }, JobState::Retryable),
        ("bad", Does::Discard, JobState::Discarded),
        ("panics", Does::Panic, JobState::Retryable),
    ] {
        let job = db.enqueue(Uuid::nil(), &Step::new(label, does)).await.id;
        db.until(job, state).await;
    }
    probe.open("own");
    let own = db.enqueue(Uuid::nil(), &Step::new("own", Does::GateAndWrite)).await.id;
    db.until(own, JobState::Completed).await;
    worker.stop().await;
    let expected = [("completed", 2), ("discarded", 1), ("retried", 2), ("snoozed", 1)];
    assert_eq!(ended(&meter), BTreeMap::from(expected));
    let (_, queue, step) = meter.kinds().next().unwrap();
    assert_eq!((queue, step.started()), ("default", 6));
    assert_eq!((step.start_latency.read().count, step.run_time.read().count), (6, 6));
    assert_eq!((meter.rescued(), meter.stale_finishes(), meter.leases_lost()), (0, 0, 0));
}

#[tokio::test]
async fn start_latency_begins_when_a_job_is_due() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let jobs = registry(probe.clone());
    let waited = NewJob::of(Uuid::nil(), &Step::new("waited", Does::Succeed)).unwrap();
    let waited = db.enqueue_new(waited.delay(Duration::from_mins(10))).await.id;
    db.travel(Duration::from_secs(640)).await;
    let worker = TestWorker::start_jobs(&db, Arc::clone(&jobs), |_| {});
    db.until(waited, JobState::Completed).await;
    worker.stop().await;
    let (.., step) = jobs.meter().kinds().next().unwrap();
    let latency = step.start_latency.read();
    // The ten minutes before the job was due do not count. The bound leaves room for a busy
    // machine.
    assert!(latency.count == 1 && (40.0..400.0).contains(&latency.sum), "{latency:?}");
}

#[tokio::test]
async fn enqueued_job_is_counted_and_a_duplicate_is_not() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    // A queue that no other test of this process uses.
    let job = |label: &str| NewJob::of(Uuid::nil(), &OnlyHere(label.to_owned())).unwrap();
    enqueue(&mut conn, vec![job("a"), job("b")]).await.unwrap();
    assert_eq!(enqueued("only_here"), 2);
    enqueue(&mut conn, vec![job("b"), job("c")]).await.unwrap();
    assert_eq!(enqueued("only_here"), 3, "b was there");
}

#[derive(serde::Serialize, serde::Deserialize)]
struct OnlyHere(String);

impl weirgate_queue::Job for OnlyHere {
    const KIND: &'static str = "only_here";
    const QUEUE: &'static str = "only_here";
    type App = ();
    type Output = ();

    async fn run(&self, _: &weirgate_queue::JobContext<()>) -> Result<(), weirgate_queue::JobError> {
        Ok(())
    }
}

#[tokio::test]
async fn leader_counts_the_jobs_it_rescues() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let dead = db.register_worker().await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    claim(&mut db.pool.acquire().await.unwrap(), dead, "default", 1).await.unwrap();
    sqlx::query("delete from queue.workers").execute(&db.pool).await.unwrap();
    let jobs = registry(probe.clone());
    let worker = TestWorker::start_jobs(&db, Arc::clone(&jobs), |_| {});
    db.until(job, JobState::Completed).await;
    worker.stop().await;
    assert_eq!((jobs.meter().rescued(), jobs.meter().leases_lost()), (1, 0));
}

#[tokio::test]
async fn outcome_of_a_lost_run_is_counted_as_stale() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let jobs = registry(probe.clone());
    let worker = TestWorker::start_jobs(&db, Arc::clone(&jobs), |_| {});
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Gate)).await.id;
    db.until(job, JobState::Running).await;
    sqlx::query("update queue.jobs set run = run + 1").execute(&db.pool).await.unwrap();
    probe.open("a");
    while jobs.meter().stale_finishes() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.stop().await;
    assert_eq!(jobs.meter().stale_finishes(), 1);
}

#[tokio::test]
async fn lost_lease_is_counted() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let jobs = registry(probe.clone());
    let short = |config: &mut WorkerConfig| config.lease = Duration::from_secs(3);
    let worker = TestWorker::start_jobs(&db, Arc::clone(&jobs), short);
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    db.until(job, JobState::Completed).await;
    db.travel(Duration::from_hours(1)).await;
    while jobs.meter().leases_lost() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.stop().await;
    assert_eq!(jobs.meter().leases_lost(), 1);
}
