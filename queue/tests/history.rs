//! A database that lives on with another history: as its rows look after a restore or a promotion.
//! `tests/chaos` has the real ones, on servers of their own.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::control::history::{self, Rebased};
use weirgate_queue::lanes::change::change_lane;
use weirgate_queue::lanes::reconcile::{self, Discrepancy};
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{LaneLimits, QueueView, Rate};
use weirgate_queue::worker::{Capacity, Claimer, Finish, Outcome, claim, finish};
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker};

const QUEUE: &str = "default";

fn tenant(n: u128) -> Uuid {
    Uuid::from_u128(n + 1)
}

async fn fill(db: &TestDb, tenant: Uuid, jobs: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..jobs {
        ids.push(db.enqueue(tenant, &Step::new(&Uuid::now_v7().to_string(), Does::Succeed)).await.id);
    }
    ids
}

async fn limit(db: &TestDb, tenant: Uuid, limits: LaneLimits) {
    let mut tx = db.pool.begin().await.unwrap();
    change_lane(&mut tx, QUEUE, tenant, LaneSettings { paused: false, limits: Some(limits) }.into())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn run(db: &TestDb, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&db.pool).await.unwrap();
}

/// The rows of another server, whose ids were so much higher (or lower), as a dump brings them
/// here.
async fn move_here(db: &TestDb, ids_higher: i64) {
    run(
        db,
        &format!(
            "update queue.history set system_identifier = system_identifier + 1, server_started = '2020-01-01';
             update queue.lane_log set txid = txid + {ids_higher}, snapshot_xmax = snapshot_xmax + {ids_higher};
             update queue.view_checkpoints set oldest_txid = oldest_txid + {ids_higher},
                 view = jsonb_set(view, '{{seen,xmax}}', to_jsonb((view->'seen'->>'xmax')::bigint + {ids_higher}))"
        ),
    )
    .await;
}

async fn rebase(db: &TestDb) -> Rebased {
    let mut tx = db.pool.begin().await.unwrap();
    let rebased = history::rebase(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    rebased
}

async fn prove(db: &TestDb) {
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(reconcile::run_once(&mut conn, QUEUE).await.unwrap(), Vec::new());
}

#[tokio::test]
async fn a_moved_database_has_exact_counts_and_limits_from_the_first_claim_on() {
    for ids_higher in [300_000, -700, 0] {
        let db = TestDb::new().await;
        let most = LaneLimits { max_running: Some(1), ..LaneLimits::default() };
        limit(&db, tenant(1), most).await;
        let rate = Rate { rate: 1, period_ms: 3_600_000, burst: 2 };
        limit(&db, tenant(2), LaneLimits { rate: Some(rate), ..LaneLimits::default() }).await;
        for n in 0..3 {
            fill(&db, tenant(n), 5).await;
        }
        let gone = db.register_worker().await;
        let before = claim(&mut db.pool.acquire().await.unwrap(), gone, QUEUE, 5).await.unwrap();
        assert_eq!(before.len(), 5);
        move_here(&db, ids_higher).await;
        run(&db, "update queue.workers set lease_until = queue.now() - interval '1 hour'").await;

        let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
        let open = "select count(*) from queue.jobs where state not in ('completed') and tenant_id <> $1";
        for _ in 0..600 {
            let open: i64 = sqlx::query_scalar(open).bind(tenant(2)).fetch_one(&db.pool).await.unwrap();
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        worker.stop().await;
        let counts: HashMap<Uuid, i64> = sqlx::query_as(
            "select tenant_id, count(*) filter (where state = 'completed') from queue.jobs group by 1",
        )
        .fetch_all(&db.pool)
        .await
        .unwrap()
        .into_iter()
        .collect();
        assert_eq!((counts[&tenant(0)], counts[&tenant(1)]), (5, 5), "ids higher by {ids_higher}");
        // Its burst was used up before, or counts as used up.
        assert!(counts[&tenant(2)] <= 2, "{counts:?}");
        let overlapping: i64 = sqlx::query_scalar(
            "select count(*) from queue.jobs a join queue.jobs b on a.tenant_id = b.tenant_id and a.seq < b.seq
             where a.tenant_id = $1 and a.attempted_at < b.finalized_at and b.attempted_at < a.finalized_at",
        )
        .bind(tenant(1))
        .fetch_one(&db.pool)
        .await
        .unwrap();
        assert_eq!(overlapping, 0, "two of a lane that may run one");
        prove(&db).await;
    }
}

#[tokio::test]
async fn a_view_from_before_is_dropped_and_nobody_claims_while_a_lost_worker_may_still_run() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 4).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let lost = db.register_worker().await;
    let mut claimer = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let held = claimer.claim(&mut conn, lost, Capacity::of(2)).await.unwrap().jobs;
    assert_eq!(held.len(), 2);
    assert_eq!(rebase(&db).await.queues, [QUEUE]);

    let another = db.register_worker().await;
    let view = QueueView::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(view.activity().counts[&JobState::Available], 2);
    for worker in [lost, another] {
        let claim = claimer.claim(&mut conn, worker, Capacity::of(4)).await.unwrap();
        assert!(claim.jobs.is_empty(), "{worker} claims beside a worker that may still run its jobs");
    }
    // What it says of its runs counts no more.
    let outcome = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
    let late = held.iter().map(|job| Finish::of(&job.run, outcome.clone())).collect();
    let refused = finish(&mut conn, late).await.unwrap_err();
    assert!(refused.to_string().contains("is not one of this database's history"), "{refused}");

    run(&db, "update queue.workers set lease_until = queue.now() where history <> queue.history_id()").await;
    assert_eq!(claimer.claim(&mut conn, another, Capacity::of(4)).await.unwrap().jobs.len(), 2);
    assert_eq!(weirgate_queue::worker::rescuer::run_once(&db.pool).await.unwrap(), 2);
    assert_eq!(claimer.claim(&mut conn, another, Capacity::of(4)).await.unwrap().jobs.len(), 2);
    prove(&db).await;
}

#[tokio::test]
async fn live_workers_hand_back_what_they_run_and_go_on() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let worker = TestWorker::start(&db, &probe);
    let job = db.enqueue(tenant(0), &Step::new("held", Does::GateOrCancel)).await.id;
    db.until(job, JobState::Running).await;
    rebase(&db).await;
    let next = fill(&db, tenant(1), 3).await;
    for id in next {
        db.until(id, JobState::Completed).await;
    }
    // It runs again, as its first attempt: that the database changed is not the job's fault.
    let again = db.until(job, JobState::Running).await;
    assert_eq!((again.attempt, again.errors.as_array().map(Vec::len)), (1, Some(0)));
    probe.open("held");
    db.until(job, JobState::Completed).await;
    worker.stop().await;
    prove(&db).await;
}

#[tokio::test]
async fn a_server_that_was_only_restarted_goes_on_with_its_history() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 2).await;
    let worker = db.register_worker().await;
    let history = "select id from queue.history";
    let before: Uuid = sqlx::query_scalar(history).fetch_one(&db.pool).await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let jobs = claim(&mut conn, worker, QUEUE, 1).await.unwrap();
    run(&db, "update queue.history set server_started = '2020-01-01'").await;
    let outcome = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
    let done = jobs.iter().map(|job| Finish::of(&job.run, outcome.clone()));
    let unknown = finish(&mut conn, done.clone().collect()).await.unwrap_err();
    assert!(unknown.to_string().contains("it is not known yet"), "{unknown}");
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let other = jobs[0].run.job;
    let sql = "select id from queue.jobs where id <> $1";
    let rest: Uuid = sqlx::query_scalar(sql).bind(other).fetch_one(&db.pool).await.unwrap();
    db.until(rest, JobState::Completed).await;
    assert_eq!(finish(&mut conn, done.collect()).await.unwrap().len(), 1);
    let after: Uuid = sqlx::query_scalar(history).fetch_one(&db.pool).await.unwrap();
    assert_eq!(before, after);
    worker.stop().await;
    prove(&db).await;
}

#[tokio::test]
async fn a_server_whose_disk_was_set_back_is_noticed_by_whoever_has_seen_more() {
    let db = TestDb::new().await;
    let mut conn = db.pool.acquire().await.unwrap();
    fill(&db, tenant(0), 1).await;
    run(&db, "update queue.lane_log set txid = txid + 1000000; update queue.history set server_started = '2020-01-01'")
        .await;
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let job = fill(&db, tenant(0), 1).await[0];
    db.until(job, JobState::Completed).await;
    worker.stop().await;
    let newest: i64 = sqlx::query_scalar("select coalesce(max(txid), 0) from queue.lane_log")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert!(newest < 1_000_000, "a row of transactions that never were is there");
    prove(&db).await;
}

#[tokio::test]
async fn a_cursor_past_jobs_that_may_start_is_found_and_set_back() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 6).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    // As a claim that never was would have left it: it took the first three, and says so.
    run(
        &db,
        "insert into queue.lane_log (queue, of_claim_seq, snapshot_xmax, snapshot_xip, tenants, backfills, priorities, states, changes, lowest)
         select queue, 50, pg_snapshot_xmax(pg_current_snapshot())::text::bigint, '{}', array[tenant_id], '{null}', '{0}', '{running}', '{0}',
             array[max(seq) - 2]
         from queue.jobs group by queue, tenant_id",
    )
    .await;
    let found = reconcile::run_once(&mut conn, QUEUE).await.unwrap();
    let [Discrepancy::Cursor { group, cursor, first }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((*group, cursor - first), ((tenant(0), None, 0), 3));
    assert_eq!(claim(&mut conn, worker, QUEUE, 10).await.unwrap().len(), jobs.len());
    prove(&db).await;
}

#[tokio::test]
async fn sequences_that_did_not_come_along_are_set_past_the_rows() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 5).await;
    run(&db, "select setval(pg_get_serial_sequence('queue.jobs', 'seq'), 1)").await;
    assert_eq!(rebase(&db).await.advanced_sequences, 1);
    fill(&db, tenant(0), 2).await;
    prove(&db).await;
}
