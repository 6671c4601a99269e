//! Workers that are killed and stopped while they run a job.
//!
//! The job is an ingest whose table the test keeps locked, so that it runs until the test lets it.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use sqlx::{Postgres, Transaction};
use tempfile::TempDir;
use uuid::Uuid;
use weirgate_msp::IngestTickets;
use weirgate_queue::lanes::traffic;
use weirgate_queue::worker::drain;
use weirgate_queue::{JobState, NewJob};
use weirgate_test_support::{TestDb, tenant};
use weirgate_web::tls::http_client;

use crate::support::{Process, database, weirgate};

const TICKET: &str = r#"{"cw_ticket_id":"T-1","status":"New","priority":"Low","created_at_remote":"2026-01-20T09:00:00Z","updated_at_remote":"2026-01-20T09:00:00Z"}"#;

struct Fixture {
    db: TestDb,
    folder: TempDir,
    job: Uuid,
    gate: Transaction<'static, Postgres>,
}

impl Fixture {
    async fn new() -> Self {
        let db = database().await;
        let tenant = tenant(&db.pool, "acme", "UTC").await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data/acme")).unwrap();
        std::fs::write(folder.path().join("data/acme/tickets.jsonl"), TICKET).unwrap();
        let job = NewJob::of(tenant.id, &IngestTickets { tenant: "acme".into() }).unwrap();
        let job = db.enqueue_new(job).await.id;
        let mut gate = db.pool.begin().await.unwrap();
        sqlx::query("lock table msp.raw_tickets in access exclusive mode").execute(&mut *gate).await.unwrap();
        Self { db, folder, job, gate }
    }

    /// The queues of the live worker, and the number of jobs at once of each.
    async fn queues(&self) -> Vec<(String, i64)> {
        for _ in 0..1200 {
            let workers = traffic::workers(&mut self.db.pool.acquire().await.unwrap()).await.unwrap();
            if !workers.is_empty() {
                let mut queues: Vec<_> =
                    workers.into_iter().map(|(queue, of)| (queue, of.capacity)).collect();
                queues.sort();
                return queues;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no worker registers");
    }

    fn worker(&self, grace_s: u32) -> Process {
        let mut command = weirgate(&["worker"], self.folder.path());
        command.env("DATABASE_URL", &self.db.url).env("MOCK_DATA_PATH", self.folder.path().join("data"));
        command.env("WEIRGATE_LEASE_S", "3").env("WEIRGATE_GRACE_S", grace_s.to_string());
        Process::start(&mut command)
    }

    /// Until some handler waits at the lock.
    async fn until_it_waits(&self) {
        self.db.until(self.job, JobState::Running).await;
        let waiting =
            "select count(*) from pg_locks where relation = 'msp.raw_tickets'::regclass and not granted";
        for _ in 0..400 {
            if sqlx::query_scalar::<_, i64>(waiting).fetch_one(&self.db.pool).await.unwrap() > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no handler waits");
    }
}

async fn tickets(db: &TestDb) -> i64 {
    sqlx::query_scalar("select count(*) from msp.raw_tickets").fetch_one(&db.pool).await.unwrap()
}

#[tokio::test]
async fn a_worker_killed_with_sigkill_loses_nothing() {
    let fixture = Fixture::new().await;
    let mut first = fixture.worker(25);
    fixture.until_it_waits().await;
    first.kill();
    let second = fixture.worker(25);
    // The second one rescues it when the first one's lease is over, and runs it.
    let running = loop {
        let job = fixture.db.until(fixture.job, JobState::Running).await;
        if job.run == 2 {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(running.errors[0]["code"], "worker_lost");
    fixture.gate.commit().await.unwrap();
    let done = fixture.db.until(fixture.job, JobState::Completed).await;
    assert_eq!((done.attempt, tickets(&fixture.db).await), (2, 1));
    drop(second);
}

#[tokio::test]
async fn sigterm_lets_a_running_job_end() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker(25);
    fixture.until_it_waits().await;
    worker.signal("TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    fixture.gate.commit().await.unwrap();
    assert!(worker.ended().await.success());
    let done = fixture.db.job(fixture.job).await;
    assert_eq!((done.state(), done.attempt, done.run), (JobState::Completed, 1, 1));
}

#[tokio::test]
async fn sigterm_hands_a_job_back_that_does_not_end_in_time() {
    let fixture = Fixture::new().await;
    let mut worker = fixture.worker(1);
    fixture.until_it_waits().await;
    let asked = Instant::now();
    worker.signal("TERM");
    assert!(worker.ended().await.success());
    assert!(asked.elapsed() < Duration::from_secs(20), "it does not wait for the stuck query");
    let job = fixture.db.job(fixture.job).await;
    assert_eq!((job.state(), job.attempt), (JobState::Available, 0), "{}", job.errors);
    let leases: i64 =
        sqlx::query_scalar("select count(*) from queue.workers").fetch_one(&fixture.db.pool).await.unwrap();
    assert_eq!(leases, 0);
}

#[tokio::test]
async fn a_worker_tells_its_metrics_on_a_listener_of_its_own() {
    let fixture = Fixture::new().await;
    let mut command = weirgate(&["worker"], fixture.folder.path());
    command.env("DATABASE_URL", &fixture.db.url).env("MOCK_DATA_PATH", fixture.folder.path().join("data"));
    command.env("WEIRGATE_METRICS_LISTEN", "127.0.0.1:0").env("WEIRGATE_LOG_FORMAT", "json");
    let mut worker = Process::start(&mut command);
    let (told, address) = tokio::sync::oneshot::channel();
    let log = worker.stderr();
    std::thread::spawn(move || {
        let mut told = Some(told);
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "metrics" {
                let address = line["address"].as_str().unwrap().to_owned();
                told.take().unwrap().send(address).unwrap();
            }
        }
    });
    let address = address.await.unwrap();
    fixture.until_it_waits().await;
    let get = async |path: &str| {
        let answer = http_client()
            .build()
            .unwrap()
            .get(format!("http://{address}{path}"))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        answer.text().await.unwrap()
    };
    let text = get("/metrics").await;
    for line in [
        r#"weirgate_jobs_started_total{queue="ingest",kind="ingest_tickets"} 1"#,
        r#"weirgate_worker_running_jobs{queue="ingest",kind="ingest_tickets"} 1.0"#,
        r#"weirgate_worker_slots{queue="kpi"} 8.0"#,
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    assert_eq!(get("/health").await, "ok\n");
    fixture.gate.commit().await.unwrap();
    fixture.db.until(fixture.job, JobState::Completed).await;
    worker.signal("TERM");
    assert!(worker.ended().await.success());
}

#[tokio::test]
async fn a_worker_of_named_queues_works_these_alone_each_with_its_number() {
    let fixture = Fixture::new().await;
    fixture.gate.commit().await.unwrap();
    let mut command = weirgate(&["worker", "--queues", "kpi,export"], fixture.folder.path());
    command.env("DATABASE_URL", &fixture.db.url).env("MOCK_DATA_PATH", fixture.folder.path().join("data"));
    command.env("WEIRGATE_CONCURRENCY", "8,kpi=16");
    let worker = Process::start(&mut command);
    let fixture = Fixture { gate: fixture.db.pool.begin().await.unwrap(), ..fixture };
    assert_eq!(fixture.queues().await, [("export".to_owned(), 8), ("kpi".to_owned(), 16)]);
    drop(worker);
    assert_eq!(fixture.db.job(fixture.job).await.state(), JobState::Available);
}

#[tokio::test]
async fn a_worker_without_domains_needs_no_sources_and_works_for_operators_alone() {
    let fixture = Fixture::new().await;
    let mut command = weirgate(&["worker"], fixture.folder.path());
    command.env("DATABASE_URL", &fixture.db.url).env("MOCK_DATA_PATH", "/no/such/folder");
    command.env("WEIRGATE_DOMAINS", "");
    let worker = Process::start(&mut command);
    assert_eq!(fixture.queues().await, [("system".to_owned(), 8)]);
    drop(worker);
}

#[tokio::test]
async fn a_worker_that_is_told_to_drain_lets_its_job_end_and_exits() {
    let fixture = Fixture::new().await;
    // Nobody may wait for so short a grace: it is for signals.
    let mut worker = fixture.worker(1);
    fixture.until_it_waits().await;
    let id: Uuid =
        sqlx::query_scalar("select id from queue.workers").fetch_one(&fixture.db.pool).await.unwrap();
    let mut conn = fixture.db.pool.acquire().await.unwrap();
    assert!(drain(&mut conn, id).await.unwrap());
    let tenant: Uuid =
        sqlx::query_scalar("select id from identity.tenants").fetch_one(&mut *conn).await.unwrap();
    let job = NewJob::of(tenant, &IngestTickets { tenant: "acme".into() }).unwrap().not_unique();
    let next = fixture.db.enqueue_new(job).await.id;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fixture.db.job(fixture.job).await.state(), JobState::Running, "it is not handed back");
    fixture.gate.commit().await.unwrap();
    assert!(worker.ended().await.success());
    let done = fixture.db.job(fixture.job).await;
    assert_eq!((done.state(), done.attempt, done.run), (JobState::Completed, 1, 1));
    assert_eq!(fixture.db.job(next).await.state(), JobState::Available, "it was given nothing more");
    assert!(!drain(&mut conn, id).await.unwrap(), "it is gone");
}
