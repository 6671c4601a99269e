//! A database a test, copied from one that was migrated once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;
use uuid::Uuid;
use weirgate::{domains, schema};
use weirgate_queue::database::PLANNER;
use weirgate_queue::read::{self, JobRow};
use weirgate_queue::{Enqueued, Job, JobState, NewJob, enqueue};

use super::cluster;

const TEMPLATE: &str = "template_migrated";

/// An empty, migrated database, with a clock that the test moves.
pub(crate) struct TestDb {
    pub(crate) pool: PgPool,
    pub(crate) url: String,
}

impl TestDb {
    pub(crate) async fn new() -> Self {
        template().await;
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect_with(&cluster::options("postgres")).await.unwrap();
        let sql = format!("create database {name} template {TEMPLATE}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        let options = cluster::options(&name).options(PLANNER);
        let pool = PgPoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
        Self { pool, url: cluster::url(&name) }
    }

    /// Moves the engine's clock forward, for every connection at once.
    pub(crate) async fn travel(&self, by: Duration) {
        sqlx::query("update test_clock set shift = shift + make_interval(secs => $1)")
            .bind(by.as_secs_f64())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Sets the engine's clock to this time; it goes on from there.
    pub(crate) async fn travel_to(&self, at: &str) {
        sqlx::query("update test_clock set shift = $1::timestamptz - now()")
            .bind(at.parse::<DateTime<Utc>>().unwrap())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Renews every lease, as heartbeats would, after a journey that was longer than one.
    pub(crate) async fn keep_alive(&self) {
        sqlx::query("update queue.workers set lease_until = queue.now() + interval '1 minute'")
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// A worker that only claims, with a lease of a minute.
    pub(crate) async fn register_worker(&self) -> Uuid {
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

    pub(crate) async fn enqueue<J: Job>(&self, tenant: Uuid, job: &J) -> Enqueued {
        self.enqueue_new(NewJob::of(tenant, job).unwrap()).await
    }

    pub(crate) async fn enqueue_new(&self, job: NewJob) -> Enqueued {
        let mut tx = self.pool.begin().await.unwrap();
        let enqueued = enqueue(&mut tx, vec![job]).await.unwrap()[0];
        tx.commit().await.unwrap();
        enqueued
    }

    pub(crate) async fn job(&self, id: Uuid) -> JobRow {
        read::get(&mut self.pool.acquire().await.unwrap(), id).await.unwrap().expect("the job is there")
    }

    /// Returns once a connection to this database waits for a lock.
    pub(crate) async fn until_blocked(&self) {
        self.until_so_many_are_blocked(1).await;
    }

    pub(crate) async fn until_so_many_are_blocked(&self, count: i64) {
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

    /// Returns once no transaction of before is open, in other tests' databases neither: a book
    /// holds what came before all that are.
    pub(crate) async fn until_the_past_is_over(&self) {
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
    pub(crate) async fn until(&self, id: Uuid, state: JobState) -> JobRow {
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

async fn template() {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        let mut admin = PgConnection::connect_with(&cluster::options("postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("create database {TEMPLATE}")))
            .execute(&mut admin)
            .await
            .unwrap();
        let mut conn = PgConnection::connect_with(&cluster::options(TEMPLATE)).await.unwrap();
        schema::apply(&mut conn, &domains::histories()).await.unwrap();
        sqlx::raw_sql(
            "create table test_clock (shift interval not null);
             insert into test_clock values ('0');
             grant select on test_clock to public;
             create or replace function queue.now() returns timestamptz language sql stable
             as $$ select now() + (select shift from public.test_clock) $$",
        )
        .execute(&mut conn)
        .await
        .unwrap();
        conn.close().await.unwrap();
    })
    .await;
}

/// Rows of a table of the engine's that this connection has read, as far as Postgres has not passed
/// that on to its statistics.
pub(crate) async fn rows_read(conn: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(
        "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables
         where schemaname = 'queue' and relname = $1",
    )
    .bind(table)
    .fetch_one(conn)
    .await
    .unwrap()
}
