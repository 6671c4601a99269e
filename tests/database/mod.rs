//! The program and its database: what its connections do by themselves, what all its tables have in
//! common, the tenants that it is given.

mod pooler;
mod schemas;
mod seed;

use std::time::Duration;

use futures_util::FutureExt;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;
use weirgate::config::Config;
use weirgate::database::Database;
use weirgate_queue::worker::{Capacity, Claimer, Finish, Outcome, claim, finish, rescuer};
use weirgate_queue::{JobState, NewJob, PLANNER, enqueue};
use weirgate_test_support::{Does, Step, TestDb, rows_read};

use crate::support::database;

/// The program's own connections to a test's database.
async fn open(db: &TestDb) -> Database {
    open_url(&db.url).await
}

async fn open_url(url: &str) -> Database {
    let get = |name: &str| match name {
        "DATABASE_URL" => Some(url.to_owned()),
        "WEIRGATE_LEASE_S" => Some("1".to_owned()),
        _ => None,
    };
    Database::open(&Config::read(&get).unwrap(), "test").await.unwrap()
}

#[tokio::test]
async fn a_begin_that_is_dropped_leaves_no_transaction_to_others() {
    let db = database().await;
    let database = open(&db).await;
    sqlx::raw_sql("create table noted (round integer)").execute(&db.pool).await.unwrap();
    let (mut dropped, mut round) = (0, 0);
    while dropped < 5 {
        round += 1;
        assert!(round < 1000, "Postgres answered at once each time");
        let mut conn = database.pool.acquire().await.unwrap();
        // Polled once: the statement is sent, and its answer is rarely there already.
        dropped += usize::from(conn.begin().now_or_never().is_none());
        drop(conn);
        while database.pool.num_idle() < database.pool.size() as usize {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sqlx::query("insert into noted values ($1)").bind(round).execute(&database.pool).await.unwrap();
        let noted: i64 = sqlx::query_scalar("select count(*) from noted").fetch_one(&db.pool).await.unwrap();
        assert_eq!(noted, round, "what was written is not committed");
    }
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_process_that_stands_still_in_a_transaction_does_not_keep_its_jobs() {
    let db = database().await;
    let database = open(&db).await;
    let job = db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id;
    let worker = db.register_worker().await;
    claim(&mut db.pool.acquire().await.unwrap(), worker, "default", 1).await.unwrap();
    let mut frozen = database.pool.begin().await.unwrap();
    sqlx::query("select id from queue.jobs where id = $1 for update")
        .bind(job)
        .execute(&mut *frozen)
        .await
        .unwrap();
    db.travel(Duration::from_mins(2)).await;
    assert_eq!(rescuer::run_once(&db.pool).await.unwrap(), 0, "the row is locked");
    let rescued = async {
        while rescuer::run_once(&db.pool).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(20), rescued).await.expect("Postgres ends the transaction after a lease");
    assert_eq!(db.job(job).await.state(), JobState::Available);
    assert!(frozen.commit().await.is_err());
}

#[tokio::test]
async fn a_limit_for_idle_transactions_in_the_url_is_kept() {
    let db = database().await;
    for (parameters, expected) in [("", "1s"), ("?options[idle_in_transaction_session_timeout]=7s", "7s")] {
        let database = open_url(&format!("{}{parameters}", db.url)).await;
        for (name, value) in [("idle_in_transaction_session_timeout", expected)].into_iter().chain(PLANNER) {
            let set: String = sqlx::query_scalar("select current_setting($1)")
                .bind(name)
                .fetch_one(&database.pool)
                .await
                .unwrap();
            assert_eq!(set, value, "{name}");
        }
        database.close().await.unwrap();
    }
}

#[tokio::test]
async fn plans_made_while_there_was_little_stay_good_when_there_is_much() {
    let db = database().await;
    let database = open(&db).await;
    let worker = db.register_worker().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let mut claimer = Claimer::open(&mut conn, "default").await.unwrap();
    let mut work = async |conn: &mut PgConnection| {
        let job = NewJob::of(Uuid::nil(), &Step::new("a", Does::Succeed)).unwrap().not_unique();
        enqueue(conn, vec![job]).await.unwrap();
        let jobs = claimer.claim(conn, worker, Capacity::of(10)).await.unwrap().jobs;
        let done = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
        let finishes: Vec<_> = jobs.iter().map(|job| Finish::of(&job.run, done.clone())).collect();
        assert_eq!(finish(conn, finishes).await.unwrap().len(), 1);
    };
    // Enough for Postgres to settle for a plan of each statement, with statistics of one page.
    for _ in 0..8 {
        work(&mut conn).await;
        sqlx::raw_sql("analyze queue.jobs").execute(&db.pool).await.unwrap();
    }
    sqlx::raw_sql(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
         select gen_random_uuid(), gen_random_uuid(), 'other', 'k', 'completed', 3, '{}', now(), now()
         from generate_series(1, 20000)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let mut tx = conn.begin().await.unwrap();
    let before = rows_read(&mut tx, "jobs").await;
    work(&mut tx).await;
    let read = rows_read(&mut tx, "jobs").await - before;
    assert!(read < 100, "{read} rows of jobs for one of them");
    tx.commit().await.unwrap();
    drop(conn);
    database.close().await.unwrap();
}
