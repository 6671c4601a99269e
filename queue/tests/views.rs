//! The queue views of readers: as new as the request, however many ask at once.

use sqlx::Connection;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::QueueViews;
use weirgate_queue::lanes::traffic::{WINDOW_S, known_queues, traffic};
use weirgate_queue::worker::{Capacity, Claimer, claim};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker, rows_read};

const QUEUE: &str = "default";

async fn fill(db: &TestDb, tenant: Uuid, jobs: usize) {
    for _ in 0..jobs {
        db.enqueue(tenant, &Step::new(&Uuid::now_v7().to_string(), Does::Succeed)).await;
    }
}

#[tokio::test]
async fn reader_sees_all_that_was_committed_when_it_asked() {
    let db = TestDb::new().await;
    let views = QueueViews::new(db.pool.clone());
    let readers = (0..6).map(|n| {
        let (views, db) = (views.clone(), TestDb { pool: db.pool.clone(), url: db.url.clone() });
        tokio::spawn(async move {
            let tenant = Uuid::from_u128(n + 1);
            for jobs in 1..=25 {
                fill(&db, tenant, 1).await;
                let facts = views.read(QUEUE, |view| view.lane_activity(tenant)).await.unwrap();
                assert_eq!(facts.counts[&JobState::Available], jobs, "of reader {n}");
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    let facts = views.read(QUEUE, weirgate_queue::lanes::QueueView::activity).await.unwrap();
    assert_eq!((facts.counts[&JobState::Available], facts.lanes_with_backlog), (150, 6));
}

#[tokio::test]
async fn reader_that_gives_up_leaves_the_view_intact() {
    let db = TestDb::new().await;
    let views = QueueViews::new(db.pool.clone());
    let tenant = Uuid::from_u128(1);
    fill(&db, tenant, 1).await;
    let mut locked = db.pool.begin().await.unwrap();
    sqlx::query("lock table queue.lane_log in access exclusive mode").execute(&mut *locked).await.unwrap();
    let given_up =
        tokio::time::timeout(std::time::Duration::from_millis(50), views.read(QUEUE, |_| ())).await;
    assert!(given_up.is_err(), "the log was locked");
    locked.rollback().await.unwrap();
    let facts = views.read(QUEUE, |view| view.lane_activity(tenant)).await.unwrap();
    assert_eq!(facts.counts[&JobState::Available], 1);
}

#[tokio::test]
async fn oldest_is_the_longest_waiting_of_the_jobs_that_are_next() {
    let db = TestDb::new().await;
    let views = QueueViews::new(db.pool.clone());
    assert_eq!(views.oldest(QUEUE).await.unwrap(), None);
    for tenant in [1, 2, 3] {
        fill(&db, Uuid::from_u128(tenant), 2).await;
    }
    let due: Vec<chrono::DateTime<chrono::Utc>> =
        sqlx::query_scalar("select scheduled_at from queue.jobs order by seq")
            .fetch_all(&db.pool)
            .await
            .unwrap();
    assert_eq!(views.oldest(QUEUE).await.unwrap(), Some(due[0]));
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    // This claims one job of each lane.
    let first = claim(&mut conn, worker, QUEUE, 3).await.unwrap();
    assert_eq!(views.oldest(QUEUE).await.unwrap(), Some(due[1]));
    // A requeued job is the first of its lane again.
    sqlx::query("update queue.jobs set state = 'available' where id = $1")
        .bind(first[0].run.job)
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(views.oldest(QUEUE).await.unwrap(), Some(due[0]));
    claim(&mut conn, worker, QUEUE, 10).await.unwrap();
    assert_eq!(views.oldest(QUEUE).await.unwrap(), None);
}

#[tokio::test]
async fn traffic_counts_the_last_minute() {
    let db = TestDb::new().await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    for does in [Does::Succeed, Does::Discard, Does::RetryAfter { seconds: 3600 }] {
        let ends = match does {
            Does::Succeed => JobState::Completed,
            Does::Discard => JobState::Discarded,
            _ => JobState::Retryable,
        };
        let id = db.enqueue(Uuid::from_u128(1), &Step::new(&Uuid::now_v7().to_string(), does)).await.id;
        db.until(id, ends).await;
    }
    worker.stop().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let now = traffic(&mut conn, QUEUE).await.unwrap();
    let window = f64::from(WINDOW_S);
    assert!(
        (now.started * window - 3.0).abs() < 1e-9 && (now.finished * window - 2.0).abs() < 1e-9,
        "{now:?}"
    );
    // The deletion of finished jobs is no traffic.
    sqlx::query("delete from queue.jobs where state = 'completed'").execute(&db.pool).await.unwrap();
    assert_eq!(traffic(&mut conn, QUEUE).await.unwrap(), now);
    db.travel(std::time::Duration::from_secs(WINDOW_S.into())).await;
    assert_eq!(traffic(&mut conn, QUEUE).await.unwrap(), weirgate_queue::lanes::traffic::Traffic::default());
    assert!(known_queues(&mut conn, None).await.unwrap().is_empty(), "nobody works on it any more");
}

#[tokio::test]
async fn refresh_reads_only_new_rows_of_the_log() {
    let db = TestDb::new().await;
    let worker = db.register_worker().await;
    fill(&db, Uuid::from_u128(1), 120).await;
    // This transaction stays among those in progress, and its id is that of the very beginning of
    // the log.
    let mut pin = db.pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *pin).await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    for _ in 0..100 {
        assert_eq!(claimer.claim(&mut conn, worker, Capacity::of(1)).await.unwrap().jobs.len(), 1);
    }
    let mut tx = conn.begin().await.unwrap();
    let before = rows_read(&mut tx, "lane_log").await;
    assert_eq!(claimer.claim(&mut tx, worker, Capacity::of(1)).await.unwrap().jobs.len(), 1);
    let read = rows_read(&mut tx, "lane_log").await - before;
    assert!(read < 10, "{read} rows of a log of over 200");
    tx.rollback().await.unwrap();
    pin.rollback().await.unwrap();
}
