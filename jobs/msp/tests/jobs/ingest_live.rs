//! Ingests from systems that ask to wait, fail in the middle, or never end: nothing that was read
//! is lost, and nothing hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_msp::{App, IngestCsat, IngestSecurityAlerts, IngestTickets, IngestTimeEntries, registry};
use weirgate_queue::read::JobRow;
use weirgate_queue::{Job, JobState, NewJob, WorkerConfig};
use weirgate_test_support::{TestWorker, tenant};

use crate::support::{Reply, TestApp, Upstream, new_app};

/// A database, a tenant, and an upstream that the worker's ingests read.
struct Scene {
    app: TestApp,
    tenant: Tenant,
    upstream: Upstream,
    worker: TestWorker,
}

impl Scene {
    async fn new(upstream: Upstream, systems: &[&str]) -> Self {
        let app = new_app().await;
        let tenant = tenant(&app.db.pool, "acme", "UTC").await;
        let source = upstream.source(systems);
        let shared = Arc::new(App { pool: app.db.pool.clone(), source, exports: app.app.exports.clone() });
        // A handler that does not end when it is cancelled is given longer than a test waits.
        let patient = |config: &mut WorkerConfig| config.cancel_grace = Duration::from_mins(5);
        let worker = TestWorker::start_jobs(&app.db, Arc::new(registry(shared)), patient);
        Self { app, tenant, upstream, worker }
    }

    async fn enqueue(&self, job: &impl Job) -> Uuid {
        self.app.db.enqueue_new(NewJob::of(self.tenant.id, job).unwrap()).await.id
    }

    async fn tickets(&self) -> Uuid {
        self.enqueue(&IngestTickets { tenant: (&self.tenant).into() }).await
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(sql).fetch_one(&self.app.db.pool).await.unwrap()
    }

    /// Waits until the job is to run at a later time.
    async fn until_put_off(&self, id: Uuid) -> JobRow {
        for _ in 0..1200 {
            let job = self.app.db.job(id).await;
            if job.state() == JobState::Scheduled && job.scheduled_at > job.observed_at {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it is not put off: {:#?}", self.app.db.job(id).await);
    }

    /// Moves the clock on by a wait, with the worker alive.
    async fn sit_out(&self, wait: Duration) {
        self.app.db.travel(wait).await;
        self.app.db.keep_alive().await;
    }

    async fn errors(&self, job: Uuid) -> String {
        self.app.db.job(job).await.errors.to_string()
    }
}

/// Something that every dataset takes as a row.
fn object(id: u64) -> Value {
    let time = "2026-01-20T09:00:00Z";
    json!({
        "id": id, "status": {"name": "New"}, "priority": {"name": "Low"}, "dateEntered": time,
        "_info": {"lastUpdated": time}, "chargeToType": "ServiceTicket", "chargeToId": 1, "actualHours": 1, "billableOption": "Billable",
        "timeStart": time, "rating": 1, "rated_on": time, "ticket": {"id": 1},
        "threatInfo": {"confidenceLevel": "malicious", "threatName": "t", "incidentStatus": "unresolved", "identifiedAt": time},
    })
}

/// The same, in the form of Defender, whose status is a text.
fn alert(id: u64) -> Value {
    json!({"id": id.to_string(), "severity": "low", "title": "t", "status": "new", "createdDateTime": "2026-01-20T09:00:00Z"})
}

/// Five pages of two objects.
fn one_of_five(page: u64) -> Reply {
    Reply::Page(vec![object(2 * page), object(2 * page + 1)], page < 5)
}

fn all_ten() -> Value {
    json!({"read": 10, "accepted": 10, "rejected": 0})
}

#[tokio::test]
async fn three_requests_a_window_are_enough_for_five_pages() {
    let windows = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let upstream = Upstream::start(move |wanted, _| {
        // The window's number above, how often it was asked within it below.
        let window = began.elapsed().as_secs();
        let last = windows.load(Ordering::Relaxed);
        let asked = if last >> 32 == window { (last & 0xFFFF_FFFF) + 1 } else { 1 };
        windows.store(window << 32 | asked, Ordering::Relaxed);
        if asked > 3 { Reply::Status(429, Some(1)) } else { one_of_five(wanted.page) }
    })
    .await;
    let scene = Scene::new(upstream, &["connectwise"]).await;
    let job = scene.tickets().await;
    let job = scene.app.db.until(job, JobState::Completed).await;
    assert_eq!((job.attempt, job.output, job.errors), (1, Some(all_ten()), json!([])));
    assert_eq!(scene.count("msp.raw_tickets").await, 10);
    scene.worker.stop().await;
}

#[tokio::test]
async fn a_long_wait_uses_no_attempt_and_goes_on_where_it_was() {
    // Told to wait at the first page, and at the fourth.
    let upstream = Upstream::start(|wanted, before| match (wanted.page, before) {
        (1, 0) | (4, 4) => Reply::Status(if before == 0 { 429 } else { 503 }, Some(600)),
        (page, _) => one_of_five(page),
    })
    .await;
    let scene = Scene::new(upstream, &["connectwise"]).await;
    let id = scene.tickets().await;
    for stored in [0, 6] {
        let job = scene.until_put_off(id).await;
        assert_eq!((job.attempt, &job.errors), (0, &json!([])), "to wait is no attempt");
        let wait = job.scheduled_at - job.observed_at;
        assert!((300..=600).contains(&wait.num_seconds()), "{wait}");
        assert_eq!(scene.count("msp.raw_tickets").await, stored, "what was read is stored");
        assert_eq!(job.output.unwrap()["read"], stored);
        assert!(job.progress.unwrap()["message"].as_str().unwrap().contains("asks to wait 600 s"));
        scene.sit_out(Duration::from_secs(601)).await;
    }
    let job = scene.app.db.until(id, JobState::Completed).await;
    assert_eq!((job.attempt, job.output, job.errors), (1, Some(all_ten()), json!([])));
    assert_eq!(scene.upstream.pages(), [1, 1, 2, 3, 4, 4, 5], "no page is read twice");
    assert_eq!(scene.count("msp.raw_tickets").await, 10);
    scene.worker.stop().await;
}

#[tokio::test]
async fn another_ingest_of_the_dataset_stands_behind_a_read_that_waits() {
    let upstream = Upstream::start(|wanted, before| match (wanted.page, before) {
        (3, 2) => Reply::Status(429, Some(600)),
        (page, _) => one_of_five(page),
    })
    .await;
    let scene = Scene::new(upstream, &["connectwise"]).await;
    let first = scene.tickets().await;
    scene.until_put_off(first).await;
    let again = NewJob::of(scene.tenant.id, &IngestTickets { tenant: (&scene.tenant).into() }).unwrap();
    let second = scene.app.db.enqueue_new(again.not_unique()).await.id;
    scene.until_put_off(second).await;
    assert_eq!(scene.upstream.pages(), [1, 2, 3], "the source is left alone, and what was read stays known");
    scene.sit_out(Duration::from_secs(601)).await;
    for id in [first, second] {
        let mut job = scene.app.db.job(id).await;
        for _ in 0..40 {
            if job.state() == JobState::Completed {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            scene.sit_out(Duration::from_secs(5)).await;
            job = scene.app.db.job(id).await;
        }
        assert_eq!((job.state(), job.attempt, &job.errors), (JobState::Completed, 1, &json!([])), "{job:#?}");
    }
    assert_eq!(scene.upstream.pages(), [1, 2, 3, 3, 4, 5, 1, 2, 3, 4, 5], "one after the other");
    let gone = "select count(*) from msp.raw_tickets where deleted_at is not null";
    let gone: i64 = sqlx::query_scalar(gone).fetch_one(&scene.app.db.pool).await.unwrap();
    assert_eq!((scene.count("msp.raw_tickets").await, gone), (10, 0));
    scene.worker.stop().await;
}

#[tokio::test]
async fn rejects_of_before_a_wait_are_kept() {
    let upstream = Upstream::start(|wanted, before| match (wanted.page, before) {
        (2, 1) => Reply::Status(429, Some(600)),
        (1, _) => Reply::Page(vec![json!({"id": 1}), object(2)], true),
        _ => Reply::Page(vec![json!({"id": 3}), object(4)], false),
    })
    .await;
    let scene = Scene::new(upstream, &["connectwise"]).await;
    let id = scene.tickets().await;
    scene.until_put_off(id).await;
    scene.sit_out(Duration::from_secs(601)).await;
    let job = scene.app.db.until(id, JobState::Completed).await;
    assert_eq!(job.output, Some(json!({"read": 4, "accepted": 2, "rejected": 2})));
    let lines: Vec<i64> = sqlx::query_scalar("select line from msp.ingest_rejects order by line")
        .fetch_all(&scene.app.db.pool)
        .await
        .unwrap();
    assert_eq!(lines, [1, 3]);
    scene.worker.stop().await;
}

#[tokio::test]
async fn a_wait_without_end_ends_after_a_day_and_a_retry_begins_anew() {
    let open = Arc::new(AtomicU64::new(0));
    let is_open = open.clone();
    let upstream = Upstream::start(move |wanted, _| {
        let closed = wanted.page > 1 && is_open.load(Ordering::Relaxed) == 0;
        if closed { Reply::Status(429, Some(36_000)) } else { one_of_five(wanted.page) }
    })
    .await;
    let scene = Scene::new(upstream, &["connectwise"]).await;
    let id = scene.tickets().await;
    for _ in 0..3 {
        scene.until_put_off(id).await;
        scene.sit_out(Duration::from_secs(36_001)).await;
    }
    let job = scene.app.db.until(id, JobState::Discarded).await;
    assert_eq!((job.attempt, &job.errors[0]["code"]), (1, &json!("source_throttled")));
    assert!(job.errors.to_string().contains("after a day"), "{}", job.errors);
    assert_eq!(scene.upstream.pages(), [1, 2, 2, 2, 2]);
    assert_eq!(scene.count("msp.raw_tickets").await, 2, "what was read is stored");
    open.store(1, Ordering::Relaxed);
    let mut tx = scene.app.db.pool.begin().await.unwrap();
    weirgate_queue::control::retry(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let job = scene.app.db.until(id, JobState::Completed).await;
    assert_eq!(job.output, Some(all_ten()));
    assert_eq!(scene.upstream.pages()[5..], [1, 2, 3, 4, 5]);
    scene.worker.stop().await;
}

#[tokio::test]
async fn a_link_that_has_expired_is_read_again_from_the_first_page() {
    for status in [404, 410] {
        let upstream = Upstream::start(move |wanted, before| match (wanted.page, before) {
            (3, 2) => Reply::Status(status, None),
            (page, _) => one_of_five(page),
        })
        .await;
        let scene = Scene::new(upstream, &["connectwise"]).await;
        let job = scene.tickets().await;
        let job = scene.app.db.until(job, JobState::Completed).await;
        assert_eq!((job.attempt, job.output), (2, Some(all_ten())), "{status}");
        assert_eq!(scene.upstream.pages(), [1, 2, 3, 1, 2, 3, 4, 5], "{status}");
        scene.worker.stop().await;
    }
}

#[tokio::test]
async fn one_tool_that_refuses_leaves_the_others_alerts() {
    let upstream = Upstream::start(|wanted, _| {
        if wanted.path.starts_with("/web") {
            Reply::Status(401, None)
        } else {
            Reply::Page(vec![alert(1), alert(2), alert(3)], false)
        }
    })
    .await;
    let scene = Scene::new(upstream, &["sentinelone", "defender"]).await;
    let job = scene.enqueue(&IngestSecurityAlerts { tenant: (&scene.tenant).into() }).await;
    scene.app.db.until(job, JobState::Discarded).await;
    assert!(scene.errors(job).await.contains("check api_token"));
    assert_eq!(scene.count("msp.raw_security_alerts").await, 3);
    scene.worker.stop().await;
}

#[tokio::test]
async fn what_is_read_before_an_error_is_stored_in_all_four_ingests() {
    let upstream = Upstream::start(|wanted, _| match wanted.page {
        1 => Reply::Page((1..=1000).map(object).collect(), true),
        2 => Reply::Page((1001..=1500).map(object).collect(), true),
        _ => Reply::Status(403, None),
    })
    .await;
    let scene = Scene::new(upstream, &["connectwise", "smileback", "sentinelone"]).await;
    let tenant = || (&scene.tenant).into();
    let jobs = [
        (scene.enqueue(&IngestTickets { tenant: tenant() }).await, "msp.raw_tickets"),
        (scene.enqueue(&IngestTimeEntries { tenant: tenant() }).await, "msp.raw_time_entries"),
        (scene.enqueue(&IngestCsat { tenant: tenant() }).await, "msp.raw_csat_surveys"),
        (scene.enqueue(&IngestSecurityAlerts { tenant: tenant() }).await, "msp.raw_security_alerts"),
    ];
    for (job, table) in jobs {
        scene.app.db.until(job, JobState::Discarded).await;
        assert!(scene.errors(job).await.contains("access is denied"), "{table}");
        assert_eq!(scene.count(table).await, 1500, "{table}");
    }
    scene.worker.stop().await;
}

#[tokio::test]
async fn a_cancel_does_not_wait_for_the_source() {
    let upstream = Upstream::start(|_, _| Reply::Never).await;
    let scene = Scene::new(upstream, &["connectwise"]).await;
    let job = scene.tickets().await;
    for _ in 0..1200 {
        if !scene.upstream.pages().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    scene.app.db.until(job, JobState::Running).await;
    let mut tx = scene.app.db.pool.begin().await.unwrap();
    weirgate_queue::control::cancel(&mut tx, job).await.unwrap();
    tx.commit().await.unwrap();
    scene.app.db.until(job, JobState::Cancelled).await;
    scene.worker.stop().await;
}

#[tokio::test]
async fn a_source_whose_rows_are_all_bad_fails_with_reasons_also_beside_a_good_one() {
    let upstream = Upstream::start(|wanted, _| {
        if wanted.path.starts_with("/web") {
            Reply::Page(vec![json!({"id": "1"}), json!({"id": "2"})], false)
        } else {
            Reply::Page(vec![alert(1)], false)
        }
    })
    .await;
    let scene = Scene::new(upstream, &["sentinelone", "defender"]).await;
    let job = scene.enqueue(&IngestSecurityAlerts { tenant: (&scene.tenant).into() }).await;
    let job = scene.app.db.until(job, JobState::Discarded).await;
    assert_eq!(job.errors[0]["code"], "all_rows_rejected");
    let message = job.errors[0]["message"].as_str().unwrap();
    assert!(
        message.contains("threats: all 2 rows were rejected") && message.contains("is missing"),
        "{message}"
    );
    assert_eq!(
        (scene.count("msp.raw_security_alerts").await, scene.count("msp.ingest_rejects").await),
        (1, 2)
    );
    scene.worker.stop().await;
}
