//! Ingests of one dataset take turns, and each leaves what it found.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_msp::sources::{Dataset, RowStream, Source, SourceRow};
use weirgate_msp::{App, IngestTickets, registry};
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{TestWorker, tenant};

use crate::support::{TestApp, new_app};

/// Each reading, in the order in which they begin, has bad rows on lines of its own, and waits in
/// the middle for its gate.
struct Gated {
    /// The bad lines of each reading to come.
    readings: Mutex<Vec<Vec<u64>>>,
    gate: Arc<Semaphore>,
    /// How many read now, and how many did at most.
    reading: Arc<Mutex<(usize, usize)>>,
}

struct Counted(Arc<Mutex<(usize, usize)>>);

impl Counted {
    fn begin(counts: &Arc<Mutex<(usize, usize)>>) -> Self {
        let mut now = counts.lock();
        now.0 += 1;
        now.1 = now.1.max(now.0);
        Self(counts.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.lock().0 -= 1;
    }
}

impl Source for Gated {
    fn rows(&self, _: &str, _: Dataset) -> RowStream {
        let lines = self.readings.lock().remove(0);
        let counted = Counted::begin(&self.reading);
        let gate = self.gate.clone();
        let half = lines.len() / 2;
        let rows = stream::iter(lines).enumerate().then(move |(number, line)| {
            let gate = gate.clone();
            async move {
                if number == half {
                    gate.acquire().await.unwrap().forget();
                }
                Ok(SourceRow { origin: "file".into(), line, json: Err(format!("bad {line}")) })
            }
        });
        // A good one, or the reading would fail.
        let good = r#"{"cw_ticket_id": "T-1", "status": "New", "priority": "Low",
            "created_at_remote": "2026-01-20T09:00:00Z", "updated_at_remote": "2026-01-20T09:00:00Z"}"#;
        let good = SourceRow { origin: "file".into(), line: 1000, json: Ok(good.to_owned()) };
        rows.chain(stream::iter([Ok(good)]))
            .inspect(move |_| {
                // It reads as long as the stream is there.
                let _ = &counted;
            })
            .boxed()
    }

    fn describe(&self) -> String {
        "gated".to_owned()
    }
}

struct Scene {
    app: TestApp,
    tenant: Tenant,
    source: Arc<Gated>,
    shared: Arc<App>,
}

impl Scene {
    async fn new(readings: &[&[u64]]) -> Self {
        let app = new_app().await;
        let tenant = tenant(&app.db.pool, "acme", "UTC").await;
        let source = Arc::new(Gated {
            readings: Mutex::new(readings.iter().map(|lines| lines.to_vec()).collect()),
            gate: Arc::new(Semaphore::new(0)),
            reading: Arc::default(),
        });
        let shared = Arc::new(App {
            pool: app.db.pool.clone(),
            source: source.clone(),
            exports: app.app.exports.clone(),
        });
        Self { app, tenant, source, shared }
    }

    async fn enqueue(&self) -> Uuid {
        let job = NewJob::of(self.tenant.id, &IngestTickets { tenant: (&self.tenant).into() }).unwrap();
        self.app.db.enqueue_new(job.not_unique()).await.id
    }

    fn worker(&self) -> TestWorker {
        TestWorker::start_jobs(&self.app.db, Arc::new(registry(self.shared.clone())), |_| {})
    }

    /// Waits until so many have begun to read.
    async fn until_left(&self, left: usize) {
        for _ in 0..1200 {
            if self.source.readings.lock().len() == left {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nobody reads");
    }

    /// Waits until somebody stands as the next one.
    async fn until_next(&self, job: Uuid) {
        for _ in 0..1200 {
            let next: Option<Uuid> = sqlx::query_scalar("select next_job_id from msp.ingest_turns")
                .fetch_one(&self.app.db.pool)
                .await
                .unwrap();
            if next == Some(job) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{job} does not come to be the next one");
    }

    async fn lines(&self) -> Vec<(Uuid, i64)> {
        sqlx::query_as("select job_id, line from msp.ingest_rejects order by line")
            .fetch_all(&self.app.db.pool)
            .await
            .unwrap()
    }

    fn most_at_once(&self) -> usize {
        self.source.reading.lock().1
    }
}

fn of(job: Uuid, lines: &[i64]) -> Vec<(Uuid, i64)> {
    lines.iter().map(|line| (job, *line)).collect()
}

#[tokio::test]
async fn two_ingests_at_once_leave_the_rejects_of_the_later_one() {
    // Some lines are bad for both, some for one of them; whichever is the second counts.
    for (first, second, left) in [
        (vec![1, 2, 3, 4], vec![3, 4, 5, 6], vec![3, 4, 5, 6]),
        (vec![3, 4, 5, 6, 7, 8], vec![1, 8], vec![1, 8]),
        (vec![1, 2], vec![], vec![]),
    ] {
        let scene = Scene::new(&[&first, &second]).await;
        let worker = scene.worker();
        let one = scene.enqueue().await;
        scene.until_left(1).await;
        let two = scene.enqueue().await;
        scene.until_next(two).await;
        scene.source.gate.add_permits(2);
        for job in [one, two] {
            scene.app.db.until(job, JobState::Completed).await;
        }
        worker.stop().await;
        assert_eq!(scene.lines().await, of(two, &left));
        assert_eq!(scene.most_at_once(), 1, "they do not overlap");
    }
}

#[tokio::test]
async fn many_ingests_at_once_come_one_after_the_other() {
    const JOBS: usize = 6;
    let readings: Vec<Vec<u64>> = (0..JOBS as u64).map(|no| (no..no + 50).collect()).collect();
    let scene = Scene::new(&readings.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
    scene.source.gate.add_permits(JOBS);
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        jobs.push(scene.enqueue().await);
    }
    let workers = [scene.worker(), scene.worker()];
    for job in &jobs {
        // Those that wait longer than a moment come back a second later.
        scene.app.db.until(*job, JobState::Completed).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(scene.most_at_once(), 1);
    let lines = scene.lines().await;
    let last = i64::try_from(JOBS - 1).unwrap();
    assert_eq!(
        lines.iter().map(|(_, line)| *line).collect::<Vec<_>>(),
        (last..last + 50).collect::<Vec<_>>()
    );
    assert_eq!(lines.iter().map(|(job, _)| *job).collect::<BTreeSet<_>>().len(), 1, "50 rows of one run");
    let attempts: Vec<i16> =
        sqlx::query_scalar("select attempt from queue.jobs").fetch_all(&scene.app.db.pool).await.unwrap();
    assert!(attempts.iter().all(|attempt| *attempt == 1), "to wait is no attempt: {attempts:?}");
}

#[tokio::test]
async fn who_waits_longest_is_the_next() {
    let scene = Scene::new(&[&[1, 2], &[3], &[5]]).await;
    let worker = scene.worker();
    let one = scene.enqueue().await;
    scene.until_left(2).await;
    let two = scene.enqueue().await;
    scene.until_next(two).await;
    let three = scene.enqueue().await;
    scene.source.gate.add_permits(3);
    for job in [one, two, three] {
        scene.app.db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    assert_eq!(scene.lines().await, of(three, &[5]), "the last one came last");
}

#[tokio::test]
async fn who_gives_up_waiting_holds_nobody_up() {
    let scene = Scene::new(&[&[1, 2], &[5]]).await;
    let worker = scene.worker();
    let one = scene.enqueue().await;
    scene.until_left(1).await;
    let two = scene.enqueue().await;
    scene.until_next(two).await;
    let mut tx = scene.app.db.pool.begin().await.unwrap();
    weirgate_queue::control::cancel(&mut tx, two).await.unwrap();
    tx.commit().await.unwrap();
    scene.app.db.until(two, JobState::Cancelled).await;
    let kept = "update msp.ingest_turns set next_until = queue.now() + interval '1 hour' where next_job_id is not null";
    sqlx::query(kept).execute(&scene.app.db.pool).await.unwrap();
    let three = scene.enqueue().await;
    scene.source.gate.add_permits(2);
    for job in [one, three] {
        scene.app.db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    assert_eq!(scene.lines().await, of(three, &[5]));
}

#[tokio::test]
async fn a_cancelled_or_failed_run_leaves_its_turn() {
    let scene = Scene::new(&[&[1, 2], &[3]]).await;
    let worker = scene.worker();
    let one = scene.enqueue().await;
    scene.until_left(1).await;
    let two = scene.enqueue().await;
    scene.until_next(two).await;
    let mut tx = scene.app.db.pool.begin().await.unwrap();
    weirgate_queue::control::cancel(&mut tx, one).await.unwrap();
    tx.commit().await.unwrap();
    scene.app.db.until(one, JobState::Cancelled).await;
    scene.source.gate.add_permits(1);
    scene.app.db.until(two, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(scene.lines().await, of(two, &[3]));
}

#[tokio::test]
async fn a_turn_is_over_with_its_workers_lease_and_who_goes_on_regardless_writes_nothing() {
    let scene = Scene::new(&[&[1, 2, 3, 4], &[4, 5], &[9, 10]]).await;
    let lost = scene.worker();
    let one = scene.enqueue().await;
    scene.until_left(2).await;
    // A worker gives signs of life when it begins to listen, and then none for ten seconds.
    let heartbeat = "select max(heartbeat_at) from queue.workers where heartbeat_at > started_at";
    let mut before = None;
    loop {
        let now: Option<chrono::DateTime<chrono::Utc>> =
            sqlx::query_scalar(heartbeat).fetch_one(&scene.app.db.pool).await.unwrap();
        if now.is_some() && now == before {
            break;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // Nobody gives the first one back before the second one reads, neither the rescuer nor the
    // worker itself.
    let mut held = scene.app.db.pool.begin().await.unwrap();
    sqlx::query("select from queue.claims for update").execute(&mut *held).await.unwrap();
    // As after a time in which its process stood still.
    sqlx::query("update queue.workers set lease_until = queue.now()")
        .execute(&scene.app.db.pool)
        .await
        .unwrap();
    let worker = scene.worker();
    let two = scene.enqueue().await;
    scene.until_left(1).await;
    held.rollback().await.unwrap();
    assert_eq!(scene.lines().await, [], "both read");
    // The first one waited longer.
    scene.source.gate.add_permits(1);
    while scene.source.reading.lock().0 > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scene.source.gate.add_permits(1);
    scene.app.db.until(two, JobState::Completed).await;
    assert_eq!(scene.lines().await, of(two, &[4, 5]));
    // Given back, the first one reads anew, and is the newest then.
    scene.source.gate.add_permits(1);
    scene.app.db.until(one, JobState::Completed).await;
    assert_eq!(scene.lines().await, of(one, &[9, 10]));
    for worker in [lost, worker] {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_turn_of_a_worker_that_is_gone_holds_nobody_up() {
    let scene = Scene::new(&[&[1]]).await;
    let gone = NewJob::of(scene.tenant.id, &IngestTickets { tenant: (&scene.tenant).into() }).unwrap();
    let gone = scene.app.db.enqueue_new(gone.delay(Duration::from_hours(1))).await.id;
    // Killed in the middle; nobody has rescued its job yet.
    sqlx::query(
        "with dead as (
            insert into queue.workers (id, host, pid, version, queues, started_at, heartbeat_at, lease_until)
            values (gen_random_uuid(), 'test', 1, '0', '{ingest}', queue.now(), queue.now(), queue.now() - interval '1 s')
            returning id
         ), turn as (
            insert into msp.ingest_turns (tenant_id, dataset, generation, job_id, run, worker_id, began_at)
            select $2, 'tickets', 7, $1, 1, id, queue.now() from dead
         )
         update queue.jobs set state = 'running', run = 1, worker_id = (select id from dead) where id = $1",
    )
    .bind(gone)
    .bind(scene.tenant.id)
    .execute(&scene.app.db.pool)
    .await
    .unwrap();
    scene.source.gate.add_permits(1);
    let worker = scene.worker();
    let next = scene.enqueue().await;
    scene.app.db.until(next, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(scene.lines().await, of(next, &[1]));
}
