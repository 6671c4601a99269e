//! Lanes: exact limits over all hosts, fair shares, and a log that is never adrift.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::claim::{ClaimedJob, Claimer, Room, claim};
use weirgate_queue::finish::{Finish, Outcome, finish};
use weirgate_queue::lanes::limits::{LaneSettings, QueueLimits, pause_queue, set_lane, set_queue_limits};
use weirgate_queue::lanes::{Blocked, Book, LaneLimits, Rate, reconcile};
use weirgate_queue::{NewJob, control, enqueue, maintenance};

use crate::support::{Does, Step, TestDb};

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
    set_lane(&mut tx, QUEUE, tenant, LaneSettings { paused: false, limits: Some(limits) }).await.unwrap();
    tx.commit().await.unwrap();
}

fn rate(rate: u32, burst: u32) -> LaneLimits {
    LaneLimits { rate: Some(Rate { rate, period_ms: 1000, burst }), ..LaneLimits::default() }
}

fn most(max_running: u32) -> LaneLimits {
    LaneLimits { max_running: Some(max_running), ..LaneLimits::default() }
}

async fn complete(conn: &mut PgConnection, jobs: &[ClaimedJob]) {
    let outcome = Outcome::Completed { output: serde_json::Value::Null, next: Vec::new() };
    let done = jobs.iter().map(|job| Finish { job: job.run.job, run: job.run.run, outcome: outcome.clone() });
    assert_eq!(finish(conn, done.collect()).await.unwrap().len(), jobs.len());
}

fn by_tenant(jobs: &[ClaimedJob]) -> HashMap<Uuid, usize> {
    let mut counts = HashMap::new();
    for job in jobs {
        *counts.entry(job.run.tenant).or_default() += 1;
    }
    counts
}

async fn no_drift(db: &TestDb) {
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(reconcile::run_once(&mut conn, QUEUE).await.unwrap(), Vec::new());
}

#[tokio::test]
async fn a_rate_holds_over_all_hosts() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 30).await;
    limit(&db, tenant(0), rate(10, 4)).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut hosts =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let mut starts = Vec::new();
    for turn in 0..14 {
        for host in &mut hosts {
            let claim = host.claim(&mut conn, worker, Room::of(10)).await.unwrap();
            starts.push(claim.jobs.len());
        }
        if turn < 13 {
            // The clock stands still but for this; 100 ms are one start.
            db.travel(Duration::from_millis(100)).await;
        }
    }
    // Real time goes on under the shifted clock, so more than the burst may have come due, but never more than the rate.
    let times: Vec<DateTime<Utc>> =
        sqlx::query_scalar("select attempted_at from queue.jobs where attempted_at is not null order by 1")
            .fetch_all(&db.pool)
            .await
            .unwrap();
    assert_eq!(times.len(), starts.iter().sum::<usize>());
    assert!(times.len() >= 4 + 13, "burst and one start each 100 ms: {starts:?}");
    for (i, from) in times.iter().enumerate() {
        for (j, to) in times.iter().enumerate().skip(i) {
            let allowed = 4 + (*to - *from).num_milliseconds() / 100;
            assert!(i64::try_from(j - i + 1).unwrap() <= allowed, "{} starts in {}", j - i + 1, *to - *from);
        }
    }
    no_drift(&db).await;
}

#[tokio::test]
async fn a_throttled_lane_holds_nobody_up_and_says_when_it_goes_on() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 1000).await;
    limit(
        &db,
        tenant(0),
        LaneLimits { rate: Some(Rate { rate: 1, period_ms: 60_000, burst: 2 }), ..LaneLimits::default() },
    )
    .await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.len(), 2);
    fill(&db, tenant(1), 3).await;
    let claim = host.claim(&mut conn, worker, Room::of(100)).await.unwrap();
    assert_eq!(by_tenant(&claim.jobs), HashMap::from([(tenant(1), 3)]));
    let due = claim.next_due.expect("the lane comes due");
    assert!((due - claim.now).num_seconds() <= 60);
    let Some(Blocked::Throttled(until)) = host.book().explain(tenant(0), None) else {
        panic!("it is throttled")
    };
    assert!(until <= due && (due - until).num_milliseconds() <= 5);
    db.travel(Duration::from_mins(1)).await;
    db.keep_alive().await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn max_running_holds_over_all_hosts_and_comes_back_with_the_finish_and_the_rescue() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 20).await;
    limit(&db, tenant(0), most(3)).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (worker, lost) = (db.register_worker().await, db.register_worker().await);
    let mut first = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut second = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let running = first.claim(&mut conn, worker, Room::of(2)).await.unwrap().jobs;
    assert_eq!(running.len(), 2);
    assert_eq!(second.claim(&mut conn, lost, Room::of(10)).await.unwrap().jobs.len(), 1);
    assert!(first.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.is_empty());
    assert_eq!(first.book().explain(tenant(0), None), Some(Blocked::LaneFull { max_running: 3 }));
    complete(&mut conn, &running).await;
    assert_eq!(second.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 2);
    sqlx::query("update queue.workers set lease_until = queue.now() where id = $1")
        .bind(lost)
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(maintenance::rescuer::run_once(&db.pool).await.unwrap(), 1);
    assert_eq!(first.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 1);
    no_drift(&db).await;
}

#[tokio::test]
async fn hosts_that_claim_at_once_never_exceed_a_limit() {
    let db = TestDb::new().await;
    for n in 0..4 {
        fill(&db, tenant(n), 50).await;
        limit(&db, tenant(n), most(5)).await;
    }
    let worker = db.register_worker().await;
    let hosts = (0..6).map(|_| {
        let pool = db.pool.clone();
        tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
            let mut taken = Vec::new();
            loop {
                let claim = host.claim(&mut conn, worker, Room::of(3)).await.unwrap();
                taken.extend(claim.jobs);
                if !claim.again {
                    return taken;
                }
            }
        })
    });
    let mut jobs = Vec::new();
    for host in hosts.collect::<Vec<_>>() {
        jobs.extend(host.await.unwrap());
    }
    assert_eq!(by_tenant(&jobs), (0..4).map(|n| (tenant(n), 5)).collect());
    no_drift(&db).await;
}

#[tokio::test]
async fn lanes_share_starts_by_weight_and_take_what_others_leave() {
    let db = TestDb::new().await;
    for (n, weight) in [(0, 1.0), (1, 2.0), (2, 4.0)] {
        fill(&db, tenant(n), 120).await;
        limit(&db, tenant(n), LaneLimits { weight, ..LaneLimits::default() }).await;
    }
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut hosts =
        [Claimer::open(&mut conn, QUEUE).await.unwrap(), Claimer::open(&mut conn, QUEUE).await.unwrap()];
    let mut jobs = Vec::new();
    for turn in 0..20 {
        jobs.extend(hosts[turn % 2].claim(&mut conn, worker, Room::of(7)).await.unwrap().jobs);
    }
    let shares = by_tenant(&jobs);
    for (n, due) in [(0, 20), (1, 40), (2, 80)] {
        assert!(shares[&tenant(n)].abs_diff(due) <= 2, "{shares:?}");
    }
    // The rest: 100 + 80 + 40, whoever still has work.
    let rest = hosts[0].claim(&mut conn, worker, Room::of(1000)).await.unwrap().jobs;
    assert_eq!(rest.len(), 360 - 140);
}

#[tokio::test]
async fn a_lane_that_comes_back_gets_no_credit_for_its_absence() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 300).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.len(), 100);
    fill(&db, tenant(1), 100).await;
    let shares = by_tenant(&host.claim(&mut conn, worker, Room::of(20)).await.unwrap().jobs);
    assert_eq!(shares, HashMap::from([(tenant(0), 10), (tenant(1), 10)]));
}

#[tokio::test]
async fn priority_counts_inside_a_lane_and_not_against_another() {
    let db = TestDb::new().await;
    let low = fill(&db, tenant(0), 2).await;
    let mut high = Vec::new();
    for _ in 0..2 {
        high.push(db.enqueue_new(step(tenant(0)).priority(50)).await.id);
    }
    let other = fill(&db, tenant(1), 2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut order = Vec::new();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    for _ in 0..6 {
        order.extend(
            host.claim(&mut conn, worker, Room::of(1)).await.unwrap().jobs.iter().map(|job| job.run.job),
        );
    }
    let of = |lane: &[Uuid]| order.iter().copied().filter(|id| lane.contains(id)).collect::<Vec<_>>();
    assert_eq!(of(&[high.clone(), low.clone()].concat()), [high, low].concat());
    assert_eq!(of(&other), other);
    let place = order.iter().position(|id| *id == other[0]).unwrap();
    assert!(place < 2, "the other tenant waited behind priority: {order:?}");
}

#[tokio::test]
async fn a_queue_and_a_lane_can_be_paused_and_go_on() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 2).await;
    fill(&db, tenant(1), 1).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    pause_queue(&mut db.pool.acquire().await.unwrap(), QUEUE, true).await.unwrap();
    assert!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.is_empty());
    assert_eq!(host.book().explain(tenant(0), None), Some(Blocked::QueuePaused));
    pause_queue(&mut db.pool.acquire().await.unwrap(), QUEUE, false).await.unwrap();
    let paused = LaneSettings { paused: true, limits: None };
    set_lane(&mut db.pool.acquire().await.unwrap(), QUEUE, tenant(0), paused).await.unwrap();
    let jobs = host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs;
    assert_eq!(by_tenant(&jobs), HashMap::from([(tenant(1), 1)]));
    assert_eq!(host.book().explain(tenant(0), None), Some(Blocked::LanePaused));
    set_lane(&mut conn, QUEUE, tenant(0), LaneSettings::default()).await.unwrap();
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 2);
}

#[tokio::test]
async fn a_queue_has_limits_over_all_its_lanes_and_defaults_for_each() {
    let db = TestDb::new().await;
    for n in 0..3 {
        fill(&db, tenant(n), 10).await;
    }
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let limits = QueueLimits { rate: None, max_running: Some(5) };
    set_queue_limits(&mut conn, QUEUE, limits, most(2)).await.unwrap();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let jobs = host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs;
    assert_eq!(jobs.len(), 5);
    assert!(by_tenant(&jobs).values().all(|count| *count <= 2));
    let book = Book::open(&mut conn, QUEUE).await.unwrap();
    assert_eq!(book.explain(tenant(0), None), Some(Blocked::QueueFull { max_running: 5 }));
    let limits = QueueLimits { rate: Some(Rate { rate: 1, period_ms: 60_000, burst: 3 }), max_running: None };
    set_queue_limits(&mut conn, QUEUE, limits, LaneLimits::default()).await.unwrap();
    assert_eq!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.len(), 3);
    assert!(host.claim(&mut conn, worker, Room::of(100)).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn a_setting_counts_from_the_next_claim_of_any_host() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 10).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // Between this host's look and its claim nothing is known of the change; its turn is taken, though.
    limit(&db, tenant(0), most(1)).await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 1);
    limit(&db, tenant(0), LaneLimits::default()).await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 9);
}

#[tokio::test]
async fn what_comes_in_behind_the_cursor_is_found() {
    let db = TestDb::new().await;
    let mut late = db.pool.begin().await.unwrap();
    let late_job = enqueue(&mut late, vec![step(tenant(0))]).await.unwrap()[0].id;
    fill(&db, tenant(0), 5).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let first = host.claim(&mut conn, worker, Room::of(4)).await.unwrap().jobs;
    late.commit().await.unwrap();
    let found = host.claim(&mut conn, worker, Room::of(1)).await.unwrap().jobs;
    assert_eq!(found[0].run.job, late_job, "it was enqueued first and committed last");
    // Handed back, it is the lane's first again.
    let back = Finish { job: first[0].run.job, run: first[0].run.run, outcome: Outcome::HandedBack };
    finish(&mut conn, vec![back]).await.unwrap();
    let again = host.claim(&mut conn, worker, Room::of(1)).await.unwrap().jobs;
    assert_eq!(again[0].run.job, first[0].run.job);
    assert_eq!(host.claim(&mut conn, worker, Room::of(10)).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn a_job_that_somebody_holds_is_neither_waited_for_nor_forgotten() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 3).await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("select from queue.jobs where id = $1 for update")
        .bind(jobs[1])
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let ids = |claimed: Vec<ClaimedJob>| claimed.iter().map(|job| job.run.job).collect::<Vec<_>>();
    assert_eq!(ids(host.claim(&mut conn, worker, Room::of(3)).await.unwrap().jobs), [jobs[0], jobs[2]]);
    assert!(host.claim(&mut conn, worker, Room::of(3)).await.unwrap().jobs.is_empty());
    holder.rollback().await.unwrap();
    assert_eq!(ids(host.claim(&mut conn, worker, Room::of(3)).await.unwrap().jobs), [jobs[1]]);
}

#[tokio::test]
async fn a_claim_decided_on_an_outdated_picture_changes_nothing() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // The next turn is being taken, and commits while the host asks for it.
    let mut other = db.pool.begin().await.unwrap();
    pause_queue(&mut other, QUEUE, true).await.unwrap();
    let asking = tokio::spawn(async move {
        let claim = host.claim(&mut conn, worker, Room::of(2)).await.unwrap();
        (claim, host)
    });
    blocked_on_a_transaction(&db).await;
    other.commit().await.unwrap();
    let (claim, mut host) = asking.await.unwrap();
    assert!(claim.jobs.is_empty() && claim.again);
    let claim = host.claim(&mut db.pool.acquire().await.unwrap(), worker, Room::of(2)).await.unwrap();
    assert!(claim.jobs.is_empty() && !claim.again, "the queue is paused");
    no_drift(&db).await;
}

#[tokio::test]
async fn an_answer_that_was_lost_is_taken_up_before_anything_else() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 5).await;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    let mut other = db.pool.begin().await.unwrap();
    pause_queue(&mut other, QUEUE, true).await.unwrap();
    // The claim has reached the database, and nobody waits for its answer any more.
    tokio::select! {
        _ = host.claim(&mut conn, worker, Room::of(3)) => panic!("it waits for the other turn"),
        () = blocked_on_a_transaction(&db) => {}
    }
    drop(conn.detach());
    other.rollback().await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let taken_up = loop {
        let running: i64 = sqlx::query_scalar("select count(*) from queue.jobs where state = 'running'")
            .fetch_one(&db.pool)
            .await
            .unwrap();
        if running == 3 {
            break host.claim(&mut conn, worker, Room::of(5)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // Only these: were more asked for at the same time and that failed, they would be lost again.
    assert_eq!(taken_up.jobs.len(), 3);
    assert!(taken_up.again);
    complete(&mut conn, &taken_up.jobs).await;
    assert_eq!(host.claim(&mut conn, worker, Room::of(5)).await.unwrap().jobs.len(), 2);
    no_drift(&db).await;
}

async fn blocked_on_a_transaction(db: &TestDb) {
    for _ in 0..400 {
        let waits: bool = sqlx::query_scalar(
            "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')",
        )
        .fetch_one(&db.pool)
        .await
        .unwrap();
        if waits {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

#[tokio::test]
async fn live_work_goes_before_backfills_which_get_their_share_of_the_fleet() {
    let db = TestDb::new().await;
    let backfill = Uuid::now_v7();
    sqlx::query("insert into queue.backfills (id, share) values ($1, 0.25)")
        .bind(backfill)
        .execute(&db.pool)
        .await
        .unwrap();
    let worker = db.register_worker().await;
    sqlx::query("update queue.workers set slots = 8").execute(&db.pool).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    enqueue(&mut tx, (0..20).map(|_| step(tenant(0)).backfill(backfill)).collect()).await.unwrap();
    tx.commit().await.unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let mut host = Claimer::open(&mut conn, QUEUE).await.unwrap();
    // Alone it may use all.
    let alone = host.claim(&mut conn, worker, Room::of(8)).await.unwrap().jobs;
    assert_eq!(alone.len(), 8);
    assert!(alone.iter().all(|job| job.backfill == Some(backfill)));
    complete(&mut conn, &alone).await;
    fill(&db, tenant(1), 10).await;
    // Live work first; as none of it waits then, the backfill takes the rest.
    let mixed = host.claim(&mut conn, worker, Room { jobs: 12, live: 12, backfill: 12 }).await.unwrap().jobs;
    assert_eq!(by_tenant(&mixed), HashMap::from([(tenant(1), 10), (tenant(0), 2)]));
    complete(&mut conn, &mixed).await;
    // While live work waits, it gets a quarter of the eight slots.
    fill(&db, tenant(1), 10).await;
    let mixed = host.claim(&mut conn, worker, Room { jobs: 12, live: 6, backfill: 12 }).await.unwrap().jobs;
    assert_eq!(by_tenant(&mixed), HashMap::from([(tenant(1), 6), (tenant(0), 2)]));
    assert!(
        host.claim(&mut conn, worker, Room { jobs: 4, live: 0, backfill: 4 }).await.unwrap().jobs.is_empty()
    );
}

#[tokio::test]
async fn a_host_that_begins_late_begins_from_a_book() {
    let db = TestDb::new().await;
    limit(&db, tenant(0), rate(1, 1)).await;
    fill(&db, tenant(0), 2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let worker = db.register_worker().await;
    for _ in 0..1100 {
        fill(&db, tenant(1), 1).await;
    }
    assert_eq!(claim(&mut conn, worker, QUEUE, 3).await.unwrap().len(), 3);
    maintenance::bookkeeper::run_once(&db.pool).await.unwrap();
    db.travel(Duration::from_mins(11)).await;
    db.keep_alive().await;
    for _ in 0..1100 {
        fill(&db, tenant(2), 1).await;
    }
    maintenance::bookkeeper::run_once(&db.pool).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("select count(*) from queue.lane_log").fetch_one(&db.pool).await.unwrap();
    assert!((1100..1200).contains(&rows), "{rows} rows are left: what the first book holds is gone");
    no_drift(&db).await;
    let book = Book::open(&mut conn, QUEUE).await.unwrap();
    assert!(book.read() < 1100);
    let jobs = claim(&mut conn, worker, QUEUE, 5000).await.unwrap();
    assert_eq!(by_tenant(&jobs), HashMap::from([(tenant(0), 1), (tenant(1), 1098), (tenant(2), 1100)]));
}

#[tokio::test]
async fn a_count_that_is_adrift_is_found_and_repaired() {
    let db = TestDb::new().await;
    fill(&db, tenant(0), 3).await;
    no_drift(&db).await;
    sqlx::query(
        "insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
         values ('default', array[$1], '{null}', '{0}', '{running}', '{2}', '{null}')",
    )
    .bind(tenant(0))
    .execute(&db.pool)
    .await
    .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let drifts = reconcile::run_once(&mut conn, QUEUE).await.unwrap();
    assert_eq!((drifts.len(), drifts[0].counted, drifts[0].there), (1, 2, 0));
    no_drift(&db).await;
}

#[tokio::test]
async fn what_people_do_to_rows_by_hand_is_counted_too() {
    let db = TestDb::new().await;
    let jobs = fill(&db, tenant(0), 4).await;
    let mut conn = db.pool.acquire().await.unwrap();
    control::cancel(&mut conn, jobs[0]).await.unwrap();
    sqlx::query("update queue.jobs set state = 'discarded', finalized_at = queue.now() where id = $1")
        .bind(jobs[1])
        .execute(&db.pool)
        .await
        .unwrap();
    sqlx::query("delete from queue.jobs where id = $1").bind(jobs[2]).execute(&db.pool).await.unwrap();
    no_drift(&db).await;
    let worker = db.register_worker().await;
    assert_eq!(claim(&mut conn, worker, QUEUE, 10).await.unwrap()[0].run.job, jobs[3]);
    no_drift(&db).await;
}
