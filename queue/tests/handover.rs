//! The hand-over of outcomes from many runs to the completer.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::worker::context::WorkerContext;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, service_fn};
use uuid::Uuid;
use weirgate_queue::worker::Outcome;
use weirgate_queue::{JobState, NewJob, Worker, WorkerConfig, enqueue};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker, registry};

async fn steps(db: &TestDb, count: usize) -> Vec<Uuid> {
    let step = |n: usize| NewJob::of(Uuid::nil(), &Step::new(&n.to_string(), Does::Succeed)).unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let enqueued = enqueue(&mut conn, (0..count).map(step).collect()).await.unwrap();
    enqueued.into_iter().map(|job| job.id).collect()
}

/// apalis polls all runs of a queue in one task. If tokio's budget of a task applied to them, each
/// would be polled about thirty times.
#[tokio::test]
async fn runs_that_end_together_are_polled_fewer_than_three_times() {
    const RUNS: usize = 4000;
    let db = TestDb::new().await;
    steps(&db, RUNS).await;
    let probe = Probe::new(db.pool.clone());
    let config = WorkerConfig { concurrency: RUNS.into(), ..WorkerConfig::new("test", "0", 1) };
    let never = CancellationToken::new();
    let worker = Worker::start(db.pool.clone(), registry(probe), config, &never).await.unwrap();
    let mut backend = worker.backend("default");
    let mut context = WorkerContext::new("default");
    let end = CancellationToken::new();
    let until_the_end = service_fn(|_| {
        let end = end.clone();
        async move {
            tokio::spawn(async move { end.cancelled().await }).await.unwrap();
            Ok::<_, apalis_core::error::BoxDynError>(Outcome::HandedBack)
        }
    });
    let mut service = backend.middleware(&mut context).layer(until_the_end);
    let polls = Arc::new(AtomicUsize::new(0));
    let runs = FuturesUnordered::new();
    while runs.len() < RUNS {
        let task = poll_fn(|cx| backend.poll_next(cx, &context)).await.unwrap().unwrap();
        let (mut run, polls) = (service.call(task), polls.clone());
        runs.push(poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            run.as_mut().poll(cx)
        }));
    }
    let all = tokio::spawn(runs.for_each(|ended| async { ended.unwrap() }));
    while polls.load(Ordering::Relaxed) < RUNS {
        tokio::task::yield_now().await;
    }
    worker.drain();
    end.cancel();
    all.await.unwrap();
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls < 3 * RUNS, "{polls} polls of {RUNS} runs");
    poll_fn(|cx| backend.poll_close(cx, &context)).await.unwrap();
    worker.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_stops_claiming_while_its_outcomes_cannot_be_written() {
    const CONCURRENCY: usize = 50;
    // Outcomes that are handed over, gathered, and being written in two groups, of which the first
    // may be a small one.
    const WAITING: usize = 10_000 + 1_000 + 2 * 1_000;
    const LEAST: usize = WAITING - 1_000;
    let db = TestDb::new().await;
    let jobs = steps(&db, WAITING + 3_000).await;
    let mut nothing_is_written = db.pool.begin().await.unwrap();
    sqlx::query("lock table queue.jobs in share mode").execute(&mut *nothing_is_written).await.unwrap();
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start_with(&db, &probe, |config| config.concurrency = CONCURRENCY.into());
    let (mut before, mut started) = (0, 0);
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (before, started) = (started, probe.started().len());
        if started >= LEAST && started == before {
            break;
        }
    }
    assert_eq!(started, before, "the worker goes on starting jobs");
    assert!((LEAST..=WAITING + CONCURRENCY).contains(&started), "{started} jobs were started");
    nothing_is_written.rollback().await.unwrap();
    db.until(*jobs.last().unwrap(), JobState::Completed).await;
    worker.stop().await;
}
