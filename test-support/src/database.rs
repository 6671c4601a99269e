//! A database a test, with a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;
use weirgate_queue::read::{self, JobRow};
use weirgate_queue::{Enqueued, Job, JobContext, JobError, JobState, NewJob, connect_options, enqueue};

use crate::{ENGINE, Template, cluster};

/// An empty, migrated database, with a clock that the test moves.
#[derive(Debug)]
pub struct TestDb {
    pub pool: PgPool,
    pub url: String,
}

impl TestDb {
    /// With the engine's own tables alone.
    pub async fn new() -> Self {
        Self::of(&ENGINE).await
    }

    /// With the tables of this template.
    pub async fn of(template: &Template) -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        template.copy(&name).await;
        let options = connect_options(cluster::options(&name));
        let pool = PgPoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
        Self { pool, url: cluster::url(&name) }
    }

    /// Number of rows in a table.
    pub async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }

    /// Runs a job's handler, without the queue.
    pub async fn run<J: Job>(&self, app: &Arc<J::App>, job: &J) -> Result<J::Output, JobError> {
        job.run(&JobContext::detached(app.clone(), self.pool.clone())).await
    }

    /// Moves the engine's clock forward, for every connection at once.
    pub async fn travel(&self, by: Duration) {
        sqlx::query("update test_clock set shift = shift + make_interval(secs => $1)")
            .bind(by.as_secs_f64())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Sets the engine's clock to this time; it goes on from there.
    pub async fn travel_to(&self, at: &str) {
        sqlx::query("update test_clock set shift = $1::timestamptz - now()")
            .bind(at.parse::<DateTime<Utc>>().unwrap())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Renews every lease, as heartbeats would, after a journey that was longer than one.
    pub async fn keep_alive(&self) {
        sqlx::query("update queue.workers set lease_until = queue.now() + interval '1 minute'")
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// A worker that only claims, with a lease of a minute.
    pub async fn register_worker(&self) -> Uuid {
        sqlx::query_scalar(
            "insert into queue.workers (id, host, pid, version, queues, started_at, heartbeat_at, lease_until)
             values (gen_random_uuid(), 'test', 1, '0', '{default}', queue.now(), queue.now(),
                 queue.now() + interval '1 minute')
             returning id",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    pub async fn enqueue<J: Job>(&self, tenant: Uuid, job: &J) -> Enqueued {
        self.enqueue_new(NewJob::of(tenant, job).unwrap()).await
    }

    pub async fn enqueue_new(&self, job: NewJob) -> Enqueued {
        let mut tx = self.pool.begin().await.unwrap();
        let enqueued = enqueue(&mut tx, vec![job]).await.unwrap()[0];
        tx.commit().await.unwrap();
        enqueued
    }

    pub async fn job(&self, id: Uuid) -> JobRow {
        read::get(&mut self.pool.acquire().await.unwrap(), id).await.unwrap().expect("the job is there")
    }

    /// Returns once a connection to this database waits for a lock.
    pub async fn until_blocked(&self) {
        self.until_so_many_are_blocked(1).await;
    }

    pub async fn until_so_many_are_blocked(&self, count: i64) {
        for _ in 0..1000 {
            let blocked: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&self.pool)
            .await
            .unwrap();
            if blocked >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody waits");
    }

    /// Returns once every transaction that is open now has ended, those of other tests' databases
    /// included: a view of a queue is sure only of what was written before the oldest open one.
    pub async fn until_the_past_is_over(&self) {
        let now: i64 = sqlx::query_scalar("select pg_current_xact_id()::text::bigint")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        for _ in 0..3000 {
            let oldest: i64 =
                sqlx::query_scalar("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
                    .fetch_one(&self.pool)
                    .await
                    .unwrap();
            if oldest > now {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a transaction of before stays open");
    }

    /// Waits until the job is in `state`; fails with the job as it is when that takes too long.
    pub async fn until(&self, id: Uuid, state: JobState) -> JobRow {
        for _ in 0..600 {
            let job = self.job(id).await;
            if job.state() == state {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the job is not {state}: {:#?}", self.job(id).await);
    }
}
