//! Lanes: exact limits over all claimers, fair shares, and a log that matches the jobs.

mod limits;
mod log;
mod races;
mod shares;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::lanes::change::{QueueChange, change_lane, change_queue, pause_queue};
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{Blocked, LaneLimits, QueueLimits, QueueView, Rate, reconcile};
use weirgate_queue::worker::{self, Capacity, ClaimedJob, Claimer, Finish, Outcome, claim, finish};
use weirgate_queue::{JobState, NewJob, control, enqueue};
use weirgate_test_support::{Does, Step, TestDb, rows_read};

const QUEUE: &str = "default";

fn tenant(n: u128) -> Uuid {
    Uuid::from_u128(n + 1)
}

fn step(tenant: Uuid) -> NewJob {
    NewJob::of(tenant, &Step::new("job", Does::Succeed)).unwrap().not_unique()
}

async fn fill(db: &TestDb, tenant: Uuid, jobs: usize) -> Vec<Uuid> {
    let mut tx = db.pool.begin().await.unwrap();
    let enqueued = enqueue(&mut tx, (0..jobs).map(|_| step(tenant)).collect()).await.unwrap();
    tx.commit().await.unwrap();
    enqueued.into_iter().map(|job| job.id).collect()
}

async fn limit(db: &TestDb, tenant: Uuid, limits: LaneLimits) {
    let mut tx = db.pool.begin().await.unwrap();
    change_lane(&mut tx, QUEUE, tenant, LaneSettings { paused: false, limits: Some(limits) }.into())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn rate(rate: u32, burst: u32) -> LaneLimits {
    LaneLimits { rate: Some(Rate { rate, period_ms: 1000, burst }), ..LaneLimits::default() }
}

fn at_most(max_running: u32) -> LaneLimits {
    LaneLimits { max_running: Some(max_running), ..LaneLimits::default() }
}

async fn complete(conn: &mut PgConnection, jobs: &[ClaimedJob]) {
    let outcome = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
    let done = jobs.iter().map(|job| Finish::of(&job.run, outcome.clone()));
    assert_eq!(finish(conn, done.collect()).await.unwrap().len(), jobs.len());
}

fn by_tenant(jobs: &[ClaimedJob]) -> HashMap<Uuid, usize> {
    let mut counts = HashMap::new();
    for job in jobs {
        *counts.entry(job.run.tenant).or_default() += 1;
    }
    counts
}

async fn assert_no_discrepancy(db: &TestDb) {
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(reconcile::run_once(&mut conn, QUEUE).await.unwrap(), Vec::new());
}
